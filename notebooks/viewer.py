"""The interactive view of the notebooks: choose an image, slide through samples, compare.

    from viewer import View
    view = View({"coffee": benchmarks.bundled("coffee")}, scale=4)
    view.show()

Widgets over :class:`srvae_core.Sampler`, which encodes an image once and decodes for each move of a slider. A handler
sets the value of one Image widget and nothing else: ipywidgets then keeps a single message in flight, so that
the latest value wins and nothing piles up. Frames are JPEG while a slider moves and PNG when it rests.
"""

from __future__ import annotations

import asyncio
import html
import random
import time
from collections.abc import Callable, Mapping
from functools import cache

import cv2
import ipywidgets as widgets
import numpy as np
from IPython.display import Image, display

import srvae_core as sr

REST = 0.4  # seconds without a move after which the frame is sent again without loss
JPEG_QUALITY = 90
SEEDS = 999
UPLOAD_LIMIT = 256  # LR samples a side; larger uploads are cut to their middle to keep sliding live

load_model = cache(sr.load_model)  # another image needs no second reading of 20 to 40 MB


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


class View:
    """An interactive enlargement with samples.

    Args:
        photographs: originals by name, (H, W, 3) uint8; each is downscaled, enlarged again and compared.
        scale: 4 or 8; the shipped models of this scale can be chosen.
        models: names for :func:`srvae_core.load_model` in the place of the shipped ones.

    ``view.frame`` is the picture on show, (H, W, 3) uint8; ``view.answer`` the model's own, without the split.

    Raises:
        ValueError: no photograph, or no model of that scale.
    """

    def __init__(self, photographs: Mapping[str, np.ndarray], scale: int, models: list[str] | None = None) -> None:
        models = [m for m in sr.available_models() if m.startswith(f"{scale}x")] if models is None else models
        if not photographs or not models:
            raise ValueError(f"the view needs a photograph and a model of scale {scale}")
        self.scale, self.originals = scale, dict(photographs)
        self.uploads: dict[str, np.ndarray] = {}
        self.frame = self.answer = np.zeros((1, 1, 3), np.uint8)
        self.milliseconds = 0.0
        self._resting: asyncio.TimerHandle | None = None
        self._build(models)
        self._encode()

    def _build(self, models: list[str]) -> None:
        wide = {"style": {"description_width": "7em"}, "layout": widgets.Layout(width="24em", max_width="98%")}
        self.image = widgets.Dropdown(options=list(self.originals), description="Image", **wide)
        self.upload = widgets.FileUpload(accept="image/*", description="Upload a small image", layout={"width": "auto"})
        self.model = widgets.Dropdown(options=models, description="Model", **wide)
        self.temperature = widgets.FloatSlider(0.0, min=0, max=1.5, step=0.05, description="Temperature", **wide)
        self.seed = widgets.IntSlider(0, min=0, max=SEEDS, description="Latent sample", **wide)
        self.dice = widgets.Button(description="Throw the dice", tooltip="Another latent sample", icon="random")
        self.left = widgets.Dropdown(options=["bicubic", "original", "z = 0"], description="Left side", **wide)
        self.share = widgets.FloatSlider(0.5, min=0, max=1, step=0.01, description="Border", **wide)
        self.share.readout_format = ".0%"
        self.picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", object_fit="contain"))
        self.metrics, self.error = widgets.HTML(), widgets.HTML()
        self.image.observe(self._guarded(self._encode), "value")
        self.model.observe(self._guarded(self._encode), "value")
        self.upload.observe(self._guarded(self._take_upload), "value")
        for slider in (self.temperature, self.seed):
            slider.observe(self._guarded(self._decode), "value")
        for control in (self.left, self.share):
            control.observe(self._guarded(self._compose), "value")
        self.dice.on_click(self._guarded(self._throw))
        controls = [self.image, self.upload, self.model, self.temperature, self.seed, self.dice, self.left, self.share]
        column = widgets.VBox([*controls, self.metrics, self.error], layout={"width": "26em", "max_width": "100%"})
        picture = widgets.Box([self.picture], layout={"flex": "1 1 20em", "max_width": "100%"})
        self.widget = widgets.HBox([picture, column], layout={"flex_flow": "row wrap"})

    def show(self) -> None:
        """Display the view in the cell's output."""
        display(self.widget)

    def _guarded(self, action: Callable[[], None]) -> Callable[[object], None]:
        """A handler that shows an exception in the view: JupyterLab would swallow it."""

        def handler(_: object) -> None:
            try:
                action()
                self.error.value = ""
            except Exception as error:
                self.error.value = f'<p role="alert" style="color:#c0392b">{html.escape(str(error))}</p>'

        return handler

    # From an image to a frame, in the order in which one depends on the other.

    def _encode(self) -> None:
        name = self.image.value
        if name in self.uploads:
            self.original, self.lr = None, self.uploads[name]
        else:
            self.original = sr.crop_to_multiple(self.originals[name], self.scale)
            self.lr = sr.downscale(self.original, self.scale)
        self.sampler = sr.Sampler(load_model(self.model.value), self.lr)
        self.bicubic = sr.enlarge(self.lr, self.scale)
        self.zero = self.sampler(0, 0.0)
        self._decode()

    def _decode(self) -> None:
        start = time.perf_counter()
        self.answer = self.sampler(self.seed.value, self.temperature.value)
        self.milliseconds = 1000 * (time.perf_counter() - start)
        self._compose()

    def _compose(self) -> None:
        sides = {"bicubic": self.bicubic, "original": self.original, "z = 0": self.zero}
        left = sides[self.left.value]
        if left is None:
            raise ValueError("an uploaded image has no original to compare with: choose another left side")
        self.frame = split(left, self.answer, self.share.value)
        self._send("jpeg")
        self._await_rest()

    def _send(self, form: str) -> None:
        with self.picture.hold_sync():  # format and bytes in one message: no frame with the wrong one
            self.picture.format, self.picture.value = form, encode(self.frame, form)

    def _await_rest(self) -> None:
        """Come to rest once nothing has moved for a while (outside a kernel there is no event loop: at once)."""
        if self._resting is not None:
            self._resting.cancel()
        try:
            self._resting = asyncio.get_running_loop().call_later(REST, self._rest)
        except RuntimeError:
            self._rest()

    def _rest(self) -> None:
        """The frame without loss and its metrics, which take longer than a step of a slider may."""
        self._send("png")
        self.metrics.value = self._describe()

    def _describe(self) -> str:
        h, w = self.answer.shape[:2]
        lines = [f"{w} x {h} from {self.lr.shape[1]} x {self.lr.shape[0]} pixels"]
        if self.original is not None:
            for name, picture in (("bicubic", self.bicubic), ("SR-VAE", self.answer)):
                psnr, ssim = (f(picture, self.original, self.scale) for f in (sr.psnr_y, sr.ssim_y))
                lines.append(f"{name}: PSNR {psnr:.2f} dB, SSIM {ssim:.4f}")
        lines.append(f"LR-PSNR {sr.lr_psnr(self.answer, self.lr, self.scale):.1f} dB")
        lines.append(f"decoded in {self.milliseconds:.0f} ms")
        return "<br>".join(lines)

    # Handlers that are more than one of these steps.

    def _throw(self) -> None:
        if self.temperature.value == 0:
            self.temperature.value = 1.0
        self.seed.value = random.choice([s for s in range(SEEDS + 1) if s != self.seed.value])

    def _take_upload(self) -> None:
        for file in self.upload.value:
            image = cut_to_middle(as_rgb8(sr.read_image(bytes(file["content"]))), UPLOAD_LIMIT)
            self.uploads[file["name"]] = image
            if self.left.value == "original":
                self.left.value = "bicubic"
            self.image.options = [*self.originals, *(n for n in self.uploads if n not in self.originals)]
            if self.image.value == file["name"]:
                self._encode()
            else:
                self.image.value = file["name"]


def contact_sheet(pictures: list[np.ndarray], columns: int, gap: int = 4) -> np.ndarray:
    """Pictures of one size side by side on white, (H, W, 3) uint8: what a saved notebook shows."""
    h, w = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * (h + gap), i % columns * (w + gap)
        sheet[y : y + h, x : x + w] = picture
    return sheet


def still(picture: np.ndarray) -> Image:
    """A picture for a cell's output that is still there when the notebook is read without a kernel."""
    return Image(data=encode(picture, "jpeg"), format="jpeg")
