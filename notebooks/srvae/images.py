"""Image files: 8 bit by Pillow, 16 bit by OpenCV; files that would be read wrongly are rejected."""

from __future__ import annotations

import io
import os
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageFile
from PIL.ExifTags import Base

import srvae_core as sr
from srvae import colours

FORMATS = {"PNG": {"compress_level": 3}, "JPEG": {"quality": 95, "subsampling": 0}}  # with options for writing
FORMATS |= {"TIFF": {"compression": "tiff_adobe_deflate"}, "WEBP": {"quality": 95, "exact": True}, "BMP": {}}
PIL.Image.init()
READABLE = [kind for kind in (*FORMATS, "GIF", "AVIF") if kind in PIL.Image.OPEN]  # AVIF since Pillow 11.3
WRITABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
READ_ONLY_SUFFIXES = (".gif", ".avif")
SUFFIXES = (*WRITABLE_SUFFIXES, *READ_ONLY_SUFFIXES)

_lock, _readers, _tolerant = threading.Lock(), 0, False


@contextmanager
def strict_decoding() -> Iterator[None]:
    """Make Pillow reject files that are cut short, whatever a program around this one has set."""
    global _readers, _tolerant
    with _lock:  # the first reader switches, and the last one switches back
        if not _readers:
            _tolerant = PIL.ImageFile.LOAD_TRUNCATED_IMAGES
            PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if not _readers:
                PIL.ImageFile.LOAD_TRUNCATED_IMAGES = _tolerant


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside ``path``, which replaces it at the end; after an error nothing has changed."""
    path = Path(path)
    if path.exists():
        sr.check_file(path)  # a device or a pipe must not be replaced
    part = path.with_name(f".{sr.digest(os.fsencode(path.name))}.part")  # as short for the longest legal names
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def find_images(folder: Path, *, recursive: bool = False) -> list[Path]:
    """List the image files of a folder, sorted by path; hidden files and folders are passed over."""

    def is_image(path: Path) -> bool:
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()

    paths = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(path for path in paths if is_image(path))


def open_header(source: str | os.PathLike | io.BytesIO) -> PIL.Image.Image:
    """Open a picture of at most 179 million pixels with Pillow; its pixels are not decoded yet."""
    with warnings.catch_warnings(action="ignore", category=PIL.Image.DecompressionBombWarning):
        return PIL.Image.open(source, formats=READABLE)


def read(source: str | os.PathLike | bytes | bytearray | memoryview) -> np.ndarray:
    """Read a PNG, JPEG, TIFF, WebP, BMP, GIF or AVIF file, or the bytes of one.

    Damaged files are rejected as far as their format shows damage. JPEG has no checksums, so the bytes of a damaged
    one may decode to a wrong picture.

    Returns:
        (H, W, 3), or (H, W, 4) with straight alpha; uint8 or uint16, in sRGB. Other colours are converted, be they
        described by an ICC profile, by PNG's gAMA and cHRM, or by EXIF (Adobe RGB); invalid descriptions are ignored,
        with a warning. EXIF orientation is applied, grey becomes three equal channels, and pixels that alpha hides take
        the colour of the nearest visible one. Files of several frames or pages give the first, with a warning.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not an image, damaged, over 179 million pixels, or of a kind that is not read: CMYK without a
            profile, Lab, PNG or AVIF with cICP of another gamut, calibrated BMP, 16 bit with a profile other than
            sRGB, other depths.
    """
    given = isinstance(source, bytes | bytearray | memoryview)
    name = "the data given" if given else str(source)
    data = bytes(source) if given else sr.check_file(source).read_bytes()
    try:
        with strict_decoding():
            return _decode(data, name)
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises many types for damaged files
        unknown = isinstance(error, PIL.UnidentifiedImageError)
        reason = f"it is damaged, of a rare kind, or not one of {', '.join(READABLE)}" if unknown else error
        raise ValueError(f"{name} cannot be read: {reason}") from error


def _decode(data: bytes, name: str) -> np.ndarray:
    open_header(io.BytesIO(data)).verify()  # the checksums of PNG, which decoding ignores in part
    picture = open_header(io.BytesIO(data))
    if picture.mode == "LAB" or (picture.mode == "CMYK" and not picture.info.get("icc_profile")):
        raise ValueError(f"it is {picture.mode} without a way to sRGB: convert it to RGB first")
    frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)  # MPO: a JPEG and its preview
    if frames > 1:
        warnings.warn(f"{name} has {frames} frames or pages, of which the first is read", stacklevel=3)
    tiff = picture.tag_v2 if picture.format == "TIFF" else {}
    bits, kinds = tiff.get(258, (1,)), tiff.get(339, (1,))  # samples' depths; 1 is unsigned integers
    if set(kinds) != {1} or not set(bits) <= {1, 2, 4, 8, 16} or (16 in bits and picture.mode == "CMYK"):
        raise ValueError(f"it has {picture.mode} samples of {max(bits)} bit: save it as RGB with 8 or 16 bit")
    layout, alpha = str(picture.tile[0].args) if picture.format == "PNG" else "", picture.has_transparency_data
    _check_strips(data, tiff)
    picture.load()  # damaged pixels are an error, damaged EXIF is not
    profile, space = colours.described_by(picture, data, name)
    orientation = 1
    with suppress(Exception):  # TIFF is turned as it is read
        orientation = 1 if tiff else picture.getexif().get(Base.Orientation, 1)
    if 16 in bits or ";16" in layout:
        samples = colours.convert(_decode_16_bit(data, alpha, profile, tiff), space)
        return fill_transparent(_upright(samples, orientation))
    if layout in ("L;2", "L;4") and alpha:  # Pillow brings samples to 8 bit, but not the transparent one
        picture.info["transparency"] *= 85 if layout == "L;2" else 17
    layers = "CMYK" if picture.mode == "CMYK" else "L" if picture.mode[0] in "1L" else "RGB"
    samples = np.atleast_3d(np.asarray(picture.convert(layers + "A" * alpha)))
    colour = samples[..., :-1] if alpha else samples
    if profile and not (layers == "RGB" and colours.is_srgb(profile)):
        try:
            colour = colours.from_profile(colour, layers, profile)
        except colours.PROFILE_ERRORS as error:
            if layers == "CMYK":
                raise
            warnings.warn(f"{name} has an invalid colour profile, so it is read as sRGB: {error}", stacklevel=3)
    channels = [colour] * (3 if colour.shape[2] == 1 else 1) + [samples[..., -1]] * alpha
    return fill_transparent(_upright(colours.convert(np.dstack(channels), space), orientation))


def _check_strips(data: bytes, tiff: dict) -> None:
    """Raise zlib.error for a damaged strip or tile of a deflated TIFF, whose checksums decoding ignores."""
    if tiff.get(259) in (8, 32946):
        places = [tiff.get(tag, ()) for tag in ((273, 279) if 273 in tiff else (324, 325))]
        for start, length in zip(*places, strict=False):
            zlib.decompress(data[start : start + length])


def _upright(image: np.ndarray, orientation: object) -> np.ndarray:
    """A copy that is turned and mirrored as an EXIF orientation says: 1 to 8, others are damaged."""
    image = image.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else image
    down, right = (-1 if orientation in those else 1 for those in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return np.array(image[::down, ::right], order="C")


def _decode_16_bit(data: bytes, alpha: bool, profile: bytes | None, tiff: dict) -> np.ndarray:
    """Decode a 16-bit PNG or TIFF by OpenCV, since Pillow reads only the upper 8 bit of each sample."""
    if profile and not colours.is_srgb(profile):
        raise ValueError("it has 16 bit and a colour profile: convert it to sRGB, or to 8 bit, first")
    # Planes, photometric interpretation, extra samples (1 is premultiplied alpha, 2 straight alpha).
    if tiff.get(284, 1) != 1 or tiff.get(262, 2) not in (1, 2) or tuple(tiff.get(338, (2,))) != (2,):
        raise ValueError("it is a 16-bit TIFF with planes, inverted grey, a mask or premultiplied alpha")
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16:
        raise ValueError("it is damaged")
    if alpha != (samples.shape[2:] == (4,)):
        raise ValueError("it has 16 bit and a transparent colour: save it with an alpha channel")
    return np.dstack([samples] * 3) if samples.ndim == 2 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]


def fill_transparent(image: np.ndarray) -> np.ndarray:
    """Give hidden pixels of (H, W, 4) the colour of the nearest visible one, or black where none is visible.

    Otherwise hidden black would be enlarged into a dark rim.
    """
    if image.shape[2:] != (4,) or image[..., 3].all():
        return image
    if not image[..., 3].any():
        return np.zeros_like(image)
    hidden = (image[..., 3] == 0).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(hidden, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    places = np.zeros(nearest.max() + 1, int)
    places[nearest[hidden == 0]] = np.flatnonzero(hidden == 0)  # OpenCV numbers the visible pixels in its own order
    return np.dstack([image[..., :3].reshape(-1, 3)[places[nearest]], image[..., 3]])


def write(path: str | os.PathLike, image: np.ndarray, **options: object) -> None:
    """Write an image atomically in the format of the suffix.

    JPEG and WebP are written with quality 95 unless ``options`` name another ``quality``, others without loss.

    Args:
        image: (H, W), (H, W, 3) or (H, W, 4); uint8, or uint16 for PNG and TIFF.
        options: of Pillow, for files of 8 bit: ``quality``, ``icc_profile``, ``exif``, ``dpi``, ``pnginfo``.

    Raises:
        OSError, TypeError, ValueError: not an image, or the format cannot hold its size, 16 bit, float or alpha.
    """
    suffix, alpha = Path(path).suffix.lower(), sr.check_image(image).shape[2:] == (4,)
    if suffix not in WRITABLE_SUFFIXES or image.dtype.kind == "f":
        raise ValueError(f"{path} of {image.dtype}: files hold 8 or 16 bit and end in {', '.join(WRITABLE_SUFFIXES)}")
    deep, kind = image.dtype.itemsize == 2, PIL.Image.registered_extensions()[suffix]
    needed = " with ".join(["16 bit"] * deep + ["alpha"] * alpha)
    if needed and kind != "PNG" and (kind, needed) not in (("TIFF", "16 bit"), ("TIFF", "alpha"), ("WEBP", "alpha")):
        raise ValueError(f"{path}: {kind} holds no {needed}; PNG does")
    if deep and max(image.shape) > 10**6:  # OpenCV's limit
        raise ValueError(f"{path}: files of 16 bit hold at most a million pixels a side")
    with atomic_write(path) as part:
        if deep:
            order = slice(None) if image.ndim == 2 else [2, 1, 0, 3][: image.shape[2]]
            part.write_bytes(cv2.imencode(suffix, np.ascontiguousarray(image[..., order], np.uint16))[1].tobytes())
            return
        large = {"lossless": True} if kind == "WEBP" and image.size > 10**8 else {}  # too large for its lossy form
        try:
            PIL.Image.fromarray(image).save(part, kind, **FORMATS[kind] | large | options)
        except (OSError, ValueError) as error:  # such as too many pixels a side
            raise type(error)(f"{path} cannot be written as {kind}: {error}") from error
