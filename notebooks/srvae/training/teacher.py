"""The teacher: VapSR networks whose answers become a part of the target.

A good answer is easier to learn from than an original, whose random details no network can know. VapSR (Zhou et al.,
*Efficient Image Super-Resolution Using Vast-Receptive-Field Attention*, ECCV workshops 2022) is small and has a much
higher PSNR. Its authors' weights are not shipped; only its answers are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

import srvae_core as sr

from .graph import cuda_graph

CONTEXT = {4: 8, 8: 6}  # LR samples around a patch that a teacher needs
BETWEEN = 8  # samples around a patch that the second network gets of the first one's answer
CHANNELS, WIDE = 48, 64  # of VapSR, between and inside the blocks


class VapSR:
    """One VapSR network, 2x or 4x, from a .safetensors file with the authors' names.

    Raises:
        ValueError: tensors are missing or have another shape.
    """

    def __init__(self, file: str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.weights = {name: t.to(device, dtype) for name, t in sr.read_weights(file)[0].items()}
        self.blocks = len({name.split(".")[1] for name in self.weights if name.startswith("body.")})
        self.scale, self.dtype = (4 if "upsampler.3.weight" in self.weights else 2), dtype
        for layer, shape in self._shapes().items():
            weight, bias = (getattr(self.weights.get(f"{layer}.{kind}"), "shape", None) for kind in ("weight", "bias"))
            if (weight, bias) != (shape, shape[:1]):
                raise ValueError(f"{file} holds no VapSR network: {layer}.weight must be {shape}, not {weight}")

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {"conv_first": (CHANNELS, 3, 3, 3), "conv_body": (CHANNELS, CHANNELS, 3, 3)}
        for name in (f"body.{number}" for number in range(self.blocks)):
            branch = f"{name}.atten_branch"
            shapes |= {f"{name}.proj_1": (WIDE, CHANNELS, 1, 1), f"{name}.proj_2": (CHANNELS, WIDE, 1, 1)}
            shapes |= {f"{branch}.pointwise": (WIDE, WIDE, 1, 1), f"{name}.pixel_norm": (CHANNELS,)}
            shapes |= {f"{branch}.{kind}": (WIDE, 1, 5, 5) for kind in ("depthwise", "depthwise_dilated")}
        if self.scale == 4:
            return shapes | {"upsampler.0": (64, CHANNELS, 3, 3), "upsampler.3": (12, 16, 3, 3)}
        return shapes | {"upsampler.0": (56, CHANNELS, 3, 3), "upsampler.2": (12, 56, 3, 3)}

    def _conv(self, x: Tensor, name: str, padding: int = 0, dilation: int = 1, groups: int = 1) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.conv2d(x, weight, bias, padding=padding, dilation=dilation, groups=groups)

    def _block(self, x: Tensor, name: str) -> Tensor:
        """Attention over 17x17 pixels: a 5x5 and a dilated 5x5 convolution of each channel."""
        h = F.gelu(self._conv(x, f"{name}.proj_1"))
        a = self._conv(h, f"{name}.atten_branch.pointwise")
        a = self._conv(a, f"{name}.atten_branch.depthwise", padding=2, groups=WIDE)
        a = self._conv(a, f"{name}.atten_branch.depthwise_dilated", padding=6, dilation=3, groups=WIDE)
        h = self._conv(h * a, f"{name}.proj_2") + x
        weight, bias = self.weights[f"{name}.pixel_norm.weight"], self.weights[f"{name}.pixel_norm.bias"]
        return F.layer_norm(h.permute(0, 2, 3, 1), weight.shape, weight, bias, 1e-5).permute(0, 3, 1, 2)

    @torch.no_grad()
    def __call__(self, lr: Tensor) -> Tensor:
        """Enlarge LR images in [0, 1]: (B, 3, h, w) float32 -> (B, 3, s*h, s*w) float32, not clipped."""
        first = h = self._conv(lr.to(self.dtype), "conv_first", padding=1)  # added again after the last block
        for number in range(self.blocks):
            h = self._block(h, f"body.{number}")
        h = self._conv(self._conv(h, "conv_body", padding=1) + first, "upsampler.0", padding=1)
        if self.scale == 2:
            return F.pixel_shuffle(self._conv(F.leaky_relu(h, 0.1), "upsampler.2", padding=1), 2).float()
        h = F.leaky_relu(F.pixel_shuffle(h, 2), 0.1)
        return F.pixel_shuffle(self._conv(h, "upsampler.3", padding=1), 2).float()


def cut_border(t: Tensor, width: int) -> Tensor:
    """Cut ``width`` places off each side of (..., H, W)."""
    return t[..., width : t.shape[-2] - width, width : t.shape[-1] - width]


class Teacher:
    """VapSR networks in a row: 4x, or 4x and then 2x for 8x.

    Raises:
        ValueError: the files are not VapSR networks, or together enlarge by another scale.
    """

    def __init__(self, files: Sequence[str], scale: int, device: torch.device, graph: bool = False) -> None:
        # Half precision halves the time of depthwise convolutions on a GPU and moves answers by 0.1 grey levels.
        dtype = torch.float16 if device.type == "cuda" else torch.float32
        self.networks, self.margin = [VapSR(file, device, dtype) for file in files], CONTEXT[scale]
        factors = [network.scale for network in self.networks]
        if math.prod(factors) != scale:
            shown = " and ".join(f"{factor}x" for factor in factors)
            raise ValueError(f"the teacher enlarges {shown}, but the scale is {scale}: 8x needs a 4x and a 2x network")
        self.run = cuda_graph(self._run) if graph else self._run

    def _run(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        y, margin = inputs["context"], self.margin
        for network in self.networks:
            # The context of the first network would be four times as wide, and twice the work, for the second.
            y, margin = cut_border(y, max(0, margin - BETWEEN)), min(margin, BETWEEN)
            y, margin = network(y.clamp(0, 1)), margin * network.scale
        return {"answer": cut_border(y, margin)}

    def __call__(self, context: Tensor) -> Tensor:
        """Answer LR patches with ``margin`` samples around them: (B, 3, h, w) in [0, 1] -> (B, 3, 128, 128)."""
        return self.run({"context": context})["answer"]
