"""The readers that :mod:`fuzzing` damages files for, and good files of every kind that they read."""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.PngImagePlugin
import tifffile
import torch
from safetensors.torch import save

import srvae_core as sr
from fuzzing import NUMBERS, Seed, Target
from helpers import VapSRNetwork, caffemodel
from srvae import release
from srvae.training import checkpoints
from srvae.training.perceptual import VGG, Distances
from srvae.training.teachers import VapSR
from srvae.training.weights import save_model

PIXEL_LIMIT = 100_000
MB = 10**6
# The memory that a reader may take: so many times the file's size, and so many bytes besides.
IMAGE_MEMORY = (24, 64 * MB + 64 * PIXEL_LIMIT)
WEIGHTS_MEMORY = (16, 400 * MB)  # a 4x model has 77 MB in single precision, and is copied while it is put together
CAFFE_MEMORY = (100, 64 * MB)  # a layer may be written in three bytes


# -- pictures -----------------------------------------------------------------------------------------------


def picture(*channels: int, dtype: type = np.uint8, height: int = 21, width: int = 26) -> np.ndarray:
    """A smooth picture with some noise, (H, W[, C])."""
    rng = np.random.default_rng(len(channels))
    y, x = np.mgrid[:height, :width]
    smooth = (y * 9 + x * 3)[(..., *[None] * len(channels))] + rng.integers(0, 20, (height, width, *channels))
    return (smooth % 256 * (257 if dtype is np.uint16 else 1)).astype(dtype)


def by_pillow(mode: str, format: str, **options: object) -> bytes:
    """A picture of a mode in a format, as Pillow writes it."""
    data = io.BytesIO()
    source = picture(4) if mode in ("RGBA", "LA", "La") else picture(3)
    PIL.Image.fromarray(source).convert(mode).save(data, format, **options)
    return data.getvalue()


def by_tifffile(samples: np.ndarray, **options: object) -> bytes:
    """A picture as tifffile writes it."""
    data = io.BytesIO()
    tifffile.imwrite(data, samples, **options)
    return data.getvalue()


def exif(orientation: int) -> PIL.Image.Exif:
    """A block of EXIF that says how a picture lies."""
    block = PIL.Image.Exif()
    block[0x0112] = orientation
    return block


def picture_files() -> list[bytes]:
    """Small pictures of many kinds."""
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("Settings", "seed 3", zip=True)
    text.add_itxt("Title", "grey", "de", "grau", zip=True)
    files = [by_pillow(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    files += [by_pillow("RGB", "PNG", icc_profile=profile, pnginfo=text, exif=exif(6), dpi=(300, 300))]
    files += [by_pillow("L", "PNG", transparency=7), by_pillow("P", "PNG", transparency=3), wide_png()]
    files += [by_pillow("RGB", "PNG", save_all=True, append_images=[PIL.Image.new("RGB", (26, 21))])]
    files += [by_pillow(mode, "JPEG") for mode in ("L", "RGB", "CMYK")]
    files += [by_pillow("RGB", "JPEG", progressive=True, exif=exif(5), icc_profile=profile, subsampling=0, comment="c")]
    files += [by_pillow(mode, "WEBP", lossless=lossless) for mode in ("RGB", "RGBA") for lossless in (False, True)]
    files += [by_pillow("RGB", "WEBP", exif=exif(8), icc_profile=profile)]
    files += [by_pillow(mode, "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")]
    files += [by_pillow(mode, "TIFF") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16")]
    files += [by_pillow("1", "TIFF", compression="group4"), by_pillow("RGB", "TIFF", compression="jpeg")]
    files += [by_pillow("RGB", "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_deflate", "packbits")]
    return files + scientific_files(profile)


def scientific_files(profile: bytes) -> list[bytes]:
    """TIFF files as tifffile writes them."""
    files = []
    for dtype in (np.uint8, np.uint16):
        rgb, rgba, grey = picture(3, dtype=dtype), picture(4, dtype=dtype), picture(dtype=dtype)
        files += [by_tifffile(rgb, photometric="rgb", byteorder=order) for order in "<>"]
        files += [by_tifffile(rgb, photometric="rgb", tile=(16, 16), compression="zlib", predictor=True)]
        files += [by_tifffile(rgb, photometric="rgb", compression=kind) for kind in ("lzw", "packbits", "zstd", "lzma")]
        files += [by_tifffile(np.moveaxis(rgb, 2, 0), photometric="rgb", planarconfig="separate", bigtiff=True)]
        files += [by_tifffile(rgba, photometric="rgb", extrasamples=[kind]) for kind in ("unassalpha", "assocalpha")]
        files += [by_tifffile(grey, photometric=kind, rowsperstrip=4) for kind in ("miniswhite", "minisblack")]
        files += [by_tifffile(np.stack([grey] * 3), photometric="minisblack"), by_tifffile(rgb, iccprofile=profile)]
    return files


def wide_png() -> bytes:
    """A 16-bit PNG in colours, interlaced or not as imagecodecs writes it."""
    import imagecodecs

    return imagecodecs.png_encode(picture(4, dtype=np.uint16))


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def picture_bombs() -> list[bytes]:
    """Small files that say, or unpack to, far more than they should."""
    much = zlib.compress(bytes(100 * MB), 9)
    start, end = b"\x89PNG\r\n\x1a\n", png_chunk(b"IEND", b"")
    bombs = []
    for depth, width in ((8, 26), (16, 26), (8, 300_000), (16, 40_000)):
        size = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, 21 if width == 26 else width, depth, 2, 0, 0, 0))
        bombs += [start + size + png_chunk(b"IDAT", much) + end]
        bombs += [
            start + size + png_chunk(b"zTXt", b"a\0\0" + much) + png_chunk(b"IDAT", zlib.compress(bytes(9))) + end
        ]
        bombs += [
            start + size + png_chunk(b"iCCP", b"a\0\0" + much) + png_chunk(b"IDAT", zlib.compress(bytes(9))) + end
        ]
    strip = by_tifffile(picture(3), photometric="rgb", compression="zlib", rowsperstrip=21, metadata=None)
    with tifffile.TiffFile(io.BytesIO(strip)) as file:  # the strip is laid at the end, and its place and length changed
        tags = file.pages.first.tags
        changed = bytearray(strip + much)
        for name, number in (("StripOffsets", len(strip)), ("StripByteCounts", len(much))):
            tag = tags[name]
            struct.pack_into("<HHII", changed, tag.offset, tag.code, 4, 1, number)
    return [*bombs, bytes(changed)]


def change_tiff(rng: random.Random, data: bytes) -> bytes:
    """A TIFF file with another type, count or value of some of its first page's tags; others as they are."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or struct.unpack_from(f"{order}H", data, 2)[0] != 42:
        return data
    changed = bytearray(data)
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        entry = at + 2 + 12 * rng.randrange(count)
        code, kind, many, value = struct.unpack_from(f"{order}HHII", data, entry)
        part = rng.choice(("value", "value", "value", "short", "count", "kind", "code"))
        number = rng.choice([*NUMBERS, *range(20), 32773, 34892, 50000]) % 2**32
        if part == "short":
            struct.pack_into(f"{order}HHIHH", changed, entry, code, 3, 1, number % 2**16, 0)
            continue
        value, many = (number, many) if part == "value" else (value, number if part == "count" else many)
        kind = rng.randrange(20) if part == "kind" else kind
        code = rng.choice((*range(254, 300), 317, 320, 322, 323, 330, 338, 339, 34675)) if part == "code" else code
        struct.pack_into(f"{order}HHII", changed, entry, code, kind, many, value)
    return bytes(changed)


def read_picture(path: Path, data: bytes) -> None:
    """Read it, and make sure that it is what is promised."""
    image = sr.read_image(data, pixel_limit=PIXEL_LIMIT)
    sr.check_image(image)
    assert image.ndim == 3, image.shape
    assert image.dtype.kind == "u", image.dtype
    assert image.shape[0] * image.shape[1] <= PIXEL_LIMIT, image.shape


def image(folder: Path) -> Target:
    """``srvae_core.read_image``."""
    seeds = [Seed(data, "picture", change_tiff) for data in [*picture_files(), *picture_bombs()]]
    return Target(seeds, read_picture, *IMAGE_MEMORY, folder)


# -- weights ------------------------------------------------------------------------------------------------

VALUES = [None, True, False, 0, 1, -1, 4, 8, 4.0, 16, 1e308, 10**30, "", "4x-D", "8x-P", "srvae-1", "srvae-2", [], {}]
VALUES += ["../../x", "/etc/passwd", "4x-D/../../x", "a\0b", "\ud800", [4], {"a": 1}, "x" * 500]
TYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
TYPES |= {"U16": 2, "U32": 4, "U64": 8, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8, "F4": 1, "no type": 4}
LARGEST = 2_000_000  # bytes of numbers that a changed header gets


def other_number(rng: random.Random, number: int) -> int:
    """A number in the place of another."""
    return rng.choice([number + 1, number - 1, 2 * number, number // 2, -number, rng.choice(NUMBERS)])


def numbers_in(value: object) -> bool:
    """Whether it is a list of whole numbers."""
    return isinstance(value, list) and all(isinstance(n, int) for n in value)


def change_tensor(rng: random.Random, header: dict) -> None:
    """Another shape, type, place or name for one of the tensors."""
    name = rng.choice([key for key in header if key != "__metadata__"] or [""])
    entry = header.get(name)
    if not isinstance(entry, dict) or not numbers_in(entry.get("shape")) or not numbers_in(entry.get("data_offsets")):
        return  # changed before
    kind = rng.choice(("shape", "shape", "axes", "axes", "type", "place", "name", "gone", "odd"))
    if kind == "shape" and entry["shape"]:
        at = rng.randrange(len(entry["shape"]))
        entry["shape"][at] = other_number(rng, entry["shape"][at])
    elif kind == "axes":
        shape = entry["shape"]
        entry["shape"] = rng.choice(
            [[], [1], shape[:1], shape[1:], shape[::-1], [*shape, 1], [1, *shape], [0], shape * 2]
        )
    elif kind == "type":
        entry["dtype"] = rng.choice(list(TYPES))
    elif kind == "place" and len(entry["data_offsets"]) == 2:
        at = rng.randrange(2)
        entry["data_offsets"][at] = other_number(rng, entry["data_offsets"][at])
    elif kind == "name":
        other = rng.choice([*header, f"{name}x", "", "ip4.left", "ip4.right", "ip4.peak", "SR_res.scale", "x" * 300])
        header[other] = header.pop(name)
    elif kind == "gone":
        del header[name]
    else:
        entry[rng.choice(("shape", "dtype", "data_offsets"))] = rng.choice(VALUES)


def change_notes(rng: random.Random, header: dict) -> None:
    """Another value of what the file says of itself."""
    notes = header.setdefault("__metadata__", {})
    if not isinstance(notes, dict):
        return
    known = ["format", "scale", "residual", "grid_generator", "base", "base_digest", "temperature", "rank", "step"]
    key = rng.choice([*notes, *known])
    kind = rng.randrange(4)
    if kind == 0:
        notes.pop(key, None)
    elif kind == 1:
        notes[key] = rng.choice(["[" * 50_000, "9" * 5000, "NaN", "-Infinity", "{", "1e999", ""])
    elif kind == 2:
        header["__metadata__"] = rng.choice(VALUES)
    else:
        notes[key] = json.dumps(rng.choice(VALUES))


def laid_out(header: dict) -> int | None:
    """Give all tensors places one after the other; the bytes that they take; None where too many."""
    at = 0
    for name, entry in header.items():
        if name == "__metadata__" or not isinstance(entry, dict):
            continue
        size, shape = TYPES.get(str(entry.get("dtype")), 1), entry.get("shape")
        if not numbers_in(shape) or any(n < 0 for n in shape):
            return None
        for n in shape:
            size *= n
        if at + size > LARGEST:
            return None
        entry["data_offsets"] = [at, at + size]
        at += size
    return at


def change_header(rng: random.Random, data: bytes) -> bytes:
    """A safetensors file with a changed header; half the time the numbers are as many as it says."""
    (size,) = struct.unpack_from("<Q", data)
    header, numbers = json.loads(data[8 : 8 + size]), data[8 + size :]
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice((change_tensor, change_tensor, change_notes))(rng, header)
    if rng.random() < 0.6 and (wanted := laid_out(header)) is not None:
        numbers = (numbers * (1 + wanted // max(1, len(numbers))))[:wanted] if numbers else bytes(wanted)
    text = json.dumps(header).encode()
    stated = len(text) if rng.random() < 0.97 else rng.choice(NUMBERS) % 2**64
    return struct.pack("<Q", stated) + text + numbers


def tensors_of(file: Path, layers: tuple[str, ...]) -> bytes:
    """A weights file with some of its layers alone, small enough to be read thousands of times."""
    tensors, notes = sr.read_weights(file)
    few = {name: t.contiguous() for name, t in tensors.items() if name.startswith(layers)}
    return save(few, {key: json.dumps(value) for key, value in notes.items() if key != "history"})


def weights_files(folder: Path) -> dict[str, bytes]:
    """Files that hold tensors, by their names; those of models lack most layers, but for one of every format."""
    torch.manual_seed(0)
    model = sr.SRVAE(4, grid_generator=True)
    folder.mkdir(parents=True, exist_ok=True)
    base, wide, small = (folder / name for name in ("SR_VAE_4x-D.safetensors", "wide", "small"))
    save_model(model, base, variant="D", temperature=0.25)
    save_model(model, wide, compact=False)
    save_model(model, small, rank=4)
    model.SR_res.weight.data.mul_(2)
    save_model(model, folder / "SR_VAE_4x-P.safetensors", base="4x-D")
    files = {"upon": (folder / "SR_VAE_4x-P.safetensors").read_bytes()}
    few = ("feat1_1", "SR_res", "relu1_SR_s1", "conv1_SR_s2", "decoder1")
    files |= {name: tensors_of(path, few) for name, path in {"compact": base, "wide": wide, "small": small}.items()}
    files["rank"] = tensors_of(small, ("ip4", "SR_res"))
    rows = {"ip4": (8, 6), "ip5": (5, 8)}  # matrices in parts, of another size than the model's
    parts = {f"{name}.weight": torch.ones(shape, dtype=torch.int8) for name, shape in rows.items()}
    for name, (count, _) in rows.items():
        parts |= {f"{name}.scale": torch.ones(count), f"{name}.peak": torch.ones(count)}
        parts |= {f"{name}.peak_at": torch.zeros(count, dtype=torch.int32)}
    notes = {"format": '"srvae-2"', "scale": "4", "residual": "true", "grid_generator": "true"}
    files["parts"] = save(parts, notes)
    return files | other_tensors()


def other_tensors() -> dict[str, bytes]:
    """What training reads: a checkpoint, a teacher, features."""
    torch.manual_seed(0)
    few = {"model.feat1_1.weight": torch.rand(4, 3, 3, 3), "ema.feat1_1.weight": torch.rand(4, 3, 3, 3)}
    files = {"checkpoint": save(few, {"step": "3", "seconds": "7.5", "noise_factor": "1.0", "finished": "False"})}
    files["vapsr"] = save(VapSRNetwork(4, blocks=1).state_dict())
    edges = {"conv0": (3, 3, 1), "conv11": (4, 3, 3), "conv12": (4, 4, 3), "conv21": (8, 4, 3), "conv22": (8, 8, 3)}
    edges |= {"conv31": (8, 8, 3)}
    features = {f"{name}.weight": torch.rand(a, b, n, n) for name, (a, b, n) in edges.items()}
    files["distilled"] = save(features | {f"{name}.bias": torch.rand(a) for name, (a, _, _) in edges.items()})
    vgg = {"colour.weight": torch.rand(3, 3, 1, 1), "colour.bias": torch.rand(3)}
    vgg |= {"conv1_1.weight": torch.rand(4, 3, 3, 3), "conv1_1.bias": torch.rand(4)}
    return files | {"vgg": save(vgg | {"conv1_2.weight": torch.rand(4, 4, 3, 3), "conv1_2.bias": torch.rand(4)})}


def read_checkpoint(path: Path) -> None:
    """As a run that goes on reads it."""
    checkpoints.load_checkpoint(path.parent)
    checkpoints.averaged_weights(path.parent)


READERS: dict[str, Callable[[Path], object]] = {"checkpoint": read_checkpoint, "vapsr": VapSR, "vgg": VGG}
READERS["distilled"] = Distances


def read_tensors(path: Path, data: bytes) -> None:
    """Read it by the reader that its name asks for; what is loaded must be finite."""
    read = READERS.get(path.stem, sr.load_model)
    result = read(path)
    if isinstance(result, sr.SRVAE):
        assert all(torch.isfinite(p).all() for p in result.parameters())


def weights(folder: Path) -> Target:
    """``srvae_core.load_model``, and what training reads of safetensors files."""
    files = weights_files(folder)
    # A run's checkpoint has a folder of its own; the others lie beside the model that one of them is based upon.
    seeds = [
        Seed(data, f"{'run/' if name == 'checkpoint' else ''}{name}.safetensors", change_header)
        for name, data in files.items()
    ]
    return Target(seeds, read_tensors, *WEIGHTS_MEMORY, folder)


# -- Caffe models -------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    result = bytearray()
    while number > 127:
        result.append(number & 127 | 128)
        number >>= 7
    return bytes([*result, number])


def field_of(number: int, content: bytes, length: int | None = None) -> bytes:
    """A field with content, whose length may be said wrongly."""
    return varint(number << 3 | 2) + varint(len(content) if length is None else length) + content


def odd_message(rng: random.Random) -> bytes:
    """What no good writer writes: nests, endless numbers, countless empty parts, lengths beyond the end."""
    times = rng.choice((1, 10, 99, 101, 1000, 30_000))
    kind = rng.randrange(8)
    if kind == 0:
        return b"\x0b" * times + b"\x0c" * rng.choice((0, times))  # groups in groups
    if kind == 1:
        return varint(rng.choice(NUMBERS)) + b"\xff" * rng.choice((1, 9, 11, times)) + b"\x01"
    if kind == 2:
        return field_of(100, b"") * times  # layers without anything, in three bytes each
    if kind == 3:
        return field_of(100, field_of(1, b"feat1_1") + field_of(7, b"") * times)  # blobs without anything
    if kind == 4:
        dims = b"".join(varint(rng.choice(NUMBERS) % 2**64) for _ in range(min(times, 3000)))
        return field_of(
            100, field_of(1, b"feat1_1") + field_of(7, field_of(7, field_of(1, dims)) + field_of(5, bytes(8)))
        )
    if kind == 5:
        return field_of(rng.choice((1, 2, 100)), bytes(rng.randrange(40)), rng.choice(NUMBERS))
    if kind == 6:
        content = b""
        for _ in range(min(times, 1000)):
            content = field_of(rng.choice((7, 100)), content)
        return content
    return field_of(100, field_of(1, rng.randbytes(times % 5000)) + field_of(7, field_of(5, bytes(4))))


def change_message(rng: random.Random, data: bytes) -> bytes:
    """A Caffe model with another shape, name or list of numbers, or with something odd in it."""
    if rng.random() < 0.4:
        odd = odd_message(rng)
        return rng.choice((odd, data + odd, odd + data))
    net = release.caffe_net_message()()
    net.ParseFromString(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        layer = rng.choice([*net.layers, *net.layer])
        blob = rng.choice(list(layer.blobs)) if layer.blobs else layer.blobs.add()
        kind = rng.randrange(6)
        if kind == 0 and blob.shape.dim:
            at = rng.randrange(len(blob.shape.dim))
            blob.shape.dim[at] = other_number(rng, blob.shape.dim[at]) % 2**64 - 2**63
        elif kind == 1:
            blob.shape.dim[:] = [rng.choice(NUMBERS) % 2**31 for _ in range(rng.choice((0, 1, 2, 5, 40)))]
        elif kind == 2:
            blob.data = rng.choice((b"", blob.data[:-1], blob.data[4:], blob.data + bytes(4), b"\xff" * len(blob.data)))
        elif kind == 3:
            layer.name = rng.choice(("SR", "SR_res", "ip3", "relu_decoder1", "encoder1", "", "x" * 200))
        elif kind == 4:
            layer.blobs.add(data=bytes(4)).shape.dim.extend([1])
        else:
            blob.num, blob.channels, blob.height, blob.width = (rng.choice((-1, 0, 1, 2, 2**31 - 1)) for _ in range(4))
    return net.SerializeToString()


def read_caffe(path: Path, data: bytes) -> None:
    """Read it as any Caffe model, and as one of the release."""
    try:
        release.load_caffemodel(path, 4)
    finally:
        release.read_caffemodel(path)


def caffe(folder: Path) -> Target:
    """``release.load_caffemodel`` and ``release.read_caffemodel``."""
    blobs = {"feat1_1": [np.ones((64, 3, 3, 3)), np.ones(64)], "relu_decoder1": [np.ones(1)], "ip3": [np.ones((2, 3))]}
    blobs |= {"SR": [np.ones((3, 32, 3, 3)), np.ones(3)], "conv5_4": [np.ones((1, 2)), np.ones(1)]}
    files = [caffemodel(blobs, v1=old).SerializeToString() for old in (False, True)]
    seeds = [Seed(data, "net.caffemodel", change_message) for data in files]
    return Target(seeds, read_caffe, *CAFFE_MEMORY, folder)


TARGETS: dict[str, Callable[[Path], Target]] = {"image": image, "weights": weights, "caffemodel": caffe}
