"""The interactive view of the notebooks: choose an image, slide through samples, compare.

    from viewer import View
    view = View({"astronaut": benchmarks.bundled("astronaut")}, scale=4)
    view.show()

    python notebooks/viewer.py --benchmark  # milliseconds of a slider step, in the kernel and in a browser

Widgets over :class:`srvae_core.Sampler`, which encodes an image once and decodes for each move of a slider. A handler
sets the value of one Image widget and nothing else: ipywidgets then keeps a single message in flight, so that
the latest value wins and nothing piles up. While a slider moves, a frame is a JPEG of a draft (see ``Sampler``) of
what the border leaves to be seen; when it rests, the whole answer is decoded exactly and sent as PNG.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import html
import io
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from itertools import product
from pathlib import Path

import cv2
import ipywidgets as widgets
import numpy as np
import PIL.Image
from IPython.display import Image, Javascript, display
from ipywidgets import Layout
from PIL.PngImagePlugin import PngInfo

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the core, where it is not installed
import benchmarks
import directions

import srvae_core as sr

REST = 0.4  # seconds without a move after which the answer is decoded exactly and sent without loss
SOON = 0.1  # seconds after that until the metrics are computed, unless something has moved
PIECE = 256  # edge in pixels of what is decoded at once at rest; after each, PAUSE seconds in which a move can come
PAUSE = 0.01
HARDLY = 1.0  # grey levels: samples that differ by less on average do not answer to a person's eye
JPEG_QUALITY = 90
SEEDS = 999
UPLOAD_LIMIT = 256  # LR samples a side; larger uploads are cut to their middle to keep sliding live
ORIGINAL_LIMIT = 1024  # pixels a side of originals from a folder or uploaded, likewise
GALLERY = 9
KEYWORD = "srvae"  # of the PNG text chunk with the settings

load_model = cache(sr.load_model)  # another image needs no second reading of 20 to 40 MB


# ---------------------------------------------------------------------------------------------------------
# Pictures
# ---------------------------------------------------------------------------------------------------------


def encode(frame: np.ndarray, form: str) -> bytes:
    """(H, W, 3) uint8 RGB as the bytes of a "jpeg" or "png" file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if form == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    _, data = cv2.imencode(f".{form}", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()


def split(left: np.ndarray, right: np.ndarray, share: float) -> np.ndarray:
    """One frame of two: left up to a share of the width, then a white line, then right; (H, W, 3) uint8."""
    x = round(share * left.shape[1])
    frame = np.concatenate([left[:, :x], right[:, x:]], 1)
    if 0 < x < left.shape[1]:
        frame[:, max(0, x - 1) : x + 1] = 255
    return frame


def cut_to_middle(image: np.ndarray, limit: int) -> np.ndarray:
    """The middle of an image, at most limit pixels a side."""
    h, w = (min(n, limit) for n in image.shape[:2])
    y, x = (image.shape[0] - h) // 2, (image.shape[1] - w) // 2
    return np.ascontiguousarray(image[y : y + h, x : x + w])


def as_rgb8(image: np.ndarray) -> np.ndarray:
    """Any image as (H, W, 3) uint8; alpha is left out."""
    image = sr.as_rgb(image)
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


def magnify(picture: np.ndarray, factor: int) -> np.ndarray:
    """Every pixel as factor x factor pixels."""
    return picture.repeat(factor, 0).repeat(factor, 1)


def fingerprint(frame: np.ndarray) -> str:
    """Four hex digits that another sample changes and another machine's rounding (all but surely) does not.

    Each of the 16 bits says on which side of a random plane the frame's fine detail lies, (H, W, 3) uint8.
    """
    detail = frame - cv2.blur(frame, (5, 5)).astype(np.float32)
    rng = np.random.default_rng(0)
    bits = [int((detail * (2.0 * rng.integers(0, 2, frame.shape) - 1)).sum() > 0) for _ in range(16)]
    return f"{int(''.join(map(str, bits)), 2):04x}"


def heat(values: np.ndarray, top: float | None = None) -> np.ndarray:
    """A map (H, W) from 0 (dark) to top, by default its maximum (bright), as (H, W, 3) uint8."""
    share = np.clip(values / max(values.max() if top is None else top, 1e-9), 0, 1)
    return cv2.cvtColor(
        cv2.applyColorMap(np.rint(255 * share).astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB
    )


def contact_sheet(pictures: list[np.ndarray], columns: int, gap: int = 4) -> np.ndarray:
    """Pictures of one size side by side on white, (H, W, 3) uint8: what a saved notebook shows."""
    h, w = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * (h + gap), i % columns * (w + gap)
        sheet[y : y + h, x : x + w] = picture
    return sheet


def still(picture: np.ndarray, zoom: int = 1) -> Image:
    """A picture for a cell's output that is still there when the notebook is read without a kernel."""
    return Image(data=encode(magnify(picture, zoom), "jpeg"), format="jpeg")


def shipped(scale: int) -> list[str]:
    """The shipped models of a scale, such as ["4x-D", "4x-P"]: D is for fidelity, P, where shipped, for looks."""
    return [name for name in sr.available_models() if name.startswith(f"{scale}x")]


def with_text(png: bytes, text: str) -> bytes:
    """A PNG file with a text chunk."""
    about, target = PngInfo(), io.BytesIO()
    about.add_text(KEYWORD, text)
    PIL.Image.open(io.BytesIO(png)).save(target, "png", pnginfo=about, compress_level=1)
    return target.getvalue()


def text_of(png: bytes) -> str:
    """What :func:`with_text` put there.

    Raises:
        ValueError: no PNG, or one without it.
    """
    try:
        with PIL.Image.open(io.BytesIO(png), formats=["png"]) as image:
            return image.text[KEYWORD]
    except (OSError, SyntaxError, KeyError) as error:
        raise ValueError("this is no PNG that the view saved: it holds no settings") from error


# ---------------------------------------------------------------------------------------------------------
# The view
# ---------------------------------------------------------------------------------------------------------

STYLE = {"description_width": "7.5em"}
PAGES = ("sample", "directions", "look", "many", "file")


# ipywidgets gives the handles of its sliders and its images no name that a screen reader could say, and Notebook 7
# takes the arrow keys for itself unless the very element that has the focus says that it has keys of its own.
LABELS = """
if (!window.srvaeLabels) {
  const set = (element, name, value) => {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const label = () => {
    for (const slider of document.querySelectorAll('.srvae-view .widget-slider')) {
      const { title, textContent } = slider.querySelector('.widget-label');
      const handle = slider.querySelector('[role=slider]');
      set(handle, 'aria-label', textContent || title);
      set(handle, 'data-lm-suppress-shortcuts', 'true');
    }
    for (const image of document.querySelectorAll('.srvae-view img')) // thumbnails lie below buttons that name them
      set(image, 'alt', image.classList.contains('srvae-picture') ? 'The enlarged picture' : '');
  };
  window.srvaeLabels = new MutationObserver(label);
  window.srvaeLabels.observe(document.body, { childList: true, subtree: true });
  label();
}
"""


class View:
    """An interactive enlargement with samples.

    Every control is an attribute (``temperature``, ``seed``, ``walk``, ``zoom``, ...) whose ``value`` can be set from
    code as well. ``view.frame`` is the picture on show, (H, W, 3) uint8; ``view.answer`` the model's own, without
    the split; asking for either brings the view to rest. Where the view is zoomed, both are of the region only.

    Args:
        photographs: originals by name, (H, W, 3) uint8; each is downscaled, enlarged again and compared.
        scale: 4 or 8; the shipped models of this scale come first in the chooser.
        models: names for :func:`srvae_core.load_model` in the place of the shipped ones.

    Raises:
        ValueError: no photograph, or no model of that scale.
    """

    def __init__(self, photographs: Mapping[str, np.ndarray], scale: int, models: list[str] | None = None) -> None:
        if models is None:
            models = shipped(scale)
            models += [name for name in sr.available_models() if models and name not in models]
        if not photographs or not models:
            raise ValueError(f"the view needs a photograph and a model of scale {scale}")
        # name -> how to get the image, and whether it is an original (or else an LR image)
        self._sources: dict[str, tuple[Callable[[], np.ndarray], bool]] = {
            name: (partial(np.asarray, image), True) for name, image in photographs.items()
        }
        self._given = set(photographs)
        self._held = False
        # JupyterLab hands messages of widgets to another thread of the kernel than cells.
        self._lock = threading.RLock()
        self._due: object = None  # what is to be done later; anything newer takes its place
        self._task: asyncio.Task | None = None
        self._gallery: list[dict[str, object]] = [{}] * GALLERY
        self._answer: np.ndarray | None = None  # None while it moves
        self._frame = np.zeros((1, 1, 3), np.uint8)
        self._left: tuple[object, np.ndarray] = None, self._frame  # a decoded left side and what it is of
        self._whole: tuple[object, np.ndarray] = None, self._frame  # the whole answer that metrics are of, likewise
        self._own = 0.0  # the present model's own temperature
        self.milliseconds: dict[str, float] = {}  # of the last "jpeg" and "png", from a value to the frame's departure
        self._make(models)
        self._arrange()
        self._listen()
        self._encode()

    def show(self) -> None:
        """Display the view in the cell's output."""
        display(self.widget, Javascript(LABELS))

    # Widgets, made once and then changed.

    def _make(self, models: list[str]) -> None:
        look = {"style": STYLE, "layout": Layout(width="auto")}
        text, real, whole = (partial(w, **look) for w in (widgets.Text, widgets.FloatSlider, widgets.IntSlider))
        choose, button = partial(widgets.Dropdown, **look), widgets.Button
        self.image = choose(options=list(self._sources), description="Image")
        self.model = choose(options=models, description="Model")
        self.folder = text(description="Folder", placeholder="a path, then Enter", continuous_update=False)
        self.upload = widgets.FileUpload(accept="image/*", description="Upload a small image", layout={"width": "auto"})
        self.reduce = widgets.Checkbox(False, description="it is an original: reduce it first", indent=False)

        self.temperature = real(0.0, min=0, max=2, step=0.05, description="Temperature")
        self.seed = whole(0, min=0, max=SEEDS, description="Latent sample")
        self.dice = button(description="Throw the dice", tooltip="Another latent sample", icon="random")
        self.to_seed = whole(1, min=0, max=SEEDS, description="Walk to")
        self.walk = real(0.0, min=0, max=1, step=0.02, description="Way there", readout_format=".0%")
        self.amounts = [
            real(0.0, min=-10, max=10, step=0.1, description=f"Direction {i + 1}") for i in range(directions.COUNT)
        ]
        self.latent = (self.temperature, self.seed, self.to_seed, self.walk, *self.amounts)  # all that z depends on
        self.reset = button(description="Reset", tooltip="All directions back to zero")

        self.left = choose(options=["bicubic", "original", "z = 0", "another sample"], description="Left side")
        self.left_seed = whole(1, min=0, max=SEEDS, description="Left sample")
        self.share = widgets.FloatSlider(0.5, min=0, max=1, step=0.01, readout=False, tooltip="Border")
        self.zoom = whole(1, min=1, max=8, description="Zoom")
        self.across = real(0.5, min=0, max=1, step=0.01, description="Left to right", readout_format=".0%")
        self.down = real(0.5, min=0, max=1, step=0.01, description="Top to bottom", readout_format=".0%")

        self.count = whole(16, min=2, max=64, description="Samples")
        self.measure = button(description="Measure", tooltip="Standard deviation of the samples, pixel by pixel")
        self.draw = button(description="Draw nine", tooltip="Nine more samples with the settings as they are")
        self.stop = button(description="Stop", tooltip="Stop measuring or drawing", disabled=True)
        self.progress = widgets.IntProgress(0, min=0, max=1, description="Progress", **look)
        self.overlay = widgets.Checkbox(True, description="show it over the picture", indent=False)
        cell = {"width": "100%", "grid_area": "cell"}
        self.thumbnails = [widgets.Image(format="jpeg", layout=Layout(**cell)) for _ in range(GALLERY)]
        clear = {"button_color": "transparent", "text_color": "transparent"}  # the picture below is what one sees
        self.picks = [
            button(description=f"{i + 1}", disabled=True, style=clear, layout=Layout(height="100%", margin="0", **cell))
            for i in range(GALLERY)
        ]

        self.path = text("sample.png", description="File")
        self.save = button(description="Save", tooltip="Save the whole answer as PNG, with its settings")
        self.load = button(description="Load settings", tooltip="Bring back what a saved PNG shows")

        self.picture = widgets.Image(format="png", layout=Layout(width="100%", grid_area="picture"))
        self.picture.add_class("srvae-picture")  # for who looks for it in a page with many pictures
        self.metrics, self.spread, self.error = widgets.HTML(), widgets.HTML(), widgets.HTML()
        names = ("image", "model", "temperature", "seed", "to_seed", "walk", "left", "left_seed", "share", "zoom")
        self.controls = {name: getattr(self, name) for name in (*names, "across", "down")}  # what makes a picture
        self.controls |= {f"direction {i + 1}": slider for i, slider in enumerate(self.amounts)}

    def _arrange(self) -> None:
        """Two columns that become one where there is no room for both."""
        self.share.layout = Layout(width="auto", margin="0", grid_area="picture", align_self="flex-end")
        picture = widgets.GridBox([self.picture, self.share], layout={"grid_template_areas": '"picture"'})
        picture.layout.grid_template_columns = "minmax(0, 1fr)"
        cells = [
            widgets.GridBox(pair, layout={"grid_template_areas": '"cell"', "grid_template_columns": "minmax(0, 1fr)"})
            for pair in zip(self.thumbnails, self.picks, strict=True)
        ]
        nine = widgets.GridBox(cells, layout={"grid_template_columns": "repeat(3, minmax(0, 1fr))", "grid_gap": "4px"})
        row = partial(widgets.HBox, layout=Layout(flex_flow="row wrap"))
        pages = {
            "sample": [self.temperature, self.seed, self.dice, self.to_seed, self.walk],
            "directions": [*self.amounts, self.reset],
            "look": [self.left, self.left_seed, self.zoom, self.across, self.down],
            "many": [self.count, row([self.measure, self.draw, self.stop]), self.progress, self.overlay, nine],
            "file": [self.path, row([self.save, self.load])],
        }
        self.pages = widgets.Tab([widgets.VBox(pages[name]) for name in PAGES], titles=[p.title() for p in PAGES])
        self.pages.selected_index = 0
        choice = [self.image, self.model, self.folder, row([self.upload, self.reduce])]
        controls = widgets.VBox([*choice, self.pages, self.metrics, self.spread, self.error])
        controls.layout = Layout(flex="1 1 22em", min_width="0", max_width="34em", margin="0 0 0 6px")
        frame = widgets.Box([picture], layout=Layout(flex="2 1 20em", min_width="0", max_width="44em"))
        picture.layout.width = "100%"
        self.widget = widgets.Box([frame, controls], layout=Layout(flex_flow="row wrap", align_items="flex-start"))
        self.widget.add_class("srvae-view")

    def _listen(self) -> None:
        for action, controls in {
            self._encode: (self.image, self.model),
            self._decode: (*self.latent, self.zoom, self.across, self.down),
            self._compose: (self.left, self.left_seed, self.share, self.overlay),
            self._add_folder: (self.folder,),
            self._take_upload: (self.upload,),
        }.items():
            for control in controls:
                control.observe(self._guarded(action), "value")
        self.pages.observe(self._guarded(self._open_page), "selected_index")
        for button, action in {
            self.dice: self._throw,
            self.reset: self._reset,
            self.measure: partial(self._start, self._measured),
            self.draw: partial(self._start, self._drawn),
            self.stop: self._cancel,
            self.save: self._save,
            self.load: self._load,
            **{pick: partial(self._pick, i) for i, pick in enumerate(self.picks)},
        }.items():
            button.on_click(self._guarded(action))

    def _guarded(self, action: Callable[[], None]) -> Callable[[object], None]:
        """A handler that shows an exception in the view: JupyterLab would swallow it."""

        def handler(_: object) -> None:
            with self._lock:
                if self._held:
                    return
                try:
                    action()
                    self.error.value = ""
                except Exception as error:
                    self._complain(error)

        return handler

    def _complain(self, error: Exception) -> None:
        text = html.escape(str(error) or type(error).__name__)
        self.error.value = f'<p role="alert" style="color: var(--jp-error-color1, #c0392b)">{text}</p>'

    @contextmanager
    def _hold(self) -> Iterator[None]:
        """Change controls without running their handlers."""
        held, self._held = self._held, True
        try:
            yield
        finally:
            self._held = held

    # From an image to a frame, in the order in which one depends on the other.

    def _encode(self) -> None:
        try:
            source, is_original = self._sources[self.image.value]
            image, model = source(), load_model(self.model.value)
            original = sr.crop_to_multiple(image, model.scale) if is_original else None
            lr = image if original is None else sr.downscale(original, model.scale)
            self.sampler = sr.Sampler(model, lr)
        except Exception:
            with self._hold():  # the picture stays, and so does the choice that it is of
                self.image.value, self.model.value = self._encoded
            raise
        self.original, self.lr, self.scale = original, lr, model.scale
        self.bicubic, self._bicubic_scores = sr.enlarge(lr, model.scale), ""
        self.found: directions.Directions | None = None
        self._encoded = self.image.value, self.model.value
        if self.temperature.value == self._own:  # not moved: what the new model answers at
            with self._hold():
                self.temperature.value = model.temperature
        self._own = model.temperature
        self._reset_sliders()
        self._open_page()
        self._decode()

    def _decode(self) -> None:
        self._cancel()
        self.deviation: np.ndarray | None = None
        self._answer = None
        self._compose()

    def _compose(self) -> None:
        """Show a frame now and come to rest later."""
        start = time.perf_counter()
        if self._rest_later():
            self._send(self._draw(), "jpeg", start)
            self._rest_later()  # from now: a draft may take longer than that

    def _rest_later(self) -> bool:
        return self._later(REST, partial(self._go_on, self._resting()))

    def _later(self, delay: float, action: Callable[[], None]) -> bool:
        """Do something unless anything moves meanwhile; at once where no event loop runs, outside a kernel."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._due = None
            action()
            return False
        self._due = due = object()
        loop.call_later(delay, self._do, due, action)
        return True

    def _do(self, due: object, action: Callable[[], None]) -> None:
        with self._lock:
            if due is not self._due:
                return
            self._due = None
            try:
                action()
            except Exception as error:
                self._complain(error)

    def _go_on(self, steps: Iterator[float]) -> None:
        """Take the next of some steps, and after the seconds that it asks for the others, unless anything moves."""
        if (pause := next(steps, None)) is not None:
            self._later(pause, partial(self._go_on, steps))

    def _resting(self) -> Iterator[float]:
        """Come to rest in steps: the exact answer of a large image takes longer than a move should have to wait."""
        start = time.perf_counter()
        if self._answer is None:
            self._answer = yield from self._in_pieces(self.region)
        self._rest(start)

    def _rest(self, start: float | None = None) -> None:
        """Show the exact answer; then its metrics, which take longer than a step may."""
        start = start or time.perf_counter()
        if self._answer is None:
            self._answer = self.sample()
        self._frame = self._draw()
        self._send(self._frame, "png", start)
        self._later(SOON, partial(self._go_on, self._describing()))

    @property
    def answer(self) -> np.ndarray:
        """The model's own picture for the settings, (H, W, 3) uint8."""
        with self._lock:
            if self._answer is None:
                self._rest()
            return self._answer

    @property
    def frame(self) -> np.ndarray:
        """The picture on show at rest, (H, W, 3) uint8."""
        with self._lock:
            if self._due is not None:
                self._rest()
            return self._frame

    def _draw(self) -> np.ndarray:
        """The frame: the answer or, in motion, a draft of what is seen of it; the spread over it; the left side."""
        width = self.scale * self.region[3]
        x = round(self.share.value * width)
        right = self._draft(x, width) if self._answer is None else self._answer
        if self.deviation is not None and self.overlay.value:
            right = cv2.addWeighted(right, 0.35, heat(self.deviation), 0.65, 0)
        return split(self._left_side(x), right, self.share.value) if x else right

    def _draft(self, start: int, stop: int, seed: int | None = None) -> np.ndarray:
        """The answer to the settings, or to another seed, decoded roughly and in the columns start to stop only."""
        top, left, h, w = self.region
        first, last = start // self.scale, -(-stop // self.scale)
        picture = np.zeros((h * self.scale, w * self.scale, 3), np.uint8)
        if first < last:
            part = self.sample(seed, region=(top, left + first, h, last - first), draft=True)
            picture[:, first * self.scale : last * self.scale] = part
        return picture

    def _left_side(self, stop: int) -> np.ndarray:
        """What the answer is compared with, right in the columns up to stop at least."""
        name = self.left.value
        if name == "original" and self.original is None:
            raise ValueError("an uploaded image has no original to compare with: choose another left side")
        if name in ("bicubic", "original"):
            top, left, h, w = (self.scale * n for n in self.region)
            return (self.bicubic if name == "bicubic" else self.original)[top : top + h, left : left + w]
        if name == "another sample" and self._answer is None:
            return self._draft(0, stop, self.left_seed.value)
        makers = [self.temperature, self.left_seed, *self.amounts] if name == "another sample" else []
        made_of = self.sampler, self.region, name, *(control.value for control in makers)
        if self._left[0] != made_of:
            zero = name == "z = 0"
            picture = self.sampler(0, 0.0, region=self.region) if zero else self.sample(self.left_seed.value)
            self._left = made_of, picture
        return self._left[1]

    def _send(self, frame: np.ndarray, form: str, start: float | None = None) -> None:
        picture = magnify(frame, self.zoom.value) if form == "png" else frame  # at rest show true pixels
        with self.picture.hold_sync():  # format and bytes in one message: no frame with the wrong one
            self.picture.format, self.picture.value = form, encode(picture, form)
        if start is not None:
            self.milliseconds[form] = 1000 * (time.perf_counter() - start)

    def _describing(self) -> Iterator[float]:
        """Sizes and metrics, those of the whole answer where the view is zoomed, in steps."""
        made_of = self.sampler, *(control.value for control in self.latent)
        if self._whole[0] != made_of:
            zoomed = self.zoom.value > 1
            self._whole = made_of, (yield from self._in_pieces(self.sampler.rect)) if zoomed else self.answer
        answer = self._whole[1]
        h, w = answer.shape[:2]
        lines = [f"{w} x {h} from {self.lr.shape[1]} x {self.lr.shape[0]} pixels"]
        if self.original is not None and min(h, w) >= 11 + 2 * self.scale:  # SSIM's window and the border
            if not self._bicubic_scores:
                self._bicubic_scores = self._scores(self.bicubic)
                yield PAUSE
            lines += [f"bicubic: {self._bicubic_scores}", f"SR-VAE: {self._scores(answer)}"]
            yield PAUSE
        lines.append(f"LR-PSNR {sr.lr_psnr(answer, self.lr, self.scale):.1f} dB")
        names, took = {"jpeg": "last move", "png": "answer at rest"}, self.milliseconds
        lines.append(", ".join(f"{names[form]} in {took[form]:.0f} ms" for form in names if form in took))
        self.metrics.value = f'<div role="status">{"<br>".join(lines)}</div>'

    def _scores(self, picture: np.ndarray) -> str:
        psnr, ssim = (f(picture, self.original, self.scale) for f in (sr.psnr_y, sr.ssim_y))
        return f"PSNR {psnr:.2f} dB, SSIM {ssim:.4f}"

    # Samples of the settings.

    @property
    def region(self) -> sr.Rect:
        """What is zoomed to: (top, left, height, width) in LR samples."""
        height, width = self.lr.shape[:2]
        h, w = (max(1, round(n / self.zoom.value)) for n in (height, width))
        return round(self.down.value * (height - h)), round(self.across.value * (width - w)), h, w

    def sample(
        self, seed: int | None = None, *, whole: bool = False, region: sr.Rect | None = None, draft: bool = False
    ) -> np.ndarray:
        """The answer to the settings, or to another seed and no walk: what is zoomed to, the whole, or a region."""
        if region is None and not whole and self.zoom.value > 1:
            region = self.region
        walk, seed = (self.walk.value, self.seed.value) if seed is None else (0, seed)
        amounts = [slider.value for slider in self.amounts]
        if not walk and not any(amounts):
            return self.sampler(seed, self.temperature.value, region=region, draft=draft)
        if any(amounts):
            self._find()
        eps = directions.steer(
            self.sampler.tiles,
            seed,
            self.temperature.value,
            to_seed=self.to_seed.value,
            walk=walk,
            directions=self.found,
            amounts=amounts if any(amounts) else (),
        )
        return self.sampler(temperature=1.0, eps=eps, region=region, draft=draft)

    def _in_pieces(self, region: sr.Rect, seed: int | None = None) -> Generator[float, None, np.ndarray]:
        """:meth:`sample` of a region, with pauses in which a move can come."""
        (top, left, height, width), n, s = region, PIECE // self.scale, self.scale
        picture = np.empty((s * height, s * width, 3), np.uint8)
        for y, x in product(range(0, height, n), range(0, width, n)):
            if y or x:
                yield PAUSE
            h, w = min(n, height - y), min(n, width - x)
            piece = self.sample(seed, region=(top + y, left + x, h, w))
            picture[s * y : s * (y + h), s * x : s * (x + w)] = piece
        return picture

    @property
    def settings(self) -> dict[str, object]:
        """The values of all controls that make the picture."""
        return {name: control.value for name, control in self.controls.items()}

    def apply(self, settings: Mapping[str, object], *, anew: bool = False) -> None:
        """Put in settings, all or some, and show their picture.

        Args:
            settings: from :attr:`settings`.
            anew: read the image again even if its name has not changed.

        Raises:
            ValueError: there are no such settings.
        """
        if unknown := settings.keys() - self.controls.keys():
            raise ValueError(f"no such settings: {', '.join(sorted(unknown))}")
        first = {name: settings[name] for name in ("image", "model") if name in settings}
        with self._lock:
            with self._hold():
                for name, value in first.items():
                    self.controls[name].value = value
            if anew or self._encoded != (self.image.value, self.model.value):
                self._encode()
            with self._hold():
                for name in settings.keys() - first.keys():
                    self.controls[name].value = settings[name]
            self._decode()

    # Directions are found when they are first wanted.

    def _open_page(self) -> None:
        if PAGES[self.pages.selected_index or 0] == "directions":
            self._find()

    def _find(self) -> None:
        if self.found is None:
            self.found = directions.find(self.sampler)
            for i, (slider, effect) in enumerate(zip(self.amounts, self.found.effects, strict=True)):
                slider.description = f"{i + 1}: ±{effect:.2g} grey"
                slider.tooltip = f"Direction {i + 1}: one step moves the picture by {effect:.2g} grey levels"

    def _reset_sliders(self) -> None:
        with self._hold():
            for i, slider in enumerate(self.amounts):
                slider.value = 0.0
                if self.found is None:
                    slider.description = f"Direction {i + 1}"

    def _reset(self) -> None:
        self._reset_sliders()
        self._decode()

    # Handlers that are more than one of these steps.

    def _throw(self) -> None:
        seed = random.choice([s for s in range(SEEDS + 1) if s != self.seed.value])
        self.apply({"seed": seed, "temperature": self.temperature.value or 1.0, "walk": 0.0})

    def _take_upload(self) -> None:
        for file in self.upload.value:
            limit = ORIGINAL_LIMIT if self.reduce.value else UPLOAD_LIMIT
            image = cut_to_middle(as_rgb8(sr.read_image(bytes(file["content"]))), limit)
            self._add({file["name"]: (partial(np.asarray, image), self.reduce.value)})

    def _add_folder(self) -> None:
        if not self.folder.value:
            return
        folder = Path(self.folder.value).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in benchmarks.SUFFIXES]
        if not found:
            raise FileNotFoundError(f"{folder} holds no images ({', '.join(benchmarks.SUFFIXES)})")
        read = lambda path: cut_to_middle(as_rgb8(sr.read_image(path)), ORIGINAL_LIMIT)  # noqa: E731
        self._add({f"{folder.name}/{p.name}": (partial(read, p), True) for p in found})

    def _add(self, sources: dict[str, tuple[Callable[[], np.ndarray], bool]]) -> None:
        """Take further images into the chooser and show the first of them."""
        self._sources |= sources
        self._given -= sources.keys()
        with self._hold():
            self.image.options = list(self._sources)
            self.image.value = next(iter(sources))
            if self.left.value == "original" and not self._sources[self.image.value][1]:
                self.left.value = "bicubic"
        self._encode()

    # What takes several samples: a generator whose steps make room for other messages, as many seconds as they give.

    def _start(self, work: Callable[[], Iterator[float]]) -> None:
        self._cancel()
        steps = work()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            for _ in steps:
                pass
            return
        self.stop.disabled = False
        self._task = loop.create_task(self._go_through(steps))

    async def _go_through(self, steps: Iterator[float]) -> None:
        try:
            while True:
                with self._lock:
                    pause = next(steps)
                await asyncio.sleep(pause)
        except StopIteration:
            pass
        except Exception as error:
            self._complain(error)
        self.stop.disabled = True

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task, self.stop.disabled = None, True

    def _measured(self) -> Iterator[float]:
        """The standard deviation over samples, shown from the second sample on."""
        if not self.temperature.value:
            raise ValueError("at temperature 0 there is only one answer: raise the temperature")
        spread, drawn = directions.Spread(), []
        self._rest()
        self.progress.value, self.progress.max = 0, self.count.value
        for seed in range(self.count.value):
            drawn.append((yield from self._in_pieces(self.region, seed)))
            spread.add(drawn[-1])
            self.progress.value = spread.count
            if spread.count > 1:
                self.deviation = spread.deviation
                self.spread.value = (
                    f"{spread.count} samples differ by {self.deviation.mean():.2f} grey levels on average, "
                    f"{self.deviation.max():.1f} at most"
                )
                self._send(self._draw(), "jpeg")
            yield PAUSE
        if self.original is not None and self.zoom.value == 1:
            self.spread.value += f"; diversity {sr.diversity(drawn, self.original):.1f} %"
        if self.deviation.mean() < HARDLY and self.temperature.value >= 1:
            self.spread.value += ". The picture hardly changes: these weights make little of their latents"
        self._rest()

    def _drawn(self) -> Iterator[float]:
        """Nine samples of the region, to click on."""
        self.progress.value, self.progress.max = 0, GALLERY
        for i, (thumbnail, pick) in enumerate(zip(self.thumbnails, self.picks, strict=True)):
            seed = (self.seed.value + 1 + i) % (SEEDS + 1)
            picture = self.sample(seed, draft=True)
            shrink = min(1, 256 / picture.shape[1])
            small = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
            thumbnail.value = encode(small, "jpeg")
            self._gallery[i] = self.settings | {"seed": seed, "walk": 0.0}
            pick.description, pick.tooltip, pick.disabled = f"Sample {seed}", f"Take sample {seed}", False
            self.progress.value = i + 1
            yield PAUSE

    def _pick(self, i: int) -> None:
        self.apply(self._gallery[i])

    # Files.

    def _save(self) -> None:
        """Write the whole answer with what made it; an LR image that did not come with the notebook goes along."""
        path = Path(self.path.value).expanduser()
        if path.suffix.lower() != ".png":
            raise ValueError(f"the name must end in .png, and {path.name!r} does not")
        about = {"settings": self.settings, "lr": hashlib.sha256(self.lr.tobytes()).hexdigest()}
        about["weights"] = benchmarks.version(self.model.value)
        if self.image.value not in self._given:
            about["image"] = base64.b64encode(encode(self.lr, "png")).decode()
        path.write_bytes(with_text(encode(self.sample(whole=True), "png"), json.dumps(about)))
        self.spread.value = f"saved {html.escape(str(path.resolve()))}"

    def _load(self) -> None:
        path = Path(self.path.value).expanduser()
        about = json.loads(text_of(path.read_bytes()))
        settings = about["settings"]
        if "image" in about:
            lr = sr.read_image(base64.b64decode(about["image"]))
            settings |= {"image": path.name, "left": "bicubic"}
            self._sources[path.name] = (partial(np.asarray, lr), False)
            with self._hold():
                self.image.options = list(self._sources)
        if settings["image"] not in self._sources:
            raise ValueError(f"{path.name} is of {settings['image']!r}, which is not among the images here")
        self.apply(settings, anew=True)
        if hashlib.sha256(self.lr.tobytes()).hexdigest() != about["lr"]:
            raise ValueError(f"{path.name} was made from another image of this name: its picture will differ")
        if benchmarks.version(self.model.value) != about["weights"]:
            raise ValueError(f"{path.name} was made with other weights: its picture will differ")


# ---------------------------------------------------------------------------------------------------------
# How long a step of a slider takes
# ---------------------------------------------------------------------------------------------------------


def step_times(size: int, scale: int = 4, steps: int = 10) -> dict[str, float]:
    """Median milliseconds of what a slider's step does in the kernel, for an answer of size x size.

    Returns:
        "move" (the draft right of a border in the middle, and its JPEG), "uncut" (the same without a border),
        "encode" (a JPEG alone), "region" (a move zoomed 4x, without a border), "rest" (the exact answer),
        "full" (a whole enlargement).
    """
    photograph = cv2.resize(benchmarks.bundled("astronaut"), (size, size), interpolation=cv2.INTER_AREA)
    view = View({"astronaut": photograph}, scale)
    model, h, w = view.sampler.model, *view.lr.shape[:2]
    move = lambda i, region: encode(view.sampler(i, 1.0, draft=True, region=region), "jpeg")  # noqa: E731
    calls = {
        "move": lambda i: move(i, (0, w // 2, h, w - w // 2)),
        "uncut": lambda i: move(i, None),
        "encode": lambda _: encode(view.answer, "jpeg"),
        "region": lambda i: move(i, (h // 4, w // 4, h // 4, w // 4)),
        "rest": lambda i: view.sampler(i, 1.0),
        "full": lambda i: sr.super_resolve(view.lr, model, temperature=1.0, seed=i),
    }
    rounds = [{name: benchmarks.timed(partial(call, i)) for name, call in calls.items()} for i in range(steps)]
    return {name: 1000 * float(np.median([r[name] for r in rounds])) for name in calls}


def print_steps(sizes: list[int], scale: int) -> None:
    """Print :func:`step_times`, and the time from a key to the new picture in a browser where there is one."""
    import browser

    print(f"{benchmarks.machine()}; {scale}x, median milliseconds of a slider's step")
    for size in sizes:
        ms = step_times(size, scale)
        try:
            seen = browser.step_milliseconds(size, scale, [{}, {"share": 0.0}, {"zoom": 4}])
            words = ("", "without border ", "zoomed 4x ")
            end_to_end = ", ".join(f"{w}{on:.0f} ({first:.0f})" for w, (first, on) in zip(words, seen, strict=True))
        except browser.NoBrowserError as error:
            end_to_end = f"not measured ({error})"
        print(
            f"{size}x{size}: compute and encode {ms['move']:.0f} (1/{ms['full'] / ms['move']:.1f} of the full "
            f"enlargement, {ms['full']:.0f}), without border {ms['uncut']:.0f}, zoomed 4x {ms['region']:.0f}; "
            f"encode alone {ms['encode']:.1f}; exact answer at rest {ms['rest']:.0f}\n"
            f"    from key to picture in the browser, sliding on (and the first after rest): {end_to_end}",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="The interactive view; see the notebooks.")
    parser.add_argument("--benchmark", action="store_true", required=True, help="time a slider's step")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], help="edges of the answer in pixels")
    parser.add_argument("--scale", type=int, default=4, choices=sr.SCALES)
    options = parser.parse_args(arguments)
    print_steps(options.sizes, options.scale)


if __name__ == "__main__":
    main()
