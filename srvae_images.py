"""Images as arrays and as files: what is one, reading and writing it. No network is needed here, nor torch.

An image is (H, W), (H, W, 3) RGB or (H, W, 4) with straight alpha; uint8, uint16 or float in [0, 1]. Everything public
is also a name of ``srvae_core``, such as ``sr.read_image``.
"""

from __future__ import annotations

import io
import logging
import os
import stat
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageCms
import PIL.PngImagePlugin

if TYPE_CHECKING:
    import tifffile

# What the formats hold by the ending of a file's name: pixels a side at most, 16 bit, alpha.
FILE_LIMITS = {".png": (2**31 - 1, True, True), ".tif": (2**31 - 1, True, True), ".webp": (16383, False, True)}
FILE_LIMITS |= {".jpg": (65500, False, False), ".bmp": (32767, False, False)}
FILE_LIMITS |= {".jpeg": FILE_LIMITS[".jpg"], ".tiff": FILE_LIMITS[".tif"]}
IMAGE_SUFFIXES = tuple(FILE_LIMITS)
PROFILE_LIMIT = 2**24  # bytes of a PNG file's colour profile or text, inflated
PIXEL_LIMIT = 2**28  # pixels that are read unless more are asked for: a small file may hold a picture that fills memory

# Values of EXIF's orientation -> quarter turns to the left, then whether to mirror left and right.
EXIF_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
PICTURE_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")  # Pillow's readers of all but TIFF
_OPENING = threading.Lock()


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file whole or not at all: gives a path beside it, which takes its place at the end.

    After an error nothing stays behind, and what was there before is as it was.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_image(image: np.ndarray, what: str = "image") -> np.ndarray:
    """The image itself if it is one: (H, W), (H, W, 3) or (H, W, 4); uint8, uint16 or float in [0, 1].

    Raises:
        TypeError: not an array, or of another dtype.
        ValueError: wrong shape, empty, NaN or infinite.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{what} must be a NumPy array, not {type(image).__name__}; read files with read_image(path)")
    if isinstance(image, np.ma.MaskedArray):
        raise TypeError(f"{what} must be a plain array, not a masked one: fill what is masked first")
    if image.dtype.str[1:] not in ("u1", "u2", "f4", "f8"):
        raise TypeError(f"{what} must be uint8, uint16 or float in [0, 1], not {image.dtype}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise ValueError(f"{what} must be of shape (H, W), (H, W, 3) or (H, W, 4), not {image.shape}")
    if 0 in image.shape:
        raise ValueError(f"{what} is empty: its shape is {image.shape}")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ValueError(f"{what} has NaN or infinite values")
    return image


@dataclass
class _Stored:
    """A picture as its file stores it: what is needed to make an image of it.

    ``samples`` are (H, W, C), of the colours of ``space`` ("L", which is grey, "RGB" or "CMYK"), and perhaps alpha.
    """

    samples: np.ndarray
    space: str
    profile: bytes | None
    orientation: object
    frames: int


class _RefusedError(ValueError):
    """A picture that is not damaged but would not be read right; the message goes on after the file's name."""


def read_image(
    source: str | os.PathLike | bytes | bytearray | memoryview, *, pixel_limit: int = PIXEL_LIMIT
) -> np.ndarray:
    """A PNG, JPEG, TIFF, WebP or BMP file, or the bytes of one: (H, W, 3) or (H, W, 4) with alpha, uint8 or uint16.

    Colours are sRGB, converted from the file's ICC profile where it has one; alpha is straight; what EXIF says of the
    orientation is done. Grey files have three equal channels. Of several frames or pages the first is read, and a
    warning says so. Another says when a profile is damaged or not one for such a file: then colours are taken as sRGB.

    Args:
        source: a path or bytes.
        pixel_limit: the most pixels that are read.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no image, damaged, larger than the limit, or one that would not be read right: CMYK without a
            profile, Lab, PNG of a wide gamut by cICP alone, and samples of other than 1, 2, 4, 8 or 16 bit.
    """
    given = isinstance(source, bytes | bytearray | memoryview)
    name = "the data given" if given else str(source)
    if not given:
        check_file(source)
    data = bytes(source) if given else Path(source).read_bytes()
    try:
        stored = (_stored_tiff if data[:2] in (b"II", b"MM") else _stored_picture)(data, pixel_limit)
    except _RefusedError as error:
        raise ValueError(f"{name} {error}") from None
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # readers raise many kinds for what is damaged
        kinds = "PNG, JPEG, TIFF, BMP and WebP can"
        what = "" if isinstance(error, PIL.UnidentifiedImageError) else f": {error}"  # which names an object in memory
        raise ValueError(f"{name} is no image that can be read ({kinds}), or it is damaged{what}") from error
    if stored.frames > 1:
        warnings.warn(f"{name} has {stored.frames} frames or pages, of which the first is read", stacklevel=2)
    image = stored.samples
    try:
        image = _in_srgb(image, stored.space, stored.profile) if stored.profile else image
    except Exception as error:  # of many kinds, too
        if stored.space == "CMYK":
            raise ValueError(f"{name} is CMYK, and its colour profile is damaged: {error}") from error
        warnings.warn(f"{name} has a colour profile of no use, so it is taken as sRGB: {error}", stacklevel=2)
    if image.shape[2] < 3:
        image = image[..., [0, 0, 0, 1][: image.shape[2] + 2]]
    upright = (0, False)
    quarters, mirrored = EXIF_TURNS.get(stored.orientation, upright) if isinstance(stored.orientation, int) else upright
    image = np.rot90(image, quarters)
    return np.require(image[:, ::-1] if mirrored else image, requirements="CW")  # Pillow's own must not be written to


def check_file(path: str | os.PathLike) -> None:
    """See that a path leads to a file that can be read whole: a pipe would never end.

    Raises:
        FileNotFoundError: there is nothing. ValueError: it is something else.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{path} is a folder, a pipe or a device, not an image file")


def _check_size(width: int, height: int, pixel_limit: int) -> None:
    if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):  # tags may hold anything
        raise _RefusedError(f"has {width!r}x{height!r} pixels")
    if width * height > pixel_limit:
        raise _RefusedError(f"has {width}x{height} pixels, more than the {pixel_limit} that pixel_limit allows")


@contextmanager
def _silent(library: str) -> Iterator[None]:
    """Let a library's reader say what is wrong by its error alone."""
    logger = logging.getLogger(library)
    logger.addFilter(_nothing)
    try:
        yield
    finally:
        logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


def open_picture(source: BinaryIO | Path, formats: Sequence[str]) -> PIL.Image.Image:
    """A picture that Pillow has opened, its pixels not read, however many they are: `read_image` has its own limit.

    A PNG file may have a colour profile of as many bytes as other formats' files have, up to PROFILE_LIMIT.
    """
    with _OPENING:  # Pillow's limits hold for the whole process and cannot be raised for one file
        limits = PIL.Image.MAX_IMAGE_PIXELS, PIL.PngImagePlugin.MAX_TEXT_CHUNK
        PIL.Image.MAX_IMAGE_PIXELS, PIL.PngImagePlugin.MAX_TEXT_CHUNK = None, PROFILE_LIMIT
        try:
            return PIL.Image.open(source, formats=formats)
        finally:
            PIL.Image.MAX_IMAGE_PIXELS, PIL.PngImagePlugin.MAX_TEXT_CHUNK = limits


def _stored_picture(data: bytes, pixel_limit: int, format: str | None = None) -> _Stored:
    """What is no TIFF file, by Pillow; 16-bit PNG, of which Pillow reads the upper half, by libpng."""
    picture = open_picture(io.BytesIO(data), [format] if format else PICTURE_FORMATS)
    _check_size(*picture.size, pixel_limit)
    space, profile, orientation = "RGB", picture.info.get("icc_profile"), 1
    if picture.format == "PNG" and len(kind := _png_chunk(data, b"cICP")) >= 2:
        primaries, transfer = kind[:2]  # of ITU-T H.273: 1 and 1 or 13 are sRGB's
        if transfer not in (1, 13) or (primaries != 1 and not profile):
            raise _RefusedError(f"has colours of another kind (cICP {primaries}, {transfer}): convert it to sRGB first")
    if picture.mode == "CMYK" and profile:
        space = "CMYK"
    elif picture.mode in ("CMYK", "LAB"):
        raise _RefusedError(f"is {picture.mode} without a way to sRGB: convert it to RGB first")
    elif picture.mode[0] in "1L":  # grey is 1, L, LA or La in Pillow
        space = "L"
    frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)  # the second of an MPO is no further one
    if picture.format == "PNG" and "16" in picture.tile[0].args:
        import imagecodecs  # only here and for TIFF: machines that train need not have it

        with _silent("imagecodecs"):
            samples = np.atleast_3d(imagecodecs.png_decode(data))
        space = "L" if samples.shape[2] < 3 else "RGB"  # Pillow does not tell grey with alpha from RGB here
    else:
        samples = np.asarray(picture.convert(space + "A" * picture.has_transparency_data))
    with suppress(Exception):  # a damaged block makes no picture unreadable
        orientation = picture.getexif().get(PIL.ExifTags.Base.Orientation, 1)
    return _Stored(np.atleast_3d(samples), space, profile, orientation, frames)


def _png_chunk(data: bytes, kind: bytes) -> bytes:
    """What the first chunk of a kind holds before a PNG file's pixels; empty where there is none."""
    at = 8  # after the signature; a chunk is its length, its kind, what it holds, and a checksum
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] == kind:
            return data[at + 8 : end]
        at = end + 4
    return b""


def _stored_tiff(data: bytes, pixel_limit: int) -> _Stored:
    """The first page of a TIFF file: grey and RGB of 8 and 16 bit by tifffile, the rest by Pillow."""
    import tifffile

    with _silent("tifffile"), tifffile.TiffFile(io.BytesIO(data)) as file:
        page, pages = file.pages.first, len(file.pages)
        _check_size(page.imagewidth, page.imagelength, pixel_limit)
        _check_size(page.tilewidth or 1, page.tilelength or 1, max(pixel_limit, 2**22))  # each is held as a whole
        colours = {"MINISWHITE": 1, "MINISBLACK": 1, "RGB": 3}.get(getattr(page.photometric, "name", ""))
        bits, whole = page.bitspersample, page.sampleformat == tifffile.SAMPLEFORMAT.UINT
        if whole and colours and bits in (8, 16) and page.samplesperpixel in range(colours, 9):
            profile, orientation = (page.tags.valueof(tag) for tag in ("InterColorProfile", "Orientation"))
            return _Stored(_tiff_samples(page, colours), "L" if colours == 1 else "RGB", profile, orientation, pages)
        if not whole or bits not in (1, 2, 4, 8) or colours == 3:
            kinds = f"{page.samplesperpixel} of {bits} bit, {page.sampleformat!r}, {page.photometric!r}"
            raise _RefusedError(f"has samples that are not read: {kinds}")
    stored = _stored_picture(data, pixel_limit, "TIFF")
    stored.frames = pages
    return stored


def _tiff_samples(page: tifffile.TiffPage, colours: int) -> np.ndarray:
    """The samples of a grey or RGB page, (H, W, C), white at the top and alpha straight."""
    image = page.asarray()
    if page.planarconfig == 2 and page.samplesperpixel > 1:  # a plane for every sample
        image = np.moveaxis(image, 0, -1)
    image = image.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
    values, peak = image[..., :colours], peak_of(image.dtype)
    if page.photometric.name == "MINISWHITE":
        values = peak - values
    at = alpha_of(page)
    if at is None:
        return values
    alpha = image[..., colours + at : colours + at + 1]
    if page.extrasamples and page.extrasamples[at].name == "ASSOCALPHA":  # colours are multiplied by it
        values = np.rint(np.minimum(values * (peak / np.maximum(alpha, 1)), peak)).astype(image.dtype)
    return np.concatenate([values, alpha], 2)


def alpha_of(page: tifffile.TiffPage) -> int | None:
    """Which of the samples behind a page's colours is alpha; the others are masks, or something else."""
    kinds = [kind.name for kind in page.extrasamples]
    if not kinds:  # a fourth sample without a word about it is alpha for everybody
        return 0 if page.samplesperpixel == (4 if page.photometric.name == "RGB" else 2) else None
    return next((i for i, kind in enumerate(kinds) if kind in ("ASSOCALPHA", "UNASSALPHA")), None)


def _in_srgb(image: np.ndarray, space: str, profile: bytes) -> np.ndarray:
    """Colours of an ICC profile in sRGB; samples as of :class:`_Stored`, of which alpha stays and CMYK becomes RGB."""
    srgb = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB"))
    source = PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if (meant := source.profile.xcolor_space.strip()) != ("GRAY" if space == "L" else space):
        raise ValueError(f"it is for {meant} and not {space}")
    colours = len(PIL.Image.new(space, (1, 1)).getbands())
    transform = PIL.ImageCms.buildTransform(source, srgb, space, "RGB")

    def convert(samples: np.ndarray) -> np.ndarray:
        picture = PIL.Image.fromarray(samples[..., 0] if colours == 1 else samples, space)
        return np.asarray(PIL.ImageCms.applyTransform(picture, transform))

    # sRGB goes by many profiles; what they do to a few colours is no more than rounding, and then nothing is done.
    few = np.stack(np.meshgrid(*[np.arange(0, 256, 51, np.uint8)] * colours), -1).reshape(1, -1, colours)
    if colours < 4 and np.abs(convert(few).astype(int) - few).max() <= 1:
        return image
    values = np.ascontiguousarray(image[..., :colours])
    if image.dtype.itemsize == 2:  # Pillow converts 8 bit alone
        import imagecodecs

        options = {"colorspace": "gray" if colours == 1 else "rgb", "outcolorspace": "rgb"}
        options["flags"] = imagecodecs.CMS.FLAGS.NOOPTIMIZE  # its tables are off by 6 levels of 255 in dark colours
        values = imagecodecs.cms_transform(
            values[..., 0] if colours == 1 else values, profile, srgb.tobytes(), **options
        )
    else:
        values = convert(values)
    return np.concatenate([values[..., 1:2] if colours == 1 else values, image[..., colours:]], 2)


def check_target(path: str | os.PathLike, shape: tuple[int, ...], dtype: np.dtype) -> str:
    """See before the work that a file of this name can hold an image of that shape and dtype.

    Returns:
        The name's ending, in small letters.

    Raises:
        ValueError: an ending that is not among IMAGE_SUFFIXES, or a format that cannot hold so many pixels a side,
            16 bit or alpha; no format holds float.
    """
    ending, alpha = Path(path).suffix.lower(), len(shape) == 3 and shape[2] == 4
    if ending not in FILE_LIMITS:
        raise ValueError(f"{path}: cannot write such files; the name must end in one of {', '.join(IMAGE_SUFFIXES)}")
    side, deep, transparent = FILE_LIMITS[ending]
    if np.dtype(dtype).kind == "f":
        raise ValueError(f"{path}: image files hold 8 or 16 bit, not float: convert first")
    if np.dtype(dtype).itemsize == 2 and not deep:
        raise ValueError(f"{path}: {ending} files do not hold 16 bit, PNG and TIFF do")
    if alpha and not transparent:
        raise ValueError(f"{path}: {ending} files do not hold alpha, PNG, TIFF and WebP do")
    if max(shape[:2]) > side:
        raise ValueError(
            f"{path}: {ending} files hold at most {side} pixels a side, not {max(shape[:2])}; TIFF and PNG do"
        )
    return ending


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write (H, W), (H, W, 3) RGB or (H, W, 4) uint8 or uint16 in the format that the file name says.

    JPEG and WebP are written with little loss, quality 95 (WebP with none where its lossy form is too small); the
    others with none.

    Raises:
        TypeError: no image. ValueError: the format cannot hold it (see :func:`check_target`).
    """
    ending = check_target(path, check_image(image).shape, image.dtype)
    with written_whole(path) as part:
        if ending in (".tif", ".tiff"):
            import tifffile

            extra = {"extrasamples": ["unassalpha"]} if image.shape[2:] == (4,) else {}
            kind = "minisblack" if image.ndim == 2 else "rgb"
            tifffile.imwrite(part, image, photometric=kind, compression="zlib", predictor=True, metadata=None, **extra)
        elif image.dtype.itemsize == 2:
            import imagecodecs

            part.write_bytes(imagecodecs.png_encode(image.astype(np.uint16)))  # in this machine's order of bytes
        else:
            save_picture(PIL.Image.fromarray(image), part, ending)


def save_picture(picture: PIL.Image.Image, path: Path, ending: str, **notes: object) -> None:
    """Write a picture of 8 bit in the format of an ending, as :func:`write_image` does.

    Args:
        notes: what the file is to say besides, by Pillow's names: ``icc_profile``, ``exif``, ``dpi``.
    """
    format = PIL.Image.registered_extensions()[ending]
    options = {"PNG": {"compress_level": 3}, "JPEG": {"quality": 95, "subsampling": 0}}.get(format, {})
    if format != "WEBP":
        picture.save(path, format, **options, **notes)
        return
    try:
        picture.save(path, format, quality=95, exact=True, **notes)
    except ValueError:  # "encoding error 6": the lossy form has no place for the blocks of, say, 16000x12000 pixels
        picture.save(path, format, lossless=True, exact=True, **notes)


def peak_of(dtype: np.dtype) -> int:
    """What stands for white in images of a dtype: 255, 65535, or 1 for float."""
    return {"u1": 255, "u2": 65535}.get(np.dtype(dtype).str[1:], 1)  # in either order of bytes


def as_rgb(image: np.ndarray) -> np.ndarray:
    """The colours of a grey, RGB or RGBA image, (H, W, 3) of the same dtype."""
    return np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image[..., :3]


def visible_colours(image: np.ndarray) -> np.ndarray:
    """:func:`as_rgb`, where pixels that cannot be seen at all have the colour of the nearest that can.

    What is hidden is often black, and would be enlarged into a dark rim.
    """
    colours = as_rgb(image)
    if image.shape[2:] != (4,) or image[..., 3].all() or not image[..., 3].any():
        return colours
    hidden = (image[..., 3] == 0).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(hidden, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    shown = hidden == 0
    places = np.zeros(nearest.max() + 1, int)
    places[nearest[shown]] = np.flatnonzero(shown)  # OpenCV numbers what is seen; its numbers' order is its own affair
    return colours.reshape(-1, 3)[places[nearest]]
