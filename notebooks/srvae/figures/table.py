"""The paper's table of the sets that were measured here, with this project's rows."""

from __future__ import annotations

from operator import itemgetter

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import srvae_core as sr
from srvae.benchmarks.tables import TABLE_SETS, Cells, best_values, paper_table
from srvae.csvfiles import PUBLISHED, RESULTS, Row, read_csv

from .results import NotMeasuredError
from .style import COLOURS

LINE_HEIGHT = 0.185  # inches
NAMES_WIDTH = 1.55  # inches, of the column of methods
CELL_WIDTH = 0.55  # inches
MARGIN = 0.5  # lines


def table(published: list[Row] | None = None, results: list[Row] | None = None) -> Figure:
    """Draw the published rows of each scale and, below them, those measured here.

    The paper gives PI, which needs Ma's score and cannot be computed here; NIQE takes its place. The best PSNR and SSIM
    of all rows, the lowest PI and the lowest NIQE are bold.

    Args:
        published, results: rows of data/published_table.csv and data/results.csv, read from there by default.

    Raises:
        NotMeasuredError: none of the paper's sets has been measured.
    """
    published = read_csv(PUBLISHED) if published is None else published
    results = read_csv(RESULTS) if results is None else results
    results = [r for r in results if r["settings"] == "default" and r["set"] in TABLE_SETS]
    sets = [name for name in TABLE_SETS if name in {r["set"] for r in results}]
    if not sets:
        raise NotMeasuredError("Set5")
    blocks = {scale: (paper_table(scale, published, []), measured_here(scale, results)) for scale in sr.SCALES}
    # Each scale has three heading lines; margins lie between the blocks and around them.
    lines = sum(len(theirs) + len(ours) + 3 for theirs, ours in blocks.values()) + (len(blocks) + 1) * MARGIN
    width = NAMES_WIDTH + 3 * len(sets) * CELL_WIDTH + 0.1
    fig = plt.figure(figsize=(width, lines * LINE_HEIGHT))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(lines, 0))  # x in inches, y in lines from the top
    ax.axis("off")
    y = MARGIN
    for scale, (theirs, ours) in blocks.items():
        _draw_rule(ax, y, 1.2)
        ax.text(0.1, y + 0.5, f"{scale}x", va="center", fontweight="bold")
        for i, dataset in enumerate(sets):
            middle = NAMES_WIDTH + (3 * i + 1.5) * CELL_WIDTH
            ax.text(middle, y + 0.5, dataset, ha="center", va="center", fontweight="bold")
        best = best_values({f"published {name}": row for name, row in theirs.items()} | ours)
        y = _draw_rows(ax, y + 1, ["published", "PSNR", "SSIM", "PI"], theirs, sets, best)
        y = _draw_rows(ax, y, ["measured here", "PSNR", "SSIM", "NIQE"], ours, sets, best)
        _draw_rule(ax, y, 1.2)
        y += MARGIN
    return fig


def measured_here(scale: int, results: list[Row]) -> dict[str, Cells]:
    """Return this project's rows: method -> set -> (PSNR, SSIM, NIQE) as text."""
    rows: dict[str, Cells] = {}
    for r in sorted(results, key=itemgetter("method")):
        if r["scale"] == str(scale):
            niqe = f"{float(r['niqe']):.2f}" if r["niqe"] else ""
            rows.setdefault(r["method"], {})[r["set"]] = (f"{float(r['psnr']):.2f}", f"{float(r['ssim']):.3f}", niqe)
    return rows


def _draw_rule(ax: Axes, y: float, weight: float) -> None:
    ax.plot([0.05, ax.get_xlim()[1] - 0.05], [y, y], color="black", lw=weight)


def _draw_rows(ax: Axes, y: float, head: list[str], rows: dict[str, Cells], sets: list[str], best: dict) -> float:
    """Draw a heading line and a line for each method; return the y below them."""
    best = best | {key: text for key, text in best_values(rows).items() if key[1] == 2}  # no other rows have PI or NIQE
    title, *measures = head
    _draw_rule(ax, y, 0.8)
    ax.text(0.1, y + 0.5, title, va="center", fontsize=7, style="italic")
    for i in range(len(sets)):
        for j, name in enumerate(measures):
            _draw_cell(ax, i, j, y, name, style="italic")
    y += 1
    _draw_rule(ax, y, 0.5)
    for method, row in rows.items():
        ax.text(0.1, y + 0.5, method, va="center", fontsize=7.5, color=COLOURS.get(method, "black"))
        for i, dataset in enumerate(sets):
            for j, text in enumerate(row.get(dataset, ("", "", ""))):
                bold = text and text == best[dataset, j]
                _draw_cell(ax, i, j, y, text or "–", fontweight="bold" if bold else "normal")
        y += 1
    return y


def _draw_cell(ax: Axes, i: int, j: int, y: float, text: str, **options: str) -> None:
    """Draw the j-th measure of the i-th set."""
    x = NAMES_WIDTH + (3 * i + j + 0.5) * CELL_WIDTH
    ax.text(x, y + 0.5, text, ha="center", va="center", fontsize=7, **options)
