"""Files as people bring them: a table of picture files with what is to be read from each.

They are written by Pillow, tifffile or by hand, never by the reader that the project uses for them. What is to be read
is known from how they were made, or comes from another reader where the format loses something.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import tifffile

RNG = np.random.default_rng(14)
H, W = 37, 41  # primes: no side is a multiple of a tile, a strip or a byte
RGB = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
ALPHA = RNG.integers(1, 256, (H, W, 1), dtype=np.uint8)
ALPHA[3:5, 2:9] = 0  # pixels that cannot be seen
GREY = RNG.integers(0, 256, (H, W), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (H, W, 3), dtype=np.uint16)
DEEP_ALPHA = RNG.integers(1, 65536, (H, W, 1), dtype=np.uint16)
DEEP_GREY = RNG.integers(0, 65536, (H, W), dtype=np.uint16)
BITS = np.kron(RNG.integers(0, 2, (10, 11)), np.ones((4, 4)))[:H, :W] > 0
SMOOTH = cv2.resize(RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8), (W, H), interpolation=cv2.INTER_LINEAR)


@dataclass(frozen=True)
class Case:
    """A file and what comes of it.

    Attributes:
        name: with its ending.
        data: the file.
        wanted: (H, W, 3) or (H, W, 4), of the dtype to be read; None where it is refused.
        error: a pattern for the ValueError of a file that is refused.
        warning: a pattern for a warning that reading gives; none where it is empty.
        off: by how much values may differ, in the file's own levels: only for what is coded with losses.
    """

    name: str
    data: bytes
    wanted: np.ndarray | None = None
    error: str = ""
    warning: str = ""
    off: int = 0


# -- writers ------------------------------------------------------------------------------------------------


def by_pillow(picture: PIL.Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    """A file written by Pillow."""
    picture = picture if isinstance(picture, PIL.Image.Image) else PIL.Image.fromarray(picture)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def by_tifffile(image: np.ndarray, **options: object) -> bytes:
    """A TIFF file written by tifffile."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, metadata=None, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def by_hand(samples: np.ndarray, colour_type: int, *chunks: tuple[bytes, bytes], size: tuple[int, int] = ()) -> bytes:
    """A PNG file of (H, W, C) uint8 or uint16, as the specification has it.

    Args:
        samples: the samples of every pixel.
        colour_type: 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA.
        chunks: kinds and contents of what stands before the pixels.
        size: width and height to claim in the place of the right ones.
    """
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", *(size or (width, height)), 8 * samples.dtype.itemsize, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in chunks)


def interlaced(image: np.ndarray) -> bytes:
    """An interlaced PNG file of (H, W, 3) uint8 or uint16: Adam7's seven passes."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b""
    for top, left, down, right in passes:
        part = image[top::down, left::right]
        if part.size:
            rows += b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in part)
    head = struct.pack(">IIBBBBB", *image.shape[1::-1], 8 * image.dtype.itemsize, 2, 0, 0, 1)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in chunks)


# -- what is to be read -------------------------------------------------------------------------------------


def three(grey: np.ndarray, alpha: np.ndarray | None = None) -> np.ndarray:
    """Grey as three equal channels, with alpha if there is one."""
    return np.dstack([grey, grey, grey] if alpha is None else [grey, grey, grey, alpha])


def keyed(image: np.ndarray, key: tuple[int, ...]) -> np.ndarray:
    """RGB with the alpha of PNG's tRNS: nothing is seen of what has the key's colour."""
    peak = np.iinfo(image.dtype).max
    return np.dstack([image, np.where((image == key).all(2), 0, peak).astype(image.dtype)])


def premultiplied(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours multiplied by alpha, followed by it: what files with associated alpha hold."""
    peak = np.iinfo(image.dtype).max
    return np.dstack([np.rint(image.astype(float) * alpha / peak).astype(image.dtype), alpha])


# -- colour profiles ----------------------------------------------------------------------------------------

P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))  # Display P3's red, green and blue, in CIE x and y
SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
D65 = (0.3127, 0.3290)
D50 = np.array([0.9642, 1.0, 0.8249])


def to_xyz(primaries: tuple[tuple[float, float], ...], white: tuple[float, float] = D65) -> np.ndarray:
    """Linear RGB -> XYZ under D50, as ICC profiles have it (Bradford's adaptation); 3x3."""
    x, y = np.array(primaries).T
    columns = np.array([x / y, np.ones(3), (1 - x - y) / y])
    point = np.array([white[0] / white[1], 1, (1 - sum(white)) / white[1]])
    matrix = columns * np.linalg.solve(columns, point)
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    return np.linalg.inv(cone) @ np.diag((cone @ D50) / (cone @ point)) @ cone @ matrix


def icc_profile(primaries: tuple[tuple[float, float], ...] | None, gamma: float = 2.2) -> bytes:
    """An ICC profile by the specification: three primaries and a gamma, or grey where there are none."""

    def xyz(values: np.ndarray) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"a profile of the tests\0"
    about = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": about, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz(D50)}
    if primaries is None:
        tags[b"kTRC"] = curve
    else:
        columns = to_xyz(primaries).T
        tags |= {kind: xyz(column) for kind, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
        tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    return icc_file(tags, b"GRAY" if primaries is None else b"RGB ", b"mntr", b"XYZ ")


def icc_file(tags: dict[bytes, bytes], space: bytes, use: bytes, between: bytes) -> bytes:
    """An ICC profile of its tags, its colour space, what it is for, and the space that it leads to."""
    body, table, place = b"", b"", 132 + 12 * len(tags)
    for kind, data in tags.items():
        data += bytes(-len(data) % 4)
        table += kind + struct.pack(">II", place + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", place + len(body), b"none", 0x02400000, use, space, between)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", *(round(v * 65536) for v in D50)) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def in_srgb(image: np.ndarray, primaries: tuple[tuple[float, float], ...] | None, gamma: float = 2.2) -> np.ndarray:
    """An image of :func:`icc_profile`'s colours in sRGB, computed from the standard's formulas."""
    peak = np.iinfo(image.dtype).max
    linear = (image / peak) ** gamma
    if primaries is not None:
        linear = linear @ (np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries)).T
    linear = linear.clip(0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(coded * peak).astype(image.dtype)


# Inks by which a CMYK picture is made here: each full or none, in blocks, so that JPEG keeps them.
INKS = np.kron(RNG.integers(0, 2, (10, 11, 4), dtype=np.uint8) * 255, np.ones((8, 8, 1), np.uint8))[: 2 * H, : 2 * W]


def lightness(inks: np.ndarray) -> np.ndarray:
    """CIE L* of full inks, (..., 4) of 0 or 1: what the tests' CMYK profile makes of them, all in grey."""
    return 100 - inks @ np.array([20, 25, 5, 50])  # all together are black, so that no black point is moved


def cmyk_profile() -> bytes:
    """An ICC profile for printing by the specification: a table of 16 corners, of Lab in 8 bit, and no curves."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), -1).reshape(-1, 4)  # the last ink changes first
    lab = np.stack([np.rint(lightness(corners) * 2.55), *[np.full(16, 128)] * 2], -1).astype(np.uint8)
    straight = np.arange(256, dtype=np.uint8).tobytes()
    identity = struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + 4 * straight + lab.tobytes() + 3 * straight
    text = b"inks of the tests\0"
    about = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in D50))
    return icc_file(
        {b"desc": about, b"cprt": b"text\0\0\0\0none\0", b"wtpt": white, b"A2B0": table}, b"CMYK", b"prtr", b"Lab "
    )


def grey_of_inks() -> np.ndarray:
    """What INKS look like: sRGB's grey of the same lightness."""
    light = lightness(INKS // 255)
    y = np.where(light > 8, ((light + 16) / 116) ** 3, light / 903.3)
    return np.rint(255 * np.where(y <= 0.0031308, 12.92 * y, 1.055 * y ** (1 / 2.4) - 0.055)).astype(np.uint8)


P3_PROFILE, GREY_PROFILE = icc_profile(P3), icc_profile(None, 1.8)
SRGB_PROFILE = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()


# -- the table ----------------------------------------------------------------------------------------------


def cases() -> list[Case]:
    """All files, each kind of which is made when it is asked for."""
    return [*png_cases(), *tiff_cases(), *profile_cases(), *other_cases(), *refused_cases()]


def png_cases() -> Iterator[Case]:
    """PNG by depth, channels and layout."""
    yield Case("rgb.png", by_pillow(RGB, "PNG"), RGB)
    yield Case("rgba.png", by_pillow(np.dstack([RGB, ALPHA]), "PNG"), np.dstack([RGB, ALPHA]))
    yield Case("grey.png", by_pillow(GREY, "PNG"), three(GREY))
    yield Case("grey-alpha.png", by_hand(np.dstack([GREY, ALPHA]), 4), three(GREY, ALPHA))
    yield Case("rgb-16.png", by_hand(DEEP, 2), DEEP)
    yield Case("rgba-16.png", by_hand(np.dstack([DEEP, DEEP_ALPHA]), 6), np.dstack([DEEP, DEEP_ALPHA]))
    yield Case("grey-16.png", by_hand(DEEP_GREY[..., None], 0), three(DEEP_GREY))
    yield Case("grey-alpha-16.png", by_hand(np.dstack([DEEP_GREY, DEEP_ALPHA]), 4), three(DEEP_GREY, DEEP_ALPHA))
    for image, kind in ((RGB, "8"), (DEEP, "16")):
        key = tuple(int(v) for v in image[2, 3])
        yield Case(f"rgb-key-{kind}.png", by_hand(image, 2, (b"tRNS", struct.pack(">3H", *key))), keyed(image, key))
        yield Case(f"interlaced-{kind}.png", interlaced(image), image)
    for grey, kind in ((GREY, "8"), (DEEP_GREY, "16")):
        key = int(grey[2, 3])
        data = by_hand(grey[..., None], 0, (b"tRNS", struct.pack(">H", key)))
        yield Case(f"grey-key-{kind}.png", data, keyed(three(grey), (key, key, key)))
    palette = PIL.Image.fromarray(RGB).quantize(16)
    yield Case("palette.png", by_pillow(palette, "PNG"), np.asarray(palette.convert("RGB")))
    shown = np.where(np.asarray(palette) == 3, 0, 255).astype(np.uint8)
    wanted = np.dstack([np.asarray(palette.convert("RGB")), shown])
    yield Case("palette-key.png", by_pillow(palette, "PNG", transparency=3), wanted)
    yield Case("bits.png", by_pillow(PIL.Image.fromarray(BITS), "PNG"), three(BITS * np.uint8(255)))
    frames = [PIL.Image.fromarray(image) for image in (RGB, RGB[::-1].copy())]
    animated = by_pillow(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield Case("animated.png", animated, RGB, warning="2 frames or pages, of which the first is read")


def tiff_cases() -> Iterator[Case]:
    """TIFF by depth, channels and layout."""
    images = {"8": (RGB, ALPHA, GREY), "16": (DEEP, DEEP_ALPHA, DEEP_GREY)}
    layouts: dict[str, dict[str, object]] = {
        "strips": {"rowsperstrip": 3},
        "tiles": {"tile": (16, 16)},
        "planar": {"planarconfig": "separate"},
        "planar-tiles": {"planarconfig": "separate", "tile": (16, 16)},
        "lzw": {"compression": "lzw", "predictor": True},
        "zlib": {"compression": "zlib", "predictor": True},
        "big-endian": {"byteorder": ">"},
        "bigtiff": {"bigtiff": True},
    }
    for depth, (rgb, alpha, grey) in images.items():
        peak = np.iinfo(rgb.dtype).max
        for layout, options in layouts.items():
            image = np.moveaxis(rgb, 2, 0) if "planar" in layout else rgb
            yield Case(f"{layout}-{depth}.tif", by_tifffile(image, photometric="rgb", **options), rgb)
        both = np.dstack([rgb, alpha])
        straight = by_tifffile(both, photometric="rgb", extrasamples=["unassalpha"])
        yield Case(f"straight-alpha-{depth}.tif", straight, both)
        straight = by_tifffile(
            np.moveaxis(both, 2, 0), photometric="rgb", extrasamples=["unassalpha"], planarconfig="separate"
        )
        yield Case(f"straight-alpha-planar-{depth}.tif", straight, both)
        stored = premultiplied(rgb, np.full_like(alpha, peak // 2))
        # colours of which half the levels are stored come back within one level
        wanted = np.dstack([rgb, stored[..., 3]])
        data = by_tifffile(stored, photometric="rgb", extrasamples=["assocalpha"])
        yield Case(f"associated-alpha-{depth}.tif", data, wanted, off=1)
        three_more = np.dstack([rgb, grey, alpha])
        data = by_tifffile(three_more, photometric="rgb", extrasamples=["unspecified", "unassalpha"])
        yield Case(f"mask-and-alpha-{depth}.tif", data, both)
        data = by_tifffile(both, photometric="rgb", extrasamples=["unspecified"])
        yield Case(f"mask-{depth}.tif", data, rgb)
        yield Case(f"grey-{depth}.tif", by_tifffile(grey, photometric="minisblack"), three(grey))
        yield Case(f"white-is-zero-{depth}.tif", by_tifffile(peak - grey, photometric="miniswhite"), three(grey))
        pair = np.dstack([grey, alpha])
        data = by_tifffile(pair, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
        yield Case(f"grey-alpha-{depth}.tif", data, three(grey, alpha))
        pages = by_tifffile(np.stack([rgb, rgb[::-1]]), photometric="rgb")
        yield Case(f"pages-{depth}.tif", pages, rgb, warning="2 frames or pages, of which the first is read")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield Case(f"pillow-{compression}.tif", by_pillow(RGB, "TIFF", compression=compression), RGB)
    palette = PIL.Image.fromarray(RGB).quantize(16)
    yield Case("palette.tif", by_pillow(palette, "TIFF"), np.asarray(palette.convert("RGB")))
    for compression in ("raw", "group4"):
        data = by_pillow(PIL.Image.fromarray(BITS), "TIFF", compression=compression)
        yield Case(f"bits-{compression}.tif", data, three(BITS * np.uint8(255)))
    yield Case("rgba-pillow.tif", by_pillow(np.dstack([RGB, ALPHA]), "TIFF"), np.dstack([RGB, ALPHA]))
    data = by_tifffile(SMOOTH, photometric="rgb", compression="jpeg")
    yield Case("jpeg.tif", data, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), off=1)
    for turn in range(1, 9):
        data = by_tifffile(RGB, photometric="rgb", extratags=[(274, 3, 1, turn, True)])
        yield Case(f"turned-{turn}.tif", data, upright(RGB, turn))
        data = by_tifffile(DEEP, photometric="rgb", extratags=[(274, 3, 1, turn, True)])
        yield Case(f"turned-{turn}-16.tif", data, upright(DEEP, turn))


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """What an image of EXIF's orientation shows, by the standard's words for where row 0 and column 0 are."""
    turned = image if orientation < 5 else np.swapaxes(image, 0, 1)
    flips = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
    down, right = flips[orientation]
    return turned[::down, ::right]


def profile_cases() -> Iterator[Case]:
    """Colour profiles in every format that has them, in 8 and 16 bit."""
    wide = in_srgb(SMOOTH, P3)
    yield Case("p3.png", by_pillow(SMOOTH, "PNG", icc_profile=P3_PROFILE), wide, off=1)
    yield Case("p3.tif", by_pillow(SMOOTH, "TIFF", icc_profile=P3_PROFILE), wide, off=1)
    both = np.dstack([wide, ALPHA])
    yield Case("p3-alpha.png", by_pillow(np.dstack([SMOOTH, ALPHA]), "PNG", icc_profile=P3_PROFILE), both, off=1)
    for kind, options in (("JPEG", {"quality": 100, "subsampling": 0}), ("WEBP", {"lossless": True})):
        data = by_pillow(SMOOTH, kind, icc_profile=P3_PROFILE, **options)
        coded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)  # which knows no profiles
        yield Case(f"p3.{kind.lower()}", data, in_srgb(coded, P3), off=2 if kind == "JPEG" else 1)
    deep = SMOOTH.astype(np.uint16) * 257
    profile = (b"iCCP", b"P3\0\0" + zlib.compress(P3_PROFILE))
    yield Case("p3-16.png", by_hand(deep, 2, profile), in_srgb(deep, P3), off=64)  # a quarter of an 8-bit level
    tag = (34675, 7, len(P3_PROFILE), P3_PROFILE, True)
    yield Case("p3-16.tif", by_tifffile(deep, photometric="rgb", extratags=[tag]), in_srgb(deep, P3), off=64)
    grey = three(in_srgb(GREY, None, 1.8))
    yield Case("gamma-18.png", by_pillow(GREY, "PNG", icc_profile=GREY_PROFILE), grey, off=1)
    yield Case("srgb.png", by_pillow(RGB, "PNG", icc_profile=SRGB_PROFILE), RGB)
    profile = (b"iCCP", b"grey\0\0" + zlib.compress(GREY_PROFILE))
    deep = in_srgb(DEEP_GREY, None, 1.8)
    yield Case("gamma-18-16.png", by_hand(DEEP_GREY[..., None], 0, profile), three(deep), off=64)
    both = by_hand(np.dstack([DEEP_GREY, DEEP_ALPHA]), 4, profile)
    yield Case("gamma-18-alpha-16.png", both, three(deep, DEEP_ALPHA), off=64)
    for kind in ("JPEG", "TIFF"):
        inks = PIL.Image.fromarray(INKS, "CMYK")
        data = by_pillow(inks, kind, icc_profile=cmyk_profile(), **({"quality": 100} if kind == "JPEG" else {}))
        yield Case(f"cmyk-profile.{kind.lower()}", data, three(grey_of_inks()), off=6 if kind == "JPEG" else 2)
    yield Case("cicp-srgb.png", by_hand(RGB, 2, (b"cICP", bytes((1, 13, 0, 1)))), RGB)
    told = "colour profile of no use"
    yield Case("broken.png", by_pillow(RGB, "PNG", icc_profile=b"no profile" * 20), RGB, warning=told)
    yield Case("grey-profile-on-rgb.png", by_pillow(RGB, "PNG", icc_profile=GREY_PROFILE), RGB, warning=told)


def other_cases() -> Iterator[Case]:
    """JPEG, WebP and BMP."""
    for name, options in {
        "photo.jpg": {},
        "progressive.jpg": {"progressive": True},
        "halved.jpg": {"subsampling": 2},
    }.items():
        data = by_pillow(SMOOTH, "JPEG", quality=95, **options)
        other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        yield Case(name, data, other, off=1)
    data = by_pillow(GREY, "JPEG", quality=95)
    yield Case("grey.jpg", data, three(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)), off=1)
    yield Case("rgb.webp", by_pillow(RGB, "WEBP", lossless=True), RGB)
    both = np.dstack([RGB, ALPHA])
    yield Case("rgba.webp", by_pillow(both, "WEBP", lossless=True, exact=True), both)
    frames = [PIL.Image.fromarray(image) for image in (RGB, RGB[::-1].copy())]
    data = by_pillow(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    yield Case(
        "animated.webp",
        data,
        np.dstack([RGB, np.full_like(ALPHA, 255)]),
        warning="2 frames or pages, of which the first is read",
    )
    yield Case("rgb.bmp", by_pillow(RGB, "BMP"), RGB)
    yield Case("grey.bmp", by_pillow(GREY, "BMP"), three(GREY))
    palette = PIL.Image.fromarray(RGB).quantize(16)
    yield Case("palette.bmp", by_pillow(palette, "BMP"), np.asarray(palette.convert("RGB")))
    yield Case("bits.bmp", by_pillow(PIL.Image.fromarray(BITS), "BMP"), three(BITS * np.uint8(255)))
    for turn in (3, 6):
        exif = PIL.Image.Exif()
        exif[274] = turn
        yield Case(f"turned-{turn}.webp", by_pillow(RGB, "WEBP", lossless=True, exif=exif), upright(RGB, turn))
        data = by_pillow(SMOOTH, "JPEG", quality=100, subsampling=0, exif=exif)
        yield Case(f"turned-{turn}.jpg", data, upright(SMOOTH, turn), off=3)
        deep = by_hand(DEEP, 2, (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
        yield Case(f"turned-{turn}-16.png", deep, upright(DEEP, turn))


def refused_cases() -> Iterator[Case]:
    """What is no image, is damaged, or would not be read right."""
    no_image = "no image that can be read"
    for name, data in {"empty.png": b"", "text.jpg": b"no image", "document.pdf": b"%PDF-1.7 ..."}.items():
        yield Case(name, data, error=no_image)
    yield Case("head.png", by_pillow(RGB, "PNG")[:20], error=no_image)
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
        data = by_pillow(RGB, kind, **({"lossless": True} if kind == "WEBP" else {}))
        yield Case(f"short.{kind.lower()}", data[: len(data) * 2 // 3], error=no_image)
    yield Case("huge.png", by_hand(GREY[..., None], 0, size=(30000, 30000)), error="30000x30000 pixels, more than the")
    yield Case("cmyk.jpg", by_pillow(PIL.Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"), error="is CMYK")
    yield Case("cmyk.tif", by_pillow(PIL.Image.fromarray(SMOOTH).convert("CMYK"), "TIFF"), error="is CMYK")
    yield Case("lab.tif", by_pillow(PIL.Image.fromarray(SMOOTH).convert("LAB"), "TIFF"), error="LAB|not read")
    yield Case("float.tif", by_tifffile(RGB / np.float32(255), photometric="rgb"), error="samples that are not read")
    yield Case("int32.tif", by_tifffile(GREY.astype(np.int32)), error="samples that are not read")
    yield Case("int16.tif", by_tifffile(GREY.astype(np.int16)), error="samples that are not read")
    yield Case(
        "cmyk-16.tif", by_tifffile(np.dstack([DEEP, DEEP_GREY]), photometric="separated"), error="samples that are not"
    )
    for name, kinds in {"hdr.png": (9, 16, 0, 1), "wide.png": (12, 13, 0, 1)}.items():
        yield Case(name, by_hand(RGB, 2, (b"cICP", bytes(kinds))), error="colours of another kind")
    picture = by_pillow(PIL.Image.new("P", (3, 3)), "GIF")
    yield Case("picture.gif", picture, error=no_image)


def named(maker: Callable[[], list[Case]] = cases) -> dict[str, Case]:
    """The cases by name."""
    return {case.name: case for case in maker()}
