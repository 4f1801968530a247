"""What an answer's file says besides its picture: what the input's file said, as it is true of the answer."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import PIL.ExifTags
import PIL.Image
import PIL.ImageCms
import tifffile

from .headers import TAG, is_tiff, opened
from .picture import Notes

IFD = PIL.ExifTags.IFD
INCHES = {2: 1.0, 3: 2.54}  # TIFF's units of resolution -> how many of them an inch has
# What an answer keeps of the first EXIF directory: what tells of the scene. The rest tells how the file is stored.
WORDS = (TAG.ImageDescription, TAG.Make, TAG.Model, TAG.DateTime, TAG.Artist, TAG.HostComputer, TAG.Copyright)
KEPT = (
    *WORDS,
    *(TAG.XPTitle, TAG.XPComment, TAG.XPAuthor, TAG.XPKeywords, TAG.XPSubject, TAG.Rating),
)
LEFT_OUT = (TAG.ExifImageWidth, TAG.ExifImageHeight, IFD.Interop)  # sizes; the second names a colour space
LARGEST_EXIF = 65527  # bytes that fit into a segment of a JPEG file
PNG_TEXTS = (
    "Title",
    "Author",
    "Description",
    "Copyright",
    "Creation Time",
    "Disclaimer",
    "Warning",
    "Source",
    "Comment",
)


@dataclass
class _Found:
    """What a file says: its profile, pixels per inch, EXIF and PNG texts."""

    profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: Mapping[int, object] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


def notes_of(path: Path, scale: int, software: str) -> Notes:
    """What the answer's file is to say, from what the file says: its profile, resolution, EXIF and texts.

    Of what is damaged nothing is kept.

    Args:
        path: the file.
        scale: how much larger the answer is, so its resolution too.
        software: the settings, in words.
    """
    found = _Found()
    with suppress(Exception):
        found = _found_by_pillow(path)
    if is_tiff(path):
        with suppress(Exception):
            _add_tiff_tags(found, path)
    profile = srgb_profile() if is_profile(found.profile) else b""
    dpi, exif = _enlarged(found.dpi, scale), _kept(found.exif)
    tags = {tag: text for tag in WORDS if isinstance(text := exif.get(tag), bytes)}
    exif[TAG.Software] = software
    if dpi:
        exif[TAG.XResolution], exif[TAG.YResolution], exif[TAG.ResolutionUnit] = *dpi, 2
    return Notes(software, profile, dpi, _bytes_of(exif), found.texts, tags)


def _found_by_pillow(path: Path) -> _Found:
    with opened(path) as image:
        found = _Found(image.info.get("icc_profile"), image.info.get("dpi"))
        if image.format == "PNG":
            found.texts = {key: str(image.info[key]) for key in PNG_TEXTS if isinstance(image.info.get(key), str)}
        with suppress(Exception):
            found.exif = image.getexif()
            for directory in (IFD.Exif, IFD.GPSInfo):
                found.exif.get_ifd(directory)  # while the file is open
    return found


def _add_tiff_tags(found: _Found, path: Path) -> None:
    """What Pillow does not tell of a TIFF file, since some of them, of 16 bit, it cannot open."""
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        found.profile = tags.valueof(TAG.InterColorProfile)
        inches = INCHES.get(tags.valueof(TAG.ResolutionUnit, 2))
        if inches and TAG.XResolution in tags and TAG.YResolution in tags:
            ratios = (tags[tag].value for tag in (TAG.XResolution, TAG.YResolution))
            found.dpi = tuple(inches * above / below for above, below in ratios)
        found.exif = found.exif or {tag: tags[tag].value for tag in KEPT if tag in tags}


def _enlarged(dpi: tuple[float, float] | None, scale: int) -> tuple[float, float] | None:
    """The answer's pixels per inch across and down; None where the file says nothing that can be meant."""
    try:
        across, down = (float(dots) * scale for dots in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(math.isfinite(dots) and 0 < dots < 2**24 for dots in (across, down)) else None


def _kept(found: Mapping[int, object]) -> PIL.Image.Exif:
    """The EXIF tags that an answer keeps."""
    exif = PIL.Image.Exif()
    with suppress(Exception):
        exif.update({tag: _as_stored(found[tag]) for tag in KEPT if tag in found})
    for directory in (IFD.Exif, IFD.GPSInfo):
        with suppress(Exception):
            tags = {tag: value for tag, value in found.get_ifd(directory).items() if tag not in LEFT_OUT}
            if TAG.ColorSpace in tags:
                tags[TAG.ColorSpace] = 1  # sRGB
            if tags:
                exif[directory] = tags
    return exif


def _as_stored(value: object) -> object:
    """Words as the file's bytes: Pillow reads them as Latin-1, whatever they are, and would write question marks."""
    return value.encode("latin-1", "replace") if isinstance(value, str) else value


def _bytes_of(exif: PIL.Image.Exif) -> bytes:
    """The block, with less and less in it until it fits into a file: cameras' own notes are the largest part."""
    drops = [None, (IFD.Exif, TAG.MakerNote), (IFD.Exif, TAG.UserComment), IFD.GPSInfo, IFD.Exif, *KEPT]
    for drop in drops:
        if isinstance(drop, tuple):
            exif.get(drop[0], {}).pop(drop[1], None)
        elif drop is not None and drop in exif:
            del exif[drop]
        with suppress(Exception):
            block = exif.tobytes().removeprefix(b"Exif\0\0")
            if len(block) <= LARGEST_EXIF:
                return block
    return b""


def is_profile(profile: object) -> bool:
    """Whether these are the bytes of a colour profile that can be read."""
    try:
        PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (TypeError, OSError, PIL.ImageCms.PyCMSError):
        return False
    return True


def srgb_profile() -> bytes:
    """An sRGB profile, always the same bytes: LittleCMS writes the time into it, from byte 24 on."""
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes((7, 208, 0, 1, 0, 1)) + bytes(6) + profile[36:]  # the first of January 2000
