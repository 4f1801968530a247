"""Terms that compare pictures by features of VGG-19: the release's VGG term and the energy score of samples."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from srvae.vgg import VGG19

P_WEIGHT = 10.0  # the release's lambda for P


class VGGTerm:
    """The release's "modified VGG" term: L1 between VGG-19 features before their ReLU, with average pooling.

    The authors' .caffemodel gives the release's own term, the sum of |difference| / 256 at conv5_4. Features of another
    file have another size, so :meth:`calibrate` chooses the unit: with P's weight of 10, the term of the bicubic image
    is as large as its L1 term.

    Args:
        file: see :class:`srvae.vgg.VGG19`; its last layer is compared.
        device: where to keep it.
    """

    def __init__(self, file: str, device: torch.device) -> None:
        self.network = VGG19(file, device)
        self.unit = 1 / 256 if file.endswith(".caffemodel") else 1.0
        self.calibrated = file.endswith(".caffemodel")

    def difference(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the sum of |features of x - features of y| per patch, averaged over the batch."""
        last = self.network.names[-1:]
        with torch.no_grad():
            (wanted,) = self.network.features(y, last, F.avg_pool2d)
        (seen,) = self.network.features(x, last, F.avg_pool2d)
        return (seen.float() - wanted.float()).abs().sum() / len(x)

    @torch.no_grad()
    def calibrate(self, up: Tensor, hr: Tensor) -> None:
        """Choose the unit by enlarged LR and HR patches, each (B, 3, 128, 128); keep the Caffe file's."""
        if not self.calibrated:
            l1 = (up - hr).abs().sum() / len(up)
            self.unit = float(l1 / self.difference(up, hr)) / P_WEIGHT

    def __call__(self, x: Tensor, hr: Tensor) -> Tensor:
        return self.unit * self.difference(x, hr)


class Distances:
    """Distances between two pictures, of different reach: pixels, 8x8 windows and features of VGG-19.

    Each is a root-mean-square difference per place, averaged over places. Features are relu1_1, relu2_1 and relu3_1
    with average pooling.

    Args:
        features: a VGG-19 file, as a rule a distilled one; "" leaves the features out.
        device: where to keep it.
        deep: compare relu4_1, too: its cells see 52 pixels, enough for the arrangement of parts.
    """

    def __init__(self, features: str, device: torch.device, *, deep: bool = False) -> None:
        self.network = VGG19(features, device) if features else None
        self.layers = ("conv1_1", "conv2_1", "conv3_1") + (("conv4_1",) if deep else ())

    def describe(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> descriptions, each (B, numbers, places)."""
        maps = self.network.features(x, self.layers, F.avg_pool2d) if self.network else []
        return [x.flatten(2).float(), F.unfold(x, 8, stride=4).float(), *(F.relu(t).flatten(2).float() for t in maps)]

    @staticmethod
    def between(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        """Return the distances of two pictures' descriptions: scalars, averaged over the batch."""
        return [((p - q).square().mean(1) + 1e-8).sqrt().mean() for p, q in zip(a, b, strict=True)]


def energy_score(
    distances: Distances,
    y1: Tensor,
    y2: Tensor,
    hr: Tensor,
    answer: Tensor,
    mean: Callable[[Tensor], Tensor],
    *,
    repulsion: float = 0.5,
    deep_repulsion: float = 0.5,
) -> Tensor:
    """Return the energy score of two samples per patch: E|Y - HR| - E|Y - Y'| / 2, summed over the distances.

    It is a proper scoring rule (Gneiting and Raftery, 2007): in expectation it is least when samples are spread as the
    originals are. Each distance is divided by the deterministic answer's, so a sampler that always gives this answer
    scores 1 per distance.

    Args:
        distances: what to compare by.
        y1, y2: two samples of each patch, (B, 3, H, W) in [0, 1].
        hr, answer: the originals and the answers at z = 0, of the same shape.
        mean: averages the divisors over all processes.
        repulsion: in the place of 1/2 for pixels and windows; with less, samples are spread less than originals.
        deep_repulsion: the same for features.

    Returns:
        A scalar; lower is better.
    """
    with torch.no_grad():
        target = distances.describe(hr)
        unit = mean(torch.stack(distances.between(distances.describe(answer), target)))
    a, b = distances.describe(y1), distances.describe(y2)
    # The first two draw samples to the original; the third keeps them apart.
    parts = zip(*(distances.between(*pair) for pair in ((a, target), (b, target), (a, b))), unit, strict=True)
    weights = [repulsion] * 2 + [deep_repulsion] * (len(a) - 2)
    return torch.stack([((da + db) / 2 - w * ab) / u for (da, db, ab, u), w in zip(parts, weights, strict=True)]).sum()
