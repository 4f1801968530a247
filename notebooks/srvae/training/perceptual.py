"""Features of VGG-19: the release's VGG term, the distances of the energy score, and a perceptual distance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from srvae.vgg import POOLED, VGG19, check_chain, pair_of

from .config import LAMBDA
from .files import read_tensors

DISTILLED = {"conv0": 1, "conv11": 3, "conv12": 3, "conv21": 3, "conv22": 3, "conv31": 3}  # layers and their kernels
DEEPER = {"conv32": 3, "conv33": 3, "conv34": 3, "conv41": 3}
SHALLOW_PATH = ("conv11", "conv12", "pool", "conv21", "conv22", "pool", "conv31")
DEEP_PATH = (*SHALLOW_PATH, "conv32", "conv33", "conv34", "pool", "conv41")


class Distances:
    """How far apart two pictures are, as a list of distances of different reach.

    Root-mean-square differences per place, averaged over places: of pixels, of 8x8 windows and, where a file
    is given, of the features relu1_1, relu2_1 and relu3_1 of a distilled VGG-19 with its poolings
    changed to average, the release's "modified VGG".

    Args:
        features: the distilled VGG-19; None leaves its distances out.
        device: where to keep it.
        deep: relu4_1 too, whose cells see 52 pixels: what is wrong with a sample there is the arrangement of its parts.

    Raises:
        ValueError: the file holds no such features.
    """

    def __init__(
        self, features: str | Path | None = None, device: str | torch.device = "cpu", *, deep: bool = False
    ) -> None:
        self.weights: dict[str, Tensor] = {}
        self.path = DEEP_PATH if deep else SHALLOW_PATH
        if features:
            tensors, kernels = read_tensors(Path(features)), DISTILLED | (DEEPER if deep else {})
            check_chain({name: pair_of(tensors, name) for name in kernels}, kernels, features)
            self.weights = {name: t.to(device) for name, t in tensors.items()}

    @property
    def channels(self) -> list[int]:
        """Channels of each of :meth:`maps`."""
        compared = [name for name in self.path if name.endswith("1")] if self.weights else []
        return [3, *(len(self.weights[f"{name}.bias"]) for name in compared)]

    def maps(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> the picture itself, then its features where there is a file, each (B, C, h, w)."""
        maps = [x]
        if self.weights:
            h = self.conv(x, "conv0", padding=0)  # RGB in [0, 1] to what VGG-19 was trained on
            for name in self.path:
                h = F.avg_pool2d(h, 2) if name == "pool" else F.relu(self.conv(h, name))
                if name.endswith("1"):
                    maps.append(h)
        return maps

    def describe(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> descriptions, each (B, numbers, places)."""
        pixels, *features = self.maps(x)
        descriptions = [pixels.flatten(2), F.unfold(x, 8, stride=4), *(t.flatten(2) for t in features)]
        return [t.float() for t in descriptions]

    def conv(self, x: Tensor, name: str, padding: int = 1) -> Tensor:
        """One of the file's convolutions."""
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], padding=padding)

    @staticmethod
    def between(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        """The distances of two pictures' descriptions, a scalar each, averaged over the batch."""
        return [((p - q).square().mean(1) + 1e-8).sqrt().mean() for p, q in zip(a, b, strict=True)]


def energy_score(
    distances: Distances,
    y1: Tensor,
    y2: Tensor,
    hr: Tensor,
    answer: Tensor,
    mean: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """The energy score of two samples per patch: E|Y - HR| - E|Y - Y'| / 2, summed over the distances.

    It is a proper scoring rule (Gneiting and Raftery, 2007): in expectation it is least when samples are spread as the
    originals are, so equal samples score worse.

    Args:
        distances: to add up.
        y1, y2: two samples of each patch, (B, 3, H, W) in [0, 1].
        hr: the originals, of the same shape.
        answer: the z = 0 answers. Each distance is divided by theirs, so a sampler that always gives this answer
            scores 1 per distance.
        mean: averages these units over several processes.

    Returns:
        A scalar; lower is better.
    """
    with torch.no_grad():
        target = distances.describe(hr)
        unit = torch.stack(distances.between(distances.describe(answer), target))
        unit = unit if mean is None else mean(unit)
    # The first term draws samples to the original, the second keeps them apart: equal samples would lose by it.
    a, b = distances.describe(y1), distances.describe(y2)
    parts = zip(*(distances.between(*p) for p in ((a, target), (b, target), (a, b))), unit, strict=True)
    return torch.stack([((da + db) / 2 - ab / 2) / u for da, db, ab, u in parts]).sum()


class VGG(VGG19):
    """The release's "modified VGG" term: L1 between VGG-19 features before their ReLU, poolings averaged.

    Args:
        file: see :class:`vgg.VGG19`; the last layer that it has is compared, of a full VGG-19 conv5_4.
        device: where to keep it.

    The Caffe file gives the release's term itself, the sum of |difference| / 256. Features of any other file have
    other sizes, so :meth:`calibrate` chooses the unit then: with P's lambda, 10, the term of the bicubic image weighs
    as much as its L1 term, with D's a tenth of that.

    Raises:
        ValueError: no VGG-19 file.
    """

    def __init__(self, file: str | Path, device: str | torch.device = "cpu") -> None:
        super().__init__(file, device)
        self.unit = 1 / 256 if Path(file).suffix == ".caffemodel" else None

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> the last layer's output before its ReLU."""
        x = F.conv2d(x, *self.layers["colour"])
        for i, name in enumerate(self.names):
            x = F.conv2d(F.relu(x) if i else x, *self.layers[name], padding=1)
            if name in POOLED and name != self.names[-1]:
                x = F.avg_pool2d(F.relu(x), 2)  # the next ReLU changes nothing
        return x

    def difference(self, x: Tensor, y: Tensor) -> Tensor:
        """Sum of absolute differences of x from y per patch, averaged over the batch, in the features' own size."""
        with torch.no_grad():
            wanted = self.features(y).float()
        return (self.features(x).float() - wanted).abs().sum() / len(x)

    @torch.no_grad()
    def calibrate(self, up: Tensor, hr: Tensor) -> None:
        """Choose the unit from enlarged LR and HR patches, each (B, 3, 128, 128); the Caffe file keeps its own."""
        if self.unit is None:
            l1 = (up - hr).abs().sum() / len(up)
            self.unit = float(l1 / self.difference(up, hr)) / LAMBDA["P"]

    def __call__(self, x: Tensor, hr: Tensor) -> Tensor:
        """The term for pictures x of hr, in units that lambda multiplies."""
        return self.unit * self.difference(x, hr)
