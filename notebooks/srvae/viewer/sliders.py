"""The sliders of the view: of real and whole numbers within their setting's limits, and of seeds."""

from __future__ import annotations

import math
import re
from pathlib import Path

import anywidget
from traitlets import Bool, Bunch, CFloat, CInt, Int, TraitError, Unicode, observe, validate

from .settings import SEED, SETTINGS, Numbers

LABELS = "8em"  # the width of all descriptions
STYLE = {"style": {"description_width": LABELS}, "layout": {"width": "auto"}}  # of all that has a description
WINDOW = 10  # seeds that a slider shows at a time, so that a pixel of the mouse is a small step and no other sample
SEED_STEP = 0.05
DIGITS = 4  # after the point
HERE = Path(__file__)


class Slider(anywidget.AnyWidget):
    """A description, a track with a handle, and the number, which can be typed over.

    The page sends ``value`` only where a hand, a key or a typed number moved it. The sliders of ipywidgets also answer
    what the kernel sets: with the number pulled to their steps or ends, or with an old one.

    Keys: an arrow moves it by a step, Page Up and Page Down by ten, Home and End to the ends. A drag moves it to whole
    steps from ``min`` on. What is set or typed may lie between two steps.

    Attributes:
        value: the number. Beyond the ends it becomes the nearer one.
        min, max: the ends of the track.
        step: of a key, and between two places of the handle.
        digits: of a value, after the point.
        readout_format: how the number is written: ".0f" to ".9f", with so many digits after the point.
        description: its name, which stands before it.
        description_width: as in CSS.
        disabled: whether nobody but the kernel can move it.

    Raises:
        TraitError: a trait is of another type, the value is NaN, or the format is of another form.
    """

    _esm = HERE.with_name("slider.js").read_text("utf-8")
    _css = HERE.with_name("slider.css").read_text("utf-8")

    readout_format = Unicode(".2f").tag(sync=True)
    description = Unicode().tag(sync=True)
    description_width = Unicode(LABELS).tag(sync=True)
    disabled = Bool(False).tag(sync=True)

    @validate("value")
    def _validate_value(self, proposal: Bunch) -> float:
        if math.isnan(proposal["value"]):  # no end pulls it back
            raise TraitError("a slider's value is a number, not NaN")
        low, high = self._limits
        return round(min(max(proposal["value"], low), high), self.digits)

    @validate("readout_format")
    def _validate_readout_format(self, proposal: Bunch) -> str:
        if not re.fullmatch(r"\.\df", proposal["value"]):
            raise TraitError(f'readout_format is ".0f" to ".9f", not {proposal["value"]!r}')
        return proposal["value"]

    @property
    def _limits(self) -> tuple[float, float]:
        return self.min, self.max

    @observe("min", "max")
    def _keep_inside(self, _: Bunch) -> None:
        self.value = self.value  # which is validated anew


class RealSlider(Slider):
    """A slider of real numbers with at most four digits after the point."""

    value = CFloat(0.0).tag(sync=True)
    min = CFloat(0.0).tag(sync=True)
    max = CFloat(1.0).tag(sync=True)
    step = CFloat(0.1).tag(sync=True)
    digits = Int(DIGITS).tag(sync=True)


class IntegerSlider(Slider):
    """A slider of whole numbers."""

    value = CInt(0).tag(sync=True)
    min = CInt(0).tag(sync=True)
    max = CInt(100).tag(sync=True)
    step = CInt(1).tag(sync=True)
    digits = Int(0).tag(sync=True)


class SeedSlider(RealSlider):
    """A slider over all seeds, which shows ten of them at a time and moves on to others when it is set to one.

    Args:
        description: its name.
        value: the first seed.
    """

    _limits = SEED.low, SEED.high  # of the value; the ends of the track follow it

    def __init__(self, description: str, value: float = 0.0) -> None:
        ends = {"min": SEED.low, "max": SEED.low + WINDOW}
        super().__init__(value=value, **ends, step=SEED_STEP, description=description, layout=STYLE["layout"])

    @observe("value")
    def _follow(self, change: Bunch) -> None:
        if not self.min <= change["new"] <= self.max:
            self._show_around(change["new"])

    def make_room(self) -> None:
        """Show other seeds where the value has come to an end, so that one can slide on."""
        if self.value in (self.min, self.max):
            self._show_around(self.value)

    def _show_around(self, seed: float) -> None:
        low = min(max(math.floor(seed) - WINDOW // 2, SEED.low), SEED.high - WINDOW)
        with self.hold_sync():
            self.min, self.max = low, low + WINDOW


def real(name: str, value: float, step: float, description: str, form: str = ".2f") -> RealSlider:
    """The slider of a setting that is a real number; ``form`` is how its value is written."""
    limits = {"min": SETTINGS[name].low, "max": SETTINGS[name].high, "step": step}
    return RealSlider(value=value, **limits, description=description, readout_format=form, layout=STYLE["layout"])


def integer(numbers: Numbers, value: int, description: str) -> IntegerSlider:
    """A slider of whole numbers."""
    limits = {"min": numbers.low, "max": numbers.high}
    return IntegerSlider(value=value, **limits, description=description, readout_format=".0f", layout=STYLE["layout"])
