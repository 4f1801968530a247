"""The sliders of the view: of real and whole numbers within their setting's limits, and of seeds."""

from __future__ import annotations

import math

import ipywidgets as widgets
from traitlets import Bunch, validate

from .settings import SEED, SETTINGS, Numbers

STYLE = {"style": {"description_width": "8em"}, "layout": {"width": "auto"}}  # of all that has a description
WINDOW = 10  # seeds that a slider shows at a time, so that a pixel of the mouse is a small step and no other sample
SEED_STEP = 0.05
DIGITS = 4  # after the point


class RealSlider(widgets.FloatSlider):
    """A slider of real numbers with at most four digits.

    The page takes steps of, say, 0.05 to 0.6000000000000001 and sends that number back as 0.6, which would be a move of
    its own.
    """

    @validate("value")
    def _validate_value(self, proposal: Bunch) -> float:
        return round(min(max(proposal["value"], self.min), self.max), DIGITS)


class SeedSlider(RealSlider):
    """A slider over all seeds, which shows ten of them at a time and moves on to others when it is set to one.

    Args:
        description: its label.
        value: the first seed.
    """

    def __init__(self, description: str, value: float = 0.0) -> None:
        super().__init__(
            value,
            min=SEED.low,
            max=SEED.low + WINDOW,
            step=SEED_STEP,
            description=description,
            readout_format=".2f",
            **STYLE,
        )

    # ipywidgets would keep the value within the ends that it has; here the ends follow the value. The page must never
    # see a value outside its ends: it would pull it inside and send that back as a move. So the ends are set far enough
    # apart first, then the value, and at rest, when the page has it, the ends about it.

    def __setattr__(self, name: str, value: object) -> None:
        if name != "value":
            super().__setattr__(name, value)
            return
        seed = self._seed(value)
        if not self.min <= seed <= self.max:
            low = self._window(seed)
            self.min, self.max = min(self.min, low), max(self.max, low + WINDOW)
        super().__setattr__(name, seed)

    @staticmethod
    def _seed(value: float) -> float:
        return round(min(max(value, SEED.low), SEED.high), DIGITS)

    @staticmethod
    def _window(seed: float) -> float:
        return float(min(max(math.floor(seed) - WINDOW // 2, SEED.low), SEED.high - WINDOW))

    @validate("value")
    def _validate_value(self, proposal: Bunch) -> float:
        return self._seed(proposal["value"])

    @validate("min")
    def _validate_min(self, proposal: Bunch) -> float:
        return proposal["value"]

    @validate("max")
    def _validate_max(self, proposal: Bunch) -> float:
        return proposal["value"]

    def make_room(self) -> None:
        """Show other seeds where the value has come to an end, so that one can slide on."""
        if self.value in (self.min, self.max) or self.max - self.min > WINDOW:
            self._show_around(self.value)

    def _show_around(self, seed: float) -> None:
        low = self._window(seed)
        ends = [("max", low + WINDOW), ("min", low)]
        for name, end in ends if low > self.min else reversed(ends):
            setattr(self, name, end)


def real(name: str, value: float, step: float, description: str, form: str = ".2f") -> RealSlider:
    """The slider of a setting that is a real number; ``form`` is how its value is written."""
    limits = {"min": SETTINGS[name].low, "max": SETTINGS[name].high, "step": step}
    return RealSlider(value, **limits, description=description, readout_format=form, **STYLE)


def integer(numbers: Numbers, value: int, description: str) -> widgets.IntSlider:
    """A slider of whole numbers."""
    return widgets.IntSlider(value, min=numbers.low, max=numbers.high, description=description, **STYLE)
