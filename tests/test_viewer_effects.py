"""What directions are called, on generated pictures, and their small pictures, on a photograph."""

import numpy as np
import pytest
import torch

import srvae_core as sr
from srvae import directions
from srvae.viewer import effects

GREY = np.full((96, 96, 3), 120, np.uint8)


def changed(rows: slice, columns: slice, colour: tuple[int, int, int]) -> np.ndarray:
    """The grey picture with a colour added in a part of it."""
    picture = GREY.astype(int)
    picture[rows, columns] += colour
    return picture.astype(np.uint8)


def waves(pixels: float, angle: float = 0.0, part: slice = slice(None)) -> np.ndarray:
    """The grey picture with waves of that length in a square part; angle 0 runs across."""
    y, x = np.mgrid[:96, :96]
    wave = 30 * np.sin(2 * np.pi / pixels * (x * np.cos(angle) + y * np.sin(angle)))
    picture = GREY.astype(float)
    picture[part, part] += wave[part, part, None]
    return np.round(picture).astype(np.uint8)


def noise(sigma: float, seed: int = 0) -> np.ndarray:
    """The grey picture with speckle."""
    return np.clip(GREY + np.random.default_rng(seed).normal(0, sigma, (96, 96, 1)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((20, 20, 20), "brighter"),
        ((-20, -20, -20), "darker"),
        ((30, -15, 0), "redder"),
        ((-30, 15, 0), "greener"),
        ((0, -5, 40), "bluer"),
        ((0, 5, -40), "yellower"),
    ],
)
def test_brightness_and_colour(colour, name):
    after = changed(slice(0, 25), slice(70, 96), colour)
    assert effects.describe(GREY, after) == f"{name}, upper right"
    assert effects.describe(GREY, changed(slice(None), slice(None), colour)) == f"{name}, all over"


@pytest.mark.parametrize(
    ("rows", "columns", "place"),
    [
        (slice(40, 56), slice(40, 56), "middle"),
        (slice(0, 20), slice(40, 56), "upper"),
        (slice(75, 96), slice(0, 20), "lower left"),
        (slice(40, 56), slice(75, 96), "right"),
    ],
)
def test_the_place(rows, columns, place):
    assert effects.describe(GREY, changed(rows, columns, (20, 20, 20))) == f"brighter, {place}"


def test_the_place_is_in_the_whole_picture():
    after = changed(slice(None), slice(None), (20, 20, 20))
    assert effects.describe(GREY, after, (960, 960), (10, 800)) == "brighter, upper right"
    assert effects.describe(GREY, after, (96, 96), (0, 0)) == "brighter, all over"


def test_detail_lines_and_grain():
    assert effects.describe(GREY, noise(20)) == "more detail, all over"
    assert effects.describe(noise(20), GREY) == "smoother, all over"
    assert effects.descriptions(noise(20), noise(20, seed=1)) == ["fine grain, all over"]
    for angle, lines in ((0, "verticals"), (np.pi / 2, "horizontals"), (np.pi / 4, "diagonals")):
        part = slice(60, 96)
        moved = effects.descriptions(waves(8, angle, part), waves(8, angle + np.pi, part))
        assert moved[0] == f"{lines}, lower right"
    assert effects.descriptions(waves(24), waves(24, np.pi))[-1] == "coarse grain, all over"


def test_nothing_changed():
    assert effects.describe(GREY, GREY) == "no change"
    with pytest.raises(ValueError, match=r"one shape, not \(96, 96, 3\) and \(96, 90, 3\)"):
        effects.describe(GREY, GREY[:, :90])


@pytest.mark.parametrize(("place", "region"), [((20, 20, 12, 12), (14, 14, 24, 24)), ((0, 60, 12, 4), (0, 40, 24, 24))])
def test_the_part_lies_in_the_image(place, region):
    assert effects.around(place, 24, (0, 0, 50, 64)) == region
    assert effects.around((0, 0, 5, 5), 24, (0, 0, 7, 50)) == (0, 0, 7, 24)


def known_directions(places: tuple[sr.Rect, ...]) -> directions.Directions:
    """Random orthonormal directions, as though they had been found."""
    vectors = torch.linalg.qr(torch.randn(sr.LATENTS, len(places), generator=torch.Generator().manual_seed(0))).Q.T
    return directions.Directions(vectors, np.ones(len(places)), np.ones(len(places)), places)


@pytest.mark.parametrize("name", ["4x-D", "8x-D"])
def test_a_gallery_shows_what_the_sampler_answers(shipped, crops, name):
    model = shipped(name)
    sampler = sr.Sampler(model, sr.downscale(crops["chelsea"], model.scale))
    found = known_directions(((3, 4, 6, 6),) * 3 + ((20, 20, 6, 6),))
    eps = directions.steer(sampler.tiles, 1, 0.4)
    shown = effects.gallery(sampler, found, eps)
    names = [effect.name for effect in shown]
    assert len(set(names)) == 4, "no two alike"
    assert all(len(n) <= 26 for n in names)
    for effect, vector in zip(shown, found.vectors, strict=True):
        assert effect.before.shape == effect.after.shape == (96, 96, 3)
        forwards = sampler(temperature=1.0, eps=eps + effects.STEPS * vector, region=effect.region, draft=True)
        assert np.array_equal(effect.after, forwards)
        assert not np.array_equal(effect.before, effect.after)


def test_alike_names_are_told_apart(random_model):
    """Directions that change nothing are all called so."""
    sampler = sr.Sampler(random_model(4), np.full((20, 20, 3), 90, np.uint8))
    found = known_directions(((0, 0, 5, 5),) * 3)
    shown = effects.gallery(sampler, found, torch.zeros(sampler.tiles, sr.LATENTS), steps=0.0)
    assert [effect.name for effect in shown] == ["no change", "no change 2", "no change 3"]
    assert shown[0].region == (0, 0, 20, 20)


@pytest.mark.slow
def test_directions_of_a_photograph_change_what_their_pictures_show(shipped, crops):
    model = shipped("4x-D")
    sampler = sr.Sampler(model, sr.downscale(crops["astronaut"], 4))
    found = directions.find(sampler)
    shown = effects.gallery(sampler, found, torch.zeros(sampler.tiles, sr.LATENTS))
    changes = [effect.after.astype(float) - effect.before for effect in shown]
    sizes = [np.sqrt(np.square(change).mean()) for change in changes]
    assert min(sizes) > 3, "grey levels"
