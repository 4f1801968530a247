"""Record README's moving picture of the view, data/figures/view.webp: ``python tests/record_view.py`` (two minutes).

A frame is taken once the picture that its gesture brings has come: the film shows what happens, and not how fast.
"""

import io
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import PIL.Image

import browser

FILE = Path(__file__).resolve().parents[1] / "data" / "figures" / "view.webp"
WIDTH, RATE = 840, 11  # pixels of a frame, frames a second
WINDOW = {"width": 1200, "height": 900}
CELL = """import random
from srvae import viewer
from srvae.benchmarks.sets import bundled
random.seed(3)  # of Re-roll
view = viewer.View({"astronaut": bundled("astronaut")}, 4, rest_delay=1.5)
view.controls.scores.layout.display = "none"
view.apply(model="4x-P", temperature=0.0)
view.show()"""
# The view as a page of its own: white about it, nothing of JupyterLab on it, and no frame about what has the focus.
STYLE = """
.srvae-view { box-sizing: border-box; padding: 6px; background: white; position: relative; z-index: 1000 }
.srvae-stage :focus-visible { outline: none }
.Toastify { display: none }
#srvae-pointer { position: fixed; z-index: 100000; pointer-events: none }
#srvae-pointer div { position: absolute; left: -15px; top: -15px; width: 26px; height: 26px; border-radius: 50%;
  border: 2px solid white; outline: 1px solid black }
#srvae-pointer svg { position: absolute; left: -2px; top: -2px; width: 90px; font: 600 13px sans-serif }
"""
# The pointer, which no screenshot holds: an arrow, a ring while it is pressed, the key that is held.
POINTER = """([x, y, pressed, held]) => {
  const old = document.getElementById("srvae-pointer");
  const pointer = old ?? document.body.appendChild(Object.assign(document.createElement("div"), {id: "srvae-pointer"}));
  Object.assign(pointer.style, {left: `${x}px`, top: `${y}px`});
  pointer.innerHTML = (pressed ? "<div></div>" : "") + `<svg height="40">
    <path d="M2 2v18l4.6-4 3.2 7.2 3.4-1.5-3.2-7.1h6.2z" fill="black" stroke="white" stroke-width="1.6"/>
    <text x="20" y="32" stroke="white" stroke-width="4" paint-order="stroke">${held}</text></svg>`;
  return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
HOME, FACE = (0.6, 0.85), (0.42, 0.13)
# Where the pointer goes (a place on the picture, a slider's value, a button), in how many frames, what it does there
# (press, release, click, Shift, let go, or pixels of the wheel in each frame), and how many frames the picture stands.
SCRIPT = (
    (HOME, 1, "", 5),
    ((0.5, 0.72), 3, "press", 0),
    ((0.12, 0.72), 7, "", 0),
    ((0.88, 0.72), 11, "", 0),
    ((0.06, 0.72), 10, "release", 1),
    (FACE, 4, "", 0),
    (FACE, 5, -95, 2),
    (("Temperature", None), 4, "press", 0),
    (("Temperature", 1), 6, "release", 2),
    (("Sample", None), 2, "press", 0),
    (("Sample", 1), 4, "", 4),
    (("Sample", 2), 4, "", 4),
    (("Sample", 3), 4, "release", 4),
    ((0.16, 0.08), 3, "Shift press", 0),
    ((0.74, 0.78), 6, "release let-go", 1),
    ("Re-roll", 4, "click", 5),
    ("Re-roll", 1, "click", 5),
    (FACE, 4, "", 0),
    (FACE, 5, 95, 2),
    ("Reset", 4, "click", 2),
    (HOME, 4, "", 0),
)


def point(tab, to):
    """Where a step goes, in pixels of the page."""
    if isinstance(to, tuple) and isinstance(to[0], str):
        return browser.handle(tab, *to)
    place = tab.get_by_role("button", name=to) if isinstance(to, str) else tab.locator(browser.PICTURE)
    box, (x, y) = place.bounding_box(), (0.5, 0.5) if isinstance(to, str) else to
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def frame(tab, clip, *pointer):
    """Wait until the page has drawn what the last move brought, and take its picture."""
    canvas, last, start = tab.locator(browser.PICTURE), None, time.monotonic()
    since = start
    while time.monotonic() < min(start + 3, since + 0.4):
        if (drawn := canvas.get_attribute("data-frames")) != last:
            last, since = drawn, time.monotonic()
        tab.wait_for_timeout(30)
    tab.evaluate(POINTER, pointer)
    return PIL.Image.open(io.BytesIO(tab.screenshot(clip=clip))).convert("RGB")


def play(tab, clip):
    """Play the script; yields the frames."""
    mouse, keys, (x, y), pressed, held = tab.mouse, tab.keyboard, (clip["x"], clip["y"]), False, ""
    for to, frames, done, hold in SCRIPT:
        (x0, y0), (x1, y1) = (x, y), point(tab, to)
        for share in np.arange(1, frames + 1) / frames:
            eased = share**2 * (3 - 2 * share)
            x, y = round(x0 + (x1 - x0) * eased), round(y0 + (y1 - y0) * eased)
            mouse.move(x, y)
            if isinstance(done, int):
                mouse.wheel(0, done)
            for act in done.split() if isinstance(done, str) and share == 1 else ():
                pressed = act in ("press", "click")
                held = "Shift" if act == "Shift" or (held and pressed) else ""
                {"press": mouse.down, "release": mouse.up, "click": lambda: (mouse.down(), mouse.up())}.get(
                    act, lambda act=act: keys.down("Shift") if act == "Shift" else keys.up("Shift")
                )()
            yield frame(tab, clip, x, y, pressed, held)
        pressed = pressed and done != "click"
        if hold:
            browser.at_rest(tab)
            yield from [frame(tab, clip, x, y, pressed, held)] * hold


with TemporaryDirectory() as folder, browser.server(Path(folder)) as address:
    browser.write_notebook(Path(folder, "view.ipynb"), CELL)
    with browser.page(address % "lab/tree/view.ipynb", viewport=WINDOW) as tab:
        browser.run_all(tab)
        browser.at_rest(tab)
        tab.add_style_tag(content=STYLE)
        view = tab.locator(".srvae-view")
        for _ in range(3):  # a scrollbar may come or go
            missing = WIDTH - view.bounding_box()["width"]
            tab.set_viewport_size(WINDOW | {"width": round(tab.viewport_size["width"] + missing)})
            browser.at_rest(tab)
        view.scroll_into_view_if_needed()
        clip = {name: round(length) for name, length in view.bounding_box().items()}
        first, *others = play(tab, clip)
first.save(FILE, save_all=True, append_images=others, duration=1000 // RATE, loop=0, quality=90)
print(f"{FILE}: {FILE.stat().st_size} bytes, {1 + len(others)} frames")
