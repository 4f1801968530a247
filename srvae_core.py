"""SR-VAE in one file: layers, model, weights, images, inference, metrics.

Reimplements "Photo-Realistic Image Super-Resolution via Variational Autoencoders" (Z.-S. Liu, W.-C. Siu,
Y.-L. Chan, IEEE TCSVT 31(4), 2021) from the layer tables of the authors' Caffe release
(github.com/Holmes-Alan/SR-VAE). Every layer carries the name that it has in the release's prototxts, so
``feat1_1``, ``ip4`` or ``conv1_SR_s1`` can be searched for here, there and in a weights file.

Read it top to bottom; typical use::

    import srvae_core as sr
    model = sr.load_model("4x-D")
    out = sr.super_resolve(sr.read_image("photo.png"), model)  # (H, W, 3) uint8 -> (4H, 4W, 3) uint8

Shapes are written (B, C, H, W) for tensors and (H, W, 3) for images. Colour order is RGB throughout.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from skimage.metrics import structural_similarity
from torch import Tensor, nn
from tqdm import tqdm

__version__ = "0.1.0"

SCALES = (4, 8)
PATCH = 128  # the release's patch edge at the target size; its fully connected generator fixes it
LATENTS = 1024  # length of z
PIECE = 96  # samples a side of what the last unit computes at once: 6 MB maps stay in the cache, 34 MB ones do not
UNIT_HALO = 4  # samples around a piece that reach into it: 3 by an up back-projection unit, a half by SR
PRIOR_SD = 0.1  # p(z) = N(0, 0.1^2), the release's KL term
MVN_EPS = 1e-9  # Caffe's MVN: divide by (standard deviation + eps)
WEIGHTS = Path(__file__).resolve().parent / "data" / "weights"


# ---------------------------------------------------------------------------------------------------------
# Layers: the release's prototxts as one table
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """One row of the release's prototxts: a layer with learned numbers.

    ``std`` is the release's Gaussian filler; biases start at 0, PReLU slopes at Caffe's 0.25.
    """

    name: str
    kind: str  # "conv", "deconv", "fc" or "prelu" (one shared slope)
    cin: int = 1
    cout: int = 1
    kernel: int = 1
    stride: int = 1
    pad: int = 0
    std: float = 0.0

    def build(self) -> nn.Module:
        if self.kind == "prelu":
            return nn.PReLU()
        if self.kind == "fc":
            return nn.Linear(self.cin, self.cout)
        kind = nn.Conv2d if self.kind == "conv" else nn.ConvTranspose2d
        return kind(self.cin, self.cout, self.kernel, self.stride, self.pad)


def release_layers(scale: int, *, encoder: bool = False, residual: bool = True) -> list[Layer]:
    """The layers of VAE_SR_{4x,8x}.prototxt (training) or, without encoder and residual, VAE_Deploy_*.

    Args:
        scale: 4 or 8.
        encoder: include encoder1-3 and ip1-3, which only training uses.
        residual: name the last layer ``SR_res`` (training nets) rather than ``SR`` (deploy nets).

    Raises:
        ValueError: for another scale.
    """
    if scale not in SCALES:
        raise ValueError(f"scale must be 4 or 8, not {scale!r}")
    eight = scale == 8
    channels = 512 if eight else 256
    rows = [
        Layer("feat1_1", "conv", 3, 64, 3, 1, 1, 0.0589),
        Layer("feat1_2", "conv", 64, 64, 3, 1, 1, 0.0589),
        Layer("feat2_1", "conv", 64, 128, 6, 2, 2, 0.0208),
        Layer("feat2_2", "conv", 128, 128, 3, 1, 1, 0.0417),
        Layer("feat3_1", "conv", 128, 256, 6, 2, 2, 0.0147),
        Layer("feat3_2", "conv", 256, 256, 3, 1, 1, 0.0295),
    ]
    if eight:
        rows += [
            Layer("feat4_1", "conv", 256, 512, 6, 2, 2, 0.0147),
            Layer("feat4_2", "conv", 512, 512, 3, 1, 1, 0.0295),
        ]
    rows += [
        Layer("input1", "conv", channels, 128, 1, 1, 0, 0.125),
        Layer("input2", "conv", 128, 64, 3, 1, 1, 0.0589),
    ]
    if encoder:
        middle = 128 if eight else 256
        rows += [
            Layer("encoder1", "conv", 2 * channels, 256, 3, 1, 1, 0.0208),
            Layer("encoder2", "conv", 256, middle, 3, 1, 1, 0.0208),
            Layer("encoder3", "conv", middle, 128, 3, 1, 1, 0.0295),
            Layer("ip1", "fc", 128 * 16 * 16, 4096, std=0.01),
            Layer("ip2", "fc", 4096, 2048, std=0.01),
            Layer("ip3", "fc", 2048, 2 * LATENTS, std=0.01),
        ]
    rows += [
        Layer("generator1", "fc", 3 * PATCH * PATCH, 512, std=0.01),
        Layer("generator2", "fc", 512, LATENTS, std=0.01),
        Layer("ip4", "fc", LATENTS, 2048, std=0.01),
        Layer("ip5", "fc", 2048, 2048, std=0.01),
        Layer("ip6", "fc", 2048, 4096, std=0.01),
        Layer("decoder1", "conv", 16 if eight else 4, 64, 3, 1, 1, 0.0589),
        Layer("relu_decoder1", "prelu"),
    ]
    for s in range(1, 4 if eight else 3):
        c = 128 if s == 1 else 32
        rows += [
            Layer(f"conv1_SR_s{s}", "deconv", c, 32, 6, 2, 2, 0.0417),
            Layer(f"relu1_SR_s{s}", "prelu"),
            Layer(f"local_output_SR_s{s}", "conv", c, 32, 1, 1, 0, 0.25),
            Layer(f"conv2_SR_s{s}", "conv", 32, 32, 6, 2, 2, 0.0417),
            Layer(f"relu2_SR_s{s}", "prelu"),
            Layer(f"conv3_SR_s{s}", "deconv", 32, 32, 6, 2, 2, 0.0417),
            Layer(f"relu3_SR_s{s}", "prelu"),
            Layer(f"local_conv1_SR_s{s}", "conv", 32, 32, 1, 1, 0, 0.25),
            Layer(f"relu_output_SR_s{s}", "prelu"),
        ]
    return [*rows, Layer("SR_res" if residual else "SR", "conv", 32, 3, 3, 1, 1, 0.2722)]


# ---------------------------------------------------------------------------------------------------------
# Model
# ---------------------------------------------------------------------------------------------------------


def grid_matrix(scale: int) -> Tensor:
    """The bicubic enlargement of one axis of a patch as a matrix, (128, 128 / scale + 4) float64.

    Row i holds the weights with which the LR samples -2 ... 128 / scale + 1 make sample i of the patch; two
    LR samples on either side reach into it. The columns of ``generator1`` act on nothing else.
    """
    n = PATCH // scale + 4
    # Two more LR samples on either side keep the border handling of `interpolate` away from the patch.
    eye = torch.eye(n + 4, dtype=torch.float64)[None, None]  # (1, 1, position, unit impulse)
    up = F.interpolate(eye, size=((n + 4) * scale, n + 4), mode="bicubic", antialias=True)[0, 0]
    return up[4 * scale : 4 * scale + PATCH, 2 : n + 2].contiguous()


class GridLinear(nn.Linear):
    """``generator1`` on the LR grid: 3*(128/s + 4)^2 columns in the place of 49,152.

    A patch that is a bicubic enlargement, up = U lr, lies in the column space of U, which has that many
    dimensions. With Q the orthonormal basis of that space nearest to U (its polar factor, so that each
    basis vector still sits at one LR sample), W up = (W Q) (Q^T up): this layer holds W Q.
    """

    def __init__(self, scale: int, cout: int) -> None:
        a, _, b = torch.linalg.svd(grid_matrix(scale), full_matrices=False)
        q = (a @ b).float()  # (128, n)
        super().__init__(3 * q.shape[1] ** 2, cout)
        self.register_buffer("q", q, persistent=False)

    def forward(self, up: Tensor) -> Tensor:
        """(B, 3, 128, 128) -> (B, cout)."""
        return F.linear((self.q.T @ up @ self.q).flatten(1), self.weight, self.bias)

    def compress(self, weight: Tensor) -> Tensor:
        """The release's (cout, 49152) weight as this layer holds it, W Q."""
        w = weight.unflatten(1, (3, PATCH, PATCH))
        return (self.q.T @ w @ self.q).flatten(1)


class SRVAE(nn.Module):
    """The network of the release: p(HR | LR) sampled through 1,024 latents per 128x128 patch.

    Args:
        scale: 4 or 8.
        encoder: build q(z | LR, HR) too (149 million parameters that only training needs).
        residual: add the enlarged LR image to the output, as the release's training nets do (last layer
            ``SR_res``); False gives the deploy nets' form (last layer ``SR``).
        grid_generator: hold ``generator1`` on the LR grid (see :class:`GridLinear`).

    ``net(up, z)`` takes up (B, 3, 128, 128) float in [0, 1], the bicubically enlarged LR patch, and
    z (B, 1024), and returns SR (B, 3, 128, 128), neither clipped nor rounded. All parts but the fully
    connected ones also take any other size divisible by the scale.
    """

    def __init__(
        self, scale: int = 4, *, encoder: bool = False, residual: bool = True, grid_generator: bool = False
    ) -> None:
        super().__init__()
        self.scale, self.residual, self.grid_generator = scale, residual, grid_generator
        self.layers = release_layers(scale, encoder=encoder, residual=residual)
        for layer in self.layers:
            grid = grid_generator and layer.name == "generator1"
            self.add_module(layer.name, GridLinear(scale, layer.cout) if grid else layer.build())
        self.units = 3 if scale == 8 else 2  # up back-projection units
        self.temperature = 0.0  # at which `super_resolve` answers if it is not told
        self.reset_parameters()

    @property
    def has_encoder(self) -> bool:
        return hasattr(self, "encoder1")

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the release's initial values (Gaussian fillers, zero biases, slopes 0.25)."""
        for layer in self.layers:
            module = self.get_submodule(layer.name)
            if layer.kind == "prelu":
                module.weight.fill_(0.25)
            else:
                module.weight.normal_(0.0, layer.std)
                module.bias.zero_()

    def features(self, up: Tensor) -> Tensor:
        """Features of an enlarged LR (or, in training, HR) image: feat1_1 ... feat3_2 / feat4_2.

        (B, 3, H, W) -> (B, 256, H/4, W/4) at 4x, (B, 512, H/8, W/8) at 8x. The last layer has no ReLU.
        """
        x = F.relu(self.feat1_1(up), inplace=True)
        x = F.relu(self.feat1_2(x), inplace=True)
        x = F.relu(self.feat2_1(x), inplace=True)
        x = F.relu(self.feat2_2(x), inplace=True)
        x = F.relu(self.feat3_1(x), inplace=True)
        x = self.feat3_2(x)
        if self.scale == 8:
            x = F.relu(self.feat4_1(F.relu(x)))
            x = self.feat4_2(x)
        return x

    def input_code(self, features: Tensor) -> Tensor:
        """The LR branch, input1 and input2: (B, C, h, w) -> (B, 64, h, w)."""
        return self.input2(F.relu(self.input1(features)))

    def generator(self, up: Tensor) -> Tensor:
        """g(LR), what shapes the noise: generator1, generator2, mvn. (B, 3, 128, 128) -> (B, 1024)."""
        if up.shape[-3:] != (3, PATCH, PATCH):
            raise ValueError(f"the generator reads patches of shape (B, 3, 128, 128), not {tuple(up.shape)}")
        x = F.relu(self.generator1(up if self.grid_generator else up.flatten(1)))
        x = F.relu(self.generator2(x))
        x = x - x.mean(1, keepdim=True)
        return x / (x.square().mean(1, keepdim=True).sqrt() + MVN_EPS)

    def encode(self, up: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior q(z | LR, HR): two (B, 3, 128, 128) -> mu, logsd, each (B, 1024).

        Raises:
            RuntimeError: when the model was built without its encoder.
        """
        if not self.has_encoder:
            raise RuntimeError("this model was built without its encoder; use SRVAE(scale, encoder=True)")
        return self.encode_features(self.features(up), self.features(hr))

    def encode_features(self, lr_features: Tensor, hr_features: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`encode` from features that are at hand already."""
        x = F.relu(torch.cat([lr_features, hr_features], 1))
        if self.scale == 4:
            x = F.max_pool2d(x, 2)
        x = F.relu(self.encoder1(x))
        x = F.relu(self.encoder2(x))
        x = F.relu(self.encoder3(x))  # (B, 128, 16, 16)
        x = F.relu(self.ip1(x.flatten(1)))
        x = F.relu(self.ip2(x))
        mu, logsd = self.ip3(x).chunk(2, 1)
        return mu, logsd

    def latent_map(self, z: Tensor) -> Tensor:
        """The decoder's reading of z, ip4 ... ip6: (B, 1024) -> (B, 4, 32, 32), at 8x (B, 16, 16, 16)."""
        x = F.relu(self.ip4(z))
        x = F.relu(self.ip5(x))
        x = F.relu(self.ip6(x))
        return x.unflatten(1, (16, 16, 16) if self.scale == 8 else (4, 32, 32))

    def back_project(self, x: Tensor, s: int) -> Tensor:
        """Up back-projection unit s: (B, C, h, w) -> (B, 32, 2h, 2w)."""
        layer = lambda name: self.get_submodule(f"{name}_SR_s{s}")  # noqa: E731
        h = layer("relu1")(layer("conv1")(x))
        e = layer("local_output")(x) - layer("relu2")(layer("conv2")(h))
        out = layer("local_conv1")(h) + layer("relu3")(layer("conv3")(e))
        return layer("relu_output")(out)

    def reconstruct(self, code: Tensor, latent_map: Tensor, up: Tensor) -> Tensor:
        """SR from the LR branch's code and the latent map, decoder1 ... SR: -> (B, 3, H, W)."""
        x = torch.cat([code, self.decoder1(latent_map)], 1)  # (B, 128, h, w)
        x = self.relu_decoder1(x)
        for s in range(1, self.units):
            x = self.back_project(x, s)
        x = self._last_unit(x)
        return x + up if self.residual else x

    def _last_unit(self, x: Tensor) -> Tensor:
        """The last unit and SR, where the maps are large: on the CPU in pieces that stay in its cache.

        (B, 32, h, w) -> (B, 3, 2h, 2w). Pieces change nothing: what lies further than UNIT_HALO away has no effect.
        """
        last = self.SR_res if self.residual else self.SR
        height, width = x.shape[-2:]
        edge = PIECE if x.device.type == "cpu" else max(height, width)
        rows = []
        for y0 in range(0, height, edge):
            row = []
            for x0 in range(0, width, edge):
                top, left = max(y0 - UNIT_HALO, 0), max(x0 - UNIT_HALO, 0)
                part = x[..., top : y0 + edge + UNIT_HALO, left : x0 + edge + UNIT_HALO]
                part = last(self.back_project(part, self.units))[..., 2 * (y0 - top) :, 2 * (x0 - left) :]
                row.append(part[..., : 2 * edge, : 2 * edge])
            rows.append(torch.cat(row, 3))
        return torch.cat(rows, 2)

    def decode(self, features: Tensor, z: Tensor, up: Tensor) -> Tensor:
        """SR of one patch from its features and latents: -> (B, 3, 128, 128)."""
        return self.reconstruct(self.input_code(features), self.latent_map(z), up)

    def forward(self, up: Tensor, z: Tensor) -> Tensor:
        return self.decode(self.features(up), z, up)


# ---------------------------------------------------------------------------------------------------------
# Weights: compact safetensors of our own, .caffemodel files of the release
# ---------------------------------------------------------------------------------------------------------

FORMAT = "srvae-1"


def available_models() -> list[str]:
    """Names of the models shipped in data/weights that :func:`load_model` takes, such as "4x-D"."""
    return sorted(p.stem.removeprefix("SR_VAE_") for p in WEIGHTS.glob("SR_VAE_*.safetensors"))


def load_model(name: str | os.PathLike, *, scale: int | None = None, device: str | torch.device | None = None) -> SRVAE:
    """A model ready for inference.

    Args:
        name: a shipped model ("4x-D", see :func:`available_models`), or the path of a .safetensors file
            written by :func:`save_model`, or of a .caffemodel file of the release.
        scale: 4 or 8; required for a .caffemodel, otherwise only checked.
        device: where to put it, for example "cuda"; None leaves it on the CPU.

    Raises:
        FileNotFoundError: no such name or file (the message lists the shipped models).
        ValueError: not a weights file, damaged, for another scale, or with wrong, missing or unknown tensors.
    """
    path = Path(name)
    if not path.suffix and not path.exists():
        path = WEIGHTS / f"SR_VAE_{name}.safetensors"
    if not path.is_file():
        shipped = ", ".join(available_models()) or "none"
        raise FileNotFoundError(f"no model {str(name)!r}: neither a weights file nor one of those shipped ({shipped})")
    if path.suffix == ".caffemodel":
        if scale is None:
            raise ValueError("a .caffemodel does not say its scale: give scale=4 or scale=8")
        model = _from_caffemodel(path, scale)
    elif path.suffix == ".safetensors":
        model = _from_safetensors(path, scale)
    else:
        raise ValueError(f"{path} is neither a .safetensors nor a .caffemodel file")
    return model.eval().requires_grad_(False).to(device=device, memory_format=torch.channels_last)


def save_model(model: SRVAE, path: str | os.PathLike, *, compact: bool = True, base: str = "", **notes: object) -> None:
    """Write the weights that inference needs (no encoder) as safetensors, beside the target and then renamed.

    Args:
        compact: generator1 on the LR grid, it and convolutions float16, the other fully connected weights int8 with a
            float32 scale for each row (and its largest number apart); False keeps float32 and the layout as it is.
        base: name of a model in the same folder ("4x-D"): what equals its weights as stored is left out, and comes from
            there when the file is loaded.
        notes: for the file's metadata, as JSON, such as ``variant="D"``.

    Raises:
        FileNotFoundError: no such base.
        ValueError: when a weight is NaN or infinite; what is there already stays.
    """
    tensors: dict[str, Tensor] = {}
    for layer in model.layers:
        if _is_encoder(layer.name):
            continue
        module = model.get_submodule(layer.name)
        for kind, t in module.state_dict().items():
            t = t.detach().cpu().float()
            if not torch.isfinite(t).all():
                raise ValueError(f"{layer.name}.{kind} has values that are not finite")
            if compact and layer.name == "generator1" and kind == "weight" and not model.grid_generator:
                t = GridLinear(model.scale, layer.cout).compress(t)
            # generator1 tells little contrast from much brightness. By int8's rounding errors, which brightness
            # multiplies, g would become the same for every patch; in half precision it stays what it was.
            half = layer.kind in ("conv", "deconv") or layer.name == "generator1"
            if compact and layer.kind == "fc" and not half and kind == "weight":
                # Latents have a place each, so one weight per row may dwarf the rest, which int8 would then lose.
                at = t.abs().argmax(1, keepdim=True)
                peak = t.gather(1, at)
                t = t.scatter(1, at, 0.0)
                row_scale = t.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
                parts = {"scale": row_scale, "peak": peak, "peak_at": at.int()}
                tensors |= {f"{layer.name}.{k}": v[:, 0].contiguous() for k, v in parts.items()}
                t = (t / row_scale).round().to(torch.int8)
            elif compact and half and kind == "weight":
                t = t.half()
            tensors[f"{layer.name}.{kind}"] = t.contiguous()
    grid = compact or model.grid_generator
    meta = {"format": FORMAT, "scale": model.scale, "residual": model.residual, "grid_generator": grid}
    path = Path(path)
    if base:
        shared, digest = _read_base(path, base)
        tensors = {k: t for k, t in tensors.items() if k not in shared or not torch.equal(t, shared[k])}
        meta |= {"base": base, "base_digest": digest}
    part = path.with_name(path.name + ".part")
    try:
        save_file(tensors, part, {k: json.dumps(v) for k, v in (meta | notes).items()})
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _is_encoder(name: str) -> bool:
    return name.startswith("encoder") or name in ("ip1", "ip2", "ip3")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as f:
            return {k: f.get_tensor(k) for k in f.keys()}, f.metadata() or {}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no readable safetensors file, perhaps cut short: {error}") from error


def _read_base(path: Path, base: str) -> tuple[dict[str, Tensor], str]:
    """The tensors as stored, and a digest, of the model beside ``path`` whose weights it shares."""
    file = path.with_name(f"SR_VAE_{base}.safetensors")
    if not file.is_file():
        raise FileNotFoundError(f"{path} holds only what differs from {base}, whose file {file} is not there")
    return _read_safetensors(file)[0], hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _from_safetensors(path: Path, scale: int | None) -> SRVAE:
    tensors, notes = _read_safetensors(path)
    meta = {}
    with suppress(KeyError, json.JSONDecodeError):
        meta = {k: json.loads(notes[k]) for k in ("format", "scale", "residual", "grid_generator")}
    if meta.get("format") != FORMAT:
        raise ValueError(f"{path} is no SR-VAE weights file: its metadata lack what {FORMAT!r} files say")
    if scale is not None and meta["scale"] != scale:
        raise ValueError(f"{path} holds a {meta['scale']}x model, not {scale}x")
    if "base" in notes:
        base = json.loads(notes["base"])
        shared, digest = _read_base(path, base)
        if digest != json.loads(notes["base_digest"]):
            raise ValueError(f"{path} shares the weights of another {base} than the one beside it")
        tensors = shared | tensors
    for name in [k for k, t in tensors.items() if t.dtype == torch.int8]:
        layer, (rows, columns) = name.removesuffix("weight"), tensors[name].shape
        row_scale, peak, at = (tensors.pop(layer + k, torch.empty(0)) for k in ("scale", "peak", "peak_at"))
        if any(t.shape != (rows,) for t in (row_scale, peak, at)) or not ((at >= 0) & (at < columns)).all():
            raise ValueError(f"{path}: {name} is int8 but has not one scale and one peak per row")
        tensors[name] = (tensors[name].float() * row_scale[:, None]).scatter(1, at.long()[:, None], peak[:, None])
    model = SRVAE(meta["scale"], residual=meta["residual"], grid_generator=meta["grid_generator"])
    _fill(model, tensors, path)
    model.temperature = float(json.loads(notes.get("temperature", "0.0")))
    return model


def _fill(model: SRVAE, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy tensors into a model; every name and shape must fit."""
    state = model.state_dict()
    wrong = [f"missing {k}" for k in state if k not in tensors]
    wrong += [f"unknown {k}" for k in tensors if k not in state]
    for k, t in tensors.items():
        if k in state and t.shape != state[k].shape:
            wrong.append(f"{k} is {tuple(t.shape)}, should be {tuple(state[k].shape)}")
        elif not torch.isfinite(t).all():
            wrong.append(f"{k} has values that are not finite")
    if wrong:
        raise ValueError(f"{path} does not fit the {model.scale}x SR-VAE: {'; '.join(wrong)}")
    model.load_state_dict({k: t.float() for k, t in tensors.items()})


@cache
def _caffe_net_message() -> Callable:
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
    net = _caffe_net_message()()
    try:
        net.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError lives in a private module of some backends
        raise ValueError(f"{path} is no readable .caffemodel, perhaps cut short: {error}") from error
    blobs = {layer.name: layer.blobs for layer in [*net.layers, *net.layer] if layer.blobs}
    if not blobs:
        raise ValueError(f"{path} is no .caffemodel: it holds no layer with weights")
    return blobs


def _array(blob: object, where: str) -> Tensor:
    """A blob's numbers in the shape that it says, float32."""
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    if len(blob.data) != 4 * math.prod(shape):
        raise ValueError(f"{where} holds {len(blob.data) / 4:g} numbers for the shape {shape}")
    return torch.from_numpy(np.frombuffer(blob.data, "<f4").copy()).view(shape)


def read_caffemodel(path: str | os.PathLike) -> dict[str, list[Tensor]]:
    """The blobs of any .caffemodel file by layer name, float32: weights, then biases.

    Raises:
        ValueError: no such file, cut short, or without weights.
    """
    return {k: [_array(b, f"{path}: {k}") for b in blobs] for k, blobs in _caffe_blobs(Path(path)).items()}


def _from_caffemodel(path: Path, scale: int) -> SRVAE:
    """Weights of the authors' Caffe nets, V2 layers or the old V1 form, deploy (SR) or training (SR_res).

    The encoder is read where the file holds it whole. Layers that a training snapshot has besides (VGG, the
    HR branch's copies of the features) are left aside with a warning that names them.
    """
    blobs = _caffe_blobs(path)
    encoder = {"encoder1", "encoder2", "encoder3", "ip1", "ip2", "ip3"} <= blobs.keys()
    model = SRVAE(scale, encoder=encoder, residual="SR_res" in blobs)  # trap 3: SR_res means add the input
    tensors = {}
    for layer in model.layers:
        for kind, blob in zip(("weight", "bias"), blobs.get(layer.name, ()), strict=False):
            t = _array(blob, f"{path}: {layer.name}")
            want = model.state_dict()[f"{layer.name}.{kind}"].shape
            core = lambda dims: [d for d in dims if d != 1]  # noqa: E731 (V1 pads shapes with ones)
            tensors[f"{layer.name}.{kind}"] = t.view(want) if core(t.shape) == core(want) else t
    spare = [n for n in blobs if n not in {row.name for row in model.layers}]
    if spare:
        warnings.warn(f"{path}: layers left aside: {', '.join(spare)}", stacklevel=3)
    _fill(model, tensors, path)
    return model


# ---------------------------------------------------------------------------------------------------------
# Images and resampling
# ---------------------------------------------------------------------------------------------------------


def check_image(image: np.ndarray, what: str = "image") -> np.ndarray:
    """The image itself if it is one: (H, W), (H, W, 3) or (H, W, 4); uint8, uint16 or float in [0, 1].

    Raises:
        TypeError: not an array, or of another dtype.
        ValueError: wrong shape, empty, NaN or infinite.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{what} must be a NumPy array, not {type(image).__name__}; read files with read_image(path)")
    if image.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise TypeError(f"{what} must be uint8, uint16 or float in [0, 1], not {image.dtype}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise ValueError(f"{what} must be of shape (H, W), (H, W, 3) or (H, W, 4), not {image.shape}")
    if 0 in image.shape:
        raise ValueError(f"{what} is empty: its shape is {image.shape}")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ValueError(f"{what} has NaN or infinite values")
    return image


def read_image(source: str | os.PathLike | bytes | bytearray | memoryview) -> np.ndarray:
    """An image file, or the bytes of one: (H, W, 3) RGB or (H, W, 4) with alpha, uint8 or uint16.

    Grey files become RGB; the EXIF rotation is applied.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no image, or one that OpenCV cannot read.
    """
    given = isinstance(source, bytes | bytearray | memoryview)
    data, name = (source, "the data given") if given else (Path(source).read_bytes(), str(source))
    image = None
    if data:
        with suppress(cv2.error):
            buffer = np.frombuffer(data, np.uint8)
            image, kinds, chunks = cv2.imdecodeWithMetadata(buffer, flags=cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(f"{name} is no image that can be read (PNG, JPEG, TIFF, BMP and WebP can)")
    if image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{name} has {image.dtype} samples; 8 and 16 bit can be read")
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    else:
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    # OpenCV turns images by their EXIF tag only where it drops the alpha channel, so it is done here.
    exif = [bytes(c) for k, c in zip(kinds, chunks, strict=True) if k == cv2.IMAGE_METADATA_EXIF]
    quarters, mirrored = EXIF_TURNS.get(_exif_orientation(exif[0]) if exif else 1, (0, False))
    image = np.rot90(image, quarters)
    return np.ascontiguousarray(image[:, ::-1] if mirrored else image)


# EXIF orientation -> quarter turns to the left, then whether to mirror left and right.
EXIF_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}


def _exif_orientation(exif: bytes) -> int:
    """Tag 0x0112 of the first directory of an EXIF block; 1 (upright) where there is none."""
    order = {b"MM": "big", b"II": "little"}.get(exif[:2])
    if order is None:
        return 1
    number = lambda at, size: int.from_bytes(exif[at : at + size], order)  # noqa: E731
    start = number(4, 4)
    for entry in range(start + 2, start + 2 + 12 * number(start, 2), 12):
        if number(entry, 2) == 0x0112:
            return number(entry + 8, 2)
    return 1


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write (H, W), (H, W, 3) RGB or (H, W, 4) uint8 or uint16 in the format that the file name says.

    Raises:
        ValueError: a format that OpenCV does not know or that cannot hold 16 bit, or float samples.
    """
    path = Path(path)
    if check_image(image).dtype.kind == "f":
        raise ValueError("image files hold 8 or 16 bit, not float: convert first")
    if image.dtype == np.uint16 and path.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise ValueError(f"{path}: only PNG and TIFF files take 16 bit")
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    try:
        _, data = cv2.imencode(path.suffix, image)
    except cv2.error as error:
        raise ValueError(f"{path}: cannot write {path.suffix or 'a file without an ending'} files") from error
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data.tobytes())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _peak(dtype: np.dtype) -> int:
    return {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(np.dtype(dtype), 1)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """The colours of a grey, RGB or RGBA image, (H, W, 3) of the same dtype."""
    return np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image[..., :3]


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W) or (H, W, C) of any image dtype -> (1, C, H, W) float32 in [0, 1]."""
    x = image.astype(np.float32) / _peak(image.dtype)
    return torch.from_numpy(np.atleast_3d(x)).permute(2, 0, 1)[None].contiguous()


def to_image(x: Tensor, dtype: np.dtype) -> np.ndarray:
    """(1, C, H, W) in [0, 1] -> (H, W, C), clipped and rounded unless float is asked for."""
    y = x[0].permute(1, 2, 0).cpu().numpy()
    if np.dtype(dtype).kind == "f":
        return y.astype(dtype)
    return np.rint(np.clip(y, 0, 1) * _peak(dtype)).astype(dtype)


def bicubic(x: Tensor, scale: int, *, up: bool, peak: int | None = None) -> Tensor:
    """MATLAB's imresize by a whole factor: (B, C, H, W) enlarged, or reduced with antialiasing.

    Keys' kernel with a = -0.5, widened by the factor when reducing; the border is replicated. torch has this
    kernel (unlike OpenCV, whose a is -0.75) where antialias is True.

    Args:
        x: values in [0, 1].
        peak: 255 or 65535 rounds to that many steps after each of the two passes, rows first, as MATLAB does with
            integer images: the LR images in common use are then met bit for bit. None does not round.
    """
    pad = 4 if up else 4 * scale  # more than the kernel reaches
    crop = 4 * scale if up else 4
    y = x.cpu() if x.device.type == "mps" else x
    if peak is not None:  # ties are common, so compute in whole steps and without error
        y = (y.double() * peak).round()
    for axes in ((2, 3),) if peak is None else ((2,), (3,)):
        size = [n + 2 * pad if axis in axes else n for axis, n in enumerate(y.shape)]
        padding = [pad * (3 in axes), pad * (3 in axes), pad * (2 in axes), pad * (2 in axes)]
        size = [(n * scale if up else n // scale) if axis in axes else n for axis, n in enumerate(size)]
        y = F.interpolate(F.pad(y, padding, mode="replicate"), size=size[2:], mode="bicubic", antialias=True)
        for axis in axes:
            y = y.narrow(axis, crop, y.shape[axis] - 2 * crop)
        if peak is not None:
            y = (y.clamp(0, peak) + 0.5).floor()
    return (y if peak is None else y / peak).to(x)


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic enlargement of an image, (H, W[, C]) -> (scale*H, scale*W[, C]) of the same dtype."""
    return _resample(image, scale, up=True)


def downscale(image: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic reduction with antialiasing, (scale*H, scale*W[, C]) -> (H, W[, C]) of the same dtype.

    Raises:
        ValueError: when a side is no multiple of the scale (see :func:`crop_to_multiple`).
    """
    return _resample(image, scale, up=False)


def _resample(image: np.ndarray, scale: int, *, up: bool) -> np.ndarray:
    if not isinstance(scale, int) or scale < 1:
        raise ValueError(f"scale must be a positive whole number, not {scale!r}")
    peak = None if check_image(image).dtype.kind == "f" else _peak(image.dtype)
    if not up and any(n % scale for n in image.shape[:2]):
        raise ValueError(f"{image.shape[0]}x{image.shape[1]} is no multiple of {scale}: use crop_to_multiple first")
    y = to_image(bicubic(to_tensor(image), scale, up=up, peak=peak), image.dtype)
    return y[..., 0] if image.ndim == 2 else y


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """The image without the last rows and columns that make its sides no multiple of the scale."""
    h, w = check_image(image).shape[:2]
    return image[: h - h % scale, : w - w % scale]


# ---------------------------------------------------------------------------------------------------------
# Inference
# ---------------------------------------------------------------------------------------------------------

BLOCK = 1024  # edge of what is computed at once, in pixels of the answer: bounds the memory
HALO = 16  # LR samples computed around a block and thrown away: all that convolutions see
DECODER_HALO = 9  # the same where the features are at hand: 7 reach into the decoder, the rest is for back-projection
DRAFT_HALO = 5  # and for pictures in motion: off by a grey level at their edge, by a few at 8x
CONSISTENCY_STEPS = 3
Rect = tuple[int, int, int, int]  # top, left, height, width, in LR samples


def turn(x: Tensor, k: int) -> Tensor:
    """The k-th of the 8 flips and rotations of (B, C, H, W)."""
    x = torch.rot90(x, k % 4, (2, 3))
    return x.flip(3) if k >= 4 else x


def unturn(x: Tensor, k: int) -> Tensor:
    """Undo :func:`turn`."""
    return torch.rot90(x.flip(3) if k >= 4 else x, -(k % 4), (2, 3))


def noise(seed: int | torch.Generator, tiles: int) -> Tensor:
    """eps ~ N(0, 1) for every tile, (tiles, 1024); drawn on the CPU, so the same on every device."""
    g = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    return torch.randn(tiles, LATENTS, generator=g)


class LatentField:
    """z for an image of any size: overlapping 128x128 tiles whose latent maps are blended into one.

    Only the fully connected layers need tiles. Neighbours overlap by a quarter. What z = 0 gives is blended with
    weights that sum to one, what the noise adds with their square roots, so that its variance
    stays the same across an overlap.

    Args:
        model: the network.
        lr: (1, 3, h, w) in [0, 1].
        eight_bit: whether lr came from an 8-bit image.
    """

    def __init__(self, model: SRVAE, lr: Tensor, eight_bit: bool) -> None:
        self.model, self.size = model, lr.shape[-2:]
        self.tile = PATCH // model.scale
        self.step = self.tile * 3 // 4
        self.grid = tuple(max(0, math.ceil((n - self.tile) / self.step)) + 1 for n in self.size)
        self.tiles = self.grid[0] * self.grid[1]
        self.canvas = tuple((n - 1) * self.step + self.tile for n in self.grid)
        pads = [
            np.pad(np.arange(n), (4, c - n + 4), mode="symmetric") for n, c in zip(self.size, self.canvas, strict=True)
        ]
        rows, cols = (torch.from_numpy(p).to(lr.device) for p in pads)
        context = lr[..., rows, :][..., cols]
        g = []
        for i in range(self.grid[0]):  # a row of tiles at a time bounds the memory
            band = context[..., i * self.step : i * self.step + self.tile + 8, :].unfold(3, self.tile + 8, self.step)
            edge = 4 * model.scale  # room for the kernel around each tile
            up = _enlarged(band[0].permute(2, 0, 1, 3), model.scale, eight_bit)  # (tiles of the row, 3, ., .)
            g.append(model.generator(up[..., edge:-edge, edge:-edge]))
        self.g = torch.cat(g)  # (tiles, 1024)
        ramp = (torch.arange(self.tile - self.step) + 0.5) / (self.tile - self.step)
        self.weight = torch.stack([self._weights(ramp, a, b) for a in range(self.grid[0]) for b in range(self.grid[1])])
        self.weight = self.weight.to(lr.device)
        self.zero = model.latent_map(torch.zeros_like(self.g[:1]))  # (1, C, tile, tile)
        self.rest = self._blend(self.zero * self.weight[:, None])

    def _weights(self, ramp: Tensor, row: int, col: int) -> Tensor:
        """Blending weights of one tile, (tile, tile): ramps towards neighbours, 1 at the image's border."""
        sides = []
        for i, n in ((row, self.grid[0]), (col, self.grid[1])):
            w = torch.ones(self.tile)
            if i > 0:
                w[: len(ramp)] = ramp
            if i < n - 1:
                w[-len(ramp) :] = ramp.flip(0)
            sides.append(w)
        return sides[0][:, None] * sides[1]

    def _blend(self, maps: Tensor) -> Tensor:
        """(tiles, C, tile, tile) -> their sum on the image, (1, C, h, w)."""
        columns = maps.flatten(1).T[None]  # (1, C * tile * tile, tiles)
        whole = F.fold(columns, self.canvas, self.tile, stride=self.step)
        return whole[..., : self.size[0], : self.size[1]]

    def z(self, eps: Tensor, temperature: float) -> Tensor:
        """z = temperature * 0.1 * g(LR) * eps, (tiles, 1024)."""
        return temperature * PRIOR_SD * self.g * eps.to(self.g.device)

    def map(self, z: Tensor | None, seen: Tensor | None = None) -> Tensor:
        """The blended latent map of the image, (1, C, h, w); None for z = 0.

        Where ``seen``, (1, 1, h, w) of ones and zeros, is given, the map is right at its ones only, and quicker made.
        """
        if z is None:
            return self.rest
        change = self.zero.new_zeros(len(z), *self.zero.shape[1:])
        tiles = torch.arange(len(z))
        if seen is not None:
            pad = [0, self.canvas[1] - self.size[1], 0, self.canvas[0] - self.size[0]]
            tiles = F.max_pool2d(F.pad(seen, pad), self.tile, self.step).flatten().nonzero()[:, 0]
        change[tiles] = (self.model.latent_map(z[tiles]) - self.zero) * self.weight[tiles, None].sqrt()
        return self.rest + self._blend(change)


def _enlarged(lr: Tensor, scale: int, eight_bit: bool) -> Tensor:
    """The enlarged LR as the network was trained to see it: in [0, 1], an 8-bit image where it came from one."""
    return bicubic(lr, scale, up=True, peak=255 if eight_bit else None).clamp(0, 1)


def consistent(y: Tensor, lr: Tensor, scale: int) -> Tensor:
    """Back-project (B, 3, s*H, s*W): add what the downscaled answer lacks of LR, (B, 3, H, W), a few times over."""
    for _ in range(CONSISTENCY_STEPS):
        y = y + bicubic(lr - bicubic(y, scale, up=False), scale, up=True)
    return y


class Sampler:
    """Encodes an LR image once and decodes it for many latents: what a slider calls.

    Args:
        model: the network; answers come from the device it is on.
        lr: (H, W, 3) uint8, uint16 or float in [0, 1]; also (H, W) and, with alpha, (H, W, 4).
        consistency: back-project each answer until its downscaled version matches the LR image.
        self_ensemble: average over the 8 flips and rotations (8 times the time).
        cache: keep the encoded image, 64 numbers for each LR pixel and three for each of the answer; False encodes each
            block anew when it is decoded, in memory that does not grow with the image.

    Attributes, for each turn of the self-ensemble where they are lists:
        pixels: the LR image, (1, 3, H, W) float32 in [0, 1].
        fields: its :class:`LatentField`.
        codes: the encoded image (1, 64, H, W) and the enlarged LR (1, 3, s*H, s*W), turned back; none without a cache.

    Raises:
        TypeError, ValueError: when lr is no image (see :func:`check_image`).
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: SRVAE,
        lr: np.ndarray,
        *,
        consistency: bool = True,
        self_ensemble: bool = False,
        cache: bool = True,
    ) -> None:
        self.model, self.lr, self.consistency = model, check_image(lr, "lr"), consistency
        self.rect = (0, 0, *lr.shape[:2])
        self.pixels = _rgb_tensor(lr).to(next(model.parameters()).device)  # (1, 3, h, w)
        self._turns = range(8 if self_ensemble else 1)
        self.fields = [LatentField(model, turn(self.pixels, k), lr.dtype == np.uint8) for k in self._turns]
        self.codes: list[tuple[Tensor, Tensor]] = []
        if cache:
            for k in self._turns:
                turned = turn(self.pixels, k)
                code = turned.new_empty(1, 64, *turned.shape[-2:])
                for y, x, h, w in _blocks((0, 0, *turned.shape[-2:]), model.scale):
                    top, left, height, width = _with_halo((y, x, h, w), turned.shape[-2:])
                    one, _ = self._encode(turned[..., top : top + height, left : left + width])
                    code[..., y : y + h, x : x + w] = one[..., y - top : y - top + h, x - left : x - left + w]
                self.codes.append((unturn(code, k), self._enlarge(self.pixels)))

    @property
    def tiles(self) -> int:
        """How many 128x128 tiles, each with 1,024 latents of its own, cover the image."""
        return self.fields[0].tiles

    @torch.inference_mode()
    def __call__(
        self,
        seed: int = 0,
        temperature: float = 1.0,
        *,
        eps: Tensor | None = None,
        region: Rect | None = None,
        draft: bool = False,
        progress: bool = False,
        as_float: bool = False,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """One answer: decodes only, from what is cached.

        Args:
            seed: of the noise; the same seed gives the same picture on any device.
            temperature: multiplies the prior's standard deviation 0.1; 0 is the deterministic answer.
            eps: (tiles, 1024) noise to use in the place of the seed's.
            region: (top, left, height, width) in LR samples, to decode that part alone.
            draft: for pictures in motion: see less around a region, and convolve in bfloat16 where the CPU does so
                natively, in half the time; the grey levels that this is off by are lost in a JPEG.
            progress: show a bar (tqdm).
            as_float: give float32, neither clipped nor rounded.
            out: an array to write into.

        Returns:
            (s*H, s*W[, C]) of the LR image's dtype and channels.
        """
        rect = self.rect if region is None else _checked_region(region, self.rect)
        halo = HALO if not self.codes else DRAFT_HALO if draft else DECODER_HALO
        maps = self._maps(seed, temperature, eps, None if region is None else _with_halo(rect, self.rect[2:], halo))
        blocks = list(_blocks(rect, self.model.scale))
        with tqdm(total=len(blocks) * len(maps), disable=not progress, unit="block") as bar:
            pieces = ((block, self._decode(block, maps, bar, halo, draft)) for block in blocks)
            return _assemble(self.lr, self.model.scale, rect, pieces, as_float, out)

    def _maps(self, seed: int, temperature: float, eps: Tensor | None, rect: Rect | None = None) -> list[Tensor]:
        """The image's latent map, or what is right in a part of it, for each turn, turned back, (1, C, h, w)."""
        shape = (self.tiles, LATENTS)
        if eps is not None and tuple(eps.shape) != shape:
            raise ValueError(f"eps must be of shape {shape} for this image, not {tuple(eps.shape)}")
        seen = None
        if rect is not None:
            top, left, height, width = rect
            seen = self.pixels.new_zeros(1, 1, *self.rect[2:])
            seen[..., top : top + height, left : left + width] = 1
        generator, maps = _generator(seed, temperature), []
        for k, field in zip(self._turns, self.fields, strict=True):
            draw = noise(generator, field.tiles) if eps is None else eps
            z = field.z(draw, temperature) if temperature else None
            maps.append(unturn(field.map(z, None if seen is None else turn(seen, k)), k))
        return maps

    def _decode(self, block: Rect, maps: list[Tensor], bar: tqdm, halo: int, draft: bool) -> Tensor:
        """One rectangle of the answer, (1, 3, s*h, s*w), computed with a halo that is thrown away."""
        s = self.model.scale
        (y, x, h, w), (top, left, height, width) = block, _with_halo(block, self.rect[2:], halo)
        lr = self.pixels[..., top : top + height, left : left + width]
        answer = torch.zeros(())
        for k, latent_map in zip(self._turns, maps, strict=True):
            if self.codes:
                code = turn(self.codes[k][0][..., top : top + height, left : left + width], k)
                rows, cols = slice(top * s, (top + height) * s), slice(left * s, (left + width) * s)
                up = turn(self.codes[k][1][..., rows, cols], k)
            else:
                code, up = self._encode(turn(lr, k))
            latent_map = turn(latent_map[..., top : top + height, left : left + width], k)
            with torch.autocast("cpu", torch.bfloat16, enabled=draft and code.device.type == "cpu" and has_bfloat16()):
                one = self.model.reconstruct(code, latent_map, up)
            answer = answer + unturn(one, k) / len(maps)
            bar.update()
        if self.consistency:
            answer = consistent(answer, lr, s)
        y, x = (y - top) * s, (x - left) * s
        return answer[..., y : y + h * s, x : x + w * s]

    def _enlarge(self, lr: Tensor) -> Tensor:
        return _enlarged(lr, self.model.scale, self.lr.dtype == np.uint8)

    def _encode(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        up = self._enlarge(lr)
        return self.model.input_code(self.model.features(up)), up


def has_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16; emulated, it would be slower than float32."""
    return torch.cpu._is_avx512_bf16_supported()


def _rgb_tensor(image: np.ndarray) -> Tensor:
    """The colours of a grey, RGB or RGBA image, (1, 3, H, W)."""
    x = to_tensor(as_rgb(image))
    if x.abs().max() > 2:  # bicubic reduction overshoots, but never that far
        raise ValueError(f"lr is float and reaches {x.abs().max():g}: float images are read as [0, 1]")
    return x


def _generator(seed: int, temperature: float) -> torch.Generator:
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be a finite number of at least 0, not {temperature!r}")
    return torch.Generator().manual_seed(seed)


def _checked_region(region: Rect, whole: Rect) -> Rect:
    inside = len(region) == 4 and min(region[:2]) >= 0 and min(region[2:]) >= 1
    if not inside or region[0] + region[2] > whole[2] or region[1] + region[3] > whole[3]:
        raise ValueError(f"region {region} (top, left, height, width) is not inside the {whole[2]}x{whole[3]} LR image")
    return region


def _blocks(rect: Rect, scale: int) -> Iterator[Rect]:
    """Cut a rectangle into nearly equal blocks of at most BLOCK pixels of the answer a side."""
    top, left, height, width = rect
    rows, cols = (math.ceil(n * scale / BLOCK) for n in (height, width))
    for r in range(rows):
        for c in range(cols):
            y, x = r * height // rows, c * width // cols
            yield top + y, left + x, (r + 1) * height // rows - y, (c + 1) * width // cols - x


def _with_halo(block: Rect, size: tuple[int, int], halo: int = HALO) -> Rect:
    y, x, h, w = block
    top, left = max(y - halo, 0), max(x - halo, 0)
    return top, left, min(y + h + halo, size[0]) - top, min(x + w + halo, size[1]) - left


def _assemble(
    lr: np.ndarray,
    scale: int,
    rect: Rect,
    pieces: Iterable[tuple[Rect, Tensor]],
    as_float: bool,
    out: np.ndarray | None,
) -> np.ndarray:
    """Put answers for blocks, (1, 3, s*h, s*w), into one image of the LR image's dtype and channels."""
    dtype = np.dtype(np.float32) if as_float else lr.dtype
    shape = (rect[2] * scale, rect[3] * scale, *lr.shape[2:])
    if out is None:
        out = np.empty(shape, dtype)
    elif not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
    elif out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must be of shape {shape} and {dtype}, not {out.shape} and {out.dtype}")
    for block, answer in pieces:
        y, x, h, w = block
        target = out[(y - rect[0]) * scale :, (x - rect[1]) * scale :][: h * scale, : w * scale]
        if lr.ndim == 2:  # BT.601 luma over the full range
            weights = torch.tensor([0.299, 0.587, 0.114], device=answer.device)
            target[:] = to_image((answer * weights.view(1, 3, 1, 1)).sum(1, keepdim=True), dtype)[..., 0]
        else:
            target[..., :3] = to_image(answer, dtype)
        if lr.shape[2:] == (4,):  # the network never sees alpha
            top, left, height, width = _with_halo(block, lr.shape[:2])
            alpha = bicubic(to_tensor(lr[top : top + height, left : left + width, 3]), scale, up=True)
            alpha = alpha[..., (y - top) * scale :, (x - left) * scale :][..., : h * scale, : w * scale]
            target[..., 3] = to_image(alpha.clamp(0, 1), dtype)[..., 0]
    return out


def _release_answer(model: SRVAE, lr: np.ndarray, temperature: float, seed: int, turns: int, progress: bool) -> Tensor:
    """The release's test: 128x128 tiles at stride 64, each alone with noise of its own, overlaps averaged.

    The last row and column of tiles end at the image's border. Images below 128 pixels, which crash
    the release (trap 5), are mirrored up to one tile. Returns (1, 3, s*H, s*W).
    """
    generator = _generator(seed, temperature)
    device = next(model.parameters()).device
    whole = _enlarged(_rgb_tensor(lr).to(device), model.scale, lr.dtype == np.uint8)
    height, width = whole.shape[-2:]
    index = [np.pad(np.arange(n), (0, max(0, PATCH - n)), mode="symmetric") for n in (height, width)]
    whole = whole[..., torch.from_numpy(index[0]).to(device), :][..., torch.from_numpy(index[1]).to(device)]
    mean = torch.zeros_like(whole)
    starts = [sorted({*range(0, n - PATCH + 1, PATCH // 2), n - PATCH}) for n in whole.shape[-2:]]
    with tqdm(total=turns * len(starts[0]) * len(starts[1]), disable=not progress, unit="tile") as bar:
        for k in range(turns):
            up = turn(whole, k)
            total, count = torch.zeros_like(up), torch.zeros_like(up[:, :1])
            rows, cols = starts if k % 2 == 0 else starts[::-1]
            for y in rows:
                for x in cols:
                    window = (..., slice(y, y + PATCH), slice(x, x + PATCH))
                    tile = up[window]
                    eps = noise(generator, 1).to(device)
                    total[window] += model(tile, temperature * PRIOR_SD * model.generator(tile) * eps)
                    count[window] += 1
                    bar.update()
            mean += unturn(total / count, k) / turns
    return mean[..., :height, :width]


def super_resolve(
    lr: np.ndarray,
    model: SRVAE,
    *,
    temperature: float | None = None,
    seed: int = 0,
    tiling: str = "whole",
    self_ensemble: bool = False,
    consistency: bool = True,
    progress: bool = False,
    device: str | torch.device | None = None,
    as_float: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Enlarge an image by the model's scale.

    Args:
        lr: (H, W, 3) uint8; also uint16 or float in [0, 1], (H, W) grey, (H, W, 4) with alpha; from 1x1 up.
        model: from :func:`load_model`.
        temperature: multiplies the prior's standard deviation 0.1 in z = temperature * 0.1 * g(LR) * eps; 0 is
            the deterministic answer, 1 the prior, 10 what the release's deploy nets draw. None is the model's own:
            0 for D, a little above for P, whose answers are mild samples (as the release's always are samples).
        seed: of eps; the same seed gives the same picture.
        tiling: "whole" computes the convolutions once over the image, in blocks of bounded memory; "release"
            runs 128x128 tiles at stride 64 one at a time, each with noise of its own, and averages overlaps.
        self_ensemble: average the answers for the 8 flips and rotations, as the release's notebooks do.
        consistency: back-project the answer until its downscaled version matches lr; the release does not.
        progress: show a bar (tqdm).
        device: move the model there first, for example "cuda"; None leaves it where it is.
        as_float: give float32, neither clipped nor rounded, as the release measures it.
        out: an array to write into, such as a np.memmap for answers larger than memory.

    Returns:
        (s*H, s*W[, C]) of the dtype and channels of lr.

    Raises:
        TypeError, ValueError: lr is no image, or an option has no such value.
    """
    if tiling not in ("whole", "release"):
        raise ValueError(f'tiling must be "whole" or "release", not {tiling!r}')
    if device is not None:
        model.to(device)
    if temperature is None:
        temperature = model.temperature
    if tiling == "whole":
        sampler = Sampler(model, lr, consistency=consistency, self_ensemble=self_ensemble, cache=False)
        return sampler(seed, temperature, progress=progress, as_float=as_float, out=out)
    with torch.inference_mode():
        turns = 8 if self_ensemble else 1
        answer = _release_answer(model, check_image(lr, "lr"), temperature, seed, turns, progress)
        if consistency:
            answer = consistent(answer, _rgb_tensor(lr).to(answer.device), model.scale)
        rect = (0, 0, *lr.shape[:2])
        return _assemble(lr, model.scale, rect, [(rect, answer)], as_float, out)


# ---------------------------------------------------------------------------------------------------------
# Metrics
# ---------------------------------------------------------------------------------------------------------


LUMA = (65.481, 128.553, 24.966)  # ITU-R BT.601: Y = 16 + LUMA . RGB, RGB in [0, 1] and Y from 16 to 235


def _unit(image: np.ndarray, what: str) -> np.ndarray:
    """RGB in [0, 1] float64, (H, W, 3), as it is: float images are neither clipped nor rounded."""
    return as_rgb(check_image(image, what)).astype(np.float64) / _peak(image.dtype)


def _luma_pair(a: np.ndarray, b: np.ndarray, border: int) -> tuple[np.ndarray, np.ndarray]:
    """Y of two images on the scale of 255, a border removed.

    ITU-R BT.601, 16 to 235, not rounded. Where the second image, the reference, is grey (R == G
    everywhere), channel 0 of both is taken as it is, as the release does.
    """
    x, y = _unit(a, "the first image"), _unit(b, "the second image")
    if x.shape != y.shape:
        raise ValueError(f"the images differ in size: {a.shape} and {b.shape}")
    if border < 0 or 2 * border >= min(x.shape[:2]):
        raise ValueError(f"a border of {border} leaves nothing of {x.shape[0]}x{x.shape[1]} pixels")
    if np.array_equal(y[..., 0], y[..., 1]):
        pair = x[..., 0] * 255, y[..., 0] * 255
    else:
        pair = tuple(16 + image @ np.array(LUMA) for image in (x, y))
    inner = slice(border, -border or None)
    return pair[0][inner, inner], pair[1][inner, inner]


def psnr_y(a: np.ndarray, b: np.ndarray, border: int) -> float:
    """PSNR in dB of an answer a against the reference b on Y; inf where they are equal.

    Args:
        a, b: images of one size; integer or, unrounded as the release measures, float in [0, 1].
        border: pixels left out on every side; the scale, by custom.
    """
    x, y = _luma_pair(a, b, border)
    error = np.mean((x - y) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else math.inf


def ssim_y(a: np.ndarray, b: np.ndarray, border: int) -> float:
    """SSIM on Y: 11x11 Gaussian window of sigma 1.5, K1 0.01, K2 0.03; arguments as for :func:`psnr_y`.

    Raises:
        ValueError: also when less than 11x11 pixels are left.
    """
    x, y = _luma_pair(a, b, border)
    if min(x.shape) < 11:
        raise ValueError(f"SSIM needs 11x11 pixels, {x.shape[0]}x{x.shape[1]} are left")
    return float(
        structural_similarity(x, y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    )


def lr_psnr(out: np.ndarray, lr: np.ndarray, scale: int) -> float:
    """PSNR in dB over RGB between the LR image and the downscaled answer: how consistent the answer is."""
    x, y = _unit(out, "out"), _unit(lr, "lr")
    if x.shape[:2] != (y.shape[0] * scale, y.shape[1] * scale):
        raise ValueError(f"out {out.shape} is not {scale} times lr {lr.shape}")
    down = bicubic(to_tensor(x), scale, up=False)[0].permute(1, 2, 0).numpy()
    error = np.mean((down - y) ** 2)
    return float(-10 * np.log10(error)) if error else math.inf


def diversity(samples: Sequence[np.ndarray], hr: np.ndarray) -> float:
    """Diversity of samples around the original, in percent (NTIRE 2022, without a perceptual backbone).

    Squared-error maps averaged over RGB and over 16x16 boxes; 100 * (global - local) / global, where global
    is the smallest mean over samples and local the mean of the pixel-wise minimum. 0: no sample is better
    anywhere than the best one; 100: some sample is right at every place.

    Args:
        samples: two or more answers of the size of hr.
        hr: the original.
    """
    if len(samples) < 2:
        raise ValueError(f"diversity needs at least two samples, not {len(samples)}")
    target = _unit(hr, "hr")
    maps = []
    for sample in samples:
        answer = _unit(sample, "a sample")
        if answer.shape != target.shape:
            raise ValueError(f"a sample is of shape {sample.shape}, the original of {hr.shape}")
        maps.append(cv2.blur(((answer - target) ** 2).mean(2), (16, 16)))
    best = min(m.mean() for m in maps)
    return float(100 * (best - np.min(maps, 0).mean()) / best) if best else 0.0
