"""The figure of samples: pictures, captions, maps of spread and error, and the fitted z."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import srvae_core as sr
from benchmark_helpers import cut_off, overlapping, texts
from srvae import metrics
from srvae.figures.samples import draw_samples, fit_latents, samples


@pytest.fixture(scope="module")
def drawn():
    """The samples of the figure at 4x, with the start of the fit in the place of its slow end."""
    yield draw_samples(4, steps=0)
    plt.close("all")


def test_spread_is_the_standard_deviation_and_error_the_distance_of_zero(drawn):
    stack = np.stack(drawn.drawn).astype(float)
    assert stack.shape == (16, 128, 128, 3)
    np.testing.assert_allclose(drawn.deviation, np.sqrt(((stack - stack.mean(0)) ** 2).mean(0)).mean(2), atol=1e-3)
    np.testing.assert_allclose(drawn.error, np.abs(drawn.zero.astype(float) - drawn.hr).mean(2), atol=1e-3)
    np.testing.assert_array_equal(drawn.mean, np.rint(stack.mean(0)))


def test_captions_name_the_psnr_of_their_pictures(drawn):
    fig = samples([drawn, drawn])
    words = texts(fig)
    named = {f"{drawn.model}, sample {i + 1}": picture for i, picture in enumerate(drawn.drawn[:4])}
    named |= {"Bicubic": drawn.bicubic, f"{drawn.model}, z = 0": drawn.zero, "fitted z": drawn.fitted}
    for title, picture in (named | {"mean of 16 samples": drawn.mean}).items():
        assert words[words.index(title) + 2] == f"{metrics.psnr_y(picture, drawn.hr, 4):.2f} dB"
    assert not overlapping(fig)
    assert not cut_off(fig, sr.PATCH)


def test_all_maps_have_one_colour_scale_and_a_bar(drawn):
    fig = samples([drawn, replace(drawn, zero=drawn.bicubic)])
    bars = [child for ax in fig.axes for child in ax.child_axes]
    bicubic_error = np.abs(drawn.bicubic.astype(float) - drawn.hr).mean(2)
    top = np.percentile([drawn.deviation, drawn.error, drawn.deviation, bicubic_error], 99.5)
    assert [bar.get_ylim() for bar in bars] == [(0, pytest.approx(top))] * 2
    shown = [ax.images[0].get_array() for ax in fig.axes[1:] if ax.images]
    for values, times in ((drawn.deviation, 2), (drawn.error, 1)):
        picture = plt.get_cmap("cividis")(values / top, bytes=True)[..., :3]
        assert sum(np.array_equal(picture, other) for other in shown) == times


def test_fitted_latents_come_nearer_to_the_original(random_model, crops):
    model, hr = random_model(4), np.ascontiguousarray(crops["chelsea"][:128, :128])
    lr = sr.downscale(hr, 4)
    up = sr.to_tensor(sr.enlarge(lr, 4))

    def loss(steps: int) -> float:
        z = fit_latents(model, lr, hr, steps)
        with torch.inference_mode():
            return (model.decode(model.features(up), z, up) - sr.to_tensor(hr)).abs().mean().item()

    assert loss(15) < loss(0)
