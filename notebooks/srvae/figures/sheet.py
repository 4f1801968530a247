"""Pictures at true pixels, in rows that touch, with their words on dark bands.

fig = sheet([Strip([lr, answer], above=["LR\\nnearest neighbour", "SR-VAE-D\\ntemperature 0"])])

A sheet of five pictures of 160 pixels fits into a README, so no browser blurs it. Its bands are part of the picture,
so light and dark pages show it alike.
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

DPI = 100  # a dot of a sheet is a pixel of its pictures; saved at another number, pictures would be resampled
GUTTER = 4  # pixels between pictures and about the sheet
LINE = 15  # pixels, the height of a line of words
LETTERS = 8  # points
COLOURS = "cividis"  # of maps: looks the same to the colour-blind
BRIGHTEST = 99.5  # percent of the maps' values below the brightest colour: a few peaks would leave all else dark
MAP_EDGE = 192  # pixels a side that a map alone has at least
BAND, INK, FAINT = "#24292f", "#ffffff", "#c9d1d9"


@dataclass(frozen=True)
class Strip:
    """One row of a sheet.

    Attributes:
        pictures: each (H, W, 3) uint8, all of one size; None leaves a place free.
        above: words over each picture, of which lines after the first are fainter; empty for none.
        below: words under each picture likewise.
    """

    pictures: Sequence[np.ndarray | None]
    above: Sequence[str] = ()
    below: Sequence[str] = ()


def sheet(strips: Sequence[Strip]) -> Figure:
    """A figure of strips, one pixel of a picture for each dot at :data:`DPI` dots per inch.

    Its first axes have all words and span the figure; an axes for each place follows, row by row.

    Args:
        strips: at least one, all with as many places of one size.

    Raises:
        ValueError: there is none, they differ, or words are not as many as places.
    """
    sizes = {picture.shape[:2] for strip in strips for picture in strip.pictures if picture is not None}
    lengths = {len(strip.pictures) for strip in strips}
    lengths |= {len(words) for strip in strips for words in (strip.above, strip.below) if words}
    if len(sizes) != 1 or len(lengths) != 1:
        raise ValueError(f"a sheet needs strips of as many pictures and words, all of one size; not {lengths}, {sizes}")
    ((height, width),), (columns,) = sizes, lengths
    tall = GUTTER + sum(_tall(s.above) + height + _tall(s.below) + GUTTER for s in strips)
    wide = GUTTER + columns * (width + GUTTER)
    fig = plt.figure(figsize=(wide / DPI, tall / DPI), dpi=DPI, facecolor=BAND)
    words = fig.add_axes((0, 0, 1, 1))
    words.set(xlim=(0, wide), ylim=(tall, 0))
    words.axis("off")
    top = GUTTER
    for strip in strips:
        _write(words, strip.above, top, width)
        top += _tall(strip.above)
        for i, picture in enumerate(strip.pictures):
            left = GUTTER + i * (width + GUTTER)
            ax = fig.add_axes((left / wide, 1 - (top + height) / tall, width / wide, height / tall))
            ax.axis("off")
            if picture is not None:
                ax.imshow(picture, interpolation="nearest", aspect="auto")
        top += height
        _write(words, strip.below, top, width)
        top += _tall(strip.below) + GUTTER
    return fig


def maps(named: Mapping[str, np.ndarray]) -> Figure:
    """Maps of numbers side by side, with one scale of colours and its bar.

    Args:
        named: by the words above, whose lines after the first are fainter; each (H, W), not negative, all of one size.
            They are magnified by a whole factor to :data:`MAP_EDGE` pixels a side at least.
    """
    colours = shared_colours([*named.values()])
    factor = max(1, -(-MAP_EDGE // min(next(iter(named.values())).shape)))
    pictures = [coloured(values, colours).repeat(factor, 0).repeat(factor, 1) for values in named.values()]
    fig = sheet([Strip([*pictures, None], [*named, ""])])
    add_bars(fig, colours)
    return fig


def shared_colours(values: Sequence[np.ndarray]) -> ScalarMappable:
    """One scale of colours for several maps, from 0 to what :data:`BRIGHTEST` percent of their values lie below."""
    return ScalarMappable(Normalize(0, np.percentile(values, BRIGHTEST)), COLOURS)


def coloured(values: np.ndarray, colours: ScalarMappable) -> np.ndarray:
    """A map of numbers, (H, W), in colours, (H, W, 3) uint8."""
    return colours.to_rgba(values, bytes=True)[..., :3]


def add_bars(fig: Figure, colours: ScalarMappable) -> None:
    """Put a bar that says which colour is which number into each free place of a sheet."""
    _, *places = fig.axes
    for ax in [ax for ax in places if not ax.images]:
        bar = fig.colorbar(colours, cax=ax.inset_axes((0.1, 0.04, 0.12, 0.92)), extend="max")
        bar.ax.tick_params(colors=INK, labelsize=LETTERS)
        bar.outline.set_visible(False)


def _tall(words: Sequence[str]) -> int:
    """Pixels that a band of words takes."""
    return LINE * max(text.count("\n") + 1 for text in words) + GUTTER if words else 0


def _write(ax: Axes, words: Sequence[str], top: int, width: int) -> None:
    for i, text in enumerate(words):
        for j, line in enumerate(text.split("\n")):
            place = GUTTER + i * (width + GUTTER) + width / 2, top + (j + 0.5) * LINE
            ax.text(*place, line, ha="center", va="center", fontsize=LETTERS, color=FAINT if j else INK)
