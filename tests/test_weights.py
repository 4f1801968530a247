"""Weights files of our own: what they keep, what they cost, and what is said of files that do not fit."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import srvae_core as sr
from srvae import metrics
from srvae.training import weights
from srvae.training.weights import save_model

MB = 10**6


def test_something_is_shipped_for_each_scale():
    names = sr.available_models()
    assert {"4x-D", "8x-D"} <= set(names) <= {"4x-D", "4x-P", "8x-D", "8x-P"}


def test_file_limits_and_nothing_pickled():
    files = [f for f in sr.WEIGHTS.iterdir() if f.is_file()]
    assert {f.suffix for f in files} <= {".safetensors", ".md", ".csv"}
    sizes = [f.stat().st_size for f in files]
    assert max(sizes) < 48 * MB
    assert sum(sizes) < 96 * MB
    for f in files:
        if f.suffix == ".safetensors":  # an 8-byte length, then a JSON header: no code can hide in it
            with f.open("rb") as stream:
                header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
            assert json.loads(header["__metadata__"]["format"]) in sr.FORMATS


def test_a_pickle_is_refused(tmp_path):
    for name in ("model.safetensors", "model.pt"):
        torch.save({"weight": torch.ones(3)}, tmp_path / name)
        with pytest.raises(ValueError, match=name):
            sr.load_model(tmp_path / name)


def full_precision(model: sr.SRVAE) -> sr.SRVAE:
    """A float32 model of the release's layout whose compact form is, but for rounding, the given one.

    Each weight lies anywhere within half a storage step of the shipped one: what training may have left there.
    """
    torch.manual_seed(0)
    full = sr.SRVAE(model.scale, residual=model.residual)
    state = {}
    for name, t in model.state_dict().items():
        layer = next(row for row in model.layers if row.name == name.split(".")[0])
        dither = torch.rand(t.shape) - 0.5
        if layer.kind == "fc" and layer.name != "generator1" and name.endswith("weight"):
            step = t.abs().topk(2, dim=1).values[:, 1:] / 127  # the largest of each row is stored apart
            t = t + dither * step
        elif layer.kind != "prelu" and name.endswith("weight"):
            t = t * (1 + dither * 2**-10)  # float16 keeps 11 bits
        if name == "generator1.weight":
            q = model.generator1.q
            t = (q @ t.unflatten(1, (3, q.shape[1], q.shape[1])) @ q.T).flatten(1)
        state[name] = t
    full.load_state_dict(state)
    return full.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", sr.available_models())
def test_compact_storage_costs_at_most_a_hundredth_of_a_db(name, shipped, crops, tmp_path):
    scale = sr.ModelName.of(name).scale
    full = full_precision(shipped(name))
    save_model(full, tmp_path / "compact.safetensors")
    compact = sr.load_model(tmp_path / "compact.safetensors")
    assert (tmp_path / "compact.safetensors").stat().st_size < 0.3 * 4 * sum(p.numel() for p in full.parameters())
    changed = 0
    for photograph in ("astronaut", "coffee"):
        hr = crops[photograph][64:192, 64:192]
        lr = sr.downscale(hr, scale)
        for temperature in (0.0, 1.0):
            a, b = (sr.super_resolve(lr, m, temperature=temperature, as_float=True) for m in (full, compact))
            cost = metrics.psnr_y(a, hr, scale) - metrics.psnr_y(b, hr, scale)
            assert abs(cost) <= 0.01, (photograph, temperature)
            changed += not np.array_equal(a, b)
    assert changed, "the two models must differ for this to be a test"


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("scale", [4, 8])
def test_round_trip_full(scale, residual, tmp_path):
    torch.manual_seed(scale)
    model = sr.SRVAE(scale, residual=residual, grid_generator=True)
    save_model(model, tmp_path / "m.safetensors", compact=False)
    loaded = sr.load_model(tmp_path / "m.safetensors", scale=scale)
    assert (loaded.scale, loaded.residual, loaded.training) == (scale, residual, False)
    assert not any(p.requires_grad for p in loaded.parameters())
    for (name, a), (_, b) in zip(model.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


def test_round_trip_of_the_releases_layout(tmp_path):
    """49,152 columns stay 49,152 unless compact; the encoder is left out."""
    model = sr.SRVAE(4, encoder=True)
    save_model(model, tmp_path / "m.safetensors", compact=False)
    loaded = sr.load_model(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").unlink()  # 172 MB
    assert not loaded.grid_generator
    assert not loaded.has_encoder
    for name, t in loaded.state_dict().items():
        assert torch.equal(t, model.get_parameter(name)), name


def test_round_trip_compact(random_model, tmp_path):
    """Compact rounds once: int8 steps of a row's second largest weight, float16; saving again changes nothing."""
    model = random_model(8)
    save_model(model, tmp_path / "a.safetensors", variant="D", note="ÄÖ\n")
    once = sr.load_model(tmp_path / "a.safetensors")
    for layer in model.layers:
        a, b = (m.get_submodule(layer.name).weight for m in (model, once))
        eight_bit = layer.kind == "fc" and layer.name != "generator1"
        step = a.abs().topk(2, dim=1).values[:, 1:] / 127 if eight_bit else a.abs() * 2**-10
        if layer.kind != "prelu":
            assert ((a - b).abs() <= 0.51 * step + 2**-24).all(), layer.name
    save_model(once, tmp_path / "b.safetensors")
    twice = sr.load_model(tmp_path / "b.safetensors")
    for name, t in once.state_dict().items():
        torch.testing.assert_close(t, twice.state_dict()[name], rtol=1e-6, atol=0)
    types = {str(t.dtype) for t in load_file(tmp_path / "a.safetensors").values()}
    assert types == {"torch.int8", "torch.int32", "torch.float16", "torch.float32"}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A sound file, its tensors and metadata: what the tests below spoil."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "good.safetensors"
    save_model(sr.SRVAE(8, grid_generator=True), path)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    return path, load_file(path), json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]


def test_factors_are_the_nearest_product_of_their_rank():
    torch.manual_seed(1)
    matrix = torch.randn(40, 5) @ torch.randn(5, 30) + 0.01 * torch.randn(40, 30)
    before = torch.get_rng_state()
    left, right = weights.factors(matrix, 5)
    assert torch.equal(torch.get_rng_state(), before)
    u, s, v = torch.linalg.svd(matrix)
    nearest = (u[:, :5] * s[:5]) @ v[:5]
    torch.testing.assert_close(left @ right, nearest, rtol=0, atol=1e-3 * nearest.abs().max().item())
    assert all(torch.equal(a, b) for a, b in zip((left, right), weights.factors(matrix, 5), strict=True))


@pytest.mark.parametrize("name", ["4x-D", "8x-D"])
def test_small_files_hold_nearly_the_same_model(name, shipped, crops, tmp_path):
    """A rest of rank 16 and int8 convolutions: a third of the size, hardly another picture."""
    model = shipped(name)
    for file, rank in (("whole", None), ("small", 16)):
        save_model(model, tmp_path / f"{file}.safetensors", rank=rank)
    sizes = [(tmp_path / f"{file}.safetensors").stat().st_size for file in ("whole", "small")]
    assert sizes[1] < 0.42 * sizes[0]
    assert [sr.read_notes(tmp_path / f"{f}.safetensors")["format"] for f in ("whole", "small")] == list(sr.FORMATS)
    small = sr.load_model(tmp_path / "small.safetensors")
    hr = crops["astronaut"][64:192, 64:192]
    lr = sr.downscale(hr, model.scale)
    whole, less = ([sr.super_resolve(lr, m, temperature=t) for t in (0.0, 1.0)] for m in (model, small))
    assert abs(metrics.psnr_y(whole[0], hr, 4) - metrics.psnr_y(less[0], hr, 4)) < 0.01
    spread = np.abs(whole[1].astype(int) - whole[0]).mean()
    assert np.abs(whole[0].astype(int) - less[0]).mean() < 0.2, "of a grey level, at z = 0"
    assert np.abs(whole[1].astype(int) - less[1]).mean() < 0.15 * spread, "a sample stays the same sample"


def test_a_damaged_small_file(random_model, tmp_path):
    path = tmp_path / "small.safetensors"
    save_model(random_model(8), path, rank=4)
    tensors, notes = sr.read_weights(path)
    changes = [{"ip5.left": tensors["ip5.left"][:, :3]}, {"ip5.right": None}, {"feat1_2.scale": torch.ones(3)}]
    changes += [
        {"feat1_2.scale": None},
        {"feat2_1.scale": torch.ones(1, 1, 1, 1)},
        {"ip4.peak_at": tensors["ip4.peak_at"][:9]},
    ]
    for change in changes:
        changed = {k: t for k, t in (tensors | change).items() if t is not None}
        layer = next(iter(change)).split(".")[0]
        save_file({k: t.contiguous() for k, t in changed.items()}, path, {k: json.dumps(v) for k, v in notes.items()})
        with pytest.raises(ValueError, match=rf"small\.safetensors: the parts of {layer}\.weight do not fit together"):
            sr.load_model(path)


def test_unknown_name_lists_the_shipped():
    with pytest.raises(FileNotFoundError, match=r"no model '4x-Q'.*4x-D.*8x-D"):
        sr.load_model("4x-Q")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        sr.load_model("nowhere/model.safetensors")


def test_a_folder_that_is_called_like_a_model_is_not_meant(tmp_path, monkeypatch):
    """`srvae enlarge photo.png --to 4x-D` makes one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "4x-D").mkdir()
    assert sr.load_model("4x-D").scale == 4
    assert sr.weights_version("4x-D") == sr.weights_version(sr.WEIGHTS / "SR_VAE_4x-D.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "4x-D"}, r"SR_VAE_4x-D\.safetensors cannot rest on 4x-D: a base holds all of its weights itself"),
        ({"base": "4x-P"}, "cannot rest on 4x-P: a base holds all"),
        ({"base": "8x-D"}, "cannot rest on 8x-D, which is not of the scale 4"),
        ({"temperature": -3.0}, "asks for the temperature -3.0"),
        ({"temperature": float("nan")}, "asks for the temperature nan"),
        ({"rank": 0}, "rank must be at least 1, not 0"),
    ],
)
def test_a_file_that_could_not_be_loaded_takes_the_place_of_none(options, message, tmp_path):
    for name in ("4x-D", "4x-P", "8x-D"):
        (tmp_path / f"SR_VAE_{name}.safetensors").write_bytes((sr.WEIGHTS / f"SR_VAE_{name}.safetensors").read_bytes())
    path = tmp_path / "SR_VAE_4x-D.safetensors"
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        save_model(sr.load_model(path), path, **({"rank": 16} | options))
    assert path.read_bytes() == before
    assert sr.load_model(tmp_path / "SR_VAE_4x-P.safetensors").temperature > 0


def test_wrong_scale(good):
    with pytest.raises(ValueError, match="holds a 8x model, not 4x"):
        sr.load_model(good[0], scale=4)
    with pytest.raises(ValueError, match="holds a 4x model, not 8x"):
        sr.load_model("4x-D", scale=8)


@pytest.mark.parametrize("part", [0.0, 0.0001, 0.5, 0.999])
def test_truncated(good, tmp_path, part):
    data = good[0].read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: int(part * len(data))])
    with pytest.raises(ValueError, match=r"cut\.safetensors is no readable safetensors file"):
        sr.load_model(tmp_path / "cut.safetensors")


@pytest.mark.parametrize(
    "meta", [None, {"format": "pt"}, {"format": '"pt"'}, {"format": "3"}, {"format": '"srvae-1"'}, {"a": "{"}]
)
def test_foreign_safetensors(tmp_path, meta):
    save_file({"a": torch.ones(2)}, tmp_path / "other.safetensors", meta)
    with pytest.raises(ValueError, match=r"other\.safetensors is no "):
        sr.load_model(tmp_path / "other.safetensors")


def test_not_a_weights_file(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"photo\.png is no .safetensors file"):
        sr.load_model(tmp_path / "photo.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("feat2_1.bias"), "missing feat2_1.bias"),
        (lambda t: t.pop("ip5.scale"), "ip5"),
        (lambda t: t.pop("ip5.weight"), "the parts of ip5.weight do not fit together .*weight"),
        (lambda t: t.update(feat9=torch.ones(2)), "unknown feat9"),
        (lambda t: t.update({"ip4.bias": torch.ones(3)}), r"ip4.bias is \(3,\), should be \(2048,\)"),
        (lambda t: t.update({"ip4.scale": torch.ones(3)}), "ip4"),
        (lambda t: t["SR_res.weight"].view(-1)[5:6].fill_(torch.nan), "SR_res.weight has values that are not finite"),
        (lambda t: t.pop("ip5.peak"), "the parts of ip5.weight do not fit together"),
        (lambda t: t["ip5.peak_at"][:1].fill_(9999), "the parts of ip5.weight do not fit together"),
        (
            lambda t: t.update({"ip5.peak": t["ip5.peak"][:9]}),
            "parts of ip5.weight do not fit together .*9 peaks at 2048 places",
        ),
        (lambda t: t["ip6.scale"][:1].fill_(torch.inf), "ip6.weight has values that are not finite"),
    ],
    ids=[
        "missing",
        "scale missing",
        "int8 missing",
        "unknown",
        "misshapen",
        "scale misshapen",
        "NaN",
        "peak missing",
        "peak outside",
        "peaks too few",
        "infinite",
    ],
)
def test_tensors_that_do_not_fit(good, tmp_path, change, message):
    _, tensors, meta = good
    tensors = {k: t.clone() for k, t in tensors.items()}
    change(tensors)
    save_file(tensors, tmp_path / "bad.safetensors", meta)
    with pytest.raises(ValueError, match=rf"bad\.safetensors.*{message}"):
        sr.load_model(tmp_path / "bad.safetensors")


def test_a_model_with_nan_is_not_saved_over_a_good_one(tmp_path):
    """What cannot be loaded must not replace what can."""
    model = sr.SRVAE(8, grid_generator=True)
    path = tmp_path / "m.safetensors"
    save_model(model, path)
    before = path.read_bytes()
    with torch.no_grad():
        model.ip4.weight[3, 5] = torch.nan
    with pytest.raises(ValueError, match=r"ip4.weight has values that are not finite"):
        save_model(model, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("step", ["save_file", "replace"])
def test_failed_saving_leaves_nothing_half_written(random_model, tmp_path, monkeypatch, step):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"the old file")

    def fails(*arguments, **_):
        if step == "save_file":
            arguments[1].write_bytes(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(*((weights, "save_file") if step == "save_file" else ("os.replace",)), fails)
    with pytest.raises(OSError, match="disk full"):
        save_model(random_model(8), path)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    assert path.read_bytes() == b"the old file"


def test_a_models_own_temperature(random_model, crops, tmp_path):
    """What a file says its answers are drawn at is what `super_resolve` does without being told."""
    save_model(random_model(4), tmp_path / "m.safetensors", temperature=0.5)
    model = sr.load_model(tmp_path / "m.safetensors")
    lr = sr.downscale(crops["chelsea"][:64, :64], 4)
    own = sr.super_resolve(lr, model, seed=3)
    assert np.array_equal(own, sr.super_resolve(lr, model, seed=3, temperature=0.5))
    assert not np.array_equal(own, sr.super_resolve(lr, model, seed=3, temperature=0.0))
    save_model(random_model(4), tmp_path / "m.safetensors")
    assert sr.load_model(tmp_path / "m.safetensors").temperature == 0


def test_loading_draws_no_random_numbers(good):
    """What is overwritten need not be drawn; who seeded torch finds its state as it was."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    sr.load_model(good[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_what_a_file_says_of_itself(good, tmp_path):
    assert sr.read_notes(good[0]) == {k: json.loads(v) for k, v in good[2].items()}
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors", {"scale": "4", "broken": "{"})
    assert sr.read_notes(tmp_path / "a.safetensors") == {"scale": 4}
    with pytest.raises(ValueError, match="is no readable safetensors file"):
        sr.read_notes(tmp_path / "none.safetensors")


def test_names_of_models():
    assert [str(sr.ModelName(8, "P")), sr.ModelName.of("4x-D")] == ["8x-P", sr.ModelName(4, "D")]
    for wrong in ("4x", "2x-D", "x-D", "4x-", "4-D", "D-4x", "4x-D.safetensors", "/tmp/4x-D"):
        with pytest.raises(ValueError, match="is no name of a model"):
            sr.ModelName.of(wrong)
    assert sr.available_models(4) + sr.available_models(8) == sr.available_models()
    assert sr.available_models(2) == []
