"""Muon, Adam and the learning rate."""

import pytest
import torch

import srvae_core as sr
from helpers import quick
from srvae.training.optimiser import Muon, build_optimisers, learning_rate, set_learning_rate


@pytest.mark.parametrize("shape", [(64, 288), (288, 64)])
def test_muon_moves_as_torchs_muon(shape):
    """Three steps from the same start; torch's iteration runs in bfloat16, which has 8 bits."""
    torch.manual_seed(0)
    mine, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    reference = torch.optim.Muon([theirs], 1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    optimisers = [Muon([mine], 1e-2), reference]
    for _ in range(3):
        mine.grad = torch.randn(shape)
        theirs.grad = mine.grad.clone()
        for optimiser in optimisers:
            optimiser.step()
    assert (mine - theirs).norm() < 0.02 * (theirs - 1).norm()


@pytest.mark.parametrize("shape", [(64, 288), (288, 64), (3, 32, 128)])
def test_both_iterations_set_singular_values_to_about_one(shape):
    """A GPU's, on the matrix in bfloat16, and a CPU's, on the Gram matrix in float32."""
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    wide = matrix if shape[-1] > shape[-2] else matrix.mT
    unit = wide / wide.norm(dim=(-2, -1), keepdim=True)
    on_cpu = Muon.orthogonal(wide)
    on_gpu = Muon.iterate(unit.view(-1, *unit.shape[-2:]).bfloat16()).float().view_as(unit)
    for found in (on_cpu, on_gpu):
        assert torch.linalg.svdvals(found).sub(1).abs().max() < 0.35
    assert (on_gpu - on_cpu).norm() < 2**-4 * on_cpu.norm()  # five steps, each rounded to 8 bits
    if wide is not matrix:
        torch.testing.assert_close(Muon.orthogonal(matrix), on_cpu.mT)


def groups(**options):
    """The group of each parameter by the optimiser's name and its own."""
    with torch.device("meta"):  # no weights are drawn
        parameters = dict(sr.SRVAE(4, encoder=True, grid_generator=True).named_parameters())
    names = {p: name for name, p in parameters.items()}
    optimisers = build_optimisers(parameters, quick("d", "r", **options))
    return {type(o).__name__: {names[p]: g for g in o.param_groups for p in g["params"]} for o in optimisers}


def test_muon_moves_kernels_between_features_and_adam_the_rest():
    found = groups(lr=1.0, stage="prior")
    muon, adam = found["Muon"], found["Adam"]
    assert {name.split(".")[0] for name in muon} >= {"feat1_2", "encoder1", "conv1_SR_s1", "decoder1"}
    assert not [name for name in muon if name.startswith(("feat1_1", "SR_res")) or name.endswith("bias")]
    rates = {"SR_res.weight": 0.3, "generator2.weight": 0.06, "ip5.bias": 0.009}
    assert {name: adam[name]["lr"] for name in rates} == pytest.approx(rates)


def test_the_releases_adam_has_its_decay_and_bias_rates():
    found = groups(optimiser="adam", lr=1e-4)
    assert found.keys() == {"Adam"}
    for name, group in found["Adam"].items():
        fc_bias = name.startswith(("ip", "generator")) and name.endswith("bias")
        assert (group["lr"], group["weight_decay"]) == ((2e-4, 0.0) if fc_bias else (1e-4, 1e-4)), name


def test_the_learning_rate_rises_stays_and_falls_to_0():
    config = quick("d", "r", warmup=2, decay=0.5)
    rates = [learning_rate(config, step, step / 10) for step in range(11)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0])
    assert learning_rate(quick("d", "r", decay=0.0), 100, 0.9) == 1
    optimiser = torch.optim.Adam([{"params": [torch.zeros(1)], "lr": rate, "peak": rate} for rate in (0.3, 0.06)])
    for share in (0.5, 0.25):
        set_learning_rate([optimiser], share)
        assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([share * 0.3, share * 0.06])


def test_relative_rates_follow_the_spread_of_a_parameters_values(random_model):
    parameters = dict(random_model(4).named_parameters())
    (adam,) = build_optimisers(parameters, quick("d", "r", optimiser="relative", lr=0.01))
    rates = {id(group["params"][0]): group["peak"] for group in adam.param_groups}
    for name in ("decoder1.weight", "SR_res.weight", "conv1_SR_s1.bias"):
        assert rates[id(parameters[name])] == pytest.approx(0.01 * float(parameters[name].std())), name
    slope = parameters["relu1_SR_s1.weight"]
    assert rates[id(slope)] == pytest.approx(0.01 * abs(float(slope))), "one number has no spread"
