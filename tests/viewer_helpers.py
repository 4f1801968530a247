"""What the tests of the view share: photographs, uploads, a page that draws, and what notes calls and states."""

import asyncio
from datetime import UTC, datetime

import cv2
import ipywidgets as widgets
import numpy as np
import pytest
from skimage import data

import srvae_core as sr
from srvae import viewer
from srvae.viewer import pictures
from srvae.viewer.picture import LAYERS
from srvae.viewer.settings import Latents
from srvae.viewer.sliders import SeedSlider


def cat() -> np.ndarray:
    """A photograph whose LR image, 16x20, is one tile."""
    return np.ascontiguousarray(data.chelsea()[32:96, 80:160])


def coffee() -> np.ndarray:
    """Another one."""
    return np.ascontiguousarray(data.coffee()[:48, :48])


def wide() -> np.ndarray:
    """A photograph whose LR image, 20x72, reaches far to the right."""
    return np.ascontiguousarray(data.chelsea()[32:112, 80:368])


def lowres() -> np.ndarray:
    """The LR image of the cat, (16, 20, 3) uint8."""
    return sr.downscale(cat(), 4)


def new_view(**options: object) -> viewer.View:
    """A view of both that comes to rest soon."""
    return viewer.View({"cat": cat(), "coffee": coffee()}, scale=4, **{"rest_delay": 0.05} | options)


def settings(**changes: object) -> viewer.Settings:
    """Settings of a scene: sample 0 at temperature 1 and no left side, but for the changes."""
    latents = {"temperature": 1.0, "seed": 0.0, "amounts": (), "regions": ()}
    latents |= {name: changes.pop(name) for name in latents if name in changes}
    values = {"image": "cat", "model": "4x-D", "latents": Latents(**latents), "left": "bicubic", "left_seed": 1.0}
    values |= {"share": 0.0, "zoom": 1.0, "across": 0.5, "down": 0.5}
    return viewer.Settings(**values | changes)


def upload(view: viewer.View, *named: str | bytes) -> None:
    """Upload files: a name, the content, a name, the content ..."""
    about = {"type": "image/png", "size": 1, "last_modified": datetime.now(UTC)}
    pairs = zip(named[::2], named[1::2], strict=True)
    view.upload.value = tuple({"name": name, "content": memoryview(content), **about} for name, content in pairs)


def from_page(view: viewer.View, content: dict[str, object], *buffers: bytes) -> None:
    """Send what the page sends as a message of its own."""
    message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": list(map(memoryview, buffers))}
    view.picture._handle_msg(message)


def drop(view: viewer.View, *named: str | bytes) -> None:
    """Drop files on the picture: a name, the content, a name, the content ..."""
    from_page(view, {"kind": "drop", "names": list(named[::2])}, *named[1::2])


def opened(content: bytes) -> np.ndarray:
    """A layer's picture file as (H, W, 3) uint8."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def is_png(content: bytes) -> bool:
    """Whether a layer comes without loss; the others are JPEG."""
    return content.startswith(b"\x89PNG")


def shown(view: viewer.View) -> np.ndarray:
    """What the page draws of the visible region from the layers that it holds, at most one piece among them."""
    picture = view.picture
    everything = (0, 0, *picture.size)
    left = np.zeros((picture.size[1], picture.size[0], 3), np.uint8)
    right = left.copy()
    _draw(left, picture.bottom, everything)
    _draw(left, picture.left, picture.left_rect)
    _draw(right, picture.bottom, everything)
    _draw(right, picture.whole, everything)
    _draw(right, picture.right, picture.right_rect)
    if picture.laid.get("patch", 0) > max(picture.laid.get(name, 0) for name in ("whole", "right")):
        _draw(right, picture.patch, picture.patch_rect)
    left, right = (inside(canvas, view.region, view.scale) for canvas in (left, right))
    return pictures.split(left, right, picture.share)


def _draw(canvas: np.ndarray, content: bytes, rect: tuple[int, int, int, int]) -> None:
    if content:
        left, top, width, height = rect
        piece = cv2.resize(opened(content), (width, height), interpolation=cv2.INTER_NEAREST)
        canvas[top : top + height, left : left + width] = piece


def inside(picture: np.ndarray, region: sr.Rect, scale: int = 4) -> np.ndarray:
    """The part of a picture that a region of the LR image stands for."""
    top, left, height, width = (scale * n for n in region)
    return picture[top : top + height, left : left + width]


class Messages:
    """Notes what the page is sent from now on: for each message the traits in it by name, and all layers in turn."""

    def __init__(self, view: viewer.View) -> None:
        self.sent: list[dict[str, object]] = []
        self.layers: list[tuple[str, tuple[int, ...]]] = []  # those that were taken away are left out
        self._picture, self._send = view.picture, view.picture.send_state
        view.picture.send_state = self._note

    def _note(self, key: object = None) -> None:
        names = [key] if isinstance(key, str) else list(self._picture.keys if key is None else key)
        self.sent.append({name: getattr(self._picture, name) for name in names})
        for layer in LAYERS:
            if self.sent[-1].get(layer):
                everything = (0, 0, *self._picture.size)
                # a rectangle that stays the same is not sent again
                self.layers.append((layer, getattr(self._picture, f"{layer}_rect", everything)))
        self._send(key)

    def rects(self, layer: str) -> list[tuple[int, ...]]:
        """The rectangles of a layer that was sent, one after the other."""
        return [rect for name, rect in self.layers if name == layer]


class Recorder:
    """Notes what a view's scene decodes from now on: (seed, region in LR samples, draft)."""

    def __init__(self, view: viewer.View) -> None:
        self.asked: list[tuple[float, sr.Rect, bool]] = []
        self._sample, self._whole = view.scene.sample, view.scene.whole
        view.scene.sample = self.note

    def note(self, settings: viewer.Settings, region: sr.Rect | None = None, *, draft: bool = False) -> np.ndarray:
        """What takes the place of the scene's own method."""
        self.asked.append((settings.seed, region or self._whole, draft))
        return self._sample(settings, region, draft=draft)

    def exact(self) -> list[tuple[float, sr.Rect]]:
        """Seed and region of what was decoded exactly."""
        return [(seed, region) for seed, region, draft in self.asked if not draft]


# What an action that fails may leave behind: its error, how long work took, how often layers came and the last piece of
# them (`shown` says whether it lies over the others), which slider was moved, and what is no state.
PASSING = {"error", "milliseconds", "pace", "places", "_chosen", "_moving", "_gallery", "widget", "pages"}
COUNTERS = {"laid", "_view_count", "patch", "patch_rect"}
WINDOW = {"min", "max"}  # of a seed's slider: which ten seeds it shows beside its own


def state(view: viewer.View) -> dict[str, object]:
    """All that a view holds by name: every trait of its widgets, their layouts, and every attribute of its own."""
    held: dict[str, object] = {}
    for name, value in vars(view).items():
        if name in PASSING:
            continue
        every = value if isinstance(value, list) else [value]
        for i, part in enumerate(every):
            if isinstance(part, widgets.Widget):
                hidden = COUNTERS | (WINDOW if isinstance(part, SeedSlider) else set())
                traits = {trait: getattr(part, trait) for trait in part.keys if trait not in hidden}
                held |= {f"{name}[{i}].{trait}": value for trait, value in traits.items()}
                held[f"{name}[{i}].layout.display"] = part.layout.display
            else:
                held[f"{name}[{i}]"] = dict(part) if isinstance(part, dict) else part
    return held


def changed(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """The names of what differs between two states; two arrays of equal numbers differ."""
    return sorted(name for name in before.keys() | after.keys() if not _same(before.get(name), after.get(name)))


def _same(a: object, b: object) -> bool:
    return a is b or (not isinstance(a, np.ndarray) and not isinstance(b, np.ndarray) and bool(a == b))


def at_rest(view: viewer.View) -> bool:
    """Whether the exact answer is shown and its scores have come."""
    return view.picture.exact and not view.pace.is_due


async def until(done) -> None:
    """Let the event loop run until something is so."""
    for _ in range(2000):
        if done():
            return
        await asyncio.sleep(0.005)
    pytest.fail("that never came")
