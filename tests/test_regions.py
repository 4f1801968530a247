"""Noise drawn anew in a rectangle: nothing changes outside it, no edge is seen, the variance and the LR image stay."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

import srvae_core as sr
from srvae import directions, metrics, regions

T = 0.6  # temperature of the noises


@pytest.fixture(scope="module", params=["4x-D", "8x-D"])
def samplers(request, shipped, photographs) -> list[sr.Sampler]:
    """The middle of three photographs under a shipped model: 64 or 48 LR samples a side."""
    model, made = shipped(request.param), []
    edge = {4: 256, 8: 384}[model.scale]
    for name in ("astronaut", "coffee", "motorcycle"):
        top, left = ((n - edge) // 2 for n in photographs[name].shape[:2])
        image = np.ascontiguousarray(photographs[name][top : top + edge, left : left + edge])
        made.append(sr.Sampler(model, sr.downscale(image, model.scale)))
    return made


@pytest.fixture(scope="module")
def small(random_model) -> sr.Sampler:
    """An image of 2x2 tiles at 4x, 40 x 50 LR samples."""
    lr = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    return sr.Sampler(random_model(4), lr)


def middle(sampler: sr.Sampler) -> sr.Rect:
    """A rectangle that leaves a quarter of the image on every side."""
    height, width = sampler.rect[2:]
    return height // 4, width // 4, height // 2, width // 2


def eps_of(sampler: sr.Sampler, seed: int, temperature: float = T) -> torch.Tensor:
    return directions.steer(sampler.tiles, seed, temperature)


def assert_close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


# -- the map ------------------------------------------------------------------------------------------------


def test_outside_the_rectangle_the_map_is_the_bases_to_the_bit_and_deep_inside_the_parts(small):
    base, part, rect = eps_of(small, 1), eps_of(small, 2), (9, 5, 20, 30)
    field, both = small.field, regions.blended(small, base, [(rect, part)], None)
    old, new = (field.map(field.z(eps, 1.0)) for eps in (base, part))
    changed = both != old
    assert sr.crop(changed, rect).any()
    sr.crop(changed, rect)[:] = False
    assert not changed.any()
    deep = (9 + regions.BLEND, 5 + regions.BLEND, 20 - 2 * regions.BLEND, 30 - 2 * regions.BLEND)
    assert_close(sr.crop(both, deep), sr.crop(new, deep))


def test_z_0_is_a_base_and_a_part_like_any_other(small):
    zero, rect, deep = small.field.map(None), (10, 10, 20, 20), (16, 16, 8, 8)
    assert torch.equal(regions.blended(small, None, [], None), zero)
    erased = regions.blended(small, eps_of(small, 1), [(rect, None)], None)
    assert_close(sr.crop(erased, deep), sr.crop(zero, deep))
    added = regions.blended(small, None, [(rect, eps_of(small, 1))], None)
    assert torch.equal(added[..., :10, :], zero[..., :10, :])
    assert not torch.allclose(sr.crop(added, deep), sr.crop(zero, deep), atol=1e-3)


def test_later_parts_lie_over_earlier_ones_and_the_whole_image_may_be_one(small):
    base, rect, deep = eps_of(small, 1), (5, 5, 25, 25), (12, 12, 11, 11)
    both = regions.blended(small, base, [(rect, eps_of(small, 2)), (rect, eps_of(small, 3))], None)
    last = regions.blended(small, base, [(rect, eps_of(small, 3))], None)
    assert_close(sr.crop(both, deep), sr.crop(last, deep))
    whole = regions.blended(small, base, [(small.rect, eps_of(small, 2))], None)
    other = small.field.map(small.field.z(eps_of(small, 2), 1.0))
    assert_close(whole, other)  # at the border of the image there is nothing to blend with


def test_what_is_seen_of_the_map_is_right_and_the_rest_costs_nothing(small, monkeypatch):
    parts = [((2, 3, 12, 12), eps_of(small, 2)), ((20, 20, 15, 25), eps_of(small, 3))]
    whole = regions.blended(small, eps_of(small, 1), parts, None)
    for seen in ((0, 0, 18, 18), (10, 10, 15, 20), (25, 30, 15, 20)):
        assert_close(sr.crop(regions.blended(small, eps_of(small, 1), parts, seen), seen), sr.crop(whole, seen))
    asked, of_map = [], sr.LatentField.map
    monkeypatch.setattr(sr.LatentField, "map", lambda *words: asked.append(words[2]) or of_map(*words))
    regions.blended(small, None, parts, (36, 0, 4, 10))
    assert asked == [(36, 0, 4, 10)], "no part is seen there"
    asked.clear()
    regions.blended(small, None, parts, (0, 0, 10, 10))
    assert set(asked) == {(0, 0, 10, 10), (2, 3, 8, 7)}, "a part only where it is seen"


@pytest.mark.parametrize("rect", [(0, 0, 1, 1), (7, 9, 1, 1), (7, 9, 2, 2), (7, 9, 3, 20), (38, 48, 2, 2)])
def test_the_smallest_rectangles_change(small, rect):
    base, parts = eps_of(small, 1), [(rect, eps_of(small, 2))]
    assert not torch.equal(regions.blended(small, base, parts, None), regions.blended(small, base, [], None))
    angle = regions.angles(rect, small.rect)
    assert angle.shape == rect[2:]
    assert angle.min() > 0
    assert angle.max() == pytest.approx(math.pi / 2)


def test_the_angle_rises_from_the_edge_and_not_from_the_images_border():
    angle = regions.angles((0, 10, 30, 30), (0, 0, 60, 60))
    assert torch.all(angle[0, regions.BLEND : -regions.BLEND] == math.pi / 2)
    for side in (angle[10], angle[10].flip(0), angle[:, 15].flip(0)):
        assert all(a < b for a, b in pairwise(side[: regions.BLEND].tolist()))
        assert torch.all(side[regions.BLEND : 15] == math.pi / 2)


def test_the_same_noise_at_another_temperature_is_no_ring(small):
    """Noises that are alike add up to more than either if they are mixed as independent ones are."""
    zero, base, rect = small.field.map(None), eps_of(small, 1), (9, 5, 20, 30)
    plain = regions.blended(small, base, [], None)
    assert_close(regions.blended(small, base, [(rect, base)], None), plain)
    parts = [(rect, eps_of(small, 2)), ((15, 11, 8, 10), eps_of(small, 2))]
    assert_close(regions.blended(small, base, parts, None), regions.blended(small, base, parts[:1], None))
    weaker = regions.blended(small, base, [(rect, base / 2)], None) - zero
    ends = plain - zero, small.field.map(small.field.z(base / 2, 1.0)) - zero
    assert torch.all((weaker >= torch.minimum(*ends) - 1e-6) & (weaker <= torch.maximum(*ends) + 1e-6))


def test_wrong_rectangles_and_noises_are_refused(small):
    for rect in ((-1, 0, 5, 5), (0, 0, 41, 5), (0, 46, 5, 5), (0, 0, 0, 5), (0, 0, 5)):
        with pytest.raises(ValueError, match=r"\(top, left, height, width\) is not inside the 40x50 LR image"):
            regions.blended(small, None, [(rect, eps_of(small, 1))], None)
    wrong = torch.zeros(small.tiles + 1, sr.LATENTS)
    for base, parts in ((wrong, []), (None, [((0, 0, 5, 5), wrong)])):
        with pytest.raises(ValueError, match=r"noise must be of shape \(4, 1024\) for this image, not \(5, 1024\)"):
            regions.blended(small, base, parts, None)


# -- the picture, on shipped models -------------------------------------------------------------------------


def test_the_picture_changes_in_the_rectangle_and_what_reaches_into_it_alone(samplers):
    for sampler in samplers[:2]:
        edge, s, base = sampler.rect[2], sampler.model.scale, eps_of(sampler, 1)
        rect = edge * 3 // 8, edge * 3 // 8, edge // 4, edge // 4
        plain, both = (
            sampler(latent_map=regions.blended(sampler, base, parts, None))
            for parts in ([], [(rect, eps_of(sampler, 2))])
        )
        changed = (plain != both).any(2)
        top, left, height, width = (s * n for n in rect)
        assert changed[top : top + height, left : left + width].mean() > 0.5
        reach = s * sr.HALO
        changed[top - reach : top + height + reach, left - reach : left + width + reach] = False
        assert not changed.any()


def test_a_picture_of_a_region_is_that_of_the_whole(samplers):
    sampler = samplers[0]
    rect, s = middle(sampler), sampler.model.scale
    parts, base = [(rect, eps_of(sampler, 2))], eps_of(sampler, 1)
    whole = sampler(latent_map=regions.blended(sampler, base, parts, None))
    region = rect[0] - 3, rect[1] + 2, rect[2] // 2, rect[3] // 2
    top, left, height, width = (s * n for n in region)
    seen = sampler.with_context(region, False)
    part = sampler(latent_map=regions.blended(sampler, base, parts, seen), region=region)
    difference = np.abs(part.astype(int) - whole[top : top + height, left : left + width])
    assert difference.max() <= 1, "as for any region, what lies beyond its halo reaches into it by rounding alone"


def test_no_step_stands_out_at_the_edge(samplers):
    """The mean absolute step between neighbouring pixels across the edge, against the steps inside and outside."""
    at_edge, near = [], []
    for sampler in samplers:
        rect = middle(sampler)
        top, left, height, width = (sampler.model.scale * n for n in rect)
        for seed in range(4):
            parts = [(rect, eps_of(sampler, seed + 100))]
            picture = sampler(latent_map=regions.blended(sampler, eps_of(sampler, seed), parts, None)).mean(2)
            across = np.abs(np.diff(picture[top : top + height], axis=1))
            down = np.abs(np.diff(picture[:, left : left + width], axis=0))
            for steps, start, n in ((across.mean(0), left, width), (down.mean(1), top, height)):
                at_edge += [steps[start - 1], steps[start + n - 1]]
                near += [steps[start - 9 : start + 8].mean(), steps[start + n - 9 : start + n + 8].mean()]
    assert np.mean(at_edge) <= 1.05 * np.mean(near)


def spill(samplers: list[sr.Sampler]) -> float:
    """How much a rectangle at temperature 1.5 changes of a picture at z = 0 just outside, as a share of just inside.

    Root-mean-square changes: of the ring of one LR sample around the rectangle, and of what the blend is past.
    """
    outside, inside = [], []
    for sampler in samplers:
        (top, left, height, width), s = middle(sampler), sampler.model.scale
        zero = sampler(temperature=0, as_float=True)
        for seed in range(2):
            parts = [(middle(sampler), eps_of(sampler, seed, 1.5))]
            picture = sampler(latent_map=regions.blended(sampler, None, parts, None), as_float=True)
            change = np.square(picture - zero).mean(2)
            change = change.reshape(change.shape[0] // s, s, -1, s).mean((1, 3))  # for each LR sample
            ring = np.zeros(change.shape, bool)
            ring[top - 1 : top + height + 1, left - 1 : left + width + 1] = True
            ring[top : top + height, left : left + width] = False
            outside.append(change[ring].mean())
            inside.append(change[top + 8 : top + height - 8, left + 8 : left + width - 8].mean())
    return math.sqrt(np.mean(outside) / np.mean(inside))


def test_another_temperature_begins_at_the_edge_and_gradually(samplers, monkeypatch):
    blended = spill(samplers[:2])
    assert blended < 0.25
    monkeypatch.setattr(regions, "BLEND", 1e-6)
    assert spill(samplers[:2]) > 1.6 * blended, "without the blend the measure sees a step"


def test_the_answer_reduces_to_the_lr_image_as_well_as_samples_do(samplers):
    for sampler in samplers[:2]:
        scale, lr = sampler.model.scale, sampler.lr
        parts = [(middle(sampler), eps_of(sampler, 2))]
        both = sampler(latent_map=regions.blended(sampler, eps_of(sampler, 1), parts, None))
        plain = [metrics.lr_psnr(sampler(seed, T), lr, scale) for seed in (1, 2)]
        assert metrics.lr_psnr(both, lr, scale) > min(plain) - 0.3


def test_the_variance_stays_across_the_blend(shipped):
    """Over many seeds, of what noise adds to the latent map of a shipped model."""
    lr = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)  # one tile: tiles are blended, too
    sampler, rect, maps = sr.Sampler(shipped("4x-D"), lr), (8, 8, 16, 16), [[], []]
    for seed in range(100):
        for parts, some in zip(([(rect, eps_of(sampler, seed + 1000))], []), maps, strict=True):
            some.append(sr.crop(regions.blended(sampler, eps_of(sampler, seed), parts, None), rect))
    angle, variances = regions.angles(rect, sampler.rect), [torch.cat(some).var(0).mean(0) for some in maps]
    for zone in (angle < math.pi / 2 - 1e-3, (angle > math.pi / 8) & (angle < 3 * math.pi / 8)):
        now, before = (variance[zone].mean().item() for variance in variances)
        assert now == pytest.approx(before, rel=0.05)
