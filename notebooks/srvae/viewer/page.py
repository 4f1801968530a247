"""The picture in the page: layers, drafts in motion, exact pictures at rest, and what the page is known to have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anywidget
import numpy as np
from traitlets import Bool, Bytes, Dict, Float, Int, Tuple, Unicode

import srvae_core as sr
from srvae.regions import common

from .pictures import encode, heat, reduced
from .scene import SCORED, Scene
from .settings import LARGEST_ZOOM, Settings

OVERVIEW = 160  # pixels a side of the small picture of a large photograph
LAYERS = ("bottom", "left", "right", "patch", "overlay")
HERE = Path(__file__)


def _numbers(count: int) -> Tuple:
    return Tuple(*(Int() for _ in range(count)), default_value=(0,) * count).tag(sync=True)


def _number(default: float, high: float = 1.0) -> Float:
    return Float(default, min=0.0, max=high).tag(sync=True)


class Picture(anywidget.AnyWidget):
    """Two sides of a picture with a border between them.

    Rectangles are (left, top, width, height) in pixels of the answer. A layer is a JPEG or PNG file, stretched over its
    rectangle; see :meth:`lay`. What is set in one ``hold_sync`` is shown together.

    Custom messages from the page: ``{"kind": "drop", "names": [...]}`` with one buffer for each file, and
    ``{"kind": "refused"}`` for a drop that is too large or cannot be read.

    Attributes:
        size: (width, height) of the answer; another size drops all layers that do not come with it.
        bottom: under both sides. left: left of the border. right: right of it. patch: over ``right``; patches pile up
            until ``right`` is laid. overlay: a map over the right side.
        laid: when each layer was laid last, counted over all of them.
        share: the border, 0 to 1 of the visible width.
        zoom: 1 shows all, 2 half the width and height; 0 lets the page take one screen pixel for one answer pixel.
        across, down: 0 to 1, where the visible part lies.
        selection: the selected rectangle, or ().
        selecting: whether a plain drag selects; otherwise it needs the Shift key.
        left_label, right_label, name: texts on the picture, and its name for screen readers.
        exact: whether the right side is the exact answer; otherwise it is marked as a draft.
        working: whether the kernel works on the picture.
        overview: a small picture of a photograph of which only a part is in work.
        frame: that part, as shares of the photograph: (left, top, width, height).
        work: (x, y), where the middle of that part was dragged to.
        still: whether to hide the static image in the output above.
        shown: (width, height) of the picture in screen pixels, set by the page.
    """

    _esm = "\n".join(HERE.with_name(name).read_text("utf-8") for name in ("picture.js", "hands.js"))
    _css = HERE.with_name("picture.css").read_text("utf-8")

    size = _numbers(2)
    bottom, left, right, patch, overlay = (Bytes().tag(sync=True) for _ in LAYERS)
    bottom_rect, left_rect, right_rect, patch_rect, overlay_rect = (_numbers(4) for _ in LAYERS)
    laid = Dict(key_trait=Unicode(), value_trait=Int()).tag(sync=True)
    share, across, down = (_number(0.5) for _ in range(3))
    zoom = _number(0.0, high=LARGEST_ZOOM)
    selection = Tuple().tag(sync=True)
    selecting = Bool(False).tag(sync=True)
    left_label, right_label, name = (Unicode().tag(sync=True) for _ in range(3))
    exact, working, still = (Bool(False).tag(sync=True) for _ in range(3))
    overview = Bytes().tag(sync=True)
    frame = Tuple(*(Float() for _ in range(4)), default_value=(0.0, 0.0, 1.0, 1.0)).tag(sync=True)
    work = Tuple(Float(), Float(), default_value=(0.5, 0.5)).tag(sync=True)
    shown = _numbers(2)

    def __init__(self, **values: object) -> None:
        self._pieces: list[bytearray] = []  # the files of a drop that comes in several messages
        super().__init__(**values)

    def lay(self, layer: str, content: bytes, rect: tuple[int, int, int, int] | None = None) -> None:
        """Show a layer, an image file, over a rectangle (None: the answer). ``b""`` takes the layer away."""
        with self.hold_sync():
            setattr(self, layer, content)
            setattr(self, f"{layer}_rect", (0, 0, *self.size) if rect is None else rect)
            self.laid = self.laid | {layer: 1 + max(self.laid.values(), default=0)}

    def download(self, name: str, content: bytes) -> None:
        """Let the browser download a PNG file."""
        self.send({"kind": "download", "name": name, "type": "image/png"}, buffers=[content])

    def _handle_custom_msg(self, content: Mapping[str, object], buffers: Sequence[memoryview]) -> None:
        """Put the pieces of large files together before anyone else hears of them."""
        if content["kind"] == "piece":
            if content["first"]:
                self._pieces = [bytearray() for _ in content["names"]]
            self._pieces[content["file"]] += buffers[0]
            if not content["last"]:
                return
            content, buffers = {"kind": "drop", "names": content["names"]}, [memoryview(p) for p in self._pieces]
            self._pieces = []
        super()._handle_custom_msg(content, buffers)


@dataclass(frozen=True)
class Shown:
    """Which content a side of the page shows: its latents or its left side, the part, and whether it is exact."""

    key: object
    rect: sr.Rect
    exact: bool


@dataclass(frozen=True)
class Draft:
    """A draft that was decoded, and not shown yet.

    Attributes:
        scene, settings: what it is of.
        right: the part right of the border and its picture; None if the page has it, or it has to be encoded first.
        left: what lies left of the border: part, picture and file format; None likewise.
        complete: whether all that is visible right of the border will be up to date.
        over: whether to lay it over the present right side instead of replacing that.
    """

    scene: Scene
    settings: Settings
    right: tuple[sr.Rect, np.ndarray] | None
    left: tuple[sr.Rect, np.ndarray, str] | None
    complete: bool
    over: bool = False


class Page:
    """The picture, and what it shows of a scene.

    Attributes:
        picture: the widget.
        right, left: what the page has on either side of the border; None is the bicubic picture below both.
    """

    def __init__(self) -> None:
        self.picture = Picture()
        self.right: Shown | None = None
        self.left: Shown | None = None

    def begin(self, scene: Scene, photograph: np.ndarray) -> None:
        """Show the bicubic enlargement of a scene, and the overview if only a part of the photograph is in work."""
        self.right = self.left = None
        picture, (top, left, height, width) = self.picture, scene.frame
        bicubic = encode(scene.bicubic, "png" if is_sent_whole(scene.bicubic) else "jpeg")
        with picture.hold_sync():
            picture.size = scene.bicubic.shape[1::-1]
            for layer in LAYERS:
                picture.lay(layer, bicubic if layer == "bottom" else b"")
            picture.selection, picture.exact = (), False
            windowed = (height, width) != scene.size
            picture.overview = encode(reduced(photograph, OVERVIEW), "jpeg") if windowed else b""
            rows, columns = scene.size
            picture.frame = left / columns, top / rows, width / columns, height / rows

    def covers(self, scene: Scene, settings: Settings) -> bool:
        """Whether the page has all that is visible, exactly."""
        return self._has(self.right, settings.latents, scene.visible(settings)) and (
            not settings.share or self._has(self.left, left_key(scene, settings), scene.visible(settings))
        )

    @staticmethod
    def _has(shown: Shown | None, key: object, rect: sr.Rect) -> bool:
        if shown is None:
            return key is None  # the bicubic picture is always there
        return shown.exact and shown.key == key and common(shown.rect, rect) == rect

    def make_draft(self, scene: Scene, settings: Settings, changed: sr.Rect | None = None) -> Draft:
        """Decode what the page lacks of the visible part; nothing is shown yet.

        Args:
            scene: of the settings.
            settings: what is to be shown.
            changed: the only part in which the answer differs from the one on the page.
        """
        part = scene.beside_border(settings, right=True)
        if part and changed and self.right:
            part = common(part, changed)
        if part is None or self._has(self.right, settings.latents, scene.visible(settings)):
            return Draft(scene, settings, None, self._left_draft(scene, settings), True)
        right = scene.draft(settings, part)
        complete = right is not None and right[0] == part
        return Draft(scene, settings, right, self._left_draft(scene, settings), complete, bool(changed))

    def show_draft(self, draft: Draft) -> None:
        """Show what was decoded; where nothing could be, the bicubic picture."""
        scene, settings = draft.scene, draft.settings
        has = self._has(self.right, settings.latents, scene.visible(settings))
        key = left_key(scene, settings)
        with self.picture.hold_sync():
            self._label(scene, settings)
            if draft.left is not None:
                self._lay("left", *draft.left, scene.scale)
                part, picture, form = draft.left
                self.left = Shown(key, part, form == "png" and is_sent_whole(picture))
            elif self.left and self.left.key != key:  # not even for a moment below the other's name
                self.picture.lay("left", b"")
                self.left = None
            if draft.right is not None:
                over = self.right is not None and (draft.over or not draft.complete)
                self._lay("patch" if over else "right", *draft.right, "jpeg", scene.scale)
                self.right = Shown(settings.latents, self.right.rect if over else draft.right[0], False)
            elif not draft.complete:
                self.picture.lay("right", b"")
                self.right = None
            elif not has and self.right:  # hidden by the border, and out of date
                self.right = Shown(None, self.right.rect, False)
            self.picture.exact = has

    def _left_draft(self, scene: Scene, settings: Settings) -> tuple[sr.Rect, np.ndarray, str] | None:
        """The left side that the page lacks: where, its picture, and its file format."""
        key, sample = left_key(scene, settings), scene.left_sample(settings)
        part = scene.beside_border(settings, right=False)
        if key is None or part is None or self._has(self.left, key, scene.visible(settings)):
            return None
        if sample is None:
            return scene.rect, scene.original, "png"
        drafted = scene.draft(sample, part)
        return drafted and (*drafted, "jpeg")

    def patch(self, scene: Scene, settings: Settings, rect: sr.Rect, picture: np.ndarray) -> None:
        """Lay a piece of the exact answer over what is there."""
        self._lay("patch", rect, picture, "jpeg", scene.scale)
        if self.right is None or self.right.key != settings.latents:
            self.right = Shown(settings.latents, rect, False)

    def rest(self, scene: Scene, settings: Settings, rect: sr.Rect) -> None:
        """Show a part exactly: both sides, unless the page has them."""
        with self.picture.hold_sync():
            self._label(scene, settings)
            key = left_key(scene, settings)
            if settings.share and not self._has(self.left, key, rect):
                picture = scene.left_picture(settings, rect)
                self._lay("left", rect, picture, "png", scene.scale)
                self.left = Shown(key, rect, is_sent_whole(picture))
            if not self._has(self.right, settings.latents, rect):
                picture = scene.answer(settings, rect)
                self._lay("right", rect, picture, "png", scene.scale)
                self.right = Shown(settings.latents, rect, is_sent_whole(picture))
            self.picture.exact = True

    def show_map(self, scene: Scene, rect: sr.Rect, deviation: np.ndarray | None) -> None:
        """Lay a map of standard deviations, (H, W), over a part; None takes it away."""
        if deviation is not None:
            self._lay("overlay", rect, heat(deviation), "jpeg", scene.scale)
        elif self.picture.overlay:
            self.picture.lay("overlay", b"")

    def _lay(self, layer: str, rect: sr.Rect, picture: np.ndarray, form: str, scale: int) -> None:
        """Send a layer; no more pixels than the screen shows, of a draft or of what is larger than a screen."""
        if form == "jpeg" or not is_sent_whole(picture):
            answer, screen = self.picture.size[0], self.picture.shown[0] * max(self.picture.zoom, 1)
            limit = max(picture.shape[:2]) * (screen or answer) / answer
            picture = reduced(picture, math.ceil(limit))
        top, left, height, width = (scale * n for n in rect)
        self.picture.lay(layer, encode(picture, form), (left, top, width, height))

    def _label(self, scene: Scene, settings: Settings) -> None:
        sample = scene.left_sample(settings)
        left = settings.left if sample is None or settings.left == sample.sample_name else sample.sample_name
        self.picture.left_label = f"best: {left}" if settings.left == "best" else left
        self.picture.right_label = f"{settings.model}, {settings.sample_name}"
        self.picture.name = f"{settings.image}, enlarged {scene.scale} times"


def is_sent_whole(picture: np.ndarray) -> bool:
    """Whether every pixel is sent; a larger picture is sent at the screen's resolution, and again after zooming in."""
    return picture.shape[0] * picture.shape[1] <= SCORED


def left_key(scene: Scene, settings: Settings) -> object:
    """What the left side is of; None for bicubic, which the page has below everything."""
    if settings.left == "bicubic":
        return None
    sample = scene.left_sample(settings)
    return settings.left if sample is None else sample.latents
