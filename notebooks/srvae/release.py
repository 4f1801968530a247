"""The release's Caffe weights, its test on overlapping tiles, and the self-ensemble.

    from srvae import release
    model = release.load_caffemodel("VAE_SR_4x_iter_105000.caffemodel", scale=4)
    out = release.super_resolve(lr, model, self_ensemble=True)

The release computes every pixel in four tiles for each of eight turns; ``srvae_core.super_resolve`` computes it once.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import srvae_core as sr

STRIDE = sr.PATCH // 2  # pixels between the release's tiles


# -- .caffemodel files --------------------------------------------------------------------------------------


@cache
def caffe_net_message() -> Callable:
    """Return the message class of weights files (field numbers from the published caffe.proto, BSD).

    There ``data`` is a packed list of floats, which has the encoding of bytes. Read as bytes, the 25 million numbers of
    generator1 need no Python objects.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # training machines may lack it

    file = descriptor_pb2.FileDescriptorProto(name="srvae_caffe.proto", package="srvae_caffe", syntax="proto2")
    kinds = {"str": 9, "msg": 11, "bytes": 12, "int64": 3, "int32": 5}
    for message, fields in {
        "BlobShape": [("dim", 1, "int64", True)],
        "BlobProto": [
            *[(n, i, "int32", False) for i, n in enumerate(("num", "channels", "height", "width"), 1)],
            ("data", 5, "bytes", False),
            ("shape", 7, "BlobShape", False),
        ],
        "LayerParameter": [("name", 1, "str", False), ("type", 2, "str", False), ("blobs", 7, "BlobProto", True)],
        "V1LayerParameter": [("name", 4, "str", False), ("type", 5, "int32", False), ("blobs", 6, "BlobProto", True)],
        "NetParameter": [
            ("name", 1, "str", False),
            ("layers", 2, "V1LayerParameter", True),
            ("layer", 100, "LayerParameter", True),
        ],
    }.items():
        m = file.message_type.add(name=message)
        for name, number, kind, repeated in fields:
            f = m.field.add(name=name, number=number, label=3 if repeated else 1, type=kinds.get(kind, 11))
            if kind not in kinds:
                f.type_name = f".srvae_caffe.{kind}"
            if message == "BlobShape":
                f.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("srvae_caffe.NetParameter"))


def _caffe_blobs(path: Path) -> dict[str, Sequence]:
    """Return the blobs (protobuf messages) of a .caffemodel file by layer name."""
    net, data = caffe_net_message()(), sr.check_file(path).read_bytes()
    try:
        net.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError lives in a private module of some backends
        raise ValueError(f"{path} is not a readable .caffemodel, perhaps cut short: {error}") from error
    blobs = {layer.name: layer.blobs for layer in [*net.layers, *net.layer] if layer.blobs}
    if not blobs:
        raise ValueError(f"{path} holds no layer with weights")
    return blobs


def _array(blob: object, where: str) -> Tensor:
    """Return a blob as float32; ``where`` names it in errors."""
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    if min(shape) < 0 or len(blob.data) != 4 * math.prod(shape):
        raise ValueError(f"{where} holds {len(blob.data) / 4:g} numbers for the shape {shape}")
    return torch.from_numpy(np.frombuffer(blob.data, "<f4").copy()).view(shape)


def read_caffemodel(path: str | os.PathLike) -> dict[str, list[Tensor]]:
    """Read the blobs of any .caffemodel file by layer name, float32: weights, then biases.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is damaged or holds no weights.
    """
    return {k: [_array(b, f"{path}: {k}") for b in blobs] for k, blobs in _caffe_blobs(Path(path)).items()}


def load_caffemodel(path: str | os.PathLike, scale: int, device: str | torch.device | None = None) -> sr.SRVAE:
    """Load a model from one of the authors' Caffe nets, of deployment (SR) or training (SR_res), of scale 4 or 8.

    The encoder is read if the file holds all of it. A warning names the layers that are not used, such as those of VGG
    and the copies of the feature extractor for HR.

    Raises:
        OSError, ValueError: as :func:`read_caffemodel`; ValueError also if the weights do not fit the scale.
    """
    blobs = _caffe_blobs(Path(path))
    encoder = {"encoder1", "encoder2", "encoder3", "ip1", "ip2", "ip3"} <= blobs.keys()
    with torch.device("meta"):  # spares the initial weights
        model = sr.SRVAE(scale, encoder=encoder, residual="SR_res" in blobs)  # trap 3: SR_res adds the input
    tensors, state = {}, model.state_dict()
    for layer in model.layers:
        for kind, blob in zip(("weight", "bias"), blobs.get(layer.name, ()), strict=False):
            t, name = _array(blob, f"{path}: {layer.name}"), f"{layer.name}.{kind}"
            shape = state[name].shape if name in state else t.shape
            same = [n for n in t.shape if n != 1] == [n for n in shape if n != 1]  # V1 files pad shapes with ones
            tensors[name] = t.view(shape) if same else t
    if unused := [str(name) for name in blobs if name not in {layer.name for layer in model.layers}]:
        warnings.warn(f"{path}: layers not used: {', '.join(unused)}", stacklevel=2)
    sr.load_weights(model, tensors, path)
    return sr.for_inference(model, device)


# -- The release's test -------------------------------------------------------------------------------------


def super_resolve(
    lr: np.ndarray,
    model: sr.SRVAE,
    *,
    temperature: float | None = None,
    seed: int = 0,
    self_ensemble: bool = False,
    consistency: bool = False,
    progress: bool = False,
    device: str | torch.device | None = None,
    as_float: bool = False,
) -> np.ndarray:
    """Enlarge an image as the release does: average overlapping 128x128 tiles at stride 64, each with its own noise.

    The last row and column of tiles end at the image's border. Images below 128 pixels, which crash the release
    (trap 5), are mirrored up to one tile. Arguments and result are those of ``srvae_core.super_resolve``, but for:

    Args:
        temperature: 10 in the release's deployment nets.
        self_ensemble: average the answers to the 8 flips and rotations, as the release's notebooks do.
        consistency: back-project the answer onto the LR image, which the release does not.
    """
    sr.check_model(model)
    if device is not None:
        model.to(sr.check_device(device))
    temperature = model.temperature if temperature is None else temperature
    generator, turns = sr.noise_generator(seed, temperature), range(8 if self_ensemble else 1)
    pixels = sr.to_tensor(sr.as_rgb(sr.check_image(lr, "lr"))).to(sr.check_model(model))
    with torch.inference_mode():
        up = sr.network_input(pixels, model.scale, lr.dtype == np.uint8)
        answer = _mean_of_tiles(model, up, temperature, generator, turns, progress)
        if consistency:
            answer = sr.consistent(answer, pixels, model.scale)
    answer = sr.to_grey(answer) if lr.ndim == 2 else answer
    return sr.restore_channels(sr.to_image(answer, np.float32 if as_float else lr.dtype), lr, model.scale)


def self_ensemble(
    lr: np.ndarray,
    model: sr.SRVAE,
    *,
    temperature: float | None = None,
    seed: int = 0,
    consistency: bool = True,
    as_float: bool = False,
) -> np.ndarray:
    """Average the answers of ``srvae_core.Sampler`` to the 8 flips and rotations of an image, each with its own noise.

    Arguments and result are those of ``srvae_core.super_resolve``.
    """
    pixels = sr.to_tensor(sr.as_rgb(sr.check_image(lr, "lr"))).to(sr.check_model(model))
    temperature = model.temperature if temperature is None else temperature
    generator, mean = sr.noise_generator(seed, temperature), torch.zeros_like(pixels[..., :1, :1])
    with torch.inference_mode():
        for k in range(8):
            turned = np.rot90(sr.as_rgb(lr), k % 4)  # like `turn`, which takes tensors
            sampler = sr.Sampler(model, turned[:, ::-1] if k >= 4 else turned, consistency=False, cache=False)
            answer = sampler(temperature=temperature, eps=sr.noise(generator, sampler.tiles), as_float=True)
            mean = mean + unturn(sr.to_tensor(answer).to(pixels), k) / 8
        mean = sr.consistent(mean, pixels, model.scale) if consistency else mean
    return sr.restore_channels(sr.to_image(mean, np.float32 if as_float else lr.dtype), lr, model.scale)


def turn(x: Tensor, k: int) -> Tensor:
    """Return the k-th of the 8 flips and rotations of (B, C, H, W)."""
    x = torch.rot90(x, k % 4, (2, 3))
    return x.flip(3) if k >= 4 else x


def unturn(x: Tensor, k: int) -> Tensor:
    """Undo :func:`turn`."""
    return torch.rot90(x.flip(3) if k >= 4 else x, -(k % 4), (2, 3))


def _mean_of_tiles(
    model: sr.SRVAE, up: Tensor, temperature: float, generator: torch.Generator, turns: Sequence[int], progress: bool
) -> Tensor:
    """Return the mean answer over turns, (1, 3, H, W), from the enlarged LR image of the same shape."""
    height, width = up.shape[-2:]
    for axis, n in ((2, height), (3, width)):  # mirror small images up to one tile
        rows = torch.from_numpy(np.pad(np.arange(n), (0, max(0, sr.PATCH - n)), mode="symmetric"))
        up = up.index_select(axis, rows.to(up.device))
    mean, starts = torch.zeros_like(up), [tile_starts(n) for n in up.shape[-2:]]
    with sr.progress_bar(total=len(turns) * len(starts[0]) * len(starts[1]), disable=not progress, unit="tile") as bar:
        for k in turns:
            turned = turn(up, k)
            total, count = torch.zeros_like(turned), torch.zeros_like(turned[:, :1])
            for y in starts[k % 2]:  # odd turns exchange rows and columns
                for x in starts[1 - k % 2]:
                    window = (..., slice(y, y + sr.PATCH), slice(x, x + sr.PATCH))
                    tile = turned[window]
                    eps = sr.noise(generator, 1).to(up.device)
                    total[window] += model(tile, temperature * sr.PRIOR_SD * model.generator(tile) * eps)
                    count[window] += 1
                    bar.update()
            mean += unturn(total / count, k) / len(turns)
    return mean[..., :height, :width]


def tile_starts(n: int) -> list[int]:
    """Return the starts of the tiles of n >= 128 pixels; the last tile ends at the border."""
    return sorted({*range(0, n - sr.PATCH + 1, STRIDE), n - sr.PATCH})
