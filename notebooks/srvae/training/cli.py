"""The command line of ``srvae train``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch

import srvae_core as sr
from srvae import commands

from .benchmark import benchmark
from .config import Config
from .export import export, judge_run
from .pack import write_pack
from .recipe import run_recipe
from .train import NotFiniteError, train

COMMANDS = {
    "run": "train one stage, or resume it",
    "recipe": "train D and P of a scale within some minutes",
    "export": "write a run's weights as a file for load_model",
    "judge": "add a run's scores on held-out patches to a table",
    "pack": "put the most detailed part of each photograph of a folder into one file",
    "benchmark": "time the steps of a run on this machine",
}


def add_settings(parser: argparse.ArgumentParser, names: Sequence[str] = ()) -> None:
    """Add a flag for each setting of :class:`Config`, or for those named."""
    groups: dict[str, Any] = {}
    for f, hint in zip(fields(Config), get_type_hints(Config).values(), strict=True):
        if names and f.name not in names:
            continue
        name = f.metadata["group"]
        group = groups[name] = groups.get(name) or parser.add_argument_group(name)
        options: dict[str, Any] = {"default": f.default, "help": f.metadata["help"]}
        if f.default is not False and f.default not in ("", ()):
            options["help"] += " [%(default)s]"
        if hint is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif hint == tuple[str, ...]:
            options |= {"nargs": "+", "metavar": "FILE"}
        elif get_origin(hint) is Literal:
            options["choices"] = get_args(hint)
        else:
            options |= {"type": hint, "metavar": hint.__name__.upper()}
        group.add_argument(f"--{f.name.replace('_', '-')}", **options)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands; a parsed command line has its ``function``."""
    lines = "\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items())
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="srvae train", description=f"Train the SR-VAE.\n\n{lines}", formatter_class=raw
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, function: Callable[..., object]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, description=COMMANDS[name].capitalize() + ".", allow_abbrev=False)
        command.set_defaults(function=function)
        return command

    add_settings(add("run", run_stage))
    command = add("benchmark", run_benchmark)
    add_settings(command)
    command.add_argument("--seconds", type=float, default=10.0, help="how long to time steps [10]")
    command = add("recipe", run_recipe)
    shared = ("data", "scale", "initial", "features", "teacher", "batch", "device")
    add_settings(command, shared)
    command.add_argument("--out", required=True, help="folder for weights, curves, runs and table.csv")
    command.add_argument("--minutes", type=float, required=True, help="for all stages together")
    command.add_argument("--rehearse", action="store_true", help="take two small steps of each stage")
    command = add("export", export)
    command.add_argument("run", help="folder of the run")
    command.add_argument("name", help="of the model, such as 4x-D")
    command.add_argument("--folder", type=Path, default=sr.WEIGHTS, help="where to write [data/weights]")
    command.add_argument("--base", default="", help="leave out weights that equal this model's")
    command.add_argument("--rank", type=int, default=16, help="of the remainder of ip4 to ip6 [16]")
    command.add_argument("--temperature", type=float, default=0.0, help="the model's default temperature [0]")
    command = add("judge", judge_run)
    command.add_argument("run", help="folder of the run")
    command.add_argument("table", type=Path, help="CSV file that gets the row")
    command = add("pack", write_pack)
    command.add_argument("folder", help="photographs, with a sources.csv if there is one")
    command.add_argument("path", help="the pack to write")
    command.add_argument("--megabytes", type=float, default=40.0, help="its largest size, in 10^6 bytes [40]")
    command.add_argument("--quality", type=int, default=88, help="of JPEG, 1 to 100 [88]")
    return parser


def run_stage(**settings: Any) -> None:
    """Train one stage with settings of the command line."""
    train(config_of(settings))


def run_benchmark(seconds: float, **settings: Any) -> dict[str, float]:
    """Time the steps of a run with settings of the command line."""
    return benchmark(config_of(settings), seconds)


def config_of(settings: dict[str, Any]) -> Config:
    """Return the settings of the command line; argparse gives lists."""
    return Config(**settings | {"teacher": tuple(settings["teacher"])})


def main(words: Sequence[str] | None = None) -> None:
    """Run a command; None takes the process's own words.

    Raises:
        SystemExit: with 2 for invalid settings and files, and a full disk; with 3 if training runs into NaN.
    """
    parser = build_parser()
    options = vars(commands.parse(parser, words))
    function, _ = options.pop("function"), options.pop("command")
    try:
        answer = function(**options)
    except (OSError, ValueError) as error:
        parser.exit(2, f"error: {error}\n")
    except NotFiniteError as error:
        parser.exit(3, f"error: {error}\n")
    finally:
        if torch.distributed.is_initialized():  # a process that ends within a group may abort
            torch.distributed.destroy_process_group()
    if answer is not None:
        print(answer)
