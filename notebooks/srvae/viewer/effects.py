"""What the directions of an image do, at a glance: two small pictures of each, and a name measured on them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, count

import cv2
import numpy as np
from torch import Tensor

import srvae_core as sr
from srvae.directions import Directions

STEPS = 6.0  # standard deviations either way: enough for a change of 10 to 60 grey levels
EDGE = 96  # pixels a side of the small pictures
NEAR = 2.0  # pixels around a changed one that count with it, as the standard deviation of a Gaussian
LEAST = 2.0  # grey levels: a smaller shift of brightness or colour is not seen
CLEAR = 0.3  # nor is one below this share of the whole change
DETAIL = 1.15  # the energy of fine detail must grow by this factor, or shrink by it
ALIGNED = 0.5  # coherence of the change's gradients, 0 to 1, from which on it is made of lines
COARSE = 0.15  # share of a change's energy that outlasts a blur by NEAR: above it, the change is coarse
SPREAD = 0.2  # standard deviation of the change's place, as a share of the picture's sides; even all over it is 0.29
SHIFTS = (("brighter", "darker"), ("redder", "greener"), ("bluer", "yellower"))
DOWN = ("upper", "", "lower")
ACROSS = ("left", "", "right")


@dataclass(frozen=True)
class Effect:
    """What one direction does to a part of the picture.

    Attributes:
        name: what it changes and where, in at most 26 characters, such as "more detail, lower left".
        before: (h, w, 3) uint8, the part some steps along the direction backwards.
        after: (h, w, 3) uint8, as many steps forwards.
        region: where the part is: (top, left, height, width) in LR samples.
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    region: sr.Rect


def gallery(
    sampler: sr.Sampler, found: Directions, eps: Tensor, *, steps: float = STEPS, edge: int = EDGE
) -> list[Effect]:
    """What each direction does where it is seen most, drafted in a small part of the picture.

    Args:
        sampler: of the image.
        found: its directions, from :func:`directions.find`.
        eps: (tiles, 1024), the present noise with the temperature in it; zeros for the deterministic answer.
        steps: how far from there, backwards and forwards, in standard deviations of the prior.
        edge: pixels a side of the small pictures; smaller where the picture is.

    Returns:
        An effect for each direction, in their order. No two have the same name.
    """
    scale, effects = sampler.model.scale, []
    size = tuple(scale * n for n in sampler.rect[2:])
    for vector, place in zip(found.vectors, found.places, strict=True):
        region = around(place, edge // scale, sampler.rect)
        before, after = (
            sampler(temperature=1.0, eps=eps + step * vector, region=region, draft=True) for step in (-steps, steps)
        )
        names = descriptions(before, after, size, (scale * region[0], scale * region[1]))
        taken = {effect.name for effect in effects}
        numbered = (f"{names[0]} {n}" for n in count(2))
        name = next(name for name in chain(names, numbered) if name not in taken)
        effects.append(Effect(name, before, after, region))
    return effects


def around(place: sr.Rect, edge: int, whole: sr.Rect) -> sr.Rect:
    """A square about the middle of a rectangle, ``edge`` samples a side, inside the image: smaller where that is."""
    starts, sides = [], []
    for start, n, limit in zip(place[:2], place[2:], whole[2:], strict=True):
        side = min(edge, limit)
        sides.append(side)
        starts.append(min(max(start + n // 2 - side // 2, 0), limit - side))
    return *starts, *sides


def describe(
    before: np.ndarray, after: np.ndarray, size: tuple[int, int] | None = None, corner: tuple[int, int] = (0, 0)
) -> str:
    """What differs most plainly between two pictures, and where: the first of their :func:`descriptions`."""
    return descriptions(before, after, size, corner)[0]


def descriptions(
    before: np.ndarray, after: np.ndarray, size: tuple[int, int] | None = None, corner: tuple[int, int] = (0, 0)
) -> list[str]:
    """What differs between two pictures, each with where it does, plainest first.

    Args:
        before, after: (h, w, 3) uint8.
        size: height and width of the whole picture that they are a part of; None if they are the whole.
        corner: row and column of their upper left pixel in it.

    Returns:
        What: "brighter", "darker", "redder", "greener", "bluer", "yellower"; "more detail", "smoother"; the lines that
        the change is made of ("verticals", "horizontals", "diagonals"); and always "coarse grain" or "fine grain".
        Where, after a comma: "upper left", "middle" and so on, the ninth of the whole picture that the middle of the
        change lies in, or "all over" where it is spread. "no change" alone where nothing differs.

    Raises:
        ValueError: the pictures are of different shapes.
    """
    if before.shape != after.shape:
        raise ValueError(f"before and after must be of one shape, not {before.shape} and {after.shape}")
    if np.array_equal(before, after):
        return ["no change"]
    old, new = (cv2.cvtColor(x.astype(np.float32) / 255, cv2.COLOR_RGB2YCrCb) * 255 for x in (before, after))
    change = new - old  # luma, towards red, towards blue
    weight = cv2.GaussianBlur(np.abs(change).sum(2), (0, 0), NEAR)  # where it is
    weight /= weight.sum()
    luma = [x[..., 0] for x in (old, new, change)]
    found = [_shift(change, weight), _detail(*luma[:2], weight), _lines(luma[2], weight), _grain(luma[2])]
    where = _where(weight, size or before.shape[:2], corner)
    return [f"{what}, {where}" for what in found if what]


def _shift(change: np.ndarray, weight: np.ndarray) -> str:
    """The clearest shift of brightness or colour; empty if there is none to be seen."""
    shifts = (weight[..., None] * change).sum((0, 1))
    whole = np.sqrt((weight * np.square(change).sum(2)).sum())
    clearest = int(np.abs(shifts).argmax())
    if abs(shifts[clearest]) < max(LEAST, CLEAR * whole):
        return ""
    return SHIFTS[clearest][int(shifts[clearest] < 0)]


def _detail(old: np.ndarray, new: np.ndarray, weight: np.ndarray) -> str:
    """Whether the fine detail of luma grows or shrinks; empty if neither by much."""
    less, more = ((weight * np.square(x - _blurred(x))).sum() for x in (old, new))
    return "more detail" if more > DETAIL * less else "smoother" if less > DETAIL * more else ""


def _lines(luma: np.ndarray, weight: np.ndarray) -> str:
    """How the lines run that a change of luma is made of, by its structure tensor; empty if they have no one way."""
    across, down = (cv2.Sobel(luma, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    xx, yy, xy = ((weight * product).sum() for product in (across**2, down**2, across * down))
    if np.hypot(xx - yy, 2 * xy) <= ALIGNED * (xx + yy):
        return ""
    if abs(2 * xy) > abs(xx - yy):
        return "diagonals"
    return "verticals" if xx > yy else "horizontals"


def _grain(luma: np.ndarray) -> str:
    """How fine a change of luma is."""
    return "coarse grain" if np.square(_blurred(luma)).sum() > COARSE * np.square(luma).sum() else "fine grain"


def _blurred(x: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(x, (0, 0), NEAR)


def _where(weight: np.ndarray, size: tuple[int, int], corner: tuple[int, int]) -> str:
    """The place of a change in the whole picture, in words."""
    middles, spreads = [], []
    for axis in (0, 1):
        share, places = weight.sum(1 - axis), np.arange(weight.shape[axis]) + 0.5
        middle = (share * places).sum()
        spreads.append(np.sqrt((share * (places - middle) ** 2).sum()) / size[axis])
        middles.append((corner[axis] + middle) / size[axis])
    if min(spreads) > SPREAD:
        return "all over"
    row, column = (min(int(3 * m), 2) for m in middles)
    return f"{DOWN[row]} {ACROSS[column]}".strip() or "middle"
