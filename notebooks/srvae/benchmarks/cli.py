"""The command line of ``srvae evaluate``.

srvae evaluate scores     # measure models, into data/results.csv; keeps the rows that are there
srvae evaluate readme     # write the table of data/results.csv into README.md
srvae evaluate speed      # time an answer, the release's way, a slider's step
srvae evaluate memory     # measure the peak memory of large answers, each in its own process

Image sets are downloaded, or read from the folder that the environment variable SRVAE_BENCHMARKS names. NIQE's model is
downloaded, or read from the file SRVAE_NIQE. The VGG distance needs a VGG-19 file, which --vgg or SRVAE_VGG names.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import srvae_core as sr
from srvae import commands
from srvae.csvfiles import RESULTS

from . import speed
from .evaluate import DEFAULT_SETS, SETTINGS, evaluate
from .sets import SetMissingError
from .tables import write_readme


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command and its subcommands."""
    parser = argparse.ArgumentParser(
        prog="srvae evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("scores", help="measure models on image sets, into data/results.csv").add_argument
    add("--models", nargs="*", help="names or weights files; by default all shipped ones, and no model if left empty")
    add("--scales", type=int, nargs="+", choices=sr.SCALES, default=[], help="of bicubic and of the shipped models")
    sets = "bundled, Set5, Set14, BSD100, Urban100 or a folder; by default " + ", ".join(DEFAULT_SETS)
    add("--sets", nargs="+", type=lambda name: name.rstrip("/"), default=DEFAULT_SETS, help=sets)
    add("--settings", nargs="+", default=[], help=f"some of: {'; '.join(SETTINGS)}; by default those that suit the set")
    add(
        "--vgg",
        metavar="FILE",
        default=os.path.expanduser(os.environ.get("SRVAE_VGG", "")) or None,
        help="VGG-19 [$SRVAE_VGG]",
    )
    add("--results", type=Path, default=RESULTS, metavar="FILE", help="the CSV file [data/results.csv]")
    commands.add_parser("readme", help="write the table of results into README.md")
    add = commands.add_parser("speed", help="time an answer, the release's way, a slider's step").add_argument
    add("--repeats", type=int, default=3, help="number of runs, of which the fastest counts [%(default)s]")
    add("--size", type=int, default=speed.LARGEST, help="pixels a side of the answer, a multiple of 8 [%(default)s]")
    add = commands.add_parser("memory", help="measure the peak memory of 4x enlargements").add_argument
    add("--sizes", type=int, nargs="+", default=[1024, 2048], metavar="N", help="pixels a side of the LR image")
    return parser


def run(options: argparse.Namespace) -> None:
    """Run a subcommand."""
    if options.command == "scores":
        models = options.models
        if models is None:
            models = [name for scale in options.scales or sr.SCALES for name in sr.available_models(scale)]
        chosen = {"settings": options.settings, "scales": options.scales, "results": options.results}
        rows = evaluate(models, options.sets, vgg=options.vgg, **chosen)
        print(f"{len(rows)} rows in {options.results}")
    elif options.command == "readme":
        write_readme()
    elif options.command == "speed":
        speed.print_speed(options.repeats, options.size)
    else:
        speed.print_memory(options.sizes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; None takes the process's own. Errors of the user end it with a line and exit code 1."""
    options = commands.parse(build_parser(), arguments)
    try:
        run(options)
    except (SetMissingError, BrokenProcessPool, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped")
