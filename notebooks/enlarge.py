"""Enlarge image files and folders of them; ``python notebooks/enlarge.py --help`` says how. Needs no Jupyter."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the core, where it is not installed

from enlarging.cli import main


def peak_memory() -> float:
    """Peak resident memory of this process in GiB; what measures it is only loaded when it is asked for."""
    from benchmarks import speed

    return speed.peak_memory()


if __name__ == "__main__":
    sys.exit(main(peak_memory=peak_memory))
