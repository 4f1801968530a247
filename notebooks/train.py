"""Training from the command line; ``python notebooks/train.py --help`` lists what it does. Needs no Jupyter."""

import time

STARTED = time.monotonic()  # before anything slow is imported: a run's minutes count from here

import sys  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the core, where it is not installed

from training.cli import main  # noqa: E402

if __name__ == "__main__":
    main(STARTED)
