"""The command line of ``srvae train``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import srvae_core as sr
from srvae.csvfiles import check_writable, read_csv, write_csv

from .config import VARIABLES, Config
from .export import export, join, lay_start, model_name
from .loop import SHAPING_BATCH, judge_run, train
from .packing import write_pack
from .patches import Patches, held_out_patches
from .perceptual import VGG, Distances
from .photographs import load_photographs
from .recipe import Recipe, run_recipe
from .speed import benchmark
from .trainer import NotFiniteError
from .validation import compare_noise

Command = Callable[[argparse.Namespace, float], None]

DESCRIPTION = """\
Training of the SR-VAE.

  run        train one stage, or go on with it
  recipe     train a whole scale within given minutes
  pack       put the best of a folder of photographs into one file
  benchmark  how fast training is on this machine
  export     write a run's weights as a file that everything here loads
  join       put together weights that came in pieces
  start      lay a model's answer into a small folder to go on from
  sampling   what the shape of the noise is worth
  judge      add a run's figures to a table

"srvae train COMMAND --help" says more of each.
"""


def add_config(parser: argparse.ArgumentParser, names: set[str] | None = None) -> None:
    """Flags for the settings of a run, in groups; ``names`` picks some."""
    choices, hints = Config.choices(), get_type_hints(Config)
    groups: dict[str, Any] = {}
    for f in fields(Config):
        if names is not None and f.name not in names:
            continue
        group = groups.setdefault(f.metadata["group"], parser.add_argument_group(f.metadata["group"]))
        default = f.default if f.default is not MISSING else None  # the recipe's settings have none here
        if f.name in VARIABLES:  # a variable that is set to nothing counts as not set
            default = os.environ.get(VARIABLES[f.name]) or None
        options: dict[str, Any] = {"default": default, "help": f.metadata["help"]}
        if default not in (None, False, ()):
            options["help"] += f" [{default}]"
        if isinstance(f.default, bool):
            options["action"] = argparse.BooleanOptionalAction
        elif isinstance(f.default, tuple):
            options |= {"nargs": "+", "metavar": "FILE"}
        elif f.name in choices:
            options["choices"] = [c for c in choices[f.name] if c is not None]
        else:
            # "float | None" has the parts float and NoneType, of which the first says how to read the word.
            kinds = [t for t in (get_args(hints[f.name]) or (hints[f.name],)) if t in (int, float, str)]
            options |= {"type": kinds[0], "metavar": kinds[0].__name__.upper()}
        group.add_argument(f"--{f.name.replace('_', '-')}", **options)


def config_of(options: argparse.Namespace) -> Config:
    """The settings that were given."""
    values = {f.name: getattr(options, f.name) for f in fields(Config)}
    return Config(**values | {"teacher": tuple(values["teacher"])})


def run(options: argparse.Namespace, started: float) -> None:
    """Train one stage."""
    train(config_of(options), started=started)


def recipe(options: argparse.Namespace, started: float) -> None:
    """Train a whole scale."""
    names = {f.name for f in fields(Recipe)}
    values = {k: v for k, v in vars(options).items() if k in names}
    run_recipe(Recipe(**values | {"teacher": tuple(options.teacher)}), started)


def pack(options: argparse.Namespace, started: float) -> None:
    """Write a pack of photographs."""
    figures = write_pack(
        options.data, options.file, megabytes=options.megabytes, quality=options.quality, lossless=options.lossless
    )
    print("{photographs} photographs, {share:.0%} of their area, {megabytes:.1f} MB".format(**figures))


def measure(options: argparse.Namespace, started: float) -> None:
    """Time training on this machine."""
    benchmark(config_of(options), seconds=options.seconds, compile_modes=options.compile_modes)


def ship(options: argparse.Namespace, started: float) -> None:
    """Write a run's weights file."""
    changes = {"temperature": options.temperature, "rank": options.rank}
    print(export(options.run, options.name, options.folder, base=options.base, **changes))


def put_together(options: argparse.Namespace, started: float) -> None:
    """Join pieces, and say what each file holds."""
    for path in join(options.pieces, options.folder):
        model = sr.load_model(path)
        print(f"{path}: a {model.scale}x model of {sum(p.numel() for p in model.parameters()):,} parameters")


def start(options: argparse.Namespace, started: float) -> None:
    """Lay a start."""
    print(lay_start(options.source, options.folder))


def sampling(options: argparse.Namespace, started: float) -> None:
    """Compare the shapes of the noise."""
    if options.table:
        check_writable(options.table)
    model = sr.load_model(options.model)
    photographs = load_photographs(options.data, model.scale)
    patches = Patches(photographs.for_training, SHAPING_BATCH, candidates=2, seed=1)
    shaping = (patches(step)[:2] for step in range(-(-options.shaping // SHAPING_BATCH)))
    vgg = VGG(options.vgg) if options.vgg else None
    rows = compare_noise(model, held_out_patches(photographs), shaping, Distances(options.features), vgg)
    for row in rows:
        print("  ".join(f"{k} {v}" for k, v in row.items()), flush=True)
    if options.table:
        name = options.name or model_name(Path(options.model))
        write_csv(options.table, [*read_csv(options.table), *({"model": name} | row for row in rows)])


def judge(options: argparse.Namespace, started: float) -> None:
    """Add a run's figures to a table."""
    judge_run(options.run, options.table, options.data)


class Commands:
    """The parser of the whole command line, to which one method after the other adds its commands."""

    def __init__(self) -> None:
        self.parser = argparse.ArgumentParser(
            prog="srvae train", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        self.commands = self.parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        self.add_training()
        self.add_measuring()
        self.add_weights()
        self.add_figures()

    def add(self, name: str, function: Command, text: str) -> argparse.ArgumentParser:
        """A command of a name, which calls a function and explains itself by a text."""
        command = self.commands.add_parser(name, description=text, allow_abbrev=False)
        command.set_defaults(function=function)
        return command

    def add_training(self) -> None:
        """What makes weights: ``run`` and ``recipe``."""
        add_config(
            self.add("run", run, "Train one stage. Given again, the command goes on with a run that was killed.")
        )
        command = self.add(
            "recipe", recipe, "Train a whole scale within given minutes: answer, latents, P, evaluation."
        )
        shared = {"data", "scale", "seed", "batch", "teacher", "features", "vgg", "initial", "device", "compile"}
        add_config(command, shared)
        command.add_argument("--out", required=True, help="folder for the weights in pieces, the logs and the table")
        command.add_argument("--work", help="folder of the runs; left out, runs/recipe-4x or -8x")
        command.add_argument("--minutes", type=float, required=True, help="of wall clock for all of it, start included")
        command.add_argument(
            "--original", type=float, default=0.0, help="share of the time for the paper's objective [0]"
        )
        command.add_argument("--rehearse", action="store_true", help="tiny batches: shows that all of it works")

    def add_measuring(self) -> None:
        """What needs no run: ``pack`` and ``benchmark``."""
        command = self.add("pack", pack, "Put the most detailed part of each photograph of a folder into one file.")
        command.add_argument("data", help="folder of photographs, with a sources.csv where there is one")
        command.add_argument("file", help="the pack to write")
        command.add_argument("--megabytes", type=float, default=40.0, help="its largest size, in 10^6 bytes [40]")
        command.add_argument("--quality", type=int, default=88, help="JPEG's, 1 to 100 [88]")
        command.add_argument("--lossless", action="store_true", help="PNG in the place of JPEG")

        command = self.add(
            "benchmark", measure, "Steps per second and TFLOP/s of each stage, and how fast data is ready."
        )
        add_config(command)
        command.add_argument("--seconds", type=float, default=10.0, help="for each stage [10]")
        command.add_argument(
            "--compile-modes", nargs="+", default=None, metavar="MODE", help="off, graph, default, reduce-overhead"
        )

    def add_weights(self) -> None:
        """What writes weights: ``export``, ``join`` and ``start``."""
        command = self.add("export", ship, "Write a run's averaged weights as a compact file and renew the model card.")
        command.add_argument("run", help="folder of the run")
        command.add_argument("name", help="such as 4x-D")
        command.add_argument("--temperature", type=float, help="the model's default [the run's own]")
        command.add_argument("--base", default="", metavar="NAME", help="leave out what equals this model")
        command.add_argument("--folder", type=Path, default=sr.WEIGHTS, help="where to [data/weights]")
        command.add_argument("--rank", type=int, default=16, help="of the rest of ip4-ip6 that is kept [16]")

        command = self.add("join", put_together, "Put together weights that came in pieces, and check them.")
        command.add_argument("pieces", help="folder with pieces.json")
        command.add_argument("folder", help="where to")

        command = self.add("start", start, "Lay what a model answers with at z = 0 into a small folder, for --initial.")
        command.add_argument("source", help="folder of a run, or a weights file")
        command.add_argument("folder", help="where to")

    def add_figures(self) -> None:
        """What adds rows to a table: ``sampling`` and ``judge``."""
        command = self.add(
            "sampling", sampling, "Figures of samples by a model's own g(LR), by g = +-1, and by one newly shaped."
        )
        command.add_argument("model", help="such as 4x-D, or a weights file")
        command.add_argument("--table", type=Path, help="CSV file to add the rows to")
        command.add_argument("--name", help="what the table calls the model")
        add_config(command, {"data", "features", "vgg", "shaping"})

        command = self.add("judge", judge, "Add a run's figures on held-out patches, at three draws of z, to a table.")
        command.add_argument("run", help="folder of the run")
        command.add_argument("table", type=Path, help="the CSV file")
        command.add_argument("--data", help="photographs; left out, the run's own")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line, with all commands and their flags."""
    return Commands().parser


def main(started: float, words: list[str] | None = None) -> None:
    """Run a command.

    Args:
        started: ``time.monotonic()`` when the program started: a run's minutes count from there.
        words: the command line; None is the program's own.

    Raises:
        SystemExit: with 2 for settings or files that cannot be used or written (a full disk, too), with 3 where
            training ran into NaN.
    """
    parser = build_parser()
    if not (sys.argv[1:] if words is None else words):
        parser.print_help(sys.stderr)
        parser.exit(2)
    options = parser.parse_args(words)
    try:
        options.function(options, started)
    except OSError as error:
        named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        parser.exit(2, f"{named}\n")
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    except NotFiniteError as error:
        print(error, file=sys.stderr)
        raise SystemExit(3) from error
