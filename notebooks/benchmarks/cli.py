"""The command line of ``notebooks/evaluate.py``.

python notebooks/evaluate.py scores     # all that README and figures need, into data/results.csv; resumes
python notebooks/evaluate.py readme     # the tables of data/results.csv, into README.md
python notebooks/evaluate.py speed      # milliseconds of an answer, the release's way, a sampler's step
python notebooks/evaluate.py memory     # peak memory of large answers, each in a process of its own
python notebooks/evaluate.py slider     # milliseconds of a slider's step in the view

Scores are of the bundled photographs, Set5 and Set14, unless --sets says otherwise. Benchmark images are downloaded,
or read from the folder that the environment variable SRVAE_BENCHMARKS names; NIQE's model of natural photographs
likewise, or from the file SRVAE_NIQE.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from csvfiles import RESULTS

import srvae_core as sr

from . import speed
from .evaluate import DEFAULT_SETS, SETTINGS, evaluate
from .sets import SetMissingError, at_hand
from .tables import write_readme


def named_folder(argument: str) -> tuple[str, str]:
    """The name and the folder of an argument NAME=FOLDER; argparse shows the error with the command's usage."""
    name, _, folder = argument.partition("=")
    if not (name and folder):
        raise argparse.ArgumentTypeError(f"it takes NAME=FOLDER, not {argument}")
    return name, folder


def main(arguments: Sequence[str] | None = None, more: Sequence[Callable[[object], None]] = ()) -> None:
    """Run a command; see the module's docstring.

    Args:
        arguments: words of the command line; None takes the process's own.
        more: functions that add commands of other modules to argparse's subparsers. Each of these sets ``run``, a
            function of the parsed options.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_scores(commands)
    command = commands.add_parser("readme", help="write the results tables into README.md")
    command.set_defaults(run=_run_readme)
    command = commands.add_parser("speed", help="milliseconds of an answer, the release's way, a sampler's step")
    command.add_argument("--repeats", type=int, default=3)
    command.add_argument("--size", type=int, default=512, help="edge of the answer in pixels (at most 512)")
    command.set_defaults(run=_run_speed)
    command = commands.add_parser("memory", help="peak memory of 4x enlargements")
    command.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048], help="edges of the LR image")
    command.add_argument("--inside", type=int, help=argparse.SUPPRESS)  # what the process of its own is told
    command.set_defaults(run=_run_memory)
    for add in more:  # given from outside, since benchmarks import nothing of the view
        add(commands)
    options = parser.parse_args(arguments)
    options.run(options)


def _add_scores(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("scores", help="scores of models on image sets, into data/results.csv")
    command.add_argument("--models", nargs="*", default=sr.available_models(), help="names or weights files")
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
        help="answers FOLDER/SET/x4/IMAGE.png",
    )
    command.add_argument("--results", type=Path, default=RESULTS)
    command.set_defaults(run=_run_scores)


def _run_scores(options: argparse.Namespace) -> None:
    try:
        sets = options.sets or at_hand(DEFAULT_SETS)
        rows = evaluate(
            options.models, sets, settings=options.settings, peers=dict(options.peer), results=options.results
        )
    # what the user can mend ends with one line; anything else is a fault of ours and keeps its traceback
    except (SetMissingError, FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"{len(rows)} rows in {options.results}")


def _run_readme(_: argparse.Namespace) -> None:
    write_readme()


def _run_speed(options: argparse.Namespace) -> None:
    speed.print_speed(options.repeats, options.size)


def _run_memory(options: argparse.Namespace) -> None:
    if options.inside:
        print(speed.peak_of_enlarging(options.inside))
    else:
        speed.print_memory(options.sizes)
