"""Compact weights files, as ``srvae_core.load_model`` reads them."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

import srvae_core as sr
from srvae import images

from .files import reason

ENCODER = ("encoder1", "encoder2", "encoder3", "ip1", "ip2", "ip3")  # which sampling does not need
LOW_RANK = ("ip4", "ip5", "ip6")  # most of what they do is one number for each row
SPARE, ITERATIONS = 8, 4  # of the search for factors; with more of either it gives the same ones
LEAST_SCALE = 1e-12  # of a row of zeros, for which any scale but 0 will do


def save_model(model: sr.SRVAE, path: str | os.PathLike, *, rank: int = 16, base: str = "", **notes: object) -> None:
    """Write the weights that inference needs (no encoder) as a compact safetensors file.

    generator1 is stored on the LR grid, in float16. Of ip4, ip5 and ip6 each row's largest number and a rest of a low
    rank are kept. Other weights are int8, with a scale for each row or output channel.

    Args:
        path: where to; an existing file stays until the new one is complete.
        rank: of the rest of ip4, ip5 and ip6.
        base: a model in the same folder ("4x-D"): weights that equal its own, as stored or as loaded, are left out, and
            come from there when the file is loaded.
        notes: for the file's metadata, as JSON, such as ``variant="D"``.

    Raises:
        FileNotFoundError: no such base.
        ValueError: a weight is NaN or infinite; the base is the model itself, has a base, or is of another scale or
            rank; the temperature is not a number of at least 0; the rank is below 1.
        OSError: the file could not be written; the existing one is unchanged.
    """
    temperature = notes.get("temperature", 0.0)
    if rank < 1 or not isinstance(temperature, int | float) or not 0 <= temperature < math.inf:
        raise ValueError(f"rank must be at least 1 ({rank}), and temperature a number of at least 0 ({temperature!r})")
    path, about = Path(path), {"format": sr.FORMAT, "scale": model.scale, "residual": model.residual}
    about |= {"grid_generator": True, "rank": rank}
    shared: dict[str, Tensor] = {}
    loaded: dict[str, Tensor] = {}  # from the base's file: stored once more, its factors would be other ones
    if base:
        file = path.with_name(f"SR_VAE_{base}.safetensors")
        if not file.is_file():
            raise FileNotFoundError(f"the base {base} is not beside {path}: there is no {file}")
        shared, its_notes = sr.read_weights(file)
        alike = (its_notes.get("scale"), its_notes.get("rank")) == (model.scale, rank)
        if path == file or its_notes.get("base") or not alike:
            wanted = f"another {model.scale}x model of rank {rank}, without a base itself"
            raise ValueError(f"{path.name} cannot have the base {base}: a base is {wanted}")
        about |= {"base": base, "base_digest": sr.digest(file.read_bytes())}
        loaded = sr.load_model(file).state_dict()
    tensors: dict[str, Tensor] = {}
    for layer in model.layers:
        if layer.name in ENCODER:
            continue
        for kind, t in model.get_submodule(layer.name).state_dict().items():
            name, t = f"{layer.name}.{kind}", t.detach().cpu().float()
            if not torch.isfinite(t).all():
                raise ValueError(f"{name} has values that are not finite")
            if name in loaded and torch.equal(t, loaded[name]):
                continue
            if layer.name == "generator1" and kind == "weight" and not model.grid_generator:
                t = on_grid(t, model.scale)
            compacted = kind == "weight" and layer.kind != "prelu"
            tensors |= _compacted(layer, name, t, rank) if compacted else {name: t.contiguous()}
    tensors = {k: t for k, t in tensors.items() if k not in shared or not torch.equal(t, shared[k])}
    try:
        with images.atomic_write(path) as part:
            save_file(tensors, part, {k: json.dumps(v) for k, v in (about | notes).items()})
    except (OSError, SafetensorError) as error:
        raise OSError(f"{path} cannot be written ({reason(error)})") from error


def on_grid(weight: Tensor, scale: int) -> Tensor:
    """The release's generator1, (512, 49152), as ``GridLinear`` holds it: W Q, (512, 3 * (128 / scale + 4)^2)."""
    q = sr.GridLinear(scale, len(weight)).q
    return (q.T @ weight.unflatten(1, (3, sr.PATCH, sr.PATCH)) @ q).flatten(1)


def _compacted(layer: sr.Layer, name: str, t: Tensor, rank: int) -> dict[str, Tensor]:
    """A layer's weight as stored, by name: whole, or in parts that ``load_model`` puts together.

    generator1 tells little contrast from much brightness. By int8's rounding errors, which brightness multiplies, g
    would become the same for every patch. In half precision it stays what it was.
    """
    if layer.name == "generator1":
        return {name: t.half().contiguous()}
    if layer.kind != "fc":
        outputs = 1 if layer.kind == "deconv" else 0  # the axis of output channels
        numbers, scale = _int8(t, [axis for axis in range(t.ndim) if axis != outputs])
        return {name: numbers, f"{layer.name}.scale": scale}
    # Latents have a place each, so one weight of a row may dwarf the rest, which int8 would then lose.
    at = t.abs().argmax(1, keepdim=True)
    peak = t.gather(1, at)
    rest = t.scatter(1, at, 0.0)
    stored = {f"{layer.name}.peak": peak[:, 0].contiguous(), f"{layer.name}.peak_at": at[:, 0].int()}
    if layer.name in LOW_RANK:
        left, right = factors(rest, rank)
        return stored | {f"{layer.name}.left": left.half(), f"{layer.name}.right": right.half()}
    numbers, scale = _int8(rest, [1])
    return stored | {name: numbers, f"{layer.name}.scale": scale[:, 0].contiguous()}


def _int8(t: Tensor, axes: list[int]) -> tuple[Tensor, Tensor]:
    """Numbers from -127 to 127 and the scales to multiply them by, one for all that lies along the axes."""
    scale = t.abs().amax(axes, keepdim=True).clamp_min(LEAST_SCALE) / 127
    return (t / scale).round().to(torch.int8).contiguous(), scale.contiguous()


def factors(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The product of that rank which is nearest to a matrix (rows, columns): (rows, rank) and (rank, columns)."""
    with torch.random.fork_rng(devices=[]):  # its start is random: the same matrix must give the same file
        torch.manual_seed(0)
        u, s, v = torch.svd_lowrank(matrix, q=min(rank + SPARE, *matrix.shape), niter=ITERATIONS)
    share = s[:rank].sqrt()  # of both factors alike, so that neither leaves float16's range
    return (u[:, :rank] * share).contiguous(), (v[:, :rank] * share).T.contiguous()
