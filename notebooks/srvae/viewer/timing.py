"""How long the view's gestures take: in the kernel, in the page, and from a key to the new picture in a browser."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import ipywidgets as widgets
import numpy as np

import srvae_core as sr
from srvae.benchmarks import sets, speed

from . import browser
from .pictures import encode
from .scene import Scene, load_model
from .settings import Latents, Region, Settings
from .view import View

SIZES = (256, 512, 1024)  # pixels a side of the answer
STEPS = 3  # of each kind: so many that the command ends within two minutes
ROUNDS = 2  # that a view comes to rest in the browser
# What a person does, by the words of the report: the settings that it begins with, the slider or picture that the keys
# go to, two keys in turn, there and back, and whether the kernel has to answer.
GESTURES = {
    "border": ({}, "Border", ("ArrowLeft", "ArrowRight"), False),
    "pan": ({"zoom": 4.0}, None, ("ArrowLeft", "ArrowRight"), False),
    "zoom": ({"zoom": 4.0}, None, ("+", "-"), False),
    "sample step": ({"share": 0.0}, "Latent sample", ("ArrowRight", "ArrowRight"), True),
    "zoomed 4x": ({"share": 0.0, "zoom": 4.0}, "Latent sample", ("ArrowRight", "ArrowRight"), True),
}


def photograph(size: int) -> np.ndarray:
    """The astronaut at so many pixels a side, (size, size, 3) uint8."""
    return cv2.resize(sets.bundled("astronaut"), (size, size), interpolation=cv2.INTER_AREA)


def settings(**changes: object) -> Settings:
    """A sample at temperature 1 and nothing hidden, but for the changes."""
    values = {"left": "bicubic", "left_seed": 1.0, "share": 0.0, "zoom": 1.0, "across": 0.5, "down": 0.5}
    return Settings("astronaut", "D", **{"latents": Latents(1.0, 0.0)} | values | changes)


def step_times(size: int, scale: int = 4, steps: int = STEPS) -> dict[str, float]:
    """Median milliseconds of what a gesture costs in the kernel.

    Args:
        size: pixels a side of the answer.
        scale: 4 or 8.
        steps: how often each is timed; they take turns, so that other load on the machine falls on all alike.

    Returns:
        "fitted" (the draft of the whole, nothing hidden, and its JPEG), "zoomed" (the same of the middle when zoomed
        4x), "region" (of a re-rolled rectangle, a quarter of the picture), "exact" (the answer at rest), "first" (a new
        image: its bicubic picture, and the first piece of its answer), "full" (a whole enlargement in float32).
    """
    image, model = photograph(size), load_model(f"{scale}x-D")
    scene = Scene(image, model, is_original=True)
    fitted, zoomed = settings(), settings(zoom=4.0)
    h, w = scene.lr.shape[:2]
    quarter = (h // 4, w // 4, h // 2, w // 2)  # top, left, height, width
    scene.answer(fitted)  # encodes the image

    def sample(which: Settings, region: sr.Rect, seed: int) -> None:
        encode(scene.sample(which.with_seed(float(seed)), region, draft=True), "jpeg")

    def reroll(seed: int) -> None:
        top, left, height, width = quarter
        part = Region(left, top, width, height, 1.0, float(seed + 1))
        encode(scene.sample(settings(latents=Latents(1.0, 0.0, regions=(part,))), quarter, draft=True), "jpeg")

    def exact(seed: int) -> None:
        scene.sample(fitted.with_seed(float(seed)))

    def first(seed: int) -> None:
        fresh = Scene(image, model, is_original=True)
        encode(fresh.bicubic, "png")
        next(fresh.answer_in_steps(fitted, fresh.whole))

    def enlarge(seed: int) -> None:
        sr.super_resolve(scene.lr, model, temperature=1.0, seed=seed)

    calls: dict[str, Callable[[int], None]] = {
        "fitted": partial(sample, fitted, scene.whole),
        "zoomed": partial(sample, zoomed, scene.region(zoomed)),
        "region": reroll,
        "exact": exact,
        "first": first,
        "full": enlarge,
    }
    # the median, because other load on the machine slows some rounds down
    rounds = [{name: speed.timed(partial(call, seed)) for name, call in calls.items()} for seed in range(steps)]
    return {name: 1000 * float(np.median([seconds[name] for seconds in rounds])) for name in calls}


def gesture_times(size: int, scale: int = 4) -> dict[str, float]:
    """Median milliseconds from a key to the next picture drawn in JupyterLab, for each of :data:`GESTURES`.

    Args:
        size: pixels a side of the answer.
        scale: 4 or 8.

    Raises:
        NoBrowserError: there is no Chromium here.
    """
    browser.chromium()
    cells = (
        "from srvae import viewer\nfrom srvae.viewer.timing import beginnings, photograph",
        f"view = viewer.View({{'astronaut': photograph({size})}}, {scale})\n"
        "view.apply({'temperature': 1.0})\n"
        "view.show()\nbeginnings(view)",
    )
    # A server for each size: Lab would open what was open before, hidden behind, and its kernel would live on.
    with TemporaryDirectory() as folder, browser.server(Path(folder)) as address:
        browser.write_notebook(Path(folder, "step.ipynb"), *cells)
        with browser.page(address % "lab/tree/step.ipynb", viewport={"width": 1400, "height": 1100}) as tab:
            browser.run_all(tab)
            browser.at_rest(tab)
            times = {}
            for name, (_, target, keys, kernel) in GESTURES.items():
                tab.get_by_role("button", name=f"begin {name}", exact=True).click()
                element = tab.locator(browser.PICTURE) if target is None else browser.slider(tab, target)
                presses = []
                for _ in range(ROUNDS):
                    browser.at_rest(tab)
                    element.focus()
                    presses += [browser.press_and_wait(tab, keys[i % 2], layer=kernel) for i in range(STEPS)]
                times[name] = float(np.median(presses))
    return times


def beginnings(view: View) -> widgets.HBox:
    """A button for each of :data:`GESTURES`, which puts in what that begins with."""
    always = {"share": 0.5, "zoom": 1.0, "across": 0.5, "down": 0.5, "seed": 0.0}

    def begin(changes: dict[str, float], _: widgets.Button) -> None:
        view.apply(always | changes)

    buttons = []
    for name, (changes, *_) in GESTURES.items():
        buttons.append(widgets.Button(description=f"begin {name}"))
        buttons[-1].on_click(partial(begin, changes))
    return widgets.HBox(buttons)


def print_steps(sizes: list[int], scale: int) -> None:
    """Print :func:`step_times` and :func:`gesture_times` for answers of each size, in pixels a side."""
    print(f"{speed.machine()}; {scale}x, median milliseconds")
    for size in sizes:
        ms = step_times(size, scale)

        def share(name: str, ms: dict[str, float] = ms) -> str:
            return f"{ms[name]:.0f} (1/{ms['full'] / ms[name]:.1f})"

        print(
            f"{size}x{size}, in the kernel (and as a part of a full float32 enlargement, {ms['full']:.0f}): "
            f"sample step fitted {share('fitted')}, zoomed 4x {share('zoomed')}, region of a quarter re-rolled "
            f"{share('region')}, exact answer {share('exact')}; new image: first picture {ms['first']:.0f}"
        )
        try:
            times = gesture_times(size, scale)
            seen = ", ".join(f"{name} {value:.0f}" for name, value in times.items())
        except browser.NoBrowserError as error:
            seen = f"not measured ({error})"
        print(f"    from a key to the picture in a browser: {seen}", flush=True)  # the next size may take a minute


def run_slider(options: argparse.Namespace) -> None:
    """What the command ``slider`` does."""
    print_steps(options.sizes, options.scale)


def add_slider(commands: argparse._SubParsersAction) -> None:
    """Add ``slider`` to a command line.

    Args:
        commands: from ``ArgumentParser.add_subparsers``; the parsed options' ``run`` is the function to call with them.
    """
    parser = commands.add_parser("slider", help="time the gestures of the view, in the kernel and in a browser")
    words = " ".join(map(str, SIZES))
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=list(SIZES),
        metavar="N",
        help=f"edges of the answer in pixels [{words}]",
    )
    parser.add_argument("--scale", type=int, default=4, choices=sr.SCALES, help="of the model [%(default)s]")
    parser.set_defaults(run=run_slider)
