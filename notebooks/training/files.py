"""Texts written whole or not at all, and logs whose columns never shift."""

from __future__ import annotations

from pathlib import Path

from csvfiles import read_csv, write_csv

import srvae_core as sr


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with sr.written_whole(path) as part:
        part.write_text(text)


def append_row(path: Path, row: dict[str, object]) -> None:
    """Print a row and add it to a CSV file under the columns of the same names.

    Columns that the file lacks are added to it; those that the row lacks stay blank.
    """
    write_csv(path, [*read_csv(path), row])
    print(row, flush=True)


def forget_rows(path: Path, step: int) -> None:
    """Drop a log's rows after a step: a run that goes on from there writes them again."""
    rows = read_csv(path)
    kept = [row for row in rows if int(row["step"]) <= step]
    if len(kept) < len(rows) and kept:
        write_csv(path, kept)
    elif rows and not kept:
        path.unlink()  # a file with a header alone would keep columns that no row has any more
