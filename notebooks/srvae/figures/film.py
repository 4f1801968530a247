"""The moving picture of the view: data/figures/view.webp, by ``srvae draw view``.

:data:`SCRIPT` is played on the view of a photograph, in JupyterLab and Chromium. A frame is what the page shows once
the picture that its gesture brings has come, so a busy machine makes the same film as an idle one. The film shows
what happens, and not how fast.

It takes two minutes, and it needs the extra ``test`` and a Chromium. So ``srvae draw`` without names, which is ``make
figures``, leaves it out.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from srvae import images
from srvae.viewer import animation, browser
from srvae.viewer.settings import TEMPERATURE_OF_SAMPLES

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

NAME = "view.webp"
WIDTH = 840  # pixels of a frame, as wide as a README shows
RATE = 11  # frames a second
WINDOW = {"width": 1200, "height": 900}  # pixels of the page, until the view is as wide as it is to be
# The exact answer comes later than usual: a frame that takes long must not show it in the middle of a drag.
CELL = """import random
from srvae import viewer
from srvae.benchmarks.sets import bundled
random.seed(3)  # of Re-roll
view = viewer.View({{"{image}": bundled("{image}")}}, {scale}, rest_delay={rest_delay})
view.metrics.layout.display = "none"  # with times, which here are those of a slow machine that takes screenshots
view.show()"""
VIEW = {"image": "astronaut", "scale": 4, "rest_delay": 1.5}
UNCHANGED = 0.4  # seconds without a new picture after which a frame of a drag is taken
LONGEST_WAIT = 3.0  # seconds until it is taken all the same
# The view as a page of its own: white about it, nothing of JupyterLab on it, and no frame about what has the focus.
STYLE = """
.srvae-view { box-sizing: border-box; padding: 6px; background: white; position: relative; z-index: 1000 }
.srvae-stage :focus-visible { outline: none }
.Toastify { display: none }
"""
# The pointer, which no screenshot holds: an arrow whose point is its place, a ring while it is pressed, a held key.
POINTER = """() => {
  const pointer = document.body.appendChild(document.createElement("div"));
  pointer.id = "srvae-pointer";
  pointer.style = "position: fixed; z-index: 100000; pointer-events: none; width: 0; height: 0";
  pointer.innerHTML = `
    <div style="position: absolute; left: -15px; top: -15px; width: 26px; height: 26px; border-radius: 50%;
      border: 2px solid white; outline: 1px solid black"></div>
    <svg width="20" height="26" viewBox="0 0 20 26" style="position: absolute; left: -2px; top: -2px">
      <path d="M2 2v18l4.6-4 3.2 7.2 3.4-1.5-3.2-7.1h6.2z" fill="black" stroke="white" stroke-width="1.6"/></svg>
    <div style="position: absolute; left: 16px; top: 18px; padding: 1px 7px; border: 1px solid black;
      border-radius: 4px; background: white; color: black; font: 600 13px sans-serif"></div>`;
}"""
PLACED = """([x, y, pressed, held]) => {
  const pointer = document.getElementById("srvae-pointer"), [ring, , key] = pointer.children;
  Object.assign(pointer.style, {left: `${x}px`, top: `${y}px`});
  ring.style.visibility = pressed ? "visible" : "hidden";
  [key.textContent, key.style.visibility] = [held, held ? "visible" : "hidden"];
}"""
# Two frames of the page after what was done: what it has is drawn then.
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@dataclass(frozen=True)
class Place:
    """Where the pointer goes.

    Attributes:
        kind: "picture", "slider", "button" or "tab".
        name: what the page calls it; of no meaning for the picture.
        at: of the picture the shares of its width and height; of a slider the value, or None for its handle where it
            is; otherwise None, and the pointer goes to the middle.
    """

    kind: str
    name: str = ""
    at: tuple[float, float] | float | None = None


@dataclass(frozen=True)
class Step:
    """What the pointer does next.

    Attributes:
        to: where it goes.
        frames: on its way, 1 or more; what is done shows in the last of them.
        done: what is done there, any of: "press", "release", "click", "Shift", "let go of Shift".
        hold: frames in which the exact picture then stands still.
        wheel: pixels that the wheel turns in each of the frames: below 0 it zooms in.
    """

    to: Place
    frames: int
    done: tuple[str, ...] = ()
    hold: int = 0
    wheel: float = 0


def on_picture(x: float, y: float) -> Place:
    """A point of the picture, in shares of its width and height."""
    return Place("picture", at=(x, y))


TEMPERATURE, SAMPLE = "Temperature", "Latent sample"
HANDLE_HEIGHT = 0.72  # of the place where the border is taken hold of: no face and no label lies there
HOME = on_picture(0.6, 0.85)
FACE = on_picture(0.42, 0.13)
TURN = 95  # pixels of the wheel in a frame
SCRIPT = (
    Step(HOME, 1, hold=5),
    Step(on_picture(0.5, HANDLE_HEIGHT), 3, ("press",)),
    Step(on_picture(0.12, HANDLE_HEIGHT), 7),
    Step(on_picture(0.88, HANDLE_HEIGHT), 11),
    Step(on_picture(0.06, HANDLE_HEIGHT), 10, ("release",), hold=1),
    Step(FACE, 4),
    Step(FACE, 5, wheel=-TURN, hold=2),
    Step(Place("slider", TEMPERATURE), 4, ("press",)),
    Step(Place("slider", TEMPERATURE, TEMPERATURE_OF_SAMPLES), 6, ("release",), hold=2),
    Step(Place("slider", SAMPLE), 2, ("press",)),
    Step(Place("slider", SAMPLE, 1), 4, hold=4),
    Step(Place("slider", SAMPLE, 2), 4, hold=4),
    Step(Place("slider", SAMPLE, 3), 4, ("release",), hold=4),
    Step(on_picture(0.16, 0.08), 3, ("Shift", "press")),
    Step(on_picture(0.74, 0.78), 6, ("release", "let go of Shift"), hold=1),
    Step(Place("tab", "Region"), 4, ("click",), hold=1),
    Step(Place("button", "Re-roll"), 3, ("click",), hold=5),
    Step(Place("button", "Re-roll"), 1, ("click",), hold=5),
    Step(FACE, 4),
    Step(FACE, 5, wheel=TURN, hold=2),
    Step(Place("button", "Reset"), 4, ("click",), hold=2),
    Step(Place("tab", "Sample"), 2, ("click",)),
    Step(HOME, 4),
)


def frames_of(script: Sequence[Step]) -> int:
    """How many frames a script has."""
    return sum(step.frames + step.hold for step in script)


def eased(start: float, stop: float, count: int) -> list[float]:
    """``count`` numbers on the way from a start, which is not among them, to a stop, which is: slow at both ends."""
    shares = np.arange(1, count + 1) / count
    return [float(start + (stop - start) * share) for share in shares**2 * (3 - 2 * shares)]


class Hand:
    """A mouse on a page that is seen.

    Args:
        tab: the page with the view.
        clip: what a frame shows: x, y, width and height in pixels of the page.
    """

    def __init__(self, tab: Page, clip: dict[str, float]) -> None:
        self.tab, self.clip = tab, clip
        self.x, self.y = clip["x"], clip["y"]
        self.pressed, self.held = False, ""
        tab.evaluate(POINTER)

    def play(self, script: Sequence[Step]) -> Iterator[np.ndarray]:
        """Do what the steps say.

        Yields:
            the frames, (H, W, 3) uint8.
        """
        for step in script:
            x, y = self.point(step.to)
            way = zip(eased(self.x, x, step.frames), eased(self.y, y, step.frames), strict=True)
            for i, point in enumerate(way, 1):
                self.x, self.y = map(round, point)  # a page is told whole pixels
                self.tab.mouse.move(self.x, self.y)
                if step.wheel:
                    self.tab.mouse.wheel(0, step.wheel)
                for act in step.done if i == step.frames else ():
                    self.do(act)
                self.await_new_picture()
                yield self.frame()
            if "click" in step.done:
                self.pressed = False  # it was shown pressed in one frame
            if step.hold:
                browser.at_rest(self.tab)
                yield from [self.frame()] * step.hold

    def do(self, act: str) -> None:
        """What happens at the end of a step; see :class:`Step`."""
        mouse, keyboard = self.tab.mouse, self.tab.keyboard
        if act == "press":
            mouse.down()
            self.pressed = True
        elif act == "release":
            mouse.up()
            self.pressed = False
        elif act == "click":
            mouse.click(self.x, self.y)
            self.pressed = True
        elif act == "Shift":
            keyboard.down("Shift")
            self.held = "Shift"
        elif act == "let go of Shift":
            keyboard.up("Shift")
            self.held = ""
        else:
            raise ValueError(f"there is no act {act!r}")

    def point(self, place: Place) -> tuple[float, float]:
        """Where a place is, in pixels of the page."""
        if place.kind == "slider":
            return browser.handle(self.tab, place.name, place.at)
        box = self.element(place).bounding_box()
        x, y, width, height = (box[name] for name in ("x", "y", "width", "height"))
        if place.kind == "picture":
            return x + place.at[0] * width, y + place.at[1] * height
        return x + width / 2, y + height / 2

    def element(self, place: Place) -> Locator:
        """What a place belongs to."""
        if place.kind == "picture":
            return self.tab.locator(browser.PICTURE)
        exact = place.kind == "tab"  # an icon belongs to the name of a button
        return self.tab.get_by_role(place.kind, name=place.name, exact=exact)

    def await_new_picture(self) -> None:
        """Wait until the page has drawn what the last move brought, if it brought anything."""
        canvas, end = self.tab.locator(browser.PICTURE), time.monotonic() + LONGEST_WAIT
        last, since = None, time.monotonic()
        while (now := time.monotonic()) < end:
            if (drawn := canvas.get_attribute("data-frames")) != last:
                last, since = drawn, now
            elif now - since > UNCHANGED:
                return
            self.tab.wait_for_timeout(30)

    def frame(self) -> np.ndarray:
        """What the page shows, with the pointer, (H, W, 3) uint8."""
        self.tab.evaluate(PLACED, [self.x, self.y, self.pressed, self.held])
        self.tab.evaluate(PAINTED)
        with PIL.Image.open(io.BytesIO(self.tab.screenshot(clip=self.clip))) as picture:
            return np.asarray(picture.convert("RGB"))


def record(script: Sequence[Step] = SCRIPT, width: int = WIDTH) -> list[np.ndarray]:
    """The frames of a script, played in JupyterLab.

    Args:
        script: what is done, one step after another.
        width: of a frame in pixels.

    Returns:
        :func:`frames_of` pictures of one size, (H, width, 3) uint8.

    Raises:
        NoBrowserError: there is no Chromium, or no playwright to drive it.
    """
    browser.chromium()
    with TemporaryDirectory() as folder, browser.server(Path(folder)) as address:
        browser.write_notebook(Path(folder, "view.ipynb"), CELL.format(**VIEW))
        with browser.page(address % "lab/tree/view.ipynb", viewport=WINDOW) as tab:
            browser.run_all(tab)
            browser.at_rest(tab)
            return list(Hand(tab, framed(tab, width)).play(script))


def framed(tab: Page, width: int) -> dict[str, float]:
    """Make the view as wide as a frame, and as high on every page that the script opens.

    Returns:
        the frame: x, y, width, height.
    """
    tab.add_style_tag(content=STYLE)
    view = tab.locator(".srvae-view")
    for _ in range(3):  # a scrollbar may come or go
        missing = width - view.bounding_box()["width"]
        tab.set_viewport_size(WINDOW | {"width": round(tab.viewport_size["width"] + missing)})
        browser.at_rest(tab)
    heights = []
    for name in ("Region", "Sample"):
        tab.get_by_role("tab", name=name, exact=True).click()
        browser.at_rest(tab)
        heights.append(view.bounding_box()["height"])
    tab.add_style_tag(content=f".srvae-view {{ min-height: {round(max(heights))}px }}")
    view.scroll_into_view_if_needed()
    return {name: round(length) for name, length in view.bounding_box().items()}


def draw(folder: Path) -> Path:
    """Record the view and write the film, whole or not at all.

    Args:
        folder: which gets view.webp, of :data:`viewer.animation.LIMIT` bytes at most.

    Returns:
        the file.

    Raises:
        NoBrowserError: there is no Chromium, or no playwright to drive it.
    """
    path = folder / NAME
    content = animation.film(record(), 1000 // RATE, edges=(WIDTH,))
    with images.atomic_write(path) as part:
        part.write_bytes(content)
    return path
