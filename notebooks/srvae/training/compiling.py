"""Ways to run a function of tensors that fills a GPU: as it is, as a CUDA graph, or compiled by torch.

A step at these sizes is hundreds of short kernels. Python takes longer to launch them than an H100 takes to run them.
A CUDA graph launches them all at once, and is recorded within a second or two. torch.compile also fuses them, but takes
half a minute for every stage, which a run of a few minutes does not get back.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor

Mode = Literal["off", "graph", "default", "reduce-overhead"]
MODES = get_args(Mode)

WARM_UP = 3  # calls before recording, in which libraries choose their kernels and allocate what they keep

Tensors = dict[str, Tensor]
Function = Callable[..., Tensors]


class CudaGraph:
    """A function of tensors, recorded at its first call and then replayed.

    The function must launch the same kernels at every call and must not look at a tensor's values. What it leaves in
    other tensors (gradients, say) is left there by every replay, too.

    Args:
        function: of tensors of fixed shapes; returns tensors by name.
    """

    def __init__(self, function: Function) -> None:
        self.function, self.graph = function, None
        self.inputs: tuple[Tensor, ...] = ()
        self.outputs: Tensors = {}

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        self.inputs = tuple(t.clone() for t in inputs)  # with the same strides
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.function(*self.inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with without_garbage_collection(), torch.cuda.graph(graph):
            self.outputs = self.function(*self.inputs)
        self.graph = graph

    def __call__(self, *inputs: Tensor) -> Tensors:
        if self.graph is None:
            self._record(inputs)
        for kept, new in zip(self.inputs, inputs, strict=True):
            kept.copy_(new, non_blocking=True)
        self.graph.replay()
        return {name: t.clone() for name, t in self.outputs.items()}  # the next replay writes them anew


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Collect garbage first and none meanwhile: an old graph that is destroyed while one is recorded spoils it."""
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class WithFallback:
    """A quicker form of a function. When it fails once, the plain function takes its place for good.

    A compiler may be missing, or a driver too old. Training then goes on, with a line that says why it is slow.

    Args:
        quick: the form to try.
        plain: the function itself; the same object where there is no quicker form.
    """

    def __init__(self, quick: Function, plain: Function) -> None:
        self.quick, self.plain = quick, plain

    def __call__(self, *inputs: Tensor) -> Tensors:
        if self.quick is self.plain:
            return self.plain(*inputs)
        before = torch.cuda.current_stream() if inputs[0].is_cuda else None
        try:
            return self.quick(*inputs)
        except Exception as error:
            print(f"goes on without compiling: {type(error).__name__}: {error}", flush=True)
            self.quick = self.plain
            if before is not None:  # a recording that failed leaves its own stream as the current one
                torch.cuda.set_stream(before)
                torch.cuda.synchronize()
            return self.plain(*inputs)


def quickened(function: Function, mode: Mode | None, device: torch.device) -> WithFallback:
    """The function in the form that a mode names; None is a CUDA graph on CUDA and the function itself elsewhere.

    Raises:
        ValueError: a CUDA graph elsewhere than on CUDA.
    """
    if mode is None:
        mode = "graph" if device.type == "cuda" else "off"
    if mode == "graph":
        if device.type != "cuda":
            raise ValueError(f"compile graph needs a CUDA device, not {device}")
        return WithFallback(CudaGraph(function), function)
    quick = function if mode == "off" else torch.compile(function, mode=mode)
    return WithFallback(quick, function)


def to_device(t: Tensor, device: torch.device) -> Tensor:
    """A small tensor on a device, without waiting for what a GPU still has to do."""
    return t.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else t.to(device)
