"""What makes a picture: one frozen dataclass, its limits, and its form in JSON."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from numbers import Real

import srvae_core as sr
from srvae import directions

SEEDS = 999  # the largest sample
SINGLE = "single answer (no noise)"
SIDES = ("bicubic", "original", SINGLE, "another sample", "best")  # what the answer is compared with
LARGEST_ZOOM = 16.0
REGIONS = 64  # of one picture, at most
LIMITS = {
    "temperature": (0.0, 2.0),
    "seed": (0.0, float(SEEDS)),
    "left_seed": (0.0, float(SEEDS)),
    "share": (0.0, 1.0),
    "zoom": (0.0, LARGEST_ZOOM),
    "across": (0.0, 1.0),
    "down": (0.0, 1.0),
}
AMOUNT = 10.0  # steps along a direction either way; a single step moves a picture by a few grey levels
LOOK = ("share", "zoom", "across", "down")  # where one looks: no step of undo
# What the notebooks open on, by scale; chosen by eye.
OPENINGS = {
    4: {"image": "motorcycle_left", "model": "4x-P", "temperature": 1.0, "seed": 3.0},
    8: {"image": "coffee", "model": "8x-P", "temperature": 1.0, "seed": 3.0},
}
SAMPLE_TEMPERATURE = 0.2  # of Random sample and of regions where the temperature was 0


def _number(name: str, value: object, low: float, high: float) -> float:
    """Return a number within limits as a float; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {reprlib.repr(value)}")
    return float(value)


@dataclass(frozen=True)
class Region:
    """A rectangle of the LR photograph with noise of its own.

    Attributes:
        rect: (top, left, height, width) in LR pixels of the photograph.
        temperature, seed: of its noise, as in :class:`Settings`.
    """

    rect: sr.Rect
    temperature: float
    seed: float

    def __post_init__(self) -> None:
        rect = tuple(self.rect)
        if len(rect) != 4 or any(type(n) is not int or n < 0 for n in rect) or 0 in rect[2:]:
            raise ValueError(f"a region is (top, left, height, width) in whole pixels, not {reprlib.repr(self.rect)}")
        object.__setattr__(self, "rect", rect)
        for name in ("temperature", "seed"):
            object.__setattr__(self, name, _number(name, getattr(self, name), *LIMITS[name]))


@dataclass(frozen=True)
class Settings:
    """Everything that a picture of the view is a function of.

    Attributes:
        image: name of the photograph.
        model: name or path for :func:`srvae_core.load_model`.
        temperature: multiplies the prior's standard deviation, 0 to 2; 0 is the single answer.
        seed: which sample, 0 to 999. Between two whole numbers the noise runs along the arc that keeps its variance.
        amounts: steps along the directions, at most 8, each -10 to 10, in standard deviations of the prior.
        regions: rectangles with noise of their own; later ones lie over earlier ones.
        left: one of :data:`SIDES`, what the answer is compared with.
        left_seed: which sample, if it is compared with another one.
        best: the settings that were kept as the best, or None.
        share: 0 to 1, where the border is; left of it lies the left side.
        zoom: 1 shows all, 2 half the width and height, up to 16; 0 is one screen pixel for one pixel of the answer.
        across, down: 0 to 1, where the visible part lies.
        work: (x, y), 0 to 1, the middle of the part of a large photograph that is in work.

    Raises:
        ValueError: a value is not of its kind or outside its limits; the message names it.
    """

    image: str
    model: str
    temperature: float = 0.0
    seed: float = 0.0
    amounts: tuple[float, ...] = ()
    regions: tuple[Region, ...] = ()
    left: str = "bicubic"
    left_seed: float = 1.0
    best: Settings | None = None
    share: float = 0.5
    zoom: float = 0.0
    across: float = 0.5
    down: float = 0.5
    work: tuple[float, float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        for name in ("image", "model"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a name, not {reprlib.repr(getattr(self, name))}")
        if self.left not in SIDES:
            raise ValueError(f"left must be one of {', '.join(SIDES)}, not {reprlib.repr(self.left)}")
        if self.best is not None and not isinstance(self.best, Settings):
            raise ValueError(f"best must be settings, not {reprlib.repr(self.best)}")
        if len(self.amounts) > directions.COUNT or len(self.regions) > REGIONS or len(self.work) != 2:
            raise ValueError(f"at most {directions.COUNT} amounts and {REGIONS} regions; work is two numbers")
        if not all(isinstance(region, Region) for region in self.regions):
            raise ValueError(f"regions must be of class Region, not {reprlib.repr(self.regions)}")
        object.__setattr__(self, "regions", tuple(self.regions))
        for name, limits in LIMITS.items():
            object.__setattr__(self, name, _number(name, getattr(self, name), *limits))
        amounts = tuple(_number("an amount", amount, -AMOUNT, AMOUNT) for amount in self.amounts)
        object.__setattr__(self, "amounts", amounts)
        object.__setattr__(self, "work", tuple(_number("work", share, 0, 1) for share in self.work))

    @property
    def latents(self) -> tuple[object, ...]:
        """What z depends on: settings with equal latents have the same answer."""
        return self.temperature, self.temperature and self.seed, self.amounts, self.regions

    @property
    def single(self) -> Settings:
        """The same without noise, z = 0."""
        return replace(self, temperature=0.0, amounts=(), regions=())

    @property
    def sample_name(self) -> str:
        """The sample in words, such as "sample 3, temperature 0.4"."""
        noise = f"sample {self.seed:g}, temperature {self.temperature:g}" if self.temperature else SINGLE
        return noise + ", steered" * any(self.amounts) + ", with regions" * bool(self.regions)

    def looking_as(self, other: Settings) -> Settings:
        """The same, seen through another one's border, zoom and place."""
        return replace(self, **{name: getattr(other, name) for name in LOOK})

    def as_json(self) -> dict[str, object]:
        """The settings as JSON has them."""
        return asdict(self)


def from_json(values: object) -> Settings:
    """Read what :meth:`Settings.as_json` gave; ValueError if it was changed or is of another version."""
    names = {field.name for field in fields(Settings)}
    if not isinstance(values, Mapping) or set(values) != names:
        raise ValueError("the settings are those of another version, or damaged")
    try:
        regions = tuple(Region(**region) for region in values["regions"])
        best = None if values["best"] is None else from_json(values["best"])
        return Settings(**{**values, "regions": regions, "best": best})
    except (TypeError, RecursionError) as error:
        raise ValueError(f"the settings are damaged: {error}") from error


def region_at(settings: Settings, rect: sr.Rect) -> Region | None:
    """The region of exactly this rectangle, if it was the last one to be changed."""
    return settings.regions[-1] if settings.regions and settings.regions[-1].rect == rect else None


def with_region(settings: Settings, rect: sr.Rect, temperature: float, seed: float) -> Settings:
    """Settings with noise of its own in a rectangle, which replaces a region of exactly this rectangle."""
    others = settings.regions[:-1] if region_at(settings, rect) else settings.regions
    return replace(settings, regions=(*others, Region(rect, temperature, seed)))


def work_frame(size: tuple[int, int], work: tuple[float, float], edge: int, step: int) -> sr.Rect:
    """The part of an LR photograph that is in work.

    Args:
        size: (height, width) of the photograph in LR pixels.
        work: (x, y), 0 to 1: where its middle shall be, as far as the photograph reaches.
        edge: pixels a side at most.
        step: it starts at a multiple of so many pixels, so that its latent tiles are those of the photograph.

    Returns:
        (top, left, height, width) in LR pixels.
    """
    starts, sides = [], []
    for n, middle in zip(size, reversed(work), strict=True):
        side = min(n, edge)
        start = min(max(math.floor(middle * n - side / 2), 0), n - side) // step * step
        # at the far end the frame grows to the photograph's edge, which the steps may miss
        starts.append(start)
        sides.append(n - start if n - start - side < step else side)
    return *starts, *sides
