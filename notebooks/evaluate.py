"""Scores, speed and memory from the command line; ``python notebooks/evaluate.py --help`` lists what it does."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the core, where it is not installed

from benchmarks.cli import main


def add_slider_where_possible(commands: argparse._SubParsersAction) -> None:
    """Add the view's command. It alone needs Jupyter's widgets, so it is not there where they are missing."""
    try:
        from viewer.timing import add_slider
    except ModuleNotFoundError as error:
        if error.name not in ("ipywidgets", "IPython"):
            raise
        return
    add_slider(commands)


if __name__ == "__main__":
    # these commands start without loading the view; a list of all commands, and a word that is none, need it
    wanted = not sys.argv[1:] or sys.argv[1] not in ("scores", "readme", "speed", "memory")
    main(more=[add_slider_where_possible] if wanted else [])
