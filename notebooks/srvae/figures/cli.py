"""The command line of ``srvae draw``.

srvae draw                   # all figures, into data/figures
srvae draw network samples   # some of them

The crops of the comparisons and samples are measured at the same time, into data/crops.csv.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

import srvae_core as sr
from srvae.benchmarks.cli import checked_peers, named_folder
from srvae.benchmarks.sets import SetMissingError
from srvae.csvfiles import check_writable

from .comparison import compare, comparison, comparison_4x, comparison_8x, hero
from .crops import CROPS, record
from .network import network, network_8x
from .results import NotMeasuredError, quality_vs_time, temperature
from .samples import draw_samples, samples
from .sheet import DPI
from .style import FIGURES, PLOT_STYLE, save
from .table import table

ALL_FIGURES: dict[str, Callable[[], Figure]] = {
    "hero": hero,
    "network": network,
    "network_8x": network_8x,
    "table": table,
    "comparison_4x": comparison_4x,
    "comparison_8x": comparison_8x,
    "samples": samples,
    "temperature": temperature,
    "quality_vs_time": quality_vs_time,
}
COMPARED_SCALES = {"comparison_4x": 4, "comparison_8x": 8}
MEASURED = {"samples", *COMPARED_SCALES}  # their numbers go into data/crops.csv
# Drawings and tables are sharp at any size as PDF; pictures are better off as PNG.
AS_PDF_TOO = ("network", "network_8x", "table")
SHEETS = ("hero", "samples", *COMPARED_SCALES)  # a dot of the file is a pixel of their pictures


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see the module's docstring."""
    known = list(ALL_FIGURES)
    parser = argparse.ArgumentParser(
        prog="srvae draw", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(known)}")
    parser.add_argument(
        "--peer", action="append", type=named_folder, default=[], metavar="NAME=FOLDER", help="for the comparisons"
    )
    parser.add_argument("--folder", type=Path, default=FIGURES, help="where they go, data/figures by default")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no figure {unknown[0]!r}; there are: {', '.join(known)}")
    peers = checked_peers(parser, options.peer)
    names = list(dict.fromkeys(options.names)) or list(ALL_FIGURES)
    matplotlib.use("agg")  # files only, no windows
    # What the user can mend ends with one line; anything else is a fault of ours and keeps its traceback.
    try:
        _check_places(options.folder, names)
        drawn_peers = _draw(names, peers, options.folder)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    if unused := [name for name in peers if name not in drawn_peers]:
        sys.exit(f"error: in none of these figures is there a place for {' and '.join(unused)}, for want of answers")


def _check_places(folder: Path, names: Sequence[str]) -> None:
    """Make sure, before the work, that all files can be written; raises OSError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"the folder {folder} cannot be made: {error.strerror}") from error
    check_writable(folder / f"{names[0]}.png")
    if MEASURED.intersection(names):
        check_writable(CROPS)


def _draw(names: Sequence[str], peers: Mapping[str, str], into: Path) -> set[str]:
    """Draw figures into a folder; returns the peers that are in one of them."""
    drawn: set[str] = set()
    for name in names:
        with plt.rc_context(PLOT_STYLE):
            for folder, fig, shown in measured_and_drawn(name, peers):
                drawn |= shown
                for ending in ("png", "pdf") if name in AS_PDF_TOO else ("png",):
                    path = into / folder / f"{name}.{ending}"
                    save(fig, path, DPI if name in SHEETS else None)
                    print(path)
                plt.close(fig)
    return drawn


def measured_and_drawn(name: str, peers: Mapping[str, str]) -> Iterator[tuple[str, Figure, set[str]]]:
    """The figures of a name, each with its folder below the usual one and its peers; measures the crops first.

    A figure for which data/results.csv lacks rows is left out, and a line says so.
    """
    try:
        yield from _measured_and_drawn(name, peers)
    except NotMeasuredError as error:
        print(f"{name}: {error.args[0]}")


def _measured_and_drawn(name: str, peers: Mapping[str, str]) -> Iterator[tuple[str, Figure, set[str]]]:
    if name in COMPARED_SCALES:
        # pictures of benchmark images go into a folder that is not committed
        for images, folder in (("bundled", "."), ("benchmarks", "benchmarks")):
            try:
                compared = compare(COMPARED_SCALES[name], images, peers)
            except SetMissingError as error:
                print(f"{name} of the paper's pictures is left out: {error}")
                continue
            shown = peers.keys() & compared[0].crops.keys()
            for peer in sorted(peers.keys() - shown):
                print(f"{peer} is left out of {name}, {images}: it lacks a folder of its sets", file=sys.stderr)
            record([row for c in compared for row in c.rows])
            yield folder, comparison(compared), shown
    elif name == "samples":
        drawn = [draw_samples(scale) for scale in sr.SCALES]
        record([row for d in drawn for row in d.rows])
        yield ".", samples(drawn), set()
    else:
        yield ".", ALL_FIGURES[name](), set()
