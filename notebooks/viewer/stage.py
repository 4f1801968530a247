"""The image on show, under a model and with settings: whatever changes them does so whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import directions
import numpy as np

import srvae_core as sr

from . import effects
from .files import Source
from .pages import PAGES, show_if
from .picture import LAYERS
from .pictures import encode, overview
from .scene import Scene, load_model
from .screen import Screen
from .settings import SIDES, Value, checked
from .snapshot import Place, Snapshot
from .window import LR_EDGE, cut, place_around, remark, shares, window

RECTANGLES = ("left_rect", "right_rect", "overlay_rect")  # of layers that need not cover everything
NAMED = 5  # files that could not be read: more of them are only counted


@dataclass(frozen=True)
class Subject:
    """What a scene is of: an image and the part of it that is in work, under a model."""

    image: str
    model: str
    work_across: float = 0.5
    work_down: float = 0.5


@dataclass(frozen=True)
class Prepared:
    """A scene that is ready to be shown, and what is said and shown beside it."""

    subject: Subject
    scene: Scene
    remarks: tuple[str, ...]
    image: np.ndarray  # whole
    rect: sr.Rect  # of the part in work


class Stage(Screen):
    """The images to choose from, and the one on show.

    Args:
        sources: the images by name; the first is shown.
        models: names for :func:`srvae_core.load_model`, likewise.
        rest_delay: seconds without a move after which the exact answer is shown.
        step_edge: pixels a side of what is decoded at once at rest.

    Attributes:
        sources: as given, and what came later; never changed in place.
    """

    def __init__(self, sources: Mapping[str, Source], models: list[str], rest_delay: float, step_edge: int) -> None:
        super().__init__(list(sources), models, rest_delay)
        self.sources = dict(sources)
        self._step_edge = step_edge
        self._subject: Subject | None = None  # what the scene is of
        self._own_temperature = 0.0  # the present model's
        self._named = False  # whether the directions have got their names
        self.encode()
        self._chosen = self._choices()  # what the picture is of: to come back to when a control fails

    # Settings.

    def apply(self, settings: Mapping[str, object], *, anew: bool = False) -> None:
        """Put in settings, all or some, and show their picture.

        Args:
            settings: from ``view.settings``.
            anew: read the image again even if its name has not changed.

        Raises:
            TypeError: the settings are no mapping.
            ValueError: there are no such settings, or they may not be so; nothing has changed then.
            OSError: the image or the model cannot be read any more; likewise.
        """
        with self.pace.lock:
            values = checked(settings, {"image": self.image.options, "model": self.model.options})
            with self._all_or_nothing():
                self._put_in(values, anew)

    def _put_in(self, values: Mapping[str, Value], anew: bool) -> None:
        chosen = self.settings | values
        subject = Subject(chosen["image"], chosen["model"], chosen["work_across"], chosen["work_down"])
        if not values.keys() & {"work_across", "work_down"} and subject.image != self._subject.image:
            subject = Subject(subject.image, subject.model)  # another image is shown from its middle
        # this first: a new image resets the latents, and a new model may bring a temperature of its own
        if anew or self._subject != subject:
            self._put_on(self._made(subject))
        self._set(values)
        self.decode()

    def _set(self, values: Mapping[str, object]) -> None:
        """Change controls without running their handlers."""
        with self.pace.hold(), self.picture.hold_sync():
            for name, value in values.items():
                setattr(*self.places[name], value)
        self._show_which()

    def _show_which(self) -> None:
        """Let those controls be seen that are of use now."""
        show_if(self.left.value == "another sample", self.left_seed)
        self.drop.disabled = not self.regions

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """After an error inside, the view is as it was: first what is shown, then the controls that it is of."""
        chosen, shown, laid = self._chosen, Snapshot(self._shown()), self.picture.laid
        try:
            yield
        except BaseException:  # an interrupted cell is one of them
            with self.pace.hold(), self.picture.hold_sync():
                shown.bring_back()
                chosen.bring_back()
                if self.picture.laid != laid:
                    self._lay_again()
            self._chosen = chosen
            self._show_which()
            raise
        self._chosen = self._choices()

    def whole(self, action: Callable[[], str | None]) -> str | None:
        """What a control does, or nothing of it."""
        with self._all_or_nothing():
            return action()

    def _choices(self) -> Snapshot:
        """What the controls say. When a handler begins, one of them has changed already: this is of the time before."""
        there = (self.region_temperature, self.region_seed, self.region_direction, self.region_amount)
        others = [(control, "value") for control in (self.overlay, *there)]
        return Snapshot([*self.places.values(), *others])

    def _shown(self) -> Iterator[Place]:
        """What else an action may change, but for its own results, such as a file."""
        own = ("scene", "deviation", "remarks", "sources", "history", "_measured", "_right", "_left", "_subject")
        yield from ((self, name) for name in (*own, "_own_temperature", "_named"))
        labels = ("left_label", "right_label", "name", "exact", "working", "size", "selection")
        # but for patches, of which the page has a pile
        yield from ((self.picture, name) for name in (*LAYERS, *RECTANGLES, *labels) if name != "patch")
        yield from ((self.picture, name) for name in ("overview", "overview_rect"))
        yield self.metrics, "value"
        yield self.metrics, "_dom_classes"
        yield self.image, "options"
        yield self.region_direction, "options"
        yield from ((button, "disabled") for button in (self.undo, self.redo))
        yield from ((slider, name) for slider in self.amounts for name in ("description", "tooltip"))
        yield from ((image, "value") for image in (*self.befores, *self.afters))

    # Images and models.

    def encode(self) -> None:
        """Show the chosen image under the chosen model; another image from its middle."""
        subject = Subject(self.image.value, self.model.value)
        if self._subject is not None and self._subject.image == subject.image:
            subject = replace(subject, work_across=self.work_across, work_down=self.work_down)
        self._put_on(self._made(subject))
        self.decode()

    def work_at(self, x: float, y: float) -> None:
        """Take the part of the image in work whose middle is at a point, 0 to 1 from left and top."""
        source = self.sources[self.image.value]
        edge = LR_EDGE * (self.scale if source.is_original else 1)
        across, down = place_around(source.read().image, edge, x, y)
        self.apply({"work_across": across, "work_down": down})

    def _put_on(self, prepared: Prepared) -> None:
        """Take a scene and make the controls that depend on it fit."""
        subject, scene = prepared.subject, prepared.scene
        moved = self._subject is None or replace(self._subject, model=subject.model) != subject
        self.scene, self.remarks, self._subject = scene, prepared.remarks, subject
        values = {"image": subject.image, "model": subject.model, "regions": (), "best": None}
        values |= {"work_across": subject.work_across, "work_down": subject.work_down}
        if moved:
            values |= {"zoom": 1.0, "across": 0.5, "down": 0.5}
        if self.left.value == "best" or (self.left.value == "original" and scene.original is None):
            values["left"] = SIDES[0]
        own = min(scene.sampler.model.temperature, self.temperature.max)
        if self.temperature.value == self._own_temperature:  # not moved: what the new model answers at
            values["temperature"] = own
        self._own_temperature = own
        self._set(values)
        self._clear_page(prepared)
        self._named = False
        self.zero_amounts()
        with self.pace.hold():
            self.name_directions(None)
        self.prepare_page()

    def _clear_page(self, prepared: Prepared) -> None:
        """Let the page forget the picture before, and show the bicubic one of this image."""
        scene = prepared.scene
        self._right = self._left = None
        with self.picture.hold_sync():
            for name in LAYERS:
                setattr(self.picture, name, b"")
            self.picture.size = scene.bicubic.shape[1::-1]
            self.picture.bottom = encode(scene.bicubic, "png")
            self.picture.selection = ()
            whole = prepared.rect[2:] == prepared.image.shape[:2]
            self.picture.overview = b"" if whole else overview(prepared.image)
            self.picture.overview_rect = shares(prepared.image, prepared.rect)
            self.picture.exact = False

    def _made(self, subject: Subject, source: Source | None = None) -> Prepared:
        """The scene of a subject. A file is read, and a model loaded, only here.

        Raises:
            OSError, ValueError: either cannot be read, or the image is too small.
        """
        source = self.sources[subject.image] if source is None else source
        reading, network = source.read(), load_model(subject.model)
        step = network.scale if source.is_original else 1
        rect = window(reading.image, step * LR_EDGE, subject.work_across, subject.work_down, step=step)
        try:
            scene = Scene(cut(reading.image, rect), network, is_original=source.is_original, step_edge=self._step_edge)
        except ValueError as error:
            raise ValueError(f"{subject.image}: {error}") from error
        remarks = (*reading.remarks, *filter(None, [remark(reading.image, rect)]))
        return Prepared(subject, scene, remarks, reading.image, rect)

    def offer(self, sources: Mapping[str, Source]) -> None:
        """Take further images into the chooser."""
        self.sources = {**self.sources, **sources}
        chosen = self.image.value
        with self.pace.hold():
            self.image.options = list(self.sources)  # chooses the first of them
            self.image.value = chosen

    def take_in(self, sources: Mapping[str, Source], refused: Sequence[str] = ()) -> str:
        """Offer further images and show the first of them that can be shown.

        Args:
            sources: the images by name.
            refused: why some others could not be read.

        Returns:
            the same for them and for those of the sources that were tried; these are not offered.

        Raises:
            ValueError: none can be shown; the message is what would be returned.
        """
        wrong, good = list(refused), dict(sources)
        for name, source in sources.items():
            try:
                prepared = self._made(Subject(name, self.model.value), source)
            except (OSError, ValueError) as error:
                wrong.append(str(error))
                del good[name]
            else:
                self.offer(good)
                self._put_on(prepared)
                self.decode()
                return listed(wrong)
        raise ValueError(listed(wrong))

    # Directions.

    def prepare_page(self) -> None:
        """Directions take a second: they are computed when a page that needs them is opened."""
        if PAGES[self.pages.selected_index or 0] == "directions":
            self.present_directions()

    def present_directions(self) -> None:
        """Find what the sliders of the directions move along, name it and picture it; the first time only."""
        if self._named:
            return
        found = self.scene.find_directions()
        latents = self.present.latents
        eps = directions.steer(self.sampler.tiles, latents.seed, latents.temperature)
        gallery = effects.gallery(self.sampler, found, eps)
        with self.pace.hold():
            self.name_directions([effect.name for effect in gallery])
        for before, after, effect in zip(self.befores, self.afters, gallery, strict=True):
            before.value, after.value = encode(effect.before, "jpeg"), encode(effect.after, "jpeg")
        self._named = True

    def zero_amounts(self) -> None:
        with self.pace.hold():
            for slider in self.amounts:
                slider.value = 0.0


def listed(reasons: Sequence[str]) -> str:
    """Why some files could not be read, the first of them in words."""
    more = len(reasons) - NAMED
    return "; ".join([*reasons[:NAMED], *([f"and {more} more"] if more > 0 else [])])
