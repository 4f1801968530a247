"""Directions against the decoder's whole Jacobian, and the line of seeds."""

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

import srvae_core as sr
from srvae import directions


@pytest.fixture(scope="module", params=sr.SCALES)
def sampler(request, random_model, crops):
    """A sampler of an image that is one tile."""
    model = random_model(request.param)
    return sr.Sampler(model, sr.downscale(np.ascontiguousarray(crops["astronaut"][:128, :128]), model.scale))


@pytest.mark.slow
def test_directions_are_orthonormal_ordered_and_the_same_every_time(sampler):
    found = directions.find(sampler)
    assert found.vectors.shape == (8, sr.LATENTS)
    assert torch.allclose(found.vectors @ found.vectors.T, torch.eye(8), atol=1e-4)
    assert np.all(np.diff(found.visible) <= 0)
    again = directions.find(sr.Sampler(sampler.model, sampler.lr, cache=False))
    assert torch.allclose(found.vectors, again.vectors, atol=1e-4)
    assert np.allclose(found.effects, again.effects, rtol=1e-4)
    assert found.places == again.places
    rects = {(y.start, x.start, y.stop - y.start, x.stop - x.start) for _, _, (y, x) in directions.windows(sampler)}
    assert set(found.places) <= rects


@pytest.mark.slow
def test_visible_effects_are_the_singular_values_of_the_weighted_jacobian(random_model, crops):
    """On an image small enough to build the Jacobian: 2x4 LR pixels, so that all windows are the same."""
    sampler = sr.Sampler(random_model(4), sr.downscale(np.ascontiguousarray(crops["coffee"][:8, :16]), 4))
    ways = directions.find(sampler, iterations=12)
    picture = directions.picture_of_steps(sampler)
    jacobian = torch.func.jacrev(lambda step: picture(step[None])[0, 0])(torch.zeros(sr.LATENTS))
    seen = directions.what_one_sees(jacobian.movedim(-1, 0), 4).flatten(1).T
    to_grey = 255 / math.sqrt(seen.shape[0])
    exact = torch.linalg.svdvals(seen.double())[:8] * to_grey
    assert np.allclose(ways.visible, exact.numpy(), rtol=2e-3)
    assert np.allclose((seen @ ways.vectors.T).norm(dim=0).numpy() * to_grey, ways.visible, rtol=2e-3)
    moved = (jacobian.flatten(0, 2) @ ways.vectors.T).norm(dim=0) * to_grey
    assert np.allclose(moved.numpy(), ways.effects, rtol=2e-3)


def test_what_one_sees_blurs_speckle_away_and_colour_more_than_luma():
    speckle = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    middle = (..., slice(24, 40), slice(24, 40))

    def level(change: torch.Tensor) -> float:
        return directions.what_one_sees(change, 4)[middle].square().mean().sqrt().item()

    assert level(speckle) < 0.2 * level(torch.ones(1, 3, 64, 64))
    stripes = torch.sin(torch.arange(64) * 2 * math.pi / 12).expand(1, 1, 64, 64)
    colour = stripes * torch.tensor([1.0, -0.299 / 0.587, 0.0]).view(1, 3, 1, 1)  # luma stays
    assert level(colour) < 0.3 * level(stripes.expand(1, 3, 64, 64))


@pytest.mark.slow
def test_positive_steps_make_the_picture_brighter_or_more_detailed(shipped, crops):
    sampler = sr.Sampler(shipped("4x-D"), sr.downscale(crops["astronaut"], 4))
    ways, picture = directions.find(sampler), directions.picture_of_steps(sampler)
    with torch.inference_mode():
        lower, higher = (picture(step * ways.vectors).movedim(2, -1).numpy() for step in (-0.005, 0.005))

    def detail(windows: np.ndarray) -> float:
        blurred = [cv2.GaussianBlur(w, (13, 13), 2, borderType=cv2.BORDER_CONSTANT) for w in windows]
        return float(np.square(windows - np.stack(blurred)).sum(dtype=np.float64))

    for a, b in zip(lower, higher, strict=True):
        change = (b - a) @ np.array(directions.YCC[0], np.float32)
        clear = abs(change.mean()) > directions.BRIGHTER * np.sqrt(np.square(change).mean())
        assert change.mean() > 0 if clear else detail(b) > detail(a)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (20, 50), (33, 64), (90, 70)])
def test_windows_lie_inside_their_tiles_and_the_image(random_model, size):
    lr = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    sampler = sr.Sampler(random_model(4), lr)
    field, parts = sampler.field, directions.windows(sampler)
    assert len(parts) == 4
    assert len({tuple(s.stop - s.start for s in inner) for _, inner, _ in parts}) == 1, "one shape"
    for tile, *slices in parts:
        for axis, (inner, outer) in enumerate(zip(*slices, strict=True)):
            origin = divmod(tile, field.grid[1])[axis] * field.step
            assert 0 <= inner.start < inner.stop <= field.tile
            assert 0 <= outer.start < outer.stop <= size[axis]
            assert (outer.start - origin, outer.stop - origin) == (inner.start, inner.stop)


def test_steer_without_directions_is_the_noise_of_the_seed(sampler):
    assert torch.equal(directions.steer(3, 5, 0.5), 0.5 * sr.noise(5, 3))
    difference = sampler(temperature=1.0, eps=directions.steer(sampler.tiles, 5, 0.5)).astype(int) - sampler(5, 0.5)
    assert np.abs(difference).max() <= 1


def test_between_two_seeds_the_noise_runs_along_the_arc():
    quarter = math.cos(math.pi / 8) * sr.noise(12, 20) + math.sin(math.pi / 8) * sr.noise(13, 20)
    assert torch.allclose(directions.noise_at(12.25, 20), quarter, atol=1e-6)
    assert torch.equal(directions.steer(20, 12.25, 0.5), 0.5 * directions.noise_at(12.25, 20))
    assert torch.equal(directions.noise_at(np.float32(12), 20), sr.noise(12, 20))
    for seed in (0.5, 12.05, 12.95):
        assert directions.noise_at(seed, 20).var().item() == pytest.approx(1, abs=0.03)
    for seed in (1, 998):  # no jump where one arc ends and the next begins
        steps = [directions.noise_at(s, 20) for s in (seed - 0.001, seed, seed + 0.001)]
        assert all((b - a).square().mean().sqrt() < 0.002 for a, b in pairwise(steps))


def test_amounts_are_in_standard_deviations_at_any_temperature():
    axes = directions.Directions(torch.eye(sr.LATENTS)[:2], np.ones(2), np.ones(2), ((0, 0, 1, 1),) * 2)
    eps = directions.steer(3, 0, 0.0, directions=axes, amounts=[2.0, -1.0])
    assert torch.equal(eps[:, :3], torch.tensor([[2.0, -1.0, 0.0]] * 3))
    with pytest.raises(IndexError):
        directions.steer(3, 0, 0.0, directions=axes, amounts=[1.0] * 3)
    for temperature in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="temperature must be a number from 0 to 100"):
            directions.steer(1, 0, temperature)
