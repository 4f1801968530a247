"""The view: the settings on show, the way from a change to its picture, and undo."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from IPython import get_ipython
from IPython.display import display

import srvae_core as sr

from . import handlers
from .controls import OLD, Controls
from .files import Files, Source
from .pace import PAUSE, Pace, Steps
from .page import Page
from .pictures import captioned
from .scene import SCORED, Scene, load_model
from .settings import Settings

REST_DELAY = 0.4  # seconds without a move after which the exact answer is shown
SCORES_DELAY = 0.1  # seconds after that until the scores are computed
GESTURE_ENDS = 1.0  # seconds after which another move of the same widget is another step of undo
UNDO = 30  # steps that can be undone

_shown_in_cells: dict[str, tuple[int, list[View]]] = {}  # cell -> its last run, and the views shown in that run


class View:
    """An interactive enlargement with samples.

    The picture is a function of :attr:`settings`. A control asks for other settings; they become current only after
    their draft was decoded, so that an error leaves everything as it was::

        control moved -> new = replace(settings, temperature=0.4) -> page.make_draft(scene, new) -> settings = new

    Args:
        photographs: originals by name, any image that :func:`srvae_core.check_image` takes; they are shrunk, enlarged
            again and compared.
        scale: 4 or 8; the shipped models of this scale come first.
        models: names or paths for :func:`srvae_core.load_model`, in the place of the shipped ones.
        directions: add the page of directions, and open it.
        rest_delay: seconds without a move after which the exact answer is shown.

    Attributes:
        settings: of the picture on show; see :meth:`apply`.
        scene: its :class:`~viewer.scene.Scene`, with ``sampler``, ``lr``, ``original`` and ``bicubic``.
        controls: the widgets; setting ``view.controls.temperature.value`` does what a drag does.
        page: the picture. files: the photographs to choose from.
        pace: the scheduler of exact pictures, scores and longer jobs.

    Raises:
        TypeError: photographs or models are of another type.
        ValueError: there is no photograph, one that cannot be shown, or no model of that scale.
        FileNotFoundError: there is no such model as the first.
    """

    def __init__(
        self,
        photographs: Mapping[str, np.ndarray],
        scale: int,
        models: Sequence[str | os.PathLike] | None = None,
        *,
        directions: bool = False,
        rest_delay: float = REST_DELAY,
    ) -> None:
        self.files = Files(photographs)
        names = models_for(scale) if models is None else model_names(models)
        if not self.files.sources or not names:
            raise ValueError(f"the view needs a photograph and a model of scale {scale}")
        self.page = Page()
        self.controls = Controls(list(self.files.sources), names, self.page.picture, directions=directions)
        self.pace = Pace(self._say_error, self.controls.show_running)
        self.scene: Scene | None = None
        self.source: Source | None = None  # of the photograph on show
        self.settings = Settings(next(iter(self.files.sources)), names[0])
        self._rest_delay = rest_delay
        self._past: list[Settings] = []
        self._future: list[Settings] = []
        self._gesture: tuple[object, float] = None, 0.0  # the widget that is dragged, and when it moved last
        self._described: tuple[object, ...] = ()  # what the scores are of
        self.map: handlers.Map | None = None
        self.nine: dict[int, Settings] = {}  # of the thumbnails
        self.previewed: Scene | None = None  # whose directions are pictured
        self.controls.bindings += handlers.region_bindings(self)
        self.first = self._rested = replace(self.settings, temperature=load_model(names[0]).temperature)
        self._show(self.first)
        handlers.connect(self)
        if directions:
            self.controls.pages.selected_index = len(self.controls.pages.children) - 1

    def show(self) -> None:
        """Display the view, preceded by a static image for readers without a kernel.

        A cell that is run again closes the views that it showed before.
        """
        if cell := _this_cell():
            run, views = _shown_in_cells.pop(cell[0], (cell[1], []))
            if run != cell[1]:
                for view in views:
                    view.close()
                views = []
            _shown_in_cells[cell[0]] = cell[1], [*views, self]
        self.first = self.settings
        self._past.clear()
        self._future.clear()
        self._follow()
        self.page.picture.still = True
        display(captioned({f"{self.page.picture.left_label} | {self.page.picture.right_label}": self.frame}))
        display(self.controls.widget)

    def close(self) -> None:
        """Stop all work and close all widgets, so that neither the kernel nor the page keeps them."""
        with self.pace.lock:
            self.pace.close()
            self.controls.close()

    @property
    def frame(self) -> np.ndarray:
        """The exact picture with both sides, the border and the map, (H, W, 3) uint8; what is visible if zoomed."""
        with self.pace.lock:
            self._come_to_rest()
            return self.scene.view(self.settings, handlers.visible_map(self))

    @property
    def answer(self) -> np.ndarray:
        """The exact answer of the visible part without the left side, (H, W, 3) uint8."""
        with self.pace.lock:
            self._come_to_rest()
            return self.scene.answer(self.settings, self.scene.visible(self.settings)).copy()

    # -- From a change to a picture -------------------------------------------------------------------------

    def apply(self, settings: Settings | None = None, *, gesture: object = None, **changes: object) -> None:
        """Show the picture of other settings, or of some changes to the present ones.

        Args:
            settings: all settings.
            gesture: the widget that is dragged; its moves until it rests are one step of undo.
            changes: fields of :class:`~viewer.settings.Settings`.

        Raises:
            TypeError: there is no such field.
            ValueError, OSError: there is no such picture; nothing has changed then.
        """
        with self.pace.lock:
            before = self.settings
            self._show(self._changed(changes) if settings is None else settings)
            if self.settings != before.looking_as(self.settings):
                now = time.monotonic()
                if gesture is None or gesture is not self._gesture[0] or now - self._gesture[1] > GESTURE_ENDS:
                    self._past = [*self._past, before][-UNDO:]
                self._gesture = gesture, now
                self._future.clear()
                self._follow()

    def undo(self) -> None:
        """Show the settings before the last change again."""
        self._go(self._past, self._future)

    def redo(self) -> None:
        """Show the settings that were undone last again."""
        self._go(self._future, self._past)

    def _go(self, source: list[Settings], target: list[Settings]) -> None:
        with self.pace.lock:
            if not source:
                raise ValueError("there is nothing to undo or redo")
            present = self.settings
            same = source[-1].image == present.image
            self._show(source[-1].looking_as(present) if same else source[-1])
            target.append(present)
            source.pop()
            self._gesture = None, 0.0
            self._follow()

    def _follow(self) -> None:
        self.controls.undo.disabled, self.controls.redo.disabled = not self._past, not self._future

    def _changed(self, changes: Mapping[str, object]) -> Settings:
        """The settings after some changes, without what belongs to the photograph or the model before."""
        old, new = self.settings, replace(self.settings, **changes)
        other = Settings(new.image, new.model)
        names = ("regions", "best", "amounts") if (new.image, new.model) != (old.image, old.model) else ()
        names += ("work", "zoom", "across", "down") if new.image != old.image else ()
        new = replace(new, **{name: getattr(other, name) for name in names if name not in changes})
        own = load_model(old.model).temperature
        if new.model != old.model and old.temperature == own and "temperature" not in changes:  # it was not moved
            new = replace(new, temperature=load_model(new.model).temperature)
        there = {"best": new.best is not None, "original": self._source(new.image).is_original}
        return new if "left" in changes or there.get(new.left, True) else replace(new, left="bicubic")

    def _source(self, image: str) -> Source:
        if image not in self.files.sources:
            raise ValueError(f"there is no photograph {image!r}; there are {', '.join(self.files.sources)}")
        return self.files.sources[image]

    def _scene_of(self, new: Settings) -> tuple[Scene, Source]:
        """The scene of some settings, the present one if it is of the same photograph, model and part."""
        old, source = self.settings, self._source(new.image)
        if self.scene and new.image == old.image:
            source = self.source
            if (new.model, new.work) == (old.model, old.work):
                return self.scene, source
        source = source.read()
        model = load_model(new.model)
        try:
            return Scene(source.image, model, is_original=source.is_original, work=new.work), source
        except ValueError as error:
            raise ValueError(f"{new.image}: {error}") from error

    def _show(self, new: Settings) -> None:
        """Show a draft of some settings now, and the exact picture later."""
        scene, source = self._scene_of(new)
        scene.check(new)
        old = self.settings
        if scene is not self.scene:
            self.page.begin(scene, source.image)
        draft = self.page.make_draft(scene, new, changed_part(scene, old, new))
        self.page.show_draft(draft)
        self.scene, self.source, self.settings = scene, source, new
        self.controls.follow(new, scene)
        handlers.show_map(self)
        if self.page.covers(scene, new):
            self.pace.later(SCORES_DELAY, self._describing())
        else:
            self.page.picture.working = True
            if self._described != (scene, new.latents):
                self.controls.scores.add_class(OLD)
            empty = draft.right is None and not draft.complete  # nothing else is to be seen meanwhile
            self.pace.later(0 if empty else self._rest_delay, self._at_rest(pieces=not draft.complete))
        handlers.preview_directions(self)

    # -- The work at rest, in steps: an exact answer takes longer than a move should have to wait ------------

    def _at_rest(self, *, pieces: bool) -> Steps:
        """Show the exact picture, then its scores. If nothing could be decoded, go back to what was shown last."""
        try:
            yield from self._resting(pieces=pieces)
            yield SCORES_DELAY
            yield from self._describing()
        except Exception:
            self.page.picture.working = False
            if self.page.right is None and self._rested != self.settings:
                if self._past[-1:] == [self._rested]:
                    self._past.pop()
                    self._follow()
                self._show(self._rested)
            raise

    def _resting(self, *, pieces: bool = False) -> Steps:
        scene, settings = self.scene, self.settings
        visible = scene.visible(settings)
        for block, picture in scene.steps(settings, visible):
            if pieces:
                self.page.patch(scene, settings, block, picture)
            yield PAUSE
        sample = scene.left_sample(settings)
        if sample is not None and settings.share:
            for _ in scene.steps(sample, visible):
                yield PAUSE
        self.page.rest(scene, settings, visible)
        self._rested, self._gesture = settings, (None, 0.0)

    def _describing(self) -> Steps:
        scene, settings = self.scene, self.settings
        if self._described != (scene, settings.latents):
            lines = yield from scene.describe(settings)
            self._described = scene, settings.latents
            self.controls.show_scores([*lines, *self.source.remarks])
        if scene.scale**2 * scene.rect[2] * scene.rect[3] <= SCORED:  # then all of it is known
            self.page.rest(scene, settings, scene.rect)
        self.page.picture.working = False

    def _come_to_rest(self) -> None:
        if not self.page.picture.exact or not self.page.covers(self.scene, self.settings):
            for _ in self._resting():
                pass

    def _say_error(self, error: Exception) -> None:
        self.controls.say(str(error) or type(error).__name__, error=True)

    def guarded(self, action: Callable[[], str | None], *, quiet: bool = False) -> Callable[..., None]:
        """Make a handler that shows what an action returns or raises; a quiet one keeps the last message."""

        def handler(*_: object) -> None:
            with self.pace.lock:
                if not quiet:
                    self.controls.say("")
                try:
                    if message := action():
                        self.controls.say(message)
                except Exception as error:
                    self._say_error(error)
                    self.controls.follow(self.settings, self.scene)

        return handler


def changed_part(scene: Scene, old: Settings, new: Settings) -> sr.Rect | None:
    """The only part in which two answers of a scene differ, if that is its last region; in the scene's coordinates."""
    last = new.regions[-1:]
    before = old.regions[: len(new.regions) - 1]
    if not last or replace(old, regions=()) != replace(new, regions=()) or new.regions[:-1] != before:
        return None
    if len(old.regions) > len(before) and old.regions[len(before)].rect != last[0].rect:
        return None
    return sr.relative_to(last[0].rect, scene.frame)


def models_for(scale: int) -> list[str]:
    """The shipped models, those of a scale first; none where none of that scale is shipped."""
    own = sr.available_models(scale)
    return [*own, *(name for name in sr.available_models() if name not in own)] if own else []


def model_names(models: Sequence[str | os.PathLike]) -> list[str]:
    """Names or paths of models as strings; TypeError for anything but a list of them."""
    right = isinstance(models, Sequence) and not isinstance(models, str)
    if not right or not all(isinstance(model, str | os.PathLike) for model in models):
        raise TypeError(f"models must be a list of names or paths, such as ['4x-D'], not {models!r}")
    return [os.fspath(model) for model in models]


def _this_cell() -> tuple[str, int] | None:
    """The cell that runs and the number of its run; None outside a notebook."""
    shell = get_ipython()
    kernel = getattr(shell, "kernel", None)
    cell = kernel and kernel.get_parent("shell").get("metadata", {}).get("cellId")
    return (cell, shell.execution_count) if cell else None
