"""Directions against the decoder's whole Jacobian, and walks."""

import math

import directions
import numpy as np
import pytest
import torch

import srvae_core as sr


@pytest.fixture(scope="module", params=sr.SCALES)
def sampler(request, random_model, crops):
    """A sampler of an image that is one tile."""
    model = random_model(request.param)
    return sr.Sampler(model, sr.downscale(np.ascontiguousarray(crops["astronaut"][:128, :128]), model.scale))


@pytest.mark.slow
def test_orthonormal_ordered_and_the_same_every_time(sampler):
    ways = directions.find(sampler)
    assert ways.vectors.shape == (8, sr.LATENTS)
    assert torch.allclose(ways.vectors @ ways.vectors.T, torch.eye(8), atol=1e-4)
    assert np.all(np.diff(ways.effects) <= 0)
    assert ways.effects[-1] > 0
    again = directions.find(sr.Sampler(sampler.model, sampler.lr))
    assert torch.allclose(ways.vectors, again.vectors, atol=1e-4)
    assert np.allclose(ways.effects, again.effects, rtol=1e-4)
    assert torch.all(ways.vectors.gather(1, ways.vectors.abs().argmax(1, keepdim=True)) > 0)


@pytest.mark.slow
def test_effects_are_the_singular_values_of_the_jacobian(random_model, crops):
    """On an image small enough to build the Jacobian: 2x2 LR pixels."""
    sampler = sr.Sampler(random_model(4), sr.downscale(np.ascontiguousarray(crops["coffee"][:8, :8]), 4))
    ways = directions.find(sampler, iterations=20)
    picture = directions.picture_of_steps(sampler)
    jacobian = torch.func.jacrev(lambda step: picture(step[None])[0])(torch.zeros(sr.LATENTS))
    exact = torch.linalg.svdvals(jacobian.double())[:8] * 255 / math.sqrt(jacobian.shape[0])
    assert np.allclose(ways.effects, exact.numpy(), rtol=2e-3)
    moved = (jacobian @ ways.vectors.T).norm(dim=0) * 255 / math.sqrt(jacobian.shape[0])
    assert np.allclose(moved.numpy(), ways.effects, rtol=2e-3)


@pytest.mark.slow
def test_one_iteration_comes_near(sampler):
    quick, long = directions.find(sampler), directions.find(sampler, iterations=6)
    assert quick.effects[0] > 0.75 * long.effects[0]
    assert quick.effects.sum() > 0.75 * long.effects.sum()


@pytest.mark.slow
def test_a_direction_moves_the_picture_more_than_noise_of_the_same_length(sampler):
    ways = directions.find(sampler)
    base = directions.steer(sampler.tiles, 0, 1.0)

    def at(eps: torch.Tensor) -> np.ndarray:
        return sampler(temperature=1.0, eps=eps, as_float=True)

    moved = np.abs(at(base + ways.vectors[0]) - at(base)).mean()
    noise = sr.noise(7, 1)[0]
    assert moved > 3 * np.abs(at(base + noise / noise.norm()) - at(base)).mean()


@pytest.mark.parametrize("size", [(4, 4), (20, 50), (33, 64), (90, 70)])
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


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"count": 2.5}, TypeError, "count must be a whole number, not 2.5"),
        ({"count": sr.LATENTS}, ValueError, "count must be 1 to 1022, not 1024"),
        ({"iterations": -1}, ValueError, "iterations must be 0 or more, not -1"),
        ({"iterations": "1"}, TypeError, "iterations must be a whole number, not '1'"),
    ],
)
def test_wrong_numbers_are_refused_in_a_sentence(random_model, arguments, error, message):
    with pytest.raises(error, match=message):
        directions.find(sr.Sampler(random_model(4), np.zeros((8, 8, 3), np.uint8)), **arguments)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1)])
def test_the_smallest_images_have_windows(random_model, size):
    sampler = sr.Sampler(random_model(4), np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    for window in directions.windows(sampler):
        assert all(0 <= s.start < s.stop <= n for s, n in zip(window.outer, size, strict=True))


def test_steer_refuses_what_is_no_number():
    ways = directions.Directions(torch.eye(sr.LATENTS)[:2], np.ones(2))
    for temperature in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="temperature must be a finite number of at least 0"):
            directions.steer(1, 0, temperature)
    for walk in (-0.1, math.nan):
        with pytest.raises(ValueError, match="walk must be 0 to 1"):
            directions.steer(1, 0, 1.0, to_seed=1, walk=walk)
    for amount in (math.nan, math.inf):
        with pytest.raises(ValueError, match="amounts must be finite numbers"):
            directions.steer(1, 0, 1.0, directions=ways, amounts=[0, amount])


def test_wrong_sampler_or_count(random_model):
    with pytest.raises(TypeError, match=r"directions need a Sampler with its cache, .* not SRVAE"):
        directions.find(random_model(4))
    lr = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="cache"):
        directions.find(sr.Sampler(random_model(4), lr, cache=False))
    with pytest.raises(ValueError, match="count"):
        directions.find(sr.Sampler(random_model(4), lr), 0)


def test_steer_without_extras_is_the_seeds_noise(sampler):
    assert torch.equal(directions.steer(3, 5, 0.5), 0.5 * sr.noise(5, 3))
    difference = sampler(temperature=1.0, eps=directions.steer(sampler.tiles, 5, 0.5)).astype(int) - sampler(5, 0.5)
    assert np.abs(difference).max() <= 1


def test_walks_keep_the_variance():
    ends = [directions.steer(20, 1, 1.0, to_seed=2, walk=t) for t in (0, 0.5, 1)]
    assert torch.equal(ends[0], sr.noise(1, 20))
    assert torch.allclose(ends[2], sr.noise(2, 20), atol=1e-6)
    assert ends[1].var().item() == pytest.approx(1, abs=0.03)
    with pytest.raises(ValueError, match="walk"):
        directions.steer(1, 0, 1.0, to_seed=1, walk=1.5)


def test_amounts_are_in_standard_deviations_whatever_the_temperature():
    ways = directions.Directions(torch.eye(sr.LATENTS)[:2], np.ones(2))
    eps = directions.steer(3, 0, 0.0, directions=ways, amounts=[2.0, -1.0])
    assert torch.equal(eps[:, :3], torch.tensor([[2.0, -1.0, 0.0]] * 3))
    with pytest.raises(ValueError, match="amounts"):
        directions.steer(3, 0, 0.0, directions=ways, amounts=[1.0] * 3)
    with pytest.raises(ValueError, match="amounts"):
        directions.steer(3, 0, 0.0, amounts=[1.0])
