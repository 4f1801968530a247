"""Crops of all methods side by side, in the layout of the paper's figures; at 4x and at 8x.

fig = comparison(compare(4))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import metrics
import numpy as np
from benchmarks.peers import answers_folder, named_peers, peer_answer, wrong_answers
from benchmarks.sets import cropped, load_image, pair
from csvfiles import Row
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import srvae_core as sr

from .crops import CROPS, crop_row, labelled
from .style import COLOURS, FIGURE_WIDTH, colour, show


@dataclass(frozen=True)
class Excerpt:
    """A picture and the square of it that a comparison shows.

    Attributes:
        dataset, image: as :func:`benchmarks.sets.load_image` takes them.
        title: above the picture.
        top, left, edge: of the square in pixels of the original, multiples of the scale.
    """

    dataset: str
    image: str
    title: str
    top: int
    left: int
    edge: int = 64

    def misplaced(self, size: tuple[int, int], scale: int) -> str:
        """What is wrong with the square in a picture of that height and width; "" if nothing is."""
        height, width = cropped(size, scale)
        inside = 0 <= self.top <= height - self.edge and 0 <= self.left <= width - self.edge and self.edge > 0
        if inside and not any(n % scale for n in (self.top, self.left, self.edge)):
            return ""
        square = f"{self.edge}x{self.edge}+{self.left}+{self.top}"
        return f"the square {square} of {self.image} must lie inside {height}x{width} pixels, in multiples of {scale}"


METHOD = "SR-VAE-"  # what the variant follows in the names of panels

# The bundled photographs stand for the paper's pictures, which are not ours to publish.
EXCERPTS = {
    ("bundled", 4): (
        Excerpt("bundled", "astronaut", "astronaut", 340, 136),
        Excerpt("bundled", "motorcycle_left", "motorcycle", 160, 392),
        Excerpt("bundled", "coffee", "coffee", 248, 328),
    ),
    ("bundled", 8): (
        Excerpt("bundled", "chelsea", "chelsea", 80, 144, 96),
        Excerpt("bundled", "astronaut", "astronaut", 64, 176, 96),
        Excerpt("bundled", "motorcycle_left", "motorcycle", 296, 328, 96),
    ),
    ("benchmarks", 4): (
        Excerpt("Set5", "img_005", "woman", 0, 60),
        Excerpt("Set14", "img_014", "zebra", 60, 260),
        Excerpt("BSD100", "img_041", "21077", 120, 200),
        Excerpt("Urban100", "img_002", "img002", 240, 320),
    ),
    ("benchmarks", 8): (
        Excerpt("BSD100", "img_026", "160068", 48, 56, 96),
        Excerpt("Set14", "img_005", "comic", 80, 64, 96),
        Excerpt("Urban100", "img_073", "city (img073)", 240, 240, 96),
    ),
}


@dataclass(frozen=True)
class Comparison:
    """An excerpt's original and crops.

    Attributes:
        sampled: the variant that the sample is of, "SR-VAE-P" where it is shipped.
        hr: the original, (H, W, 3) uint8.
        crops: panel -> (edge, edge, 3) uint8.
        psnr: panel -> PSNR of that crop in dB.
        versions: panel -> version of its weights; "" for a panel without.
    """

    excerpt: Excerpt
    scale: int
    sampled: str
    hr: np.ndarray
    crops: dict[str, np.ndarray]
    psnr: dict[str, float]
    versions: dict[str, str]

    def recorded_name(self, panel: str) -> str:
        """A panel's name in data/crops.csv: that of a sample says of what."""
        return f"sample of {self.sampled}" if panel == "sample" else panel

    @property
    def rows(self) -> list[Row]:
        """The measured numbers as rows of data/crops.csv."""
        s = self.excerpt
        picture = (f"comparison_{self.scale}x", s.dataset, s.image, f"{s.edge}x{s.edge}+{s.left}+{s.top}")
        return [
            crop_row(*picture, self.recorded_name(panel), "psnr", f"{value:.4f}", self.versions[panel])
            for panel, value in self.psnr.items()
        ]


def compare(
    scale: int,
    images: str = "bundled",
    peers: Mapping[str, str] | None = None,
    *,
    excerpts: Sequence[Excerpt] | None = None,
    models: Mapping[str, sr.SRVAE] | None = None,
) -> list[Comparison]:
    """What a comparison shows: bicubic, peers, every shipped model's answer, one sample (seed 0) and the original.

    Args:
        scale: 4 or 8.
        images: "bundled", or "benchmarks" for the paper's pictures.
        peers: name -> folder of another method's answers (see :mod:`benchmarks.peers`); a peer that has no folder for
            one of the sets is left out.
        excerpts: others than those of :data:`EXCERPTS`.
        models: name such as "4x-D" -> model, where these are loaded already; all shipped ones of the scale otherwise.

    Raises:
        benchmarks.sets.SetMissingError: an image cannot be had.
        FileNotFoundError, ValueError: no such scale or images, an excerpt outside its picture, or a peer whose answers
            are missing, damaged or of a wrong size; nothing has been computed then.
    """
    if excerpts is None and (images, scale) not in EXCERPTS:
        known = "; ".join(f"{name} at {number}x" for name, number in EXCERPTS)
        raise ValueError(f"there is no comparison of {images} at {scale}x: there are {known}")
    excerpts = EXCERPTS[images, scale] if excerpts is None else excerpts
    whole_peers = _whole_peers(named_peers((peers or {}).items()), excerpts, scale)
    if models is None:
        models = {name: sr.load_model(name) for name in sr.available_models(scale)}
    return [_compare_excerpt(excerpt, scale, models, whole_peers) for excerpt in excerpts]


def _whole_peers(peers: Mapping[str, str], excerpts: Sequence[Excerpt], scale: int) -> dict[str, Path]:
    """The peers that have a folder for every set: a figure with gaps would be hard to read.

    Raises:
        ValueError: one of these lacks an answer, or an excerpt lies outside its picture; each is named.
    """
    sizes = {(e.dataset, e.image): load_image(e.dataset, e.image).shape[:2] for e in excerpts}
    wrong = [e.misplaced(sizes[e.dataset, e.image], scale) for e in excerpts]
    whole = {}
    for name, folder in peers.items():
        if all(answers_folder(Path(folder), e.dataset, scale).is_dir() for e in excerpts):
            whole[name] = Path(folder)
            for (dataset, image), size in sizes.items():
                wrong += wrong_answers(whole[name], dataset, scale, {image: size})
    if any(wrong):
        raise ValueError(f"a comparison at {scale}x cannot be drawn: {'; '.join(filter(None, wrong))}")
    return whole


def _compare_excerpt(
    excerpt: Excerpt, scale: int, models: Mapping[str, sr.SRVAE], peers: Mapping[str, Path]
) -> Comparison:
    hr, lr = pair(excerpt.dataset, excerpt.image, scale)
    window = slice(excerpt.top, excerpt.top + excerpt.edge), slice(excerpt.left, excerpt.left + excerpt.edge)
    region = (excerpt.top // scale, excerpt.left // scale, excerpt.edge // scale, excerpt.edge // scale)
    crops = {"Bicubic": sr.enlarge(lr, scale)[window]}
    for name, folder in peers.items():
        crops[name] = peer_answer(folder, excerpt.dataset, scale, excerpt.image)[window]
    versions = dict.fromkeys(crops, "")
    for name, model in models.items():
        sampled = f"{METHOD}{sr.ModelName.of(name).variant}"
        # without a cache the sampler encodes and decodes the region alone
        sampler = sr.Sampler(model, lr, cache=False, precision="float32")
        crops[sampled] = sampler(temperature=model.temperature, region=region)
        versions[sampled] = sr.weights_version(name)
    # the sample is of the last model, which is P where P is shipped
    crops["sample"] = sampler(seed=0, temperature=1.0, region=region)
    versions["sample"] = versions[sampled]
    # no border is left out: the crop lies inside the picture
    psnr = {name: metrics.psnr_y(crop, hr[window], 0) for name, crop in crops.items()}
    crops = {name: np.ascontiguousarray(crop) for name, crop in (crops | {"HR": hr[window]}).items()}
    return Comparison(excerpt, scale, sampled, hr, crops, psnr, versions)


def comparison(compared: Sequence[Comparison], crops_file: Path = CROPS) -> Figure:
    """One excerpt a row: the picture with the crop marked, and the crops of all methods with their recorded PSNR.

    Args:
        compared: from :func:`compare`, at least one.
        crops_file: where the numbers are read from.

    Raises:
        ValueError: there is none.
    """
    if not compared:
        raise ValueError("a comparison needs at least one excerpt")
    peers = [name for name in compared[0].crops if name not in COLOURS]
    columns = -(-len(compared[0].crops) // 2)  # crops stand in two rows beside their picture
    crop_size = min(1.9, 6.0 / columns)  # inches
    fig = plt.figure(figsize=(FIGURE_WIDTH, len(compared) * 2 * (crop_size + 0.2)), layout="constrained")
    widths = [FIGURE_WIDTH - columns * crop_size, *[crop_size] * columns]
    grid = fig.add_gridspec(2 * len(compared), 1 + columns, width_ratios=widths)
    for i, c in enumerate(compared):
        ax = fig.add_subplot(grid[2 * i : 2 * i + 2, 0])
        show(ax, c.hr, c.excerpt.title)
        s = c.excerpt
        # pixel centres lie at whole numbers, so edges lie at halves
        ax.add_patch(Rectangle((s.left - 0.5, s.top - 0.5), s.edge, s.edge, fill=False, ec="yellow", lw=1.5))
        rows = c.rows
        for j, (name, picture) in enumerate(c.crops.items()):
            label = f"sample of {c.sampled.removeprefix(METHOD)}" if name == "sample" else name
            ax = fig.add_subplot(grid[2 * i + j // columns, 1 + j % columns])
            show(ax, picture, labelled(label, rows, c.recorded_name(name), crops_file), colour(name, peers))
    return fig


def comparison_4x(images: str = "bundled", peers: Mapping[str, str] | None = None) -> Figure:
    """:func:`comparison` at 4x."""
    return comparison(compare(4, images, peers))


def comparison_8x(images: str = "bundled", peers: Mapping[str, str] | None = None) -> Figure:
    """:func:`comparison` at 8x."""
    return comparison(compare(8, images, peers))
