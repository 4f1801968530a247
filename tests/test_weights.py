"""Weights files: what they keep, what they cost, and what is said of files that do not fit."""

import hashlib
import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

import srvae_core as sr
from srvae import csvfiles, metrics
from srvae.training import weights
from srvae.training.weights import save_model


def test_shipped_files_are_small_and_hold_no_pickle():
    names = sr.available_models()
    assert {"4x-D", "8x-D"} <= set(names) <= {"4x-D", "4x-P", "8x-D", "8x-P"}
    assert sr.available_models(4) + sr.available_models(8) == names
    assert sr.available_models(2) == []
    files = [f for f in sr.WEIGHTS.iterdir() if f.is_file()]
    assert {f.suffix for f in files} <= {".safetensors", ".md", ".csv"}
    sizes = [f.stat().st_size for f in files]
    assert max(sizes) < 48e6
    assert sum(sizes) < 96e6
    for file in (sr.weights_path(name) for name in names):  # an 8-byte length, then JSON: no code can hide in it
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        assert json.loads(header["__metadata__"]["format"]) == sr.FORMAT


def storage_step(layer: sr.Layer, weight: torch.Tensor) -> torch.Tensor:
    """The distance between two values that a file can hold of a layer's weight; ip4 to ip6 have theirs by row."""
    if layer.name == "generator1":
        return weight.abs() * 2**-10 + 2**-24
    if layer.kind == "fc":
        return weight.abs().topk(2, dim=1).values[:, 1:] / 127  # the largest of each row is stored apart
    outputs = 1 if layer.kind == "deconv" else 0
    return weight.abs().amax([axis for axis in range(4) if axis != outputs], keepdim=True) / 127


def full_precision(model: sr.SRVAE) -> sr.SRVAE:
    """A float32 model of the release's layout whose compact form is, but for rounding, the given one.

    Each weight lies anywhere within half a storage step of the shipped one: what training may have left there.
    """
    torch.manual_seed(0)
    state = model.state_dict()
    for layer in model.layers:
        if layer.kind != "prelu":
            t = state[f"{layer.name}.weight"]
            state[f"{layer.name}.weight"] = t + (torch.rand(t.shape) - 0.5) * storage_step(layer, t)
    q, grid = model.generator1.q, state["generator1.weight"].unflatten(1, (3, model.generator1.q.shape[1], -1))
    full = sr.SRVAE(model.scale, residual=model.residual)
    full.load_state_dict(state | {"generator1.weight": (q @ grid @ q.T).flatten(1)})
    return full.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", sr.available_models())
def test_compact_storage_costs_at_most_a_hundredth_of_a_db(name, shipped, crops, tmp_path):
    """On average over the photographs: on a single one, rounding may win or lose a little more."""
    scale, costs = int(name[0]), []
    full = full_precision(shipped(name))
    save_model(full, tmp_path / "compact.safetensors")
    models = full, sr.load_model(tmp_path / "compact.safetensors")
    assert (tmp_path / "compact.safetensors").stat().st_size < 0.1 * 4 * sum(p.numel() for p in full.parameters())
    for hr in (crop[64:192, 64:192] for crop in crops.values()):
        lr = sr.downscale(hr, scale)
        (a, b), (c, d) = ([sr.super_resolve(lr, m, temperature=t, as_float=True) for m in models] for t in (0.0, 1.0))
        scores = [metrics.psnr_y(y, hr, scale) for y in (a, b, c, d)]
        costs.append((scores[0] - scores[1], scores[2] - scores[3], 255 * np.abs(a - b).mean()))
        assert np.abs(c - d).mean() < 0.15 * np.abs(c - a).mean(), "a sample stays the same sample"
    at_zero, of_samples, levels = np.mean(costs, axis=0)
    print(f"{name}: {at_zero:+.4f} dB at z = 0, {of_samples:+.4f} dB of samples, {levels:.3f} grey levels at z = 0")
    assert abs(at_zero) <= 0.01
    assert of_samples <= 0.01
    assert 0 < levels < 0.2


@pytest.mark.parametrize(("scale", "residual"), [(4, True), (8, False)])
def test_a_round_trip_rounds_once(scale, residual, tmp_path):
    """To int8 steps, float16 and rank 16; but for the rank, saving what was loaded changes no more."""
    torch.manual_seed(scale)
    model, files = sr.SRVAE(scale, residual=residual, grid_generator=True), [tmp_path / "a", tmp_path / "b"]
    save_model(model, files[0], variant="D", note="ÄÖ\n")
    before = torch.get_rng_state()
    once = sr.load_model(files[0])
    assert torch.equal(torch.get_rng_state(), before), "loading draws no random numbers"
    assert (once.scale, once.residual, once.training) == (scale, residual, False)
    assert not any(p.requires_grad for p in once.parameters())
    save_model(once, files[1])
    twice = sr.load_model(files[1]).state_dict()
    for layer in model.layers:
        a, b = (m.get_submodule(layer.name) for m in (model, once))
        if layer.kind == "prelu":
            assert torch.equal(a.weight, b.weight), layer.name
            continue
        assert torch.equal(a.bias, b.bias), layer.name
        if layer.name not in weights.LOW_RANK:
            assert ((a.weight - b.weight).abs() <= 0.51 * storage_step(layer, a.weight)).all(), layer.name
            torch.testing.assert_close(twice[f"{layer.name}.weight"], b.weight, rtol=1e-6, atol=0)
            continue
        at = a.weight.abs().argmax(1, keepdim=True)
        left, right = weights.factors(a.weight.scatter(1, at, 0.0), 16)
        wanted = (left @ right).scatter(1, at, a.weight.gather(1, at))
        torch.testing.assert_close(b.weight.gather(1, at), wanted.gather(1, at), rtol=0, atol=0)
        torch.testing.assert_close(b.weight, wanted, rtol=0, atol=2**-10 * (left.abs() @ right.abs()).max().item())
    tensors, notes = sr.read_weights(files[0])
    assert {t.dtype for t in tensors.values()} == {torch.int8, torch.int32, torch.float16, torch.float32}
    assert {"format": sr.FORMAT, "scale": scale, "rank": 16, "variant": "D", "note": "ÄÖ\n"}.items() <= notes.items()


def test_the_releases_layout_comes_back_on_the_grid_without_its_encoder(tmp_path):
    with torch.device("meta"):
        model = sr.SRVAE(4, encoder=True)
    model.to_empty(device="cpu")  # the encoder's 149 million numbers need not be drawn
    model.load_state_dict(sr.SRVAE(4).state_dict(), strict=False)
    save_model(model, tmp_path / "m.safetensors", rank=4)
    loaded = sr.load_model(tmp_path / "m.safetensors")
    assert loaded.grid_generator
    assert not loaded.has_encoder
    up = sr.bicubic(torch.rand(2, 3, 36, 36), 4, up=True)[..., 8:-8, 8:-8]
    wanted, got = (m.generator1(x).detach() for m, x in ((model, up.flatten(1)), (loaded, up)))
    torch.testing.assert_close(got, wanted, rtol=0, atol=2**-10 * wanted.abs().max().item())


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


def test_a_models_own_temperature(random_model, crops, tmp_path):
    """What a file says its answers are drawn at is what `super_resolve` does without being told."""
    path, lr = tmp_path / "m.safetensors", sr.downscale(crops["chelsea"][:64, :64], 4)
    save_model(random_model(4), path, rank=4, temperature=0.5)
    model = sr.load_model(path)
    own = sr.super_resolve(lr, model, seed=3)
    assert np.array_equal(own, sr.super_resolve(lr, model, seed=3, temperature=0.5))
    assert not np.array_equal(own, sr.super_resolve(lr, model, seed=3, temperature=0.0))
    save_model(random_model(4), path, rank=4)
    assert sr.load_model(path).temperature == 0


def test_a_name_of_no_model(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"there is no model '4x-Q': shipped are 4x-D, .*8x-D"):
        sr.load_model("4x-Q")
    with pytest.raises(FileNotFoundError, match=r"there is no model 'nowhere/model\.safetensors'"):
        sr.load_model("nowhere/model.safetensors")
    monkeypatch.setattr(sr, "WEIGHTS", tmp_path)  # as where the package was installed by copy
    with pytest.raises(FileNotFoundError, match=r"holds no weights; install with `pip install --editable \.` from a"):
        sr.load_model("4x-D")


def test_a_folder_with_a_models_name_is_not_meant(tmp_path, monkeypatch):
    """`srvae enlarge photo.png --to 4x-D` makes one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "4x-D").mkdir()
    assert sr.load_model("4x-D").scale == 4
    file = sr.WEIGHTS / "SR_VAE_4x-D.safetensors"
    assert sr.weights_path("4x-D") == file
    assert csvfiles.weights_version("4x-D") == hashlib.sha256(file.read_bytes()).hexdigest()[:8]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A sound file of an 8x model: what the tests below spoil."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "good.safetensors"
    save_model(sr.SRVAE(8, grid_generator=True), path, rank=4)
    return path


def test_files_of_something_else(good, tmp_path):
    data, path = good.read_bytes(), tmp_path / "odd.safetensors"
    torch.save({"weight": torch.ones(3)}, tmp_path / "pickle")
    unreadable = [*(data[: int(part * len(data))] for part in (0, 0.0001, 0.5, 0.999)), b"\x89PNG"]
    unreadable.append((tmp_path / "pickle").read_bytes())
    notes = [None, {"format": "pt"}, {"format": "3"}, {"format": '"srvae-1"'}]  # the last is version 0.1's
    notes.append({"format": f'"{sr.FORMAT}"', "scale": "2", "broken": "{"})
    wanted = [(content, "is not a readable weights file, or is cut short") for content in unreadable]
    wanted += [(save({"a": torch.ones(2)}, each), "is not an SR-VAE weights file of format") for each in notes]
    for content, message in wanted:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{re.escape(str(path))} {message}"):
            sr.load_model(path)
    assert sr.read_weights(path)[1] == {"format": sr.FORMAT, "scale": 2}, "what is not JSON is passed over"


DAMAGES = {
    "missing": (lambda t: t.pop("feat2_1.bias"), "does not fit the 8x SR-VAE: .*Missing.*feat2_1.bias"),
    "unknown": (lambda t: t.update(feat9=torch.ones(2)), "does not fit the 8x SR-VAE: .*Unexpected.*feat9"),
    "misshapen": (lambda t: t.update({"ip4.bias": torch.ones(3)}), "does not fit the 8x SR-VAE: .*ip4.bias"),
    "integers": (lambda t: t.pop("generator2.scale"), "not finite numbers in .*generator2.weight"),
    "NaN": (lambda t: t["SR_res.scale"].view(-1)[1:2].fill_(torch.nan), "not finite numbers in SR_res.weight"),
    "infinite": (lambda t: t["ip6.left"][:1].fill_(torch.inf), "not finite numbers in ip6.weight"),
    "no int8": (lambda t: t.pop("feat1_2.weight"), "the parts of feat1_2.weight do not fit together"),
    "no factor": (lambda t: t.pop("ip5.right"), "the parts of ip5.weight do not fit together"),
    "no peak": (lambda t: t.pop("ip5.peak"), "the parts of ip5.weight do not fit together"),
    "peak outside": (lambda t: t["ip5.peak_at"][:1].fill_(9999), "the parts of ip5.weight do not fit together"),
    "peaks too few": (lambda t: t.update({"ip5.peak": t["ip5.peak"][:9]}), "the parts of ip5.weight do not fit"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_tensors_that_do_not_fit(good, tmp_path, name):
    change, message = DAMAGES[name]
    tensors, notes = sr.read_weights(good)
    change(tensors)
    tensors = {key: t.contiguous() for key, t in tensors.items()}
    save_file(tensors, tmp_path / "bad.safetensors", {key: json.dumps(value) for key, value in notes.items()})
    with pytest.raises(ValueError, match=rf"(?s)bad\.safetensors.*{message}"):
        sr.load_model(tmp_path / "bad.safetensors")


REFUSED = {
    "SR_VAE_4x-D.safetensors cannot have the base 4x-D: a base is another 4x model": {"base": "4x-D"},
    "cannot have the base 4x-P: a base is another 4x model of rank 16, without a base itself": {"base": "4x-P"},
    "cannot have the base 8x-D: a base is another 4x model": {"base": "8x-D"},
    "and temperature a number of at least 0 (-3.0)": {"temperature": -3.0},
    "and temperature a number of at least 0 (nan)": {"temperature": float("nan")},
    "rank must be at least 1 (0)": {"rank": 0},
    "the base 4x-Q is not beside": {"base": "4x-Q"},
    "ip4.weight has values that are not finite": {},
}


def test_what_could_not_be_loaded_replaces_no_file(tmp_path):
    for name in ("4x-D", "4x-P", "8x-D"):
        (tmp_path / f"SR_VAE_{name}.safetensors").write_bytes(sr.weights_path(name).read_bytes())
    path = tmp_path / "SR_VAE_4x-D.safetensors"
    before, model = path.read_bytes(), sr.load_model(path)
    for message, options in REFUSED.items():
        if not options:
            model.ip4.weight[3, 5] = torch.nan
        with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
            save_model(model, path, **options)
        assert path.read_bytes() == before
    assert sr.load_model(tmp_path / "SR_VAE_4x-P.safetensors").temperature > 0


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
        save_model(random_model(8), path, rank=4)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    assert path.read_bytes() == b"the old file"
