"""Figures on held-out patches, against the model's own inference."""

import numpy as np
import pytest
import torch

import srvae_core as sr
from helpers import patches, pictures
from srvae import metrics
from srvae.training.perceptual import Distances
from srvae.training.validation import correlation_between, judge, noise_factor, sampling_figures


@pytest.fixture(scope="module")
def held_out(photograph_folder):
    return patches(photograph_folder, batch=3, seed=4)(0)


def test_figures_are_those_of_the_pictures(random_model, held_out):
    net = random_model(4)
    figures = judge(pictures(net), held_out, {"": 0.0, "_sample": sr.PRIOR_SD}, consistency=False)
    zero = net(held_out.up, torch.zeros(3, 1024))
    samples = []
    for seed in range(6):
        z = sr.PRIOR_SD * net.generator(held_out.up) * sr.noise(seed, 3)
        samples.append(net(held_out.up, z))

    def image(t):
        return t.permute(1, 2, 0).numpy()

    originals = [image(t) for t in held_out.hr]

    def psnr(ys):
        return np.mean([metrics.psnr_y(image(y), o, 4) for y, o in zip(ys, originals, strict=True)])

    assert figures["psnr"] == pytest.approx(psnr(zero), abs=2e-3)
    assert figures["psnr_sample"] == pytest.approx(psnr(samples[0]), abs=2e-3)
    assert figures["psnr_bicubic"] == pytest.approx(psnr(held_out.up), abs=2e-3)
    assert figures["spread_sample"] == pytest.approx(float(torch.stack(samples).std(0).mean() * 255), abs=2e-3)
    each = [metrics.diversity([image(s[i]) for s in samples], originals[i]) for i in range(3)]
    assert figures["diversity_sample"] == pytest.approx(np.mean(each), abs=2e-2)
    assert judge(pictures(net), held_out, {"": 0.0})["psnr"] != figures["psnr"], "back-projection is the default"


def test_sampling_figures_compare_noise_with_and_without_its_shape(random_model, held_out):
    drawn = pictures(random_model(4))
    shaped = sampling_figures(drawn, held_out, Distances())
    alike = sampling_figures(drawn, held_out, Distances(), unshaped=True)
    assert shaped.keys() == {"energy", "spread", "psnr", "correlation"}
    assert alike.keys() == {"energy", "spread", "psnr"}
    assert shaped["energy"] != alike["energy"]


def test_noise_factor_is_one_of_those_given(random_model, held_out):
    assert noise_factor(pictures(random_model(4)), Distances(), held_out, [1.0]) == 1.0


def test_correlation_between_rows():
    same = torch.randn(1, 500)
    assert correlation_between(torch.cat([same, 3 * same + 1])) == pytest.approx(1, abs=1e-5)
    assert abs(correlation_between(torch.randn(20, 4000))) < 0.05
    assert np.isnan(correlation_between(same))
