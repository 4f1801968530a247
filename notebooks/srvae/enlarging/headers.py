"""What an image file says before its pixels are read: its size and form."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.ExifTags
import PIL.Image
import tifffile

import srvae_core as sr

TAG = PIL.ExifTags.Base
SIDEWAYS = (5, 6, 7, 8)  # orientations that lie on their side


@dataclass(frozen=True)
class Header:
    """A file's picture as ``sr.read_image`` gives it, upright.

    Attributes:
        shape: (H, W, 3), or (H, W, 4) with alpha.
        dtype: uint8 or uint16.
        grey: whether the file stores it as grey.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    grey: bool

    @property
    def pixels(self) -> int:
        return self.shape[0] * self.shape[1]


@contextmanager
def opened(path: Path) -> Iterator[PIL.Image.Image]:
    """A file opened by Pillow, its pixels not read, however many they are: ``sr.read_image`` has a limit of its own.

    Raises:
        OSError: Pillow does not know what it is.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters is said when the pixels are read
        with sr.open_picture(path, ("TIFF", *sr.PICTURE_FORMATS)) as image:
            yield image


def is_tiff(path: Path) -> bool:
    """Whether a file begins as TIFF files do."""
    with path.open("rb") as file:
        return file.read(2) in (b"II", b"MM")


def read_header(path: Path, pixel_limit: int = sr.PIXEL_LIMIT) -> Header:
    """The form of a file's picture, from its beginning.

    Raises:
        OSError: no such file, or it cannot be read.
        ValueError: no image, damaged where the size stands, or larger than the limit.
    """
    sr.check_file(path)
    try:
        header = _tiff_header(path) if is_tiff(path) else _picture_header(path)
    except MemoryError:
        raise
    except Exception as error:  # readers raise many kinds for what is damaged
        if isinstance(error, OSError) and error.errno:  # of the disk, not of the picture
            raise
        raise ValueError("no image that can be read, or damaged") from error
    if not 0 < header.pixels <= pixel_limit:
        size = f"{header.shape[1]}x{header.shape[0]}"
        raise ValueError(f"it has {size} pixels, more than {pixel_limit}, the limit that --pixel-limit sets")
    return header


def _picture_header(path: Path) -> Header:
    with opened(path) as image:
        width, height = image.size
        deep = image.format == "PNG" and "16" in str(image.tile[0].args)
        # 1, L, LA and I;16 are grey, and so is what Pillow would make RGBA of: grey and alpha of 16 bit.
        grey = image.mode[0] in "1LI" or (deep and "LA" in str(image.tile[0].args))
        return _header(height, width, _orientation(image), image.has_transparency_data, deep, grey)


def _tiff_header(path: Path) -> Header:
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        grey = page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
        alpha = sr.alpha_of(page) is not None
        orientation = page.tags.valueof(TAG.Orientation, 1)
        return _header(page.imagelength, page.imagewidth, orientation, alpha, page.bitspersample == 16, grey)


def _header(height: int, width: int, orientation: int, alpha: bool, deep: bool, grey: bool) -> Header:
    size = (width, height) if orientation in SIDEWAYS else (height, width)
    return Header((*size, 4 if alpha else 3), np.dtype(np.uint16 if deep else np.uint8), grey)


def _orientation(image: PIL.Image.Image) -> int:
    """How a file says that it lies. Of PNG what stands before the pixels counts: for more, Pillow would read them."""
    with suppress(Exception):  # a damaged block makes no picture unreadable
        if image.format != "PNG":
            return image.getexif().get(TAG.Orientation, 1)
        exif = PIL.Image.Exif()
        exif.load(image.info.get("exif", b""))
        return exif.get(TAG.Orientation, 1)
    return 1
