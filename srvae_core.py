"""SR-VAE in one file: layers, model, weights, inference. Arrays in, arrays out.

Reimplements "Photo-Realistic Image Super-Resolution via Variational Autoencoders" (Z.-S. Liu, W.-C. Siu, Y.-L. Chan,
IEEE TCSVT 31(4), 2021) from the layer tables of the authors' Caffe release (github.com/Holmes-Alan/SR-VAE). Layers have
the names of the release's prototxts, so ``feat1_1`` or ``ip4`` can be searched for here, there and in a weights file::

    import srvae_core as sr
    model = sr.load_model("4x-D")
    answer = sr.super_resolve(lr, model)       # (H, W, 3) uint8 -> (4H, 4W, 3) uint8
    sampler = sr.Sampler(model, lr)            # computes the LR features once
    sample = sampler(seed=3, temperature=0.8)  # only decodes

Models are named by scale and variant: D (distortion) is trained for fidelity, P (perception) for looks.

Shapes are (B, C, H, W) for tensors and (H, W, 3) for images, in RGB order. Image files are read by srvae/images.py,
scores computed by srvae/metrics.py; the release's own way of testing is in srvae/release.py.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from tqdm import tqdm

__version__ = "0.5.0"

SCALES = (4, 8)
PATCH = 128  # the release's patch edge at the target size, fixed by its fully connected generator
LATENTS = 1024  # length of z
PRIOR_SD = 0.1  # p(z) = N(0, 0.1^2), the release's KL term
MVN_EPS = 1e-9  # Caffe's MVN: divide by (standard deviation + eps)
WEIGHTS = Path(__file__).resolve().parent / "data" / "weights"
FORMAT = "srvae-2"  # of weights files

LARGEST_TEMPERATURE = 100
FLOAT_RANGE = (-0.5, 1.5)  # of float images: [0, 1], and as far as interpolation and unrounded answers overshoot

Rect = tuple[int, int, int, int]  # top, left, height, width, in LR pixels

# A child made by fork has none of its parent's threads, and would wait for them for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


# -- Layers: the release's prototxts as one table -----------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """A layer with parameters; ``std`` is the release's Gaussian filler. Biases start at 0, PReLU slopes at 0.25."""

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
    """List the layers of VAE_SR_{4x,8x}.prototxt (training) or, without encoder and residual, of VAE_Deploy_*.

    The encoder is encoder1-3 and ip1-3; ``residual`` names the last layer SR_res rather than SR. Raises ValueError for
    a scale other than 4 and 8.
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


# -- Model --------------------------------------------------------------------------------------------------


def grid_matrix(scale: int) -> Tensor:
    """The bicubic enlargement of one axis of a patch as a matrix, (128, 128 / scale + 4) float64.

    Row i holds the weights of the LR pixels -2 ... 128 / scale + 1 in pixel i of the patch.
    """
    n = PATCH // scale + 4
    # Two more LR pixels on either side keep the border handling of `interpolate` away from the patch. The device is
    # explicit because load_model builds models on the meta device, and this matrix is not in the weights file.
    eye = torch.eye(n + 4, dtype=torch.float64, device="cpu")[None, None]  # (1, 1, position, unit impulse)
    up = F.interpolate(eye, size=((n + 4) * scale, n + 4), mode="bicubic", antialias=True)[0, 0]
    return up[4 * scale : 4 * scale + PATCH, 2 : n + 2].contiguous()


class GridLinear(nn.Linear):
    """``generator1`` on the LR grid: 3*(128/s + 4)^2 columns instead of 49,152, exact but for rounding.

    A patch that is a bicubic enlargement, up = U lr, lies in the column space of U. With Q the orthonormal basis of
    that space nearest to U (its polar factor, so that each basis vector stays centred on one LR pixel),
    W up = (W Q) (Q^T up): this layer holds W Q.
    """

    def __init__(self, scale: int, cout: int) -> None:
        a, _, b = torch.linalg.svd(grid_matrix(scale), full_matrices=False)
        q = (a @ b).float()  # (128, n)
        super().__init__(3 * q.shape[1] ** 2, cout)
        self.register_buffer("q", q, persistent=False)

    def forward(self, up: Tensor) -> Tensor:
        """(B, 3, 128, 128) -> (B, cout)."""
        return F.linear((self.q.T @ up @ self.q).flatten(1), self.weight, self.bias)


class SRVAE(nn.Module):
    """The network of the release: p(HR | LR), sampled through z = temperature * 0.1 * generator(up) * eps.

    ``net(up, z)`` takes up (B, 3, 128, 128) float in [0, 1], the bicubically enlarged LR patch, and z (B, 1024), and
    returns SR (B, 3, 128, 128), neither clipped nor rounded. All but the fully connected layers also take any other
    size divisible by the scale.

    Args:
        scale: 4 or 8.
        encoder: build q(z | LR, HR) too (149 million parameters that only training needs).
        residual: add up to the output, as the release's training nets do; its deploy nets do not.
        grid_generator: hold ``generator1`` on the LR grid (see :class:`GridLinear`).
    """

    def __init__(
        self, scale: int = 4, *, encoder: bool = False, residual: bool = True, grid_generator: bool = False
    ) -> None:
        super().__init__()
        self.scale, self.residual, self.grid_generator = scale, residual, grid_generator
        self.layers = release_layers(scale, encoder=encoder, residual=residual)
        for layer in self.layers:
            grid = grid_generator and layer.name == "generator1"
            module = GridLinear(scale, layer.cout) if grid else layer.build()
            if layer.kind != "prelu" and not module.weight.is_meta:  # slopes start at 0.25 in torch as in Caffe
                nn.init.normal_(module.weight, std=layer.std)
                nn.init.zeros_(module.bias)
            self.add_module(layer.name, module)
        self.units = 3 if scale == 8 else 2  # number of back-projection units, each of which doubles the size
        self.temperature = 0.0  # the default of `super_resolve`

    @property
    def has_encoder(self) -> bool:
        return hasattr(self, "encoder1")

    def features(self, up: Tensor) -> Tensor:
        """feat1_1 ... feat3_2 / feat4_2 of enlarged LR or HR: -> (B, 256, H/4, W/4) at 4x, (B, 512, H/8, W/8) at 8x."""
        x = F.relu(self.feat1_1(up), inplace=True)  # (B, 64, H, W), 67 MB for 512x512 pixels: so in place
        x = F.relu(self.feat1_2(x), inplace=True)
        x = F.relu(self.feat2_1(x), inplace=True)  # (B, 128, H/2, W/2)
        x = F.relu(self.feat2_2(x), inplace=True)
        x = F.relu(self.feat3_1(x), inplace=True)  # (B, 256, H/4, W/4)
        x = self.feat3_2(x)
        if self.scale == 8:
            x = F.relu(self.feat4_1(F.relu(x)))  # (B, 512, H/8, W/8)
            x = self.feat4_2(x)
        return x

    def input_code(self, features: Tensor) -> Tensor:
        """The LR branch, input1 and input2: (B, C, h, w) -> (B, 64, h, w)."""
        return self.input2(F.relu(self.input1(features)))

    def generator(self, up: Tensor) -> Tensor:
        """g(LR), what shapes the noise: generator1, generator2, mvn. (B, 3, 128, 128) -> (B, 1024)."""
        x = F.relu(self.generator1(up if self.grid_generator else up.flatten(1)))  # (B, 512)
        x = F.relu(self.generator2(x))  # (B, 1024)
        x = x - x.mean(1, keepdim=True)  # mvn, per patch
        return x / (x.square().mean(1, keepdim=True).sqrt() + MVN_EPS)

    def encode(self, up: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior q(z | LR, HR): two (B, 3, 128, 128) -> mu, logsd, each (B, 1024). Needs ``encoder=True``."""
        return self.encode_features(self.features(up), self.features(hr))

    def encode_features(self, lr_features: Tensor, hr_features: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`encode`, given LR and HR features."""
        x = F.relu(torch.cat([lr_features, hr_features], 1))  # the paper draws an addition; the prototxts concatenate
        if self.scale == 4:
            x = F.max_pool2d(x, 2)  # so that both scales come to 16x16
        x = F.relu(self.encoder1(x))
        x = F.relu(self.encoder2(x))
        x = F.relu(self.encoder3(x))  # (B, 128, 16, 16)
        x = F.relu(self.ip1(x.flatten(1)))  # (B, 4096)
        x = F.relu(self.ip2(x))  # (B, 2048)
        mu, logsd = self.ip3(x).chunk(2, 1)
        return mu, logsd

    def latent_map(self, z: Tensor) -> Tensor:
        """Decode z to its latent map, ip4 ... ip6: (B, 1024) -> (B, 4, 32, 32), at 8x (B, 16, 16, 16)."""
        x = F.relu(self.ip4(z))  # (B, 2048)
        x = F.relu(self.ip5(x))
        x = F.relu(self.ip6(x))  # (B, 4096)
        return x.unflatten(1, (16, 16, 16) if self.scale == 8 else (4, 32, 32))

    def back_project(self, x: Tensor, s: int) -> Tensor:
        """Up back-projection unit s: (B, C, h, w) -> (B, 32, 2h, 2w).

        The paper's idea in one place: upsample x to h, downsample h, and upsample the residual.
        """

        def layer(name: str) -> nn.Module:
            return self.get_submodule(f"{name}_SR_s{s}")

        h, local = layer("conv1")(x), layer("local_output")(x)
        h = _prelu(layer("relu1"), h)  # (B, 32, 2h, 2w)
        residual = local.sub_(_prelu(layer("relu2"), layer("conv2")(h)))  # (B, 32, h, w); in place, as maps are large
        out = layer("local_conv1")(h).add_(_prelu(layer("relu3"), layer("conv3")(residual)))
        return _prelu(layer("relu_output"), out)

    def reconstruct(self, code: Tensor, latent_map: Tensor, up: Tensor) -> Tensor:
        """SR from the LR branch's code, the latent map and the enlarged LR: decoder1 ... SR. -> (B, 3, H, W)."""
        x = torch.cat([code, self.decoder1(latent_map)], 1)  # (B, 128, h, w)
        x = _prelu(self.relu_decoder1, x)
        for s in range(1, self.units):
            x = self.back_project(x, s)
        x = self._last_unit(x)  # (B, 3, H, W)
        return x + up if self.residual else x

    def _last_unit(self, x: Tensor) -> Tensor:
        """The last unit and SR, (B, 32, h, w) -> (B, 3, 2h, 2w); in blocks that fit the CPU's cache."""
        last, size = self.SR_res if self.residual else self.SR, x.shape[-2:]
        if x.device.type != "cpu" or max(size) <= BLOCK:
            return last(self.back_project(x, self.units))
        out = x.new_empty(len(x), 3, 2 * size[0], 2 * size[1])
        for piece in blocks((0, 0, *size), BLOCK):
            wide = widen(piece, size, SMALL_HALO)
            part = last(self.back_project(crop(x, wide), self.units))
            crop(out, piece, 2)[:] = crop(part, relative_to(piece, wide), 2)
        return out

    def decode(self, features: Tensor, z: Tensor, up: Tensor) -> Tensor:
        """SR of one patch from its features and latents: -> (B, 3, 128, 128)."""
        return self.reconstruct(self.input_code(features), self.latent_map(z), up)

    def forward(self, up: Tensor, z: Tensor) -> Tensor:
        return self.decode(self.features(up), z, up)


def _prelu(layer: nn.PReLU, x: Tensor) -> Tensor:
    """A PReLU with one slope, in place at inference: allocating its output takes 10 times as long as computing it."""
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return layer(x)
    return F.leaky_relu_(x, layer.weight.item())


# -- Rectangles: images are computed in blocks, to bound the memory of feature maps -------------------------

BLOCK = 128  # largest edge of a block, in LR pixels: with 64, an answer takes 1.4 (4x) or 2 times (8x) as long
# LR pixels computed around a block and cropped. The receptive field reaches 13 (bicubic 2, features 5, decoder 6) and
# that of the consistency steps 12 more, but the far part hardly counts: with 12, photographs are off by 0.002 levels.
HALO = 12
SMALL_HALO = 5  # for drafts of a `Sampler`, off by a few grey levels; exact for the last unit alone, which reaches 4


def blocks(rect: Rect, edge: int, *, odd: bool = False) -> list[Rect]:
    """Cut a rectangle into nearly equal blocks with sides of at most ``edge``; an odd number has one in the middle."""
    top, left, *sides = rect
    parts = [-(-n // edge) for n in sides]
    parts = [n + 1 - n % 2 for n in parts] if odd else parts
    rows, cols = ([i * n // count for i in range(count + 1)] for n, count in zip(sides, parts, strict=True))
    return [(top + y, left + x, y1 - y, x1 - x) for y, y1 in pairwise(rows) for x, x1 in pairwise(cols)]


def widen(rect: Rect, size: tuple[int, int], halo: int) -> Rect:
    """Grow a rectangle by ``halo`` on each side, as far as an image of size (height, width) reaches."""
    top, left = max(rect[0] - halo, 0), max(rect[1] - halo, 0)
    return top, left, min(rect[0] + rect[2] + halo, size[0]) - top, min(rect[1] + rect[3] + halo, size[1]) - left


def relative_to(rect: Rect, outer: Rect) -> Rect:
    """A rectangle in the coordinates of another one that contains it."""
    return rect[0] - outer[0], rect[1] - outer[1], *rect[2:]


def crop(x: Tensor, rect: Rect, scale: int = 1) -> Tensor:
    """The part of (B, C, s*H, s*W) inside a rectangle in LR pixels; a view, which can be written to."""
    top, left, height, width = (n * scale for n in rect)
    return x[..., top : top + height, left : left + width]


def check_inside(rect: Rect, size: tuple[int, int]) -> Rect:
    """Return a rectangle that lies inside an image of size (height, width); ValueError otherwise."""
    if len(rect) != 4 or min(rect[2:]) < 1 or widen(rect, size, 0) != tuple(rect):
        raise ValueError(f"{rect} (top, left, height, width) is not inside the {size[0]}x{size[1]} LR image")
    return rect


# -- Weights: compact safetensors, written by srvae/training/weights.py -------------------------------------


def available_models(scale: int | None = None) -> list[str]:
    """Names of the models in data/weights, such as "4x-D", of one scale if given."""
    names = sorted(path.stem.removeprefix("SR_VAE_") for path in WEIGHTS.glob("SR_VAE_*.safetensors"))
    return [name for name in names if scale is None or name.startswith(f"{scale}x-")]


def weights_path(name: str | os.PathLike) -> Path:
    """The weights file of a shipped model's name; any other path is returned as it is."""
    shipped = WEIGHTS / f"SR_VAE_{name}.safetensors"
    return shipped if shipped.is_file() else Path(name)


def digest(data: bytes) -> str:
    """Return the first 16 hex digits of the SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def load_model(name: str | os.PathLike, *, device: str | torch.device | None = None) -> SRVAE:
    """Load a model for inference.

    Args:
        name: a shipped model ("4x-D", see :func:`available_models`), or the path of a .safetensors file.
        device: for example "cuda"; None is the CPU.

    Raises:
        FileNotFoundError: no such name or file.
        ValueError: not a weights file, damaged, with wrong, missing or unknown tensors, or no such device.
    """
    path = weights_path(name)
    if not path.is_file():
        shipped = ", ".join(available_models())
        empty = (
            f"{WEIGHTS} holds no weights; install with `pip install --editable .` from a clone, or give a file's path"
        )
        raise FileNotFoundError(f"there is no model {str(name)!r}: {f'shipped are {shipped}' if shipped else empty}")
    tensors, notes = read_weights(path)
    if notes.get("format") != FORMAT or notes.get("scale") not in SCALES:
        raise ValueError(f"{path} is not an SR-VAE weights file of format {FORMAT}")
    if base := notes.get("base"):  # the sibling file with the weights that this one lacks
        file = path.with_name(f"SR_VAE_{base}.safetensors")
        if not file.is_file() or digest(file.read_bytes()) != notes.get("base_digest"):
            raise ValueError(f"{path} holds only what differs from {base}, and {file} is missing or has changed since")
        tensors = read_weights(file)[0] | tensors
    with torch.device("meta"):  # draws no values, since all of them are loaded
        model = SRVAE(notes["scale"], residual=notes.get("residual", True), grid_generator=True)
    load_weights(model, _decompress(tensors, path), path)
    model.temperature = float(notes.get("temperature") or 0.0)
    return for_inference(model, device)


def for_inference(model: SRVAE, device: str | torch.device | None = None) -> SRVAE:
    """Switch gradients off and store weights channels last, with which convolutions are faster."""
    device = None if device is None else check_device(device)
    return model.eval().requires_grad_(False).to(device=device, memory_format=torch.channels_last)


def check_device(device: str | torch.device) -> torch.device:
    """Return a device of this machine, for "auto" the accelerator or else the CPU; ValueError lists what there is."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if device == "auto":
        return accelerator or torch.device("cpu")
    try:
        torch.ones((), device=device).item()
        return torch.device(device)
    except (RuntimeError, AssertionError, ImportError) as error:  # torch raises any of them
        count = torch.accelerator.device_count() if accelerator else 0
        there = ", ".join(["cpu", *(f"{accelerator.type}:{i}" for i in range(count))])
        raise ValueError(f"there is no device {str(device)!r} on this machine; there is: {there}") from error


def check_file(path: str | os.PathLike) -> Path:
    """Return the path of a regular file, since opening a pipe may never end; FileNotFoundError or ValueError."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise ValueError(f"{path} is not a regular file")
    return path


def read_weights(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Read a safetensors file's tensors and JSON-decoded metadata; FileNotFoundError or ValueError if it is none."""
    notes, path = {}, check_file(path)
    try:
        with safe_open(path, "pt") as file:
            tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a readable weights file, or is cut short: {error}") from error
    for key, value in metadata.items():
        with suppress(ValueError, RecursionError):  # metadata of other programs need not be JSON
            notes[key] = json.loads(value)
    return tensors, notes


def _decompress(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Rebuild weights from int8 numbers x scale or left @ right, then restore the largest number of each row."""
    dense = dict(tensors)
    try:
        for layer in [key.rpartition(".")[0] for key in tensors if key.endswith((".scale", ".left"))]:
            if f"{layer}.left" in dense:
                weight = dense.pop(f"{layer}.left").float() @ dense.pop(f"{layer}.right").float()
            else:
                numbers, scale = dense.pop(f"{layer}.weight").float(), dense.pop(f"{layer}.scale")
                weight = numbers * (scale[:, None] if numbers.ndim == 2 else scale)
            if weight.ndim == 2:
                at, peak = (dense.pop(f"{layer}.{part}")[:, None] for part in ("peak_at", "peak"))
                weight.scatter_(1, at.long(), peak)
            dense[f"{layer}.weight"] = weight
    except (KeyError, IndexError, RuntimeError) as error:
        raise ValueError(f"{path}: the parts of {layer}.weight do not fit together ({error})") from error
    return dense


def load_weights(model: SRVAE, tensors: dict[str, Tensor], source: str | os.PathLike) -> None:
    """Load float32 copies of tensors into a model; ValueError if one does not fit or has a value that is not finite."""
    if wrong := [key for key, t in tensors.items() if not (t.is_floating_point() and torch.isfinite(t.float()).all())]:
        raise ValueError(f"{source} has values that are not finite numbers in {', '.join(wrong)}")
    copies = {key: t.to(torch.float32, copy=True) for key, t in tensors.items()}  # the file is not kept open
    try:
        model.load_state_dict(copies, strict=True, assign=True)
    except RuntimeError as error:
        raise ValueError(f"{source} does not fit the {model.scale}x SR-VAE: {error}") from error


# -- Images as tensors --------------------------------------------------------------------------------------


def check_image(image: np.ndarray, what: str = "image") -> np.ndarray:
    """Validate and return an image: (H, W), (H, W, 3) or (H, W, 4); uint8, uint16 or float in [0, 1].

    TypeError or ValueError for anything else, and for float outside :data:`FLOAT_RANGE`; they call the image ``what``.
    """
    if not isinstance(image, np.ndarray) or isinstance(image, np.ma.MaskedArray | np.matrix):
        raise TypeError(f"{what} must be a plain NumPy array, not {type(image).__name__}")
    if image.dtype.str[1:] not in ("u1", "u2", "f4", "f8"):
        raise TypeError(f"{what} must be uint8, uint16 or float in [0, 1], not {image.dtype}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise ValueError(f"{what} must be of shape (H, W), (H, W, 3) or (H, W, 4), not {image.shape}")
    if 0 in image.shape:
        raise ValueError(f"{what} is empty: its shape is {image.shape}")
    if image.dtype.kind == "f":
        low, high = image.min(), image.max()  # of NaN, NaN
        if not np.isfinite([low, high]).all():
            raise ValueError(f"{what} has NaN or infinite values")
        if low < FLOAT_RANGE[0] or high > FLOAT_RANGE[1]:
            raise ValueError(f"{what} must be float in [0, 1], but its values range from {low:g} to {high:g}")
    return image


def max_value(dtype: np.dtype) -> int:
    """The value of white in images of a dtype: 255, 65535, or 1 for float."""
    return {"u1": 255, "u2": 65535}.get(np.dtype(dtype).str[1:], 1)  # in either byte order


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W) or (H, W, C) of any image dtype -> (1, C, H, W) float32 in [0, 1]."""
    x = image.astype(np.float32) / max_value(image.dtype)
    return torch.from_numpy(np.atleast_3d(x)).permute(2, 0, 1)[None].contiguous()


def to_image(x: Tensor, dtype: np.dtype) -> np.ndarray:
    """(1, C, H, W) in [0, 1] -> (H, W, C), clipped and rounded unless dtype is float; ValueError if not finite."""
    y = x[0].permute(1, 2, 0).cpu().numpy()
    if not np.isfinite(y).all():
        raise ValueError("the picture has NaN or infinite values: use smaller latents, or other weights")
    if np.dtype(dtype).kind == "f":
        return y.astype(dtype)
    return np.rint(np.clip(y, 0, 1) * max_value(dtype)).astype(dtype)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """The colours of a grey, RGB or RGBA image, (H, W, 3) of the same dtype."""
    return np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image[..., :3]


def to_grey(answer: Tensor) -> Tensor:
    """The luma of (B, 3, H, W), in all three channels: BT.601 over the full range."""
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=answer.dtype, device=answer.device)
    return (answer * weights.view(3, 1, 1)).sum(1, keepdim=True).expand_as(answer)


def restore_channels(answer: np.ndarray, lr: np.ndarray, scale: int) -> np.ndarray:
    """Give an answer, (s*H, s*W, 3), the channels of the LR image: grey, RGB, or RGB with alpha enlarged by bicubic."""
    if lr.ndim == 2:
        return answer[..., 0].copy()
    if lr.shape[2] == 3:
        return answer
    alpha = to_image(bicubic(to_tensor(lr[..., 3]), scale, up=True).clamp(0, 1), answer.dtype)
    return np.concatenate([answer, alpha], 2)


def bicubic(x: Tensor, scale: int, *, up: bool, peak: int | None = None) -> Tensor:
    """MATLAB's imresize by a whole factor: (B, C, H, W) enlarged, or reduced with antialiasing.

    Keys' kernel with a = -0.5, widened by the factor when reducing; the border is replicated. torch has this kernel
    (unlike OpenCV, whose a is -0.75) where antialias is True. With ``peak`` 255 or 65535, values in [0, 1] are rounded
    to that many steps after each of the two passes, rows first, as MATLAB does with integer images: this reproduces the
    LR images in common use bit for bit.
    """
    pad = 4 if up else 4 * scale  # more than the kernel reaches
    margin = 4 * scale if up else 4
    y = x.cpu() if x.device.type == "mps" else x
    if peak is not None:  # ties are common, so compute exactly, with integers in float64
        y = (y.double() * peak).round()
    # MATLAB rounds between its passes, so with a peak there are two; without, one does both axes in less time.
    for axes in ((2, 3),) if peak is None else ((2,), (3,)):
        size = [n + 2 * pad if axis in axes else n for axis, n in enumerate(y.shape)]
        padding = [pad * (3 in axes), pad * (3 in axes), pad * (2 in axes), pad * (2 in axes)]
        size = [(n * scale if up else n // scale) if axis in axes else n for axis, n in enumerate(size)]
        y = F.interpolate(F.pad(y, padding, mode="replicate"), size=size[2:], mode="bicubic", antialias=True)
        for axis in axes:
            y = y.narrow(axis, margin, y.shape[axis] - 2 * margin)
        if peak is not None:
            y = (y.clamp(0, peak) + 0.5).floor()
    return (y if peak is None else y / peak).to(x)


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic enlargement of an image, (H, W[, C]) -> (scale*H, scale*W[, C]) of the same dtype."""
    return _resample(image, scale, up=True)


def downscale(image: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic reduction with antialiasing, (scale*H, scale*W[, C]) -> (H, W[, C]) of the same dtype."""
    return _resample(image, scale, up=False)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Reduce an image, (H, W[, C]), to (height, width) by the same interpolation, which at the border sees less."""
    peak, planes = max_value(check_image(image).dtype), []
    for plane in np.moveaxis(np.atleast_3d(image), 2, 0):  # one at a time, to bound the memory
        y = torch.from_numpy(plane.astype(np.float64))[None, None]
        for shape in ((size[0], y.shape[3]), size):  # rows first, rounded after each pass, as by `bicubic`
            y = F.interpolate(y, size=shape, mode="bicubic", antialias=True)
            y = y if image.dtype.kind == "f" else (y.clamp(0, peak) + 0.5).floor()
        planes.append(y)
    return to_image(torch.cat(planes, 1) / peak, image.dtype).reshape(*size, *image.shape[2:])


def _resample(image: np.ndarray, scale: int, *, up: bool) -> np.ndarray:
    if not isinstance(scale, int) or scale < 1:
        raise ValueError(f"scale must be a positive whole number, not {scale!r}")
    peak = None if check_image(image).dtype.kind == "f" else max_value(image.dtype)
    if not up and any(n % scale for n in image.shape[:2]):
        raise ValueError(
            f"{image.shape[0]}x{image.shape[1]} is not a multiple of {scale}: use metrics.crop_to_multiple first"
        )
    y = to_image(bicubic(to_tensor(image), scale, up=up, peak=peak), image.dtype)
    return y[..., 0] if image.ndim == 2 else y


# -- Inference ----------------------------------------------------------------------------------------------


MODEL_PARTS = ("scale", "temperature", "features", "input_code", "generator", "latent_map", "reconstruct")


def check_model(model: SRVAE) -> torch.device:
    """Return the device of a model; TypeError unless it has the parts that inference calls."""
    if any((c.__module__, c.__name__) == (__name__, "SRVAE") and c is not SRVAE for c in type(model).__mro__):
        raise TypeError("model is from before the module was reloaded: load it again")
    if not all(hasattr(model, part) for part in MODEL_PARTS):
        raise TypeError(f"model must be an SRVAE, not {type(model).__name__}: use load_model('4x-D')")
    return next(model.parameters()).device


def noise_generator(seed: int, temperature: float = 1.0) -> torch.Generator:
    """The random generator of a seed's noise; ValueError for a seed or a temperature out of range."""
    if not isinstance(seed, int | np.integer) or not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed must be a 64-bit integer, not {seed!r}")
    if not isinstance(temperature, int | float | np.number) or not 0 <= temperature <= LARGEST_TEMPERATURE:
        raise ValueError(f"temperature must be a number from 0 to {LARGEST_TEMPERATURE}, not {temperature!r}")
    return torch.Generator("cpu").manual_seed(int(seed))


def progress_bar(*args: object, disable: bool | None = False, **options: object) -> tqdm:
    """A tqdm bar; none without a standard error to write it to, as under pythonw."""
    return tqdm(*args, disable=True if sys.stderr is None else disable, **options)


def noise(seed: int | torch.Generator, tiles: int) -> Tensor:
    """eps ~ N(0, 1) for every tile, (tiles, 1024); drawn on the CPU, so the same on every device."""
    g = seed if isinstance(seed, torch.Generator) else noise_generator(seed)
    return torch.randn(tiles, LATENTS, generator=g, dtype=torch.float32, device="cpu")


def network_input(lr: Tensor, scale: int, eight_bit: bool) -> Tensor:
    """LR, (B, 3, H, W), enlarged as the network saw it in training: in [0, 1], in steps of 1/255 if LR is 8-bit."""
    return bicubic(lr, scale, up=True, peak=255 if eight_bit else None).clamp(0, 1)


def consistent(y: Tensor, lr: Tensor, scale: int) -> Tensor:
    """Add, three times, the enlarged difference of LR, (B, 3, H, W), and the downscaled y, (B, 3, s*H, s*W)."""
    for _ in range(3):
        y = y + bicubic(lr - bicubic(y, scale, up=False), scale, up=True)
    return y


def tile_step(scale: int) -> int:
    """The distance between two neighbouring tiles of latents, three quarters of a tile, in LR pixels."""
    return PATCH // scale * 3 // 4


def tile_grid(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """The rows and columns of tiles that cover an LR image of size (height, width)."""
    rows, columns = (max(0, math.ceil((n - PATCH // scale) / tile_step(scale))) + 1 for n in size)
    return rows, columns


class LatentField:
    """z for an image of any size: overlapping 128x128 tiles whose latent maps are blended into one.

    Only the fully connected layers need tiles. Neighbours overlap by a quarter. The maps of z = 0 are blended with
    weights that sum to one, and deviations from them by noise with the square roots of these weights, which preserve
    their variance.

    Args:
        lr: (1, 3, h, w) in [0, 1].
        eight_bit: whether lr came from an 8-bit image.

    Attributes:
        tile, step: edge of a tile and distance between two, in LR pixels.
        grid: rows and columns of tiles; tiles: how many in all, row by row.
        zero: the latent map of z = 0 in each tile, (1, C, tile, tile); C is 4 at 4x, 16 at 8x.
    """

    def __init__(self, model: SRVAE, lr: Tensor, eight_bit: bool) -> None:
        self.model, self.size = model, lr.shape[-2:]
        self.tile, self.step = PATCH // model.scale, tile_step(model.scale)
        self.grid = tile_grid(self.size, model.scale)
        self.tiles = self.grid[0] * self.grid[1]
        # Mirror the image until it fills whole tiles, with the 4 pixels around them that bicubic reads.
        canvas = tuple((n - 1) * self.step + self.tile for n in self.grid)
        pads = [np.pad(np.arange(n), (4, c - n + 4), "symmetric") for n, c in zip(self.size, canvas, strict=True)]
        rows, cols = (torch.from_numpy(p).to(lr.device) for p in pads)
        self._context, self._eight_bit = lr[..., rows, :][..., cols], eight_bit
        self._weights = [self._ramps(n).to(lr.device) for n in self.grid]  # of rows and columns
        self.zero = model.latent_map(lr.new_zeros(1, LATENTS))

    def _ramps(self, tiles: int) -> Tensor:
        """Blending weights along one axis, (tiles, tile): ramps towards neighbours, 1 at the image's border."""
        overlap = self.tile - self.step
        ramp = (torch.arange(overlap, dtype=torch.float32, device="cpu") + 0.5) / overlap
        weights = torch.ones(tiles, self.tile, dtype=torch.float32, device="cpu")
        weights[1:, :overlap] = ramp
        weights[:-1, self.step :] = ramp.flip(0)
        return weights

    @cached_property
    def g(self) -> Tensor:
        """g(LR) of every tile, (tiles, 1024), computed when it is first needed."""
        s, rows = self.model.scale, []
        with torch.inference_mode():
            for i in range(self.grid[0]):
                band = self._context[..., i * self.step : i * self.step + self.tile + 8, :]
                up = network_input(band, s, self._eight_bit)[..., 4 * s : -4 * s, 4 * s : -4 * s]
                tiles = up.unfold(3, PATCH, self.step * s)[0].permute(2, 0, 1, 3)  # (tiles of the row, 3, 128, 128)
                rows.append(self.model.generator(tiles))
        return torch.cat(rows)

    def z(self, eps: Tensor, temperature: float) -> Tensor:
        """z = temperature * 0.1 * g(LR) * eps, (tiles, 1024)."""
        return PRIOR_SD * self.g * (temperature * eps.to(self.zero))

    def map(self, z: Tensor | None, rect: Rect | None = None) -> Tensor:
        """The blended latent map of ``rect`` (default: the image), (1, C, height, width). z = None means z = 0."""
        rect = (0, 0, *self.size) if rect is None else rect
        rows, cols = (  # of the tiles that reach into it
            range(max(0, (start - self.tile) // self.step + 1), min(tiles, (start + n - 1) // self.step + 1))
            for start, n, tiles in zip(rect[:2], rect[2:], self.grid, strict=True)
        )
        weight = (self._weights[0][rows][:, None, :, None] * self._weights[1][cols][:, None]).flatten(0, 1)[:, None]
        place = rect[0] - rows[0] * self.step, rect[1] - cols[0] * self.step, *rect[2:]
        canvas = tuple((len(n) - 1) * self.step + self.tile for n in (rows, cols))

        def blended(maps: Tensor) -> Tensor:
            """(tiles, C, tile, tile) -> their sum in the rectangle."""
            return crop(F.fold(maps.flatten(1).T[None], canvas, self.tile, stride=self.step), place)

        at_zero = blended(self.zero * weight)
        if z is None:
            return at_zero
        tiles = [row * self.grid[1] + col for row in rows for col in cols]
        return at_zero + blended((self.model.latent_map(z[tiles]) - self.zero) * weight.sqrt())


class Sampler:
    """Computes the features of an LR image once and decodes them for many latents, for interactive use.

    Args:
        model: the network, in float32; answers come from the device it is on.
        lr: (H, W, 3) uint8, uint16 or float in [0, 1], also (H, W), or (H, W, 4), whose alpha is ignored. Grey input
            (three equal channels) gives grey output.
        consistency: correct each answer so that its downscaled version nearly matches the LR image.
        cache: keep the features. False computes them for each answer, in less memory.

    Attributes:
        rect: the image as a rectangle, (0, 0, H, W). lr: its colours, (H, W, 3). grey: whether they are grey.
        pixels: its colours, (1, 3, H, W) float32 in [0, 1].
        field: its :class:`LatentField`. tiles: the number of tiles, each with 1,024 latents.
    """

    def __init__(self, model: SRVAE, lr: np.ndarray, *, consistency: bool = True, cache: bool = True) -> None:
        device, (h, w), s = check_model(model), check_image(lr, "lr").shape[:2], model.scale
        self.model, self.consistency, self.lr, self.rect = model, consistency, as_rgb(lr), (0, 0, h, w)
        self.grey = bool((self.lr == self.lr[..., :1]).all())
        self.pixels = to_tensor(self.lr).to(device)
        with torch.inference_mode():
            self.field = LatentField(model, self.pixels, lr.dtype == np.uint8)
        self.tiles = self.field.tiles
        like = {"dtype": torch.float32, "device": device, "memory_format": torch.channels_last}
        self._kept = (torch.empty(1, 64, h, w, **like), torch.empty(1, 3, s * h, s * w, **like)) if cache else ()
        self._encoded: set[Rect] = set()

    def with_context(self, region: Rect, draft: bool = False) -> Rect:
        """The part of the image that is decoded for a region's answer, or for its draft: the region and a halo."""
        return widen(region, self.rect[2:], SMALL_HALO if draft and self._kept else HALO)

    def missing(self, region: Rect) -> list[Rect]:
        """The blocks whose features :meth:`encoded` would compute first for a region."""
        top, left, height, width = region
        return [
            (y, x, h, w)
            for y, x, h, w in blocks(self.rect, BLOCK, odd=True)  # views begin in the middle
            if top - h < y < top + height and left - w < x < left + width and (y, x, h, w) not in self._encoded
        ]

    def encoded(self, region: Rect) -> tuple[Tensor, Tensor]:
        """The output of input2, (1, 64, h, w), and the enlarged LR, (1, 3, s*h, s*w), of a region, from the cache."""
        if not self._kept:
            return self._encode(region)
        for block in self.missing(region):
            wide = self.with_context(block)
            for kept, new, factor in zip(self._kept, self._encode(wide), (1, self.model.scale), strict=True):
                crop(kept, block, factor)[:] = crop(new, relative_to(block, wide), factor)
            self._encoded.add(block)
        code, up = self._kept
        return crop(code, region), crop(up, region, self.model.scale)

    def _encode(self, rect: Rect) -> tuple[Tensor, Tensor]:
        """The same, computed, and inaccurate near the border of the rectangle."""
        with torch.inference_mode():
            up = network_input(crop(self.pixels, rect), self.model.scale, self.lr.dtype == np.uint8)
            return self.model.input_code(self.model.features(up)), up

    def __call__(
        self,
        seed: int = 0,
        temperature: float = 1.0,
        *,
        eps: Tensor | None = None,
        latent_map: Tensor | None = None,
        region: Rect | None = None,
        draft: bool = False,
        progress: bool = False,
        as_float: bool = False,
    ) -> np.ndarray:
        """Decode one answer, (s*H, s*W, 3) of the LR image's dtype.

        Args:
            seed: of the noise; the same seed gives the same picture on any device.
            temperature: multiplies the prior's standard deviation 0.1; 0 is the deterministic answer.
            eps: (tiles, 1024) noise to use instead of the seed's.
            latent_map: (1, C, H, W), such as ``field.map`` returns, to use instead of noise. Only the part inside
                ``with_context(region)`` is read.
            region: (top, left, height, width) in LR pixels, to decode that part alone.
            draft: for live previews: a smaller halo, off by a few grey levels at the border of a region.
            progress: show a bar (tqdm).
            as_float: give float32, neither clipped nor rounded.

        Raises:
            ValueError: invalid seed, temperature or region, or an eps or latent_map of another shape.
        """
        s, rect = self.model.scale, self.rect if region is None else check_inside(region, self.rect[2:])
        dtype = np.dtype(np.float32) if as_float else self.lr.dtype
        rng, image = noise_generator(seed, temperature), np.empty((rect[2] * s, rect[3] * s, 3), dtype)
        if eps is not None and tuple(eps.shape) != (self.tiles, LATENTS):
            raise ValueError(f"eps must be of shape {(self.tiles, LATENTS)} for this image, not {tuple(eps.shape)}")
        if latent_map is not None and latent_map.shape != (shape := (1, self.field.zero.shape[1], *self.rect[2:])):
            raise ValueError(f"latent_map must be of shape {shape} for this image, not {tuple(latent_map.shape)}")
        with torch.inference_mode():
            z = None
            if temperature and latent_map is None:
                z = self.field.z(noise(rng, self.tiles) if eps is None else eps, temperature)
            for block in progress_bar(blocks(rect, BLOCK), disable=not progress, unit="block"):
                wide = self.with_context(block, draft)
                latents = self.field.map(z, wide) if latent_map is None else crop(latent_map, wide).to(self.pixels)
                code, up = self.encoded(wide)
                answer = self.model.reconstruct(code, latents, up)
                if self.consistency:
                    answer = consistent(answer, crop(self.pixels, wide), s)
                part = crop(to_grey(answer) if self.grey else answer, relative_to(block, wide), s)
                top, left, height, width = (n * s for n in relative_to(block, rect))
                image[top : top + height, left : left + width] = to_image(part, dtype)
        return image


def super_resolve(
    lr: np.ndarray,
    model: SRVAE,
    *,
    temperature: float | None = None,
    seed: int = 0,
    consistency: bool = True,
    progress: bool = False,
    device: str | torch.device | None = None,
    as_float: bool = False,
) -> np.ndarray:
    """Enlarge an image by the model's scale.

    Args:
        lr: (H, W, 3) uint8; also uint16 or float in [0, 1], (H, W) grey, (H, W, 4) with alpha; from 1x1 up.
        temperature: multiplies the prior's standard deviation 0.1 in z = temperature * 0.1 * g(LR) * eps; 0 is
            the deterministic answer, 1 the prior, 10 what the release's deploy nets draw. None is the model's default:
            0 for D, a little above for P, whose answers are mild samples.
        seed: of eps; the same seed gives the same picture.
        consistency: correct the answer so that its downscaled version nearly matches lr; the release does not.
        progress: show a bar (tqdm).
        device: move the model there first, for example "cuda"; None leaves it where it is.
        as_float: give float32, neither clipped nor rounded, as the release measures it.

    Returns:
        (s*H, s*W[, C]) of the dtype and channels of lr.

    Raises:
        TypeError, ValueError: invalid lr, model or option.
    """
    check_model(model)
    if device is not None:
        model.to(check_device(device))
    temperature = model.temperature if temperature is None else temperature
    sampler = Sampler(model, lr, consistency=consistency, cache=False)
    answer = sampler(seed, temperature, progress=progress, as_float=as_float)
    return restore_channels(answer, lr, model.scale)
