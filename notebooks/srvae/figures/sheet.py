"""Sheets: rows of pictures at true pixels, with captions on dark bands.

fig = sheet([Strip([lr, answer], above=["LR\\nnearest neighbour", "SR-VAE-D\\ntemperature 0"])])

A sheet of five pictures of 160 pixels fits into a README without being resampled. The dark background is part of the
picture, so a sheet looks the same on light and dark pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

DPI = 100  # one dot of a sheet is one pixel of its pictures
GUTTER = 4  # pixels between pictures and around the sheet
LINE = 15  # pixels, the height of a line of text
LETTERS = 8  # points
COLOURS = "cividis"  # looks the same to colour-blind readers
BRIGHTEST = 99.5  # the percentile of a map's values that gets the brightest colour
MAP_EDGE = 192  # pixels, the least side of a map
BAND, INK, FAINT = "#24292f", "#ffffff", "#c9d1d9"


@dataclass(frozen=True)
class Strip:
    """One row of a sheet."""

    pictures: Sequence[np.ndarray | None]  # each (H, W, 3) uint8, all of one size; None leaves a place free
    above: Sequence[str] = ()  # captions; lines after the first are fainter
    below: Sequence[str] = ()


def sheet(strips: Sequence[Strip]) -> Figure:
    """Draw strips with one dot for each pixel.

    All strips are of one length, and all pictures of one size. The first axes hold all text and span the figure; one
    axes for each place follows, row by row.
    """
    ((height, width),) = {picture.shape[:2] for strip in strips for picture in strip.pictures if picture is not None}
    (columns,) = {len(strip.pictures) for strip in strips}
    tall = GUTTER + sum(_band_height(s.above) + height + _band_height(s.below) + GUTTER for s in strips)
    wide = GUTTER + columns * (width + GUTTER)
    fig = plt.figure(figsize=(wide / DPI, tall / DPI), dpi=DPI, facecolor=BAND)
    text = fig.add_axes((0, 0, 1, 1))
    text.set(xlim=(0, wide), ylim=(tall, 0))
    text.axis("off")
    top = GUTTER
    for strip in strips:
        _write(text, strip.above, top, width)
        top += _band_height(strip.above)
        for i, picture in enumerate(strip.pictures):
            left = GUTTER + i * (width + GUTTER)
            ax = fig.add_axes((left / wide, 1 - (top + height) / tall, width / wide, height / tall))
            ax.axis("off")
            if picture is not None:
                ax.imshow(picture, interpolation="nearest", aspect="auto")
        top += height
        _write(text, strip.below, top, width)
        top += _band_height(strip.below) + GUTTER
    return fig


def _band_height(captions: Sequence[str]) -> int:
    return LINE * max(caption.count("\n") + 1 for caption in captions) + GUTTER if captions else 0


def _write(ax: Axes, captions: Sequence[str], top: int, width: int) -> None:
    for i, caption in enumerate(captions):
        for j, line in enumerate(caption.split("\n")):
            x, y = GUTTER + i * (width + GUTTER) + width / 2, top + (j + 0.5) * LINE
            ax.text(x, y, line, ha="center", va="center", fontsize=LETTERS, color=FAINT if j else INK)


# -- Maps: arrays of numbers in colours ---------------------------------------------------------------------


def maps(named: Mapping[str, np.ndarray]) -> Figure:
    """Draw maps of one size, caption -> (H, W) of non-negative numbers, with one colour scale and its bar.

    Small maps are magnified by a whole factor, to at least :data:`MAP_EDGE` pixels a side.
    """
    colours = shared_colours([*named.values()])
    factor = max(1, -(-MAP_EDGE // min(next(iter(named.values())).shape)))
    pictures = [coloured(values, colours).repeat(factor, 0).repeat(factor, 1) for values in named.values()]
    fig = sheet([Strip([*pictures, None], [*named, ""])])
    add_bars(fig, colours)
    return fig


def shared_colours(values: Sequence[np.ndarray]) -> ScalarMappable:
    """Return one colour scale for several maps, from 0 to their percentile :data:`BRIGHTEST`."""
    return ScalarMappable(Normalize(0, np.percentile(values, BRIGHTEST)), COLOURS)


def coloured(values: np.ndarray, colours: ScalarMappable) -> np.ndarray:
    """Return a map, (H, W), in colours, (H, W, 3) uint8."""
    return colours.to_rgba(values, bytes=True)[..., :3]


def add_bars(fig: Figure, colours: ScalarMappable) -> None:
    """Draw a colour bar in each free place of a sheet."""
    _, *places = fig.axes
    for ax in [ax for ax in places if not ax.images]:
        bar = fig.colorbar(colours, cax=ax.inset_axes((0.1, 0.04, 0.12, 0.92)), extend="max")
        bar.ax.tick_params(colors=INK, labelsize=LETTERS)
        bar.outline.set_visible(False)
