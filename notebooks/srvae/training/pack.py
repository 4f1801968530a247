"""Packs: the most detailed part of each photograph of a folder, in one zip file of a given size."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import cv2
import numpy as np

import srvae_core as sr
from srvae import images

from .photographs import HELD_OUT, INDEX, in_threads, load_photographs, read_source

CELL = 16  # pixels a side of the cells of a detail map
PRECISION = 0.005  # of the share of the area that fits


def write_pack(folder: str | Path, path: str | Path, megabytes: float = 40.0, quality: int = 88) -> str:
    """Pack the photographs of a folder into one file of at most ``megabytes`` (10^6 bytes), as JPEG (4:4:4).

    All are cropped to the same share of their area, as large as the size allows, and to multiples of 16 pixels.
    Held-out photographs go in unchanged, so that validation scores of runs on the pack and on the folder are
    comparable.

    Returns:
        A line about what was packed.

    Raises:
        FileNotFoundError, ValueError: as :func:`load_photographs`; the size does not hold a patch of each photograph.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} is not a folder of photographs")
    photographs = load_photographs(folder, 8)
    files, rows = read_source(Path(folder))
    origins = {row["file"]: row for row in rows}
    details = in_threads(detail_map, photographs.hr)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR]
    options.append(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)

    def encode(number: int, share: float) -> tuple[str, bytes]:
        name, hr = photographs.names[number], photographs.hr[number]
        if number % HELD_OUT == 0:
            return f"{number:05d}{Path(name).suffix}", Path(files[name]).read_bytes()
        top, left, height, width = most_detailed(details[number], hr.shape[:2], share)
        crop = hr[top : top + height, left : left + width]
        return f"{number:05d}.jpg", cv2.imencode(".jpg", np.ascontiguousarray(crop[..., ::-1]), options)[1].tobytes()

    def pack(share: float) -> bytes:
        entries = in_threads(lambda number: encode(number, share), range(len(photographs)))
        index, target = io.StringIO(), io.BytesIO()
        table = csv.DictWriter(index, ("file", "original", "source", "licence"), restval="", extrasaction="ignore")
        table.writeheader()
        with zipfile.ZipFile(target, "w") as archive:
            for (file, data), name in zip(entries, photographs.names, strict=True):
                table.writerow(origins.get(name, {}) | {"file": file, "original": name})
                archive.writestr(zipfile.ZipInfo(file), data)  # ZipInfo's fixed date: equal folders give equal packs
            archive.writestr(zipfile.ZipInfo(INDEX), index.getvalue())
        return target.getvalue()

    limit = megabytes * 1e6
    share, best = 1.0, pack(1.0)
    if len(best) > limit:
        low, high, best = 0.0, 1.0, pack(0.0)
        if len(best) > limit:
            raise ValueError(f"{megabytes:g} MB do not hold a patch of each photograph: {len(best) / 1e6:.2f} MB do")
        while high - low > PRECISION:
            share = (low + high) / 2
            data = pack(share)
            if len(data) <= limit:
                low, best = share, data
            else:
                high = share
        share = low
    with images.atomic_write(path) as part:
        part.write_bytes(best)
    return f"{len(photographs)} photographs, {share:.0%} of their area, {len(best) / 1e6:.1f} MB"


def detail_map(image: np.ndarray) -> np.ndarray:
    """Return the integral image of |Laplacian| at every 16th pixel: (H, W, 3) -> (H // 16 + 1, W // 16 + 1)."""
    strength = np.abs(cv2.Laplacian(image[..., 1].astype(np.float32), cv2.CV_32F))
    return cv2.integral(strength, sdepth=cv2.CV_64F)[::CELL, ::CELL]


def most_detailed(detail: np.ndarray, size: tuple[int, int], share: float) -> sr.Rect:
    """Return the window with the most detail that has a share of the area, in cells, and room for a patch."""
    cells = [max(sr.PATCH, round(n * share**0.5)) // CELL for n in size]
    rows, columns = (min(c, n - 1) for c, n in zip(cells, detail.shape, strict=True))
    sums = detail[rows:, columns:] - detail[:-rows, columns:] - detail[rows:, :-columns] + detail[:-rows, :-columns]
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(y) * CELL, int(x) * CELL, rows * CELL, columns * CELL
