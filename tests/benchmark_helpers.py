"""What the tests of benchmarks and figures share."""

import math
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure
from safetensors.torch import save_file

from srvae.csvfiles import RESULTS, read_csv
from srvae.vgg import NAMES

matplotlib.use("agg")  # no windows


def results_row(method: str, settings: str, scale: int = 4, dataset: str = "bundled", **values: str) -> dict[str, str]:
    """A row of data/results.csv."""
    head = {"method": method, "scale": str(scale), "set": dataset, "settings": settings}
    return dict.fromkeys(read_csv(RESULTS)[0], "") | head | values


def texts(fig: Figure) -> list[str]:
    """All words of a figure that are no titles."""
    return [t.get_text() for ax in fig.axes for t in ax.texts]


def overlapping(fig: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that cover each other."""
    fig.draw_without_rendering()  # lays out
    boxes = [(t.get_text(), t.get_window_extent()) for ax in fig.axes for t in [*ax.texts, ax.title] if t.get_text()]
    boxes = [(text, b.shrunk(0.9, 0.9)) for text, b in boxes]
    return [(p, q) for i, (p, a) in enumerate(boxes) for q, b in boxes[i + 1 :] if a.overlaps(b)]


def write_vgg(path: Path, last: str = "conv3_4") -> Path:
    """Write a VGG-19 of few channels and random weights, up to a layer, with Caffe's names; returns the path."""
    names = NAMES[: NAMES.index(last) + 1]
    generator = torch.Generator().manual_seed(0)
    tensors = {"colour.weight": torch.eye(3)[:, :, None, None], "colour.bias": torch.full((3,), -0.5)}
    channels = 3
    for name in names:
        width = 2 + int(name[4])  # by the block: 3, 4, 5 ...
        tensors[f"{name}.weight"] = torch.randn(width, channels, 3, 3, generator=generator) * (2 / 9 / channels) ** 0.5
        tensors[f"{name}.bias"] = 0.1 * torch.randn(width, generator=generator)
        channels = width
    save_file(tensors, path)
    return path


def cut_off(fig: Figure, width: float | None = None) -> list[str]:
    """Texts that reach out of a figure, or are wider than ``width`` pixels."""
    fig.draw_without_rendering()
    all_texts = [t for ax in fig.axes for t in [*ax.texts, ax.title] if t.get_text()]
    boxes = [(t.get_text(), t.get_window_extent()) for t in all_texts]
    return [
        text
        for text, b in boxes
        if min(b.x0, b.y0, fig.bbox.x1 - b.x1, fig.bbox.y1 - b.y1) < 0 or b.width > (width or math.inf)
    ]
