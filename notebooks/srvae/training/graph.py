"""CUDA graphs: a training step recorded once and replayed.

A step is hundreds of short kernels, which Python launches more slowly than a large GPU runs them. A graph launches all
of them at once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch
from torch import Tensor

Function = Callable[[dict[str, Tensor]], dict[str, Tensor]]
WARM_UP = 3  # calls before recording, in which libraries choose their kernels and allocate memory


def cuda_graph(function: Function) -> Function:
    """Record a function of tensors on CUDA at its first call; later calls copy their inputs and replay it.

    The function must launch the same kernels at every call and must not look at values. Tensors that it changes,
    gradients for example, are changed by every replay, too.
    """
    recorded: list[tuple[torch.cuda.CUDAGraph, dict[str, Tensor], dict[str, Tensor]]] = []

    def record(inputs: dict[str, Tensor]) -> None:
        kept = {name: t.clone() for name, t in inputs.items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                function(kept)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        gc.collect()
        gc.disable()  # destroying an older graph during the recording would spoil it
        try:
            with torch.cuda.graph(graph):
                outputs = function(kept)
        finally:
            gc.enable()
        recorded.append((graph, kept, outputs))

    def replay(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if not recorded:
            record(inputs)
        graph, kept, outputs = recorded[0]
        for name, t in inputs.items():
            kept[name].copy_(t, non_blocking=True)
        graph.replay()
        return {name: t.clone() for name, t in outputs.items()}  # the next replay overwrites them

    return replay
