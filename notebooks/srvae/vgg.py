"""VGG-19 read from a user's file, and the VGG distance: how unlike two pictures look by its features.

    vgg = VGG19("vgg19.safetensors")
    vgg.distances([answer, sample], original, border=4)  # lower is better; 0 for the original itself

The file is not shipped. Training compares pictures by the same network (``training.perceptual``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import srvae_core as sr
from srvae import release

BLOCKS = (2, 2, 4, 4, 4)  # convolutions between two poolings
NAMES = [f"conv{block}_{i}" for block, depth in enumerate(BLOCKS, 1) for i in range(1, depth + 1)]
POOLED = ("conv1_2", "conv2_2", "conv3_4", "conv4_4")  # a pooling follows
COMPARED = POOLED[:3]  # layers of the distance; their maps have 1, 1/2 and 1/4 of the picture's height and width
TILE = 256  # pixels a side of a tile, a multiple of 4, so that tiling does not shift the poolings
HALO = 24  # pixels around a tile; a feature of conv3_4 sees 22 on each side


def read_layers(file: Path) -> dict[str, list[Tensor]]:
    """Read weights and biases by Caffe's names; ``colour`` maps RGB in [0, 1] to the first layer's input.

    Raises:
        ValueError: the file is neither .caffemodel nor .safetensors, or it is damaged.
    """
    if file.suffix == ".caffemodel":
        layers = {name: [t[0], t[-1].flatten()] for name, t in release.read_caffemodel(file).items() if name in NAMES}
        bgr = torch.eye(3, device="cpu").flip(0)[:, :, None, None] * 255
        return layers | {"colour": [bgr, torch.tensor([-103.939, -116.779, -123.68], device="cpu")]}
    if file.suffix != ".safetensors":
        raise ValueError(f"{file}: VGG-19 is read from .caffemodel or .safetensors files (pickles are not opened)")
    tensors, _ = sr.read_weights(file)
    layers = {name.removesuffix(".weight"): t for name, t in tensors.items() if name.endswith(".weight")}
    layers = {name: [t, tensors.get(f"{name}.bias", t)] for name, t in layers.items()}
    if "features.0" in layers:  # torchvision numbers ReLUs and poolings, too
        numbers = sorted(int(name.removeprefix("features.")) for name in layers if name.startswith("features."))
        mean, sd = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], device="cpu")
        named = {name: layers[f"features.{i}"] for name, i in zip(NAMES, numbers, strict=False)}
        return named | {"colour": [torch.diag(1 / sd)[:, :, None, None], -mean / sd]}
    distilled = {name: f"conv{name[4]}_{name[5:]}" for name in layers if len(name) == 6 and name[4:].isdigit()}
    return {distilled.get(name, "colour" if name == "conv0" else name): pair for name, pair in layers.items()}


class VGG19:
    """The convolutions of a VGG-19, as far as a file has them.

    Args:
        file: the authors' ``VGG_ILSVRC_19_layers.caffemodel``; a .safetensors with torchvision's names
            (features.0.weight ...) or with Caffe's names and a ``colour`` layer; or a distilled VGG-19 of fewer
            channels (conv0, conv11, conv12 ...).
        device: where to keep it.

    Attributes:
        names: the convolutions that the file has, in order, by Caffe's names.
        layers: weights and biases of ``colour`` and of these, float32.
        description: the file's name and its last layer.

    Raises:
        ValueError: the file holds no VGG-19.
    """

    def __init__(self, file: str | Path, device: str | torch.device = "cpu") -> None:
        layers = read_layers(Path(file))
        self.names = [name for name in NAMES if name in layers]
        if not self.names or self.names != NAMES[: len(self.names)]:
            raise ValueError(f"{file} holds no VGG-19: it needs the layers conv1_1, conv1_2 and so on without a gap")
        channels = 3
        for name in ("colour", *self.names):
            weight, bias = layers.get(name, [torch.empty(0, device="cpu")] * 2)
            edge = 1 if name == "colour" else 3
            if weight.shape[1:] != (channels, edge, edge) or bias.shape != weight.shape[:1]:
                raise ValueError(
                    f"{file}: {name} must be (N, {channels}, {edge}, {edge}) with N biases, not {tuple(weight.shape)}"
                )
            channels = len(weight)
        self.description = f"{Path(file).name}, {self.names[-1]}"
        device = sr.check_device(device)
        self.layers = {name: [t.float().to(device) for t in layers[name]] for name in ("colour", *self.names)}

    def features(self, x: Tensor, wanted: Sequence[str], pool: Callable[[Tensor, int], Tensor]) -> list[Tensor]:
        """Compute the outputs of some layers before their ReLU.

        Args:
            x: (B, 3, H, W) in [0, 1].
            wanted: names of layers, in order.
            pool: ``F.max_pool2d``, or ``F.avg_pool2d`` as in the release's "modified VGG".

        Raises:
            ValueError: the file lacks one of these layers.
        """
        if wanted[-1] not in self.names:
            raise ValueError(f"a VGG-19 up to {wanted[-1]} is needed; {self.description.replace(', ', ' ends at ')}")
        h, found = F.conv2d(x, *self.layers["colour"]), []
        for i, name in enumerate(self.names):
            h = F.conv2d(F.relu(h) if i else h, *self.layers[name], padding=1)
            if name in wanted:
                found.append(h)
            if name == wanted[-1]:
                break
            if name in POOLED:
                h = pool(F.relu(h), 2)
        return found

    def appearance(self, x: Tensor) -> list[Tensor]:
        """Compute features after the ReLU of :data:`COMPARED`, with channels of unit length at each place."""
        seen = [F.relu(h) for h in self.features(x, COMPARED, F.max_pool2d)]
        return [h / (h.square().sum(1, keepdim=True) + 1e-10).sqrt() for h in seen]

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Compute how unlike two pictures look, lower is better: (B, 3, H, W) twice, in [0, 1] -> (B,).

        In the form of LPIPS (Zhang et al., 2018) without its learned weights: squared difference of
        :meth:`appearance` summed over channels, mean over places and layers.
        """
        layers = zip(self.appearance(x), self.appearance(y), strict=True)
        return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in layers]).mean(0)

    @torch.inference_mode()
    def distances(self, pictures: Sequence[np.ndarray], original: np.ndarray, border: int = 0) -> list[float]:
        """Compute :meth:`distance` of several pictures from one original in tiles, in at most 0.4 GiB.

        Args:
            pictures: (H, W, 3) or (H, W), uint8, uint16 or float in [0, 1].
            original: likewise, of the same size.
            border: pixels left out on every side; by custom the scale.

        Raises:
            TypeError, ValueError: invalid images, sizes that differ, fewer than 4x4 pixels left, or a file with too few
                layers.
        """
        target, *others = (self._inner(image, border) for image in (original, *pictures))
        for image, x in zip(pictures, others, strict=True):
            if x.shape != target.shape:
                raise ValueError(f"the images differ in size: {image.shape} and {original.shape}")
        height, width = target.shape[2:]
        sums = torch.zeros(len(others), len(COMPARED), dtype=torch.float64, device="cpu")
        for window, core in _tiles(height, width):
            wanted = self.appearance(target[window])
            for i, x in enumerate(others):
                for depth, (a, b) in enumerate(zip(self.appearance(x[window]), wanted, strict=True)):
                    y0, y1, x0, x1 = (edge >> depth for edge in core)
                    sums[i, depth] += (a - b)[..., y0:y1, x0:x1].square().sum(dtype=torch.float64).cpu()
        places = [(height >> depth) * (width >> depth) for depth in range(len(COMPARED))]
        return (sums.numpy() / places).mean(1).tolist()

    def _inner(self, image: np.ndarray, border: int) -> Tensor:
        """Crop the border and convert an image to (1, 3, H, W) in [0, 1]."""
        height, width = sr.check_image(image).shape[:2]
        if border < 0 or min(height, width) - 2 * border < 4:
            raise ValueError(f"a border of {border} leaves fewer than 4x4 of {height}x{width} pixels")
        x = sr.to_tensor(sr.as_rgb(image))[..., border : height - border, border : width - border]
        return x.float().clamp(0, 1).to(self.layers["colour"][0].device)


def _tiles(height: int, width: int) -> Iterator[tuple[tuple[slice, ...], tuple[int, int, int, int]]]:
    """Yield windows of (1, 3, H, W), and the part of each window without its halo, in the window's pixels."""
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            y, x = max(0, top - HALO), max(0, left - HALO)
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            window = (..., slice(y, min(bottom + HALO, height)), slice(x, min(right + HALO, width)))
            yield window, (top - y, bottom - y, left - x, right - x)
