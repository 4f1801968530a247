"""Files of a run: written whole or not at all, read with clear errors, in a folder that one training has to itself."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
from safetensors import SafetensorError, safe_open
from torch import Tensor

from srvae import images
from srvae.csvfiles import Row, read_csv, write_csv

LOCK = "lock"  # its file stays in the folder: who removed it could let two in
# What `images.atomic_write` begins, by the endings of a run's own files, and safetensors beside it.
HALF_WRITTEN = ("*.safetensors.part", "*.json.part", "*.csv.part", "clock.part", ".tmp??????")


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with images.atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


# -- folders ------------------------------------------------------------------------------------------------


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Have a folder to oneself; what a killed process left half-written in it is removed.

    The lock is the operating system's: it ends with the process, however that ends.

    Raises:
        OSError: the folder cannot be made or written.
        ValueError: another process has it.
    """
    check_folder(folder)  # `filelock` cannot tell a folder that is not from one in use
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise ValueError(f"another process is training in {folder}: wait for it, or name another folder") from error
    try:
        remove_half_written(folder)
        yield
    finally:
        lock.release()


def remove_half_written(folder: Path) -> None:
    """Remove what writing would have finished, had it not been killed."""
    for pattern in HALF_WRITTEN:
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)


def check_folder(folder: Path) -> None:
    """Make a folder, if it is not there, in which files can be made.

    Raises:
        OSError: that cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"{folder} cannot be written ({reason(error)}): name another folder") from error


def reason(error: Exception) -> str:
    """What the system said of a file, in its words alone."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


# -- reading ------------------------------------------------------------------------------------------------


@contextmanager
def opened_tensors(file: Path) -> Iterator[safe_open]:
    """A safetensors file to read from.

    Raises:
        ValueError: it is none, cut short, or lacks what is asked of it.
    """
    try:
        with safe_open(file, "pt") as tensors:
            yield tensors
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is no readable safetensors file, perhaps cut short: {reason(error)}") from error


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, by name; ValueError where it is none."""
    with opened_tensors(file) as tensors:
        return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 (not a mapping)


def read_object(file: Path) -> dict:
    """The JSON object that a text file holds.

    Raises:
        ValueError: it holds something else, or is damaged.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is no JSON, perhaps cut short: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{file} must hold a JSON object, not a {type(value).__name__}")
    return value


def read_seconds(file: Path) -> float:
    """The seconds that a clock's file holds; 0 where there is none.

    Raises:
        ValueError: it holds something else.
    """
    if not file.is_file():
        return 0.0
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{file} must hold a number of seconds, not {text[:40]!r}: remove it to go by the checkpoint")
    return seconds


def read_log(path: Path) -> list[Row]:
    """The rows of a log, whose steps rise; an empty list where there is no file.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        rows = read_csv(path)
        steps = [int(row["step"]) for row in rows]
        if steps != sorted(set(steps)):
            raise ValueError("its steps do not rise")
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is no log of a run ({error}); without it, a new one would be begun") from error
    return rows


# -- tables -------------------------------------------------------------------------------------------------


def append_row(path: Path, row: dict[str, object]) -> None:
    """Print a row and add it to a CSV file under the columns of the same names.

    Columns that the file lacks are added to it; those that the row lacks stay blank.
    """
    write_csv(path, [*read_csv(path), row])
    print(row, flush=True)


def log_row(path: Path, row: dict[str, object]) -> None:
    """:func:`append_row` for a log. A row of the same step is replaced; what the new one does not say is kept of it."""
    earlier = read_log(path)
    same = earlier.pop() if earlier and int(earlier[-1]["step"]) == row["step"] else {}
    write_csv(path, [*earlier, same | row])
    print(row, flush=True)


def forget_rows(path: Path, step: int) -> None:
    """Drop a log's rows after a step: a run that goes on from there writes them again.

    Raises:
        ValueError: the log is damaged.
    """
    rows = read_log(path)
    kept = [row for row in rows if int(row["step"]) <= step]
    if len(kept) < len(rows) and kept:
        write_csv(path, kept)
    elif rows and not kept:
        path.unlink()  # a file with a header alone would keep columns that no row has any more
