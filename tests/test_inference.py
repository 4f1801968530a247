"""Enlarging: the network itself, no seams, blocks and regions, sizes and kinds of image, errors."""

from functools import partial

import numpy as np
import pytest
import torch

import srvae_core as sr
from pictures import levels, picture
from srvae import metrics, release

NAMES = sr.available_models()
RNG = np.random.default_rng(5)
each_scale = pytest.mark.parametrize("scale", sr.SCALES)
each_way = pytest.mark.parametrize("enlarge", [sr.super_resolve, release.super_resolve, release.self_ensemble])


@pytest.fixture(scope="module")
def scene(shipped, crops):
    """(model, 33x47 LR image)."""
    return shipped(NAMES[0]), sr.downscale(crops["coffee"], 4)[:33, :47]


def inside(answer: np.ndarray, region: sr.Rect, scale: int) -> np.ndarray:
    """The part of an answer that belongs to a region of the LR image."""
    top, left, height, width = (scale * n for n in region)
    return answer[top : top + height, left : left + width]


# -- the network --------------------------------------------------------------------------------------------


def test_one_tile_is_the_network(random_model):
    """On exactly one tile the whole path is net(up, z) with z = temperature * 0.1 * g(LR) * eps."""
    model, lr = random_model(4), picture(32, 32)
    sampler = sr.Sampler(model, lr, consistency=False)
    eps = sr.noise(2, sampler.tiles)
    assert len(eps) == 1
    up = sr.to_tensor(sr.enlarge(lr, 4))
    with torch.inference_mode():
        g = sampler.field.g
        wanted = model(up, 3 * 0.1 * g * eps)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(sampler(2, 3.0, as_float=True), wanted, atol=1e-4)
    torch.testing.assert_close(g.square().mean(), torch.tensor(1.0), rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", ["4x-D", "8x-P"])
def test_several_tiles_are_the_network_with_a_latent_map(shipped, crops, name):
    """Byte for byte."""
    model = shipped(name)
    lr = sr.downscale(np.ascontiguousarray(crops["coffee"][:136, :160]), model.scale)
    with torch.inference_mode():
        pixels = sr.to_tensor(lr)
        up, field = sr.network_input(pixels, model.scale, True), sr.LatentField(model, pixels, True)
        latent_map = field.map(field.z(sr.noise(3, field.tiles), 1.0))
        answer = model.reconstruct(model.input_code(model.features(up)), latent_map, up)
        wanted = sr.consistent(answer, pixels, model.scale)[0].permute(1, 2, 0).numpy()
    assert field.tiles == 4
    assert np.array_equal(sr.super_resolve(lr, model, temperature=1.0, seed=3, as_float=True), wanted)


@each_scale
def test_g_is_the_generator_of_each_tile(random_model, scale):
    """The image is mirrored around its border until it fills whole tiles."""
    tile = 128 // scale
    lr = picture(2 * tile, 3 * tile - tile // 4)
    field = sr.Sampler(random_model(scale), lr).field
    up = sr.to_tensor(sr.enlarge(np.pad(lr, ((4, tile), (4, tile), (0, 0)), "symmetric"), scale))
    assert field.grid == (3, 4)
    assert field.g.shape == (12, 1024)
    for i, g in enumerate(field.g):
        y, x = (4 * scale + 96 * n for n in divmod(i, 4))
        wanted = random_model(scale).generator(up[..., y : y + 128, x : x + 128])
        torch.testing.assert_close(g, wanted[0], rtol=1e-4, atol=1e-5)


@each_scale
def test_the_latent_map_is_made_of_the_maps_of_tiles(random_model, scale):
    """Weights of z = 0 sum to one, so that no step is seen; squares of the noise's do, so that its variance stays."""
    model, size, tile = random_model(scale), (144 // scale, 320 // scale), 128 // scale
    with torch.inference_mode():
        field = sr.LatentField(model, torch.rand(1, 3, *size), eight_bit=True)
        assert field.grid == (2, 3)
        z, canvas = field.z(sr.noise(1, field.tiles), 10.0), (224 // scale, 320 // scale)
        zero, changes, sums = torch.zeros(3, 1, 4096 // tile**2, *canvas)
        for i, of_tile in enumerate(model.latent_map(z) - field.zero):
            starts, ramps = [n * tile * 3 // 4 for n in divmod(i, 3)], []
            for start, n in zip(starts, canvas, strict=True):
                ramp, one = (torch.arange(tile) + 0.5) / (tile // 4), torch.ones(tile)
                ends = ramp if start else one, ramp.flip(0) if start + tile < n else one
                ramps.append(torch.minimum(*ends).clamp(max=1))
            weight, place = ramps[0][:, None] * ramps[1], (..., *(slice(n, n + tile) for n in starts))
            zero[place] += weight * field.zero
            changes[place] += weight.sqrt() * of_tile
            sums[place] += weight
        torch.testing.assert_close(sums, torch.ones_like(sums))
        assert changes.abs().max() > 0.01
        for rect in ((0, 0, *size), (3, 5, 7, 30), (size[0] - 1, size[1] - 1, 1, 1)):
            torch.testing.assert_close(field.map(None, rect), sr.crop(zero, rect))
            torch.testing.assert_close(field.map(z, rect), sr.crop(zero + changes, rect), rtol=1e-5, atol=1e-5)


def tile_borders(sampler: sr.Sampler) -> list[int]:
    """Columns of the answer where a tile begins or ends."""
    field, s = sampler.field, sampler.model.scale
    starts = [i * field.step for i in range(field.grid[1])]
    return [s * c for c in {*starts[1:], *(c + field.tile for c in starts[:-1])}]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_tiles_leave_no_seam(shipped, photographs, name):
    """The same columns of the same photographs, once at tile borders and once not: the steps there are alike."""
    model, s = shipped(name), int(name[0])
    strips = [p[100:196, :416] for p in photographs.values()]
    lr = sr.downscale(np.concatenate(strips), s)  # many rows, so that chance averages out
    at = sr.Sampler(model, lr)
    shift = at.field.step // 2  # moves every border to where none was
    beside = sr.Sampler(model, lr[:, shift:].copy())
    borders = np.array([b for b in tile_borders(at) if 128 <= b <= 320])
    assert len(borders) >= 3
    assert not set(borders) & {b + shift * s for b in tile_borders(beside)}

    def ratio(a: np.ndarray, b: np.ndarray) -> float:
        """The mean step at the borders in a, over that in b."""
        steps = [np.abs(x[:, c] - x[:, c - 1]).mean() for x, c in ((a, borders), (b, borders - shift * s))]
        return steps[0] / steps[1]

    answers = [sampler(temperature=0, as_float=True) for sampler in (at, beside)]
    assert 0.98 < ratio(*answers) < 1.02
    for seed in range(2):
        noises = [x(seed, 1.0, as_float=True) - y for x, y in zip((at, beside), answers, strict=True)]
        if np.abs(noises[0]).max() > 1e-4:  # silent latents have no seam either
            assert 0.75 < ratio(*noises) < 1.3


def test_seed_temperature_and_eps(random_model):
    model, lr = random_model(8), picture(20, 30)
    sampler = sr.Sampler(model, lr, consistency=False)
    draw = partial(sampler, as_float=True)
    assert not np.array_equal(draw(1, 5), draw(2, 5))
    assert not np.array_equal(draw(1, 5), draw(1, 6))
    assert np.array_equal(draw(1, 0), draw(2, 0)), "temperature 0 does not depend on the seed"
    assert np.array_equal(draw(9, 0), sr.super_resolve(lr, model, consistency=False, as_float=True))
    assert sampler.tiles == 2 * 3
    eps = sr.noise(4, sampler.tiles)
    assert eps.shape == (6, 1024)
    assert np.array_equal(draw(eps=eps, temperature=5), draw(4, 5))
    assert np.array_equal(draw(eps=torch.zeros_like(eps), temperature=5), draw(temperature=0))
    np.testing.assert_allclose(draw(eps=2 * eps, temperature=5), draw(4, 10), atol=1e-5)


# -- blocks, regions, drafts --------------------------------------------------------------------------------


def test_block_borders_do_not_show(shipped, photographs, monkeypatch):
    model, lr = shipped(NAMES[0]), sr.downscale(photographs["astronaut"][:128, :384], 4)
    whole = sr.super_resolve(lr, model, as_float=True)
    monkeypatch.setattr(sr, "BLOCK", 32)
    np.testing.assert_allclose(sr.super_resolve(lr, model, as_float=True), whole, atol=1e-5)
    monkeypatch.setattr(sr, "HALO", 2)
    assert np.abs(sr.super_resolve(lr, model, as_float=True) - whole).max() > 0.5 / 255, "the halo matters"


@each_scale
def test_blocks_of_the_last_unit_change_nothing(random_model, monkeypatch, scale):
    model = random_model(scale)
    inputs = torch.randn(1, 64, 24, 30), torch.rand(1, scale**2 // 4, 24, 30), torch.rand(1, 3, 24 * scale, 30 * scale)
    with torch.inference_mode():
        whole = model.reconstruct(*inputs)
        monkeypatch.setattr(sr, "BLOCK", 16)
        torch.testing.assert_close(model.reconstruct(*inputs), whole, rtol=0, atol=1e-5)
        monkeypatch.setattr(sr, "SMALL_HALO", 2)
        assert (model.reconstruct(*inputs) - whole).abs().max() > 1e-4, "the halo matters"


@each_scale
def test_a_region_is_that_part_of_the_whole(random_model, monkeypatch, scale):
    """Nothing beyond the halo reaches a region; three rounds of back-projection let next to nothing through."""
    model, lr = random_model(scale), picture(60, 50)
    for consistency, tolerance in ((False, 1e-5), (True, 2e-4)):
        sampler = sr.Sampler(model, lr, consistency=consistency)
        whole = sampler(1, 10.0, as_float=True)
        for region in ((22, 20, 9, 12), (0, 31, 5, 19), (59, 0, 1, 1)):
            part = sampler(1, 10.0, as_float=True, region=region)
            np.testing.assert_allclose(part, inside(whole, region, scale), atol=tolerance)
    monkeypatch.setattr(sr, "HALO", 3)
    part = sampler(1, 10.0, as_float=True, region=(22, 20, 9, 12))
    assert np.abs(part - inside(whole, (22, 20, 9, 12), scale)).max() > 2e-4


@pytest.mark.parametrize("name", NAMES)
def test_draft_is_near_the_answer(shipped, crops, name):
    model = shipped(name)
    sampler = sr.Sampler(model, sr.downscale(crops["coffee"], model.scale))
    n = 64 // model.scale
    region = (n, n, n, n)  # the second quarter each way
    answer = sampler(3, 1.0)
    off = np.abs(inside(answer, region, model.scale).astype(float) - sampler(3, 1.0, region=region, draft=True))
    assert 0 < off.max() <= 2 * model.scale, "what lies beyond a draft's halo matters little"
    assert off.mean() < 0.5
    assert np.abs(answer.astype(float) - sampler(3, 1.0, draft=True)).mean() < 0.5


def test_answers_do_not_depend_on_what_was_encoded_first(random_model, monkeypatch):
    """Blocks lie on a fixed grid, so the bytes stay."""
    monkeypatch.setattr(sr, "BLOCK", 20)
    first, second = (sr.Sampler(random_model(4), lr) for lr in [picture(40, 44)] * 2)
    second(1, 0.5, region=(32, 40, 3, 4))
    assert 0 < len(second.missing(second.rect)) < 9
    for options in ({"as_float": True}, {"draft": True}):
        assert np.array_equal(first(3, 1.0, **options), second(3, 1.0, **options))
    assert all(map(torch.equal, first.encoded(first.rect), second.encoded(second.rect)))


def test_only_what_is_asked_for_is_encoded(random_model, monkeypatch):
    monkeypatch.setattr(sr, "BLOCK", 30)
    model, widths = random_model(4), []
    features = model.features
    monkeypatch.setattr(model, "features", lambda up: widths.append(up.shape[-1] // 4) or features(up))
    sampler = sr.Sampler(model, picture(82, 90))  # an odd number of blocks each way, of 27 or 28 x 30
    middle = (39, 43, 3, 4)
    assert sampler.missing(middle) == [(27, 30, 27, 30)]
    assert len(sampler.missing((26, 29, 2, 2))) == 4, "a region on a corner of blocks needs all that meet there"
    assert len(sampler.missing(sampler.rect)) == 9
    assert not widths, "nothing is encoded before it is needed"
    sampler(1, 1.0, region=middle)
    assert widths == [30 + 2 * sr.HALO], "one block and what reaches into it"
    assert sampler.missing((39, 43, 16, 4)) == [(54, 30, 28, 30)]
    sampler()
    assert len(widths) == 9
    assert not sampler.missing(sampler.rect)
    code, up = sampler.encoded((3, 5, 7, 9))
    assert (code.shape, up.shape) == ((1, 64, 7, 9), (1, 3, 28, 36))


@pytest.mark.parametrize("draft", [False, True])
def test_a_latent_map_takes_the_place_of_noise(scene, draft):
    """Only the region with its context is read of it."""
    sampler, region = sr.Sampler(*scene), (8, 10, 6, 7)
    seen = sampler.with_context(region, draft)
    options = {"draft": draft, "region": region, "as_float": True}
    wanted = sampler(3, 1.0, **options)
    with torch.inference_mode():
        latent_map = sampler.field.map(sampler.field.z(sr.noise(3, sampler.tiles), 1.0))
        elsewhere = torch.full_like(latent_map, torch.nan)
        sr.crop(elsewhere, seen)[:] = sr.crop(latent_map, seen)
        np.testing.assert_allclose(sampler(latent_map=elsewhere, **options), wanted, atol=1e-5)
        latent_map[..., 9, 11] += 1
        assert np.abs(sampler(latent_map=latent_map, **options) - wanted).max() > 1e-3


# -- consistency and self-ensemble --------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("enlarge", [sr.super_resolve, release.super_resolve])
def test_consistency(shipped, crops, name, enlarge):
    model = shipped(name)
    lr = sr.downscale(crops["astronaut"], model.scale)[: 160 // model.scale, : 192 // model.scale]
    for temperature in (0.0, 1.0):
        off, on = (enlarge(lr, model, temperature=temperature, consistency=c) for c in (False, True))
        assert metrics.lr_psnr(on, lr, model.scale) > max(45, metrics.lr_psnr(off, lr, model.scale))


@each_scale
def test_self_ensemble_is_the_mean_of_eight_turned_answers(random_model, scale):
    """Each with the next noise of one generator; back-projection comes last, onto the image as it is."""
    model, lr = random_model(scale), picture(11, 14)
    generator, total = torch.Generator().manual_seed(5), 0
    for k in range(8):
        turned = release.turn(torch.from_numpy(lr).permute(2, 0, 1)[None], k)[0].permute(1, 2, 0).numpy()
        sampler = sr.Sampler(model, turned, consistency=False)
        answer = sampler(temperature=2.0, eps=sr.noise(generator, sampler.tiles), as_float=True)
        total = total + release.unturn(torch.from_numpy(answer).permute(2, 0, 1)[None], k)
    for consistency in (False, True):
        wanted = sr.consistent(total / 8, sr.to_tensor(lr), scale) if consistency else total / 8
        options = {"temperature": 2.0, "seed": 5, "consistency": consistency, "as_float": True}
        got = release.self_ensemble(lr, model, **options)
        np.testing.assert_allclose(got, wanted[0].permute(1, 2, 0).numpy(), atol=1e-4)


@pytest.mark.slow
def test_self_ensemble_turns_with_the_image(scene):
    model, lr = scene[0], scene[1][:25, :35]
    upright = release.self_ensemble(lr, model)
    assert levels(release.self_ensemble(np.rot90(lr).copy(), model), np.rot90(upright)) <= 1
    assert levels(release.self_ensemble(lr[:, ::-1].copy(), model), upright[:, ::-1]) <= 1
    plain = [sr.super_resolve(x, model) for x in (lr, lr[:, ::-1].copy())]
    assert levels(plain[1], plain[0][:, ::-1]) > 1, "a single pass does not"


# -- sizes and kinds of image -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (5, 3), (33, 47), (2, 70)])
@each_scale
def test_any_size(shipped, scale, size):
    model = shipped(f"{scale}x-D")
    lr = np.full((*size, 3), 117, np.uint8)
    out = sr.super_resolve(lr, model, temperature=0.5)
    assert out.shape == (size[0] * scale, size[1] * scale, 3)
    assert out.dtype == np.uint8
    assert abs(out.astype(int) - 117).max() <= 40, "a flat image stays nearly flat"
    noisy = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    assert levels(sr.Sampler(model, noisy)(1, 0.5), sr.super_resolve(noisy, model, temperature=0.5, seed=1)) <= 1
    if max(size) < 40:
        assert release.super_resolve(lr, model).shape == out.shape


@each_way
def test_grey_stays_grey_and_alpha_is_enlarged_apart(scene, enlarge):
    model, lr = scene[0], scene[1][:20, :24]
    grey = lr[..., 0].copy()
    rgb = enlarge(sr.as_rgb(grey), model, as_float=True)
    luma = np.rint((rgb @ [0.299, 0.587, 0.114]).clip(0, 1) * 255).astype(np.uint8)
    assert levels(enlarge(grey, model), luma) <= 1
    alpha = RNG.integers(0, 256, lr.shape[:2], dtype=np.uint8)
    out = enlarge(np.dstack([lr, alpha]), model)
    assert levels(out[..., :3].copy(), enlarge(lr, model)) <= 1, "alpha leaves colours alone"
    wanted = np.rint(sr.enlarge(alpha / 255, 4).clip(0, 1) * 255).astype(np.uint8)
    assert levels(out[..., 3].copy(), wanted) <= 1


def test_a_sampler_takes_colours_alone(scene):
    model, lr, region = scene[0], scene[1][:20, :24], (3, 5, 9, 11)
    part = sr.Sampler(model, np.dstack([lr, lr[..., 0]]))(0, 0, region=region)
    assert levels(part, inside(sr.super_resolve(lr, model), region, 4)) <= 1
    grey = lr[..., 0].copy()
    assert levels(sr.Sampler(model, grey)(0, 0), sr.super_resolve(sr.as_rgb(grey), model)) <= 1


def test_sixteen_bit_and_float(scene):
    model, lr = scene[0], scene[1][:20, :20]
    deep = sr.super_resolve(lr.astype(np.uint16) * 257, model)
    fine = sr.super_resolve(lr / 255, model)
    assert (deep.dtype, fine.dtype) == (np.uint16, np.float64)
    assert levels((deep / 257).round().astype(int), (fine.clip(0, 1) * 255).round().astype(int)) <= 1
    # The network sees the enlarged image unrounded, half a level away at most. Edges make more of that.
    apart = np.abs(np.rint(deep / 257) - sr.super_resolve(lr, model))
    assert apart.mean() < 0.5
    assert apart.max() <= 4
    assert sr.super_resolve(lr.astype(np.float32) / 255, model).dtype == np.float32
    assert len(np.unique(deep)) > 256
    alpha = sr.super_resolve(np.dstack([lr, lr[..., 0] // 128 * 255]) / 255, model)[..., 3]
    assert (alpha.min(), alpha.max()) == (0, 1)


def test_as_float_is_neither_clipped_nor_rounded(scene):
    model, lr = scene
    lr = np.where(lr > lr.mean(), 255, 0).astype(np.uint8)
    fine = sr.super_resolve(lr, model, as_float=True)
    assert fine.dtype == np.float32
    assert fine.min() < 0
    assert fine.max() > 1
    assert levels(np.rint(fine.clip(0, 1) * 255).astype(np.uint8), sr.super_resolve(lr, model)) == 0


@pytest.mark.parametrize("enlarge", [sr.super_resolve, release.super_resolve])
def test_what_is_set_around_changes_nothing(shipped, capsys, enlarge):
    """The image is only read, torch's default dtype does not matter, and no bar is shown unless it is asked for."""
    model, lr = shipped("4x-D"), picture(9, 7)
    before = lr.copy()
    lr.setflags(write=False)
    wanted = enlarge(lr, model, temperature=1, seed=3)
    np.testing.assert_array_equal(lr, before)
    assert capsys.readouterr().err == ""
    options = {"temperature": np.float32(1), "seed": np.int64(3), "progress": True}
    np.testing.assert_array_equal(enlarge(lr, model, **options), wanted)
    assert "100%" in capsys.readouterr().err
    torch.set_default_dtype(torch.float64)
    try:
        for same in (model, sr.load_model("4x-D")):
            np.testing.assert_array_equal(enlarge(lr, same, temperature=1, seed=3), wanted)
    finally:
        torch.set_default_dtype(torch.float32)


# -- errors -------------------------------------------------------------------------------------------------

GOOD = np.full((4, 6, 3), 128, np.uint8)


@each_way
def test_bad_images_and_options(random_model, enlarge):
    for lr, error, message in (
        ([[1, 2], [3, 4]], TypeError, "lr must be a plain NumPy array, not list"),
        (np.ma.masked_array(GOOD), TypeError, "not MaskedArray"),
        (GOOD.astype(np.int64), TypeError, "uint8, uint16 or float in .0, 1., not int64"),
        (GOOD > 1, TypeError, "not bool"),
        (GOOD[:0], ValueError, r"lr is empty: its shape is \(0, 6, 3\)"),
        (GOOD[..., :2], ValueError, r"not \(4, 6, 2\)"),
        (GOOD[None], ValueError, r"not \(1, 4, 6, 3\)"),
        (GOOD * np.nan, ValueError, "lr has NaN or infinite values"),
        (GOOD * -np.inf, ValueError, "lr has NaN or infinite values"),
        (GOOD.astype(np.float32), ValueError, r"lr must be float in \[0, 1\], but its values range from 128 to 128"),
    ):
        with pytest.raises(error, match=message):
            enlarge(lr, random_model(4))
    for temperature in (-0.1, float("nan"), float("inf"), "1", 100.1, 1e38):
        with pytest.raises(ValueError, match="temperature must be a number from 0 to 100, not"):
            enlarge(GOOD, random_model(4), temperature=temperature)
    for seed in (1.5, "3", None, 2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match="seed must be a 64-bit integer, not"):
            enlarge(GOOD, random_model(4), seed=seed)
    with pytest.raises(TypeError, match="model must be an SRVAE, not str"):
        enlarge(GOOD, "4x-D")


def test_answers_are_finite(random_model):
    """The largest temperature still gives a picture; what gives none is an error, and not a black picture."""
    sampler = sr.Sampler(random_model(4), GOOD)
    assert np.isfinite(sampler(temperature=100.0, as_float=True)).all()
    eps = torch.full((1, 1024), torch.nan)
    for options in ({"eps": eps}, {"latent_map": torch.full((1, 4, 4, 6), torch.inf)}):
        for as_float in (False, True):
            with pytest.raises(ValueError, match="the picture has NaN or infinite values"):
                sampler(as_float=as_float, **options)


def test_bad_options_of_a_sampler(random_model):
    sampler = sr.Sampler(random_model(8), GOOD)
    for region in ((-1, 0, 2, 2), (0, 0, 5, 2), (0, 5, 1, 2), (0, 0, 0, 2), (4, 0, 1, 1), (0, 0, 2)):
        with pytest.raises(ValueError, match=r"\(.*\) \(top, left, height, width\) is not inside the 4x6 LR image"):
            sampler(region=region)
    for shape in ((2, 1024), (1024,), (1, 1023)):
        with pytest.raises(ValueError, match=r"eps must be of shape \(1, 1024\) for this image, not"):
            sampler(eps=torch.zeros(shape))
    for shape in ((1, 16, 6, 4), (1, 4, 4, 6), (4, 6)):
        with pytest.raises(ValueError, match=r"latent_map must be of shape \(1, 16, 4, 6\) for this image, not"):
            sampler(latent_map=torch.zeros(shape))
