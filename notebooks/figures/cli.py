"""The command line of ``notebooks/draw.py``.

python notebooks/draw.py                   # all figures, into data/figures
python notebooks/draw.py network samples   # some of them

The crops of the comparisons and samples are measured at the same time, into data/crops.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from benchmarks.cli import named_folder
from benchmarks.sets import SetMissingError
from matplotlib.figure import Figure

from .comparison import compare, comparison, comparison_4x, comparison_8x
from .crops import record
from .network import network, network_8x
from .results import quality_vs_time, table, temperature
from .samples import draw_samples, samples
from .style import FIGURES, PLOT_STYLE, save

ALL_FIGURES: dict[str, Callable[[], Figure]] = {
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
# Drawings and tables are sharp at any size as PDF; pictures are better off as PNG.
AS_PDF_TOO = ("network", "network_8x", "table")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(ALL_FIGURES)}")
    parser.add_argument(
        "--peer", action="append", type=named_folder, default=[], metavar="NAME=FOLDER", help="for the comparisons"
    )
    parser.add_argument("--folder", type=Path, default=FIGURES)
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in ALL_FIGURES]:
        parser.error(f"no figure {unknown[0]!r}; there are: {', '.join(ALL_FIGURES)}")
    peers = dict(options.peer)
    matplotlib.use("agg")  # files only, no windows
    for name in options.names or ALL_FIGURES:
        with plt.rc_context(PLOT_STYLE):
            for folder, fig in measured_and_drawn(name, peers):
                for ending in ("png", "pdf") if name in AS_PDF_TOO else ("png",):
                    path = options.folder / folder / f"{name}.{ending}"
                    save(fig, path)
                    print(path)
                plt.close(fig)


def measured_and_drawn(name: str, peers: Mapping[str, str]) -> Iterator[tuple[str, Figure]]:
    """The figures of a name, each with the folder below the usual one that it goes into; measures the crops first."""
    if name in COMPARED_SCALES:
        # pictures of benchmark images go into a folder that is not committed
        for images, folder in (("bundled", "."), ("benchmarks", "benchmarks")):
            try:
                compared = compare(COMPARED_SCALES[name], images, peers)
            except SetMissingError as error:
                print(f"{name} of the paper's pictures is left out: {error}")
                continue
            record([row for c in compared for row in c.rows])
            yield folder, comparison(compared)
    elif name == "samples":
        drawn = draw_samples()
        record(drawn.rows)
        yield ".", samples(drawn)
    else:
        try:  # rows that have not been measured leave out one figure, not all
            yield ".", ALL_FIGURES[name]()
        except LookupError as error:
            print(f"{name}: {error.args[0]}")
