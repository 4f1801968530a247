"""Damaged pictures, weights files and .caffemodel files are read or rejected, without a crash or a hang."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import PIL.Image

import srvae_core as sr
from helpers import caffemodel
from srvae import images, release
from strangers import P3_PROFILE


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a byte, repeat or leave out a part, write an extreme number, or cut off the end."""
    at, how = rng.integers(len(data)), rng.integers(5)
    if how == 4:
        return data[:at]
    extreme = (b"\0", b"\x7f", b"\xff")[rng.integers(3)] * 4
    put = [rng.bytes(1), rng.bytes(1), data[at : at + rng.integers(60)], extreme][how]
    return data[:at] + put + data[at + (rng.integers(1, 30) if how == 2 else len(put)) :]


def hunt(load: Callable[[bytes], object], files: dict[str, bytes], count: int) -> None:
    """Load mutations of each file; print those that end in another error than ValueError and OSError."""
    for name, data in files.items():
        load(data)
        for seed in range(count):
            try:
                with suppress(ValueError, OSError):
                    load(mutated(data, np.random.default_rng(seed)))
            except BaseException as error:
                print(f"{name}, mutation {seed}: {error!r}")


def hunt_pictures(folder: Path, count: int = 55) -> None:
    rng, files, exif = np.random.default_rng(3), {}, PIL.Image.Exif()
    exif[274] = 6
    notes = {"exif": exif, "icc_profile": P3_PROFILE, "dpi": (300, 300)}
    for name in ("8.png", "8.jpg", "8.tif", "8.webp", "8.bmp", "16.png", "16.tif"):
        dtype, options = (np.uint8, notes) if name[0] == "8" else (np.uint16, {})
        images.write(folder / name, rng.integers(9, 99, (21, 26, 3), dtype), **options)
        files[name] = (folder / name).read_bytes()

    def load(data: bytes) -> None:
        image = images.read(data)
        assert image.dtype in (np.uint8, np.uint16)
        assert (image.ndim, image.shape[2] in (3, 4), image.size > 0) == (3, True, True)

    hunt(load, files, count)
    for name in ("8.png", "16.png"):  # PNG has checksums, so damaged pixels are found
        for at in range(files[name].index(b"IDAT"), len(files[name]) - 12, 13):
            changed = bytearray(files[name])
            changed[at] ^= 1 << at % 8
            with suppress(ValueError):
                assert not images.read(bytes(changed)).size, (name, at)


def hunt_weights(folder: Path, count: int = 40) -> None:
    path = Path(shutil.copy(sr.weights_path("4x-P"), folder))
    shutil.copy(sr.weights_path("4x-D"), folder)  # which 4x-P needs
    whole = path.read_bytes()
    header = json.loads(whole[8 : 8 + (length := int.from_bytes(whole[:8], "little"))])
    header["__metadata__"] = {key: note for key, note in header["__metadata__"].items() if len(note) < 100}

    def load(data: bytes) -> None:
        path.write_bytes(len(data).to_bytes(8, "little") + data + whole[8 + length :])
        sr.load_model(path)

    hunt(load, {"4x-P": json.dumps(header).encode()}, count)


def hunt_caffemodels(folder: Path, count: int = 40) -> None:
    path, blobs = folder / "a.caffemodel", {"conv": [np.ones((4, 3, 3, 3)), np.ones(4)], "ip": [np.ones((5, 7))]}
    files = {f"V1 {v1}": caffemodel(blobs, v1=v1).SerializeToString() for v1 in (False, True)}
    hunt(lambda data: (path.write_bytes(data), release.read_caffemodel(path)), files, count)


def test_damaged_files_are_read_or_rejected(tmp_path):
    """In a process of its own, which may crash and is stopped if it hangs."""
    code = f"import sys, pathlib; sys.path[:0] = {sys.path!r}; path = pathlib.Path({str(tmp_path)!r}); "
    code += "from test_damaged_files import *; hunt_pictures(path); hunt_weights(path); hunt_caffemodels(path)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
