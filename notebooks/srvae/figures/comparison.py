"""Crops of all methods side by side at true pixels, at 4x and 8x; a selection of both as the hero figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

import srvae_core as sr
from srvae import metrics
from srvae.benchmarks.sets import pair

from .sheet import Strip, sheet

SEED, TEMPERATURE = 1, 1.0  # of P's sample; P's own answer has seed 0


class Excerpt(NamedTuple):
    """A square of a bundled photograph; top, left and edge in pixels of the original, multiples of the scale."""

    image: str
    title: str
    top: int
    left: int
    edge: int = 160  # five of them are as wide as a README


EXCERPTS = {
    4: (
        Excerpt("astronaut", "astronaut", 40, 144),
        Excerpt("motorcycle_left", "motorcycle", 144, 352),
        Excerpt("coffee", "coffee", 200, 264),
    ),
    8: (
        Excerpt("chelsea", "chelsea", 72, 112),
        Excerpt("astronaut", "astronaut", 40, 144),
        Excerpt("motorcycle_left", "motorcycle", 248, 304),
    ),
}
HERO = {4: EXCERPTS[4][:2], 8: EXCERPTS[8][:1]}


class Panel(NamedTuple):
    """A crop of an excerpt, (edge, edge, 3) uint8, with its caption."""

    method: str
    note: str
    picture: np.ndarray


def compare(excerpt: Excerpt, scale: int, models: Mapping[str, sr.SRVAE]) -> list[Panel]:
    """Compute the panels of an excerpt: LR, bicubic, each model's own answer, one sample, the original.

    Args:
        models: the shipped models of the scale by name, such as "4x-D".
    """
    hr, lr = pair("bundled", excerpt.image, scale)
    window = np.s_[excerpt.top : excerpt.top + excerpt.edge, excerpt.left : excerpt.left + excerpt.edge]
    region = tuple(n // scale for n in (excerpt.top, excerpt.left, excerpt.edge, excerpt.edge))
    panels = [
        Panel("low resolution", f"{scale}x smaller", lr.repeat(scale, 0).repeat(scale, 1)[window]),
        Panel("Bicubic", f"{scale}x larger", sr.enlarge(lr, scale)[window]),
    ]
    for name, model in models.items():
        answer = sr.Sampler(model, lr, cache=False)(temperature=model.temperature, region=region)
        panels.append(Panel(f"SR-VAE-{name[-1]}", f"temperature {model.temperature:g}", answer))
    sample = sr.Sampler(models[f"{scale}x-P"], lr, cache=False)(SEED, TEMPERATURE, region=region)
    panels.append(Panel("sample of P", f"temperature {TEMPERATURE:g}", sample))
    return [*panels, Panel("original", "", hr[window])]


def strips(scale: int, excerpts: Sequence[Excerpt], left_out: str, *, with_psnr: bool) -> list[Strip]:
    """Compute a strip for each excerpt, without the panels of one method; the first strip has the captions."""
    models = {name: sr.load_model(name) for name in sr.available_models(scale)}
    rows = []
    for i, excerpt in enumerate(excerpts):
        panels = [panel for panel in compare(excerpt, scale, models) if panel.method != left_out]
        above = [] if i else [f"{panel.method}\n{panel.note}" for panel in panels]
        *pictures, original = [panel.picture for panel in panels]
        # Crops lie inside their photograph, so no border is left out.
        below = [f"{metrics.psnr_y(picture, original, 0):.2f} dB" for picture in pictures] if with_psnr else []
        rows.append(Strip([*pictures, original], above, [*below, excerpt.title] if with_psnr else []))
    return rows


def comparison(scale: int) -> Figure:
    """Draw the crops of all methods, one excerpt a row, with the PSNR in dB below each crop."""
    return sheet(strips(scale, EXCERPTS[scale], "low resolution", with_psnr=True))


def hero() -> Figure:
    """Draw the hero figure: LR, bicubic, D's answer, a sample of P and the original, at both scales."""
    return sheet([s for scale, excerpts in HERO.items() for s in strips(scale, excerpts, "SR-VAE-P", with_psnr=False)])
