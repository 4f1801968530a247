"""The CSV files of data/: where they are, reading, writing."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import srvae_core as sr

DATA = Path(__file__).resolve().parents[2] / "data"
RESULTS = DATA / "results.csv"  # what this project measured
PUBLISHED = DATA / "published_table.csv"  # the paper's table
PRINTED = DATA / "release_notebooks.csv"  # what the release's two notebooks print
REGISTRY = DATA / "registry.csv"  # the downloadable image sets

Row = dict[str, str]  # one line of a CSV file by column name


def read_csv(path: Path) -> list[Row]:
    """Rows of a CSV file by column name; an empty list where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: Iterable[Row], columns: tuple[str, ...]) -> None:
    """Write rows so that a reader never meets half a file.

    Args:
        path: the file; its folder must exist.
        rows: each with exactly the given columns.
        columns: names in the order of the header.

    Raises:
        ValueError: a row has a column that is not named.
    """
    # LF on every system, so that the committed files are the same everywhere
    with sr.written_whole(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
