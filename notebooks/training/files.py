"""Files that nobody meets half-written, and tables whose columns never shift."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to; it takes the place of ``path`` at the end, or vanishes after an error."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with replaced(path) as part:
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
    columns = list(dict.fromkeys(name for row in rows for name in row))
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
        path.unlink()
