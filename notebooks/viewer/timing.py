"""How long a step of a slider takes: in the kernel, and from a key to the new picture in a browser."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from benchmarks import sets, speed

import srvae_core as sr

from . import browser
from .pictures import encode
from .view import View

SIZES = (256, 512, 1024)  # pixels a side of the answer


def step_times(size: int, scale: int = 4, steps: int = 10) -> dict[str, float]:
    """Median milliseconds of what a slider's step does in the kernel.

    Args:
        size: pixels a side of the answer.
        scale: 4 or 8.
        steps: how often each is timed; they take turns, so that other load on the machine falls on all alike.

    Returns:
        "move" (the draft right of a border in the middle, and its JPEG), "uncut" (the same without a border),
        "encode" (a JPEG alone), "region" (a move zoomed 4x, without a border), "rest" (the exact answer),
        "full" (a whole enlargement).
    """
    photograph = cv2.resize(sets.bundled("astronaut"), (size, size), interpolation=cv2.INTER_AREA)
    view = View({"astronaut": photograph}, scale)
    sampler, answer, (h, w) = view.sampler, view.answer, view.lr.shape[:2]

    def move(region: sr.Rect | None, seed: int) -> None:
        encode(sampler(seed, 1.0, draft=True, region=region), "jpeg")

    def encode_alone(_: int) -> None:
        encode(answer, "jpeg")

    def rest(seed: int) -> None:
        sampler(seed, 1.0)

    def enlarge(seed: int) -> None:
        sr.super_resolve(view.lr, sampler.model, temperature=1.0, seed=seed)

    # regions are in LR samples: right of a border in the middle; none; the middle when zoomed 4x
    calls: dict[str, Callable[[int], None]] = {
        "move": partial(move, (0, w // 2, h, w - w // 2)),
        "uncut": partial(move, None),
        "encode": encode_alone,
        "region": partial(move, (h // 4, w // 4, h // 4, w // 4)),
        "rest": rest,
        "full": enlarge,
    }
    # the median, because other load on the machine slows some rounds down
    rounds = [{name: speed.timed(partial(call, seed)) for name, call in calls.items()} for seed in range(steps)]
    return {name: 1000 * float(np.median([seconds[name] for seconds in rounds])) for name in calls}


def browser_line(size: int, scale: int) -> str:
    """The time from a key to the new picture in a browser, in words; why not, where there is none."""
    variants = {"": {}, "without border ": {"share": 0.0}, "zoomed 4x ": {"zoom": 4}}
    try:
        times = list(browser.step_milliseconds(size, scale, list(variants.values())))
    except browser.NoBrowserError as error:
        return f"not measured ({error})"
    return ", ".join(f"{words}{on:.0f} ({first:.0f})" for words, (first, on) in zip(variants, times, strict=True))


def print_steps(sizes: list[int], scale: int) -> None:
    """Print :func:`step_times` and :func:`browser_line` for answers of each size, in pixels a side."""
    print(f"{speed.machine()}; {scale}x, median milliseconds of a slider's step")
    for size in sizes:
        ms = step_times(size, scale)
        seen = browser_line(size, scale)
        print(
            f"{size}x{size}: compute and encode {ms['move']:.0f} (1/{ms['full'] / ms['move']:.1f} of the full "
            f"enlargement, {ms['full']:.0f}), without border {ms['uncut']:.0f}, zoomed 4x {ms['region']:.0f}; "
            f"encode alone {ms['encode']:.1f}; exact answer at rest {ms['rest']:.0f}\n"
            f"    from key to picture in the browser, sliding on (and the first after rest): {seen}",
            flush=True,  # the next size may take a minute
        )


def run_slider(options: argparse.Namespace) -> None:
    """What the command ``slider`` does."""
    print_steps(options.sizes, options.scale)


def add_slider(commands: argparse._SubParsersAction) -> None:
    """Add ``slider`` to a command line.

    Args:
        commands: from ``ArgumentParser.add_subparsers``; the parsed options' ``run`` is the function to call with them.
    """
    parser = commands.add_parser("slider", help="time a step of a slider of the view, in the kernel and in a browser")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="edges of the answer in pixels")
    parser.add_argument("--scale", type=int, default=4, choices=sr.SCALES)
    parser.set_defaults(run=run_slider)
