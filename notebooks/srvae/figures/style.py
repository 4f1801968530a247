"""Sizes and colours that all figures share, and how a figure is saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from srvae import images
from srvae.csvfiles import DATA

FIGURES = DATA / "figures"
FIGURE_WIDTH = 8.8  # inches; at 100 dots per inch the width that a README shows
PLOT_STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 200,
}
# Okabe and Ito's colours, which the colour-blind can tell apart: one for each method, everywhere.
COLOURS = {"Bicubic": "#666666", "SR-VAE-D": "#0072B2", "SR-VAE-P": "#D55E00"}
PEER_COLOURS = ("#CC79A7", "#E69F00", "#56B4E9", "#009E73", "#F0E442")  # of other methods


def colour(method: str, peers: Sequence[str] = ()) -> str:
    """A method's colour, "#RRGGBB"; peers take theirs in the order of their names, anything else is black."""
    if method in COLOURS:
        return COLOURS[method]
    return PEER_COLOURS[sorted(peers).index(method) % len(PEER_COLOURS)] if method in peers else "#000000"


def save(fig: Figure, path: Path, dpi: float | None = None) -> None:
    """Write a figure, whole or not at all, and without the date, so that the same figure is the same file.

    Args:
        dpi: dots per inch; those of the style by default.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = path.suffix.removeprefix(".")
    with images.atomic_write(path) as part:
        fig.savefig(
            part, format=ending, dpi=dpi, metadata={"CreationDate": None} if ending == "pdf" else {"Software": None}
        )
