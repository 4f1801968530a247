"""Compact weights files, as ``srvae_core.load_model`` reads them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

import srvae_core as sr

from .files import reason

ENCODER = ("encoder1", "encoder2", "encoder3", "ip1", "ip2", "ip3")  # which sampling does not need
LOW_RANK = ("ip4", "ip5", "ip6")  # most of what they do is one number for each row
SPARE, ITERATIONS = 8, 4  # of the search for factors; with more of either it gives the same ones
LEAST_SCALE = 1e-12  # of a row of zeros, for which any scale but 0 will do


def save_model(
    model: sr.SRVAE,
    path: str | os.PathLike,
    *,
    compact: bool = True,
    rank: int | None = None,
    base: str = "",
    **notes: object,
) -> None:
    """Write the weights that inference needs (no encoder) as safetensors.

    Args:
        path: where to; what is there already stays until the new file is whole.
        compact: generator1 on the LR grid, it and convolutions float16, the other fully connected weights int8 with a
            float32 scale for each row (and its largest number apart). False keeps float32 and the layout as it is.
        rank: with compact, of ip4, ip5 and ip6 keep no more than each row's largest number and a rest of this rank, and
            store convolutions as int8 with a scale for each output channel. The file is a third as large.
        base: name of a model in the same folder ("4x-D"): what equals its weights, as stored or as loaded, is left out,
            and comes from there when the file is loaded.
        notes: for the file's metadata, as JSON, such as ``variant="D"``.

    Raises:
        FileNotFoundError: no such base.
        ValueError: a weight is NaN or infinite; the base is the model itself, rests on another, or is of another scale
            or rank; a temperature that is none; a rank below 1, or without compact.
        OSError: the file could not be written; what was there before is as it was.
    """
    if rank is not None and not compact:
        raise ValueError("a rank makes compact files smaller still: leave out the rank, or compact=False")
    if rank is not None and rank < 1:
        raise ValueError(f"rank must be at least 1, not {rank}")
    sr.own_temperature(notes, path)  # what could not be loaded must not take the place of what can
    path, about = Path(path), {"format": sr.FORMATS[rank is not None], "scale": model.scale, "residual": model.residual}
    about["grid_generator"] = compact or model.grid_generator
    about |= {"rank": rank} if rank is not None else {}
    shared: dict[str, Tensor] = {}
    loaded: dict[str, Tensor] = {}  # from the base's file: stored once more, its factors would be other ones
    if base:
        shared, digest = _base_for(path, base, model.scale, rank)
        about |= {"base": base, "base_digest": digest}
        loaded = sr.load_model(path.with_name(sr.ModelName.of(base).file)).state_dict()
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
            if compact and layer.name == "generator1" and kind == "weight" and not model.grid_generator:
                t = on_grid(t, model.scale)
            compacted = compact and kind == "weight" and layer.kind != "prelu"
            tensors |= _compacted(layer, name, t, rank) if compacted else {name: t.contiguous()}
    tensors = {k: t for k, t in tensors.items() if k not in shared or not torch.equal(t, shared[k])}
    _write(path, tensors, about | notes)


def _write(path: Path, tensors: dict[str, Tensor], notes: dict[str, object]) -> None:
    """Write a weights file whole; raises OSError, and what was there before is as it was."""
    try:
        with sr.written_whole(path) as part:
            save_file(tensors, part, {k: json.dumps(v) for k, v in notes.items()})
    except (OSError, SafetensorError) as error:
        raise OSError(f"{path} cannot be written ({reason(error)})") from error


def _base_for(path: Path, base: str, scale: int, rank: int | None) -> tuple[dict[str, Tensor], str]:
    """The tensors and the digest of the base of a file that is to be; raises as :func:`save_model`."""
    shared, notes, digest = sr.read_base(path, base)
    if path.name == sr.ModelName.of(base).file or notes.get("base"):
        raise ValueError(f"{path.name} cannot rest on {base}: a base holds all of its weights itself")
    if notes.get("scale") != scale:
        raise ValueError(f"{path.name} cannot rest on {base}, which is not of the scale {scale}")
    if notes.get("rank") != rank:  # parts of one way of storing a weight would meet those of another
        its_rank = notes.get("rank")
        raise ValueError(f"{base} beside {path} is stored with rank {its_rank}, and this is to be with rank {rank}")
    return shared, digest


def on_grid(weight: Tensor, scale: int) -> Tensor:
    """The release's generator1, (512, 49152), as ``GridLinear`` holds it: W Q, (512, 3 * (128 / scale + 4)^2)."""
    q = sr.GridLinear(scale, len(weight)).q
    return (q.T @ weight.unflatten(1, (3, sr.PATCH, sr.PATCH)) @ q).flatten(1)


def _compacted(layer: sr.Layer, name: str, t: Tensor, rank: int | None) -> dict[str, Tensor]:
    """A layer's weight as stored, by name: whole, or in parts that ``load_model`` puts together.

    generator1 tells little contrast from much brightness. By int8's rounding errors, which brightness multiplies, g
    would become the same for every patch. In half precision it stays what it was.
    """
    if layer.name == "generator1" or (layer.kind != "fc" and rank is None):
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
    if rank is not None and layer.name in LOW_RANK:
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
