"""A discriminator of samples: an option of ours, which the release does not have.

The energy score compares samples with their originals place by place, on the average over a picture. It is nearly blind
to what is rare, and to how parts are arranged. A network that learns to tell samples from originals sees just that
(Goodfellow et al., 2014). It looks at pixels and at fixed features of VGG-19, since a discriminator of features is of
use after some hundred steps (Sauer et al., *Projected GANs Converge Faster*, 2021), and a run of minutes has no more
than some thousand.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from .perceptual import Distances

WIDTH = 64  # channels inside a head
SLOPE = 0.2  # of the leaky ReLUs
FINE = 2  # feature maps at a picture's own size: their heads halve it first, which takes a quarter of the time


class UnitConv(nn.Conv2d):
    """A convolution whose filters have length 1, so that judgements do not grow with the weights."""

    def forward(self, x: Tensor) -> Tensor:
        length = self.weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        return self._conv_forward(x, self.weight / length, self.bias)


class Head(nn.Module):
    """The judgement of one feature map: (B, 2 C, h, w) -> (B, 1, h', w'), large where it looks like an original.

    Args:
        channels: C, of the features; as many channels tell of the answer of z = 0.
        halved: whether h' = h / 2.
    """

    def __init__(self, channels: int, *, halved: bool) -> None:
        super().__init__()
        size = {"kernel_size": 4, "stride": 2} if halved else {"kernel_size": 3}
        self.layers = nn.ModuleList(
            [
                UnitConv(2 * channels, WIDTH, padding=1, **size),
                UnitConv(WIDTH, WIDTH, kernel_size=3, padding=1),
                UnitConv(WIDTH, 1, kernel_size=3, padding=1),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            x = layer(F.leaky_relu(x, SLOPE) * math.sqrt(2) if number else x)
        return x


class Discriminator(nn.Module):
    """Tells samples from originals, both seen beside the answer of z = 0, at several feature maps of a picture.

    Args:
        distances: whose feature maps are judged; they stand still.
    """

    def __init__(self, distances: Distances) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            Head(channels, halved=number < FINE) for number, channels in enumerate(distances.channels)
        )

    def forward(self, seen: list[Tensor]) -> list[Tensor]:
        """The judgement of each place of each map; a map is what :func:`beside` makes of it, (B, 2 C, h, w)."""
        return [head(x) for head, x in zip(self.heads, seen, strict=True)]


def size_of(features: Tensor) -> Tensor:
    """The root-mean-square of each channel of (B, C, h, w), never quite zero: (1, C, 1, 1)."""
    return features.square().mean((0, 2, 3), keepdim=True).sqrt() + 1e-6


def beside(features: Tensor, answer: Tensor, unit: Tensor) -> Tensor:
    """How far a map is from that of the answer, and the latter: (N B, C, h, w), (B, C, h, w) -> (N B, 2 C, h, w).

    ``unit`` is the size of what originals differ by in each channel, (1, C, 1, 1).
    """
    answer = answer.repeat(len(features) // len(answer), 1, 1, 1)
    return torch.cat([(features - answer) / unit, answer / size_of(answer)], dim=1)


def adversarial_terms(
    discriminator: Discriminator, distances: Distances, samples: list[Tensor], hr: Tensor, answer: Tensor
) -> tuple[Tensor, Tensor]:
    """What samples lose by being told from originals, and what the discriminator loses by not telling (hinge).

    Args:
        discriminator: learns from the second term alone.
        distances: the features.
        samples: of each patch, (B, 3, H, W) in [0, 1] each. They learn from the first term alone.
        hr: the originals, of the same shape.
        answer: the answers of z = 0, of the same shape.

    Returns:
        Two scalars, averaged over the maps, their places and the batch.
    """
    with torch.no_grad():
        answers, originals = distances.maps(answer), distances.maps(hr)
        units = [size_of(original - known) for original, known in zip(originals, answers, strict=True)]
        real = list(map(beside, originals, answers, units))
    fake = list(map(beside, distances.maps(torch.cat(samples)), answers, units))
    fixed = {name: p.detach() for name, p in discriminator.named_parameters()}
    told = functional_call(discriminator, fixed, (fake,))
    lost = -torch.stack([t.float().mean() for t in told]).mean()
    of_real, of_fake = discriminator(real), discriminator([t.detach() for t in fake])
    wrong = [F.relu(1 - t.float()).mean() for t in of_real], [F.relu(1 + t.float()).mean() for t in of_fake]
    return lost, sum(torch.stack(part).mean() for part in wrong)
