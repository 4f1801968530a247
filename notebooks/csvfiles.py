"""CSV files: reading and writing them, and where those of data/ are."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import srvae_core as sr

DATA = Path(__file__).resolve().parents[1] / "data"
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


def write_csv(path: Path, rows: Iterable[Mapping[str, object]], columns: Sequence[str] | None = None) -> None:
    """Write rows so that a reader never meets half a file; a row leaves blank what it lacks.

    Args:
        path: the file; its folder must exist.
        rows: by column name.
        columns: names in the order of the header; None takes those of all rows, in the order in which they come.

    Raises:
        ValueError: a row has a column that is not named.
    """
    rows = list(rows)
    if columns is None:
        columns = list(dict.fromkeys(name for row in rows for name in row))  # a set would lose their order
    # LF on every system, so that the committed files are the same everywhere.
    with sr.written_whole(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
