"""PNG files written row by row, for pictures that no memory holds."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .picture import Notes, Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels: grey, grey with alpha, RGB, RGBA
BAND = 64  # rows that are filtered at once
INCH = 0.0254  # metres


def write_png(path: Path, picture: Picture, bands: Iterable[np.ndarray], notes: Notes) -> None:
    """Write a PNG file.

    Args:
        path: where to; the name may end in anything.
        picture: what is written.
        bands: its rows from the top, as many at a time as one likes, (rows, W, C) each.
        notes: what the file says besides.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        file.write(SIGNATURE)
        depth, colour = 8 * picture.dtype.itemsize, COLOUR_TYPES[picture.channels]
        _chunk(file, b"IHDR", struct.pack(">IIBBBBB", picture.width, picture.height, depth, colour, 0, 0, 0))
        for kind, data in _notes(notes):
            _chunk(file, kind, data)
        deflate = zlib.compressobj(6)
        for rows in _filtered(bands, picture):
            _chunk(file, b"IDAT", deflate.compress(rows))
        _chunk(file, b"IDAT", deflate.flush())
        file.write(struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND")))


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    """Write a chunk, unless it is empty."""
    if data:
        file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


def _notes(notes: Notes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks that stand before the rows: (kind, data)."""
    if notes.profile:
        yield b"iCCP", b"sRGB\0\0" + zlib.compress(notes.profile)
    if notes.dpi:
        yield b"pHYs", struct.pack(">IIB", *(min(round(dots / INCH), 2**31 - 1) for dots in notes.dpi), 1)
    if notes.exif:
        yield b"eXIf", notes.exif
    for keyword, text in {**notes.texts, "Software": notes.software}.items():
        try:
            yield b"tEXt", f"{keyword}\0{text}".encode("latin-1")
        except UnicodeEncodeError:
            yield b"iTXt", f"{keyword}\0\0\0\0\0{text}".encode()


def _filtered(bands: Iterable[np.ndarray], picture: Picture) -> Iterator[bytes]:
    """The rows as they are compressed: the number of a filter, then the row's bytes less what that filter foresees."""
    step = picture.channels * picture.dtype.itemsize  # bytes of a pixel
    above = np.zeros((1, picture.width * step), np.uint8)
    for band in bands:
        for start in range(0, len(band), BAND):
            part = np.ascontiguousarray(band[start : start + BAND], picture.dtype.newbyteorder(">"))
            rows = part.view(np.uint8).reshape(len(part), -1)
            yield _best_filters(rows, np.concatenate([above, rows[:-1]]), step).tobytes()
            above = rows[-1:].copy()


def _best_filters(rows: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """The rows, each filtered as leaves the least: (rows, bytes) uint8 -> (rows, 1 + bytes)."""
    left = np.pad(rows, ((0, 0), (step, 0)))[:, :-step]
    corner = np.pad(above, ((0, 0), (step, 0)))[:, :-step]
    foreseen = {1: left, 2: above, 4: _paeth(left, above, corner)}
    best = np.zeros((len(rows), 1 + rows.shape[1]), np.uint8)
    least = np.full(len(rows), np.inf)
    for number, guess in foreseen.items():
        rest = rows - guess  # modulo 256, as the format wants it
        cost = np.abs(rest.view(np.int8).astype(np.int16)).sum(1, dtype=np.int64)
        better = cost < least
        best[better, 0], best[better, 1:], least[better] = number, rest[better], cost[better]
    return best


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Of three neighbours the one nearest to left + above - corner; of equal ones the first."""
    a, b, c = (x.astype(np.int16) for x in (left, above, corner))
    to_left, to_above, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    return np.where(
        (to_left <= to_above) & (to_left <= to_corner), left, np.where(to_above <= to_corner, above, corner)
    )
