"""The view itself: lets every control do what it is for, takes images in, saves and loads."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import ipywidgets as widgets
import numpy as np
from IPython.display import display

import srvae_core as sr

from . import files, studies
from .filing import Filing
from .history import History
from .layers import OLD
from .pages import GALLERY
from .pictures import captioned
from .scene import STEP_EDGE, Steps
from .screen import REST_DELAY
from .settings import DIRECTIONS, LOOK, SEEDS, SIDES, TEMPERATURE_OF_SAMPLES


class View(Filing):
    """An interactive enlargement with samples.

    Every control is an attribute (``temperature``, ``seed``, ``left``, ...; see :class:`~viewer.controls.Controls`)
    whose ``value`` can be set from code as well; border, zoom and place are ``view.picture.share``, ``zoom``,
    ``across`` and ``down``. ``view.frame`` is the picture on show and ``view.answer`` the model's own (see
    :class:`~viewer.screen.Screen`).

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
        super().__init__(sources, names, rest_delay, step_edge=step_edge)
        self._gallery: list[dict[str, object]] = [{}] * GALLERY  # the settings of the thumbnails
        self._connect()

    def show(self) -> None:
        """Display the view in the cell's output.

        A still of it stands before, for who reads the saved notebook without a kernel; the live picture hides it.
        """
        if not self.picture.still:  # the first time: what was put in before is no step to go back
            self.remember(History().noted(self.state))
        self.picture.still = True
        display(captioned({f"{self.picture.left_label} | {self.picture.right_label}": self.frame}))
        display(self.widget)

    def _connect(self) -> None:
        """Let every control do what it is for."""
        latents = (self.temperature, *self.amounts)
        there = (self.region_temperature, self.region_seed, self.region_amount)
        changes: list[tuple[Callable[[], str | None], tuple[widgets.Widget, ...], tuple[str, ...]]] = [
            (self.encode, (self.image, self.model), ("value",)),
            (self._change_left, (self.left,), ("value",)),
            (self.show_overlay, (self.overlay,), ("value",)),
            (self.take_folder, (self.folder,), ("value",)),
            (self.take_upload, (self.upload,), ("value",)),
            (self._play_or_stop, (self.play,), ("value",)),
            (self.prepare_page, (self.pages,), ("selected_index",)),
        ]
        for action, controls, names in changes:
            for control in controls:
                control.observe(self.pace.guarded(partial(self.whole, action)), names)
        moves: list[tuple[Callable[[], None], tuple[widgets.Widget, ...]]] = [
            (self._change_latents, latents),
            (self._change_seed, (self.seed,)),
            (self._change_left, (self.left_seed,)),
            (self.change_region, there),
        ]
        for action, sliders in moves:
            for slider in sliders:
                slider.observe(self.pace.guarded(partial(self.whole, action, slider)), "value")
        # where one looks is no news: what was said before stays
        look = partial(self.whole, self.look, changes=False)
        show_region = partial(self.whole, self.show_region, changes=False)
        self.picture.observe(self.pace.guarded(look, quiet=True), LOOK)
        self.picture.observe(self.pace.guarded(show_region, quiet=True), "selection")
        self.region_direction.observe(self.pace.guarded(show_region, quiet=True), "value")
        widgets.link((self.select, "value"), (self.picture, "selecting"))
        self.seed.observe(self._number_follows, "value")
        self.number.observe(self.pace.guarded(partial(self.whole, self._go_to_number)), "value")
        clicks: list[tuple[widgets.Button, Callable[[], str | None]]] = [
            (self.undo, partial(self._go, -1)),
            (self.redo, partial(self._go, 1)),
            (self.keep, self._keep_as_best),
            (self.reset, self._reset),
            (self.previous, partial(self._step_seed, -1)),
            (self.next, partial(self._step_seed, 1)),
            (self.dice, self._throw_dice),
            (self.reroll, self.reroll_region),
            (self.drop, self.drop_regions),
            (self.reset_directions, self._reset_directions),
            (self.measure, self._start_measuring),
            (self.draw, self._start_drawing),
            (self.record, self._start_recording),
            (self.stop, self.pace.cancel),
            (self.save, self.save_png),
            (self.download, self.download_png),
            (self.load, self.load_png),
            *((zero, partial(self._zero, i)) for i, zero in enumerate(self.zeros)),
            *((pick, partial(self._pick, i)) for i, pick in enumerate(self.picks)),
        ]
        for button, action in clicks:
            button.on_click(self.pace.guarded(partial(self.whole, action)))
        self.picture.on_msg(self.take_message)

    # Samples.

    def _change_latents(self) -> None:
        if any(slider.value for slider in self.amounts):
            self.present_directions()
        self.decode()

    def _number_follows(self, _: object) -> None:
        with self.pace.hold():
            self.number.value = self.seed.value

    def _go_to_number(self) -> None:
        try:
            self.apply({"seed": self.number.value})
        finally:  # after an error, too, it says what is shown
            self._number_follows(None)

    def _change_seed(self) -> None:
        if not self.play.value:  # which shows every step itself
            self.decode()

    def _change_left(self) -> None:
        self._show_which()
        self.compose()

    def _step_seed(self, step: int) -> None:
        seed = (math.floor(self.seed.value) + 1) if step > 0 else (math.ceil(self.seed.value) - 1)
        self.apply({"seed": min(max(seed, 0), SEEDS)})

    def _throw_dice(self) -> None:
        seed = random.choice([s for s in range(SEEDS + 1) if s != self.seed.value])
        calm = 0 < self.temperature.value <= 1
        self.apply({"seed": seed, "temperature": self.temperature.value if calm else TEMPERATURE_OF_SAMPLES})

    def _play_or_stop(self) -> None:
        if self.play.value:
            with self.pace.hold():  # what is begun ends what went on, and that lifts the button
                self.pace.start(studies.play(self, self._show_step), endless=True)
                self.pace.drop()  # it comes to rest when it ends
                self.play.value = self.pace.is_studying
        else:
            self.decode()

    def _show_step(self) -> None:
        self.show_deviation(None)
        self.show_draft()

    def _zero(self, i: int) -> None:
        self.apply({DIRECTIONS[i]: 0.0})

    def _reset_directions(self) -> None:
        self.apply(dict.fromkeys(DIRECTIONS, 0.0))

    def _reset(self) -> None:
        own = min(self.sampler.model.temperature, self.temperature.max)
        values = {"temperature": own, "seed": 0.0, "left": SIDES[0], "left_seed": 1.0, "regions": (), "best": None}
        values |= {"share": 0.5, "zoom": 1.0, "across": 0.5, "down": 0.5}
        with self.pace.hold():
            self.picture.selection = ()
        self.apply(values | dict.fromkeys(DIRECTIONS, 0.0))

    def _go(self, steps: int) -> None:
        """Undo or redo."""
        history = self.history.noted(self.state).moved(steps)  # noted: a move may not have come to rest yet
        self.apply(history.state)
        self.remember(history)

    def _keep_as_best(self) -> str:
        self.best = self.present.latents
        self.compose()
        return "" if self.left.value == "best" else "kept: choose 'best' in Compare with, to see it on the left"

    def _start_measuring(self) -> None:
        self.spread.remove_class(OLD)
        self.pace.start(self._measuring())

    def _measuring(self) -> Steps:
        if self.temperature.value:  # without noise there will be no map to lie over the exact answer
            self.rest()
        yield from studies.measure_spread(self, self.scene, self.present, self.show_deviation)

    def _start_drawing(self) -> None:
        self.pace.start(studies.draw_gallery(self, self.scene, self.present, self._gallery))

    def _start_recording(self) -> None:
        form = self.form.value
        keep = partial(self._keep_film, form)
        self.pace.start(studies.record_film(self, self.scene, self.present, form, keep))

    def _keep_film(self, form: str, content: bytes, name: str) -> None:
        self.picture.download(name, content, f"image/{form}")

    def _pick(self, i: int) -> None:
        self.apply(self._gallery[i])


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
