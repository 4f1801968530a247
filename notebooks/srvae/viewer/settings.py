"""The settings that make a picture: their names, what each may be, and the check of values that come from outside."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from numbers import Integral, Real
from typing import Any

from srvae import directions

DIRECTION = "direction "  # how the settings of a direction are named, before its number: "direction 1"
DIRECTIONS = tuple(f"{DIRECTION}{i + 1}" for i in range(directions.COUNT))
SEEDS = 999  # the largest seed that a slider reaches
SIDES = ("bicubic", "original", "z = 0", "another sample", "best")  # the left one; saved PNGs hold these words
TEMPERATURE_OF_SAMPLES = 0.4  # at which samples are varied and still free of speckle
# By scale: what a notebook opens on, since it shows well what the models can do. Chosen by eye.
OPENINGS = {
    4: {"image": "motorcycle_left", "model": "4x-D", "temperature": 0.4, "seed": 3.0, "zoom": 2.5},
    8: {"image": "coffee", "model": "8x-D", "temperature": 0.2, "seed": 3.0, "zoom": 2.5, "across": 0.4},
}
REGIONS = 64  # of one picture: a file may name any number of them

NAMED = 5  # of unknown settings: a file may hold any number of these, too


@dataclass(frozen=True)
class Region:
    """A rectangle of the LR image, in whole samples, in which the noise is drawn anew.

    Attributes:
        left, top, width, height: the rectangle.
        temperature, seed, amounts: what :class:`Latents` has for the rest of the picture.
    """

    left: int
    top: int
    width: int
    height: int
    temperature: float
    seed: float
    amounts: tuple[float, ...] = ()

    @property
    def rect(self) -> tuple[int, int, int, int]:
        """(top, left, height, width), as :mod:`srvae_core` has rectangles."""
        return self.top, self.left, self.height, self.width


@dataclass(frozen=True)
class Latents:
    """What z depends on; equal ones give the same z.

    Attributes:
        temperature: multiplies the prior's standard deviation; 0 is the deterministic answer.
        seed: a point on the line of samples. Whole numbers are the samples themselves; between two of them
            the noise runs along the arc that keeps its variance.
        amounts: steps along the directions, in standard deviations of the prior.
        regions: rectangles with noise of their own; the later lie over the earlier.
    """

    temperature: float
    seed: float
    amounts: tuple[float, ...] = ()
    regions: tuple[Region, ...] = ()


Value = str | int | float | None | tuple[Region, ...] | Latents  # of a setting


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
SEED = Numbers(0, SEEDS)
TEMPERATURE = Numbers(0, 2)
ZOOM = Numbers(1, 16)
AMOUNT = Numbers(-10, 10)  # standard deviations of the prior: a single one moves the picture by a few grey levels only
PLACE = Numbers(0, 2**15, whole=True)  # LR samples; whether a region lies inside its image, the scene knows
LENGTH = Numbers(1, 2**15, whole=True)
# Every setting: its numbers, its words, the class of its parts, or None, which leaves the choice to the view. The order
# and the names are those of saved PNGs: a new setting goes to the end.
SETTINGS: dict[str, Numbers | tuple[str, ...] | type | None] = {
    "image": None,
    "model": None,
    "temperature": TEMPERATURE,
    "seed": SEED,
    "left": SIDES,
    "left_seed": SEED,
    "share": SHARE,
    "zoom": ZOOM,
    "across": SHARE,
    "down": SHARE,
}
SETTINGS |= dict.fromkeys(DIRECTIONS, AMOUNT)
SETTINGS |= {"regions": Region, "best": Latents, "work_across": SHARE, "work_down": SHARE}
LOOK = ("share", "zoom", "across", "down")  # where one looks, and not what there is to see
COMPARISON = ("left", "left_seed", "best")  # what the sample is compared with
# What the parts of a region and of the best sample may be.
PARTS = {"temperature": TEMPERATURE, "seed": SEED, "left": PLACE, "top": PLACE, "width": LENGTH, "height": LENGTH}


def checked(settings: Mapping[str, object], offered: Mapping[str, Sequence[str]] | None = None) -> dict[str, Value]:
    """Settings, all or some, as plain values.

    Args:
        settings: values by name; whole numbers where a setting is one, NumPy's as well as Python's. Regions and the
            best sample are :class:`Region` and :class:`Latents`, or dicts of their parts, as :func:`plain` gives them.
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


def plain(settings: Mapping[str, Value]) -> dict[str, Any]:
    """Settings as JSON has them: dicts in the place of :class:`Region` and :class:`Latents`."""
    return {name: _plain_value(value) for name, value in settings.items()}


def _plain_value(value: Value) -> object:
    if isinstance(value, tuple):
        return [asdict(part) for part in value]
    return asdict(value) if is_dataclass(value) else value


def _checked_value(name: str, value: object, offered: Mapping[str, Sequence[str]]) -> Value:
    allowed = SETTINGS[name]
    if isinstance(allowed, Numbers):
        return _number(name, value, allowed)
    if allowed is Region:
        return _regions(name, value)
    if allowed is Latents:
        return None if value is None else _parts(name, value, Latents)
    words = offered.get(name) if allowed is None else allowed
    if isinstance(value, str) and (words is None or value in words):
        return str(value)  # NumPy's strings would not compare as is
    wanted = "a string" if words is None else f"one of {', '.join(map(repr, words))}"
    raise ValueError(f"{name} is {reprlib.repr(value)}, and must be {wanted}")


def _number(name: str, value: object, allowed: Numbers) -> int | float:
    if value in allowed:
        return allowed.plain(value)
    raise ValueError(f"{name} is {reprlib.repr(value)}, and must be {allowed}")


def _regions(name: str, value: object) -> tuple[Region, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} is {reprlib.repr(value)}, and must be a list of regions")
    if len(value) > REGIONS:
        raise ValueError(f"{name} are {len(value)} regions, and may be {REGIONS} at most")
    return tuple(_parts(f"{name}: number {i + 1}", part, Region) for i, part in enumerate(value))


def _parts(name: str, value: object, kind: type[Region] | type[Latents]) -> Region | Latents:
    """A region or the best sample, whose parts are checked one by one."""
    if isinstance(value, kind):
        value = {field.name: getattr(value, field.name) for field in fields(kind)}
    names = [field.name for field in fields(kind)]
    if not isinstance(value, Mapping) or value.keys() != set(names):
        raise ValueError(f"{name} is {reprlib.repr(value)}, and must be a dict of {', '.join(names)}")
    checked_parts: dict[str, Any] = {}
    for part, given in value.items():
        if part in PARTS:
            checked_parts[part] = _number(f"{name}, {part}", given, PARTS[part])
        elif part == "regions":
            checked_parts[part] = _regions(f"{name}, {part}", given)
        else:
            checked_parts[part] = _amounts(f"{name}, {part}", given)
    return kind(**checked_parts)


def _amounts(name: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or len(value) > len(DIRECTIONS):
        raise ValueError(f"{name} is {reprlib.repr(value)}, and must be a list of at most {len(DIRECTIONS)} numbers")
    return tuple(_number(name, amount, AMOUNT) for amount in value)


@dataclass(frozen=True)
class Settings:
    """All that makes a picture, as plain values.

    Attributes:
        image: the image's name in the chooser.
        model: a name for :func:`srvae_core.load_model`.
        latents: which sample of it.
        left: one of :data:`SIDES`, what the answer is compared with.
        left_seed: of another sample, where it is compared with that.
        best: the sample that was kept, where it is compared with that; None before one was.
        share: 0 to 1, the part of the visible width that shows the left side.
        zoom: 1 shows the whole image, 2 half its width and height, and so on.
        across: 0 to 1, where the visible part lies between the left and the right edge.
        down: 0 to 1, likewise between top and bottom.
        work_across, work_down: likewise, which part of a large image is in work.
    """

    image: str
    model: str
    latents: Latents
    left: str
    left_seed: float
    share: float
    zoom: float
    across: float
    down: float
    best: Latents | None = None
    work_across: float = 0.5
    work_down: float = 0.5

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """From values by name, as ``View.settings`` gives them: "direction 1" and so on for the amounts."""
        latents = Latents(
            values["temperature"], values["seed"], tuple(values[name] for name in DIRECTIONS), values["regions"]
        )
        own = {field.name for field in fields(cls)} - {"latents"}
        return cls(latents=latents, **{name: value for name, value in values.items() if name in own})

    @property
    def temperature(self) -> float:
        return self.latents.temperature

    @property
    def seed(self) -> float:
        return self.latents.seed

    @property
    def amounts(self) -> tuple[float, ...]:
        return self.latents.amounts

    def at(self, latents: Latents) -> Settings:
        """Another sample under otherwise these settings."""
        return replace(self, latents=latents)

    def with_seed(self, seed: float) -> Settings:
        """Another sample with the same temperature, directions and regions."""
        return self.at(replace(self.latents, seed=seed))

    def at_zero(self) -> Settings:
        """The deterministic answer, z = 0."""
        return self.at(Latents(0.0, 0.0))
