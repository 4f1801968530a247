"""The writer of compact weights files, which ``srvae_core.load_model`` reads."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

import srvae_core as sr
from srvae import images

ENCODER = ("encoder1", "encoder2", "encoder3", "ip1", "ip2", "ip3")  # not needed for sampling
LOW_RANK = ("ip4", "ip5", "ip6")  # most of their effect is one number per row
SPARE, ITERATIONS = 8, 4  # of the search for factors
LEAST_SCALE = 1e-12  # of a row of zeros


def save_model(model: sr.SRVAE, path: str | Path, *, rank: int = 16, base: str = "", **notes: object) -> None:
    """Write the weights that inference needs (no encoder) as a compact safetensors file.

    generator1 is stored on the LR grid, in float16. Of ip4, ip5 and ip6 the largest number of each row and a remainder
    of low rank are stored. Other weights are int8, with a scale per row or output channel.

    Args:
        model: the network.
        path: where to write; an existing file stays until the new one is complete.
        rank: of the remainder of ip4, ip5 and ip6.
        base: a model in the same folder, such as "4x-D"; weights that equal its own are left out of the file and loaded
            from there.
        notes: metadata, stored as JSON, such as ``variant="D"``.

    Raises:
        FileNotFoundError: there is no such base.
        ValueError: a weight is not finite, or the base is the file itself, has a base, or has another scale or rank.
    """
    path, about = Path(path), {"format": sr.FORMAT, "scale": model.scale, "residual": model.residual}
    about |= {"grid_generator": True, "rank": rank}
    stored: dict[str, Tensor] = {}  # of the base's file
    loaded: dict[str, Tensor] = {}  # compressed a second time, they would get other factors
    if base:
        file = path.with_name(f"SR_VAE_{base}.safetensors")
        stored, its_notes = sr.read_weights(file)
        if file == path or its_notes.get("base") or (its_notes["scale"], its_notes["rank"]) != (model.scale, rank):
            wanted = f"another file of scale {model.scale} and rank {rank}, without a base"
            raise ValueError(f"{file} cannot be a base: it must be {wanted}")
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
            compressed = kind == "weight" and layer.kind != "prelu"
            tensors |= _compress(layer, name, t, rank) if compressed else {name: t.contiguous()}
    tensors = {k: t for k, t in tensors.items() if k not in stored or not torch.equal(t, stored[k])}
    with images.atomic_write(path) as part:
        save_file(tensors, part, {k: json.dumps(v) for k, v in (about | notes).items()})


def on_grid(weight: Tensor, scale: int) -> Tensor:
    """Convert the release's generator1, (512, 49152), to ``GridLinear``: W Q, (512, 3 * (128 / scale + 4)^2)."""
    q = sr.GridLinear(scale, len(weight)).q
    return (q.T @ weight.unflatten(1, (3, sr.PATCH, sr.PATCH)) @ q).flatten(1)


def _compress(layer: sr.Layer, name: str, t: Tensor, rank: int) -> dict[str, Tensor]:
    """Return a layer's weight as stored, by name, in parts that ``load_model`` puts together."""
    if layer.name == "generator1":
        # It finds little contrast in much brightness: int8's errors, times brightness, would make g constant.
        return {name: t.half().contiguous()}
    if layer.kind != "fc":
        outputs = 1 if layer.kind == "deconv" else 0  # the axis of output channels
        numbers, scale = _int8(t, [axis for axis in range(t.ndim) if axis != outputs])
        return {name: numbers, f"{layer.name}.scale": scale}
    # Each latent has a place, so one weight of a row may dwarf the others, which int8 would lose.
    at = t.abs().argmax(1, keepdim=True)
    stored = {f"{layer.name}.peak": t.gather(1, at)[:, 0].contiguous(), f"{layer.name}.peak_at": at[:, 0].int()}
    remainder = t.scatter(1, at, 0.0)
    if layer.name in LOW_RANK:
        left, right = factors(remainder, rank)
        return stored | {f"{layer.name}.left": left.half(), f"{layer.name}.right": right.half()}
    numbers, scale = _int8(remainder, [1])
    return stored | {name: numbers, f"{layer.name}.scale": scale[:, 0].contiguous()}


def _int8(t: Tensor, axes: list[int]) -> tuple[Tensor, Tensor]:
    """Return integers from -127 to 127 and their scales, one for all numbers along the axes."""
    scale = t.abs().amax(axes, keepdim=True).clamp_min(LEAST_SCALE) / 127
    return (t / scale).round().to(torch.int8).contiguous(), scale.contiguous()


def factors(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return the nearest product of a rank to a matrix (rows, columns): (rows, rank) and (rank, columns)."""
    with torch.random.fork_rng(devices=[]):  # its start is random: the same matrix must give the same file
        torch.manual_seed(0)
        u, s, v = torch.svd_lowrank(matrix, q=min(rank + SPARE, *matrix.shape), niter=ITERATIONS)
    share = s[:rank].sqrt()  # of both factors alike, so that neither leaves float16's range
    return (u[:, :rank] * share).contiguous(), (v[:, :rank] * share).T.contiguous()
