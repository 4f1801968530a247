"""The images to choose from and the one on show, under a model and with settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from srvae import directions

from . import effects
from .actions import Actions
from .files import Source
from .layers import OLD
from .pages import PAGES
from .picture import LAYERS
from .pictures import encode, overview
from .settings import SIDES, Value, checked
from .subject import Prepared, Subject, listed, name_for, prepare
from .window import LR_EDGE, place_around, shares


class Stage(Actions):
    """The images to choose from, and the one on show.

    Args:
        sources: the images by name; the first is shown.
        models: names for :func:`srvae_core.load_model`, likewise.
        rest_delay: seconds without a move after which the exact answer is shown.
        scene_options: for :class:`~viewer.scene.Scene`: step_edge.

    Attributes:
        sources: as given, and what came later; never changed in place.
    """

    def __init__(
        self, sources: Mapping[str, Source], models: list[str], rest_delay: float, **scene_options: object
    ) -> None:
        super().__init__(list(sources), models, rest_delay)
        self.sources = dict(sources)
        self._scene_options = scene_options
        self.encode()
        self._chosen, self._state = self._choices(), self.state

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
            self._note_before(None)
            with self._all_or_nothing():
                self._put_in(values, anew)

    def _put_in(self, values: Mapping[str, Value], anew: bool) -> None:
        chosen = self.settings | values
        subject = Subject(chosen["image"], chosen["model"], chosen["work_across"], chosen["work_down"])
        if not values.keys() & {"work_across", "work_down"} and subject.image != self._prepared.subject.image:
            subject = Subject(subject.image, subject.model)  # another image is shown from its middle
        # this first: a new image resets the latents, and a new model may bring a temperature of its own
        if anew or self._prepared.subject != subject:
            self._put_on(self._made(subject, anew=anew))
        self._set(values)
        self.decode()
        self.prepare_page()

    # Images and models.

    def encode(self) -> None:
        """Show the chosen image under the chosen model; another image from its middle."""
        subject = Subject(self.image.value, self.model.value)
        if self._prepared is not None and self._prepared.subject.image == subject.image:
            subject = replace(subject, work_across=self.work_across, work_down=self.work_down)
        self._put_on(self._made(subject))
        self.decode()
        self.prepare_page()

    def work_at(self, x: float, y: float) -> str:
        """Take the part of the image in work whose middle is at a point, 0 to 1 from left and top.

        Returns:
            what was left behind, if anything: it belonged to the part before.
        """
        edge = LR_EDGE * (self.scale if self.sources[self.image.value].is_original else 1)
        across, down = place_around(self._prepared.reading.image, edge, x, y)
        left_behind = self.regions or self.best or any(slider.value for slider in self.amounts)
        self.apply({"work_across": across, "work_down": down})
        return "regions, directions and the best sample stay with the part before: Undo" if left_behind else ""

    def _put_on(self, prepared: Prepared) -> None:
        """Take a scene and make the controls that depend on it fit."""
        subject, scene = prepared.subject, prepared.scene
        before = self._prepared
        moved = before is None or replace(before.subject, model=subject.model) != subject
        moved = moved or before.reading is not prepared.reading
        self.scene, self.remarks, self._prepared = scene, prepared.remarks, prepared
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
        if moved:
            self._clear_samples()

    def _clear_page(self, prepared: Prepared) -> None:
        """Let the page forget the picture before, and show the bicubic one of this image."""
        scene = prepared.scene
        self._right = self._left = self._whole = self._scores = None
        with self.pace.hold(), self.picture.hold_sync():
            for name in LAYERS:
                setattr(self.picture, name, b"")
            self.picture.size = scene.bicubic.shape[1::-1]
            self.picture.bottom = encode(scene.bicubic, "png")
            self.picture.selection = ()
            image = prepared.reading.image
            self.picture.overview = b"" if prepared.rect[2:] == image.shape[:2] else overview(image)
            self.picture.overview_rect = shares(image, prepared.rect)
            self.picture.exact = False

    def _clear_samples(self) -> None:
        """Take away what was measured and drawn of another image."""
        self.spread.value = ""
        self.spread.remove_class(OLD)
        for thumbnail, pick in zip(self.thumbnails, self.picks, strict=True):
            thumbnail.value, pick.disabled = b"", True

    def _made(self, subject: Subject, source: Source | None = None, *, anew: bool = False) -> Prepared:
        """What is needed to show a subject: of an image in the chooser, or of another source; ``anew`` reads it again.

        Raises:
            OSError, ValueError: image or model cannot be read, or the image is too small.
        """
        self.picture.working = True
        source = self.sources[subject.image] if source is None else source
        before = self._prepared
        kept = before is not None and not anew and before.source is source
        return prepare(subject, source, before.reading if kept else source.read(), self._scene_options)

    def offer(self, sources: Mapping[str, Source]) -> dict[str, str]:
        """Take further images into the chooser. Another image of a name that is taken gets a number.

        Returns:
            their names in the chooser, by the names given.
        """
        taken, names = dict(self.sources), {}
        for name, source in sources.items():
            names[name] = name_for(name, source, taken)
            taken.setdefault(names[name], source)
        self.sources = taken
        chosen = self.image.value
        with self.pace.hold():
            self.image.options = list(self.sources)  # chooses the first of them
            self.image.value = chosen
        return names

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
                offered = self.offer(good)[name]
                subject = replace(prepared.subject, image=offered)
                self._put_on(replace(prepared, subject=subject, source=self.sources[offered]))
                self.decode()
                self.prepare_page()
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
        self.picture.working = True  # it takes a second
        found = self.scene.find_directions()
        latents = self.present.latents
        eps = directions.steer(self.sampler.tiles, latents.seed, latents.temperature)
        gallery = effects.gallery(self.sampler, found, eps)
        with self.pace.hold():
            self.name_directions([effect.name for effect in gallery])
        for before, after, effect in zip(self.befores, self.afters, gallery, strict=True):
            before.value, after.value = encode(effect.before, "jpeg"), encode(effect.after, "jpeg")
        self._named = True
        self.picture.working = self.pace.is_due or self.pace.is_studying

    def zero_amounts(self) -> None:
        with self.pace.hold():
            for slider in self.amounts:
                slider.value = 0.0
