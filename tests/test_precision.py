"""Precision, lazy encoding and what is given in the place of noise: what a Sampler may leave out, and what it may not.

bfloat16 is computed on every machine here, also where that takes longer, so that no machine leaves these tests out.
"""

import numpy as np
import pytest
import torch

import srvae_core as sr
from pictures import picture
from srvae import metrics
from srvae.benchmarks.answers import SETTINGS, Answers

NAMES = ("4x-D", "8x-P")  # both scales, both variants


@pytest.fixture
def bfloat16(monkeypatch):
    """A machine on which "auto" takes bfloat16."""
    monkeypatch.setattr(sr, "has_bfloat16", lambda device=None: True)


@pytest.fixture
def scene(shipped, crops, request):
    """(model, LR image of the coffee cup): 34x40 at 4x, two by two tiles; 17x20 at 8x."""
    model = shipped(getattr(request, "param", NAMES[0]))
    return model, sr.downscale(np.ascontiguousarray(crops["coffee"][:136, :160]), model.scale)


each_model = pytest.mark.parametrize("scene", NAMES, indirect=True)


# -- precision ----------------------------------------------------------------------------------------------


@each_model
def test_float32_is_the_network_written_out(scene, bfloat16):
    """Byte for byte, whatever the machine could do besides."""
    model, lr = scene
    sampler = sr.Sampler(model, lr, precision="float32")
    with torch.inference_mode():
        up = sr.network_input(sampler.pixels, model.scale, True)
        field = sr.LatentField(model, sampler.pixels, True)
        latent_map = field.map(field.z(sr.noise(3, field.tiles), 1.0))
        answer = model.reconstruct(model.input_code(model.features(up)), latent_map, up)
        wanted = sr.consistent(answer, sampler.pixels, model.scale)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(sampler(3, 1.0, as_float=True), wanted)
    options = {"temperature": 1.0, "seed": 3, "as_float": True}
    assert np.array_equal(sr.super_resolve(lr, model, precision="float32", **options), wanted)
    assert not np.array_equal(sr.super_resolve(lr, model, **options), wanted)


def test_auto_is_float32_where_bfloat16_is_not_native(scene, monkeypatch):
    model, lr = scene
    monkeypatch.setattr(sr, "has_bfloat16", lambda device=None: False)
    wanted = sr.super_resolve(lr, model, precision="float32", as_float=True)
    assert np.array_equal(sr.super_resolve(lr, model, as_float=True), wanted)


@pytest.mark.parametrize(
    ("can", "native"),
    [
        ({"avx512_bf16": True}, True),
        ({"avx512_bf16": True, "avx512_fp16": True, "amx_bf16": False}, False),
        ({"avx512_bf16": True, "avx512_fp16": True, "amx_bf16": True}, True),
        ({}, False),
    ],
)
def test_native_is_what_saves_time(monkeypatch, can, native):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)
    assert sr.has_bfloat16() is native
    assert not sr.has_bfloat16(torch.device("mps"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_auto_is_near_float32(shipped, photographs, bfloat16, name):
    """Of the same quality: 0.01 dB and 4 levels at temperature 0; of samples single values are further off."""
    model, off = shipped(name), {0.0: [], 1.0: []}
    for photograph in list(photographs.values())[:3]:
        hr = np.ascontiguousarray(photograph[:256, :256])
        lr = sr.downscale(hr, model.scale)
        for temperature, seen in off.items():
            plain, auto = (
                sr.super_resolve(lr, model, temperature=temperature, precision=p) for p in ("float32", "auto")
            )
            seen.append(metrics.psnr_y(auto, hr, model.scale) - metrics.psnr_y(plain, hr, model.scale))
            levels = np.abs(auto.astype(int) - plain)
            assert levels.max() <= (4 if temperature == 0 else 18)
            assert np.mean(levels > 2) <= 0.004
            assert metrics.lr_psnr(auto, lr, model.scale) > 45
    assert max(map(abs, off[0.0])) <= 0.01
    assert abs(np.mean(off[1.0])) <= 0.01


@each_model
def test_auto_repeats_itself(scene, bfloat16):
    """The same call gives the same bytes; blocks and regions a level more or less, in few values."""
    model, lr = scene
    wanted, s = sr.super_resolve(lr, model, temperature=1.0, seed=3), model.scale
    assert np.array_equal(sr.super_resolve(lr, model, temperature=1.0, seed=3), wanted)
    sampler = sr.Sampler(model, lr)
    sampler(4, 0.5, region=(0, 0, 5, 5))
    assert np.array_equal(sampler(3, 1.0), wanted), "with a cache too"
    assert np.abs(sampler(3, 1.0, draft=True).astype(float) - wanted).mean() < 0.5
    for part in (sampler(3, 1.0, region=(3, 5, 12, 14)), sr.Sampler(model, lr, block=20 * s)(3, 1.0)):
        same = wanted if part.shape == wanted.shape else wanted[3 * s : 15 * s, 5 * s : 19 * s]
        off = np.abs(part.astype(int) - same)
        assert off.max() <= 1
        assert np.mean(off > 0) <= 0.001


@pytest.mark.parametrize("block", [0, -1, 3, 2.5, None])
def test_blocks_that_hold_nothing_are_refused(random_model, block):
    with pytest.raises(ValueError, match=f"block must be a whole number of at least 4 pixels, not {block!r}"):
        sr.Sampler(random_model(4), np.zeros((5, 6, 3), np.uint8), block=block)
    answer = sr.Sampler(random_model(4), np.zeros((5, 6, 3), np.uint8), block=4)()
    assert answer.shape == (20, 24, 3)


@pytest.mark.parametrize("precision", ["bfloat16", "", None, 32])
def test_other_words_are_refused(random_model, precision):
    for enlarge in (sr.super_resolve, lambda lr, model, **options: sr.Sampler(model, lr, **options)):
        with pytest.raises(ValueError, match=f"precision must be one of auto, float32, not {precision!r}"):
            enlarge(picture(4, 6), random_model(4), precision=precision)


def test_scores_are_of_float32(scene, bfloat16):
    model, lr = scene
    for name in ("default", "self-ensemble"):
        options = {"self_ensemble": name == "self-ensemble", "precision": "float32"}
        answers, _ = Answers(model, lr[:20, :24])(SETTINGS[name])
        assert np.array_equal(answers[0], sr.super_resolve(lr[:20, :24], model, **options))


# -- lazy encoding ------------------------------------------------------------------------------------------


@each_model
def test_cells_are_the_whole(scene, monkeypatch):
    """Bytes depend neither on the cells nor on the order in which they are asked for."""
    model, lr = scene
    wanted = sr.Sampler(model, lr, precision="float32")
    answer, code = wanted(3, 1.0, as_float=True), wanted.code
    draft = wanted(3, 1.0, draft=True)
    monkeypatch.setattr(sr, "CELL", 15)
    for regions in (((0, 0, 3, 3),), ((12, 11, 3, 5), (2, 2, 4, 15))):
        sampler = sr.Sampler(model, lr, precision="float32")
        for region in regions:
            sampler(1, 0.5, region=region)
        assert np.array_equal(sampler(3, 1.0, as_float=True), answer)
        assert torch.equal(sampler.code, code)
        assert torch.equal(sampler.up, wanted.up)
        assert np.array_equal(sampler(3, 1.0, draft=True), draft)
    monkeypatch.setattr(sr, "ENCODER_HALO", 4)
    assert not torch.equal(sr.Sampler(model, lr, precision="float32").code, code), "the halo matters"


def test_only_what_is_asked_for_is_encoded(random_model, monkeypatch):
    monkeypatch.setattr(sr, "CELL", 32)  # they begin at 0, 16, 48 and at 0, 24, 56
    model, encoded = random_model(4), []
    features = model.features
    monkeypatch.setattr(model, "features", lambda up: encoded.append(up.shape[-1] // 4) or features(up))
    sampler = sr.Sampler(model, picture(64, 80))
    assert not encoded
    middle = (30, 38, 4, 4)
    assert not sampler.is_encoded(middle)
    sampler(1, 1.0, region=middle)
    assert encoded == [32 + 2 * sr.ENCODER_HALO], "one cell, with what reaches into it"
    assert sampler.is_encoded(middle)
    assert not sampler.is_encoded((26, 38, 4, 4)), "its halo reaches into the next"
    assert not sampler.is_encoded(sampler.rect)
    sampler.encode((15, 24, 2, 32))
    assert len(encoded) == 2
    assert sampler.code.shape == (1, 64, 64, 80)
    assert sampler.is_encoded(sampler.rect)
    assert len(encoded) == 9
    assert not sr.Sampler(model, picture(8, 8), cache=False).is_encoded((0, 0, 1, 1))


@pytest.mark.parametrize("n", [1, 31, 32, 127, 128, 129, 185, 192, 256, 400, 1067, 1600])
def test_one_cell_lies_in_the_middle(random_model, monkeypatch, n):
    sampler = sr.Sampler(random_model(4), np.zeros((1, n, 3), np.uint8))
    encoded, features = [], sampler.model.features
    monkeypatch.setattr(sampler.model, "features", lambda up: encoded.append(up.shape[-1] // 4) or features(up))
    sampler.encode((0, n // 2, 1, 1))
    assert len(encoded) == 1
    assert min(n, sr.CELL) <= encoded[0] <= 3 * sr.CELL // 2 + 2 * sr.ENCODER_HALO


def test_g_is_made_by_rows_of_tiles(random_model, monkeypatch):
    model, rows = random_model(4), []
    generator = model.generator
    monkeypatch.setattr(model, "generator", lambda up: rows.append(len(up)) or generator(up))
    lr = picture(104, 40)  # 4x2 tiles
    sampler = sr.Sampler(model, lr)
    assert not rows
    sampler(1, 1.0, region=(0, 0, 5, 5))
    assert rows == [2]
    whole = sampler(2, 1.0, as_float=True)
    assert rows == [2] * 4
    assert np.array_equal(sr.Sampler(model, lr)(2, 1.0, as_float=True), whole)
    assert sampler.field.g.shape == (8, 1024)


# -- drafts and maps ----------------------------------------------------------------------------------------


@each_model
def test_halves_add_up(scene):
    """What unit 1 makes of the code and of the latents apart is what it makes of both."""
    model, lr = scene
    with torch.inference_mode():
        up = sr.network_input(sr.to_tensor(lr), model.scale, True)
        code, latent_map = model.input_code(model.features(up)), model.latent_map(torch.randn(1, 1024) / 10)
        latent_map = latent_map.repeat(1, 1, 4, 4)[..., : lr.shape[0], : lr.shape[1]]
        wanted = model.reconstruct(code, latent_map, up)
        torch.testing.assert_close(model.reconstruct(model.half(code, sr.CODE_PART), latent_map, up), wanted)


@pytest.mark.parametrize("scale", sr.SCALES)
def test_three_steps_at_once(scale):
    """The same as one after another, away from the border; there it is nearly so."""
    lr = sr.to_tensor(picture(40, 44))
    y = torch.rand(1, 3, 40 * scale, 44 * scale)
    off = (sr.consistent_at_once(y, lr, scale) - sr.consistent(y, lr, scale)).abs()
    assert off[..., 12 * scale : -12 * scale, 12 * scale : -12 * scale].max() < 1e-5
    assert off.max() < 0.1


@each_model
@pytest.mark.parametrize("draft", [False, True])
def test_a_latent_map_takes_the_place_of_noise(scene, draft):
    model, lr = scene
    sampler, region = sr.Sampler(model, lr, precision="float32"), (8, 10, 6, 7)
    seen = sampler.seen(region, draft)
    with torch.inference_mode():
        latent_map = sampler.field.map(sampler.field.z(sr.noise(3, sampler.tiles), 1.0))
        part = sampler.field.map(sampler.field.z(sr.noise(3, sampler.tiles), 1.0), seen)
    options = {"draft": draft, "region": region, "as_float": True}
    wanted = sampler(3, 1.0, **options)
    for whole in (latent_map, part):
        np.testing.assert_allclose(sampler(latent_map=whole, **options), wanted, atol=1e-5)
    elsewhere, within = torch.full_like(latent_map, torch.nan), latent_map.clone()
    top, left, height, width = seen
    elsewhere[..., top : top + height, left : left + width] = latent_map[..., top : top + height, left : left + width]
    np.testing.assert_allclose(sampler(latent_map=elsewhere, **options), wanted, atol=1e-5)
    within[..., 9, 11] += 1
    assert np.abs(sampler(latent_map=within, **options) - wanted).max() > 1e-3


def test_a_map_of_another_shape_is_refused(random_model):
    sampler = sr.Sampler(random_model(8), picture(9, 7))
    with pytest.raises(ValueError, match=r"latent_map must be of shape \(1, 16, 9, 7\) here, not \(1, 4, 9, 7\)"):
        sampler(latent_map=torch.zeros(1, 4, 9, 7))
