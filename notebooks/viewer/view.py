"""The view itself: lets every control do what it is for, takes images in, saves and loads."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from IPython.display import Javascript, display

import srvae_core as sr

from . import files, studies
from .controls import GALLERY, LABELS, as_html
from .files import Reading, Source
from .scene import STEP_EDGE, Steps
from .screen import REST_DELAY
from .settings import SEEDS, SIDES
from .stage import Stage


class View(Stage):
    """An interactive enlargement with samples.

    Every control is an attribute (``temperature``, ``seed``, ``walk``, ``zoom``, ...; see
    :class:`~viewer.controls.Controls`) whose ``value`` can be set from code as well. ``view.frame`` is the picture on
    show and ``view.answer`` the model's own (see :class:`~viewer.screen.Screen`).

    Whatever a control does, it does whole or not at all: after an error the controls, the picture and a file saved
    then are as they were before.

    Args:
        photographs: originals by name, (H, W, 3) uint8; each is downscaled, enlarged again and compared. Grey, RGBA,
            uint16 and float in [0, 1] are converted once, as :func:`~viewer.pictures.as_rgb8` says.
        scale: 4 or 8; the shipped models of this scale come first in the chooser.
        models: names for :func:`srvae_core.load_model` in the place of the shipped ones, of any scale.
        rest_delay: seconds without a move after which the exact answer is shown.
        step_edge: pixels a side of what is decoded at once at rest; a move waits for no more than that.

    Raises:
        TypeError: photographs or models are of another type; a photograph is no array.
        ValueError: no photograph, one that cannot be shown, or no model of that scale.
        FileNotFoundError: there is no such model as the first.
    """

    def __init__(
        self,
        photographs: Mapping[str, np.ndarray],
        scale: int,
        models: Sequence[str | os.PathLike] | None = None,
        *,
        rest_delay: float = REST_DELAY,
        step_edge: int = STEP_EDGE,
    ) -> None:
        sources = files.photograph_sources(photographs)
        names = models_for(scale) if models is None else model_names(models)
        if not sources or not names:
            raise ValueError(f"the view needs a photograph and a model of scale {scale}")
        super().__init__(sources, names, rest_delay, step_edge)
        self._gallery: list[dict[str, object]] = [{}] * GALLERY  # the settings of the thumbnails
        self._connect()

    def show(self) -> None:
        """Display the view in the cell's output."""
        display(self.widget, Javascript(LABELS))

    def _connect(self) -> None:
        """Let every control do what it is for."""
        latents = (self.temperature, self.seed, self.to_seed, self.walk, *self.amounts)
        changes: list[tuple[Callable[[], str | None], tuple[widgets.Widget, ...]]] = [
            (self.encode, (self.image, self.model)),
            (self.decode, (*latents, self.zoom, self.across, self.down)),
            (self.compose, (self.left, self.left_seed, self.share, self.overlay)),
            (self._take_folder, (self.folder,)),
            (self._take_upload, (self.upload,)),
        ]
        for action, controls in changes:
            for control in controls:
                control.observe(self.pace.guarded(partial(self.whole, action)), "value")
        self.pages.observe(self.pace.guarded(self.prepare_page), "selected_index")
        clicks: list[tuple[widgets.Button, Callable[[], str | None]]] = [
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
            button.on_click(self.pace.guarded(partial(self.whole, action)))

    # Images.

    def _take_folder(self) -> str:
        return self.take_in(files.folder_sources(self.folder.value)) if self.folder.value else ""

    def _take_upload(self) -> str:
        """Of several files those that can be read are taken, and the others named."""
        sources, refused = {}, []
        for file in self.upload.value:
            try:
                sources[file["name"]] = files.upload_source(
                    file["name"], file["content"], is_original=self.reduce.value
                )
            except ValueError as error:
                refused.append(str(error))
        with self.pace.hold():
            self.upload.value = ()  # so that the same file can come once more, say as an original
        return self.take_in(sources, refused) if sources or refused else ""

    # Samples.

    def _throw_dice(self) -> None:
        seed = random.choice([s for s in range(SEEDS + 1) if s != self.seed.value])
        self.apply({"seed": seed, "temperature": self.temperature.value or 1.0, "walk": 0.0})

    def _reset(self) -> None:
        self.zero_amounts()
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
        keep_lr = not self.sources[self.image.value].given
        files.save_png(path, self.sample(whole=True), self.settings, weights, self.lr, keep_lr=keep_lr)
        self.spread.value = f"saved {as_html(str(path.resolve()))}"

    def _load(self) -> str:
        """Bring back what a saved PNG shows; returns why it will differ, or ""."""
        saved = files.load_png(Path(self.path.value).expanduser())
        settings = dict(saved.settings)
        if saved.lr is not None:
            self.offer({saved.name: Source(Reading(saved.lr), is_original=False)})
            left = SIDES[0] if settings["left"] == "original" else settings["left"]  # there is none any more
            settings |= {"image": saved.name, "left": left}
        if settings["image"] not in self.sources:
            raise ValueError(f"{saved.name} is of {settings['image']!r}, which is not among the images here")
        self.apply(settings, anew=True)  # anew: an image of this name may have been on show
        return saved.difference(self.lr, sr.weights_version(self.model.value))


def models_for(scale: int) -> list[str]:
    """The shipped models, those of a scale first; none where none of that scale is shipped."""
    own = sr.available_models(scale)
    return [*own, *(name for name in sr.available_models() if name not in own)] if own else []


def model_names(models: Sequence[str | os.PathLike]) -> list[str]:
    """Names of models, or paths of weights files, as strings.

    Raises:
        TypeError: something else, or a single name.
    """
    right = isinstance(models, Sequence) and not isinstance(models, str)
    if not right or not all(isinstance(model, str | os.PathLike) for model in models):
        raise TypeError(f"models must be a list of names or paths, such as ['4x-D'], not {models!r}")
    return [os.fspath(model) for model in models]
