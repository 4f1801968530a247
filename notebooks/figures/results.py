"""What data/results.csv holds: the table beside the paper's, the walk over temperatures, quality against time."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from benchmarks.results import read_results
from benchmarks.tables import HERE, TABLE_SETS, Cells, best_values, paper_table
from csvfiles import PUBLISHED, Row, read_csv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

import srvae_core as sr

from .style import COLOURS, FIGURE_WIDTH, colour

# -- table --------------------------------------------------------------------------------------------------

LINE_HEIGHT = 0.185  # inches
NAMES_WIDTH = 1.55  # inches, of the column of methods
CELL_WIDTH = (FIGURE_WIDTH - 1.6) / (3 * len(TABLE_SETS))


def table(published: list[Row] | None = None, results: list[Row] | None = None) -> Figure:
    """The paper's table and, beneath each scale, this project's rows; the best of each column is bold.

    Args:
        published: rows of the paper's table; those of data/ unless given.
        results: rows of data/results.csv likewise.
    """
    published = read_csv(PUBLISHED) if published is None else published
    results = read_results() if results is None else results
    tables = {scale: paper_table(scale, published, results) for scale in sr.SCALES}
    lines = sum(len(rows) + 3 for rows in tables.values()) + 1
    fig = plt.figure(figsize=(FIGURE_WIDTH, lines * LINE_HEIGHT))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, FIGURE_WIDTH), ylim=(lines, 0))  # x in inches, y in lines from the top
    ax.axis("off")
    y = 0.15
    for scale, rows in tables.items():
        _draw_head(ax, y, scale)
        y = _draw_rows(ax, y + 2.2, rows) + 0.8
    note = "(here): measured by this project at default settings. PI needs Ma's score, which cannot be had. Bold: best."
    ax.text(0.1, y - 0.2, note, fontsize=7, va="center")
    return fig


def _draw_rule(ax: Axes, y: float, weight: float = 0.8) -> None:
    ax.plot([0.05, FIGURE_WIDTH - 0.05], [y, y], color="black", lw=weight)


def _draw_head(ax: Axes, y: float, scale: int) -> None:
    """Two lines: the sets, and the scores of each."""
    _draw_rule(ax, y, 1.2)
    ax.text(0.1, y + 0.6, f"{scale}x", va="center", fontweight="bold")
    ax.text(0.1, y + 1.6, "method", va="center", fontsize=7)
    for i, dataset in enumerate(TABLE_SETS):
        middle = NAMES_WIDTH + (3 * i + 1.5) * CELL_WIDTH
        ax.text(middle, y + 0.6, dataset, ha="center", va="center", fontweight="bold")
        for j, name in enumerate(("PSNR", "SSIM", "PI")):
            x = NAMES_WIDTH + (3 * i + j + 0.5) * CELL_WIDTH
            ax.text(x, y + 1.6, name, ha="center", va="center", fontsize=7)


def _draw_rows(ax: Axes, y: float, rows: dict[str, Cells]) -> float:
    """A line for each method, between two rules; returns where the last one lies."""
    best = best_values(rows)
    _draw_rule(ax, y)
    ours = False
    for method, row in rows.items():
        if method.endswith(HERE) and not ours:
            _draw_rule(ax, y, 0.5)
            ours = True
        ax.text(0.1, y + 0.5, method, va="center", fontsize=7.5, color=colour(method.removesuffix(HERE)))
        for i, dataset in enumerate(TABLE_SETS):
            for j, text in enumerate(row.get(dataset, ())):
                weight = "bold" if text and text == best[dataset, j] else "normal"
                place = NAMES_WIDTH + (3 * i + j + 0.5) * CELL_WIDTH, y + 0.5
                ax.text(*place, text or "–", ha="center", va="center", fontsize=7, fontweight=weight)
        y += 1
    _draw_rule(ax, y, 1.2)
    return y


# -- temperature --------------------------------------------------------------------------------------------

MEASURES = {
    "psnr": "PSNR (dB)",
    "lr_psnr": "LR-PSNR (dB)",
    "niqe": "NIQE (lower is better)",
    "diversity": "diversity (%)",
}
LINES = {4: ("-", "o"), 8: ("--", "s")}  # scale -> line and marker


def temperature_of(settings: str) -> float | None:
    """The temperature that a results row's settings name; None for settings that name none."""
    head, _, value = settings.partition(" ")
    try:
        return float(value) if head == "temperature" else None
    except ValueError:
        return None


def walk(results: list[Row], method: str, scale: int, dataset: str, measure: str) -> list[tuple[float, float]]:
    """(temperature, value) in order, as far as the results have it; one answer alone has no diversity: 0."""
    points = []
    for r in results:
        t = temperature_of(r["settings"])
        if t is None or (r["method"], r["scale"], r["set"]) != (method, str(scale), dataset):
            continue
        if value := r[measure] or ("0" if measure == "diversity" else ""):
            points.append((t, float(value)))
    return sorted(points)


def temperature(results: list[Row] | None = None, dataset: str = "bundled") -> Figure:
    """The perception-distortion walk: four scores against the temperature, for every variant and scale.

    Raises:
        LookupError: the results lack these rows; the message says which command makes them.
    """
    results = read_results() if results is None else results
    if not any(r["set"] == dataset and temperature_of(r["settings"]) for r in results):
        raise LookupError(_missing(dataset))
    fig, axes = plt.subplots(2, 2, figsize=(FIGURE_WIDTH, 5.0), sharex=True, layout="constrained")
    for ax, (measure, words) in zip(axes.flat, MEASURES.items(), strict=True):
        for method in ("SR-VAE-D", "SR-VAE-P"):
            for scale, (line, marker) in LINES.items():
                if points := walk(results, method, scale, dataset, measure):
                    x, y = zip(*points, strict=True)
                    ax.plot(x, y, line, marker=marker, ms=4, color=COLOURS[method], label=f"{method} {scale}x")
        if not ax.lines:
            ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center")
        ax.set_title(words, loc="left")
        ax.grid(alpha=0.3)
    for ax in axes[1]:
        ax.set_xlabel("temperature (0: deterministic, 1: the prior)")
        ax.xaxis.set_major_locator(MultipleLocator(0.25))
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return fig


# -- quality_vs_time ----------------------------------------------------------------------------------------

MARKERS = {  # settings -> marker and words
    "default": ("o", "whole tiling"),
    "self-ensemble": ("s", "whole tiling, self-ensemble"),
    "release tiling": ("^", "release tiling"),
    "release tiling, self-ensemble": ("D", "release tiling, self-ensemble"),
}


def quality_vs_time(results: list[Row] | None = None, dataset: str = "Set5") -> Figure:
    """PSNR against seconds per megapixel of the answer; peers, whose time is not known, as lines.

    Raises:
        LookupError: the results lack these rows; the message says which command makes them.
    """
    results = read_results() if results is None else results
    chosen = [r for r in results if r["set"] == dataset and r["settings"] in (*MARKERS, "files")]
    if all(r["method"] == "Bicubic" for r in chosen):
        raise LookupError(_missing(dataset))
    peers = sorted({r["method"] for r in chosen if r["settings"] == "files"})
    fig, axes = plt.subplots(1, 2, figsize=(FIGURE_WIDTH, 3.6), layout="constrained")
    for ax, scale in zip(axes, sr.SCALES, strict=True):
        _draw_points(ax, [r for r in chosen if r["scale"] == str(scale)], peers)
        ax.set(xscale="log", xlabel="seconds per megapixel of the answer")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set_title(f"{dataset} {scale}x, PSNR (dB)", loc="left")
        ax.grid(alpha=0.3, which="both")
    # colours say the method, markers how it was asked
    methods = sorted({r["method"] for r in chosen if r["settings"] != "files"})
    used = {r["settings"] for r in chosen if r["method"] != "Bicubic"}
    handles = [plt.Line2D([], [], color=colour(m), lw=4, label=m) for m in methods]
    handles += [plt.Line2D([], [], color=colour(p, peers), ls=":", label=f"{p} (time unknown)") for p in peers]
    handles += [
        plt.Line2D([], [], color="#444444", ls="", marker=marker, label=words)
        for name, (marker, words) in MARKERS.items()
        if name in used
    ]
    fig.legend(handles=handles, loc="outside upper center", ncols=4)
    return fig


def _draw_points(ax: Axes, rows: list[Row], peers: Sequence[str]) -> None:
    for r in rows:
        if r["settings"] == "files":
            ax.axhline(float(r["psnr"]), color=colour(r["method"], peers), ls=":", label="_" + r["method"])
        else:
            marker, _ = MARKERS[r["settings"]]
            ax.plot(float(r["seconds"]), float(r["psnr"]), marker, ms=7, color=colour(r["method"]), mec="white")


def _missing(dataset: str) -> str:
    return (
        f"data/results.csv lacks this figure's rows of {dataset}: "
        f"run python notebooks/evaluate.py scores --sets {dataset}"
    )
