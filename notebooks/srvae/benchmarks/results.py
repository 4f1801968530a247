"""The results file, data/results.csv, and the file of single images beside it, which lets interrupted calls go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from srvae.csvfiles import RESULTS, Row, read_csv, write_csv

from .answers import SETTINGS

KEY_COLUMNS = ("method", "scale", "set", "settings")  # tell one row from another
SCORE_COLUMNS = ("psnr", "ssim", "niqe", "vgg", "lr_psnr", "diversity", "seconds")
RESULT_COLUMNS = ("method", "scale", "set", "images", *SCORE_COLUMNS, "settings", "version")
IMAGE_COLUMNS = (*KEY_COLUMNS, "version", "image", "megapixels", *SCORE_COLUMNS)  # of the file of single images
LATER_COLUMNS = ("vgg",)  # files of version 0.1 lack them; what they do not say is blank

ALWAYS_THERE = ("scale", "images", "psnr", "ssim", "lr_psnr")  # while other numbers may be blank

Key = tuple[str, ...]


def key_of(row: Row) -> Key:
    """What tells a row of the results from others."""
    return tuple(row[name] for name in KEY_COLUMNS)


def read_results(path: Path = RESULTS) -> list[Row]:
    """The rows of a results file; none where there is no file.

    Raises:
        ValueError: it is damaged: other columns, a line cut short, no numbers where they belong, a row that is there
            twice. The message says where.
        OSError: it cannot be opened.
    """
    rows = _read(path, RESULT_COLUMNS)
    for row in rows:
        check_numbers(row, ("scale", "images", *SCORE_COLUMNS), path, needed=ALWAYS_THERE)
    twice = [key for key, count in Counter(map(key_of, rows)).items() if count > 1]
    if twice:
        raise ValueError(f"{path} has two rows of {', '.join(twice[0])}: remove one of them")
    return rows


def _read(path: Path, columns: tuple[str, ...]) -> list[Row]:
    """The rows of a file of these columns, or of those that version 0.1 wrote; ValueError where it has neither."""
    try:
        return read_csv(path, columns)
    except ValueError:
        try:
            rows = read_csv(path, [name for name in columns if name not in LATER_COLUMNS])
        except ValueError:
            rows = None
        if rows is None:
            raise  # what is wrong by the present columns
        return [{name: row.get(name, "") for name in columns} for row in rows]


def check_numbers(row: Row, columns: Iterable[str], path: Path, needed: Iterable[str] = ()) -> None:
    """Raise ValueError, naming the file, where a column holds no number; a blank will do unless it is needed."""
    for name in columns:
        try:
            float(row[name] if name in needed else row[name] or "nan")
        except ValueError:
            words = ", ".join(key_of(row))
            raise ValueError(f"{path} has no number as {name} of {words}, but {row[name]!r}: mend it") from None


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Rows by scale, set, method, and settings as in :data:`benchmarks.answers.SETTINGS`."""
    order = {name: i for i, name in enumerate(SETTINGS)}

    def place(row: Row) -> tuple:
        return row["scale"], row["set"], row["method"], order.get(row["settings"], len(order))

    return sorted(rows, key=place)


def write_results(path: Path, rows: Iterable[Row]) -> None:
    """Write a results file whole, in order."""
    write_csv(path, in_order(rows), RESULT_COLUMNS)


class ImageRows:
    """The rows of single images that have not come into the results yet, in a file beside them.

    Args:
        results: the results file; that of single images is called like it, with .partial.csv at its end.

    Raises:
        ValueError: the file is damaged, or the results are no .csv file, so that another's may share its name.
    """

    def __init__(self, results: Path) -> None:
        if results.suffix != ".csv":
            raise ValueError(f"results go into a file that ends in .csv, not into {results}")
        self.path = results.with_suffix(".partial.csv")
        try:
            rows = _read(self.path, IMAGE_COLUMNS)
            for row in rows:
                check_numbers(row, ("megapixels", *SCORE_COLUMNS), self.path)
        except ValueError as error:
            raise ValueError(f"{error}, or delete the file, whose images are then computed again") from error
        self._rows = {self._key(row): row for row in rows}

    @staticmethod
    def _key(row: Row) -> Key:
        return (*key_of(row), row["version"], row["image"])

    def find(self, head: Row, image: str, megapixels: float, asked: Iterable[str] = ()) -> Row | None:
        """The row of an image, if it is of a picture of that size and has what is asked for.

        Args:
            head: the columns that tell its row of the results, and the version.
            asked: scores that must have been asked for; they are not blank then, but NaN where they cannot be had.
        """
        row = self._rows.get(self._key({**head, "image": image}))
        fits = row is not None and row["megapixels"] == str(megapixels) and all(row[name] != "" for name in asked)
        return row if fits else None

    def add(self, row: Row) -> None:
        """Take one more row, into the file at once."""
        self._rows[self._key(row)] = row
        self._write()

    def forget(self, heads: Iterable[Mapping[str, str]]) -> None:
        """Drop the rows of what is in the results by now; the file goes with its last row."""
        done = {(*key_of(dict(head)), head["version"]) for head in heads}
        kept = {key: row for key, row in self._rows.items() if key[:-1] not in done}
        if len(kept) < len(self._rows):
            self._rows = kept
            self._write()

    def _write(self) -> None:
        if self._rows:
            write_csv(self.path, self._rows.values(), IMAGE_COLUMNS)
        else:
            self.path.unlink(missing_ok=True)
