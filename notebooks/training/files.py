"""Texts written whole or not at all, and CSV tables whose columns never shift."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import srvae_core as sr


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with sr.written_whole(path) as part:
        part.write_text(text)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


def write_rows(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write rows as a CSV file; its columns are those of all rows, and a row leaves blank what it lacks."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))  # a set would lose their order
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def append_row(path: Path, row: dict[str, object]) -> None:
    """Print a row and add it to a CSV file under the columns of the same names.

    Columns that the file lacks are added to it; those that the row lacks stay blank.
    """
    write_rows(path, [*read_rows(path), row])
    print(row, flush=True)


def forget_rows(path: Path, step: int) -> None:
    """Drop a log's rows after a step: a run that goes on from there writes them again."""
    rows = read_rows(path)
    kept = [row for row in rows if int(row["step"]) <= step]
    if len(kept) < len(rows) and kept:
        write_rows(path, kept)
    elif rows and not kept:
        path.unlink()  # a file with a header alone would keep columns that no row has any more
