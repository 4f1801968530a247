"""Files as people bring them: a table of picture files with what must be read from each, or why it is rejected.

They are written by Pillow, tifffile or by hand. What must be read is known from how they were made, or comes from
OpenCV's 8-bit reader where the format loses something.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import skimage.color
import tifffile
from PIL.ExifTags import IFD, Base

RNG = np.random.default_rng(14)
H, W = 37, 41  # primes: no side is a multiple of a tile, a strip or a byte
RGB = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
ALPHA = RNG.integers(1, 256, (H, W, 1), dtype=np.uint8)
ALPHA[3:5, 2:9] = 0  # hidden pixels
GREY = RNG.integers(0, 256, (H, W), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (H, W, 3), dtype=np.uint16)
DEEP_ALPHA = RNG.integers(1, 65536, (H, W, 1), dtype=np.uint16)
DEEP_GREY = RNG.integers(0, 65536, (H, W), dtype=np.uint16)
BITS = np.kron(RNG.integers(0, 2, (10, 11)), np.ones((4, 4)))[:H, :W] > 0
SMOOTH = cv2.resize(RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8), (W, H), interpolation=cv2.INTER_LINEAR)
PALETTE = PIL.Image.fromarray(RGB).quantize(16)
OF_PALETTE = np.asarray(PALETTE.convert("RGB"))


@dataclass(frozen=True)
class Case:
    """A file and what comes of it.

    Attributes:
        name: with its suffix. data: the file.
        wanted: (H, W, 3) or (H, W, 4), of the dtype to be read; None if the file is rejected.
        error: a pattern for the ValueError of a file that is rejected.
        warning: a pattern for the warning of reading; empty if there is none.
        off: by how much values may differ, because of losses in the file or of rounding.
    """

    name: str
    data: bytes
    wanted: np.ndarray | None = None
    error: str = ""
    warning: str = ""
    off: int = 0


def cases() -> list[Case]:
    """All files."""
    described = [*profile_cases(), *described_cases()]
    return [*png_cases(), *tiff_cases(), *turned_cases(), *described, *other_cases(), *rejected_cases()]


# -- writers ------------------------------------------------------------------------------------------------


def by_pillow(picture: PIL.Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    """A file written by Pillow."""
    picture = picture if isinstance(picture, PIL.Image.Image) else PIL.Image.fromarray(picture)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def by_tifffile(image: np.ndarray, photometric: str = "rgb", **options: object) -> bytes:
    """A TIFF file written by tifffile."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, photometric=photometric, metadata=None, **options)
    return stream.getvalue()


def by_hand(
    samples: np.ndarray, colour_type: int, *chunks: tuple[bytes, bytes], size: tuple[int, int] = (), adam7: bool = False
) -> bytes:
    """A PNG file of (H, W, C) uint8 or uint16 and of chunks before the pixels, as the specification has it.

    ``colour_type`` is 0 for grey, 2 for RGB, 4 and 6 for these with alpha; ``size`` is a wrong width and height for the
    header; ``adam7`` interlaces the pixels.
    """
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [samples[top::down, left::right] for top, left, down, right in passes] if adam7 else [samples]
    big_endian = [part.astype(part.dtype.newbyteorder(">")) for part in parts]
    rows = b"".join(b"\0" + row.tobytes() for part in big_endian for row in part)
    head = size or samples.shape[1::-1], 8 * samples.dtype.itemsize, colour_type, 0, 0, adam7
    return png_file(struct.pack(">IIBBBBB", *head[0], *head[1:]), *chunks, (b"IDAT", zlib.compress(rows)))


def png_file(head: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of its chunks."""
    file = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", head), *chunks, (b"IEND", b"")):
        file += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return file


def by_opencv(data: bytes) -> np.ndarray:
    """What OpenCV reads, (H, W, 3) uint8; it ignores colour profiles."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def three(grey: np.ndarray, *alpha: np.ndarray) -> np.ndarray:
    """Grey as three equal channels, with alpha if there is one."""
    return np.dstack([grey, grey, grey, *alpha])


def keyed(image: np.ndarray, key: tuple[int, ...]) -> np.ndarray:
    """RGB with the alpha of PNG's tRNS: pixels of the key's colour are hidden."""
    peak = np.iinfo(image.dtype).max
    return np.dstack([image, np.where((image == key).all(2), 0, peak).astype(image.dtype)])


# -- PNG and TIFF -------------------------------------------------------------------------------------------


def png_cases() -> Iterator[Case]:
    """PNG by depth, channels and layout."""
    for depth, rgb, alpha, grey in (("8", RGB, ALPHA, GREY), ("16", DEEP, DEEP_ALPHA, DEEP_GREY)):
        yield Case(f"rgb-{depth}.png", by_hand(rgb, 2), rgb)
        yield Case(f"rgba-{depth}.png", by_hand(np.dstack([rgb, alpha]), 6), np.dstack([rgb, alpha]))
        yield Case(f"grey-{depth}.png", by_hand(grey[..., None], 0), three(grey))
        yield Case(f"grey-alpha-{depth}.png", by_hand(np.dstack([grey, alpha]), 4), three(grey, alpha))
        yield Case(f"interlaced-{depth}.png", by_hand(rgb, 2, adam7=True), rgb)
        key = tuple(int(v) for v in rgb[2, 3])
        yield Case(f"rgb-key-{depth}.png", by_hand(rgb, 2, (b"tRNS", struct.pack(">3H", *key))), keyed(rgb, key))
        key = int(grey[2, 3])
        data = by_hand(grey[..., None], 0, (b"tRNS", struct.pack(">H", key)))
        wanted, error = (keyed(three(grey), (key,) * 3), "") if depth == "8" else (None, "a transparent colour")
        yield Case(f"grey-key-{depth}.png", data, wanted, error)
    for bits in (1, 2, 4):
        levels = np.arange(8, dtype=np.uint8) % 2**bits
        row = np.packbits(np.unpackbits(levels[:, None], 1)[:, 8 - bits :]).tobytes()
        head = struct.pack(">IIBBBBB", 8, 1, bits, 0, 0, 0, 0)
        data = png_file(head, (b"tRNS", b"\0\1"), (b"IDAT", zlib.compress(b"\0" + row)))
        wide = three(levels * np.uint8(255 // (2**bits - 1))).reshape(1, 8, 3)
        yield Case(f"grey-key-{bits}.png", data, keyed(wide, wide[0, 1]))
    yield Case("palette.png", by_pillow(PALETTE, "PNG"), OF_PALETTE)
    shown = np.where(np.asarray(PALETTE) == 3, 0, 255).astype(np.uint8)
    yield Case("palette-key.png", by_pillow(PALETTE, "PNG", transparency=3), np.dstack([OF_PALETTE, shown]))
    yield Case("bits.png", by_pillow(PIL.Image.fromarray(BITS), "PNG"), three(BITS * np.uint8(255)))
    yield Case("animated.png", by_pillow(RGB, "PNG", **two_frames()), RGB, warning="2 frames or pages, of which the")


def two_frames() -> dict[str, object]:
    """Pillow's options for a second frame."""
    return {"save_all": True, "append_images": [PIL.Image.fromarray(RGB[::-1].copy())]}


def tiff_cases() -> Iterator[Case]:
    """TIFF by depth, channels and layout; with 16 bit only the common layouts are read."""
    layouts = {"strips": {"rowsperstrip": 3}, "tiles": {"tile": (16, 16)}, "zlib": {"compression": "zlib"}}
    layouts |= {"big-endian": {"byteorder": ">"}, "bigtiff": {"bigtiff": True}}
    layouts |= {"planar": {"planarconfig": "separate"}, "planar-tiles": {"planarconfig": "separate", "tile": (16, 16)}}
    for depth, rgb, alpha, grey in (("8", RGB, ALPHA, GREY), ("16", DEEP, DEEP_ALPHA, DEEP_GREY)):
        peak, both, pair = np.iinfo(rgb.dtype).max, np.dstack([rgb, alpha]), np.dstack([grey, alpha])
        files = {}
        for name, options in layouts.items():
            planes = np.moveaxis(rgb, 2, 0) if "planar" in name else rgb
            files[name] = by_tifffile(planes, **options), rgb
        files["straight-alpha"] = by_tifffile(both, extrasamples=["unassalpha"]), both
        half = np.full_like(alpha, peak // 2)
        stored = np.dstack([np.rint(rgb * (half / peak)).astype(rgb.dtype), half])
        files["associated-alpha"] = by_tifffile(stored, extrasamples=["assocalpha"]), np.dstack([rgb, half])
        files["mask"] = by_tifffile(both, extrasamples=["unspecified"]), rgb
        files["grey"] = by_tifffile(grey, "minisblack"), three(grey)
        files["white-is-zero"] = by_tifffile(peak - grey, "miniswhite"), three(grey)
        of_grey = {"planarconfig": "contig", "extrasamples": ["unassalpha"]}
        files["grey-alpha"] = by_tifffile(pair, "minisblack", **of_grey), three(grey, alpha)
        for name, (data, wanted) in files.items():
            off = int(name == "associated-alpha")  # half the levels are stored
            rare = depth == "16" and name in ("planar", "planar-tiles", "associated-alpha", "mask", "white-is-zero")
            if rare or (depth == "16" and name == "grey-alpha"):
                yield Case(f"{name}-16.tif", data, error="16-bit TIFF with planes" if rare else "of a rare kind")
            else:
                yield Case(f"{name}-{depth}.tif", data, wanted, off=off)
        three_more = by_tifffile(np.dstack([rgb, grey, alpha]), extrasamples=["unspecified", "unassalpha"])
        yield Case(f"mask-and-alpha-{depth}.tif", three_more, error="of a rare kind")
        yield Case(f"pages-{depth}.tif", by_tifffile(np.stack([rgb, rgb[::-1]])), rgb, warning="2 frames or pages")
    for compression in ("tiff_lzw", "packbits"):
        yield Case(f"{compression}.tif", by_pillow(RGB, "TIFF", compression=compression), RGB)
    yield Case("palette.tif", by_pillow(PALETTE, "TIFF"), OF_PALETTE)
    bits = by_pillow(PIL.Image.fromarray(BITS), "TIFF", compression="group4")
    yield Case("bits.tif", bits, three(BITS * np.uint8(255)))
    data = by_pillow(SMOOTH, "TIFF", compression="jpeg")
    yield Case("jpeg.tif", data, by_opencv(data), off=1)


def turned_cases() -> Iterator[Case]:
    """Every EXIF orientation in every format that has it."""
    flips = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
    for turn, (down, right) in flips.items():  # where row 0 and column 0 are, by the standard's words

        def upright(image: np.ndarray, turn: int = turn, down: int = down, right: int = right) -> np.ndarray:
            return (image if turn < 5 else image.swapaxes(0, 1))[::down, ::right]

        exif = PIL.Image.Exif()
        exif.endian = "<>"[turn % 2]
        exif[271], exif[274], exif[305] = "maker", turn, "software"  # with entries before and after, as cameras write
        chunk = (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
        tag = {"extratags": [(274, 3, 1, turn, True)]}
        for depth, image in (("8", RGB), ("16", DEEP)):
            yield Case(f"turned-{turn}-{depth}.tif", by_tifffile(image, **tag), upright(image))
            yield Case(f"turned-{turn}-{depth}.png", by_hand(image, 2, chunk), upright(image))
        yield Case(f"turned-{turn}.webp", by_pillow(RGB, "WEBP", lossless=True, exif=exif), upright(RGB))
        data = by_pillow(SMOOTH, "JPEG", quality=95, exif=exif)
        yield Case(f"turned-{turn}.jpg", data, upright(by_opencv(data)), off=1)


# -- colour profiles ----------------------------------------------------------------------------------------

# Red, green and blue of linear light as columns of XYZ under D50.
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
REC_709 = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])  # sRGB's
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
D50 = np.array([0.9642, 1.0, 0.8249])


def xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def icc_file(space: bytes, use: bytes, between: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile: its colour space, what it is for, the space that it leads to, and its tags."""
    about = b"desc\0\0\0\0" + struct.pack(">I", 6) + b"tests\0" + bytes(78)
    tags = {b"desc": about, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz(D50)} | tags
    body, table, place = b"", b"", 132 + 12 * len(tags)
    for kind, data in tags.items():
        table += kind + struct.pack(">II", place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(body), b"none", 0x02400000, use, space, between)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + xyz(D50)[8:] + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def icc_profile(columns: np.ndarray | None, gamma: float) -> bytes:
    """An ICC profile of three primaries and a gamma, or of grey without primaries."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    if columns is None:
        return icc_file(b"GRAY", b"mntr", b"XYZ ", {b"kTRC": curve})
    tags = {kind: xyz(column) for kind, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)}
    return icc_file(b"RGB ", b"mntr", b"XYZ ", tags | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def in_srgb(image: np.ndarray, columns: np.ndarray, gamma: float | None) -> np.ndarray:
    """An 8-bit image of :func:`icc_profile`'s colours in sRGB, by the standard's formulas; None is sRGB's curve."""
    coded = image / 255
    light = (
        np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4) if gamma is None else coded**gamma
    )
    linear = (light @ (np.linalg.inv(REC_709) @ columns).T).clip(0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(coded * 255).astype(np.uint8)


def lightness(inks: np.ndarray) -> np.ndarray:
    """CIE L* of full inks, (..., 4) of 0 or 1, in the tests' CMYK profile, whose colours are all grey."""
    return 100 - inks @ np.array([20, 25, 5, 50])  # all together are black, so that no black point is moved


def cmyk_profile() -> bytes:
    """An ICC profile for printing: a table of 16 corners, of Lab in 8 bit, and no curves."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), -1).reshape(-1, 4)  # the last ink changes first
    lab = np.stack([np.rint(lightness(corners) * 2.55), *[np.full(16, 128)] * 2], -1).astype(np.uint8)
    straight, identity = bytes(range(256)), struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + 4 * straight + lab.tobytes() + 3 * straight
    return icc_file(b"CMYK", b"prtr", b"Lab ", {b"A2B0": table})


P3_PROFILE, GREY_PROFILE = icc_profile(DISPLAY_P3, 2.2), icc_profile(None, 1.8)
SRGB_PROFILE = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()


def profile_cases() -> Iterator[Case]:
    """Colour profiles in every format that has them."""
    wide, p3 = in_srgb(SMOOTH, DISPLAY_P3, 2.2), {"icc_profile": P3_PROFILE}
    yield Case("p3.png", by_pillow(SMOOTH, "PNG", **p3), wide, off=1)
    yield Case("p3.tif", by_pillow(SMOOTH, "TIFF", **p3), wide, off=1)
    yield Case("p3.webp", by_pillow(SMOOTH, "WEBP", lossless=True, **p3), wide, off=1)
    data = by_pillow(SMOOTH, "JPEG", quality=100, subsampling=0, **p3)
    yield Case("p3.jpg", data, in_srgb(by_opencv(data), DISPLAY_P3, 2.2), off=2)
    yield Case("p3-alpha.png", by_pillow(np.dstack([SMOOTH, ALPHA]), "PNG", **p3), np.dstack([wide, ALPHA]), off=1)
    yield Case("srgb.png", by_pillow(RGB, "PNG", icc_profile=SRGB_PROFILE), RGB)
    grey = in_srgb(three(GREY), REC_709, 1.8)
    yield Case("gamma-18.png", by_pillow(GREY, "PNG", icc_profile=GREY_PROFILE), grey, off=1)
    inks = np.kron(RNG.integers(0, 2, (10, 11, 4), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))  # JPEG keeps blocks
    lab = np.dstack([lightness(inks), np.zeros((*inks.shape[:2], 2))])
    wanted = np.rint(skimage.color.lab2rgb(lab) * 255).astype(np.uint8)
    for kind, off in (("JPEG", 6), ("TIFF", 2)):
        data = by_pillow(PIL.Image.fromarray(inks * 255, "CMYK"), kind, icc_profile=cmyk_profile(), quality=100)
        yield Case(f"cmyk-profile.{kind.lower()}", data, wanted, off=off)
    yield Case("cicp-srgb.png", by_hand(RGB, 2, (b"cICP", bytes((1, 13, 0, 1)))), RGB)
    told = "invalid colour profile"
    yield Case("broken-profile.png", by_pillow(RGB, "PNG", icc_profile=b"no profile" * 20), RGB, warning=told)
    yield Case("grey-profile-on-rgb.png", by_pillow(RGB, "PNG", icc_profile=GREY_PROFILE), RGB, warning=told)
    srgb, p3, grey = ((b"iCCP", b"a\0\0" + zlib.compress(p)) for p in (SRGB_PROFILE, P3_PROFILE, GREY_PROFILE))
    yield Case("srgb-16.png", by_hand(DEEP, 2, srgb), DEEP)
    tag = (34675, 7, len(P3_PROFILE), P3_PROFILE, True)
    for name, data in {
        "p3-16.png": by_hand(DEEP, 2, p3),
        "p3-16.tif": by_tifffile(DEEP, extratags=[tag]),
        "gamma-18-16.png": by_hand(DEEP_GREY[..., None], 0, grey),
    }.items():
        yield Case(name, data, error="16 bit and a colour profile")


def described_cases() -> Iterator[Case]:
    """Colours that a file describes without an ICC profile; of several descriptions the first in PNG's order counts."""
    adobe_xy = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    adobe = in_srgb(SMOOTH, ADOBE_RGB, 2.2)
    for space, interop in ((65535, "R03"), (2, "R03"), (2, None), (None, "R03")):
        exif = exif_of(space, interop)
        name = f"exif-{space}-{interop}"
        data = by_pillow(SMOOTH, "JPEG", quality=100, subsampling=0, exif=exif)
        yield Case(f"{name}.jpg", data, in_srgb(by_opencv(data), ADOBE_RGB, 2.2), off=2)
        yield Case(f"{name}.webp", by_pillow(SMOOTH, "WEBP", lossless=True, exif=exif), adobe, off=1)
    flat = np.full((8, 8, 3), (40, 200, 60), np.uint8)
    data = by_pillow(flat, "JPEG", quality=100, subsampling=0, exif=exif_of(65535, "R03"))
    yield Case("exif-flat.jpg", data, np.full_like(flat, (0, 201, 37)), off=2)
    for space, interop in ((1, "R98"), (1, "R03")):
        exif = exif_of(space, interop)
        yield Case(f"exif-{space}-{interop}.webp", by_pillow(RGB, "WEBP", lossless=True, exif=exif), RGB)
    unknown = by_pillow(RGB, "WEBP", lossless=True, exif=exif_of(65535, None))
    yield Case("exif-uncalibrated.webp", unknown, RGB, warning="does not say which colours it has")
    p3 = by_pillow(SMOOTH, "WEBP", lossless=True, exif=exif_of(65535, "R03"), icc_profile=P3_PROFILE)
    yield Case("exif-and-profile.webp", p3, in_srgb(SMOOTH, DISPLAY_P3, 2.2), off=1)
    tags = [(318, 5, 2, rationals(adobe_xy[:2]), True), (319, 5, 6, rationals(adobe_xy[2:]), True)]
    primaries = in_srgb(SMOOTH, ADOBE_RGB, None)
    yield Case("primaries.tif", by_tifffile(SMOOTH, extratags=tags), primaries, off=1)
    chrm, linear = (
        (b"cHRM", struct.pack(">8I", *(round(1e5 * v) for v in adobe_xy))),
        (b"gAMA", struct.pack(">I", 10**5)),
    )
    usual, srgb = (b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0")
    p3, cicp = (b"iCCP", b"a\0\0" + zlib.compress(P3_PROFILE)), (b"cICP", bytes((1, 13, 0, 1)))
    for name, chunks, wanted in (
        ("gamma-1", [linear], in_srgb(SMOOTH, REC_709, 1)),
        ("gamma-srgb", [usual], SMOOTH),
        ("primaries", [chrm], primaries),
        ("primaries-gamma-22", [usual, chrm], adobe),
        ("primaries-gamma-1", [chrm, linear], in_srgb(SMOOTH, ADOBE_RGB, 1)),
        ("srgb-first", [linear, chrm, srgb], SMOOTH),
        ("profile-before-gamma", [linear, p3], in_srgb(SMOOTH, DISPLAY_P3, 2.2)),
        ("cicp-before-profile", [p3, linear, cicp], SMOOTH),
        ("no-gamma", [(b"gAMA", bytes(4))], SMOOTH),
    ):
        yield Case(f"{name}.png", by_hand(SMOOTH, 2, *chunks), wanted, off=1)
    flat = np.full((3, 3, 3), (64, 128, 192), np.uint8)
    yield Case("gamma-flat.png", by_hand(flat, 2, linear), np.full_like(flat, (137, 188, 225)))
    yield Case(
        "gamma-alpha.png",
        by_hand(np.dstack([flat, flat[..., 0]]), 6, linear),
        np.dstack([flat * 0 + (137, 188, 225), flat[..., 0]]).astype(np.uint8),
    )
    yield Case("cicp-narrow.png", by_hand(RGB, 2, (b"cICP", bytes((1, 13, 0, 0)))), error="of narrow range")
    p3_codes = (b"cICP", bytes((12, 13, 0, 1)))
    yield Case("cicp-p3-before-profile.png", by_hand(RGB, 2, p3, p3_codes), error=r"cICP colours \(12, 13")
    strips = bytearray(by_tifffile(RGB, compression="zlib", rowsperstrip=3))
    strips[len(strips) // 2] ^= 255
    yield Case("damaged-strip.tif", bytes(strips), error="Error -3 while decompressing")
    grey = in_srgb(three(GREY), REC_709, 1)
    yield Case("gamma-grey.png", by_hand(GREY[..., None], 0, linear), grey, off=1)
    deep = by_hand((SMOOTH * np.uint16(257)), 2, linear)
    yield Case("gamma-16.png", deep, in_srgb(SMOOTH, REC_709, 1).astype(np.uint16) * 257, off=129)
    invalid = by_hand(RGB, 2, (b"cHRM", bytes(32)))
    yield Case("no-primaries.png", invalid, RGB, warning="read as sRGB: it has invalid chromaticities")
    avif = by_pillow(SMOOTH, "AVIF", quality=100, subsampling="4:4:4")
    assert avif.count(b"colrnclx") == 1
    yield Case("srgb.avif", avif, SMOOTH, off=6)
    at = avif.index(b"colrnclx") + 8
    for name, codes in {"hdr.avif": (9, 16), "wide.avif": (12, 13)}.items():
        yield Case(name, avif[:at] + struct.pack(">2H", *codes) + avif[at + 4 :], error=r"cICP colours \(")
    for name, space in {"linked.bmp": b"KNIL", "profile.bmp": b"DEBM", "calibrated.bmp": bytes(4)}.items():
        yield Case(name, bmp_of(RGB, space), error="a BMP with colours of its own")
    yield Case("srgb.bmp", bmp_of(RGB, b"BGRs"), RGB)


def exif_of(space: int | None, interop: str | None) -> PIL.Image.Exif:
    """EXIF with a colour space and the InteropIndex that cameras write beside it."""
    exif = PIL.Image.Exif()
    details = {} if space is None else {Base.ColorSpace: space}
    exif[IFD.Exif] = details | ({IFD.Interop: {1: interop}} if interop else {})
    return exif


def rationals(values: tuple[float, ...]) -> tuple[int, ...]:
    """Values as numerators and denominators, one after the other."""
    return tuple(n for value in values for n in (round(10_000 * value), 10_000))


def bmp_of(image: np.ndarray, space: bytes) -> bytes:
    """A BMP file with a header of version 5 that names a colour space."""
    rows = b"".join(row.tobytes() + bytes(-3 * image.shape[1] % 4) for row in image[::-1, :, ::-1])
    head = struct.pack("<IiiHHIIiiII", 124, image.shape[1], image.shape[0], 1, 24, 0, len(rows), 0, 0, 0, 0)
    head += bytes(16) + space + struct.pack("<9I", *range(1, 10)) + bytes(28)
    return b"BM" + struct.pack("<IHHI", 14 + 124 + len(rows), 0, 0, 14 + 124) + head + rows


# -- other formats ------------------------------------------------------------------------------------------


def other_cases() -> Iterator[Case]:
    """JPEG, WebP and BMP."""
    for name, options in {"photo": {}, "progressive": {"progressive": True}, "halved": {"subsampling": 2}}.items():
        data = by_pillow(SMOOTH, "JPEG", quality=95, **options)
        yield Case(f"{name}.jpg", data, by_opencv(data), off=1)
    data = by_pillow(GREY, "JPEG", quality=95)
    yield Case("grey.jpg", data, by_opencv(data), off=1)
    lossless, both = {"lossless": True, "exact": True}, np.dstack([RGB, ALPHA])
    yield Case("rgb.webp", by_pillow(RGB, "WEBP", **lossless), RGB)
    yield Case("rgba.webp", by_pillow(both, "WEBP", **lossless), both)
    data, opaque = by_pillow(RGB, "WEBP", **lossless, **two_frames()), np.dstack([RGB, np.full_like(ALPHA, 255)])
    yield Case("animated.webp", data, opaque, warning="2 frames or pages, of which the first is read")
    yield Case("palette.gif", by_pillow(PALETTE, "GIF"), OF_PALETTE)
    shown = np.where(np.asarray(PALETTE) == 3, 0, 255).astype(np.uint8)
    yield Case("palette-key.gif", by_pillow(PALETTE, "GIF", transparency=3), np.dstack([OF_PALETTE, shown]))
    frames = {"save_all": True, "append_images": [PALETTE.rotate(180)]}
    yield Case("animated.gif", by_pillow(PALETTE, "GIF", **frames), OF_PALETTE, warning="2 frames or pages, of which")
    yield Case(
        "alpha.avif",
        by_pillow(np.dstack([SMOOTH, SMOOTH[..., 0] | 1]), "AVIF", quality=100, subsampling="4:4:4"),
        np.dstack([SMOOTH, SMOOTH[..., 0] | 1]),
        off=6,
    )
    yield Case("rgb.bmp", by_pillow(RGB, "BMP"), RGB)
    yield Case("grey.bmp", by_pillow(GREY, "BMP"), three(GREY))
    yield Case("palette.bmp", by_pillow(PALETTE, "BMP"), OF_PALETTE)
    yield Case("bits.bmp", by_pillow(PIL.Image.fromarray(BITS), "BMP"), three(BITS * np.uint8(255)))


def rejected_cases() -> Iterator[Case]:
    """Files that are not images, are damaged, or would not be read right."""
    for name, data in {"empty.png": b"", "text.jpg": b"no image", "document.pdf": b"%PDF-1.7 ..."}.items():
        yield Case(name, data, error="it is damaged, .* or not one of PNG, ")
    yield Case("picture.jp2", by_pillow(RGB, "JPEG2000"), error="or not one of PNG, ")
    whole = {kind: by_pillow(RGB, kind) for kind in ("PNG", "JPEG", "BMP", "TIFF")}
    whole |= {"WEBP": by_pillow(RGB, "WEBP", lossless=True), "16.PNG": by_hand(DEEP, 2), "16.TIFF": by_tifffile(DEEP)}
    whole |= {"GIF": by_pillow(PALETTE, "GIF"), "AVIF": by_pillow(RGB, "AVIF")}
    for kind, data in whole.items():
        yield Case(f"short.{kind.lower()}", data[: len(data) * 2 // 3], error="[Tt]runcated|damaged|decoder")
    yield Case("huge.png", by_hand(GREY[..., None], 0, size=(30000, 30000)), error="exceeds limit of 178956970 pixels")
    for mode in ("CMYK", "LAB"):
        data = by_pillow(PIL.Image.fromarray(SMOOTH).convert(mode), "TIFF")
        yield Case(f"{mode.lower()}.tif", data, error=f"is {mode} without a way to sRGB")
    yield Case("cmyk.jpg", by_pillow(PIL.Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"), error="is CMYK without")
    yield Case("float.tif", by_tifffile(GREY.astype(np.float32), "minisblack"), error="F samples of 32 bit")
    yield Case("int32.tif", by_tifffile(GREY.astype(np.int32), "minisblack"), error="samples of 32 bit")
    yield Case("int16.tif", by_tifffile(GREY.astype(np.int16), "minisblack"), error="samples of 16 bit")
    yield Case("cmyk-16.tif", by_tifffile(np.dstack([DEEP, DEEP_GREY]), "separated"), error="is CMYK without")
    for name, codes in {"hdr.png": (9, 16, 0, 1), "wide.png": (12, 13, 0, 1)}.items():
        yield Case(name, by_hand(RGB, 2, (b"cICP", bytes(codes))), error=r"cICP colours \(")
