"""Enlarging: seams, seeds, blocks and regions, sizes, kinds of image, errors."""

import copy
from functools import partial

import numpy as np
import pytest
import torch

import srvae_core as sr
from pictures import levels, picture
from srvae import metrics, release

NAMES = sr.available_models()
WAYS = (sr.super_resolve, release.super_resolve)
RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def in_float32(monkeypatch):
    """What is tested here is the arithmetic of float32; test_precision.py has the tests of bfloat16."""
    monkeypatch.setattr(sr, "has_bfloat16", lambda device=None: False)


# -- no seams -----------------------------------------------------------------------------------------------


def step_at_borders(field: np.ndarray, borders: list[int], scale: int) -> float:
    """Mean step across the given columns over the mean at all other columns of the same phase of the LR grid."""
    steps = np.abs(np.diff(field.astype(np.float64), axis=1)).mean((0, 2))  # between columns i and i + 1
    edges = np.arange(scale - 1, len(steps), scale)
    here = np.isin(edges + 1, borders)
    assert here.any()
    return steps[edges[here]].mean() / steps[edges[~here]].mean()


def tile_borders(sampler: sr.Sampler) -> list[int]:
    """Columns of the answer where a tile begins or ends."""
    field, s = sampler.field, sampler.model.scale
    starts = [i * field.step for i in range(field.grid[1])]
    return [s * c for c in {*starts[1:], *(c + field.tile for c in starts[:-1])}]


def noise_field(sampler: sr.Sampler, temperature: float, count: int = 4) -> np.ndarray:
    """(sample - deterministic) for several seeds, one above the other."""
    base = sampler(temperature=0, as_float=True)
    return np.concatenate([sampler(seed, temperature, as_float=True) - base for seed in range(count)])


@pytest.mark.parametrize("scale", [4, 8])
def test_no_seam_in_what_the_noise_adds(random_model, scale):
    sampler = sr.Sampler(random_model(scale), picture(160 // scale, 512 // scale), consistency=False)
    field = noise_field(sampler, 10.0)
    assert np.abs(field).max() > 1e-3
    assert 0.85 < step_at_borders(field, tile_borders(sampler), scale) < 1.15


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_seam_in_the_shipped_models_answers(shipped, photographs, name):
    """The same columns of the same photographs, once at tile borders and once not: the steps there are alike."""
    model, s = shipped(name), sr.ModelName.of(name).scale
    strips = [p[100:196, :416] for p in photographs.values()]
    lr = sr.downscale(np.concatenate(strips), s)  # many rows, so that chance averages out
    at = sr.Sampler(model, lr)
    shift = at.field.step // 2  # moves every border to where none was
    beside = sr.Sampler(model, lr[:, shift:].copy())
    borders = np.array([b for b in tile_borders(at) if 128 <= b <= 320])
    assert len(borders) >= 3
    assert not set(borders) & {b + shift * s for b in tile_borders(beside)}

    def step(field: np.ndarray, columns: np.ndarray) -> float:
        return np.abs(field[:, columns] - field[:, columns - 1]).mean()

    answers = [sampler(temperature=0, as_float=True) for sampler in (at, beside)]
    ratio = step(answers[0], borders) / step(answers[1], borders - shift * s)
    assert 0.98 < ratio < 1.02
    for seed in range(2):
        noises = [
            sampler(seed, 1.0, as_float=True) - answer for sampler, answer in zip((at, beside), answers, strict=True)
        ]
        if np.abs(noises[0]).max() > 1e-4:  # silent latents have no seam either
            assert 0.75 < step(noises[0], borders) / step(noises[1], borders - shift * s) < 1.3


@pytest.mark.parametrize("scale", [4, 8])
def test_a_ramp_in_every_latent_map_is_blended(scale):
    """Each tile's map runs from 0 to 1: side by side they would jump by 1 at every border."""
    model = sr.SRVAE(scale, grid_generator=True).eval()
    with torch.inference_mode():
        tile = 128 // scale
        ramp = torch.linspace(0, 1, tile).expand(4096 // tile**2, tile, tile)
        model.ip6.bias.copy_(ramp.flatten())
        field = sr.LatentField(model, torch.rand(1, 3, 2 * tile, 4 * tile), eight_bit=True)
        rest = field.map(None)
    assert field.grid == (3, 5)
    steps = rest[0, 0].diff(dim=1).abs()
    overlap = tile - field.step
    assert steps.max() < 1.1 * (1 - overlap / tile) / overlap  # the jump, spread over the overlap
    torch.testing.assert_close(rest[0, 0, 0, :overlap], ramp[0, 0, :overlap])


@pytest.mark.parametrize("scale", [4, 8])
def test_noise_is_as_strong_where_tiles_overlap(scale):
    """In the linear regime the noise's part of the latent map keeps its variance across an overlap."""
    model = sr.SRVAE(scale, grid_generator=True).eval()
    with torch.inference_mode():
        for name in ("ip4", "ip5", "ip6"):  # far from every ReLU's corner
            model.get_submodule(name).bias.fill_(1.0)
            model.get_submodule(name).weight.abs_() if name != "ip4" else None
        tile = 128 // scale
        field = sr.LatentField(model, torch.rand(1, 3, tile, 3 * tile), eight_bit=True)
        maps = torch.cat([field.map(field.z(sr.noise(i, field.tiles), 1.0)) for i in range(100)]) - field.rest
    sd = maps.std(0).mean((0, 1))  # by column
    inside = torch.zeros(3 * tile, dtype=bool)
    for i in range(1, field.grid[1]):
        inside[i * field.step : i * field.step + tile - field.step] = True
    assert abs(sd[inside].mean() / sd[~inside].mean() - 1) < 0.1


# -- one seed, one picture ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene(shipped, crops):
    """(model, 33x47 LR image, its answer for seed 3 at temperature 1)."""
    model = shipped(NAMES[0])
    lr = sr.downscale(crops["coffee"], 4)[:33, :47]
    return model, lr, sr.super_resolve(lr, model, temperature=1, seed=3)


def test_block_borders_do_not_show(shipped, photographs, monkeypatch):
    """Without the halo the columns beside a border would differ from the uncut answer."""
    model, scale = shipped(NAMES[0]), 4
    lr = sr.downscale(photographs["astronaut"][:128, :384], scale)
    whole, cut = (sr.Sampler(model, lr, cache=False, block=n)(0, 0, as_float=True) for n in (1024, 128))
    np.testing.assert_allclose(cut, whole, atol=1e-5)
    monkeypatch.setattr(sr, "HALO", 2)
    cut = sr.Sampler(model, lr, cache=False, block=128)(0, 0, as_float=True)
    assert np.abs(cut - whole).max() > 0.5 / 255
    assert step_at_borders(cut, [128, 256], scale) > 1.02 * step_at_borders(whole, [128, 256], scale)


@pytest.mark.parametrize("cache", [True, False])
def test_sampler_equals_super_resolve(scene, cache):
    model, lr, wanted = scene
    sampler = sr.Sampler(model, lr, cache=cache)
    assert levels(sampler(3, 1.0), wanted) <= 1
    sampler(4, 0.5)
    assert levels(sampler(3, 1.0, region=(0, 0, *lr.shape[:2])), wanted) <= 1, "nothing stays of another call"
    for region in ((7, 3, 11, 20), (19, 24, 1, 1)):
        top, left, height, width = (4 * n for n in region)
        part = sampler(3, 1.0, region=region)
        assert levels(part, wanted[top : top + height, left : left + width]) <= 1


@pytest.mark.parametrize("scale", sr.SCALES)
def test_pieces_of_the_last_unit_change_nothing(random_model, monkeypatch, scale):
    model, lr = random_model(scale), picture(24, 30)
    whole = sr.super_resolve(lr, model, temperature=3, as_float=True)
    monkeypatch.setattr(sr, "PIECE", 16)
    np.testing.assert_allclose(sr.super_resolve(lr, model, temperature=3, as_float=True), whole, atol=1e-5)
    monkeypatch.setattr(sr, "UNIT_HALO", 2)
    assert np.abs(sr.super_resolve(lr, model, temperature=3, as_float=True) - whole).max() > 1e-4, "the halo matters"


@pytest.mark.parametrize("scale", sr.SCALES)
def test_a_region_is_that_part_of_the_whole(random_model, monkeypatch, scale):
    """Nothing beyond the halo reaches a region; three rounds of back-projection let next to nothing through."""
    model, lr = random_model(scale), picture(60, 50)
    for consistency, tolerance in ((False, 1e-5), (True, 2e-4)):
        sampler = sr.Sampler(model, lr, consistency=consistency)
        whole = sampler(1, 10.0, as_float=True)
        for region in ((22, 20, 9, 12), (0, 31, 5, 19), (59, 0, 1, 1)):
            top, left, h, w = (scale * n for n in region)
            part = sampler(1, 10.0, as_float=True, region=region)
            np.testing.assert_allclose(part, whole[top : top + h, left : left + w], atol=tolerance)
    monkeypatch.setattr(sr, "DECODER_HALO", 3)
    part = sampler(1, 10.0, as_float=True, region=(22, 20, 9, 12))
    assert np.abs(part - whole[22 * scale : 31 * scale, 20 * scale : 32 * scale]).max() > 2e-4


@pytest.mark.parametrize("name", NAMES)
def test_draft_is_near_the_answer(shipped, crops, name):
    model = shipped(name)
    sampler = sr.Sampler(model, sr.downscale(crops["coffee"], model.scale))
    answer, draft = sampler(3, 1.0).astype(float), sampler(3, 1.0, draft=True).astype(float)
    assert np.abs(answer - draft).mean() < 0.5
    assert np.array_equal(sampler(3, 1.0), answer), "only the draft is one"
    assert not np.array_equal(answer, draft)
    n = 64 // model.scale  # the second quarter each way
    off = np.abs(answer[64:128, 64:128] - sampler(3, 1.0, region=(n, n, n, n), draft=True))
    assert off.mean() < 0.5
    assert off.max() <= 2 * model.scale, "what lies beyond a draft's halo matters little"


def test_seed_temperature_and_eps(random_model):
    model, lr = random_model(8), picture(20, 30)
    sampler = sr.Sampler(model, lr, consistency=False)
    draw = partial(sampler, as_float=True)
    assert np.array_equal(draw(1, 5), draw(1, 5))
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


@pytest.mark.parametrize("scale", sr.SCALES)
def test_self_ensemble_is_the_mean_of_eight_turned_answers(random_model, scale):
    """Each with the next noise of one generator; back-projection comes last, onto the image as it is."""
    model, lr = random_model(scale), picture(11, 14)
    generator, total = torch.Generator().manual_seed(5), 0
    for k in range(8):
        turned = sr.turn(torch.from_numpy(lr).permute(2, 0, 1)[None], k)[0].permute(1, 2, 0).numpy()
        sampler = sr.Sampler(model, turned, consistency=False)
        answer = sampler(temperature=2.0, eps=sr.noise(generator, sampler.tiles), as_float=True)
        total = total + sr.unturn(torch.from_numpy(answer).permute(2, 0, 1)[None], k)
    for consistency in (False, True):
        wanted = sr.consistent(total / 8, sr.to_tensor(lr), scale) if consistency else total / 8
        got = sr.super_resolve(
            lr, model, temperature=2.0, seed=5, self_ensemble=True, consistency=consistency, as_float=True
        )
        np.testing.assert_allclose(got, wanted[0].permute(1, 2, 0).numpy(), atol=1e-4)


@pytest.mark.slow
def test_self_ensemble_is_equivariant(scene):
    model, lr, _ = scene
    lr = lr[:25, :35]
    upright = sr.super_resolve(lr, model, self_ensemble=True)
    assert levels(sr.super_resolve(np.rot90(lr).copy(), model, self_ensemble=True), np.rot90(upright)) <= 1
    assert levels(sr.super_resolve(lr[:, ::-1].copy(), model, self_ensemble=True), upright[:, ::-1]) <= 1
    plain = [sr.super_resolve(x, model) for x in (lr, lr[:, ::-1].copy())]
    assert levels(plain[1], plain[0][:, ::-1]) > 1, "a single pass is not"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("enlarge", WAYS)
def test_consistency(shipped, crops, name, enlarge):
    model = shipped(name)
    lr = sr.downscale(crops["astronaut"], model.scale)[: 160 // model.scale, : 192 // model.scale]
    for temperature in (0.0, 1.0):
        off, on = (enlarge(lr, model, temperature=temperature, consistency=c) for c in (False, True))
        assert metrics.lr_psnr(on, lr, model.scale) > max(45, metrics.lr_psnr(off, lr, model.scale))


# -- sizes and kinds of image -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (5, 3), (33, 47), (2, 70)])
@pytest.mark.parametrize("scale", [4, 8])
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


@pytest.mark.parametrize("enlarge", WAYS)
def test_grey_stays_grey(scene, enlarge):
    model, lr, _ = scene
    grey = lr[:20, :20, 0].copy()
    out = enlarge(grey, model)
    assert out.shape == (80, 80)
    rgb = enlarge(np.repeat(grey[..., None], 3, 2), model, as_float=True)
    luma = np.rint((rgb @ [0.299, 0.587, 0.114]).clip(0, 1) * 255).astype(np.uint8)
    assert levels(out, luma) <= 1


@pytest.mark.parametrize("enlarge", WAYS)
def test_alpha_is_enlarged_apart(scene, enlarge):
    model, lr, _ = scene
    lr = lr[:20, :24]
    alpha = RNG.integers(1, 256, lr.shape[:2], dtype=np.uint8)
    out = enlarge(np.dstack([lr, alpha]), model)
    assert levels(out[..., :3].copy(), enlarge(lr, model)) <= 1, "alpha leaves colours alone"
    wanted = np.rint(sr.enlarge(alpha / 255, 4).clip(0, 1) * 255).astype(np.uint8)
    assert levels(out[..., 3].copy(), wanted) <= 1


def test_a_sampler_takes_colours_alone(scene):
    model, lr, _ = scene
    lr = lr[:20, :24]
    wanted = sr.super_resolve(lr, model)[12:48, 20:64]
    alpha = RNG.integers(1, 256, lr.shape[:2], dtype=np.uint8)
    assert levels(sr.Sampler(model, np.dstack([lr, alpha]))(0, 0, region=(3, 5, 9, 11)), wanted) <= 1
    grey = lr[..., 0].copy()
    three = sr.super_resolve(sr.as_rgb(grey), model)
    assert levels(sr.Sampler(model, grey)(0, 0), three) <= 1


def test_sixteen_bit_and_float(scene):
    model, lr, _ = scene
    lr = lr[:20, :20]
    deep = sr.super_resolve(lr.astype(np.uint16) * 257, model)
    fine = sr.super_resolve(lr / 255, model)
    assert (deep.dtype, fine.dtype) == (np.uint16, np.float64)
    assert levels((deep / 257).round().astype(int), (fine.clip(0, 1) * 255).round().astype(int)) <= 1
    # It sees the enlarged image unrounded, half a level away at most. Edges make more of that.
    apart = np.abs(np.rint(deep / 257) - sr.super_resolve(lr, model))
    assert apart.mean() < 0.5
    assert apart.max() <= 4
    assert sr.super_resolve(lr.astype(np.float32) / 255, model).dtype == np.float32
    assert len(np.unique(deep)) > 256


def test_as_float_is_neither_clipped_nor_rounded(scene):
    model, lr, _ = scene
    lr = np.where(lr > lr.mean(), 255, 0).astype(np.uint8)
    fine = sr.super_resolve(lr, model, as_float=True)
    assert fine.dtype == np.float32
    assert fine.min() < 0
    assert fine.max() > 1
    assert levels(np.rint(fine.clip(0, 1) * 255).astype(np.uint8), sr.super_resolve(lr, model)) == 0


@pytest.mark.parametrize("channels", [(3,), (), (4,)], ids=["RGB", "grey", "alpha"])
@pytest.mark.parametrize("self_ensemble", [False, True])
def test_out_may_lie_on_disk(random_model, tmp_path, channels, self_ensemble):
    model, lr = random_model(4), RNG.integers(0, 256, (9, 12, *channels), dtype=np.uint8)
    shape = (36, 48, *channels)
    disk = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.uint8, shape)
    answer = sr.super_resolve(lr, model, out=disk, self_ensemble=self_ensemble)
    assert answer is disk
    disk.flush()
    wanted = sr.super_resolve(lr, model, self_ensemble=self_ensemble)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), wanted)
    window = np.zeros((50, 60, *channels), np.uint8)[5:41, 5:53]
    np.testing.assert_array_equal(sr.super_resolve(lr, model, out=window, self_ensemble=self_ensemble), wanted)


def test_the_input_is_left_alone(scene):
    model, lr, _ = scene
    before = lr.copy()
    lr.setflags(write=False)
    sr.super_resolve(lr, model, temperature=1)
    np.testing.assert_array_equal(lr, before)
    flipped = sr.super_resolve(lr[::-1, ::-1], model)  # views with negative strides
    assert levels(flipped, sr.super_resolve(lr[::-1, ::-1].copy(), model)) == 0


@pytest.mark.parametrize("enlarge", WAYS)
@pytest.mark.parametrize("self_ensemble", [False, True])
def test_progress_shows_a_bar(random_model, capsys, enlarge, self_ensemble):
    lr, options = picture(8, 8), {"self_ensemble": self_ensemble}
    enlarge(lr, random_model(4), **options)
    assert capsys.readouterr().err == ""
    enlarge(lr, random_model(4), progress=True, **options)
    assert "100%" in capsys.readouterr().err


# -- clear errors -------------------------------------------------------------------------------------------

GOOD = np.full((4, 6, 3), 128, np.uint8)


@pytest.mark.parametrize("enlarge", WAYS)
@pytest.mark.parametrize(
    ("lr", "error", "message"),
    [
        ([[1, 2], [3, 4]], TypeError, "lr must be a NumPy array, not list"),
        ("photo.png", TypeError, r"not str; read files with read_image"),
        (GOOD.astype(np.int64), TypeError, "uint8, uint16 or float in .0, 1., not int64"),
        (GOOD > 1, TypeError, "not bool"),
        (GOOD[:0], ValueError, r"lr is empty: its shape is \(0, 6, 3\)"),
        (GOOD[..., :2], ValueError, r"not \(4, 6, 2\)"),
        (GOOD[None], ValueError, r"not \(1, 4, 6, 3\)"),
        (GOOD * np.nan, ValueError, "lr has NaN or infinite values"),
        (GOOD * np.inf, ValueError, "lr has NaN or infinite values"),
        (GOOD.astype(np.float32), ValueError, r"image is float and reaches 128: float images are read as \[0, 1\]"),
    ],
)
def test_bad_images(random_model, enlarge, lr, error, message):
    with pytest.raises(error, match=message):
        enlarge(lr, random_model(4))


@pytest.mark.parametrize("enlarge", WAYS)
@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf")])
def test_bad_temperature(random_model, enlarge, temperature):
    with pytest.raises(ValueError, match="temperature must be a finite number of at least 0, not"):
        enlarge(GOOD, random_model(4), temperature=temperature)


@pytest.mark.parametrize("self_ensemble", [False, True])
@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.zeros((16, 24), np.uint8), ValueError, r"out must be of shape \(16, 24, 3\) and uint8, not \(16, 24\)"),
        (np.zeros((24, 16, 3), np.uint8), ValueError, r"not \(24, 16, 3\)"),
        (np.zeros((16, 24, 3), np.float32), ValueError, "and uint8, not .* float32"),
        ([0], TypeError, "out must be a NumPy array, not list"),
    ],
)
def test_bad_out(random_model, self_ensemble, out, error, message):
    with pytest.raises(error, match=message):
        sr.super_resolve(GOOD, random_model(4), out=out, self_ensemble=self_ensemble)


def test_bad_options(random_model):
    sampler = sr.Sampler(random_model(4), GOOD)
    for region in ((-1, 0, 2, 2), (0, 0, 5, 2), (0, 5, 1, 2), (0, 0, 0, 2), (4, 0, 1, 1), (0, 0, 2)):
        with pytest.raises(ValueError, match=r"region .* is not inside the 4x6 LR image"):
            sampler(region=region)
    for eps in (torch.zeros(2, 1024), torch.zeros(1024), torch.zeros(1, 1023)):
        with pytest.raises(ValueError, match=r"eps must be of shape \(1, 1024\) for this image, not"):
            sampler(eps=eps)
    with pytest.raises(TypeError, match="NumPy array"):
        sr.Sampler(random_model(4), None)
    for seed in (1.5, "3", None, 2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match="seed must be a whole number of at most 64 bit, not"):
            sampler(seed)


@pytest.mark.parametrize("enlarge", WAYS)
def test_no_models(random_model, enlarge):
    with pytest.raises(TypeError, match=r"model must be an SRVAE, not str: load_model\('4x-D'\) gives one"):
        enlarge(GOOD, "4x-D")
    with pytest.raises(TypeError, match="not Conv2d"):
        enlarge(GOOD, random_model(4).feat1_1)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        with pytest.raises(TypeError, match=f"the model is in {dtype}, .* float32: call model.float"):
            enlarge(GOOD, copy.deepcopy(random_model(4)).to(dtype))


@pytest.mark.parametrize("enlarge", WAYS)
def test_what_is_set_around_changes_nothing(shipped, enlarge):
    model, lr = shipped("4x-D"), picture(9, 7)
    wanted = enlarge(lr, model, temperature=1, seed=3)
    np.testing.assert_array_equal(enlarge(lr, model, temperature=np.float32(1), seed=np.int64(3)), wanted)
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(enlarge(lr, model, temperature=1, seed=3), wanted)
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(enlarge(lr, model, temperature=1, seed=3), wanted)
        np.testing.assert_array_equal(enlarge(lr, sr.load_model("4x-D"), temperature=1, seed=3), wanted)
    finally:
        torch.set_default_dtype(torch.float32)
