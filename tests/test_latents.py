"""The start of the latent branch: each latent has a place, and noise goes where the picture is uncertain."""

import copy

import numpy as np
import pytest
import torch

import srvae_core as sr
from helpers import patches
from srvae.training.latents import contrast_detectors, shape_generator, signs, start_latents, uncertainty
from srvae.training.validation import correlation_between
from srvae.training.weights import save_model


def test_start_gives_each_latent_its_place():
    net = sr.SRVAE(4, grid_generator=True)
    start_latents(net)
    z = torch.zeros(2, sr.LATENTS)
    z[0, 32 * 5 + 7], z[1, 32 * 5 + 7] = 3.0, -3.0
    maps = net.latent_map(z).detach()
    for i in (0, 1):
        channel, y, x = np.unravel_index(int(maps[i].argmax()), maps[i].shape)
        assert (channel, y, x) == (i, 5, 7)
        rest = maps[i].clone()
        rest[channel, y, x] = 0
        assert rest.max() < 0.1 < 2.5 < maps[i].max()


@pytest.mark.parametrize("scale", [4, 8])
def test_detectors_see_contrast_and_nothing_else(scale):
    detectors = contrast_detectors(scale)
    n = sr.PATCH // scale + 4
    assert detectors.shape == (512, 3, n, n)
    assert detectors.sum((1, 2, 3)).abs().max() < 1e-5, "a flat patch gives nothing"
    centre = detectors[:256, 0].flatten(1).argmax(1)
    assert len(set(centre.tolist())) == 256, "each at a place of its own"


@pytest.mark.parametrize("scale", [4, 8])
def test_uncertainty_is_what_bicubic_lacks_at_each_latents_place(scale):
    up, hr = torch.rand(2, 3, 128, 128), torch.rand(2, 3, 128, 128)
    hr[0, :, 32:40, 64:72] += 2
    u = uncertainty(up, hr, scale)
    assert u.shape == (2, 1024)
    torch.testing.assert_close(u.square().mean(1), torch.ones(2))
    edge = 128 // scale
    there = {divmod(i % edge**2, edge) for i in u[0].topk(4).indices.tolist()}
    assert there <= {(y // scale, x // scale) for y in range(32, 40) for x in range(64, 72)}


@pytest.mark.parametrize("scale", [4, 8])
def test_the_shaped_generator_follows_the_picture(scale, photograph_folder):
    """On patches that the regression did not see; started alike, |g| is the same for every patch."""
    source = patches(photograph_folder, scale, batch=25, seed=1)
    seen, new = [source(step)[:2] for step in range(12)], source.like(seed=2)(0)
    net = sr.SRVAE(scale, grid_generator=True)
    start_latents(net)
    alike = correlation_between(net.generator(new.up).detach().abs())
    shape_generator(net, seen)
    g = net.generator(new.up).detach()
    assert correlation_between(g.abs()) < 0.3 < alike  # 0.02 on more photographs
    wanted = uncertainty(new.up, new.hr, scale)
    follows = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(g.abs().numpy(), wanted.numpy(), strict=True)])
    assert follows > 0.25
    assert ((g * signs()) < 0).float().mean() < 0.01
    assert g.mean(1).abs().max() < 1e-4


@pytest.mark.parametrize("scale", [4, 8])
def test_the_shape_outlives_compact_storage(scale, photograph_folder, tmp_path):
    """Stored in 8 bits, detectors of contrast would mostly see brightness, and |g| would be alike everywhere."""
    source = patches(photograph_folder, scale, batch=25, seed=1)
    net = sr.SRVAE(scale, grid_generator=True)
    shape_generator(net, [source(step)[:2] for step in range(4)])
    save_model(net, tmp_path / "m.safetensors")
    loaded = sr.load_model(tmp_path / "m.safetensors")
    up = source.like(seed=2)(0).up
    before, after = (m.generator(up).detach() for m in (net, loaded))
    assert (after - before).square().mean().sqrt() < 0.03
    assert abs(correlation_between(after.abs()) - correlation_between(before.abs())) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 37), (33, 47), (2, 70)])
def test_shaped_noise_leaves_flat_pictures_nearly_flat(size, photograph_folder, shipped):
    """The shipped 8x-D, whose own noise makes spots of 48 grey levels there, with its generator shaped and no more."""
    model = copy.deepcopy(shipped("8x-D"))
    source = patches(photograph_folder, 8, batch=25, seed=1)
    shape_generator(model, [source(step)[:2] for step in range(12)])
    lr = np.full((*size, 3), 117, np.uint8)
    worst = max(
        abs(sr.super_resolve(lr, model, temperature=0.5, seed=seed).astype(int) - 117).max() for seed in range(4)
    )
    print(f"{size}: {worst} grey levels")
    assert worst <= 40


def test_generator_reads_lr_samples_through_the_enlargement(photograph_folder):
    """What generator1 makes of an enlarged patch is what the detectors make of its LR samples."""
    source = patches(photograph_folder, 4, batch=2, margin=2)
    net = sr.SRVAE(4, grid_generator=True)
    shape_generator(net, [source(0)[:2]])
    batch = source.like(candidates=1)(1)
    lr = batch.context
    outputs = net.generator1(sr.grid_matrix(4).float() @ lr @ sr.grid_matrix(4).float().T).detach()
    torch.testing.assert_close(outputs, (contrast_detectors(4).flatten(1) @ lr.flatten(1).T).T, rtol=0, atol=1e-3)


def test_the_releases_layout_is_refused():
    with torch.device("meta"), pytest.raises(ValueError, match="grid_generator=True"):
        shape_generator(sr.SRVAE(4), [])
