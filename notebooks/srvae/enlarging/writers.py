"""Answers written as files, from rows that come one band after another: PNG and TIFF never stand in memory whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import tifffile

import srvae_core as sr

from .picture import Notes, Picture
from .png import write_png

FORMATS = {
    "png": (".png",),
    "tif": (".tif", ".tiff"),
    "jpg": (".jpg", ".jpeg"),
    "webp": (".webp",),
    "bmp": (".bmp",),
}
STRIP_BYTES = 2**18  # of a TIFF strip, uncompressed
CLASSIC_TIFF = 2**32 - 2**25  # bytes; more, with the notes, need the 64-bit offsets of BigTIFF
LARGEST_DPI = 65535  # that a JPEG file can say


def write_picture(path: Path, suffix: str, picture: Picture, bands: Iterable[np.ndarray], notes: Notes) -> None:
    """Write a picture in the format of an ending; what that can hold, ``sr.check_target`` has said before.

    Args:
        path: where to; its own ending says nothing.
        suffix: the ending that names the format, one of ``sr.IMAGE_SUFFIXES``.
        picture: the form of what is written.
        bands: its rows from the top, as many at a time as one likes, (rows, W, C) each.
        notes: what the file says besides, as far as its format has a place for it.

    Raises:
        OSError: the file cannot be written.
    """
    kind = next(kind for kind, suffixes in FORMATS.items() if suffix.lower() in suffixes)
    if kind == "png":
        write_png(path, picture, bands, notes)
    elif kind == "tif":
        _write_tiff(path, picture, bands, notes)
    else:
        _write_whole(path, kind, picture, bands, notes)


def _write_tiff(path: Path, picture: Picture, bands: Iterable[np.ndarray], notes: Notes) -> None:
    """Strips, losslessly compressed."""
    rows = max(1, STRIP_BYTES * picture.height // picture.bytes)
    shape = (picture.height, picture.width, picture.channels)
    resolution = {"resolution": notes.dpi, "resolutionunit": "INCH"} if notes.dpi else {}
    with tifffile.TiffWriter(path, bigtiff=picture.bytes > CLASSIC_TIFF, byteorder="<") as writer:
        writer.write(
            _encoded(_strips(bands, rows)),
            shape=shape if picture.channels > 1 else shape[:2],
            dtype=picture.dtype,
            photometric="minisblack" if picture.grey else "rgb",
            planarconfig="contig" if picture.channels > 1 else None,
            extrasamples=["unassalpha"] if picture.alpha else None,
            rowsperstrip=min(rows, picture.height),
            compression="adobe_deflate",
            predictor=True,
            iccprofile=notes.profile or None,
            software=notes.software,
            extratags=[(tag, "s", 0, text, True) for tag, text in notes.tags.items()],
            metadata=None,
            **resolution,
        )


def _strips(bands: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """The same rows, always so many at a time; only the last may be fewer."""
    rest: np.ndarray | None = None
    for band in bands:
        waiting = band if rest is None else np.concatenate([rest, band])
        whole = len(waiting) - len(waiting) % rows
        for start in range(0, whole, rows):
            yield np.ascontiguousarray(waiting[start : start + rows])
        rest = waiting[whole:].copy() if whole < len(waiting) else None
    if rest is not None:
        yield np.ascontiguousarray(rest)


def _encoded(strips: Iterable[np.ndarray]) -> Iterator[bytes]:
    """Strips as the file holds them: each pixel less the one to its left, compressed. tifffile takes no others."""
    for strip in strips:
        less = strip.astype(strip.dtype.newbyteorder("<"))
        less[:, 1:] -= strip[:, :-1]  # modulo what the samples hold, as the format wants it
        yield zlib.compress(less.tobytes(), 6)


def _write_whole(path: Path, kind: str, picture: Picture, bands: Iterable[np.ndarray], notes: Notes) -> None:
    """JPEG, WebP and BMP, whose writers want the whole picture: Pillow holds it in 4 bytes a pixel."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[picture.channels]
    if kind == "webp" and picture.grey:  # it knows no grey
        mode = "RGBA" if picture.alpha else "RGB"
    canvas, top = PIL.Image.new(mode, (picture.width, picture.height)), 0
    for band in bands:
        rows = np.ascontiguousarray(band[..., 0] if picture.channels == 1 else band)
        canvas.paste(PIL.Image.fromarray(rows), (0, top))
        top += len(band)
    options = {"icc_profile": notes.profile} if notes.profile else {}
    if notes.dpi:
        options["dpi"] = tuple(min(round(dots), LARGEST_DPI) for dots in notes.dpi)
    if notes.exif:
        options["exif"] = b"Exif\0\0" + notes.exif
    if kind == "webp":
        options.pop("dpi", None)  # its EXIF block says it
    if kind != "bmp":
        sr.save_picture(canvas, path, f".{kind}", **options)
    else:
        sr.save_picture(canvas, path, f".{kind}", **{key: value for key, value in options.items() if key == "dpi"})
        # Readers stop after the last row; the format has no place for words.
        with path.open("ab") as file:
            file.write(notes.software.encode("ascii"))
