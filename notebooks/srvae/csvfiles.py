"""CSV files: reading and writing them, and where those of data/ are."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import srvae_core as sr
from srvae import images

DATA = sr.WEIGHTS.parent
RESULTS = DATA / "results.csv"  # what this project measured
PUBLISHED = DATA / "published_table.csv"  # the paper's table
PRINTED = DATA / "release_notebooks.csv"  # what the release's two notebooks print
REGISTRY = DATA / "registry.csv"  # the downloadable image sets
SPARE = 2**20  # bytes that the disk must have left, before long work, for what a file grows by

Row = dict[str, str]  # one line of a CSV file by column name


def read_csv(path: Path, columns: Sequence[str] | None = None) -> list[Row]:
    """Rows of a CSV file by column name; an empty list where there is no file.

    Args:
        path: the file, UTF-8.
        columns: what its header must be, in this order; the last line must then be whole, too. None takes any header.

    Raises:
        ValueError: no CSV file, a line with too few or too many values, or not those columns.
        OSError: the file cannot be opened.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # with the mark that spreadsheets put first
            text = file.read()
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        numbered = [(reader.line_num, values) for values in reader if values]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file that can be read: {error}") from error
    header, *lines = [values for _, values in numbered] or [[]]
    if columns is not None:
        if header != list(columns):
            raise ValueError(f"{path} must have the columns {','.join(columns)}, not {','.join(header) or 'none'}")
        if not text.endswith(("\n", "\r")):
            raise ValueError(f"the last line of {path} has no end, so it was cut short: mend or remove that line")
    for number, values in numbered[1:]:
        if len(values) != len(header):
            raise ValueError(f"line {number} of {path} has {len(values)} values for {len(header)} columns: mend it")
    return [dict(zip(header, values, strict=True)) for values in lines]


def write_csv(path: Path, rows: Iterable[Mapping[str, object]], columns: Sequence[str] | None = None) -> None:
    """Write rows so that a reader never meets half a file; a row leaves blank what it lacks.

    Args:
        path: the file, or a link to it, which stays one; its folder must exist.
        rows: by column name.
        columns: names in the order of the header; None takes those of all rows, in the order in which they come.

    Raises:
        ValueError: a row has a column that is not named.
        OSError: the disk is full, or the folder cannot be written to; the file is as it was then.
    """
    rows = list(rows)
    if columns is None:
        columns = list(dict.fromkeys(name for row in rows for name in row))  # a set would lose their order
    # LF on every system, so that the committed files are the same everywhere.
    try:
        with images.atomic_write(path.resolve()) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise OSError(f"{path} could not be written and is as it was: {error.strerror or error}") from error


def check_writable(path: Path) -> None:
    """Make sure that a file can be written and grow, which is better known before long work than after it.

    Raises:
        OSError: it cannot, in one sentence: no such folder, a folder of that name, no permission, a full disk.
    """
    if not path.parent.is_dir():
        raise NotADirectoryError(f"{path} cannot be written: there is no folder {path.parent}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} cannot be written: it is a folder, and a file's name is needed")
    trial = path.with_name(f"{path.name}.trial.part")
    try:
        trial.write_bytes(bytes(SPARE))
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)


def weights_version(name: str) -> str:
    """What rows and saved pictures name a model's weights by: the start of the file's SHA-256, 8 hex digits."""
    return sr.file_digest(sr.weights_path(name))[:8]
