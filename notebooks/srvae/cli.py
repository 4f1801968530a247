"""The command ``srvae``, also ``python -m srvae``."""

import argparse
import sys
from collections.abc import Sequence

from . import commands

COMMANDS = {
    "enlarge": "enlarge image files and folders",
    "evaluate": "measure scores, speed and memory",
    "train": "train new weights",
    "draw": "draw the figures",
}


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the first word; each command parses the words after it."""
    lines = "\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="srvae",
        description="Super-resolution by sampling: SR-VAE at 4x and 8x.\n\n" + lines,
        epilog='"srvae COMMAND --help" lists the options of a command.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=f"one of: {', '.join(COMMANDS)}")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="options of the command")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Each one imports only what it needs: training and enlarging need no Jupyter.

    Args:
        arguments: the command line; None takes the process's own.

    Raises:
        SystemExit: with 2 for arguments that are not understood, otherwise with the command's own exit code.
    """
    options = commands.parse(build_parser(), arguments)
    if options.command == "enlarge":
        from .enlarge import main as enlarge

        code = enlarge(options.words)
    elif options.command == "evaluate":
        from .benchmarks import cli

        code = cli.main(options.words)
    elif options.command == "train":
        from .training import cli

        code = cli.main(options.words)
    else:
        from .figures import cli

        code = cli.main(options.words)
    sys.exit(code)
