"""The view itself: lets every control do what it is for, takes images in, saves and loads."""

from __future__ import annotations

import html
import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from IPython.display import Javascript, display

import srvae_core as sr

from . import files, studies
from .controls import GALLERY, LABELS, PAGES, SEEDS
from .files import Source
from .scene import STEP_EDGE, Scene, Steps, load_model
from .screen import REST_DELAY, Screen


class View(Screen):
    """An interactive enlargement with samples.

    Every control is an attribute (``temperature``, ``seed``, ``walk``, ``zoom``, ...; see
    :class:`~viewer.controls.Controls`) whose ``value`` can be set from code as well. ``view.frame`` is the picture on
    show and ``view.answer`` the model's own (see :class:`~viewer.screen.Screen`).

    Args:
        photographs: originals by name, (H, W, 3) uint8; each is downscaled, enlarged again and compared.
        scale: 4 or 8; the shipped models of this scale come first in the chooser.
        models: names for :func:`srvae_core.load_model` in the place of the shipped ones.
        rest_delay: seconds without a move after which the exact answer is shown.
        step_edge: pixels a side of what is decoded at once at rest; a move waits for no more than that.

    Raises:
        ValueError: no photograph, or no model of that scale.
    """

    def __init__(
        self,
        photographs: Mapping[str, np.ndarray],
        scale: int,
        models: list[str] | None = None,
        *,
        rest_delay: float = REST_DELAY,
        step_edge: int = STEP_EDGE,
    ) -> None:
        if models is None:
            models = models_for(scale)
        if not photographs or not models:
            raise ValueError(f"the view needs a photograph and a model of scale {scale}")
        super().__init__(list(photographs), models, rest_delay)
        self._sources = files.photograph_sources(photographs)
        self._step_edge = step_edge
        self._encoded = self.image.value, self.model.value  # what the scene is of
        self._own_temperature = 0.0  # the present model's
        self._gallery: list[dict[str, object]] = [{}] * GALLERY  # the settings of the thumbnails
        self._connect()
        self._encode()

    def show(self) -> None:
        """Display the view in the cell's output."""
        display(self.widget, Javascript(LABELS))

    def apply(self, settings: Mapping[str, object], *, anew: bool = False) -> None:
        """Put in settings, all or some, and show their picture.

        Args:
            settings: from ``view.settings``.
            anew: read the image again even if its name has not changed.

        Raises:
            ValueError: there are no such settings.
        """
        if unknown := settings.keys() - self.controls.keys():
            raise ValueError(f"no such settings: {', '.join(sorted(unknown))}")
        with self.pace.lock:
            # the image and the model first: a new one resets the directions and may bring a temperature of its own
            self._set({name: settings[name] for name in ("image", "model") if name in settings})
            if anew or self._encoded != (self.image.value, self.model.value):
                self._encode()
            self._set({name: value for name, value in settings.items() if name not in ("image", "model")})
            self.decode()

    def _set(self, values: Mapping[str, object]) -> None:
        """Change controls without running their handlers."""
        with self.pace.hold():
            for name, value in values.items():
                self.controls[name].value = value

    def _connect(self) -> None:
        """Let every control do what it is for."""
        latents = (self.temperature, self.seed, self.to_seed, self.walk, *self.amounts)
        changes: list[tuple[Callable[[], None], tuple[widgets.Widget, ...]]] = [
            (self._encode, (self.image, self.model)),
            (self.decode, (*latents, self.zoom, self.across, self.down)),
            (self.compose, (self.left, self.left_seed, self.share, self.overlay)),
            (self._take_folder, (self.folder,)),
            (self._take_upload, (self.upload,)),
        ]
        for action, controls in changes:
            for control in controls:
                control.observe(self.pace.guarded(action), "value")
        self.pages.observe(self.pace.guarded(self._prepare_page), "selected_index")
        clicks: list[tuple[widgets.Button, Callable[[], None]]] = [
            (self.dice, self._throw_dice),
            (self.reset, self._reset),
            (self.measure, self._start_measuring),
            (self.draw, self._start_drawing),
            (self.stop, self.pace.cancel),
            (self.save, self._save),
            (self.load, self._load),
            *((pick, partial(self._pick, i)) for i, pick in enumerate(self.picks)),
        ]
        for button, action in clicks:
            button.on_click(self.pace.guarded(action))

    # Images and models.

    def _encode(self) -> None:
        """Make the scene of another image or model, and show it."""
        try:
            # a file is read, and a model loaded, when it is chosen: either may fail
            source, model = self._sources[self.image.value], load_model(self.model.value)
            self.scene = Scene(source.read(), model, is_original=source.is_original, step_edge=self._step_edge)
        except Exception:  # the picture stays, and so does the choice that it is of
            self._set(dict(zip(("image", "model"), self._encoded, strict=True)))
            raise
        self._encoded = self.image.value, self.model.value
        if self.temperature.value == self._own_temperature:  # not moved: what the new model answers at
            self._set({"temperature": model.temperature})
        self._own_temperature = model.temperature
        self._zero_amounts()
        self._prepare_page()
        self.decode()

    def _offer(self, sources: dict[str, Source]) -> None:
        """Take further images into the chooser."""
        self._sources |= sources
        chosen = self.image.value
        with self.pace.hold():
            self.image.options = list(self._sources)  # chooses the first of them
            self.image.value = chosen

    def _add(self, sources: dict[str, Source]) -> None:
        """The same, and show the first of them."""
        name = next(iter(sources))
        self._offer(sources)
        self._set({"image": name})
        if self.left.value == "original" and not sources[name].is_original:
            self._set({"left": "bicubic"})
        self._encode()

    def _take_folder(self) -> None:
        if self.folder.value:
            self._add(files.folder_sources(self.folder.value))

    def _take_upload(self) -> None:
        for file in self.upload.value:
            self._add({file["name"]: files.upload_source(file["content"], is_original=self.reduce.value)})

    # Samples.

    def _throw_dice(self) -> None:
        seed = random.choice([s for s in range(SEEDS + 1) if s != self.seed.value])
        self.apply({"seed": seed, "temperature": self.temperature.value or 1.0, "walk": 0.0})

    def _prepare_page(self) -> None:
        """Directions take a second: they are computed when their page is opened."""
        if PAGES[self.pages.selected_index or 0] == "directions":
            self.find_directions()

    def _zero_amounts(self) -> None:
        with self.pace.hold():
            for slider in self.amounts:
                slider.value = 0.0
        if self.scene.directions is None:
            self.name_directions(None)

    def _reset(self) -> None:
        self._zero_amounts()
        self.decode()

    def _start_measuring(self) -> None:
        self.pace.start(self._measuring())

    def _measuring(self) -> Steps:
        if self.temperature.value:  # without noise there will be no map to lie over the exact answer
            self.rest()
        yield from studies.measure_spread(self, self.scene, self.present, self.show_deviation)
        self.rest()

    def _start_drawing(self) -> None:
        self.pace.start(studies.draw_gallery(self, self.scene, self.present, self._gallery))

    def _pick(self, i: int) -> None:
        self.apply(self._gallery[i])

    # PNG files with settings.

    def _save(self) -> None:
        """Write the whole answer with what made it; an LR image that did not come with the notebook goes along."""
        path = files.png_path(self.path.value)
        weights = sr.weights_version(self.model.value)
        keep_lr = not self._sources[self.image.value].given
        files.save_png(path, self.sample(whole=True), self.settings, weights, self.lr, keep_lr=keep_lr)
        self.spread.value = f"saved {html.escape(str(path.resolve()))}"

    def _load(self) -> None:
        """Bring back what a saved PNG shows."""
        saved = files.load_png(Path(self.path.value).expanduser())
        settings = dict(saved.settings)
        if saved.lr is not None:
            self._offer({saved.name: Source(saved.lr, is_original=False)})
            settings |= {"image": saved.name, "left": "bicubic"}
        if settings["image"] not in self._sources:
            raise ValueError(f"{saved.name} is of {settings['image']!r}, which is not among the images here")
        self.apply(settings, anew=True)  # anew: an image of this name may have been on show
        saved.check(self.lr, sr.weights_version(self.model.value))


def models_for(scale: int) -> list[str]:
    """The shipped models, those of a scale first; none where none of that scale is shipped."""
    own = sr.available_models(scale)
    return [*own, *(name for name in sr.available_models() if name not in own)] if own else []
