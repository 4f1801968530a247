"""What data/results.csv holds: the walk over temperatures, the samples worth showing, quality against time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MultipleLocator, NullFormatter

import srvae_core as sr
from srvae.benchmarks.results import read_results
from srvae.csvfiles import Row

from .style import COLOURS, FIGURE_WIDTH, colour


class NotMeasuredError(LookupError):
    """data/results.csv lacks rows that a figure needs; the message says which command measures them."""


# -- temperature --------------------------------------------------------------------------------------------

MEASURES = {
    "psnr": "PSNR (dB)",
    "lr_psnr": "LR-PSNR (dB)",
    "niqe": "NIQE (lower is better)",
    "vgg": "VGG distance (lower is better)",
    "diversity": "diversity (%)",
}
LINES = {4: ("-", "o"), 8: ("--", "s")}  # scale -> line and marker
VARIANTS = ("SR-VAE-D", "SR-VAE-P")
LARGEST_LOSS = 1.0  # dB: what samples that stand for all others in a figure may lose to D's answer


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
        if value := r.get(measure) or ("0" if measure == "diversity" and not t else ""):
            points.append((t, float(value)))
    return sorted(points)


def best_sample(
    scale: int,
    results: list[Row] | None = None,
    dataset: str = "bundled",
    *,
    loss: float = LARGEST_LOSS,
    only: float | None = None,
) -> tuple[str, float]:
    """Which samples figures show: of those that lose little to D's answer, the ones of the lowest NIQE.

    Chosen among all temperatures above 0 that were measured, of both variants.

    Args:
        loss: dB of PSNR that they may lose at most.
        only: the one temperature to choose from; all by default.

    Returns:
        The variant, such as "SR-VAE-D", and the temperature.

    Raises:
        NotMeasuredError: the results lack these rows, or all samples lose more.
    """
    results = read_results() if results is None else results
    answer = dict(walk(results, VARIANTS[0], scale, dataset, "psnr")).get(0.0)
    if answer is None:
        raise NotMeasuredError(missing(dataset))
    found = []
    for method in VARIANTS:
        niqe = dict(walk(results, method, scale, dataset, "niqe"))
        for t, psnr in walk(results, method, scale, dataset, "psnr"):
            if t > 0 and only in (None, t) and t in niqe and psnr >= answer - loss:
                found.append((niqe[t], method, t))
    if not found:
        raise NotMeasuredError(f"{missing(dataset)}, or no sample comes within {loss:g} dB of D's answer at {scale}x")
    _, method, t = min(found)
    return method, t


def temperature(results: list[Row] | None = None, dataset: str = "bundled") -> Figure:
    """The perception-distortion walk: all scores that were measured against the temperature, of every model.

    Rings mark the samples that the comparisons show, see :func:`best_sample`.

    Raises:
        NotMeasuredError: the results lack these rows; the message says which command makes them.
    """
    results = read_results() if results is None else results
    models = [(method, scale) for method in VARIANTS for scale in sr.SCALES]
    walks = {(measure, *m): walk(results, *m, dataset, measure) for measure in MEASURES for m in models}
    # an answer alone has a diversity, 0, which is no measurement
    measures = [name for name in MEASURES if any(t > 0 for m in models for t, _ in walks[name, *m])]
    if not measures:
        raise NotMeasuredError(missing(dataset))
    ringed = _ringed(results, dataset)
    lines = -(-len(measures) // 2)
    fig, axes = plt.subplots(lines, 2, figsize=(FIGURE_WIDTH, 2.4 * lines), layout="constrained", squeeze=False)
    for ax, measure in zip(axes.flat, measures, strict=False):
        for method, scale in models:
            form, marker = LINES[scale]
            points = walks[measure, method, scale]
            x, y = [t for t, _ in points], [value for _, value in points]
            ax.plot(x, y, form, marker=marker, ms=4, color=COLOURS[method], label=f"{method} {scale}x")
            for t, value in points:
                if (method, scale, t) in ringed:
                    ax.plot(t, value, "o", ms=10, mfc="none", mec="black", label="_ring")
        ax.set_title(MEASURES[measure], loc="left")
        ax.set_xlabel("temperature (0: deterministic, 1: the prior)")
        ax.xaxis.set_major_locator(MultipleLocator(0.25))
        ax.grid(alpha=0.3)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if ringed:
        handles.append(plt.Line2D([], [], ls="", marker="o", ms=10, mfc="none", mec="black"))
        labels.append("samples of the comparisons")
    *_, last = axes.flat
    if last.lines:
        fig.legend(handles, labels, loc="outside upper center", ncols=5)
    else:  # an odd number of scores leaves a place
        last.axis("off")
        last.legend(handles, labels, loc="center")
    return fig


def _ringed(results: list[Row], dataset: str) -> set[tuple[str, int, float]]:
    """Method, scale and temperature of the samples that comparisons show, as far as the results tell."""
    found = set()
    for scale in sr.SCALES:
        with suppress(NotMeasuredError):
            method, t = best_sample(scale, results, dataset)
            found.add((method, scale, t))
    return found


# -- quality_vs_time ----------------------------------------------------------------------------------------

MARKERS = {  # settings -> marker and words
    "default": ("o", "whole tiling"),
    "self-ensemble": ("s", "whole tiling, self-ensemble"),
    "release tiling": ("^", "release tiling"),
    "release tiling, self-ensemble": ("D", "release tiling, self-ensemble"),
}


def quality_vs_time(results: list[Row] | None = None, dataset: str = "Set5") -> Figure:
    """PSNR against seconds per megapixel of the answer; peers, whose time is not known, as lines.

    Bicubic is hundreds of times quicker, so it stands in the titles. Markers are hollow: none hides another.

    Raises:
        NotMeasuredError: the results lack these rows; the message says which command makes them.
    """
    results = read_results() if results is None else results
    chosen = [r for r in results if r["set"] == dataset and r["settings"] in (*MARKERS, "files")]
    if all(r["method"] == "Bicubic" for r in chosen):
        raise NotMeasuredError(missing(dataset))
    peers = sorted({r["method"] for r in chosen if r["settings"] == "files"})
    fig, axes = plt.subplots(1, 2, figsize=(FIGURE_WIDTH, 3.4), layout="constrained")
    for ax, scale in zip(axes, sr.SCALES, strict=True):
        rows = [r for r in chosen if r["scale"] == str(scale)]
        _draw_points(ax, [r for r in rows if r["method"] != "Bicubic"], peers)
        ax.set(xscale="log", xlabel="seconds per megapixel of the answer")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        lines = [f"{dataset} {scale}x, PSNR (dB)"]
        lines += [
            f"not drawn: bicubic, {float(r['psnr']):.2f} dB in {float(r['seconds']):.2f} s"
            for r in rows
            if r["method"] == "Bicubic"
        ]
        ax.set_title("\n".join(lines), loc="left")
        ax.grid(alpha=0.3, which="both")
    # colours say the method, markers how it was asked
    methods = sorted({r["method"] for r in chosen if r["settings"] != "files"} - {"Bicubic"})
    used = {r["settings"] for r in chosen if r["method"] != "Bicubic"}
    handles = [plt.Line2D([], [], color=colour(m), lw=4, label=m) for m in methods]
    handles += [plt.Line2D([], [], color=colour(p, peers), ls=":", label=f"{p} (time unknown)") for p in peers]
    handles += [
        plt.Line2D([], [], color="#444444", ls="", marker=marker, mfc="none", mew=1.6, label=words)
        for name, (marker, words) in MARKERS.items()
        if name in used
    ]
    fig.legend(handles=handles, loc="outside upper center", ncols=3)
    return fig


def _draw_points(ax: Axes, rows: list[Row], peers: Sequence[str]) -> None:
    for r in rows:
        if r["settings"] == "files":
            ax.axhline(float(r["psnr"]), color=colour(r["method"], peers), ls=":", label="_" + r["method"])
        else:
            marker, _ = MARKERS[r["settings"]]
            ax.plot(float(r["seconds"]), float(r["psnr"]), marker, ms=7, mfc="none", mec=colour(r["method"]), mew=1.6)


def missing(dataset: str) -> str:
    """What a NotMeasuredError says where the results lack a set's rows."""
    return f"data/results.csv lacks this figure's rows of {dataset}: run srvae evaluate scores --sets {dataset}"
