"""How fast training is on the machine at hand: data ready, patches cut, the steps of each stage."""

from __future__ import annotations

import gc
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import srvae_core as sr

from .compiling import WithFallback
from .config import Config
from .loop import Loop
from .optimiser import Muon
from .patches import Batch, Patches
from .photographs import Photographs, load_photographs
from .schedule import Clock, Schedule
from .teachers import teacher_of
from .trainer import Trainer

MATRIX_EDGE = {"cuda": 8192, "cpu": 2048, "mps": 4096}  # of the matrices whose product says what a machine can do
LEAST_STEPS = 3  # that a rate is measured by, even if they take long
MEASURED = 1.0  # seconds for what is no training step
TINY_RATE = 1e-6  # share of the learning rate, so that the steps that are timed change the weights very little


def synchronised(device: torch.device) -> float:
    """The time in seconds, once the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def rate(function: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Calls of a function per second, after one that does not count.

    Args:
        function: what to call.
        device: is waited for at the end.
        seconds: to go on for, and for three calls at least; 0 is a single call.
    """
    function()
    begin = synchronised(device)
    calls, least = 0, LEAST_STEPS if seconds else 1
    while calls < least or time.perf_counter() - begin < seconds:
        function()
        calls += 1
        if calls % 20 == 0:
            synchronised(device)  # a GPU is given work ahead, but not without end
    return calls / (synchronised(device) - begin)


def product_rate(device: torch.device, edge: int, seconds: float = MEASURED) -> float:
    """TFLOP/s of a bfloat16 product of two (edge, edge) matrices of random data (zeros would be quicker)."""
    a, b = (torch.randn(edge, edge, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * edge**3 * rate(partial(torch.matmul, a, b), device, seconds) / 1e12


def flops_of(trainer: Trainer, batch: Batch) -> float:
    """Floating-point operations of one step, forward and backward, counted by torch in the plain way of running it."""
    # A CUDA graph that was recorded before would launch its kernels unseen.
    quick, trainer.run_gradients = trainer.run_gradients, trainer.compute_gradients
    with FlopCounterMode(display=False) as counter:
        trainer.gradients(batch)
    trainer.run_gradients = quick
    return float(counter.get_total_flops())


def benchmark(
    config: Config, *, seconds: float = 10.0, compile_modes: list[str] | None = None, edge: int | None = None
) -> list[dict[str, object]]:
    """Print a table, a row for each stage, and return it.

    Args:
        config: scale, batch, data, files and machine are taken from it; without ``data``, noise stands for photographs.
        seconds: for each row, after a first step that does not count; 0 is a single step.
        compile_modes: ways to run a step (see :mod:`training.compiling`); None is the run's own choice.
        edge: of the matrices whose product the steps are compared with; None is one that fills the device.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = replace(config, run=str(Path(folder) / "run"), initial=None)
        photographs = _photographs(config)
        first = Trainer(replace(config, stage="answer", teacher=(), pool=None))
        device = first.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
        print(f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}", flush=True)
        short = min(MEASURED, seconds)
        _print_cutting(photographs, config, device, short)
        edge = edge or MATRIX_EDGE[device.type]
        best = product_rate(device, edge, short)
        print(f"bfloat16 matrix product of {edge}: {best:.2f} TFLOP/s", flush=True)
        first.save(0.0)  # what the later stages start from
        run = first.run
        del first
        rows = []
        for stage in _stages(config, run):
            for mode in compile_modes or [None]:
                row = _stage_row(replace(stage, compile=mode), photographs, seconds, best)
                rows.append(row)
                gc.collect()  # of what this stage had in a GPU's memory
                print("  ".join(f"{k} {v}" for k, v in row.items()), flush=True)
        return rows


def _photographs(config: Config) -> Photographs:
    """Those of the configuration, with a line that says how long they took; or noise."""
    begin = time.perf_counter()
    if config.data:
        photographs = load_photographs(config.data, config.scale)
        pixels = sum(hr.shape[0] * hr.shape[1] for hr in photographs.hr)
        seconds = time.perf_counter() - begin
        print(f"{len(photographs)} photographs, {pixels / 1e6:.0f} megapixels, ready in {seconds:.1f} s", flush=True)
        return photographs
    noise = torch.randint(256, (4, 512, 512, 3), dtype=torch.uint8).numpy()
    return Photographs(config.scale, [""] * 4, list(noise), [sr.downscale(image, config.scale) for image in noise])


def _print_cutting(photographs: Photographs, config: Config, device: torch.device, seconds: float) -> None:
    """A line with the patches per second that one thread chooses, and that the device cuts."""
    patches = Patches(photographs, config.batch, candidates=config.candidates, device=device)
    chosen = rate(partial(next, map(patches.windows, count())), torch.device("cpu"), seconds) * config.batch
    cut = rate(partial(patches.cut, patches.windows(0)), device, seconds) * config.batch
    print(f"patches per second: {chosen:.0f} chosen by one thread, {cut:.0f} cut on {device}", flush=True)


def _stages(config: Config, run: Path) -> Iterator[Config]:
    """A configuration for each stage that can be timed: with a teacher and a VGG-19 file also what these need."""
    plain = replace(config, teacher=(), pool=None, vgg_weight=0.0)
    yield replace(plain, stage="answer")
    if config.teacher and config.teacher != ("self",):
        yield replace(plain, stage="answer", teacher=config.teacher, pool=None)
    latents = replace(plain, stage="latents", initial=str(run), shaping=0)
    yield replace(latents, train="all")
    if config.vgg:
        yield replace(latents, variant="P", train="decoder", temperature=0.25, vgg_weight=None)
    yield replace(latents, latents="release", vgg_weight=None if config.vgg else 0.0)


def _stage_row(config: Config, photographs: Photographs, seconds: float, best: float) -> dict[str, object]:
    """One stage: steps per second, TFLOP/s, and the share of a step that its optimiser takes."""
    trainer = Trainer(config)
    teacher = teacher_of(config, trainer.pictures)
    loop = Loop(trainer, photographs, teacher, Schedule(config, Clock(None, time.monotonic())))
    flops = flops_of(trainer, loop.untaught(0))
    stream = loop.patches.stream(0, 10**9, config.workers)
    begin = synchronised(trainer.device)
    trainer.train_step(next(stream), TINY_RATE)
    start = synchronised(trainer.device) - begin
    loop.patches.waited = 0.0
    began = time.perf_counter()

    def step() -> None:
        trainer.train_step(next(stream), TINY_RATE)

    def move() -> None:
        for optimiser in trainer.optimisers:
            optimiser.step()

    steps = rate(step, trainer.device, seconds)
    waited = loop.patches.waited / (time.perf_counter() - began)
    stream.close()
    moved = rate(move, trainer.device, min(MEASURED, seconds))
    muon = [o for o in trainer.optimisers if isinstance(o, Muon)]
    gradients: WithFallback = trainer.run_gradients
    compiled = "no" if gradients.quick == gradients.plain else config.compile or "graph"
    what = config.latents if config.stage == "latents" else "taught" if config.teacher else ""
    return {
        "stage": " ".join(filter(None, (config.stage, config.variant, what))),
        "batch": config.batch,
        "compiled": compiled,
        "first": f"{start:.1f} s",
        "steps/s": f"{steps:.3g}",
        "patches/s": f"{steps * config.batch:.0f}",
        "TFLOP/s": f"{steps * flops / 1e12:.3g}",
        "of product": f"{steps * flops / 1e12 / best:.1%}",
        "optimiser": f"{steps / moved:.1%}" + ("" if muon else " (Adam)"),
        "waited": f"{waited:.1%}",
    }
