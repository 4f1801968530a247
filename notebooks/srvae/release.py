"""The release's own ways, kept so that what it did can be done again: its weights files, its tiles, its self-ensemble.

    from srvae import release
    model = release.load_caffemodel("VAE_SR_4x_iter_105000.caffemodel", scale=4)
    out = release.super_resolve(lr, model, self_ensemble=True)

The release computes every place in four tiles, and that eight times over. The project's own way to an answer,
``srvae_core.super_resolve``, computes it once.
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
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from torch import Tensor
from tqdm import tqdm

import srvae_core as sr

MOST_PARTS = 20_000  # layers and blobs in a file; the release's training nets have some hundred
MOST_AXES = 32  # of a blob, as in Caffe
NAMED = 100  # layers in a warning
STRIDE = sr.PATCH // 2  # between the release's tiles


# -- .caffemodel files --------------------------------------------------------------------------------------


@cache
def caffe_net_message() -> Callable:
    """The part of caffe.proto that holds weights (field numbers from the published caffe.proto, BSD).

    ``data`` is a packed list of floats there; packed lists and byte strings look the same on the wire, and
    as bytes the 25 million numbers of generator1 need no Python objects.
    """
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
    """The blobs (protobuf messages) of a .caffemodel file's layers, by layer name."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, no .caffemodel")
    net, data = caffe_net_message()(), path.read_bytes()
    try:
        net.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError lives in a private module of some backends
        raise ValueError(f"{path} is no readable .caffemodel, perhaps cut short: {error}") from error
    # Two or three bytes of a file are an empty layer or blob, of which Python would make an object of hundreds.
    count = len(net.layers) + len(net.layer)
    if count <= MOST_PARTS:
        count += sum(len(layer.blobs) for layer in [*net.layers, *net.layer])
    if count > MOST_PARTS:
        raise ValueError(f"{path} is no .caffemodel of a network: it holds {count:,} layers and blobs")
    blobs = {layer.name: layer.blobs for layer in [*net.layers, *net.layer] if layer.blobs}
    if not all(isinstance(name, str) for name in blobs):  # protobuf gives bytes for what is no UTF-8
        raise ValueError(f"{path} is no readable .caffemodel: a layer's name is no text")
    if not blobs:
        raise ValueError(f"{path} is no .caffemodel: it holds no layer with weights")
    return blobs


def _array(blob: object, where: str) -> Tensor:
    """A blob's numbers in the shape that it says, float32."""
    if len(blob.shape.dim) > MOST_AXES:  # millions of factors would be multiplied for hours
        raise ValueError(f"{where} says a shape of {len(blob.shape.dim):,} axes")
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    if min(shape) < 0 or len(blob.data) != 4 * math.prod(shape):
        raise ValueError(f"{where} holds {len(blob.data) / 4:g} numbers for the shape {shape}")
    return torch.from_numpy(np.frombuffer(blob.data, "<f4").copy()).view(shape)


def read_caffemodel(path: str | os.PathLike) -> dict[str, list[Tensor]]:
    """The blobs of any .caffemodel file by layer name, float32: weights, then biases.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder, cut short, without weights, or with blobs whose shapes are not of their numbers.
    """
    return {k: [_array(b, f"{path}: {k}") for b in blobs] for k, blobs in _caffe_blobs(Path(path)).items()}


def load_caffemodel(path: str | os.PathLike, scale: int, device: str | torch.device | None = None) -> sr.SRVAE:
    """A model with the weights of one of the authors' Caffe nets.

    Both forms of layers are read, V2 and the old V1, and both kinds of nets, deploy (SR) and training (SR_res). The
    encoder is read where the file holds it whole. Layers that a training snapshot has besides (VGG, the
    HR branch's copies of the features) are left aside with a warning that names them.

    Args:
        path: of the .caffemodel file.
        scale: 4 or 8, which the file does not say.
        device: where to put the model; None leaves it on the CPU.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such scale, as :func:`read_caffemodel`, or weights that do not fit the network of that scale.
    """
    blobs = _caffe_blobs(Path(path))
    encoder = {"encoder1", "encoder2", "encoder3", "ip1", "ip2", "ip3"} <= blobs.keys()
    with torch.device("meta"):  # no numbers are drawn that would be overwritten
        model = sr.SRVAE(scale, encoder=encoder, residual="SR_res" in blobs)  # trap 3: SR_res means add the input
    tensors, state = {}, model.state_dict()
    for layer in model.layers:
        for kind, blob in zip(("weight", "bias"), blobs.get(layer.name, ()), strict=False):
            t, name = _array(blob, f"{path}: {layer.name}"), f"{layer.name}.{kind}"
            if name not in state:  # a PReLU layer with a bias
                raise ValueError(f"{path} does not fit the {scale}x SR-VAE: unknown {name}")
            # V1 files pad shapes with ones.
            alike = [n for n in t.shape if n != 1] == [n for n in state[name].shape if n != 1]
            tensors[name] = t.view(state[name].shape) if alike else t
    spare = [name for name in blobs if name not in {layer.name for layer in model.layers}]
    if spare:
        more = f" and {len(spare) - NAMED} more" if len(spare) > NAMED else ""
        warnings.warn(f"{path}: layers left aside: {', '.join(spare[:NAMED])}{more}", stacklevel=2)
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
    """Enlarge an image as the release tests: 128x128 tiles at stride 64, each alone, overlaps averaged.

    Every tile has noise of its own. The last row and column of tiles end at the image's border. Images below 128
    pixels, which crash the release (trap 5), are mirrored up to one tile.

    Args:
        lr: as for ``srvae_core.super_resolve``, and so are the others that are not named here.
        temperature: the release's deploy nets draw at 10; None is the model's own.
        self_ensemble: average the answers to the 8 flips and rotations, as the release's notebooks do.
        consistency: back-project the answer onto the LR image, which the release does not.

    Returns:
        (s*H, s*W[, C]) of the dtype and channels of lr.

    Raises:
        TypeError, ValueError: lr is no image, or the temperature is below 0.
    """
    sr.check_model(model)
    if device is not None:
        model.to(device)
    temperature = model.temperature if temperature is None else temperature
    turns = range(8 if self_ensemble else 1)
    pixels = sr.to_tensor(sr.as_rgb(sr.check_lr(lr))).to(sr.check_model(model))
    with torch.inference_mode():
        up = sr.network_input(pixels, model.scale, lr.dtype == np.uint8)
        answer = _mean_of_tiles(model, up, temperature, sr.noise_generator(seed, temperature), turns, progress)
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
    """Average the answers of ``srvae_core.Sampler`` to an image's 8 flips and rotations, each with its own noise.

    The arguments have the meaning, and the result the form, that they have for ``srvae_core.super_resolve``. Memory
    grows with the image.
    """
    pixels = sr.to_tensor(sr.as_rgb(sr.check_lr(lr))).to(sr.check_model(model))
    temperature = model.temperature if temperature is None else temperature
    generator, mean = sr.noise_generator(seed, temperature), torch.zeros_like(pixels[..., :1, :1])
    with torch.inference_mode():
        for k in range(8):
            turned = np.rot90(sr.as_rgb(lr), k % 4)  # as `turn` does with tensors
            sampler = sr.Sampler(model, turned[:, ::-1] if k >= 4 else turned, consistency=False, cache=False)
            answer = sampler(temperature=temperature, eps=sr.noise(generator, sampler.tiles), as_float=True)
            mean = mean + unturn(sr.to_tensor(answer).to(pixels), k) / 8
        mean = sr.consistent(mean, pixels, model.scale) if consistency else mean
    return sr.restore_channels(sr.to_image(mean, np.float32 if as_float else lr.dtype), lr, model.scale)


def turn(x: Tensor, k: int) -> Tensor:
    """The k-th of the 8 flips and rotations of (B, C, H, W)."""
    x = torch.rot90(x, k % 4, (2, 3))
    return x.flip(3) if k >= 4 else x


def unturn(x: Tensor, k: int) -> Tensor:
    """Undo :func:`turn`."""
    return torch.rot90(x.flip(3) if k >= 4 else x, -(k % 4), (2, 3))


def _mean_of_tiles(
    model: sr.SRVAE, up: Tensor, temperature: float, generator: torch.Generator, turns: Sequence[int], progress: bool
) -> Tensor:
    """The mean over turns of the answers put together from tiles: (1, 3, H, W) enlarged LR -> the same."""
    height, width = up.shape[-2:]
    rows, cols = (_mirrored(n).to(up.device) for n in (height, width))
    up = up[..., rows, :][..., cols]
    mean, starts = torch.zeros_like(up), [tile_starts(n) for n in up.shape[-2:]]
    with tqdm(total=len(turns) * len(starts[0]) * len(starts[1]), disable=not progress, unit="tile") as bar:
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


def _mirrored(n: int) -> Tensor:
    """Which of n rows stand where, once they are mirrored up to a tile."""
    return torch.from_numpy(np.pad(np.arange(n), (0, max(0, sr.PATCH - n)), mode="symmetric"))


def tile_starts(n: int) -> list[int]:
    """Where the tiles of n pixels begin, n at least 128: every 64, and the last one at the border."""
    return sorted({*range(0, n - sr.PATCH + 1, STRIDE), n - sr.PATCH})
