"""Colour spaces that a file describes by primaries and a gamma instead of an ICC profile, converted to sRGB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import srvae_core as sr

ROWS = 256  # converted at once, to bound the memory
# How far a gamma, as a share, and chromaticities may be from sRGB's to be taken for them; gamma as in libpng.
NEAR_GAMMA, NEAR_XY = 0.05, 0.005
# From XYZ to the responses of the eye's cones, which chromatic adaptation scales (Bradford).
CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class ColourSpace:
    """A colour space: chromaticities x, y of white, red, green, blue, and the exponent that decodes samples to light.

    An exponent of None is sRGB's curve.
    """

    xy: tuple[float, ...]
    exponent: float | None = None


SRGB = ColourSpace((0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06))
ADOBE_RGB = ColourSpace((0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 563 / 256)


def described(chromaticities: Sequence[float] | None, gamma: float | None) -> ColourSpace | None:
    """Return the colour space of PNG's cHRM and gAMA, either of which may be missing; None for sRGB and its like.

    Raises:
        ValueError: the chromaticities are not those of white and three colours.
    """
    xy = SRGB.xy if chromaticities is None else tuple(map(float, chromaticities))
    if not np.isfinite(to_xyz(xy)).all():
        raise ValueError(f"it has invalid chromaticities: {', '.join(f'{v:g}' for v in xy)}")
    same_gamma = not gamma or abs(2.2 * gamma - 1) <= NEAR_GAMMA
    if same_gamma and max(abs(a - b) for a, b in zip(xy, SRGB.xy, strict=True)) <= NEAR_XY:
        return None
    return ColourSpace(xy, 1 / gamma if gamma else None)


def to_xyz(xy: Sequence[float]) -> np.ndarray:
    """Return the matrix from linear RGB to XYZ, (3, 3), for white of Y = 1; NaN if there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in np.reshape(xy, (4, 2))]).T  # white first
    if not np.isfinite(columns).all() or abs(np.linalg.det(columns[:, 1:])) < 1e-6:
        return np.full((3, 3), np.nan)
    return columns[:, 1:] * np.linalg.solve(columns[:, 1:], columns[:, 0])


def convert(image: np.ndarray, space: ColourSpace | None) -> np.ndarray:
    """Convert the colours of an image, (H, W, 3 or 4) uint8 or uint16, to sRGB; None stands for sRGB itself."""
    if space is None:
        return image
    whites = [CONES @ (matrix := to_xyz(xy)).sum(1) for xy in (space.xy, SRGB.xy)]
    adapted = np.linalg.solve(CONES, np.diag(whites[1] / whites[0])) @ CONES @ to_xyz(space.xy)
    mixing = np.linalg.solve(matrix, adapted)  # from the image's linear RGB to sRGB's
    peak = sr.max_value(image.dtype)
    coded = np.linspace(0, 1, peak + 1)
    srgb_light = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    light = (srgb_light if space.exponent is None else coded**space.exponent).astype(np.float32)
    result = image.copy()
    for start in range(0, len(image), ROWS):
        rows = result[start : start + ROWS, :, :3]
        grey = (rows == rows[..., :1]).all(2, keepdims=True)  # stays grey to the bit
        mixed = np.where(grey, light[rows], light[rows] @ mixing.T.astype(np.float32)).clip(0, 1)
        rows[:] = np.rint(peak * np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055))
    return result
