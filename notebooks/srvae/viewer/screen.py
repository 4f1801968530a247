"""What the view shows: a draft while something moves, the exact picture at rest, and then its scores.

The page draws the layers that it is sent (see :mod:`~viewer.picture`) and moves border, zoom and pan by itself. What is
sent here is the visible region alone, until the whole answer is known for its scores: then the page has all of it.
"""

from __future__ import annotations

import time

import numpy as np

import srvae_core as sr

from .controls import as_html
from .history import History
from .layers import OLD, Layers
from .pace import Pace
from .scene import Steps
from .settings import LOOK

REST_DELAY = 0.4  # seconds without a move after which the answer is decoded exactly and sent without loss
SCORES_DELAY = 0.1  # seconds after that until the scores are computed, unless something has moved


class Screen(Layers):
    """The controls and the picture that they make of a scene.

    Args:
        images: names to choose from.
        models: likewise.
        rest_delay: seconds without a move after which the exact answer is shown.

    Attributes:
        pace: runs all that happens here.
        history: what was shown at rest.
        remarks: sentences about how the image was read; they stand below the scores.
    """

    def __init__(self, images: list[str], models: list[str], rest_delay: float) -> None:
        super().__init__(images, models)
        self.pace = Pace(self.show_error, self.show_running)
        self.history = History()
        self.remarks: tuple[str, ...] = ()
        self._rest_delay = rest_delay

    # What is on show. Asking for the frame or the answer brings the view to rest.

    @property
    def frame(self) -> np.ndarray:
        """The picture on show at rest, (H, W, 3) uint8; where the view is zoomed, of the region only."""
        with self.pace.lock:
            if self.pace.is_due or not self.picture.exact:  # a draft stays where the exact answer failed
                self.rest()
            laid_over = self.overlay.value and self._measured == self.region
            return self.scene.frame(self.present, self.deviation if laid_over else None)

    @property
    def answer(self) -> np.ndarray:
        """The model's own picture for the settings, without the left side; (H, W, 3) uint8, of the region likewise."""
        with self.pace.lock:
            if not self.scene.knows(self.present, self.region):
                self.rest()
            return self.scene.answer(self.present).copy()

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

    def sample(
        self, seed: float | None = None, *, whole: bool = False, region: sr.Rect | None = None, draft: bool = False
    ) -> np.ndarray:
        """The answer to the settings, or to another seed, (H, W, 3) uint8.

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

    # From a change to a picture: each step calls the next.

    def decode(self, changed: sr.Rect | None = None) -> None:
        """Show another sample; ``changed`` is the only part of it that is another, in LR samples."""
        self.pace.cancel()
        self.show_deviation(None)
        if self.spread.value:
            self.spread.add_class(OLD)
        self.compose(changed)

    def look(self) -> None:
        """Send what the page lacks of the part that one looks at now."""
        if not self._page_has_all(self.present):
            self.compose()

    def compose(self, changed: sr.Rect | None = None) -> None:
        """Show another picture: now as a draft, unless the exact answer is at hand, and later at rest."""
        present = self.present
        self.scene.check(present)
        if self.play.value:  # which comes to rest at its own end
            self.show_draft()
            return
        self._mark_old(present)
        if self.pace.later(self._rest_delay, self._resting()):
            seen = self.show_draft(changed)
            # from now: a draft may take longer than that. Where there is none yet, nothing else is to be seen meanwhile
            self.pace.later(self._rest_delay if seen else 0, self._resting())

    def show_draft(self, changed: sr.Rect | None = None) -> bool:
        """Show a draft alone, of what changed; whoever calls this lets the view come to rest later.

        Returns:
            whether anything of the answer could be made at once.
        """
        start = time.perf_counter()
        present = self.present
        self._mark_old(present)
        with self.picture.hold_sync():  # in one message: no picture below another's name
            self._label(present)
            seen = self._send_draft(present, changed)
        self._note_time("jpeg", start)
        return seen

    def rest(self, start: float | None = None) -> None:
        """Show the exact answer at once; its scores come later, since they take longer than a step may.

        Args:
            start: by ``time.perf_counter``, when the work on it began, if before this call.
        """
        start = time.perf_counter() if start is None else start
        present = self.present
        region = self.scene.region(present)
        with self.picture.hold_sync():
            self._label(present)
            self._send_left(present, region, exact=True)
            if not self._has_answer(present, region):
                self._send_right(present, region, self.scene.answer(present), "png")
        self._note_time("png", start)
        self.note_state()
        for slider in (self.seed, self.left_seed, self.region_seed):
            slider.make_room()
        self.pace.later(SCORES_DELAY, self._describing())

    def show_error(self, error: Exception | str | None) -> None:
        super().show_error(error)
        if isinstance(error, Exception):
            self.picture.working = self.pace.is_due or self.pace.is_studying

    def show_running(self, running: bool) -> None:
        super().show_running(running)
        if not running and self.play.value:  # whatever ended it, what is on show is a draft
            with self.pace.hold():
                self.play.value = False
            self.pace.later(self._rest_delay, self._resting())
        self.picture.working = running or self.pace.is_due

    # The work at rest, in steps: the exact answer of a large image takes longer than a move should have to wait.

    def _resting(self) -> Steps:
        start = time.perf_counter()
        present = self.present
        region = self.scene.region(present)
        # where there is no draft of it, the pieces are shown as they come
        show = None if self._right is not None and self._right[0] == present.latents else self._send_patch
        yield from self.scene.answer_in_steps(present, region, show)
        left = self.scene.left_sample(present)
        if left is not None and present.share:
            yield from self.scene.answer_in_steps(left, region)
        self.rest(start)

    def _describing(self) -> Steps:
        present = self.present
        if self._scores is None or self._scores[0] != present.latents:
            lines = yield from self.scene.describe(present)
            self._scores = present.latents, lines
        whole = self.scene.whole
        answer = yield from self.scene.answer_in_steps(present, whole)
        if not self._has_answer(present, whole):
            self._send_right(present, whole, answer, "png")
        names = {"jpeg": "last move", "png": "answer at rest"}
        took = [
            f"{names[form]} in {self.milliseconds[form]:.0f} ms"
            for form in names
            if self.milliseconds.get(form, 0) >= 1
        ]
        lines = [as_html(line) for line in (*self._scores[1], ", ".join(took), *self.remarks)]
        self.metrics.value = f'<div role="status">{"<br>".join(lines)}</div>'
        self.metrics.remove_class(OLD)
        self.picture.working = self.pace.is_studying

    # Undo and redo.

    def note_state(self) -> None:
        """Take the present settings into the history, but for where one looks."""
        self.remember(self.history.noted(self.state))

    @property
    def state(self) -> dict[str, object]:
        """The settings that undo and redo bring back."""
        return {name: value for name, value in self.settings.items() if name not in LOOK}

    def remember(self, history: History) -> None:
        """Take a history and say in which directions it can be gone along."""
        self.history = history
        self.undo.disabled, self.redo.disabled = not history.can(-1), not history.can(1)
