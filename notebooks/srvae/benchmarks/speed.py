"""What a user waits for, and how much memory a large answer takes, on the machine at hand."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from skimage import data as photographs

import srvae_core as sr
from srvae import release

GIB = 2**30
LARGEST = 512  # the edge of the photograph whose answers are timed, in pixels


def machine() -> str:
    """What timings are from: the CPU's name, the threads that torch uses, its version."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def timed(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


# -- Speed --------------------------------------------------------------------------------------------------


def speed(repeats: int = 3, size: int = LARGEST) -> dict[int, dict[str, float]]:
    """Milliseconds of what a user waits for, for an answer of size x size at each scale.

    Args:
        repeats: how often each is timed; the fastest counts, since other load only adds.
        size: edge of the answer in pixels, at most :data:`LARGEST` and a multiple of 8.

    Returns:
        scale -> {"whole": ..., "step": ..., "draft": ..., "release": ..., "rule": ...}: an answer, a call of a ready
        ``Sampler``, the same for pictures in motion, the release's tiles without back-projection, and the release's
        way in full, its tiles for each of the 8 flips and rotations. That takes long, so it is timed once.

    Raises:
        ValueError: there are no such repeats, or there is no such size.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    if not 8 <= size <= LARGEST or size % 8:
        raise ValueError(f"size must be a multiple of 8, at most {LARGEST}, not {size}")
    hr = np.ascontiguousarray(photographs.astronaut()[:size, :size])
    return {scale: _speed_at(scale, hr, repeats) for scale in sr.SCALES}


def _speed_at(scale: int, hr: np.ndarray, repeats: int) -> dict[str, float]:
    """Milliseconds at one scale, by what is timed."""
    model = _any_model(scale)
    lr = sr.downscale(hr, scale)
    sampler = sr.Sampler(model, lr)

    by_tiles = partial(release.super_resolve, lr, model, temperature=1.0)
    # They take turns, so that other load on the machine falls on all of them alike.
    calls = {"whole": partial(sr.super_resolve, lr, model, temperature=1.0), "release": by_tiles}
    calls |= {"step": partial(sampler, seed=1), "draft": partial(sampler, seed=1, draft=True)}
    for name in set(calls) - {"release"}:  # the first calls also encode and allocate
        calls[name]()
    rounds = [{name: timed(call) for name, call in calls.items()} for _ in range(repeats)]
    milliseconds = {name: 1000 * min(seconds[name] for seconds in rounds) for name in calls}
    return milliseconds | {"rule": 1000 * timed(partial(by_tiles, self_ensemble=True))}


def _any_model(scale: int) -> sr.SRVAE:
    """A shipped model of a scale, or one with random weights, which takes the same time and memory."""
    names = sr.available_models(scale)
    return sr.load_model(names[0]) if names else sr.SRVAE(scale, grid_generator=True).eval()


def print_speed(repeats: int, size: int) -> None:
    """Print :func:`speed` with the ratios."""
    print(f"{machine()}; answers of {size}x{size}, fastest of {repeats} turns")
    for scale, ms in speed(repeats, size).items():
        print(
            f"{scale}x: whole tiling {ms['whole']:.0f} ms\n"
            f"    the release's rule (tiles, overlaps, 8 transforms) {ms['rule']:.0f} ms, "
            f"ratio 1/{ms['rule'] / ms['whole']:.1f} (aim: at most 1/5)\n"
            f"    its tiles and overlaps alone {ms['release']:.0f} ms, ratio 1/{ms['release'] / ms['whole']:.1f}\n"
            f"    slider step {ms['step']:.0f} ms, full enlargement {ms['whole']:.0f} ms, "
            f"ratio 1/{ms['whole'] / ms['step']:.1f} (aim: at most 1/4)\n"
            f"    draft {ms['draft']:.0f} ms, ratio 1/{ms['whole'] / ms['draft']:.1f}"
        )


# -- Memory -------------------------------------------------------------------------------------------------


def peak_memory() -> float:
    """Peak resident memory of this process in GiB.

    Raises:
        RuntimeError: the system does not say it, or the package psutil is missing that asks for it.
    """
    status = Path("/proc/self/status")  # Linux
    if status.exists():
        # In KiB. It is a process's own, while of getrusage's figure a child inherits its parent's.
        lines = [line.split() for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:")]
        if lines:
            return int(lines[0][1]) * 1024 / GIB
    if sys.platform == "darwin":
        import resource  # Windows has no such module

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB  # bytes there
    try:
        import psutil
    except ImportError as error:
        raise RuntimeError("peak memory is read by the package psutil here: pip install psutil") from error
    memory_info = psutil.Process().memory_info()
    if not hasattr(memory_info, "peak_wset"):  # Windows has it
        raise RuntimeError(f"{platform.system()} tells psutil no peak memory")
    return memory_info.peak_wset / GIB


def peak_of_enlarging(size: int) -> float:
    """:func:`peak_memory` after enlarging size x size pixels four times.

    Only meaningful in a process that did nothing else before (see :func:`memory`).

    Raises:
        ValueError: there is no such size.
    """
    if size < 1:
        raise ValueError(f"an image has at least 1x1 pixels, not {size}x{size}")
    model = _any_model(4)
    photograph = photographs.astronaut()
    copies = -(-size // len(photograph))
    lr = np.tile(photograph, (copies, copies, 1))[:size, :size]
    sr.super_resolve(lr, model, temperature=1.0, progress=sys.stderr.isatty())
    return peak_memory()


def memory(size: int) -> float:
    """:func:`peak_of_enlarging` in a fresh process, so that nothing else counts.

    Raises:
        RuntimeError: the process failed, perhaps for want of memory; standard error has its words.
    """
    command = [sys.executable, "-m", "srvae", "evaluate", "memory", "--inside", str(size)]
    done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE)
    if done.returncode:
        raise RuntimeError(f"{size}x{size} pixels were not enlarged: the process ended with code {done.returncode}")
    return float(done.stdout)


def print_memory(sizes: list[int]) -> None:
    """Print :func:`memory` of 4x enlargements, a line for each edge of the LR image."""
    for size in sizes:
        start = time.perf_counter()
        peak = memory(size)
        seconds = time.perf_counter() - start
        print(f"{size}x{size} -> {4 * size}x{4 * size}: peak memory {peak:.2f} GiB ({seconds:.0f} s)", flush=True)
