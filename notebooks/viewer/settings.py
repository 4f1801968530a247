"""The settings that make a picture: their names, what each may be, and the check of values that come from outside."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import directions

DIRECTION = "direction "  # how the settings of a direction are named, before its number: "direction 1"
DIRECTIONS = tuple(f"{DIRECTION}{i + 1}" for i in range(directions.COUNT))
SEEDS = 999  # the largest seed that a slider reaches
SIDES = ("bicubic", "original", "z = 0", "another sample")  # the left one; saved PNGs hold these words

NAMED = 5  # of unknown settings: a file may hold any number of them

Value = str | int | float  # of a setting


@dataclass(frozen=True)
class Numbers:
    """The numbers that a setting may be.

    Attributes:
        low, high: the least and the largest.
        whole: whether only whole numbers will do.
    """

    low: float
    high: float
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        kind = Integral if self.whole else Real
        return isinstance(value, kind) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"a {'whole ' * self.whole}number from {self.low:g} to {self.high:g}"

    def plain(self, value: Real) -> int | float:
        """One of these numbers, which may be NumPy's, as Python's own."""
        return int(value) if self.whole else float(value)


SHARE = Numbers(0, 1)
SEED = Numbers(0, SEEDS, whole=True)
AMOUNT = Numbers(-10, 10)  # standard deviations of the prior: a single one moves the picture by a few grey levels only
# Every setting: its numbers, or its words, of which None leaves the choice to the view. The order and the names are
# those of saved PNGs: a new setting goes to the end.
SETTINGS: dict[str, Numbers | tuple[str, ...] | None] = {
    "image": None,
    "model": None,
    "temperature": Numbers(0, 2),
    "seed": SEED,
    "to_seed": SEED,
    "walk": SHARE,
    "left": SIDES,
    "left_seed": SEED,
    "share": SHARE,
    "zoom": Numbers(1, 8, whole=True),
    "across": SHARE,
    "down": SHARE,
}
SETTINGS |= dict.fromkeys(DIRECTIONS, AMOUNT)


def checked(settings: Mapping[str, object], offered: Mapping[str, Sequence[str]] | None = None) -> dict[str, Value]:
    """Settings, all or some, as plain strings and numbers.

    Args:
        settings: values by name; whole numbers where a setting is one, NumPy's as well as Python's.
        offered: the names that "image" and "model" may be; where there are none, any string will do.

    Raises:
        TypeError: the settings are no mapping.
        ValueError: a name or a value that is none; the message says which, and what is allowed.
    """
    if not isinstance(settings, Mapping):
        raise TypeError(f"settings must be a dict of values by name, not {type(settings).__name__}")
    if unknown := sorted(reprlib.repr(str(name))[1:-1] for name in settings if name not in SETTINGS):
        named = ", ".join(unknown[:NAMED] + ["..."] * (len(unknown) > NAMED))
        raise ValueError(f"no such settings: {named}; there are {', '.join(SETTINGS)}")
    return {name: _checked_value(name, value, offered or {}) for name, value in settings.items()}


def _checked_value(name: str, value: object, offered: Mapping[str, Sequence[str]]) -> Value:
    allowed = SETTINGS[name]
    if isinstance(allowed, Numbers):
        if value in allowed:
            return allowed.plain(value)
        raise ValueError(f"{name} is {reprlib.repr(value)}, and must be {allowed}")
    words = offered.get(name) if allowed is None else allowed
    if isinstance(value, str) and (words is None or value in words):
        return str(value)  # NumPy's strings would not compare as is
    wanted = "a string" if words is None else f"one of {', '.join(map(repr, words))}"
    raise ValueError(f"{name} is {reprlib.repr(value)}, and must be {wanted}")


@dataclass(frozen=True)
class Settings:
    """All that makes a picture, as plain values.

    Attributes:
        image: the image's name in the chooser.
        model: a name for :func:`srvae_core.load_model`.
        temperature: multiplies the prior's standard deviation; 0 is the deterministic answer.
        seed: of the noise.
        to_seed: of the noise at the end of the walk.
        walk: 0 to 1, the way from seed to to_seed.
        left: one of :data:`SIDES`, what the answer is compared with.
        left_seed: of that other sample.
        share: 0 to 1, the part of the width that shows the left side.
        zoom: 1 shows the whole image, 2 half its width and height, and so on.
        across: 0 to 1, where the zoomed part lies between the left and the right edge.
        down: 0 to 1, likewise between top and bottom.
        amounts: steps along the directions, in standard deviations of the prior.
    """

    image: str
    model: str
    temperature: float
    seed: int
    to_seed: int
    walk: float
    left: str
    left_seed: int
    share: float
    zoom: int
    across: float
    down: float
    amounts: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Settings:
        """From values by name, as ``View.settings`` gives them: "direction 1" and so on for the amounts."""
        amounts = tuple(value for name, value in values.items() if name.startswith(DIRECTION))
        return cls(**{n: v for n, v in values.items() if not n.startswith(DIRECTION)}, amounts=amounts)

    @property
    def latents(self) -> tuple[object, ...]:
        """What z depends on; equal tuples give the same z."""
        return self.temperature, self.seed, self.walk, self.to_seed if self.walk else None, self.amounts

    def with_seed(self, seed: int) -> Settings:
        """Another sample with these settings: its own seed, and no walk to a second one."""
        return replace(self, seed=seed, walk=0.0)

    def at_zero(self) -> Settings:
        """The deterministic answer, z = 0."""
        return replace(self, temperature=0.0, seed=0, walk=0.0, amounts=())
