"""Plots of data/results.csv: scores against the temperature, quality against time."""

from __future__ import annotations

from itertools import product

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MultipleLocator, NullFormatter

import srvae_core as sr
from srvae.benchmarks.tables import MODELS
from srvae.csvfiles import RESULTS, Row, read_csv

from .style import COLOURS, FIGURE_WIDTH


class NotMeasuredError(LookupError):
    """data/results.csv lacks rows that a figure needs; the message names the command that measures them."""

    def __init__(self, dataset: str) -> None:
        super().__init__(f"data/results.csv lacks rows of {dataset}: run srvae evaluate scores --sets {dataset}")


# -- Temperature --------------------------------------------------------------------------------------------

MEASURES = {
    "psnr": "PSNR (dB)",
    "lr_psnr": "LR-PSNR (dB)",
    "niqe": "NIQE (lower is better)",
    "vgg": "VGG distance (lower is better)",
    "diversity": "diversity (%)",
}
LINES = {4: ("-", "o"), 8: ("--", "s")}  # scale -> line and marker


def walk(results: list[Row], method: str, scale: int, measure: str) -> list[tuple[float, float]]:
    """Return (temperature, value) on the bundled photographs, by temperature; the diversity at 0 is 0."""
    points = []
    for r in results:
        settings, _, t = r["settings"].partition(" ")
        if settings == "temperature" and (r["method"], r["scale"], r["set"]) == (method, str(scale), "bundled"):
            value = "0" if (measure, t) == ("diversity", "0") else r[measure]
            points += [(float(t), float(value))] if value else []
    return sorted(points)


def temperature(results: list[Row] | None = None) -> Figure:
    """Plot the scores of every model on the bundled photographs against the temperature.

    Raises:
        NotMeasuredError: no model was measured at several temperatures.
    """
    results = read_csv(RESULTS) if results is None else results
    if not any(walk(results, method, scale, "psnr") for method, scale in product(MODELS, sr.SCALES)):
        raise NotMeasuredError("bundled")
    fig, axes = plt.subplots(3, 2, figsize=(FIGURE_WIDTH, 2.4 * 3), layout="constrained")
    *axes, last = axes.flat
    for ax, (measure, title) in zip(axes, MEASURES.items(), strict=True):
        for method, scale in product(MODELS, sr.SCALES):
            form, marker = LINES[scale]
            points = walk(results, method, scale, measure)
            x, y = [t for t, _ in points], [value for _, value in points]
            ax.plot(x, y, form, marker=marker, ms=4, color=COLOURS[method], label=f"{method} {scale}x")
        ax.set_title(title, loc="left")
        ax.set_xlabel("temperature (0: deterministic, 1: the prior)")
        ax.xaxis.set_major_locator(MultipleLocator(0.25))
        ax.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    last.axis("off")
    last.legend(handles, labels, loc="center")
    return fig


# -- Quality against time -----------------------------------------------------------------------------------

MARKERS = {  # settings -> marker and label
    "default": ("o", "whole tiling"),
    "self-ensemble": ("s", "whole tiling, self-ensemble"),
    "release tiling": ("^", "release tiling"),
    "release tiling, self-ensemble": ("D", "release tiling, self-ensemble"),
}


def quality_vs_time(results: list[Row] | None = None) -> Figure:
    """Plot PSNR on Set5 against seconds per megapixel of the answer.

    The numbers of bicubic, which is hundreds of times faster, stand in the titles.

    Raises:
        NotMeasuredError: no model was measured on Set5.
    """
    results = read_csv(RESULTS) if results is None else results
    measured = [r for r in results if r["set"] == "Set5" and r["settings"] in MARKERS]
    models = [r for r in measured if r["method"] != "Bicubic"]
    if not models:
        raise NotMeasuredError("Set5")
    fig, axes = plt.subplots(1, 2, figsize=(FIGURE_WIDTH, 3.4), layout="constrained")
    for ax, scale in zip(axes, sr.SCALES, strict=True):
        for r in models:
            if r["scale"] == str(scale):
                marker, _ = MARKERS[r["settings"]]
                point = float(r["seconds"]), float(r["psnr"])
                ax.plot(*point, marker, ms=7, mfc="none", mec=COLOURS[r["method"]], mew=1.6)
        ax.set(xscale="log", xlabel="seconds per megapixel of the answer")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        title = f"Set5 {scale}x, PSNR (dB)"
        for r in measured:
            if (r["method"], r["scale"]) == ("Bicubic", str(scale)):
                title += f"\nnot drawn: bicubic, {float(r['psnr']):.2f} dB in {float(r['seconds']):.2f} s"
        ax.set_title(title, loc="left")
        ax.grid(alpha=0.3, which="both")
    handles = [plt.Line2D([], [], color=COLOURS[method], lw=4, label=method) for method in MODELS]
    for marker, label in MARKERS.values():
        handles.append(plt.Line2D([], [], color="#444444", ls="", marker=marker, mfc="none", mew=1.6, label=label))
    fig.legend(handles=handles, loc="outside upper center", ncols=3)
    return fig
