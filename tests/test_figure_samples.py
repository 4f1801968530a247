"""Samples of one patch: mean, deviation, the fitted z, and their numbers in data/crops.csv."""

import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import srvae_core as sr
from benchmark_helpers import cut_off, overlapping, texts
from srvae import metrics
from srvae.csvfiles import read_csv
from srvae.figures.crops import CROPS, identity, record
from srvae.figures.results import best_sample
from srvae.figures.samples import draw_samples, fit_latents, samples


@pytest.fixture(scope="module")
def drawn(shipped):
    """What the figure shows at 4x, but with the start of the fit, which takes long, in the place of its end."""
    variant, _ = best_sample(4, loss=math.inf, only=1.0)
    return draw_samples(4, model=shipped(f"4x-{variant[-1]}"), steps=0)


def test_samples_shows_mean_deviation_and_fit(drawn, tmp_path):
    assert len(drawn.drawn) == 16
    for picture in (drawn.hr, drawn.bicubic, drawn.zero, drawn.fitted, drawn.mean, *drawn.drawn):
        assert (picture.shape, picture.dtype) == ((128, 128, 3), np.uint8)
    stack = np.stack(drawn.drawn).astype(float)
    np.testing.assert_allclose(drawn.deviation, np.sqrt(((stack - stack.mean(0)) ** 2).mean(0)).mean(2), atol=1e-3)
    assert drawn.psnr["sample 2"] == pytest.approx(metrics.psnr_y(drawn.drawn[1], drawn.hr, 4))
    crops_file = tmp_path / "crops.csv"
    record(drawn.rows, crops_file)
    fig = samples([drawn, drawn], crops_file)
    values = {(r["panel"], r["measure"]): float(r["value"]) for r in drawn.rows}
    assert values["deviation", "largest"] == pytest.approx(drawn.deviation.max(), abs=1e-4)
    error = np.abs(drawn.zero.astype(float) - drawn.hr).mean(2)
    np.testing.assert_allclose(drawn.error, error, atol=1e-3)
    agreement = np.corrcoef(error.ravel(), drawn.deviation.ravel())[0, 1]
    assert values["deviation", "correlation with the error"] == pytest.approx(agreement, abs=1e-3)
    words = texts(fig)
    for i in range(4):
        place = words.index(f"{drawn.model}, sample {i + 1}")
        assert words[place + 1 : place + 3] == ["temperature 1", f"{values[f'sample {i + 1}', 'psnr']:.2f} dB"]
    assert not overlapping(fig)
    assert not cut_off(fig, sr.PATCH)
    plt.close(fig)


def test_maps_have_one_scale_and_a_bar(drawn, tmp_path):
    """What is twice as far off in one map has the colour of twice the level in every other."""
    brighter = replace(drawn, zero=drawn.bicubic)
    fig = samples([drawn, brighter], tmp_path / "crops.csv")
    bars = [child for ax in fig.axes for child in ax.child_axes]
    maps = [(d.deviation, d.error) for d in (drawn, brighter)]
    top, colours = np.percentile(maps, 99.5), plt.get_cmap("cividis")
    assert [bar.get_ylim() for bar in bars] == [(0, pytest.approx(top))] * 2
    shown = [ax.images[0].get_array() for ax in fig.axes[1:] if ax.images]
    spread, error = (
        sum(np.array_equal(picture, colours(values / top, bytes=True)[..., :3]) for picture in shown)
        for values in maps[0]
    )
    assert (spread, error) == (2, 1)  # both blocks have this spread, one this error
    plt.close(fig)


def test_too_few_samples_are_refused(drawn):
    with pytest.raises(ValueError, match="the figure shows 4 samples, so count must be at least that, not 3"):
        draw_samples(4, count=3)
    with pytest.raises(ValueError, match="the figure shows 4 samples, not 2"):
        samples([replace(drawn, drawn=drawn.drawn[:2])])


@pytest.mark.slow
def test_recorded_numbers_are_those_of_the_shipped_model(drawn):
    known = {identity(r): float(r["value"]) for r in read_csv(CROPS) if r["figure"] == "samples_4x"}
    hint = "run srvae draw samples"
    assert known.keys() == {identity(row) for row in drawn.rows}, hint
    for row in drawn.rows:
        if row["panel"] != "fitted z":  # processors round differently, now and then by one grey level
            assert known[identity(row)] == pytest.approx(float(row["value"]), abs=0.03), hint
    fitted = known[next(identity(row) for row in drawn.rows if row["panel"] == "fitted z")]
    assert fitted > max(value for panel, value in drawn.psnr.items() if panel not in ("fitted z", "mean"))


def test_fitted_latents_come_nearer_to_the_original(random_model, crops):
    model, hr = random_model(4), np.ascontiguousarray(crops["chelsea"][:128, :128])
    lr = sr.downscale(hr, 4)

    def loss(z):
        up = sr.to_tensor(sr.enlarge(lr, 4))
        with torch.inference_mode():
            return (model.decode(model.features(up), z, up) - sr.to_tensor(hr)).abs().mean().item()

    # zero steps is the start of the fit
    assert loss(fit_latents(model, lr, hr, 15)) < loss(fit_latents(model, lr, hr, 0))
