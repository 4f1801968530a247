"""Weights files: what they keep, the error of compact storage, and files that are refused."""

import json

import pytest
import torch
from safetensors.torch import save_file

import srvae_core as sr
from srvae.training import weights
from srvae.training.weights import save_model


def storage_step(layer: sr.Layer, weight: torch.Tensor) -> torch.Tensor:
    """The distance between two values that a file can hold of a layer's weight; ip4 to ip6 have theirs by row."""
    if layer.name == "generator1":
        return weight.abs() * 2**-10 + 2**-24
    if layer.kind == "fc":
        return weight.abs().topk(2, dim=1).values[:, 1:] / 127  # the largest of each row is stored apart
    outputs = 1 if layer.kind == "deconv" else 0
    return weight.abs().amax([axis for axis in range(4) if axis != outputs], keepdim=True) / 127


@pytest.mark.parametrize(("scale", "residual"), [(4, True), (8, False)])
def test_a_round_trip_rounds_once(scale, residual, tmp_path):
    """To int8, float16 and rank 16; saving what was loaded changes nothing but the part of low rank."""
    torch.manual_seed(scale)
    model, files = sr.SRVAE(scale, residual=residual, grid_generator=True), [tmp_path / "a", tmp_path / "b"]
    save_model(model, files[0], variant="D", note="ÄÖ\n")
    before = torch.get_rng_state()
    once = sr.load_model(files[0])
    save_model(once, files[1])
    assert torch.equal(torch.get_rng_state(), before), "no random numbers are used up"
    assert (once.scale, once.residual, once.training) == (scale, residual, False)
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
    notes = sr.read_weights(files[0])[1]
    assert {"format": sr.FORMAT, "scale": scale, "rank": 16, "variant": "D", "note": "ÄÖ\n"}.items() <= notes.items()


DAMAGES = {
    "does not fit the 8x SR-VAE: .*Missing.*feat2_1.bias": lambda t: t.pop("feat2_1.bias"),
    "not finite numbers in SR_res.weight": lambda t: t["SR_res.scale"].view(-1)[1:2].fill_(torch.nan),
    "the parts of ip5.weight do not fit together": lambda t: t["ip5.peak_at"][:1].fill_(9999),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_tensors_that_do_not_fit_are_named(tmp_path, message):
    save_model(sr.SRVAE(8, grid_generator=True), tmp_path / "good.safetensors", rank=4)
    tensors, notes = sr.read_weights(tmp_path / "good.safetensors")
    DAMAGES[message](tensors)
    save_file(tensors, tmp_path / "bad.safetensors", {key: json.dumps(value) for key, value in notes.items()})
    with pytest.raises(ValueError, match=rf"(?s)bad\.safetensors.*{message}"):
        sr.load_model(tmp_path / "bad.safetensors")


@pytest.fixture
def folder(tmp_path):
    for name in ("4x-D", "4x-P", "8x-D"):
        (tmp_path / f"SR_VAE_{name}.safetensors").write_bytes(sr.weights_path(name).read_bytes())
    return tmp_path


def test_a_base_that_does_not_fit_is_refused(folder):
    model, path = sr.load_model("4x-D"), folder / "SR_VAE_4x-E.safetensors"
    for options in ({"base": "4x-P"}, {"base": "8x-D"}, {"base": "4x-D", "rank": 5}):
        with pytest.raises(
            ValueError, match=f"{options['base']}.safetensors cannot be a base: it must be another file of scale 4"
        ):
            save_model(model, path, **options)
    with pytest.raises((FileNotFoundError, ValueError), match="4x-Q"):
        save_model(model, path, base="4x-Q")
    model.ip4.weight[3, 5] = torch.nan
    with pytest.raises(ValueError, match=r"ip4\.weight has values that are not finite"):
        save_model(model, path)
    assert not path.exists()


def test_a_base_that_changes_is_noticed(folder):
    base = folder / "SR_VAE_4x-D.safetensors"
    assert sr.load_model(folder / "SR_VAE_4x-P.safetensors").temperature > 0
    base.write_bytes((folder / "SR_VAE_8x-D.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"holds only what differs from 4x-D, and .* has changed since"):
        sr.load_model(folder / "SR_VAE_4x-P.safetensors")


def test_a_model_is_not_its_own_base(folder):
    path = folder / "SR_VAE_4x-D.safetensors"
    with pytest.raises(ValueError, match="cannot be a base"):
        save_model(sr.load_model(path), path, base="4x-D")
