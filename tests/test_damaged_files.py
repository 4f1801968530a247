"""Damaged pictures, weights files and .caffemodel files are read or rejected with ValueError or OSError."""

import json
from contextlib import suppress

import numpy as np
import pytest

import srvae_core as sr
from helpers import caffemodel
from srvae import images, release

PICTURES = ("8.png", "8.jpg", "8.tif", "8.webp", "8.bmp", "16.png", "16.tif")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*PICTURES, "SR_VAE_4x-P.safetensors", "1.caffemodel", "2.caffemodel"])
def test_a_damaged_file_is_read_or_rejected(tmp_path, name):
    """Cut off, with a part left out, and with extreme numbers, at twenty places each; of weights, in the header."""
    file, rest, load = tmp_path / name, b"", images.read
    if name in PICTURES:
        images.write(
            file, np.random.default_rng(3).integers(9, 99, (21, 26, 3), "uint8" if name[0] == "8" else "uint16")
        )
    elif name.endswith(".caffemodel"):
        blobs, load = {"conv": [np.ones((4, 3, 3, 3)), np.ones(4)], "ip": [np.ones((5, 7))]}, release.read_caffemodel
        file.write_bytes(caffemodel(blobs, v1=name[0] == "1").SerializeToString())
    else:
        (tmp_path / "SR_VAE_4x-D.safetensors").write_bytes(sr.weights_path("4x-D").read_bytes())  # its base
        whole, load = sr.weights_path("4x-P").read_bytes(), sr.load_model
        header, rest = np.split(np.frombuffer(whole[8:], np.uint8), [int.from_bytes(whole[:8], "little")])
        about = json.loads(header.tobytes())
        about["__metadata__"] = {key: note for key, note in about["__metadata__"].items() if len(note) < 100}
        file.write_bytes(json.dumps(about).encode())
    data = file.read_bytes()
    for at in np.linspace(0, len(data) - 1, 20).astype(int):
        for part in (data[:at], data[:at] + data[at + 5 :], data[:at] + b"\xff" * 4 + data[at + 4 :]):
            length = len(part).to_bytes(8, "little") if load is sr.load_model else b""
            file.write_bytes(length + part + bytes(rest))
            with suppress(ValueError, OSError):
                load(file)
