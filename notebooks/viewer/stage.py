"""The image on show, under a model and with settings: whatever changes them does so whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from .controls import PAGES
from .files import Source
from .scene import Scene, load_model
from .screen import Screen
from .settings import SIDES, Value, checked
from .snapshot import Place, Snapshot

NAMED = 5  # files that could not be read: more of them are only counted


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
        self._own_temperature = 0.0  # the present model's
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
        image, model = (values.get(name, self.controls[name].value) for name in ("image", "model"))
        # these two first: a new one resets the directions and may bring a temperature of its own
        if anew or self._encoded != (image, model):
            self._show_image(image, model)
        self._set(values)
        self.decode()

    def _set(self, values: Mapping[str, object]) -> None:
        """Change controls without running their handlers."""
        with self.pace.hold():
            for name, value in values.items():
                self.controls[name].value = value

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """After an error inside, the view is as it was: first what is shown, then the controls that it is of."""
        chosen, shown = self._chosen, Snapshot(self._shown())
        try:
            yield
        except BaseException:  # an interrupted cell is one of them
            with self.pace.hold(), self.picture.hold_sync():
                shown.bring_back()
                chosen.bring_back()
            self._chosen = chosen
            raise
        self._chosen = self._choices()

    def whole(self, action: Callable[[], str | None]) -> str | None:
        """What a control does, or nothing of it."""
        with self._all_or_nothing():
            return action()

    def _choices(self) -> Snapshot:
        """What the controls say. When a handler begins, one of them has changed already: this is of the time before."""
        return Snapshot((control, "value") for control in (*self.controls.values(), self.overlay))

    def _shown(self) -> Iterator[Place]:
        """What else an action may change, but for its own results, such as a file."""
        own = ("scene", "deviation", "remarks", "_frame", "sources", "_encoded", "_own_temperature")
        yield from ((self, name) for name in own)
        yield from ((self.picture, "format"), (self.picture, "value"), (self.metrics, "value"))
        yield self.image, "options"
        for slider in self.amounts:
            yield from ((slider, "description"), (slider, "tooltip"))

    # Images and models.

    def encode(self) -> None:
        """Show the chosen image under the chosen model."""
        self._show_image(self.image.value, self.model.value)
        self.decode()

    def _show_image(self, image: str, model: str) -> None:
        self._put_on(image, model, *self._made(image, self.sources[image], model))

    def _put_on(self, image: str, model: str, scene: Scene, remarks: tuple[str, ...]) -> None:
        """Take a scene, which is of an image and a model, and make the controls that depend on it fit."""
        self.scene, self.remarks, self._encoded = scene, remarks, (image, model)
        self._set({"image": image, "model": model})
        if self.left.value == "original" and scene.original is None:
            self._set({"left": SIDES[0]})
        own = min(scene.sampler.model.temperature, self.temperature.max)
        if self.temperature.value == self._own_temperature:  # not moved: what the new model answers at
            self._set({"temperature": own})
        self._own_temperature = own
        self.zero_amounts()
        self.prepare_page()

    def _made(self, name: str, source: Source, model: str) -> tuple[Scene, tuple[str, ...]]:
        """The scene of an image and what is to be said about it. A file is read, and a model loaded, only here.

        Raises:
            OSError, ValueError: either cannot be read, or the image is too small.
        """
        reading, network = source.read(), load_model(model)
        try:
            scene = Scene(reading.image, network, is_original=source.is_original, step_edge=self._step_edge)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        return scene, reading.remarks

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
                made = self._made(name, source, self.model.value)
            except (OSError, ValueError) as error:
                wrong.append(str(error))
                del good[name]
            else:
                self.offer(good)
                self._put_on(name, self.model.value, *made)
                self.decode()
                return listed(wrong)
        raise ValueError(listed(wrong))

    def prepare_page(self) -> None:
        """Directions take a second: they are computed when their page is opened."""
        if PAGES[self.pages.selected_index or 0] == "directions":
            self.find_directions()

    def zero_amounts(self) -> None:
        with self.pace.hold():
            for slider in self.amounts:
                slider.value = 0.0
        if self.scene.directions is None:
            self.name_directions(None)


def listed(reasons: Sequence[str]) -> str:
    """Why some files could not be read, the first of them in words."""
    more = len(reasons) - NAMED
    return "; ".join([*reasons[:NAMED], *([f"and {more} more"] if more > 0 else [])])
