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


@pytest.fixture(scope="module")
def found(sampler) -> directions.Directions:
    """The directions of that image."""
    return directions.find(sampler)


@pytest.mark.slow
def test_orthonormal_ordered_and_the_same_every_time(sampler, found):
    ways = found
    assert ways.vectors.shape == (8, sr.LATENTS)
    assert torch.allclose(ways.vectors @ ways.vectors.T, torch.eye(8), atol=1e-4)
    assert np.all(np.diff(ways.visible) <= 0)
    assert ways.effects.shape == ways.visible.shape == (8,)
    assert ways.visible[-1] > 0
    again = directions.find(sr.Sampler(sampler.model, sampler.lr, cache=False))
    assert torch.allclose(ways.vectors, again.vectors, atol=1e-4)
    assert np.allclose(ways.effects, again.effects, rtol=1e-4)
    assert ways.places == again.places
    outer = [window.outer for window in directions.windows(sampler)]
    assert set(ways.places) <= {(y.start, x.start, y.stop - y.start, x.stop - x.start) for y, x in outer}


@pytest.mark.slow
def test_what_is_visible_are_the_singular_values_of_the_weighted_jacobian(random_model, crops):
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


@pytest.mark.slow
def test_one_iteration_comes_near_and_moves_the_picture_more_than_noise_does(sampler, found):
    long = directions.find(sampler, iterations=3)
    assert found.visible[0] > 0.75 * long.visible[0]
    assert found.visible.sum() > 0.75 * long.visible.sum()
    base, noise = directions.steer(sampler.tiles, 0, 1.0), sr.noise(7, 1)[0]
    before, *others = (
        sampler(temperature=1.0, eps=eps, as_float=True)
        for eps in (base, base + found.vectors[0], base + noise / noise.norm())
    )
    by_direction, by_noise = (np.abs(other - before).mean() for other in others)
    assert by_direction > 3 * by_noise


def test_what_one_sees_is_coarse_and_rather_luma():
    generator = torch.Generator().manual_seed(0)
    speckle = torch.randn(1, 3, 64, 64, generator=generator)
    flat = torch.ones(1, 3, 64, 64)
    middle = (..., slice(24, 40), slice(24, 40))

    def level(change: torch.Tensor) -> float:
        return directions.what_one_sees(change, 4)[middle].square().mean().sqrt().item()

    assert level(speckle) < 0.2 * level(flat)
    stripes = torch.sin(torch.arange(64) * 2 * math.pi / 12).expand(1, 1, 64, 64)
    gain = math.exp(-2 * (math.pi * 2 / 12) ** 2)  # of a Gaussian of 2 pixels at a wave of 12
    seen = directions.what_one_sees(stripes.expand(1, 3, 64, 64), 4)[middle]
    assert seen[:, 0].square().mean().sqrt().item() == pytest.approx(gain / math.sqrt(2), rel=0.05)
    colour = stripes * torch.tensor([1.0, -0.299 / 0.587, 0.0]).view(1, 3, 1, 1)  # luma stays
    assert level(colour) < 0.3 * level(stripes.expand(1, 3, 64, 64))


@pytest.mark.slow
def test_they_are_seen_better_than_those_of_the_plain_jacobian(shipped, crops, monkeypatch):
    """And still move the picture: what is chosen by sight gives up speckle, not effect."""
    sampler = sr.Sampler(shipped("4x-D"), sr.downscale(crops["astronaut"], 4))
    ways, picture = directions.find(sampler), directions.picture_of_steps(sampler)
    with monkeypatch.context() as patch:
        patch.setattr(directions, "what_one_sees", lambda change, scale: change)
        patch.setattr(directions, "EVENNESS", 0)
        plain = directions.find(sampler)
    with torch.inference_mode():
        changes = (picture(0.01 * plain.vectors) - picture(torch.zeros(1, sr.LATENTS))) / 0.01
        seen = 255 * directions.what_one_sees(changes, 4).flatten(1).square().mean(1).sqrt().numpy()
    assert ways.visible.sum() > seen.sum()
    assert ways.effects.sum() > 0.7 * plain.effects.sum()
    assert len(set(ways.places)) > 1, "not all where the most moves"


@pytest.mark.slow
def test_the_positive_way_is_brighter_or_more_detailed(shipped, crops):
    """By small steps, since the signs come from the derivative."""
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


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (4, 4), (20, 50), (33, 64), (90, 70)])
def test_windows_lie_inside_their_tiles_and_the_image(random_model, size):
    lr = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    sampler = sr.Sampler(random_model(4), lr)
    field, parts = sampler.field, directions.windows(sampler)
    assert len(parts) == 4
    assert len({tuple(s.stop - s.start for s in w.inner) for w in parts}) == 1, "one shape"
    for w in parts:
        for axis, (inner, outer) in enumerate(zip(w.inner, w.outer, strict=True)):
            origin = divmod(w.tile, field.grid[1])[axis] * field.step
            assert 0 <= inner.start < inner.stop <= field.tile
            assert 0 <= outer.start < outer.stop <= size[axis]
            assert outer.start - origin == inner.start
            assert outer.stop - origin == inner.stop


def test_wrong_samplers_and_numbers_are_refused(random_model):
    sampler = sr.Sampler(random_model(4), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(TypeError, match=r"directions need a Sampler, .* not SRVAE"):
        directions.find(random_model(4))
    for options, error, message in (
        ({"count": 2.5}, TypeError, "count must be a whole number, not 2.5"),
        ({"count": sr.LATENTS}, ValueError, "count must be 1 to 1016, not 1024"),
        ({"count": 0}, ValueError, "count must be 1 to 1016, not 0"),
        ({"iterations": -1}, ValueError, "iterations must be 0 or more, not -1"),
        ({"iterations": "1"}, TypeError, "iterations must be a whole number, not '1'"),
    ):
        with pytest.raises(error, match=message):
            directions.find(sampler, **options)


def test_steer_without_extras_is_the_seeds_noise(sampler):
    assert torch.equal(directions.steer(3, 5, 0.5), 0.5 * sr.noise(5, 3))
    difference = sampler(temperature=1.0, eps=directions.steer(sampler.tiles, 5, 0.5)).astype(int) - sampler(5, 0.5)
    assert np.abs(difference).max() <= 1


def test_a_whole_seed_is_a_pure_sample_of_any_type():
    for seed in (12, 12.0, np.int64(12), np.float32(12)):
        assert torch.equal(directions.noise_at(seed, 3), sr.noise(12, 3))
    assert torch.equal(directions.noise_at(2**53 - 1, 1), sr.noise(2**53 - 1, 1))


def test_between_two_seeds_the_noise_runs_along_the_arc():
    quarter = math.cos(math.pi / 8) * sr.noise(12, 20) + math.sin(math.pi / 8) * sr.noise(13, 20)
    assert torch.allclose(directions.noise_at(12.25, 20), quarter, atol=1e-6)
    assert torch.equal(directions.steer(20, 12.25, 0.5), 0.5 * directions.noise_at(12.25, 20))
    for seed in (0.5, 12.05, 12.95):
        assert directions.noise_at(seed, 20).var().item() == pytest.approx(1, abs=0.03)
    for seed in (1, 998):  # no jump where one arc ends and the next begins
        steps = [directions.noise_at(s, 20) for s in (seed - 0.001, seed, seed + 0.001)]
        assert all((b - a).square().mean().sqrt() < 0.002 for a, b in pairwise(steps))


def test_amounts_are_in_standard_deviations_whatever_the_temperature():
    axes = directions.Directions(torch.eye(sr.LATENTS)[:2], np.ones(2), np.ones(2), ((0, 0, 1, 1),) * 2)
    eps = directions.steer(3, 0, 0.0, directions=axes, amounts=[2.0, -1.0])
    assert torch.equal(eps[:, :3], torch.tensor([[2.0, -1.0, 0.0]] * 3))
    for amounts in ([1.0] * 3, [0, math.nan], [0, math.inf]):
        with pytest.raises(ValueError, match="amounts"):
            directions.steer(3, 0, 0.0, directions=axes, amounts=amounts)
    for temperature in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="temperature must be a finite number of at least 0"):
            directions.steer(1, 0, temperature)
    for seed in (-0.5, -1, 2**53, 2.0**53, math.nan, math.inf, "1", None):
        with pytest.raises(ValueError, match=r"seed must be a number of at least 0 and below 2\*\*53, not "):
            directions.steer(1, seed, 1.0)
