"""Initialisation of the latent branch: each latent has a place, and noise is large where the picture is uncertain."""

import numpy as np
import pytest
import torch

import srvae_core as sr
from helpers import patches
from srvae.training.latents import shape_generator, signs, start_latents, uncertainty
from srvae.training.weights import save_model


def correlation(rows: torch.Tensor) -> float:
    """The mean correlation of two rows of a matrix."""
    matrix = torch.corrcoef(rows)
    return float((matrix.sum() - len(matrix)) / (matrix.numel() - len(matrix)))


def test_each_latent_has_its_place():
    net = sr.SRVAE(4, grid_generator=True)
    start_latents(net)
    z = torch.zeros(2, sr.LATENTS)
    z[0, 32 * 5 + 7], z[1, 32 * 5 + 7] = 3.0, -3.0
    maps = net.latent_map(z).detach()
    for i in (0, 1):
        assert np.unravel_index(int(maps[i].argmax()), maps[i].shape) == (i, 5, 7)
        assert maps[i].flatten().topk(2).values.tolist() == pytest.approx([3, 0], abs=0.5)
        assert maps[i, i, 5, 7] > 2.5


@pytest.mark.parametrize("scale", [4, 8])
def test_uncertainty_is_the_error_of_bicubic_at_each_latents_place(scale):
    up, hr = torch.rand(2, 3, 128, 128), torch.rand(2, 3, 128, 128)
    hr[0, :, 32:40, 64:72] += 2
    found, edge = uncertainty(up, hr, scale), 128 // scale
    torch.testing.assert_close(found.square().mean(1), torch.ones(2))
    there = {divmod(i % edge**2, edge) for i in found[0].topk(4).indices.tolist()}
    assert there <= {(y // scale, x // scale) for y in range(32, 40) for x in range(64, 72)}


@pytest.mark.parametrize("scale", [4, 8])
def test_the_shaped_generator_follows_uncertainty(scale, photograph_folder, tmp_path):
    """On patches that the regression did not see, and after compact storage."""
    source = patches(photograph_folder, scale, batch=25, seed=1)
    batches, new = [source(step) for step in range(12)], source.like(seed=2)(0)
    net = sr.SRVAE(scale, grid_generator=True)
    start_latents(net)
    alike = correlation(net.generator(new["up"]).detach().abs())
    shape_generator(net, ((batch["up"], batch["hr"]) for batch in batches))
    g = net.generator(new["up"]).detach()
    assert correlation(g.abs()) < 0.3 < alike
    wanted = uncertainty(new["up"], new["hr"], scale)
    pairs = zip(g.abs().numpy(), wanted.numpy(), strict=True)
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]) > 0.25
    assert ((g * signs()) < 0).float().mean() < 0.01
    save_model(net, tmp_path / "m.safetensors")
    stored = sr.load_model(tmp_path / "m.safetensors").generator(new["up"])
    assert (stored - g).square().mean().sqrt() < 0.03
