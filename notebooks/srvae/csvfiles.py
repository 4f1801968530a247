"""CSV files: reading and writing them, and where those of data/ are."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import srvae_core as sr
from srvae import images

DATA = sr.WEIGHTS.parent
RESULTS = DATA / "results.csv"  # what this project measured
PUBLISHED = DATA / "published_table.csv"  # the paper's table
RELEASE_SCORES = DATA / "release_notebooks.csv"  # what the release's two notebooks print
REGISTRY = DATA / "registry.csv"  # the downloadable image sets

Row = dict[str, str]  # one line of a CSV file by column name


def read_csv(path: Path) -> list[Row]:
    """Read the rows of a CSV file by column name; an empty list if there is no file.

    Raises:
        ValueError: the file is not UTF-8, or a line has too few or too many values.
    """
    if not path.exists():
        return []
    sr.check_file(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a byte order mark first
            reader = csv.DictReader(file, strict=True)
            rows = []
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(f"line {reader.line_num} needs {len(reader.fieldnames)} values")
                rows.append(row)
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return rows


def write_csv(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows atomically under the columns of all of them; a value that a row lacks is blank."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))  # a set would lose their order
    # LF on every system, so that the committed files are the same everywhere.
    with images.atomic_write(path.resolve()) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def check_writable(path: Path) -> None:
    """Raise OSError if a file cannot be created at ``path``: better known before long work than after it."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file")
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def weights_version(name: str) -> str:
    """Return the first 8 hex digits of the SHA-256 of a model's file: results name weights by them."""
    return sr.digest(sr.weights_path(name).read_bytes())[:8]
