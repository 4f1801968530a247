"""Runs of the decoder alone, on codes that are computed once."""

import numpy as np
import pytest
import torch

import srvae_core as sr
from helpers import assert_same, quick
from srvae.training.codes import photograph_codes
from srvae.training.patches import Patches
from srvae.training.photographs import load_photographs
from srvae.training.train import Run, train

PRIOR = {"stage": "prior", "train": "decoder", "batch": 2}


@pytest.fixture(scope="module")
def loaded(photograph_folder):
    return load_photographs(photograph_folder, 4)


def test_codes_are_the_samplers(loaded, shipped, tmp_path):
    net, file = shipped("4x-D"), tmp_path / "codes.f16"
    codes, begin = photograph_codes(net, loaded, file), 0
    for lr in loaded.lr:
        sampler = sr.Sampler(net, lr)
        wanted = sampler.encoded(sampler.rect)[0][0].permute(1, 2, 0).half()
        assert torch.equal(codes[begin : begin + lr.shape[0] * lr.shape[1]].view_as(wanted), wanted)
        begin += lr.shape[0] * lr.shape[1]
    assert begin == len(codes)
    with pytest.raises(ValueError, match=r"codes\.f16 .* remove it"):
        photograph_codes(net, loaded.held_out, file)


def test_a_batch_has_the_codes_of_its_patches(loaded):
    """Each code holds its own row, column and photograph; patches are not turned."""
    codes = []
    for i, lr in enumerate(loaded.lr):
        y, x = np.mgrid[: lr.shape[0], : lr.shape[1]]
        codes.append(np.stack([np.full_like(y, i), y, x], -1).reshape(-1, 3))
    cut = Patches(loaded, 6, seed=2, codes=torch.from_numpy(np.concatenate(codes)).half())
    batch = cut(0)
    for code, hr, up in zip(batch["code"], batch["hr"], batch["up"], strict=True):
        i, y, x = (int(n) for n in code[:, 0, 0])
        assert torch.equal(code[1:, 31, 31], torch.tensor([y + 31.0, x + 31.0]))
        window = (slice(4 * y, 4 * y + 128), slice(4 * x, 4 * x + 128))
        for picture, t in ((loaded.hr[i], hr), (sr.enlarge(loaded.lr[i], 4), up)):
            assert np.array_equal(picture[window], (t * 255).round().permute(1, 2, 0).numpy())


@pytest.mark.parametrize("stage", ["answer", "prior", "adversarial"])
def test_gradients_reach_the_decoder_alone(loaded, photograph_folder, tmp_path, stage):
    options = PRIOR | {"stage": stage, "initial": str(sr.weights_path("4x-D"))}
    run = Run(quick(photograph_folder, tmp_path, **options))
    run.load_data(loaded)
    before = {name: p.detach().clone() for name, p in run.net.named_parameters()}
    batch = run.patches(0)
    plain = run.objective({"up": batch["up"], "hr": batch["hr"]} | run.objective.draw(0))
    run.train_step(batch)
    term = next(iter(plain))
    assert float(run.sums[term]) == pytest.approx(float(plain[term].detach()), rel=0.05)  # a code sees more
    kept = ("feat", "input", "ip", "generator", *(["decoder1.weight"] if stage == "answer" else []))
    for name, p in run.net.named_parameters():
        assert torch.equal(p, before[name]) == name.startswith(kept), name


@pytest.mark.parametrize("stage", ["prior", "adversarial"])
def test_a_resumed_run_reads_its_codes_and_ends_bit_for_bit(photograph_folder, tmp_path, monkeypatch, stage):
    options = PRIOR | {"stage": stage, "initial": str(sr.weights_path("4x-D")), "validations": 2}
    train(quick(photograph_folder, tmp_path / "whole", **options))
    train(quick(photograph_folder, tmp_path / "halves", **options, stop=0.5))
    with monkeypatch.context() as patch:
        patch.setattr(sr, "Sampler", None)  # it would compute them
        train(quick(photograph_folder, tmp_path / "halves", **options))
    assert_same(tmp_path / "whole", tmp_path / "halves")


def test_a_new_run_computes_its_own_codes(loaded, photograph_folder, shipped, random_model, tmp_path):
    photograph_codes(random_model(4), loaded.for_training, tmp_path / "codes.f16")  # of a run that was killed
    run = Run(quick(photograph_folder, tmp_path, **PRIOR, initial=str(sr.weights_path("4x-D"))))
    run.load_data(loaded)
    own = photograph_codes(shipped("4x-D"), loaded.for_training, tmp_path / "own.f16")
    torch.testing.assert_close(run.patches.codes, own, rtol=2e-3, atol=1e-3)
