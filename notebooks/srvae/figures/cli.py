"""The command ``srvae draw``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from srvae import commands

from .comparison import comparison, hero
from .network import network
from .results import NotMeasuredError, quality_vs_time, temperature
from .samples import samples
from .sheet import DPI
from .style import FIGURES, PLOT_STYLE, save
from .table import table

ALL_FIGURES: dict[str, Callable[[], Figure]] = {
    "hero": hero,
    "network": partial(network, 4),
    "network_8x": partial(network, 8),
    "table": table,
    "comparison_4x": partial(comparison, 4),
    "comparison_8x": partial(comparison, 8),
    "samples": samples,
    "temperature": temperature,
    "quality_vs_time": quality_vs_time,
}
AS_PDF_TOO = ("network", "network_8x", "table")
SHEETS = ("hero", "comparison_4x", "comparison_8x", "samples")  # saved with one dot for each pixel


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw figures into a folder; SystemExit with a message where that is not possible."""
    parser = argparse.ArgumentParser(prog="srvae draw", description="Draw the figures of data/figures.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(ALL_FIGURES)}")
    parser.add_argument("--folder", type=Path, default=FIGURES, help="where to write them (default: data/figures)")
    options = commands.parse(parser, arguments, may_be_empty=True)
    if unknown := set(options.names) - set(ALL_FIGURES):
        parser.error(f"no figure {unknown.pop()!r}; there are {', '.join(ALL_FIGURES)}")
    matplotlib.use("agg")  # opens no windows
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        for name in options.names or ALL_FIGURES:
            with plt.rc_context(PLOT_STYLE):
                fig = ALL_FIGURES[name]()
                for ending in ("png", "pdf") if name in AS_PDF_TOO else ("png",):
                    path = options.folder / f"{name}.{ending}"
                    save(fig, path, DPI if name in SHEETS else None)
                    print(path)
                plt.close(fig)
    except (OSError, ValueError, NotMeasuredError) as error:
        sys.exit(f"error: {error}")
