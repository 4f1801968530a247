"""Sizes and colours of all figures, and how a figure is saved."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from srvae import images
from srvae.csvfiles import DATA

FIGURES = DATA / "figures"
FIGURE_WIDTH = 8.8  # inches
PLOT_STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 200,
}
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = {"Bicubic": "#666666", "SR-VAE-D": "#0072B2", "SR-VAE-P": "#D55E00"}


def save(fig: Figure, path: Path, dpi: float | None = None) -> None:
    """Write a figure atomically and without a date, so that equal figures give equal files."""
    ending = path.suffix.removeprefix(".")
    metadata = {"CreationDate": None} if ending == "pdf" else {"Software": None}
    with images.atomic_write(path) as part:
        fig.savefig(part, format=ending, dpi=dpi, metadata=metadata)
