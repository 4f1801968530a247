"""Packs: one file with the most detailed part of each photograph of a folder.

A pack is a plain zip file: the photographs as JPEG (4:4:4) or PNG, and ``index.csv`` with a row for each (its source
and licence, too), in the order in which training counts them. Any program opens it.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

import srvae_core as sr
from srvae import images
from srvae.csvfiles import check_writable

from .photographs import HELD_OUT, INDEX, Folder, load_photographs, workers

COLUMNS = ("file", "original", "held_out", "top", "left", "height", "width", "source", "licence")
DETAIL_CELL = 16  # pixels a side of the cells in which the detail of a photograph is added up
SHARE_STEP = 0.002  # precision of the search for the share of the area that fits

Entry = tuple[dict[str, object], bytes]  # a photograph's row in the index, and its file


def write_pack(
    folder: str | Path, path: str | Path, *, megabytes: float = 40.0, quality: int = 88, lossless: bool = False
) -> dict[str, float]:
    """Pack the photographs of a folder into one file of at most a given size.

    Of each photograph that training uses the most detailed window is kept, of the same share of its area for all, as
    large as the size allows. Those held out for validation go in as they are, byte for byte, so figures of runs on the
    pack compare with figures of runs on the folder.

    Args:
        folder: as for :func:`load_photographs`.
        path: the file to write.
        megabytes: its largest size, in 10^6 bytes.
        quality: JPEG's, 1 to 100; colours are kept at full resolution (4:4:4).
        lossless: PNG in the place of JPEG.

    Returns:
        photographs, share (of the area, 0 to 1) and megabytes.

    Raises:
        FileNotFoundError: no such folder of photographs, or none for the pack.
        ValueError: the size does not hold even a patch of each, or an unusable folder.
    """
    path = Path(path)
    check_writable(path)
    packer = Packer(Folder(Path(folder)), encoder(quality, lossless))
    share, entries = packer.largest_fit(megabytes * 1e6)
    index = io.StringIO()
    table = csv.DictWriter(index, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(row for row, _ in entries)
    with images.atomic_write(path) as target, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as pack:
        # Photographs are compressed already. A fixed date keeps the same folder's packs the same.
        for row, data in entries:
            pack.writestr(zipfile.ZipInfo(str(row["file"])), data)
        pack.writestr(zipfile.ZipInfo(INDEX), index.getvalue())
    return {"photographs": len(entries), "share": share, "megabytes": path.stat().st_size / 1e6}


def encoder(quality: int, lossless: bool) -> Callable[[np.ndarray], tuple[str, bytes]]:
    """A function (H, W, 3) uint8 -> (file ending, bytes); ValueError for a quality that JPEG does not have."""
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be from 1 to 100, not {quality}")
    ending, options = ".png", [cv2.IMWRITE_PNG_COMPRESSION, 9]
    if not lossless:
        ending, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]

    def encode(image: np.ndarray) -> tuple[str, bytes]:
        done, data = cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
        if not done:
            raise ValueError(f"OpenCV could not write {ending} of {image.shape[1]}x{image.shape[0]} pixels")
        return ending, data.tobytes()

    return encode


class Packer:
    """The photographs of a folder on their way into a pack.

    Args:
        folder: where from.
        encode: makes a file of a window (see :func:`encoder`).
    """

    def __init__(self, folder: Folder, encode: Callable[[np.ndarray], tuple[str, bytes]]) -> None:
        self.folder, self.encode, self.origins = folder, encode, folder.rows()
        self.photographs = load_photographs(folder.path, 8)  # any scale: the LR images are not packed
        with workers() as pool:
            self.details = list(pool.map(detail_map, self.photographs.hr))

    def entry(self, number: int, share: float) -> Entry:
        """One photograph of the pack, cut to a share of its area; whole where it is held out."""
        name, hr = self.photographs.names[number], self.photographs.hr[number]
        held_out = number % HELD_OUT == 0
        if held_out:
            top, left, (height, width) = 0, 0, hr.shape[:2]
            ending, data = Path(name).suffix, self.folder.read(name)
        else:
            top, left, height, width = most_detailed_window(self.details[number], hr.shape[:2], share)
            ending, data = self.encode(hr[top : top + height, left : left + width])
        origin = self.origins.get(name, {})
        row: dict[str, object] = {"file": f"{number:05d}{ending}", "original": name, "held_out": int(held_out)}
        row |= {"top": top, "left": left, "height": height, "width": width}
        return row | {k: origin.get(k, "") for k in ("source", "licence")}, data

    def entries(self, share: float) -> list[Entry]:
        """All photographs, in their order."""
        with workers() as pool:
            numbers = range(len(self.photographs))
            return list(pool.map(self.entry, numbers, [share] * len(numbers)))

    def largest_fit(self, limit: float) -> tuple[float, list[Entry]]:
        """The largest share whose entries fit into ``limit`` bytes, and they; ValueError where none does."""
        entries = self.entries(1.0)
        if packed_size(entries) <= limit:
            return 1.0, entries
        low, high, best = 0.0, 1.0, self.entries(0.0)
        if (least := packed_size(best)) > limit:
            raise ValueError(f"{limit / 1e6:g} MB do not hold a patch of each photograph: {least / 1e6:.2f} MB would")
        while high - low > SHARE_STEP:
            middle = (low + high) / 2
            entries = self.entries(middle)
            if packed_size(entries) <= limit:
                low, best = middle, entries
            else:
                high = middle
        return low, best


def packed_size(entries: list[Entry]) -> int:
    """The bytes of a pack, a little more than needed: beside its file an entry costs its row, and two headers."""
    return sum(len(data) + len(",".join(map(str, row.values()))) + 160 for row, data in entries) + 500


def detail_map(image: np.ndarray) -> np.ndarray:
    """Where a photograph has detail: sums of its |Laplacian| from the top left corner on, at every 16th pixel.

    (H, W, 3) uint8 -> (H // 16 + 1, W // 16 + 1) float64, an integral image whose differences are window sums.
    """
    strength = np.abs(cv2.Laplacian(image[..., 1].astype(np.float32), cv2.CV_32F))
    return cv2.integral(strength, sdepth=cv2.CV_64F)[::DETAIL_CELL, ::DETAIL_CELL]


def most_detailed_window(detail: np.ndarray, size: tuple[int, int], share: float) -> tuple[int, int, int, int]:
    """The window of a share of a photograph's area with the most detail: (top, left, height, width) in pixels.

    It has the photograph's proportions, sides that are multiples of 16 (or the photograph's own), and room for a patch.
    """
    cells = []
    for length in size:
        wanted = max(sr.PATCH, round(length * share**0.5))
        cells.append(length if wanted >= length - DETAIL_CELL else wanted - wanted % DETAIL_CELL)
    (height, width), (rows, columns) = (
        cells,
        (min(c // DETAIL_CELL, n - 1) for c, n in zip(cells, detail.shape, strict=True)),
    )
    sums = detail[rows:, columns:] - detail[:-rows, columns:] - detail[rows:, :-columns] + detail[:-rows, :-columns]
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    top, left = (min(int(at) * DETAIL_CELL, n - c) for at, n, c in zip((y, x), size, cells, strict=True))
    return top, left, height, width
