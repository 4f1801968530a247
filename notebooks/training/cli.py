"""The command line of ``train.py``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import srvae_core as sr

from .config import VARIABLES, Config
from .export import export, join, reissue
from .files import read_rows, write_rows
from .loop import SHAPING_BATCH, judge_run, train
from .packing import write_pack
from .patches import Patches, held_out_patches
from .perceptual import VGG, Distances
from .photographs import load_photographs
from .recipe import Recipe, cook
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
  reissue    write a weights file again, over another base
  join       put together weights that came in pieces
  sampling   what the shape of the noise is worth
  judge      add a run's figures to a table

"train.py COMMAND --help" says more of each.
"""


def add_config(parser: argparse.ArgumentParser, names: set[str] | None = None) -> None:
    """Flags for the settings of a run, in groups; ``names`` picks some."""
    choices, hints = Config.choices(), get_type_hints(Config)
    groups: dict[str, Any] = {}
    for f in fields(Config):
        if names is not None and f.name not in names:
            continue
        group = groups.setdefault(f.metadata["group"], parser.add_argument_group(f.metadata["group"]))
        default = f.default if f.default is not MISSING else None
        if f.name in VARIABLES:
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
            kinds = [t for t in (get_args(hints[f.name]) or (hints[f.name],)) if t in (int, float, str)]
            options |= {"type": kinds[0], "metavar": kinds[0].__name__.upper()}
        group.add_argument(f"--{f.name.replace('_', '-')}", **options)


def config_of(options: argparse.Namespace) -> Config:
    """The settings that were given."""
    values = {f.name: getattr(options, f.name) for f in fields(Config)}
    return Config(**values | {"teacher": tuple(values["teacher"])})


def run(options: argparse.Namespace, started: float) -> None:
    train(config_of(options), started=started)


def recipe(options: argparse.Namespace, started: float) -> None:
    names = {f.name for f in fields(Recipe)}
    values = {k: v for k, v in vars(options).items() if k in names}
    cook(Recipe(**values | {"teacher": tuple(options.teacher)}), started)


def pack(options: argparse.Namespace, started: float) -> None:
    figures = write_pack(
        options.data, options.file, megabytes=options.megabytes, quality=options.quality, lossless=options.lossless
    )
    print("{photographs} photographs, {share:.0%} of their area, {megabytes:.1f} MB".format(**figures))


def measure(options: argparse.Namespace, started: float) -> None:
    benchmark(config_of(options), seconds=options.seconds, compile_modes=options.compile_modes)


def ship(options: argparse.Namespace, started: float) -> None:
    print(export(options.run, options.name, options.folder, base=options.base))


def ship_again(options: argparse.Namespace, started: float) -> None:
    print(reissue(options.file, options.name, options.folder, base=options.base, temperature=options.temperature))


def put_together(options: argparse.Namespace, started: float) -> None:
    for path in join(options.pieces, options.folder):
        model = sr.load_model(path)
        print(f"{path}: a {model.scale}x model of {sum(p.numel() for p in model.parameters()):,} parameters")


def sampling(options: argparse.Namespace, started: float) -> None:
    model = sr.load_model(options.model)
    if not model.grid_generator:
        raise ValueError(f"{options.model} holds generator1 in the release's layout: export it compactly first")
    photographs = load_photographs(options.data, model.scale)
    patches = Patches(photographs.for_training, SHAPING_BATCH, candidates=2, seed=1)
    shaping = (patches(step)[:2] for step in range(-(-options.shaping // SHAPING_BATCH)))
    vgg = VGG(options.vgg) if options.vgg else None
    rows = compare_noise(model, held_out_patches(photographs), shaping, Distances(options.features), vgg)
    for row in rows:
        print("  ".join(f"{k} {v}" for k, v in row.items()), flush=True)
    if options.table:
        name = options.name or Path(options.model).stem.removeprefix("SR_VAE_")
        write_rows(options.table, [*read_rows(options.table), *({"model": name} | row for row in rows)])


def judge(options: argparse.Namespace, started: float) -> None:
    judge_run(options.run, options.table, options.data)


def build_parser() -> argparse.ArgumentParser:
    """All commands with their flags."""
    parser = argparse.ArgumentParser(
        prog="train.py", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, function: Command, text: str) -> argparse.ArgumentParser:
        part = commands.add_parser(name, description=text, allow_abbrev=False)
        part.set_defaults(function=function)
        return part

    add_config(command("run", run, "Train one stage. Given again, the command goes on with a run that was killed."))

    part = command("recipe", recipe, "Train a whole scale within given minutes: answer, latents, P, evaluation.")
    add_config(part, {"data", "scale", "seed", "batch", "teacher", "features", "vgg", "initial", "device", "compile"})
    part.add_argument("--out", required=True, help="folder for the weights in pieces, the logs and the table")
    part.add_argument("--work", help="folder of the runs; left out, runs/recipe-4x or -8x")
    part.add_argument("--minutes", type=float, required=True, help="of wall clock for all of it, start included")
    part.add_argument("--original", type=float, default=0.0, help="share of the time for the paper's objective [0]")
    part.add_argument("--rehearse", action="store_true", help="tiny batches: shows that all of it works")
    part.set_defaults(minutes=None)

    part = command("pack", pack, "Put the most detailed part of each photograph of a folder into one file.")
    part.add_argument("data", help="folder of photographs, with a sources.csv where there is one")
    part.add_argument("file", help="the pack to write")
    part.add_argument("--megabytes", type=float, default=40.0, help="its largest size, in 10^6 bytes [40]")
    part.add_argument("--quality", type=int, default=88, help="JPEG's, 1 to 100 [88]")
    part.add_argument("--lossless", action="store_true", help="PNG in the place of JPEG")

    part = command("benchmark", measure, "Steps per second and TFLOP/s of each stage, and how fast data is ready.")
    add_config(part)
    part.add_argument("--seconds", type=float, default=10.0, help="for each stage [10]")
    part.add_argument(
        "--compile-modes", nargs="+", default=None, metavar="MODE", help="off, graph, default, reduce-overhead"
    )

    part = command("export", ship, "Write a run's averaged weights as a compact file and renew the model card.")
    part.add_argument("run", help="folder of the run")
    part.add_argument("name", help="such as 4x-D")
    part.add_argument("--base", default="", metavar="NAME", help="leave out what equals this model")
    part.add_argument("--folder", type=Path, default=sr.WEIGHTS, help="where to [data/weights]")

    part = command("reissue", ship_again, "Write a weights file again, over another base or with another temperature.")
    part.add_argument("file", help="the weights file")
    part.add_argument("name", help="such as 4x-P")
    part.add_argument("--base", default="", metavar="NAME", help="leave out what equals this model")
    part.add_argument("--temperature", type=float, help="at which the model answers; left out, the file's own")
    part.add_argument("--folder", type=Path, default=sr.WEIGHTS, help="where to [data/weights]")

    part = command("join", put_together, "Put together weights that came in pieces, and check them.")
    part.add_argument("pieces", help="folder with pieces.json")
    part.add_argument("folder", help="where to")

    part = command(
        "sampling", sampling, "Figures of samples by a model's own g(LR), by g = +-1, and by one newly shaped."
    )
    part.add_argument("model", help="such as 4x-D, or a weights file")
    part.add_argument("--table", type=Path, help="CSV file to add the rows to")
    part.add_argument("--name", help="what the table calls the model")
    add_config(part, {"data", "features", "vgg", "shaping"})

    part = command("judge", judge, "Add a run's figures on held-out patches, at three draws of z, to a table.")
    part.add_argument("run", help="folder of the run")
    part.add_argument("table", type=Path, help="the CSV file")
    part.add_argument("--data", help="photographs; left out, the run's own")
    return parser


def main(started: float, words: list[str] | None = None) -> None:
    """Run a command; ``started`` is ``time.monotonic()`` when the program started."""
    parser = build_parser()
    options = parser.parse_args(words)
    try:
        options.function(options, started)
    except (ValueError, FileNotFoundError) as error:
        parser.exit(2, f"{error}\n")
    except NotFiniteError as error:
        print(error, file=sys.stderr)
        raise SystemExit(3) from error
