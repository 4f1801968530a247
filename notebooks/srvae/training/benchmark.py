"""How fast a run's steps are on this machine: ``srvae train benchmark``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from .config import Config
from .photographs import load_photographs
from .train import Run

EDGE = {"cuda": 8192, "mps": 4096}  # of the matrices whose product says what a device can do; 2048 on a CPU
TINY_RATE = 1e-6  # share of the learning rate, so that the timed steps hardly change the weights


def benchmark(config: Config, seconds: float = 10.0) -> dict[str, float]:
    """Time the steps of a run with these settings, and the product of two large matrices in the run's precision.

    Returns:
        steps/s, patches/s, TFLOP/s of the steps, and their share of the matrix product's.

    Raises:
        ValueError, FileNotFoundError: as for :func:`train.train`.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = replace(config, run=folder)
        config.check()
        run = Run(config)
        run.load_data(load_photographs(config.data, config.scale))
        with FlopCounterMode(display=False) as counter:  # before the graph, whose kernels it would not see
            batch = {name: t.to(run.device) for name, t in run.patches(0).items() if name != "context"}
            run.compute_gradients(batch | run.objective.draw(0))
        batches = run.patches.stream(0, config.workers)
        steps = _rate(lambda: run.train_step(next(batches), TINY_RATE), run.device, seconds)
        batches.close()
    edge = EDGE.get(run.device.type, 2048)
    dtype = torch.bfloat16 if run.model.bfloat16 else torch.float32  # bfloat16 is emulated, very slowly, on many CPUs
    a, b = torch.randn(2, edge, edge, device=run.device, dtype=dtype)
    product = 2 * edge**3 * _rate(lambda: a @ b, run.device, 1.0)
    flops = steps * counter.get_total_flops()
    rates = {"steps/s": steps, "patches/s": steps * config.batch, "TFLOP/s": flops / 1e12}
    return {name: round(value, 2) for name, value in rates.items()} | {"share of product": round(flops / product, 4)}


def _rate(function: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return calls per second, after two calls that do not count, in which kernels are loaded and recorded."""
    function(), function()
    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device.type, lambda: None)
    wait()
    begin, calls = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        function()
        calls += 1
        if calls % 20 == 0:
            wait()
    wait()
    return calls / (time.perf_counter() - begin)
