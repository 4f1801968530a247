"""What the page is sent: layers of the picture, drafts and exact ones, and what is known to be there already."""

from __future__ import annotations

import math
import time

import numpy as np

import srvae_core as sr
from srvae.regions import common

from .controls import Controls
from .pictures import encode, heat, reduced
from .scene import Scene
from .settings import Latents, Settings

OLD = "srvae-stale"  # the class of what is no longer true of the picture on show


class Layers(Controls):
    """The controls, and the layers that the page draws (see :mod:`~viewer.picture`).

    Args:
        images: names to choose from.
        models: likewise.

    Attributes:
        scene: the present image under the present model; a :class:`~viewer.stage.Stage` sets it.
        deviation: (H, W), the standard deviation over samples in grey levels, once measured for the present settings.
        milliseconds: of the last "jpeg" (a move) and "png" (rest), from a value to the picture's departure.
    """

    scene: Scene

    def __init__(self, images: list[str], models: list[str]) -> None:
        super().__init__(images, models)
        self.deviation: np.ndarray | None = None
        self.milliseconds: dict[str, float] = {}
        self._measured: sr.Rect | None = None  # where the deviation is of
        # What the page has: of which latents, or of which left side; where; whether exactly.
        self._right: tuple[object, sr.Rect, bool] | None = None
        self._scores: tuple[Latents, list[str]] | None = None  # of the answer last described
        self._whole: object = None  # which latents the layer "whole" is of
        self._left: tuple[object, sr.Rect, bool] | None = None

    @property
    def present(self) -> Settings:
        """The values of the controls, as the scene reads them."""
        return Settings.of(self.settings)

    @property
    def region(self) -> sr.Rect:
        """What is zoomed to: (top, left, height, width) in LR samples."""
        return self.scene.region(self.present)

    @property
    def scale(self) -> int:
        """The present model's factor s, 4 or 8."""
        return self.scene.scale

    def show_deviation(self, deviation: np.ndarray | None, region: sr.Rect | None = None) -> None:
        """Lay a standard deviation over samples, (H, W), over the region that it is of; None takes it away."""
        self.deviation, self._measured = deviation, region
        self.show_overlay()

    def show_overlay(self) -> None:
        """Show the deviation, or do not, as the control says."""
        if self.deviation is None or not self.overlay.value:
            if self.picture.overlay:
                self.picture.overlay = b""
            return
        with self.picture.hold_sync():
            self.picture.overlay_rect = self._pixels(self._measured)
            self.picture.overlay = encode(heat(self.deviation), "jpeg")

    def _page_has_all(self, present: Settings) -> bool:
        """Whether nothing of the visible part is missing in the page, or only a draft there."""
        region = self.scene.region(present)
        if not self._has_answer(present, region):
            return False
        wanted = self._left_key(present)
        if wanted is None or not present.share:
            return True
        return self._left is not None and self._left[::2] == (wanted, True) and contains(self._left[1], region)

    def _has_answer(self, present: Settings, region: sr.Rect) -> bool:
        """Whether the page has the exact answer in a region."""
        if self._right is None or self._right[::2] != (present.latents, True):
            return False
        return contains(self._right[1], region)

    def _send_draft(self, present: Settings, changed: sr.Rect | None) -> bool:
        """Send what can be made at once; False where nothing of the answer can."""
        region = self.scene.region(present)
        self._send_left(present, region, exact=False)
        if self._has_answer(present, region):
            return True
        if self.scene.knows(present, region):
            self._send_right(present, region, self.scene.answer(present), "jpeg")
            return True
        part = self.scene.beside_border(present, right=True)
        piece = part if changed is None or part is None else common(changed, part)
        if piece is None:
            return True  # all that changed is hidden
        if not self.scene.is_encoded(piece):
            self._clear_answer(present)
            return False
        picture = self.scene.sample(present, piece, draft=True)
        if changed is None or self._right is None:
            self._send_right(present, piece, picture, "jpeg")
        else:
            with self.picture.hold_sync():
                self._send_patch(piece, picture)
                self.picture.exact = False
            self._right = present.latents, self._right[1], False
        return True

    def _send_right(self, present: Settings, region: sr.Rect, picture: np.ndarray, form: str) -> None:
        exact, whole = form == "png", region == self.scene.whole
        with self.picture.hold_sync():  # in one message: no picture at the wrong place
            if exact and whole:
                self.picture.whole, self.picture.right = encode(picture, form), b""
                self._whole = present.latents
            else:
                self.picture.right_rect = self._pixels(region)
                self.picture.right = encode(picture if exact else self._as_seen(picture), form)
                self._drop_whole(present)
            self.picture.exact = exact
        self._right = present.latents, region, exact

    def _as_seen(self, picture: np.ndarray) -> np.ndarray:
        """A draft at no more pixels than the screen shows of it: fewer bytes are under way."""
        answer, screen = self.picture.size[0], self.picture.shown[0] * self.picture.zoom
        if not 0 < screen < answer:  # 0 before a page has said
            return picture
        return reduced(picture, math.ceil(max(picture.shape[:2]) * screen / answer))

    def _clear_answer(self, present: Settings) -> None:
        """Let the page show the bicubic picture where it has another sample, until there is something of this one."""
        if self._right is not None and self._right[0] == present.latents:
            return
        with self.picture.hold_sync():
            self.picture.right, self.picture.exact = b"", False
            self._drop_whole(present)
        self._right = None

    def _drop_whole(self, present: Settings) -> None:
        """Take the whole answer from the page where it is another sample's."""
        if self.picture.whole and self._whole != present.latents:
            self.picture.whole = b""

    def _send_patch(self, region: sr.Rect, picture: np.ndarray) -> None:
        with self.picture.hold_sync():
            self.picture.patch_rect = self._pixels(region)
            self.picture.patch = encode(self._as_seen(picture), "jpeg")

    def _left_key(self, present: Settings) -> object:
        """What the left side is of; None where it is bicubic, which the page has below everything."""
        if present.left == "bicubic":
            return None
        sample = self.scene.left_sample(present)
        return present.left if sample is None else sample.latents

    def _send_left(self, present: Settings, region: sr.Rect, *, exact: bool) -> None:
        """Send the left side, unless it is there; a sample that is not known only as far as it is seen."""
        key, sample = self._left_key(present), self.scene.left_sample(present)
        if self._left is not None and self._left[0] != key:  # not even for a moment below the other's name
            self.picture.left, self._left = b"", None
        if key is None:
            return
        if sample is None:  # the original
            region = self.scene.whole
        elif not present.share:
            return
        there = self._left is not None and self._left[0] == key and contains(self._left[1], region)
        if there and (self._left[2] or not exact):
            return
        if sample is None or exact or self.scene.knows(sample, region):
            picture, form = self.scene.left_picture(present, region), "png"
        else:
            part = self.scene.beside_border(present, right=False)
            if part is None or not self.scene.is_encoded(part):
                return
            region, form = part, "jpeg"
            picture = self.scene.sample(sample, region, draft=True)
        with self.picture.hold_sync():
            self.picture.left_rect, self.picture.left = self._pixels(region), encode(picture, form)
        self._left = key, region, form == "png"

    def _lay_again(self) -> None:
        """Let the answer lie above all patches, which go."""
        self.picture.patch = b""
        for name in ("whole", "right"):
            if layer := getattr(self.picture, name):
                setattr(self.picture, name, layer)  # counts as new

    def _pixels(self, region: sr.Rect) -> tuple[int, int, int, int]:
        """A region of the LR image as the page has rectangles: (left, top, width, height) in the answer's pixels."""
        top, left, height, width = (self.scale * n for n in region)
        return left, top, width, height

    def _mark_old(self, present: Settings) -> None:
        """Say that work goes on, and that the numbers are of another picture."""
        self.picture.working = True
        if self._scores is None or self._scores[0] != present.latents:
            self.metrics.add_class(OLD)

    def _label(self, present: Settings) -> None:
        sample = self.scene.left_sample(present)
        left = present.left if sample is None or present.left == "z = 0" else described(sample)
        with self.picture.hold_sync():
            self.picture.left_label = f"best: {left}" if present.left == "best" else left
            self.picture.right_label = f"{present.model}, {described(present)}"
            self.picture.name = f"{present.image}, enlarged {self.scale} times"

    def _note_time(self, form: str, start: float) -> None:
        self.milliseconds[form] = 1000 * (time.perf_counter() - start)


def described(settings: Settings) -> str:
    """Which sample, in a few words, such as "sample 12, T 0.4"."""
    latents = settings.latents
    what = f"sample {latents.seed:g}, T {latents.temperature:g}" if latents.temperature else "z = 0"
    return what + ", steered" * any(latents.amounts) + ", by regions" * bool(latents.regions)


def contains(outer: sr.Rect, inner: sr.Rect) -> bool:
    """Whether a rectangle, (top, left, height, width), holds another."""
    return common(outer, inner) == inner
