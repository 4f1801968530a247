"""SR-VAE in one file: layers, model, weights, inference. What reads and writes image files is srvae_images.py.

Reimplements "Photo-Realistic Image Super-Resolution via Variational Autoencoders" (Z.-S. Liu, W.-C. Siu,
Y.-L. Chan, IEEE TCSVT 31(4), 2021) from the layer tables of the authors' Caffe release
(github.com/Holmes-Alan/SR-VAE). Every layer carries the name that it has in the release's prototxts, so
``feat1_1``, ``ip4`` or ``conv1_SR_s1`` can be searched for here, there and in a weights file.

Read it top to bottom; typical use::

    import srvae_core as sr
    model = sr.load_model("4x-D")
    out = sr.super_resolve(sr.read_image("photo.png"), model)  # (H, W, 3) uint8 -> (4H, 4W, 3) uint8

What scores an answer is in ``notebooks/srvae/metrics.py``, the release's own way of testing in ``notebooks/srvae/release.py``.
Shapes are written (B, C, H, W) for tensors and (H, W, 3) for images. Colour order is RGB throughout.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from tqdm import tqdm

from srvae_images import (  # some are only passed on: all names of images are found here
    FILE_LIMITS,
    IMAGE_SUFFIXES,
    PICTURE_FORMATS,
    PIXEL_LIMIT,
    alpha_of,
    as_rgb,
    check_file,
    check_image,
    check_target,
    open_picture,
    peak_of,
    read_image,
    save_picture,
    visible_colours,
    write_image,
    written_whole,
)

__version__ = "0.4.1"
ANSWERS_SINCE = "0.1.0"  # the first version with these very answers: what was measured or saved by it still holds

SCALES = (4, 8)
PATCH = 128  # the release's patch edge at the target size; its fully connected generator fixes it
LATENTS = 1024  # length of z
PRIOR_SD = 0.1  # p(z) = N(0, 0.1^2), the release's KL term
MVN_EPS = 1e-9  # Caffe's MVN: divide by (standard deviation + eps)
CODE_PART, LATENT_PART = slice(0, 64), slice(64, 128)  # of what the first unit reads
PIECE = 96  # samples a side of what the last unit computes at once: 6 MB maps stay in the cache, 34 MB ones do not
UNIT_HALO = 4  # samples around a piece that reach into it: 3 by an up back-projection unit, a half by SR
WEIGHTS = Path(__file__).resolve().parent / "data" / "weights"
PREFIX = "SR_VAE_"  # of the names of weights files

Rect = tuple[int, int, int, int]  # top, left, height, width, in LR samples


# -- Layers: the release's prototxts as one table -----------------------------------------------------------


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


# -- Model --------------------------------------------------------------------------------------------------


def grid_matrix(scale: int) -> Tensor:
    """The bicubic enlargement of one axis of a patch as a matrix, (128, 128 / scale + 4) float64.

    Row i holds the weights with which the LR samples -2 ... 128 / scale + 1 make sample i of the patch; two
    LR samples on either side reach into it. The columns of ``generator1`` act on nothing else.
    """
    n = PATCH // scale + 4
    # Two more LR samples on either side keep the border handling of `interpolate` away from the patch. The device is
    # named because models are built on the meta device before their weights are read, and this matrix is no weight.
    eye = torch.eye(n + 4, dtype=torch.float64, device="cpu")[None, None]  # (1, 1, position, unit impulse)
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
        if torch.get_default_device().type != "meta":  # which has no numbers, and takes a second to draw none
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
        # In place, since a map of the first layers takes 67 MB for 512x512 pixels.
        x = F.relu(self.feat1_1(up), inplace=True)  # (B, 64, H, W)
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
        if up.shape[-3:] != (3, PATCH, PATCH):
            raise ValueError(f"the generator reads patches of shape (B, 3, 128, 128), not {tuple(up.shape)}")
        x = F.relu(self.generator1(up if self.grid_generator else up.flatten(1)))  # (B, 512)
        x = F.relu(self.generator2(x))  # (B, 1024)
        x = x - x.mean(1, keepdim=True)  # mvn, over the numbers of each patch
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
        """The decoder's reading of z, ip4 ... ip6: (B, 1024) -> (B, 4, 32, 32), at 8x (B, 16, 16, 16)."""
        x = F.relu(self.ip4(z))  # (B, 2048)
        x = F.relu(self.ip5(x))
        x = F.relu(self.ip6(x))  # (B, 4096)
        return x.unflatten(1, (16, 16, 16) if self.scale == 8 else (4, 32, 32))

    def back_project(self, x: Tensor | tuple[Tensor, Tensor], s: int) -> Tensor:
        """Up back-projection unit s: (B, C, h, w), or what conv1 and local_output make of it, -> (B, 32, 2h, 2w).

        The paper's idea in one place: enlarge to h, reduce h again, and enlarge what the reduction lacks of x.
        """

        def layer(name: str) -> nn.Module:
            return self.get_submodule(f"{name}_SR_s{s}")

        h, local = (layer("conv1")(x), layer("local_output")(x)) if isinstance(x, Tensor) else x
        h = _prelu(layer("relu1"), h)  # (B, 32, 2h, 2w)
        lacking = local.sub_(_prelu(layer("relu2"), layer("conv2")(h)))  # (B, 32, h, w); in place, as maps are large
        out = layer("local_conv1")(h).add_(_prelu(layer("relu3"), layer("conv3")(lacking)))
        return _prelu(layer("relu_output"), out)

    def half(self, x: Tensor, part: slice) -> tuple[Tensor, Tensor]:
        """What conv1 and local_output of unit 1 make of a part of its 128 channels, the code's 64 or the latents'.

        They are linear, so what they make of the code need be computed once only: the rest is added to it.
        """
        conv1, local, x = self.conv1_SR_s1, self.local_output_SR_s1, F.prelu(x.float(), self.relu_decoder1.weight)
        biases = (None, None) if part.start else (conv1.bias, local.bias)
        wide = F.conv_transpose2d(x, conv1.weight[part], biases[0], conv1.stride, conv1.padding)
        return wide, F.conv2d(x, local.weight[:, part], biases[1])  # (B, 32, 2h, 2w), (B, 32, h, w)

    def reconstruct(self, code: Tensor | tuple[Tensor, Tensor], latent_map: Tensor, up: Tensor) -> Tensor:
        """SR from the LR branch's code, or its :meth:`half`, and the latent map, decoder1 ... SR: -> (B, 3, H, W)."""
        x = self.decoder1(latent_map)  # (B, 64, h, w)
        if isinstance(code, Tensor):
            x = _prelu(self.relu_decoder1, torch.cat([code, x], 1))  # (B, 128, h, w)
        else:
            x = tuple(z.add_(known) for z, known in zip(self.half(x, LATENT_PART), code, strict=True))
        for s in range(1, self.units):
            x = self.back_project(x, s)
        x = self._last_unit(x)  # (B, 3, H, W)
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


def _prelu(layer: nn.PReLU, x: Tensor) -> Tensor:
    """A PReLU with one slope for all channels, in place where no gradient is wanted; nothing else may need x.

    PReLU allocates its output. For the maps of the last unit this takes ten times as long as the arithmetic.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return layer(x)
    return F.leaky_relu_(x, layer.weight.item())


# -- Weights: compact safetensors of our own (notebooks/training/weights.py writes them) --------------------

FORMATS = ("srvae-1", "srvae-2")  # the second knows int8 convolutions, and matrices as two factors


@dataclass(frozen=True)
class ModelName:
    """The name of a model, such as 4x-D: its scale and its variant (D for distortion, P for perception)."""

    scale: int
    variant: str

    def __str__(self) -> str:
        return f"{self.scale}x-{self.variant}"

    @classmethod
    def of(cls, name: str) -> ModelName:
        """The parts of a name; raises ValueError for what is none."""
        scale, _, variant = name.partition("x-")
        if scale not in map(str, SCALES) or not variant.isalnum():
            raise ValueError(f"{name!r} is no name of a model: names are like 4x-D or 8x-P")
        return cls(int(scale), variant)

    @property
    def file(self) -> str:
        """The name of its weights file."""
        return f"{PREFIX}{self}.safetensors"


def available_models(scale: int | None = None) -> list[str]:
    """Names that :func:`load_model` takes, such as "4x-D": the models in data/weights, of one scale if given."""
    names = sorted(path.stem.removeprefix(PREFIX) for path in WEIGHTS.glob(f"{PREFIX}*.safetensors"))
    return [name for name in names if scale is None or name.startswith(f"{scale}x-")]


def _weights_path(name: str | os.PathLike) -> Path:
    """The file of a shipped model's name, also beside something that is called alike, or a path as it is."""
    path, shipped = Path(name), WEIGHTS / f"{PREFIX}{name}.safetensors"
    return shipped if not path.suffix and (shipped.is_file() or not path.exists()) else path


def weights_version(name: str | os.PathLike) -> str:
    """What results and saved pictures name a model's weights by: the answers' version, and the start of the sha256."""
    return f"{ANSWERS_SINCE}+{hashlib.sha256(_weights_path(name).read_bytes()).hexdigest()[:8]}"


def load_model(name: str | os.PathLike, *, scale: int | None = None, device: str | torch.device | None = None) -> SRVAE:
    """A model ready for inference.

    Args:
        name: a shipped model ("4x-D", see :func:`available_models`), or the path of a .safetensors file. Files of the
            release, .caffemodel, are read by ``load_caffemodel`` in notebooks/srvae/release.py.
        scale: 4 or 8, to make sure that the file is of it; None takes either.
        device: where to put it, for example "cuda"; None leaves it on the CPU.

    Raises:
        FileNotFoundError: no such name or file (the message lists the shipped models).
        ValueError: not a weights file, damaged, for another scale, or with wrong, missing or unknown tensors.
    """
    path = _weights_path(name)
    if not path.is_file():
        shipped = ", ".join(available_models()) or "none"
        raise FileNotFoundError(f"no model {str(name)!r}: neither a weights file nor one of those shipped ({shipped})")
    if path.suffix == ".caffemodel":
        raise ValueError(f"{path} is a Caffe model: load_caffemodel in notebooks/srvae/release.py reads it")
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} is no .safetensors file")
    tensors, notes = read_weights(path)  # as stored; nothing is ever unpickled
    kind = {key: notes.get(key) for key in ("format", "scale", "residual", "grid_generator")}
    right = kind.pop("format") in FORMATS and kind["scale"] in SCALES and type(kind["scale"]) is int
    if not right or not all(isinstance(kind[key], bool) for key in ("residual", "grid_generator")):
        raise ValueError(f"{path} is no SR-VAE weights file: its metadata lack what {' and '.join(FORMATS)} files say")
    if scale is not None and kind["scale"] != scale:
        raise ValueError(f"{path} holds a {kind['scale']}x model, not {scale}x")
    if "base" in notes:
        shared, _, digest = read_base(path, notes["base"])
        if digest != notes.get("base_digest"):  # a mixture of two trainings would load and answer nonsense
            raise ValueError(f"{path} shares the weights of another {notes['base']} than the one beside it")
        tensors = shared | tensors
    with torch.device("meta"):  # no numbers are drawn that would be overwritten
        model = SRVAE(kind.pop("scale"), **kind)
    model.temperature = own_temperature(notes, path)
    return ready(fill(model, _dense(tensors, model.state_dict(), path), path), device)


def own_temperature(notes: dict[str, object], source: str | os.PathLike) -> float:
    """At which temperature a model answers, by its weights file's notes; raises ValueError for what is none."""
    temperature = notes.get("temperature", 0.0)
    if type(temperature) not in (int, float) or not 0 <= temperature < math.inf:
        raise ValueError(f"{source} asks for the temperature {temperature!r}, which is none")
    return float(temperature)


def ready(model: SRVAE, device: str | torch.device | None = None) -> SRVAE:
    """A model as inference wants it: no gradients, channels last in memory, which convolutions take less time in."""
    return model.eval().requires_grad_(False).to(device=device, memory_format=torch.channels_last)


def read_notes(path: str | os.PathLike) -> dict[str, object]:
    """What a weights file says of itself: its metadata, JSON by key; what is no JSON is left out.

    Raises:
        ValueError: no readable safetensors file.
    """
    return read_weights(path, only_notes=True)[1]


def read_weights(path: str | os.PathLike, *, only_notes: bool = False) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The tensors of a safetensors file as stored, by name, and its :func:`read_notes`.

    Raises:
        ValueError: no readable safetensors file.
    """
    notes = {}
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys() if not only_notes}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no readable safetensors file, perhaps cut short: {error}") from error
    for key, value in metadata.items():
        with suppress(ValueError, RecursionError):  # besides what is no JSON: numbers and nests without end
            notes[key] = json.loads(value)
    return tensors, notes


def read_base(path: Path, base: str) -> tuple[dict[str, Tensor], dict[str, object], str]:
    """The tensors as stored, the notes and a digest of the model beside ``path`` whose weights it shares.

    Raises:
        FileNotFoundError: there is no such model. ValueError: it is no name of one.
    """
    try:
        file = path.with_name(ModelName.of(str(base)).file)  # a name, so that no file leads elsewhere
    except ValueError as error:
        raise ValueError(f"{path} shares the weights of no model: {error}") from error
    if not file.is_file():
        raise FileNotFoundError(f"{path} holds only what differs from {base}, whose file {file} is not there")
    return *read_weights(file), hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _dense(tensors: dict[str, Tensor], state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The stored tensors with every weight that is stored in parts written out, if it is one of the model's state."""
    layers: dict[str, dict[str, Tensor]] = {}  # what is stored in parts, by layer
    for key, t in tensors.items():
        layer, _, part = key.rpartition(".")
        in_parts = t.dtype == torch.int8 or {f"{layer}.scale", f"{layer}.left"} & tensors.keys()
        if in_parts and part != "bias":
            layers.setdefault(layer, {})[part] = t
    dense = {key: t for key, t in tensors.items() if key.rpartition(".")[0] not in layers or key.endswith(".bias")}
    for layer, parts in layers.items():
        try:
            dense[f"{layer}.weight"] = _written_out(parts, state[f"{layer}.weight"].shape)
        except (KeyError, IndexError, RuntimeError) as error:
            raise ValueError(f"{path}: the parts of {layer}.weight do not fit together ({error})") from error
    return dense


def _written_out(parts: dict[str, Tensor], shape: torch.Size) -> Tensor:
    """A weight from int8 numbers and scales, or from two factors; of a matrix the largest of each row is apart."""
    if "left" in parts:
        left, right = parts["left"], parts["right"]
        if (*left.shape[:1], *right.shape[1:]) != shape:  # two small factors may have a product that fills memory
            raise RuntimeError(f"factors {tuple(left.shape)} and {tuple(right.shape)} for {tuple(shape)}")
        weight = left.float() @ right.float()  # (rows, rank) @ (rank, columns)
    else:
        numbers, scale = parts["weight"], parts["scale"]
        scale = scale[:, None] if numbers.ndim == 2 else scale  # of kernels it is (1, C, 1, 1) or (C, 1, 1, 1)
        channels = numbers.shape[0] if scale.shape[0] > 1 else numbers.shape[1]
        if scale.ndim != numbers.ndim or scale.numel() != channels:
            raise RuntimeError(f"{scale.numel()} scales for {tuple(numbers.shape)}")
        weight = numbers.float() * scale
    if weight.ndim == 2:
        peak, at = (parts[name].unsqueeze(1) for name in ("peak", "peak_at"))
        if not len(peak) == len(at) == len(weight):
            raise RuntimeError(f"{len(peak)} peaks at {len(at)} places for {len(weight)} rows")
        weight.scatter_(1, at.long(), peak)
    return weight


def fill(model: SRVAE, tensors: dict[str, Tensor], source: str | os.PathLike) -> SRVAE:
    """Give a model its weights; it may have been built on the meta device.

    Raises:
        ValueError: names or shapes do not fit, or a number is NaN or infinite; the message names each.
    """
    state = model.state_dict()
    wrong = [f"missing {key}" for key in state if key not in tensors]
    wrong += [f"unknown {key}" for key in tensors if key not in state]
    for key, t in tensors.items():
        if key in state and t.shape != state[key].shape:
            wrong.append(f"{key} is {tuple(t.shape)}, should be {tuple(state[key].shape)}")
        elif not t.is_floating_point():
            wrong.append(f"{key} is of {t.dtype}, should be of a floating-point type")
        elif not torch.isfinite(t.float()).all():
            wrong.append(f"{key} has values that are not finite")
    if wrong:
        raise ValueError(f"{source} does not fit the {model.scale}x SR-VAE: {'; '.join(wrong)}")
    # Copies, so that the file is not kept open by tensors that are float32 in it.
    model.load_state_dict({key: t.to(torch.float32, copy=True) for key, t in tensors.items()}, assign=True)
    return model


# -- Images as tensors --------------------------------------------------------------------------------------


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W) or (H, W, C) of any image dtype -> (1, C, H, W) float32 in [0, 1]."""
    x = image.astype(np.float32) / peak_of(image.dtype)
    return torch.from_numpy(np.atleast_3d(x)).permute(2, 0, 1)[None].contiguous()


def to_image(x: Tensor, dtype: np.dtype) -> np.ndarray:
    """(1, C, H, W) in [0, 1] -> (H, W, C), clipped and rounded unless float is asked for."""
    y = x[0].permute(1, 2, 0).cpu().numpy()
    if np.dtype(dtype).kind == "f":
        return y.astype(dtype)
    return np.rint(np.clip(y, 0, 1) * peak_of(dtype)).astype(dtype)


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
    # MATLAB rounds between its passes, so with a peak there are two; without, one does both axes in less time.
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
    peak = None if check_image(image).dtype.kind == "f" else peak_of(image.dtype)
    if not up and any(n % scale for n in image.shape[:2]):
        raise ValueError(f"{image.shape[0]}x{image.shape[1]} is no multiple of {scale}: use crop_to_multiple first")
    y = to_image(bicubic(to_tensor(image), scale, up=up, peak=peak), image.dtype)
    return y[..., 0] if image.ndim == 2 else y


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """The image without the last rows and columns that make its sides no multiple of the scale.

    Raises:
        ValueError: a side is smaller than the scale, so that nothing would be left.
    """
    h, w = check_image(image).shape[:2]
    if min(h, w) < scale:
        raise ValueError(
            f"an original of {h}x{w} pixels is too small: at {scale}x it must have {scale}x{scale} at least"
        )
    return image[: h - h % scale, : w - w % scale]


# -- Inference ----------------------------------------------------------------------------------------------

BLOCK = 1024  # edge of what is computed at once, in pixels of the answer: bounds the memory
# LR samples computed around a block and thrown away. Convolutions see 16, or 7 where the features are at hand, but the
# outermost of 16 next to nothing. Three back-projections see 12 more, of which the nearest count.
HALO = 16
DECODER_HALO = 11
ENCODER_HALO = 12
CELL = 128  # edge of what a Sampler with a cache encodes at once, more or less, in LR samples
DRAFT_HALO = {4: 4, 8: 5}  # and for pictures in motion: off by a few grey levels at their edge
CONSISTENCY_STEPS = 3
PRECISIONS = ("auto", "float32")


def turn(x: Tensor, k: int) -> Tensor:
    """The k-th of the 8 flips and rotations of (B, C, H, W)."""
    x = torch.rot90(x, k % 4, (2, 3))
    return x.flip(3) if k >= 4 else x


def unturn(x: Tensor, k: int) -> Tensor:
    """Undo :func:`turn`."""
    return torch.rot90(x.flip(3) if k >= 4 else x, -(k % 4), (2, 3))


def noise(seed: int | torch.Generator, tiles: int) -> Tensor:
    """eps ~ N(0, 1) for every tile, (tiles, 1024); drawn on the CPU, so the same on every device."""
    g = seed if isinstance(seed, torch.Generator) else noise_generator(seed)
    return torch.randn(tiles, LATENTS, generator=g, dtype=torch.float32)


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
        pads = [np.pad(np.arange(n), (4, c - n + 4), "symmetric") for n, c in zip(self.size, self.canvas, strict=True)]
        rows, cols = (torch.from_numpy(p).to(lr.device) for p in pads)
        self._context = lr[..., rows, :][..., cols]  # mirrored until whole tiles and 4 samples around them fit
        self._eight_bit, self._g = eight_bit, [None] * self.grid[0]
        self._weights = [self._ramps(n).to(lr.device) for n in self.grid]  # of rows and columns
        self.zero = model.latent_map(lr.new_zeros(1, LATENTS))  # (1, C, tile, tile)

    @property
    def g(self) -> Tensor:
        """g(LR) of every tile, (tiles, 1024)."""
        return torch.cat([self._row_of_g(i) for i in range(self.grid[0])])

    def _row_of_g(self, i: int) -> Tensor:
        """g(LR) of a row of tiles, made when first needed: always of a whole row, so that its bytes are the same."""
        if self._g[i] is None:
            s, wide = self.model.scale, self.tile + 8
            band = self._context[..., i * self.step : i * self.step + wide, :].unfold(3, wide, self.step)
            with inference(self.zero.device):
                up = network_input(band[0].permute(2, 0, 1, 3), s, self._eight_bit)  # (tiles of the row, 3, ., .)
                self._g[i] = self.model.generator(up[..., 4 * s : -4 * s, 4 * s : -4 * s])  # the kernel had room around
        return self._g[i]

    @cached_property
    def rest(self) -> Tensor:
        """What z = 0 gives, (1, C, h, w)."""
        with inference(self.zero.device):
            return self.part(None, (0, 0, *self.size))

    def _ramps(self, tiles: int) -> Tensor:
        """Blending weights along one axis, (tiles, tile): ramps towards neighbours, 1 at the image's border."""
        overlap = self.tile - self.step
        ramp = (torch.arange(overlap, dtype=torch.float32) + 0.5) / overlap
        weights = torch.ones(tiles, self.tile, dtype=torch.float32)
        weights[1:, :overlap] = ramp
        weights[:-1, self.step :] = ramp.flip(0)
        return weights

    def z(self, eps: Tensor, temperature: float, seen: Rect | None = None) -> Tensor:
        """z = temperature * 0.1 * g(LR) * eps, (tiles, 1024); where a rectangle is given, right in its tiles only.

        The temperature multiplies eps first: noise that has it in it already gives the same bytes.
        """
        if seen is None:
            return PRIOR_SD * self.g * (temperature * eps.to(self.zero.device))
        z = self.zero.new_zeros(eps.shape)
        for i in self._reaching(seen)[0]:
            row = slice(i * self.grid[1], (i + 1) * self.grid[1])
            z[row] = PRIOR_SD * self._row_of_g(i) * (temperature * eps[row].to(z))
        return z

    def map(self, z: Tensor | None, seen: Rect | None = None) -> Tensor:
        """The blended latent map of the image, (1, C, h, w); None for z = 0.

        Where a rectangle is given, the map is right inside it only, and quicker made.
        """
        if z is None or seen is None:
            return self.rest if z is None else self.part(z, (0, 0, *self.size))
        whole = self.rest.clone()
        cut(whole, seen)[:] = self.part(z, seen)
        return whole

    def _reaching(self, rect: Rect) -> list[range]:
        """The rows and the columns of the tiles that reach into a rectangle."""
        return [
            range(max(0, (start - self.tile) // self.step + 1), min(tiles, (start + n - 1) // self.step + 1))
            for start, n, tiles in zip(rect[:2], rect[2:], self.grid, strict=True)
        ]

    def part(self, z: Tensor | None, seen: Rect) -> Tensor:
        """The latent map of a rectangle alone, (1, C, height, width), from the tiles that reach into it."""
        rows, cols = self._reaching(seen)
        weight = (self._weights[0][rows][:, None, :, None] * self._weights[1][cols][:, None]).flatten(0, 1)[:, None]
        place = seen[0] - rows[0] * self.step, seen[1] - cols[0] * self.step, *seen[2:]
        canvas = tuple((len(n) - 1) * self.step + self.tile for n in (rows, cols))

        def blended(maps: Tensor) -> Tensor:
            """(tiles, C, tile, tile) -> their sum on the rectangle."""
            return cut(F.fold(maps.flatten(1).T[None], canvas, self.tile, stride=self.step), place)

        rest = blended(self.zero * weight)
        if z is None:
            return rest
        tiles = (torch.tensor(rows)[:, None] * self.grid[1] + torch.tensor(cols)).flatten()
        # What is left of z = 0 in a tile is taken out, so that only what the noise adds keeps its variance.
        return rest + blended((self.model.latent_map(z[tiles]) - self.zero) * weight.sqrt())


def network_input(lr: Tensor, scale: int, eight_bit: bool) -> Tensor:
    """LR, (B, 3, H, W), enlarged as the network was trained to see it: in [0, 1], an 8-bit image where it was one."""
    return bicubic(lr, scale, up=True, peak=255 if eight_bit else None).clamp(0, 1)


def consistent(y: Tensor, lr: Tensor, scale: int) -> Tensor:
    """Back-project (B, 3, s*H, s*W): add what the downscaled answer lacks of LR, (B, 3, H, W), a few times over."""
    for _ in range(CONSISTENCY_STEPS):
        y = y + bicubic(lr - bicubic(y, scale, up=False), scale, up=True)
    return y


def consistent_at_once(y: Tensor, lr: Tensor, scale: int) -> Tensor:
    """:func:`consistent` in a third of the time, by one filter on the LR grid; the same but beside the border."""
    lacking = F.pad(lr - bicubic(y, scale, up=False), [8] * 4, mode="replicate")
    return y + bicubic(F.conv2d(lacking, _all_steps(scale).to(lr).expand(3, -1, -1, -1), groups=3), scale, up=True)


@lru_cache
def _all_steps(scale: int) -> Tensor:
    """What the steps of :func:`consistent` add of what is lacking at one LR sample, (1, 1, 17, 17)."""
    lacking = F.pad(torch.ones(1, 1, 1, 1, dtype=torch.float32), [16] * 4)
    total = lacking.clone()
    for _ in range(CONSISTENCY_STEPS - 1):
        lacking = lacking - bicubic(bicubic(lacking, scale, up=True), scale, up=False)
        total += lacking
    return total[..., 8:-8, 8:-8]


class Sampler:
    """Encodes an LR image once and decodes it for many latents: what a slider calls.

    Args:
        model: the network; answers come from the device it is on.
        lr: (H, W, 3) uint8, uint16 or float in [0, 1], also (H, W) or (H, W, 4), of which it enlarges the colours.
            The answer to grey, that is to three equal channels, is grey.
        consistency: back-project each answer until its downscaled version matches the LR image.
        cache: keep what was encoded, in cells of CELL x CELL LR samples, each encoded when it is first needed. False
            encodes each block anew when it is decoded, in memory that does not grow with the image.
        block: edge of what is computed at once, in pixels of the answer, from the scale on; memory grows with it.
        precision: "auto" convolves in bfloat16 where the device does so natively, in half the time and off by two grey
            levels at most in most pictures; "float32" gives the same picture everywhere, to a level.

    Attributes:
        model, consistency, block: as given. rect: the whole image, (0, 0, H, W). grey: whether it is grey.
        lr: its :func:`visible_colours`, (H, W, 3); pixels: the same, (1, 3, H, W) float32 in [0, 1].
        field: its :class:`LatentField`; tiles: how many tiles, each with 1,024 latents of its own, cover the image.
        bfloat16: whether answers are convolved in it.

    Raises:
        TypeError, ValueError: when lr is no image (see :func:`check_image`), the model none that can answer, or there
            is no such precision or block.
    """

    def __init__(
        self,
        model: SRVAE,
        lr: np.ndarray,
        *,
        consistency: bool = True,
        cache: bool = True,
        block: int = BLOCK,
        precision: str = "auto",
    ) -> None:
        device = check_model(model)
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
        if not isinstance(block, int) or block < model.scale:
            raise ValueError(f"block must be a whole number of at least {model.scale} pixels, not {block!r}")
        self.bfloat16 = precision == "auto" and has_bfloat16(device)
        self.model, self.lr, self.consistency = model, visible_colours(check_image(lr, "lr")), consistency
        self.grey = bool((self.lr == self.lr[..., :1]).all())
        self.rect: Rect = (0, 0, *lr.shape[:2])
        self.pixels, self.block = rgb_tensor(self.lr).to(device), block
        with inference(device):
            self.field = LatentField(model, self.pixels, lr.dtype == np.uint8)
            self.tiles = self.field.tiles
        # What is kept, and its samples for each LR sample: code, enlargement, and what unit 1 makes of the code.
        kinds = (64, 1, self.bfloat16), (3, model.scale, False), (32, 2, True), (32, 1, True)
        self._kept = [(self._empty(*kind), kind[1]) for kind in kinds if cache]
        self._encoded: set[Rect] = set()

    def _empty(self, channels: int, factor: int, bfloat16: bool) -> Tensor:
        """A map of the image, which takes memory when it is written to."""
        size = (1, channels, *(factor * n for n in self.rect[2:]))
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        return torch.empty(size, dtype=dtype, device=self.pixels.device, memory_format=torch.channels_last)

    @property
    def code(self) -> Tensor | None:
        """What input2 makes of the image, (1, 64, H, W) float32; encodes what is not yet. None without a cache."""
        self.encode(self.rect)
        return self._kept[0][0].float() if self._kept else None

    @property
    def up(self) -> Tensor | None:
        """The enlarged image that the network sees, (1, 3, s*H, s*W); encodes what is not yet. None without a cache."""
        self.encode(self.rect)
        return self._kept[1][0] if self._kept else None

    def is_encoded(self, region: Rect) -> bool:
        """Whether a region, (top, left, height, width) in LR samples, is decoded without encoding anything first."""
        return bool(self._kept) and not self._missing(self.seen(region, draft=False))

    def _missing(self, rect: Rect) -> list[Rect]:
        """The cells that reach into a rectangle and are not encoded. Their grid is fixed: bytes depend on no order."""
        sides = []
        for start, size, whole in zip(rect[:2], rect[2:], self.rect[2:], strict=True):
            cells = pairwise(_cell_borders(whole))
            sides.append([(a, b - a) for a, b in cells if a < start + size and b > start])
        cells = [(y, x, h, w) for y, h in sides[0] for x, w in sides[1]]
        return [cell for cell in cells if cell not in self._encoded]

    def seen(self, region: Rect, draft: bool) -> Rect:
        """Where a latent map must be right for a region's answer, or for its draft, in LR samples."""
        # The fewer layers a block goes through, the less around it reaches into it.
        halo = HALO if not self._kept else DRAFT_HALO[self.model.scale] if draft else DECODER_HALO
        return _with_halo(_checked_region(region, self.rect), self.rect[2:], halo)

    def encode(self, rect: Rect) -> None:
        """Encode what is not yet of a rectangle in LR samples, and keep it, if there is a cache."""
        for cell in self._missing(rect) if self._kept else ():
            wide = _with_halo(cell, self.rect[2:], ENCODER_HALO)
            with inference(self.pixels.device), self._convolving(self.bfloat16):
                code, up = self._encode(cut(self.pixels, wide))
                new = code, up, *self.model.half(code, CODE_PART)
            for (kept, factor), whole in zip(self._kept, new, strict=True):
                cut(kept, cell, factor)[:] = cut(whole, within(cell, wide), factor)
            self._encoded.add(cell)

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
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """One answer: decodes only, from what is cached.

        Args:
            seed: of the noise; the same seed gives the same picture on any device.
            temperature: multiplies the prior's standard deviation 0.1; 0 is the deterministic answer.
            eps: (tiles, 1024) noise to use in the place of the seed's.
            latent_map: (1, C, H, W) to use in the place of noise, such as ``field.map`` gives: 4 channels at 4x, 16 at
                8x. It need only be right where the region is :meth:`seen`.
            region: (top, left, height, width) in LR samples, to decode that part alone.
            draft: for pictures in motion: see less around a region, back-project once, and convolve in bfloat16 where
                the device does so natively; the grey levels that this is off by are lost in a JPEG.
            progress: show a bar (tqdm).
            as_float: give float32, neither clipped nor rounded.
            out: an array to write into.

        Returns:
            (s*H, s*W, 3) of the LR image's dtype.

        Raises:
            ValueError: no such seed, temperature or region, or noise, a map or ``out`` of another shape.
        """
        s, rect = self.model.scale, self.rect if region is None else _checked_region(region, self.rect)
        seen = self.seen(rect, draft)
        dtype = np.dtype(np.float32) if as_float else self.lr.dtype
        image = _canvas((rect[2] * s, rect[3] * s, 3), dtype, out)
        with inference(self.pixels.device):
            latents = self._latents(seed, temperature, eps, latent_map, seen)
            for block in tqdm(self._blocks(rect), disable=not progress, unit="block"):
                top, left, height, width = (n * s for n in within(block, rect))
                wide = self.seen(block, draft)
                answer = self._decode(wide, cut(latents, within(wide, seen)), draft)
                part = cut(without_colour(answer) if self.grey else answer, within(block, wide), s)
                image[top : top + height, left : left + width] = to_image(part, dtype)
        return image

    def _latents(
        self, seed: int, temperature: float, eps: Tensor | None, latent_map: Tensor | None, seen: Rect
    ) -> Tensor:
        """The latent map of what is seen, (1, C, h, w)."""
        generator, shape = noise_generator(seed, temperature), (self.tiles, LATENTS)
        if latent_map is not None:
            if tuple(latent_map.shape) != (whole := (1, *self.field.zero.shape[1:2], *self.rect[2:])):
                raise ValueError(f"latent_map must be of shape {whole} here, not {tuple(latent_map.shape)}")
            return cut(latent_map.to(self.pixels), seen)
        if eps is not None and tuple(eps.shape) != shape:
            raise ValueError(f"eps must be of shape {shape} for this image, not {tuple(eps.shape)}")
        if not temperature:
            return self.field.part(None, seen)
        draw = noise(generator, self.tiles) if eps is None else eps
        return self.field.part(self.field.z(draw, temperature, seen), seen)

    def _decode(self, wide: Rect, latents: Tensor, draft: bool) -> Tensor:
        """The answer to a rectangle, (1, 3, s*h, s*w), right but for its rim."""
        lr, scale = cut(self.pixels, wide), self.model.scale
        self.encode(wide)
        with self._convolving(self.bfloat16 or (draft and has_bfloat16(lr.device))):
            code, up, *half = [cut(kept, wide, factor) for kept, factor in self._kept] or self._encode(lr)
            if draft or self.bfloat16:  # float32 answers are added up in one order, so that their bytes stay
                code = half or self.model.half(code, CODE_PART)
            answer = self.model.reconstruct(code, latents, up)
        if not self.consistency:
            return answer
        return (consistent_at_once if draft else consistent)(answer, lr, scale)

    def _blocks(self, rect: Rect) -> list[Rect]:
        """Nearly equal blocks that make up a rectangle."""
        top, left, height, width = rect
        rows, cols = self._borders(top, height), self._borders(left, width)
        return [(y, x, y1 - y, x1 - x) for y, y1 in pairwise(rows) for x, x1 in pairwise(cols)]

    def _borders(self, start: int, n: int) -> list[int]:
        """Where the blocks of n samples begin and end."""
        parts = math.ceil(n * self.model.scale / self.block)
        return [start + i * n // parts for i in range(parts + 1)]

    def _encode(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """The code of a part of the LR image, and its enlargement."""
        up = network_input(lr, self.model.scale, self.lr.dtype == np.uint8)
        return self.model.input_code(self.model.features(up)), up

    def _convolving(self, bfloat16: bool) -> torch.autocast:
        return torch.autocast(self.pixels.device.type, torch.bfloat16, enabled=bfloat16)


def _cell_borders(n: int) -> list[int]:
    """Where the cells of n samples begin and end. One lies in the middle, where a picture is looked at first.

    What would be less than a quarter of a cell at either end is a part of its neighbour.
    """
    borders = range((n - CELL) // 2 % CELL, n, CELL)
    return [0, *(at for at in borders if min(at, n - at) >= CELL // 4), n]


def check_model(model: SRVAE) -> torch.device:
    """The device of a model that can answer; raises TypeError for what is none, or is not in single precision."""
    if not isinstance(model, SRVAE):
        raise TypeError(f"model must be an SRVAE, not {type(model).__name__}: load_model('4x-D') gives one")
    numbers = next(model.parameters())
    if numbers.dtype != torch.float32:
        raise TypeError(f"the model is in {numbers.dtype}, and answers are computed in float32: call model.float()")
    return numbers.device


@contextmanager
def inference(device: torch.device) -> Iterator[None]:
    """Compute as inference does: without gradients, and in single precision whatever autocast says around it."""
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        yield


def has_bfloat16(device: torch.device | None = None) -> bool:
    """Whether a device, None for the CPU, convolves in bfloat16 natively, and in less time than in float32.

    Intel's cores with AVX512-FP16 have AVX512-BF16 too, but without AMX, which a virtual machine may hide, it takes
    them 1.7 times as long as float32.
    """
    kind = "cpu" if device is None else device.type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    can = torch.cpu.get_capabilities() if kind == "cpu" else {}
    return can.get("amx_bf16", False) or (can.get("avx512_bf16", False) and not can.get("avx512_fp16", False))


def rgb_tensor(image: np.ndarray) -> Tensor:
    """The colours of a grey, RGB or RGBA image, (1, 3, H, W) float32; ValueError for float that cannot be in [0, 1]."""
    x = to_tensor(as_rgb(image))
    if x.abs().max() > 2:  # bicubic reduction overshoots, but never that far
        raise ValueError(f"the image is float and reaches {x.abs().max():g}: float images are read as [0, 1]")
    return x


def noise_generator(seed: int, temperature: float = 1.0) -> torch.Generator:
    """The generator of a seed's noise.

    Raises:
        ValueError: a seed that is no whole number of 64 bit, or a temperature that is below 0, infinite or NaN.
    """
    if not isinstance(seed, int | np.integer) or not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed must be a whole number of at most 64 bit, not {seed!r}")
    if not isinstance(temperature, int | float | np.number) or not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be a finite number of at least 0, not {temperature!r}")
    return torch.Generator().manual_seed(int(seed))


def _canvas(shape: tuple[int, ...], dtype: np.dtype, out: np.ndarray | None) -> np.ndarray:
    """An array to put an answer into: the one given, if it is fit for that, or a new one."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must be of shape {shape} and {dtype}, not {out.shape} and {out.dtype}")
    return out


def _checked_region(region: Rect, whole: Rect) -> Rect:
    inside = len(region) == 4 and min(region[:2]) >= 0 and min(region[2:]) >= 1
    if not inside or region[0] + region[2] > whole[2] or region[1] + region[3] > whole[3]:
        raise ValueError(f"region {region} (top, left, height, width) is not inside the {whole[2]}x{whole[3]} LR image")
    return region


def _with_halo(block: Rect, size: tuple[int, int], halo: int = HALO) -> Rect:
    """A block and what lies around it in an image of that size."""
    y, x, h, w = block
    top, left = max(y - halo, 0), max(x - halo, 0)
    return top, left, min(y + h + halo, size[0]) - top, min(x + w + halo, size[1]) - left


def within(block: Rect, wide: Rect) -> Rect:
    """Where a block lies in a larger rectangle."""
    return block[0] - wide[0], block[1] - wide[1], *block[2:]


def cut(x: Tensor, rect: Rect, scale: int = 1) -> Tensor:
    """The part of (B, C, s*H, s*W) that a rectangle stands for; a view, which can be written to."""
    top, left, height, width = (n * scale for n in rect)
    return x[..., top : top + height, left : left + width]


def super_resolve(
    lr: np.ndarray,
    model: SRVAE,
    *,
    temperature: float | None = None,
    seed: int = 0,
    self_ensemble: bool = False,
    consistency: bool = True,
    precision: str = "auto",
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
        self_ensemble: average the answers for the 8 flips and rotations, as the release's notebooks do.
        consistency: back-project the answer until its downscaled version matches lr; the release does not.
        precision: "auto" or "float32" (see :class:`Sampler`).
        progress: show a bar (tqdm).
        device: move the model there first, for example "cuda"; None leaves it where it is.
        as_float: give float32, neither clipped nor rounded, as the release measures it.
        out: an array to write into, such as a np.memmap for answers larger than memory. That goes for RGB; the
            self-ensemble, grey and alpha hold the whole answer in memory besides.

    Returns:
        (s*H, s*W[, C]) of the dtype and channels of lr.

    Raises:
        TypeError, ValueError: lr is no image, or an option has no such value.
    """
    check_image(lr, "lr")
    check_model(model)
    if device is not None:
        model.to(device)
    temperature = model.temperature if temperature is None else temperature
    dtype = np.dtype(np.float32) if as_float else lr.dtype
    shape = (*(n * model.scale for n in lr.shape[:2]), *lr.shape[2:])
    if out is not None:
        _canvas(shape, dtype, out)  # refuse it before the work, not after
    if self_ensemble:
        answer = to_image(_mean_of_turns(lr, model, temperature, seed, consistency, precision, progress), dtype)
    else:
        sampler = Sampler(model, lr, consistency=consistency, cache=False, precision=precision)
        target = out if lr.shape[2:] == (3,) else None
        answer = sampler(seed, temperature, progress=progress, as_float=as_float, out=target)
    answer = like_given(answer, lr, model.scale)
    if out is not None and out is not answer:
        out[:] = answer
    return answer if out is None else out


def _mean_of_turns(
    lr: np.ndarray, model: SRVAE, temperature: float, seed: int, consistency: bool, precision: str, progress: bool
) -> Tensor:
    """The mean of the answers to an image's 8 flips and rotations, each with noise of its own: (1, 3, s*H, s*W)."""
    colours, device = visible_colours(lr), check_model(model)
    pixels = rgb_tensor(colours).to(device)
    generator, mean = noise_generator(seed, temperature), torch.zeros((), dtype=torch.float32, device=device)
    for k in tqdm(range(8), disable=not progress, unit="turn"):
        turned = np.rot90(colours, k % 4)  # the turns of `turn`, for images
        turned = turned[:, ::-1] if k >= 4 else turned
        sampler = Sampler(model, turned, consistency=False, cache=False, precision=precision)
        answer = sampler(temperature=temperature, eps=noise(generator, sampler.tiles), as_float=True)
        mean = mean + unturn(to_tensor(answer).to(device), k) / 8
    with inference(device):
        return consistent(mean, pixels, model.scale) if consistency else mean


def without_colour(answer: Tensor) -> Tensor:
    """The luma of an answer, (B, 3, H, W), in all of its channels: BT.601 over the full range."""
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=answer.dtype, device=answer.device)
    return (answer * weights.view(3, 1, 1)).sum(1, keepdim=True).expand_as(answer)


def like_given(answer: np.ndarray, lr: np.ndarray, scale: int) -> np.ndarray:
    """An answer, (s*H, s*W, 3), in the form of the LR image: grey, RGB or with its alpha enlarged.

    The network knows three colours only. What else an image has is dealt with here, at the edge.
    """
    if lr.ndim == 2:
        return answer[..., 0].copy()
    if lr.shape[2] == 3:
        return answer
    alpha = to_image(bicubic(to_tensor(lr[..., 3]), scale, up=True).clamp(0, 1), answer.dtype)
    return np.concatenate([answer, alpha], 2)
