"""Samples of one patch: mean, deviation, the fitted z, and their numbers in data/crops.csv."""

from dataclasses import replace

import matplotlib.pyplot as plt
import metrics
import numpy as np
import pytest
import torch
from benchmark_helpers import overlapping, titles
from csvfiles import read_csv
from figures.crops import CROPS, identity, record, recorded
from figures.samples import draw_samples, fit_latents, samples

import srvae_core as sr


@pytest.fixture(scope="module")
def drawn(shipped):
    """What the figure shows, but with the start of the fit, which takes long, in the place of its end."""
    name = sr.available_models(4)[-1]
    return draw_samples(name, model=shipped(name), steps=0)


def test_samples_shows_mean_deviation_and_fit(drawn, tmp_path):
    assert len(drawn.drawn) == 16
    for picture in (drawn.hr, drawn.bicubic, drawn.zero, drawn.fitted, drawn.mean, *drawn.drawn):
        assert (picture.shape, picture.dtype) == ((128, 128, 3), np.uint8)
    stack = np.stack(drawn.drawn).astype(float)
    np.testing.assert_allclose(drawn.deviation, np.sqrt(((stack - stack.mean(0)) ** 2).mean(0)).mean(2), atol=1e-3)
    assert drawn.psnr["sample 2"] == pytest.approx(metrics.psnr_y(drawn.drawn[1], drawn.hr, 4))
    crops_file = tmp_path / "crops.csv"
    record(drawn.rows, crops_file)
    fig = samples(drawn, crops_file)
    largest = next(float(r["value"]) for r in drawn.rows if r["measure"] == "largest")
    assert largest == pytest.approx(drawn.deviation.max(), abs=1e-4)
    assert f"std: 0 to {largest:.1f} of 255" in titles(fig)
    assert [len(ax.images) for ax in fig.axes] == [1] * 10
    assert f"fitted z, {recorded(drawn.rows, 'fitted z', path=crops_file):.2f} dB" in titles(fig)
    assert not overlapping(fig)
    plt.close(fig)


def test_too_few_samples_are_refused(drawn):
    with pytest.raises(ValueError, match="the figure shows 4 samples, so count must be at least that, not 3"):
        draw_samples("4x-D", count=3)
    with pytest.raises(ValueError, match="the figure shows 4 samples, not 2"):
        samples(replace(drawn, drawn=drawn.drawn[:2]))


@pytest.mark.slow
def test_recorded_numbers_are_those_of_the_shipped_model(drawn):
    known = {identity(r): float(r["value"]) for r in read_csv(CROPS) if r["figure"] == "samples"}
    hint = "run python notebooks/draw.py samples"
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
