"""Which colours an image file has, by ICC profile or by other parts of the file, and their conversion to sRGB."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageCms
from PIL.ExifTags import IFD, Base

import srvae_core as sr

ROWS = 256  # converted at once, to bound the memory
# How far a gamma, as a share, and chromaticities may be from sRGB's to be taken for them; gamma as in libpng.
NEAR_GAMMA, NEAR_XY = 0.05, 0.005
# From XYZ to the responses of the eye's cones, which chromatic adaptation scales (Bradford).
CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class ColourSpace:
    """A colour space: chromaticities x, y of white, red, green, blue, and the exponent that decodes samples to light.

    An exponent of None is sRGB's curve.
    """

    xy: tuple[float, ...]
    exponent: float | None = None


SRGB = ColourSpace((0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06))
ADOBE_RGB = ColourSpace((0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 563 / 256)

SRGB_PROFILE = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB"))
PROFILE_ERRORS = (PIL.ImageCms.PyCMSError, OSError, ValueError)

# Codes of ITU-T H.273 for primaries and transfer that are read as sRGB; 2 is unspecified, 1 and 6 are video's curves.
SRGB_PRIMARIES, SRGB_CURVES = (1, 2), (1, 2, 6, 13)


def described_by(picture: PIL.Image.Image, data: bytes, name: str) -> tuple[bytes | None, ColourSpace | None]:
    """Return the ICC profile of a picture, or else its colour space as other parts of the file describe it.

    The order is the PNG standard's: cICP, ICC profile, sRGB, gAMA with cHRM; EXIF comes last. None and None is sRGB.
    Invalid chromaticities are ignored, with a warning that names the file; so are colours that are not known.

    Args:
        picture: opened by Pillow, and decoded. data: its file.

    Raises:
        ValueError: the file has colours that are not converted.
    """
    profile, codes = picture.info.get("icc_profile"), _cicp(picture.format, data)
    if codes != (2, 2) and not (picture.format == "AVIF" and profile):  # there, codes come second
        if codes[0] in SRGB_PRIMARIES and codes[1] in SRGB_CURVES:
            return None, None
        raise ValueError(f"it has cICP colours {codes}: convert it to sRGB first")
    if profile:
        return profile, None
    if picture.format == "BMP" and _is_calibrated(data):
        raise ValueError("it is a BMP with colours of its own: convert it to sRGB first")
    if "srgb" in picture.info:
        return None, None
    chromaticities, gamma = picture.info.get("chromaticity"), picture.info.get("gamma")
    if chromaticities is None and not gamma:
        with suppress(Exception):  # Pillow raises many types for damaged EXIF
            exif = picture.getexif()
            details, interop = exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.Interop)
            space = details.get(Base.ColorSpace)
            if space == 1:
                return None, None
            if space == 2 or str(interop.get(1)).startswith("R03"):
                return None, ADOBE_RGB
            if {Base.PrimaryChromaticities, Base.WhitePoint} <= exif.keys():
                chromaticities = [*exif[Base.WhitePoint], *exif[Base.PrimaryChromaticities]]
                gamma = 1 / details[Base.Gamma] if details.get(Base.Gamma) else None
            elif space is not None:
                warnings.warn(f"{name} does not say which colours it has, so it is read as sRGB", stacklevel=4)
    try:
        return None, colour_space(chromaticities, gamma)
    except ValueError as error:
        warnings.warn(f"{name} is read as sRGB: {error}", stacklevel=4)
        return None, None


def _is_calibrated(bmp: bytes) -> bool:
    """Return whether a BMP file has a profile, embedded or linked, or primaries of its own."""
    if int.from_bytes(bmp[14:18], "little") < 108:  # a header of version 3 or earlier says nothing about colours
        return False
    return bmp[70:74] in (b"DEBM", b"KNIL") or (not any(bmp[70:74]) and any(bmp[74:110]))


def _cicp(form: str | None, data: bytes) -> tuple[int, int]:
    """Return the codes for primaries and transfer of a PNG or AVIF file."""
    codes = bytes((0, 2, 0, 2))
    if form == "PNG" and len(chunk := _png_chunk(data, b"cICP")) >= 4:
        if chunk[2:4] != b"\0\1":
            raise ValueError("it has cICP colours of YCbCr or of narrow range: convert it to sRGB first")
        codes = bytes((0, chunk[0], 0, chunk[1]))
    elif form == "AVIF" and (at := data.find(b"colrnclx")) >= 0:
        codes = data[at + 8 : at + 12]
    return int.from_bytes(codes[:2]), int.from_bytes(codes[2:])


def _png_chunk(data: bytes, kind: bytes) -> bytes:
    """The content of the first chunk of a kind before a PNG file's pixels; empty if there is none."""
    at = 8  # after the signature; a chunk is its length, its kind, its content and a checksum
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] == kind:
            return data[at + 8 : end]
        at = end + 4
    return b""


# -- ICC profiles -------------------------------------------------------------------------------------------


def is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile converts colours to sRGB with no more than rounding; sRGB has many profiles."""
    with suppress(*PROFILE_ERRORS):
        few = np.stack(np.meshgrid(*[np.arange(0, 256, 51, np.uint8)] * 3), -1).reshape(1, -1, 3)
        return int(np.abs(from_profile(few, "RGB", profile).astype(int) - few).max()) <= 1
    return False


def from_profile(samples: np.ndarray, layers: str, profile: bytes) -> np.ndarray:
    """Convert (H, W, C) uint8 of "L", "RGB" or "CMYK" to RGB; one of PROFILE_ERRORS if that is not possible."""
    source = PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if (meant := source.profile.xcolor_space.strip()) != ("GRAY" if layers == "L" else layers):
        raise ValueError(f"its colour profile is for {meant} and not {layers}")
    picture = PIL.Image.fromarray(np.ascontiguousarray(samples[..., 0] if layers == "L" else samples), layers)
    return np.asarray(PIL.ImageCms.profileToProfile(picture, source, SRGB_PROFILE, outputMode="RGB"))


# -- Primaries and gamma ------------------------------------------------------------------------------------


def colour_space(chromaticities: Sequence[float] | None, gamma: float | None) -> ColourSpace | None:
    """Return the colour space of PNG's cHRM and gAMA, of which either may be missing; None for sRGB and its like.

    Raises:
        ValueError: the chromaticities are not those of white and three colours.
    """
    xy = SRGB.xy if chromaticities is None else tuple(map(float, chromaticities))
    if not np.isfinite(to_xyz(xy)).all():
        raise ValueError(f"it has invalid chromaticities: {', '.join(f'{v:g}' for v in xy)}")
    same_gamma = not gamma or abs(2.2 * gamma - 1) <= NEAR_GAMMA
    if same_gamma and max(abs(a - b) for a, b in zip(xy, SRGB.xy, strict=True)) <= NEAR_XY:
        return None
    return ColourSpace(xy, 1 / gamma if gamma else None)


def to_xyz(xy: Sequence[float]) -> np.ndarray:
    """Return the matrix from linear RGB to XYZ, (3, 3), for white of Y = 1; NaN if there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in np.reshape(xy, (4, 2))]).T  # white first
    if not np.isfinite(columns).all() or abs(np.linalg.det(columns[:, 1:])) < 1e-6:
        return np.full((3, 3), np.nan)
    return columns[:, 1:] * np.linalg.solve(columns[:, 1:], columns[:, 0])


def convert(image: np.ndarray, space: ColourSpace | None) -> np.ndarray:
    """Convert the colours of an image, (H, W, 3 or 4) uint8 or uint16, to sRGB; None stands for sRGB itself."""
    if space is None:
        return image
    whites = [CONES @ (matrix := to_xyz(xy)).sum(1) for xy in (space.xy, SRGB.xy)]
    adapted = np.linalg.solve(CONES, np.diag(whites[1] / whites[0])) @ CONES @ to_xyz(space.xy)
    mixing = np.linalg.solve(matrix, adapted)  # from the image's linear RGB to sRGB's
    peak = sr.max_value(image.dtype)
    coded = np.linspace(0, 1, peak + 1)
    srgb_light = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    light = (srgb_light if space.exponent is None else coded**space.exponent).astype(np.float32)
    result = image.copy()
    for start in range(0, len(image), ROWS):
        rows = result[start : start + ROWS, :, :3]
        grey = (rows == rows[..., :1]).all(2, keepdims=True)  # stays grey to the bit
        mixed = np.where(grey, light[rows], light[rows] @ mixing.T.astype(np.float32)).clip(0, 1)
        rows[:] = np.rint(peak * np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055))
    return result
