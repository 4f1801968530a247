"""What the view shows: a draft while something moves, the exact picture at rest, and then its scores."""

from __future__ import annotations

import time

import numpy as np

import srvae_core as sr

from .controls import Controls, as_html
from .pace import Pace
from .pictures import encode, magnify
from .scene import Scene, Steps
from .settings import Settings

REST_DELAY = 0.4  # seconds without a move after which the answer is decoded exactly and sent without loss
SCORES_DELAY = 0.1  # seconds after that until the scores are computed, unless something has moved


class Screen(Controls):
    """The controls and the picture that they make of a scene.

    Args:
        images: names to choose from.
        models: likewise.
        rest_delay: seconds without a move after which the exact answer is shown.

    Attributes:
        scene: the present image under the present model; whoever makes a screen sets it.
        pace: runs all that happens here.
        deviation: (H, W), the standard deviation over samples in grey levels, once measured for the present settings.
        remarks: sentences about how the image was read; they stand below the scores.
        milliseconds: of the last "jpeg" (a move) and "png" (rest), from a value to the frame's departure.
    """

    scene: Scene

    def __init__(self, images: list[str], models: list[str], rest_delay: float) -> None:
        super().__init__(images, models)
        self.pace = Pace(self.show_error, self.show_running)
        self.deviation: np.ndarray | None = None
        self.remarks: tuple[str, ...] = ()
        self.milliseconds: dict[str, float] = {}
        self._rest_delay = rest_delay
        self._frame = np.zeros((1, 1, 3), np.uint8)

    # What is on show. Asking for the frame or the answer brings the view to rest.

    @property
    def frame(self) -> np.ndarray:
        """The picture on show at rest, (H, W, 3) uint8; where the view is zoomed, of the region only."""
        with self.pace.lock:
            if self.pace.is_due or self.picture.format == "jpeg":  # a draft stays where the exact answer failed
                self.rest()
            return self._frame

    @property
    def answer(self) -> np.ndarray:
        """The model's own picture for the settings, without the left side; (H, W, 3) uint8, of the region likewise."""
        with self.pace.lock:
            if self.scene.kept_answer(self.present) is None:
                self.rest()
            return self.scene.answer(self.present)

    @property
    def present(self) -> Settings:
        """The values of the controls, as the scene reads them."""
        return Settings.of(self.settings)

    @property
    def region(self) -> sr.Rect:
        """What is zoomed to: (top, left, height, width) in LR samples."""
        return self.scene.region(self.present)

    @property
    def sampler(self) -> sr.Sampler:
        """The present image, encoded."""
        return self.scene.sampler

    @property
    def lr(self) -> np.ndarray:
        """The present LR image, (h, w, 3) uint8."""
        return self.scene.lr

    @property
    def original(self) -> np.ndarray | None:
        """What it was reduced from, (s*h, s*w, 3) uint8; None where it was given as it is."""
        return self.scene.original

    @property
    def bicubic(self) -> np.ndarray:
        """What bicubic interpolation makes of it, (s*h, s*w, 3) uint8."""
        return self.scene.bicubic

    @property
    def scale(self) -> int:
        """The present model's factor s, 4 or 8."""
        return self.scene.scale

    def sample(
        self, seed: int | None = None, *, whole: bool = False, region: sr.Rect | None = None, draft: bool = False
    ) -> np.ndarray:
        """The answer to the settings, or to another seed and no walk, (H, W, 3) uint8.

        Args:
            seed: the other seed.
            whole: the whole answer in the place of what is zoomed to.
            region: (top, left, height, width) in LR samples, likewise.
            draft: roughly, see :class:`srvae_core.Sampler`.
        """
        settings = self.present if seed is None else self.present.with_seed(seed)
        if region is None and not whole:
            region = self.region
        return self.scene.sample(settings, region, draft=draft)

    # From a change to a frame: each step calls the next.

    def decode(self) -> None:
        """Show another sample, or another region of it."""
        self.pace.cancel()
        self.deviation = None
        if any(slider.value for slider in self.amounts):
            self.find_directions()
        self.compose()

    def compose(self) -> None:
        """Show another frame: now as a draft, unless the exact answer is at hand, and later at rest."""
        start = time.perf_counter()
        if self.pace.later(self._rest_delay, self._resting()):
            self._send(self._draw(), "jpeg", start)
            self.pace.later(self._rest_delay, self._resting())  # from now: a draft may take longer than that

    def rest(self, start: float | None = None) -> None:
        """Show the exact answer at once; its scores come later, since they take longer than a step may.

        Args:
            start: by ``time.perf_counter``, when the work on it began, if before this call.
        """
        start = time.perf_counter() if start is None else start
        self.scene.answer(self.present)  # keeps it, so that what is drawn is no draft
        self._frame = self._draw()
        self._send(self._frame, "png", start)
        self.pace.later(SCORES_DELAY, self._describing())

    def show_deviation(self, deviation: np.ndarray) -> None:
        """Lay a standard deviation over samples, (H, W), over the picture."""
        self.deviation = deviation
        self._send(self._draw(), "jpeg")

    def find_directions(self) -> None:
        """Find what the sliders of the directions move along, and name them; takes a second the first time."""
        self.name_directions(list(self.scene.find_directions().effects))

    def _resting(self) -> Steps:
        """Come to rest in steps: the exact answer of a large image takes longer than a move should have to wait."""
        start = time.perf_counter()
        yield from self.scene.answer_in_steps(self.present)
        self.rest(start)

    def _draw(self) -> np.ndarray:
        return self.scene.frame(self.present, self.deviation if self.overlay.value else None)

    def _send(self, frame: np.ndarray, form: str, start: float | None = None) -> None:
        picture = magnify(frame, self.zoom.value) if form == "png" else frame  # at rest show true pixels
        with self.picture.hold_sync():  # format and bytes in one message: no frame with the wrong one
            self.picture.format, self.picture.value = form, encode(picture, form)
        if start is not None:
            self.milliseconds[form] = 1000 * (time.perf_counter() - start)

    def _describing(self) -> Steps:
        lines = yield from self.scene.describe(self.present)
        names = {"jpeg": "last move", "png": "answer at rest"}
        took = [f"{names[form]} in {self.milliseconds[form]:.0f} ms" for form in names if form in self.milliseconds]
        lines = [as_html(line) for line in (*lines, ", ".join(took), *self.remarks)]
        self.metrics.value = f'<div role="status">{"<br>".join(lines)}</div>'
