"""VGG-19 read from a user's file, and how unlike two pictures look by its features: the VGG distance.

    vgg = VGG19("vgg19.safetensors")
    vgg.distances([answer, sample], original, border=4)  # lower is better; 0 for the original itself

The file is not shipped. Training's VGG term (``training.perceptual.VGG``) reads the same files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
TILE = 256  # pixels a side of what is compared at once, a multiple of 4, so that poolings fall where they would
HALO = 24  # pixels around a tile; a feature of conv3_4 sees 22 on each side

Layers = Mapping[str, Sequence[Tensor]]  # weights and biases by name


def pair_of(tensors: Mapping[str, Tensor], name: str) -> list[Tensor]:
    """A layer's weights and biases, as far as they are there."""
    return [tensors[key] for key in (f"{name}.weight", f"{name}.bias") if key in tensors]


def check_chain(layers: Layers, kernels: Mapping[str, int], file: str | Path) -> None:
    """Make sure that layers are convolutions of which each reads what the one before gives, from three colours on.

    Raises:
        ValueError: they are not; it names the first that does not fit, and the file.
    """
    channels = 3
    for name, edge in kernels.items():
        shapes = [tuple(t.shape) for t in layers.get(name, ()) if t.is_floating_point()]
        count = shapes[0][0] if shapes and shapes[0] else 0
        if not count or shapes != [(count, channels, edge, edge), (count,)]:
            found = " with ".join(map(str, shapes)) or "missing"
            raise ValueError(f"{file}: {name} must be (N, {channels}, {edge}, {edge}) with (N,) biases, and is {found}")
        channels = count


def read_layers(file: Path) -> dict[str, list[Tensor]]:
    """Weights and biases by Caffe's names; colour turns RGB in [0, 1] into what the first layer was trained on.

    Raises:
        ValueError: no .caffemodel or .safetensors file, or one that cannot be read.
    """
    if file.suffix == ".caffemodel":
        bgr = torch.eye(3).flip(0)[:, :, None, None] * 255
        blobs = {k: t for k, t in release.read_caffemodel(file).items() if k in NAMES}
        caffe = {k: [*t[:1], *(bias.flatten() for bias in t[1:])] for k, t in blobs.items()}
        return caffe | {"colour": [bgr, torch.tensor([-103.939, -116.779, -123.68])]}
    if file.suffix != ".safetensors":
        raise ValueError(
            f"{file}: VGG-19 is read from .caffemodel or .safetensors files; nothing is unpickled, so save the "
            "tensors of a .pth file with safetensors.torch.save_file first"
        )
    tensors, _ = sr.read_weights(file)
    if "features.0.weight" not in tensors:
        return {n: pair_of(tensors, n) for n in ("colour", *NAMES) if f"{n}.weight" in tensors}
    numbers = [i for i in range(36) if f"features.{i}.weight" in tensors]  # between ReLUs and poolings
    mean, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    layers = {n: pair_of(tensors, f"features.{i}") for n, i in zip(NAMES, numbers, strict=False)}
    return layers | {"colour": [torch.diag(1 / sd)[:, :, None, None], -mean / sd]}


class VGG19:
    """The convolutions of a VGG-19, as far as a file has them, and the distance of pictures by their features.

    Args:
        file: a VGG-19, as the authors' ``VGG_ILSVRC_19_layers.caffemodel``, as .safetensors with torchvision's names
            (features.0.weight ...), or as .safetensors with Caffe's names and a ``colour`` layer.
        device: where to keep it.

    Attributes:
        names: the convolutions that the file has, in order, by Caffe's names.
        layers: weights and biases of ``colour`` and of these, float32.
        description: the file's name and its last layer.

    Raises:
        ValueError: no VGG-19 file.
    """

    def __init__(self, file: str | Path, device: str | torch.device = "cpu") -> None:
        file = Path(file)
        layers = read_layers(file)
        self.names = [n for n in NAMES if n in layers]
        if "colour" not in layers or not self.names or self.names != NAMES[: len(self.names)]:
            raise ValueError(
                f"{file} holds no VGG-19: conv1_1, conv1_2, ... and, with Caffe's names, colour are needed"
            )
        check_chain(layers, {"colour": 1} | dict.fromkeys(self.names, 3), file)
        self.description = f"{file.name}, {self.names[-1]}"
        self.layers = {n: [t.float().to(device) for t in layers[n]] for n in ("colour", *self.names)}

    def check_depth(self) -> None:
        """Raise ValueError where the file has too few layers for the distance."""
        if COMPARED[-1] not in self.names:
            file, last = self.description.rsplit(", ", 1)
            raise ValueError(
                f"the last layer of {file} is {last}, but the VGG distance needs those up to {COMPARED[-1]}"
            )

    def appearance(self, x: Tensor) -> list[Tensor]:
        """Features after the ReLU of :data:`COMPARED`, max pooling between, channels of unit length at each place.

        Args:
            x: (B, 3, H, W) in [0, 1].

        Returns:
            (B, C, H, W), (B, C', H // 2, W // 2) and (B, C'', H // 4, W // 4).

        Raises:
            ValueError: the file has not so many layers.
        """
        self.check_depth()
        h, seen = F.conv2d(x, *self.layers["colour"]), []
        for name in self.names[: self.names.index(COMPARED[-1]) + 1]:
            h = F.relu(F.conv2d(h, *self.layers[name], padding=1))
            if name in COMPARED:
                seen.append(h / (h.square().sum(1, keepdim=True) + 1e-10).sqrt())
                h = h if name == COMPARED[-1] else F.max_pool2d(h, 2)
        return seen

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """How unlike two pictures look, lower is better: (B, 3, H, W) twice, in [0, 1] -> (B,).

        In the form of LPIPS (Zhang et al., 2018) without its learned weights: squared difference of
        :meth:`appearance` summed over channels, mean over places and layers.

        Raises:
            ValueError: as for :meth:`appearance`.
        """
        layers = zip(self.appearance(x), self.appearance(y), strict=True)
        return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in layers]).mean(0)

    @torch.inference_mode()
    def distances(self, pictures: Sequence[np.ndarray], original: np.ndarray, border: int = 0) -> list[float]:
        """:meth:`distance` of several pictures from one original, computed tile by tile.

        That is the same number but for rounding. Beside copies of the pictures it takes 0.4 GiB at most, and the
        original's features are computed once.

        Args:
            pictures: (H, W, 3) or (H, W), uint8, uint16 or float in [0, 1].
            original: likewise, of the same size.
            border: pixels left out on every side; by custom the scale.

        Raises:
            TypeError: no images.
            ValueError: no images, sizes that differ, fewer than 4x4 pixels left, or as for :meth:`appearance`.
        """
        target, *others = (self._inner(image, border) for image in (original, *pictures))
        for image, x in zip(pictures, others, strict=True):
            if x.shape != target.shape:
                raise ValueError(f"the images differ in size: {image.shape} and {original.shape}")
        height, width = target.shape[2:]
        sums = torch.zeros(len(others), len(COMPARED), dtype=torch.float64)
        for window, core in _tiles(height, width):
            wanted = self.appearance(target[window])
            for i, x in enumerate(others):
                for depth, (a, b) in enumerate(zip(self.appearance(x[window]), wanted, strict=True)):
                    y0, y1, x0, x1 = (edge >> depth for edge in core)
                    sums[i, depth] += (a - b)[..., y0:y1, x0:x1].square().sum(dtype=torch.float64).cpu()
        places = torch.tensor([(height >> depth) * (width >> depth) for depth in range(len(COMPARED))])
        return (sums / places).mean(1).tolist()

    def _inner(self, image: np.ndarray, border: int) -> Tensor:
        """The colours of an image without a border, (1, 3, H, W) in [0, 1]."""
        height, width = sr.check_image(image).shape[:2]
        if border < 0 or min(height, width) - 2 * border < 4:
            raise ValueError(f"a border of {border} leaves fewer than 4x4 of {height}x{width} pixels")
        x = sr.to_tensor(sr.as_rgb(image))[..., border : height - border, border : width - border]
        return x.float().clamp(0, 1).to(self.layers["colour"][0].device)


def distance_network(file: str | Path) -> VGG19:
    """A file's network, which is known to have the layers of the distance; raises ValueError where it has not."""
    network = VGG19(file)
    network.check_depth()
    return network


def _tiles(height: int, width: int) -> Iterator[tuple[tuple[slice, ...], tuple[int, int, int, int]]]:
    """Windows of a picture, as an index of (1, 3, H, W), and the part of each that counts, in the window's pixels."""
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            y, x = max(0, top - HALO), max(0, left - HALO)
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            window = (..., slice(y, min(bottom + HALO, height)), slice(x, min(right + HALO, width)))
            yield window, (top - y, bottom - y, left - x, right - x)
