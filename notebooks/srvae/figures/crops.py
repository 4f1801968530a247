"""The numbers beside pictures: data/crops.csv, written when crops are measured, read when they are drawn.

A figure that is drawn elsewhere would otherwise print slightly different numbers, since processors round differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import srvae_core as sr
from srvae import csvfiles
from srvae.csvfiles import DATA, Row, read_csv, write_csv

CROPS = DATA / "crops.csv"
CROP_COLUMNS = ("figure", "set", "image", "crop", "panel", "measure", "value", "version")


def crop_row(*values: str) -> Row:
    """A row of the file, its values in the order of :data:`CROP_COLUMNS`."""
    return dict(zip(CROP_COLUMNS, values, strict=True))


def identity(row: Row) -> tuple[str, ...]:
    """What was measured: all columns but the value."""
    return tuple(row[name] for name in CROP_COLUMNS if name != "value")


def record(rows: Sequence[Row], path: Path = CROPS) -> None:
    """Put measured numbers into the file, in the place of those of the same pictures in the same figure.

    Numbers of weights that are not shipped any more leave the file.

    Raises:
        ValueError: the file is damaged; it stays as it is.
        OSError: it cannot be written.
    """
    shipped = {"", *map(csvfiles.weights_version, sr.available_models())}  # "": bicubic and peers have no weights
    # all panels of a picture go together: those of a peer that is not drawn any more leave the file
    replaced = {_picture(row) for row in rows}
    kept = [row for row in read_csv(path, CROP_COLUMNS) if row["version"] in shipped and _picture(row) not in replaced]
    write_csv(path, sorted([*kept, *rows], key=_picture), CROP_COLUMNS)


def recorded(rows: Sequence[Row], panel: str, measure: str = "psnr", path: Path = CROPS) -> float | None:
    """What the file holds for a panel of ``rows``: the same figure, crop and weights; None if nothing."""
    wanted = next((identity(row) for row in rows if (row["panel"], row["measure"]) == (panel, measure)), None)
    values = (float(row["value"]) for row in read_csv(path, CROP_COLUMNS) if identity(row) == wanted)
    return next(values, None)


def _picture(row: Row) -> tuple[str, ...]:
    return row["figure"], row["set"], row["image"]
