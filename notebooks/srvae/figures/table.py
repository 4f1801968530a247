"""The paper's table of the sets that were measured here, with this project's rows.

fig = table()
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import srvae_core as sr
from srvae.benchmarks.results import read_results
from srvae.benchmarks.tables import TABLE_SETS, Cells, best_values, paper_table
from srvae.csvfiles import PUBLISHED, Row, read_csv

from .results import NotMeasuredError, missing
from .style import colour

LINE_HEIGHT = 0.185  # inches
NAMES_WIDTH = 1.55  # inches, of the column of methods
CELL_WIDTH = 0.55  # inches
MARGIN = 0.5  # lines
# what the paper prints, and what can be had here: its PI needs Ma's score, which cannot
PUBLISHED_MEASURES, MEASURES_HERE = ("PSNR", "SSIM", "PI"), ("PSNR", "SSIM", "NIQE")


def table(published: list[Row] | None = None, results: list[Row] | None = None) -> Figure:
    """The published rows and, beneath them, those measured here, for each scale.

    Sets that were not measured here are left out. The paper gives PI and no NIQE, so the third column changes its
    name. Bold are the best PSNR and SSIM of all rows, the lowest PI and the lowest NIQE.

    Args:
        published: rows of the paper's table; those of data/ unless given.
        results: rows of data/results.csv likewise.

    Raises:
        NotMeasuredError: none of the paper's sets has been measured; the message says which command does it.
    """
    published = read_csv(PUBLISHED) if published is None else published
    results = read_results() if results is None else results
    known = {r["set"] for r in results if r["settings"] in ("default", "files")}
    sets = [name for name in TABLE_SETS if name in known]
    if not sets:
        raise NotMeasuredError(missing("Set5"))
    blocks = {scale: (paper_table(scale, published, []), measured_here(scale, results)) for scale in sr.SCALES}
    # three lines of heads for each scale, and about the blocks a margin
    lines = sum(len(theirs) + len(ours) + 3 for theirs, ours in blocks.values()) + (len(blocks) + 1) * MARGIN
    width = NAMES_WIDTH + 3 * len(sets) * CELL_WIDTH + 0.1
    fig = plt.figure(figsize=(width, lines * LINE_HEIGHT))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(lines, 0))  # x in inches, y in lines from the top
    ax.axis("off")
    y = MARGIN
    for scale, (theirs, ours) in blocks.items():
        _draw_head(ax, y, f"{scale}x", sets)
        best = best_values({f"published {name}": row for name, row in theirs.items()} | ours)
        y = _draw_rows(ax, y + 1, ("published", *PUBLISHED_MEASURES), theirs, sets, best)
        y = _draw_rows(ax, y, ("measured here", *MEASURES_HERE), ours, sets, best)
        _draw_rule(ax, y, 1.2)
        y += MARGIN
    return fig


def measured_here(scale: int, results: list[Row]) -> dict[str, Cells]:
    """This project's rows at default settings, and its peers': method -> set -> (PSNR, SSIM, NIQE) as text."""
    rows: dict[str, Cells] = {}
    for r in sorted(results, key=itemgetter("method")):
        if r["scale"] == str(scale) and r["settings"] in ("default", "files"):
            niqe = f"{float(r['niqe']):.2f}" if r["niqe"] else ""
            rows.setdefault(r["method"], {})[r["set"]] = (f"{float(r['psnr']):.2f}", f"{float(r['ssim']):.3f}", niqe)
    return rows


def _draw_rule(ax: Axes, y: float, weight: float = 0.8) -> None:
    ax.plot([0.05, ax.get_xlim()[1] - 0.05], [y, y], color="black", lw=weight)


def _draw_head(ax: Axes, y: float, title: str, sets: Sequence[str]) -> None:
    """The scale and the sets."""
    _draw_rule(ax, y, 1.2)
    ax.text(0.1, y + 0.5, title, va="center", fontweight="bold")
    for i, dataset in enumerate(sets):
        middle = NAMES_WIDTH + (3 * i + 1.5) * CELL_WIDTH
        ax.text(middle, y + 0.5, dataset, ha="center", va="center", fontweight="bold")


def _draw_rows(
    ax: Axes,
    y: float,
    head: Sequence[str],
    rows: dict[str, Cells],
    sets: Sequence[str],
    best: dict[tuple[str, int], str],
) -> float:
    """A line that names the rows and their three measures, and a line for each method; returns where they end."""
    own = best_values(rows)  # of the third column, which no other rows have
    title, *measures = head
    _draw_rule(ax, y)
    ax.text(0.1, y + 0.5, title, va="center", fontsize=7, style="italic")
    for i in range(len(sets)):
        for j, name in enumerate(measures):
            _draw_cell(ax, i, j, y, name, style="italic")
    y += 1
    _draw_rule(ax, y, 0.5)
    for method, row in rows.items():
        ax.text(0.1, y + 0.5, method, va="center", fontsize=7.5, color=colour(method))
        for i, dataset in enumerate(sets):
            for j, text in enumerate(row.get(dataset, ("", "", ""))):
                is_best = text and text == (own if j == 2 else best)[dataset, j]
                _draw_cell(ax, i, j, y, text or "–", fontweight="bold" if is_best else "normal")
        y += 1
    return y


def _draw_cell(ax: Axes, i: int, j: int, y: float, text: str, **options: str) -> None:
    """The j-th measure of the i-th set in a line."""
    place = NAMES_WIDTH + (3 * i + j + 0.5) * CELL_WIDTH, y + 0.5
    ax.text(*place, text, ha="center", va="center", fontsize=7, **options)
