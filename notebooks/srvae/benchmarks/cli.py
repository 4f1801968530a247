"""The command line of ``srvae evaluate``.

srvae evaluate scores     # all that README and figures need, into data/results.csv; resumes
srvae evaluate readme     # table and verdict of data/results.csv, into README.md
srvae evaluate speed      # milliseconds of an answer, the release's way, a sampler's step
srvae evaluate memory     # peak memory of large answers, each in a process of its own

Scores are of the bundled photographs, Set5 and Set14, unless --sets says otherwise. Benchmark images are downloaded,
or read from the folder that the environment variable SRVAE_BENCHMARKS names; NIQE's model of natural photographs
likewise, or from the file SRVAE_NIQE. The VGG distance needs a VGG-19 file, which --vgg or SRVAE_VGG names; without it
that column stays as it is. Everything is checked before anything is computed: what is missing or wrong is
named, and the exit code is 1, or 2 where a word of the command is wrong; default sets that cannot be had are named and
left out. A call that is stopped or killed goes on when its command is given again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import srvae_core as sr
from srvae.csvfiles import RESULTS

from . import speed
from .answers import SETTINGS
from .evaluate import DEFAULT_SETS, evaluate
from .peers import named_peers
from .sets import SetMissingError, at_hand
from .summary import write_readme

INTERRUPTED = 130  # the exit code of commands that Ctrl-C ends


def named_folder(argument: str) -> tuple[str, str]:
    """The name and the folder of an argument NAME=FOLDER; argparse shows the error with the command's usage."""
    name, _, folder = argument.partition("=")
    if not (name and folder):
        raise argparse.ArgumentTypeError(f"it takes NAME=FOLDER, not {argument}")
    return name, folder


def checked_peers(parser: argparse.ArgumentParser, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Name -> folder of other methods; what is wrong with them ends the command with its usage."""
    try:
        return named_peers(pairs)
    except (ValueError, FileNotFoundError) as error:
        parser.error(f"argument --peer: {error}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; see the module's docstring. None takes the process's own command line."""
    parser = argparse.ArgumentParser(
        prog="srvae evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_scores(commands)
    command = commands.add_parser("readme", help="write the table of results and what it says into README.md")
    command.set_defaults(run=_run_readme)
    command = commands.add_parser("speed", help="milliseconds of an answer, the release's way, a sampler's step")
    command.add_argument("--repeats", type=int, default=3, help="turns, of which the fastest counts [%(default)s]")
    command.add_argument(
        "--size", type=int, default=speed.LARGEST, help="edge of the answer in pixels, a multiple of 8 [%(default)s]"
    )
    command.set_defaults(run=_run_speed)
    command = commands.add_parser("memory", help="peak memory of 4x enlargements")
    command.add_argument(
        "--sizes", type=int, nargs="+", default=[1024, 2048], metavar="N", help="edges of the LR image [1024 2048]"
    )
    command.add_argument("--inside", type=int, help=argparse.SUPPRESS)  # what the process of its own is told
    command.set_defaults(run=_run_memory)
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help(sys.stderr)
        parser.exit(2)  # as for any other command that cannot be understood
    options = parser.parse_args(arguments)
    if "peer" in options:
        options.peers = checked_peers(parser, options.peer)
    # What the user can mend ends with one line; anything else is a fault of ours and keeps its traceback.
    try:
        options.run(options)
    except (SetMissingError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _add_scores(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("scores", help="scores of models on image sets, into data/results.csv")
    command.add_argument(
        "--models", nargs="*", help="names or weights files; by default all shipped ones, without any words none"
    )
    command.add_argument(
        "--scales", type=int, nargs="+", choices=sr.SCALES, default=[], help="by default those of the models"
    )
    command.add_argument(
        "--sets",
        nargs="+",
        help="bundled, Set5, Set14, BSD100, Urban100 or a folder; "
        f"by default what is at hand of {', '.join(DEFAULT_SETS)}",
    )
    command.add_argument(
        "--settings",
        nargs="+",
        default=[],
        help=f"some of: {'; '.join(SETTINGS)}; by default those that suit the set",
    )
    command.add_argument(
        "--peer",
        action="append",
        type=named_folder,
        default=[],
        metavar="NAME=FOLDER",
        help="another method's answers FOLDER/SET/x4/IMAGE.png, to all sets at all scales",
    )
    command.add_argument(
        "--vgg",
        metavar="FILE",
        default=os.environ.get("SRVAE_VGG") or None,  # a variable that is set to nothing counts as not set
        help="VGG-19 for the VGG distance, .caffemodel or .safetensors; rows without it are completed [$SRVAE_VGG]",
    )
    command.add_argument(
        "--results", type=Path, default=RESULTS, metavar="FILE", help="where the rows go [data/results.csv]"
    )
    command.set_defaults(run=_run_scores)


def _run_scores(options: argparse.Namespace) -> None:
    models = options.models
    if models is None:
        models = [name for scale in options.scales or sr.SCALES for name in sr.available_models(scale)]
    sets = [name.rstrip("/\\") for name in options.sets] if options.sets else at_hand(DEFAULT_SETS)
    rows = evaluate(
        models,
        sets,
        settings=options.settings,
        peers=options.peers,
        scales=options.scales,
        results=options.results,
        vgg=options.vgg,
    )
    print(f"{len(rows)} rows in {options.results}")


def _run_readme(_: argparse.Namespace) -> None:
    write_readme()


def _run_speed(options: argparse.Namespace) -> None:
    speed.print_speed(options.repeats, options.size)


def _run_memory(options: argparse.Namespace) -> None:
    if options.inside is not None:
        print(speed.peak_of_enlarging(options.inside))
        return
    try:
        speed.print_memory(options.sizes)
    except RuntimeError as error:
        sys.exit(f"error: {error}")
