"""Crops of all methods side by side at true pixels, at 4x and at 8x; some of them at both scales for a first look.

fig = comparison(compare(4))
fig = hero()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import srvae_core as sr
from srvae import csvfiles, metrics
from srvae.benchmarks.peers import answers_folder, named_peers, peer_answer, wrong_answers
from srvae.benchmarks.sets import cropped, load_image, pair
from srvae.csvfiles import Row

from .crops import CROPS, crop_row, recorded
from .results import best_sample
from .sheet import Strip, sheet


@dataclass(frozen=True)
class Excerpt:
    """A picture and the square of it that a comparison shows.

    Attributes:
        dataset, image: as :func:`benchmarks.sets.load_image` takes them.
        title: what the picture is called in figures.
        top, left, edge: of the square in pixels of the original, multiples of the scale.
    """

    dataset: str
    image: str
    title: str
    top: int
    left: int
    edge: int = 160  # five of them are as wide as a README

    def misplaced(self, size: tuple[int, int], scale: int) -> str:
        """What is wrong with the square in a picture of that height and width; "" if nothing is."""
        height, width = cropped(size, scale)
        inside = 0 <= self.top <= height - self.edge and 0 <= self.left <= width - self.edge and self.edge > 0
        if inside and not any(n % scale for n in (self.top, self.left, self.edge)):
            return ""
        square = f"{self.edge}x{self.edge}+{self.left}+{self.top}"
        return f"the square {square} of {self.image} must lie inside {height}x{width} pixels, in multiples of {scale}"


METHOD = "SR-VAE-"  # what the variant follows in the names of panels
# Of another seed than answers have: P's own answer may be a sample at the same temperature.
SEED = 1

# The bundled photographs stand for the paper's pictures, which are not ours to publish.
EXCERPTS = {
    ("bundled", 4): (
        Excerpt("bundled", "astronaut", "astronaut", 40, 144),
        Excerpt("bundled", "motorcycle_left", "motorcycle", 144, 352),
        Excerpt("bundled", "coffee", "coffee", 200, 264),
    ),
    ("bundled", 8): (
        Excerpt("bundled", "chelsea", "chelsea", 72, 112),
        Excerpt("bundled", "astronaut", "astronaut", 40, 144),
        Excerpt("bundled", "motorcycle_left", "motorcycle", 248, 304),
    ),
    ("benchmarks", 4): (
        Excerpt("Set5", "img_005", "woman", 0, 60),
        Excerpt("Set14", "img_014", "zebra", 60, 260),
        Excerpt("BSD100", "img_041", "21077", 120, 200),
        Excerpt("Urban100", "img_002", "img002", 240, 320),
    ),
    ("benchmarks", 8): (
        Excerpt("BSD100", "img_026", "160068", 48, 56),
        Excerpt("Set14", "img_005", "comic", 80, 64),
        Excerpt("Urban100", "img_073", "city (img073)", 240, 240),
    ),
}
HERO = {4: ("astronaut", "motorcycle_left"), 8: ("chelsea",)}  # scale -> bundled photographs of the first look
HERO_PANELS = ("LR", "Bicubic", f"{METHOD}D", "sample", "HR")


@dataclass(frozen=True)
class Comparison:
    """An excerpt's crops.

    Attributes:
        sampled: the variant that the sample is of, such as "SR-VAE-P".
        lr: the LR image's part, each pixel as scale x scale pixels, (edge, edge, 3) uint8.
        crops: panel -> (edge, edge, 3) uint8.
        temperatures: panel -> temperature of its latents; panels of no model are not in it.
        psnr: panel -> PSNR of that crop in dB.
        versions: panel -> version of its weights; "" for a panel without.
    """

    excerpt: Excerpt
    scale: int
    sampled: str
    lr: np.ndarray
    crops: dict[str, np.ndarray]
    temperatures: dict[str, float]
    psnr: dict[str, float]
    versions: dict[str, str]

    def recorded_name(self, panel: str) -> str:
        """A panel's name in data/crops.csv: that of a sample says of what."""
        return f"sample of {self.sampled}, temperature {self.temperatures[panel]:g}" if panel == "sample" else panel

    def words(self, panel: str) -> str:
        """What stands over a panel: its method and, a line below, its temperature or what else one must know."""
        names = {"LR": "low resolution", "HR": "original", "sample": f"sample of {self.sampled}"}
        notes = {"LR": f"{self.scale}x smaller", "Bicubic": f"{self.scale}x larger"}
        if panel in self.temperatures:
            notes[panel] = f"temperature {self.temperatures[panel]:g}"
        return f"{names.get(panel, panel)}\n{notes.get(panel, '')}"

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
    sample: tuple[str, float] | None = None,
) -> list[Comparison]:
    """What a comparison shows: bicubic, peers, every shipped model's own answer, one sample and the original.

    Args:
        scale: 4 or 8.
        images: "bundled", or "benchmarks" for the paper's pictures.
        peers: name -> folder of another method's answers (see :mod:`benchmarks.peers`); a peer that has no folder for
            one of the sets is left out.
        excerpts: others than those of :data:`EXCERPTS`.
        models: name such as "4x-D" -> model, where these are loaded already; all shipped ones of the scale otherwise.
        sample: variant, such as "SR-VAE-D", and temperature; those of :func:`figures.results.best_sample` otherwise.

    Raises:
        NotMeasuredError: data/results.csv cannot say which sample is best; the message says which command can.
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
    sample = sample or best_sample(scale)
    return [_compare_excerpt(excerpt, scale, models, whole_peers, sample) for excerpt in excerpts]


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
    excerpt: Excerpt,
    scale: int,
    models: Mapping[str, sr.SRVAE],
    peers: Mapping[str, Path],
    sample: tuple[str, float],
) -> Comparison:
    hr, lr = pair(excerpt.dataset, excerpt.image, scale)
    window = slice(excerpt.top, excerpt.top + excerpt.edge), slice(excerpt.left, excerpt.left + excerpt.edge)
    region = (excerpt.top // scale, excerpt.left // scale, excerpt.edge // scale, excerpt.edge // scale)
    crops = {"Bicubic": sr.enlarge(lr, scale)[window]}
    for name, folder in peers.items():
        crops[name] = peer_answer(folder, excerpt.dataset, scale, excerpt.image)[window]
    versions, temperatures = dict.fromkeys(crops, ""), {}
    variant, temperature = sample
    samples = {}
    for name, model in models.items():
        panel = f"{METHOD}{name.partition('x-')[2]}"
        # without a cache the sampler encodes and decodes the region alone
        sampler = sr.Sampler(model, lr, cache=False)
        crops[panel] = sampler(temperature=model.temperature, region=region)
        versions[panel], temperatures[panel] = csvfiles.weights_version(name), model.temperature
        if panel == variant:
            samples["sample"] = sampler(SEED, temperature, region=region)
            versions["sample"], temperatures["sample"] = versions[panel], temperature
    crops |= samples  # after all answers; without its model there is none
    # no border is left out: the crop lies inside the picture
    psnr = {name: metrics.psnr_y(crop, hr[window], 0) for name, crop in crops.items()}
    crops = {name: np.ascontiguousarray(crop) for name, crop in (crops | {"HR": hr[window]}).items()}
    squares = lr.repeat(scale, 0).repeat(scale, 1)[window]
    return Comparison(excerpt, scale, variant, squares, crops, temperatures, psnr, versions)


def comparison(compared: Sequence[Comparison], crops_file: Path = CROPS) -> Figure:
    """One excerpt a row: the crops of all methods, under each its recorded PSNR, under the original its name.

    Args:
        compared: from :func:`compare`, at least one, all of the same panels.
        crops_file: where the numbers are read from.

    Raises:
        ValueError: there is none.
    """
    if not compared:
        raise ValueError("a comparison needs at least one excerpt")
    return sheet([_strip(c, list(c.crops), i == 0, crops_file) for i, c in enumerate(compared)])


def _strip(c: Comparison, panels: Sequence[str], headed: bool, crops_file: Path | None) -> Strip:
    """A comparison's panels as a row of a sheet; where a file of numbers is given, with the PSNR below."""
    pictures = c.crops | {"LR": c.lr}
    rows = c.rows
    numbers = [recorded(rows, c.recorded_name(name), path=crops_file) for name in panels] if crops_file else []
    below = ["" if value is None else f"{value:.2f} dB" for value in numbers]
    if below:
        below[-1] = c.excerpt.title
    return Strip([pictures[name] for name in panels], [c.words(name) for name in panels] if headed else [], below)


def comparison_4x(images: str = "bundled", peers: Mapping[str, str] | None = None) -> Figure:
    """:func:`comparison` at 4x."""
    return comparison(compare(4, images, peers))


def comparison_8x(images: str = "bundled", peers: Mapping[str, str] | None = None) -> Figure:
    """:func:`comparison` at 8x."""
    return comparison(compare(8, images, peers))


def hero() -> Figure:
    """The first look: LR, bicubic, D's answer, the best sample and the original of photographs at both scales.

    Raises:
        NotMeasuredError: as :func:`compare`.
    """
    strips = []
    for scale, images in HERO.items():
        compared = compare(scale, excerpts=[e for e in EXCERPTS["bundled", scale] if e.image in images])
        strips += [_strip(c, HERO_PANELS, i == 0, None) for i, c in enumerate(compared)]
    return sheet(strips)
