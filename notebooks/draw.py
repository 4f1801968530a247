"""The figures from the command line; ``python notebooks/draw.py --help`` lists them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the core, where it is not installed

from figures.cli import main

if __name__ == "__main__":
    main()
