"""Benchmarks: image sets by name, speed, memory, and the scores of data/results.csv.

python notebooks/benchmarks.py speed       # milliseconds of whole and release tiling, of a slider step
python notebooks/benchmarks.py memory      # peak memory of large answers, each in a process of its own
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from skimage import data as photographs

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the core, where it is not installed
import srvae_core as sr  # noqa: E402

# ---------------------------------------------------------------------------------------------------------
# Speed and memory
# ---------------------------------------------------------------------------------------------------------


def machine() -> str:
    """What timings are from: the CPU's name, the threads that torch uses, its version."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def timed(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def speed(repeats: int = 3, size: int = 512) -> dict[int, dict[str, float]]:
    """Milliseconds of what a user waits for, for an answer of size x size at each scale.

    The things compared take turns, so that other load on the machine falls on all of them alike.

    Args:
        repeats: how often each is timed; the fastest counts, since other load only adds.
        size: edge of the answer in pixels, at most 512 and a multiple of 8.

    Returns:
        scale -> {"whole": ..., "release": ..., "step": ...}; step is a call of a ready ``Sampler``.
    """
    hr = np.ascontiguousarray(photographs.astronaut()[:size, :size])
    answer = {}
    for scale in sr.SCALES:
        names = [name for name in sr.available_models() if name.startswith(f"{scale}x")]
        model = sr.load_model(names[0]) if names else sr.SRVAE(scale, grid_generator=True).eval()
        lr = sr.downscale(hr, scale)
        view = sr.Sampler(model, lr)
        what = {
            "whole": lambda m=model, x=lr: sr.super_resolve(x, m, temperature=1.0),
            "release": lambda m=model, x=lr: sr.super_resolve(x, m, temperature=1.0, tiling="release"),
            "step": lambda v=view: v(seed=1, temperature=1.0),
        }
        what["step"](), what["whole"]()  # the first calls also allocate
        rounds = [{name: timed(call) for name, call in what.items()} for _ in range(repeats)]
        answer[scale] = {name: 1000 * min(r[name] for r in rounds) for name in what}
    return answer


def print_speed(repeats: int, size: int) -> None:
    print(f"{machine()}; answers of {size}x{size}, fastest of {repeats} turns")
    for scale, ms in speed(repeats, size).items():
        print(
            f"{scale}x: whole tiling {ms['whole']:.0f} ms, release tiling {ms['release']:.0f} ms, "
            f"ratio 1/{ms['release'] / ms['whole']:.1f} (aim: at most 1/5)\n"
            f"    slider step {ms['step']:.0f} ms, full enlargement {ms['whole']:.0f} ms, "
            f"ratio 1/{ms['whole'] / ms['step']:.1f} (aim: at most 1/4)"
        )


def peak_memory(size: int) -> float:
    """Peak resident memory of this process in GiB after enlarging size x size four times.

    Only meaningful in a process that did nothing else before (see :func:`memory`).
    """
    name = next((n for n in sr.available_models() if n.startswith("4x")), None)
    model = sr.load_model(name) if name else sr.SRVAE(4, grid_generator=True).eval()
    photo = photographs.astronaut()
    tiles = -(-size // len(photo))
    lr = np.tile(photo, (tiles, tiles, 1))[:size, :size]
    sr.super_resolve(lr, model, temperature=1.0, progress=sys.stderr.isatty())
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def memory(size: int) -> float:
    """:func:`peak_memory` of a fresh process, so that nothing else counts."""
    command = [sys.executable, __file__, "memory", "--inside", str(size)]
    return float(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout)


def print_memory(sizes: list[int]) -> None:
    for size in sizes:
        seconds = time.perf_counter()
        peak = memory(size)
        seconds = time.perf_counter() - seconds
        print(f"{size}x{size} -> {4 * size}x{4 * size}: peak memory {peak:.2f} GiB ({seconds:.0f} s)", flush=True)


# ---------------------------------------------------------------------------------------------------------
# Command line
# ---------------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    c = commands.add_parser("speed", help="milliseconds of both tilings and of a slider step")
    c.add_argument("--repeats", type=int, default=3)
    c.add_argument("--size", type=int, default=512, help="edge of the answer in pixels (at most 512)")
    c = commands.add_parser("memory", help="peak memory of 4x enlargements")
    c.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048], help="edges of the LR image")
    c.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.command == "speed":
        print_speed(options.repeats, options.size)
    elif options.inside:
        print(peak_memory(options.inside))
    else:
        print_memory(options.sizes)


if __name__ == "__main__":
    main()
