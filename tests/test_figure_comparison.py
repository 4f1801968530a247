"""Comparisons: the crops of every method, their captions, and the committed pictures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import srvae_core as sr
from benchmark_helpers import cut_off, overlapping, texts
from srvae import metrics
from srvae.benchmarks.sets import bundled
from srvae.figures import comparison as module
from srvae.figures.comparison import EXCERPTS, HERO, SEED, TEMPERATURE, Excerpt, compare, comparison, hero
from srvae.figures.style import FIGURES

EXCERPT = Excerpt("coffee", "a spoon", 8, 24, 32)


@pytest.fixture
def small(crops, shipped, monkeypatch):
    """The original, (64, 96, 3), that stands for every photograph of a comparison."""
    hr = crops["coffee"][64:128, 64:160]
    monkeypatch.setattr(module, "pair", lambda dataset, image, scale: (hr, sr.downscale(hr, scale)))
    monkeypatch.setattr(module.sr, "load_model", shipped)
    monkeypatch.setattr(module, "EXCERPTS", {4: [EXCERPT], 8: [EXCERPT]})
    monkeypatch.setattr(module, "HERO", {4: [EXCERPT, EXCERPT], 8: [EXCERPT]})
    yield hr
    plt.close("all")


@pytest.mark.parametrize("scale", [4, 8])
def test_panels_are_crops_of_the_whole_answers(scale, small, shipped):
    models = {name: shipped(name) for name in sr.available_models(scale)}
    panels = {panel.method: panel.picture for panel in compare(EXCERPT, scale, models)}
    assert list(panels) == ["low resolution", "Bicubic", "SR-VAE-D", "SR-VAE-P", "sample of P", "original"]
    lr, window = sr.downscale(small, scale), np.s_[8:40, 24:56]
    np.testing.assert_array_equal(panels["original"], small[window])
    np.testing.assert_array_equal(panels["Bicubic"], sr.enlarge(lr, scale)[window])
    np.testing.assert_array_equal(panels["low resolution"], np.kron(lr, np.ones((scale, scale, 1), np.uint8))[window])
    whole = {f"SR-VAE-{name[-1]}": sr.super_resolve(lr, model) for name, model in models.items()}
    whole["sample of P"] = sr.super_resolve(lr, models[f"{scale}x-P"], temperature=TEMPERATURE, seed=SEED)
    for method, answer in whole.items():
        assert np.abs(panels[method].astype(int) - answer[window]).max() <= 1, method


@pytest.mark.parametrize("scale", [4, 8])
def test_captions_name_methods_temperatures_and_psnr(scale, small, shipped):
    fig = comparison(scale)
    words, pictures = texts(fig), [np.asarray(ax.images[0].get_array()) for ax in fig.axes[1:]]
    assert words[:10:2] == ["Bicubic", "SR-VAE-D", "SR-VAE-P", "sample of P", "original"]
    own = [f"temperature {shipped(f'{scale}x-{name}').temperature:g}" for name in "DP"]
    assert words[1:10:2] == [f"{scale}x larger", *own, f"temperature {TEMPERATURE:g}", ""]
    assert words[10:] == [f"{metrics.psnr_y(p, pictures[-1], 0):.2f} dB" for p in pictures[:-1]] + ["a spoon"]


def test_the_hero_figure_shows_lr_bicubic_d_sample_and_original_at_both_scales(small):
    fig = hero()
    words = texts(fig)
    for start, scale in ((0, 4), (10, 8)):
        methods = ["low resolution", "Bicubic", "SR-VAE-D", "sample of P", "original"]
        assert words[start : start + 10 : 2] == methods
        assert words[start + 1] == f"{scale}x smaller"
    assert [len(ax.images) for ax in fig.axes] == [0] + [1] * 15


@pytest.mark.parametrize("scale", [4, 8])
def test_excerpts_lie_inside_their_photographs_in_multiples_of_the_scale(scale):
    for e in EXCERPTS[scale]:
        height, width = metrics.crop_to_multiple(bundled(e.image), scale).shape[:2]
        assert not any(n % scale for n in (e.top, e.left, e.edge))
        assert 0 <= e.top <= height - e.edge
        assert 0 <= e.left <= width - e.edge


@pytest.mark.slow
def test_captions_of_the_real_comparisons_fit():
    for scale in sr.SCALES:
        fig = comparison(scale)
        assert not overlapping(fig)
        assert not cut_off(fig, EXCERPTS[scale][0].edge)
        plt.close(fig)


@pytest.mark.parametrize("name", ["hero", "comparison_4x", "comparison_8x"])
def test_committed_pictures_hold_the_originals_at_true_pixels(name):
    pixels = np.rint(255 * plt.imread(FIGURES / f"{name}.png")).astype(np.uint8)[..., :3]
    assert pixels.shape[1] <= 838  # the width of a README
    shown = [*HERO[4], *HERO[8]] if name == "hero" else EXCERPTS[int(name[-2])]
    for e in shown:
        crop = bundled(e.image)[e.top :, e.left :][: e.edge, : e.edge]
        corners = np.argwhere((pixels[: 1 - e.edge, : 1 - e.edge] == crop[0, 0]).all(-1))
        found = [np.array_equal(pixels[y : y + e.edge, x : x + e.edge], crop) for y, x in corners]
        assert any(found), f"{e.image} is not in {name}.png: run srvae draw {name}"
