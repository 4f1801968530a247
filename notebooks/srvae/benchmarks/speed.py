"""The milliseconds of answers and the memory of large answers, on the machine at hand."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from skimage import data as photographs

import srvae_core as sr
from srvae import release

LARGEST = 512  # pixels a side of the photograph


def timed(function: Callable[[], object]) -> float:
    """Return the milliseconds of one call."""
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def speed(scale: int, repeats: int, size: int) -> dict[str, float]:
    """Return the milliseconds of answers of size x size pixels by what is timed: the fastest of several runs.

    Raises:
        ValueError: there are no runs, or the size is not a multiple of 8 up to :data:`LARGEST`.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    if not 8 <= size <= LARGEST or size % 8:
        raise ValueError(f"size must be a multiple of 8, at most {LARGEST}, not {size}")
    model = sr.load_model(f"{scale}x-D")
    lr = sr.downscale(photographs.astronaut()[:size, :size], scale)
    sampler = sr.Sampler(model, lr)
    tiles = partial(release.super_resolve, lr, model, temperature=1.0)
    calls = {
        "answer": partial(sr.super_resolve, lr, model, temperature=1.0),
        "slider step": partial(sampler, seed=1),
        "draft": partial(sampler, seed=1, draft=True),
        "release's tiles": tiles,
    }
    # The calls take turns, so that other load on the machine slows all of them alike. The first turn also encodes.
    turns = [{name: timed(call) for name, call in calls.items()} for _ in range(repeats + 1)][1:]
    fastest = {name: min(turn[name] for turn in turns) for name in calls}
    return fastest | {"release's tiles, self-ensemble": timed(partial(tiles, self_ensemble=True))}


def print_speed(repeats: int, size: int) -> None:
    """Print :func:`speed` at both scales, also as multiples of an answer's time."""
    print(f"answers of {size}x{size}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for scale in sr.SCALES:
        times = speed(scale, repeats, size)
        for name, ms in times.items():
            print(f"{scale}x {name:30} {ms:7.0f} ms, {ms / times['answer']:6.2f} answers")


def peak_of_enlarging(size: int) -> float:
    """Return this process's peak memory in GiB after a 4x enlargement of size x size pixels; needs Linux."""
    copies = -(-size // LARGEST)
    lr = np.tile(photographs.astronaut(), (copies, copies, 1))[:size, :size]
    sr.super_resolve(lr, sr.load_model("4x-D"), temperature=1.0)
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 2**20 for line in lines if line.startswith("VmHWM:"))


def memory(size: int) -> float:
    """Return :func:`peak_of_enlarging` of a fresh process; raise BrokenProcessPool if the process is killed."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(peak_of_enlarging, size).result()


def print_memory(sizes: Sequence[int]) -> None:
    """Print :func:`memory` for some sizes of the LR image."""
    for size in sizes:
        print(f"{size}x{size} -> {4 * size}x{4 * size}: peak memory {memory(size):.2f} GiB", flush=True)
