"""The picture that is touched: a widget that draws layers in the page and moves border, zoom and pan there itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
from traitlets import Bool, Bytes, Dict, Float, Int, TraitError, TraitType, Tuple, Unicode, observe, validate

LAYERS = ("bottom", "left", "whole", "right", "patch", "overlay")
LARGEST_ZOOM = 16.0
HERE = Path(__file__)


class Anew(TraitType):
    """A trait that counts as new whenever it is set, even to what it was: the page may show something else by now."""

    def set(self, obj: anywidget.AnyWidget, value: object) -> None:
        old = getattr(obj, self.name)
        super().set(obj, value)
        new = getattr(obj, self.name)
        if old == new:
            obj.notify_change({"name": self.name, "old": old, "new": new, "owner": obj, "type": "change"})


class Layer(Anew, Bytes):
    """A picture file, which pieces may lie over in the page."""


class Part(Anew, Tuple):
    """The part in work, which a hand may have moved in the page."""


def whole_numbers(count: int) -> Tuple:
    """A trait of so many whole numbers, 0 at first."""
    return Tuple(*(Int() for _ in range(count)), default_value=(0,) * count)


class Picture(anywidget.AnyWidget):
    """Two sides of a picture with a border between them, in a page of JupyterLab or Notebook.

    All rectangles are (left, top, width, height) in pixels of the whole answer. A layer is a JPEG or PNG file of any
    resolution, stretched over its rectangle; ``b""`` is none. A layer and its rectangle are set together::

        with picture.hold_sync():
            picture.right, picture.right_rect = jpeg, (0, 0, 512, 512)

    What is set in one ``hold_sync`` is shown together. The page sends ``share``, ``zoom``, ``across``, ``down`` and
    ``selection`` back, while a gesture lasts no faster than the kernel takes them, and the last value always.

    Keys on the picture: the arrows move the visible part, + and - zoom, 0 shows the whole. Shift and an arrow moves the
    selected rectangle by a twentieth of the visible part; the first one selects the middle half of that part. Shift and
    + or - makes the rectangle larger or smaller about its middle, inside the visible part. Escape drops it.

    Custom messages (``on_msg``) from the page: ``{"kind": "drop", "names": [...]}`` with one buffer for each file, and
    ``{"kind": "work", "x": 0..1, "y": 0..1}``, where the middle of the part in work shall be in the whole image.

    Attributes:
        size: (width, height) of the whole answer; another size drops all layers that do not come with it.
        bottom: under both sides, over the whole answer.
        left, left_rect: what the answer is compared with, left of the border.
        whole: over ``bottom`` right of the border, over the whole answer.
        right, right_rect: over ``whole``.
        patch, patch_rect: a piece over ``right``. Pieces pile up, one in each ``hold_sync``, until ``right``, ``whole``
            or ``size`` is set, or the piece is ``b""``.
        overlay, overlay_rect: a heat map over the right side.
        laid: when each layer and ``overview_rect`` were set last, counted over all of them; this class keeps it.
        share: the border, 0 to 1 of the visible width; left of it lies the left side.
        zoom: 1 to 16; 1 shows the whole, 2 half its width and height.
        across, down: where the visible part lies, 0 to 1 of the room that it has.
        selection: the selected rectangle, or ().
        selecting: whether a plain drag selects; otherwise it needs the Shift key.
        left_label, right_label, name: texts on the picture, and what a screen reader calls it.
        exact: whether the right side is the exact answer; otherwise it is marked as a draft.
        working: whether the kernel is at work, which the page shows after a moment.
        overview, overview_rect: a picture of the whole image, and the part in work as shares of its width and height.
            Set ``overview_rect`` again, even to what it is, and the page undoes a move that the kernel did not follow.
        still: whether a still of it stands in the output before, which the live picture hides.
        shown: (width, height) of the picture in pixels of the screen; the page sets it.

    Raises:
        TraitError: a value is of another type or outside its limits.
    """

    # one module for the page, in three files: the picture, the hands on it, and names for screen readers
    _esm = "\n".join(HERE.with_name(name).read_text("utf-8") for name in ("picture.js", "hands.js", "labels.js"))
    _css = HERE.with_suffix(".css").read_text("utf-8")

    size = whole_numbers(2).tag(sync=True)
    bottom = Layer().tag(sync=True)
    left = Layer().tag(sync=True)
    left_rect = whole_numbers(4).tag(sync=True)
    whole = Layer().tag(sync=True)
    right = Layer().tag(sync=True)
    right_rect = whole_numbers(4).tag(sync=True)
    patch = Layer().tag(sync=True)
    patch_rect = whole_numbers(4).tag(sync=True)
    overlay = Layer().tag(sync=True)
    overlay_rect = whole_numbers(4).tag(sync=True)
    laid = Dict(key_trait=Unicode(), value_trait=Int()).tag(sync=True)
    share = Float(0.5, min=0.0, max=1.0).tag(sync=True)
    zoom = Float(1.0, min=1.0, max=LARGEST_ZOOM).tag(sync=True)
    across = Float(0.5, min=0.0, max=1.0).tag(sync=True)
    down = Float(0.5, min=0.0, max=1.0).tag(sync=True)
    selection = Tuple().tag(sync=True)
    selecting = Bool(False).tag(sync=True)
    left_label = Unicode().tag(sync=True)
    right_label = Unicode().tag(sync=True)
    name = Unicode("The enlarged picture").tag(sync=True)
    exact = Bool(False).tag(sync=True)
    working = Bool(False).tag(sync=True)
    overview = Bytes().tag(sync=True)
    overview_rect = Part(Float(), Float(), Float(), Float(), default_value=(0.0, 0.0, 1.0, 1.0)).tag(sync=True)
    still = Bool(False).tag(sync=True)
    shown = whole_numbers(2).tag(sync=True)

    def __init__(self, **values: object) -> None:
        self._drop: int | None = None  # the drop that comes in several messages just now, and its files so far
        self._pieces: list[bytearray] = []
        super().__init__(**values)

    def download(self, name: str, content: bytes, form: str = "image/png") -> None:
        """Let the browser download a file.

        Args:
            name: what the browser calls it.
            content: the file.
            form: its media type.
        """
        self.send({"kind": "download", "name": name, "type": form}, buffers=[content])

    @validate("share", "zoom", "across", "down")
    def _check_number(self, proposal: Mapping[str, object]) -> float:
        value = proposal["value"]
        if math.isnan(value):  # no limit refuses it
            raise TraitError(f"{proposal['trait'].name} is a number, not NaN")
        return value

    @validate("size", "left_rect", "right_rect", "patch_rect", "overlay_rect", "selection", "shown")
    def _check_rectangle(self, proposal: Mapping[str, object]) -> tuple[int, ...]:
        value, name = proposal["value"], proposal["trait"].name
        if name == "selection" and not (len(value) in (0, 4) and all(type(number) is int for number in value)):
            raise TraitError(f"selection is () or four whole numbers (left, top, width, height), not {value}")
        if any(number < 0 for number in value):
            raise TraitError(f"{name} has no negative numbers, as {value} has")
        return value

    @validate("overview_rect")
    def _check_part(self, proposal: Mapping[str, object]) -> tuple[float, ...]:
        value = proposal["value"]
        if not all(0 <= number <= 1 for number in value):
            raise TraitError(f"overview_rect is four shares from 0 to 1, not {value}")
        return value

    @observe(*LAYERS, "left_rect", "right_rect", "overlay_rect", "overview_rect")
    def _note_layer(self, change: Mapping[str, object]) -> None:
        layer = change["name"].removesuffix("_rect")
        self.laid = self.laid | {layer: 1 + max(self.laid.values(), default=0)}

    def _handle_custom_msg(self, content: Mapping[str, object], buffers: Sequence[memoryview]) -> None:
        """Put the pieces of large files together before anyone hears of them."""
        if isinstance(content, Mapping) and content.get("kind") == "piece":
            if not self._take_piece(content, buffers[0]):
                return
            content, buffers = {"kind": "drop", "names": content["names"]}, [memoryview(file) for file in self._pieces]
            self._drop, self._pieces = None, []
        super()._handle_custom_msg(content, buffers)

    def _take_piece(self, piece: Mapping[str, object], content: memoryview) -> bool:
        """Add a piece to its drop; returns whether it was the last.

        Only the newest drop is kept, and only while no piece of it is missing.
        """
        if piece["file"] == piece["from"] == 0:
            self._drop, self._pieces = piece["drop"], [bytearray() for _ in piece["names"]]
        if piece["drop"] != self._drop:
            return False
        if piece["from"] != len(self._pieces[piece["file"]]):
            self._drop, self._pieces = None, []
            return False
        self._pieces[piece["file"]] += content
        return piece["last"]
