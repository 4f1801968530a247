"""Muon and Adam: torch's own in other arithmetic, and who moves what."""

import pytest
import torch

import srvae_core as sr
from srvae.training.config import Config
from srvae.training.optimiser import Muon, build_optimisers, set_learning_rate


@pytest.mark.parametrize("shape", [(64, 288), (288, 64)])
def test_muon_is_torchs_in_other_arithmetic(shape):
    """Three steps of both from the same start; torch's Newton-Schulz runs in bfloat16, which has 8 bits."""
    torch.manual_seed(0)
    mine, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    optimisers = [
        Muon([mine], 1e-2),
        torch.optim.Muon([theirs], 1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    ]
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
    on_cpu = Muon.orthogonal(matrix)
    assert torch.linalg.svdvals(on_cpu).sub(1).abs().max() < 0.35
    wide = matrix if shape[-1] > shape[-2] else matrix.mT
    unit = wide / wide.norm(dim=(-2, -1), keepdim=True)
    on_gpu = Muon.iterate(unit.view(-1, *unit.shape[-2:]).bfloat16()).float().view_as(unit)
    expected = on_cpu if shape[-1] > shape[-2] else on_cpu.mT
    assert torch.linalg.svdvals(on_gpu).sub(1).abs().max() < 0.35
    assert (on_gpu - expected).norm() < 2**-4 * expected.norm()  # five steps, each rounded to 8 bits


def test_a_gradient_of_low_rank_does_no_harm():
    torch.manual_seed(0)
    matrix = torch.randn(128, 2) @ torch.randn(2, 512)
    values = torch.linalg.svdvals(Muon.orthogonal(matrix))
    assert values[:2].sub(1).abs().max() < 0.35
    assert values[2:].max() < 0.1


def test_kernels_of_one_shape_move_together_as_alone():
    torch.manual_seed(0)
    start, gradients = torch.randn(3, 8, 4, 3, 3), torch.randn(3, 8, 4, 3, 3)
    together = [torch.nn.Parameter(t.clone()) for t in start]
    alone = [torch.nn.Parameter(t.clone()) for t in start]
    optimisers = [Muon(together, 0.1), *(Muon([p], 0.1) for p in alone)]
    for p, g in zip([*together, *alone], [*gradients, *gradients], strict=True):
        p.grad = g.clone()
    for optimiser in optimisers:
        optimiser.step()
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def groups(**options):
    with torch.device("meta"):  # no weights are drawn
        net = sr.SRVAE(4, encoder=True, grid_generator=True)
    names = {p: name for name, p in net.named_parameters()}
    optimisers = build_optimisers(dict(net.named_parameters()), Config(run="x", **options))
    return {
        type(o).__name__: {names[p]: group for group in o.param_groups for p in group["params"]} for o in optimisers
    }


def test_muon_moves_the_kernels_between_features():
    by_optimiser = groups(lr=1.0)
    assert by_optimiser.keys() == {"Adam", "Muon"}
    muon = by_optimiser["Muon"]
    assert {name.split(".")[0] for name in muon} >= {"feat1_2", "encoder1", "conv1_SR_s1", "decoder1"}
    assert not [name for name in muon if name.startswith(("feat1_1", "SR_res")) or name.endswith("bias")]
    assert by_optimiser["Adam"]["SR_res.weight"]["lr"] == pytest.approx(0.3)


def test_the_releases_adam_has_its_decay_and_bias_rates():
    by_optimiser = groups(optimiser="adam", lr=1e-4)
    assert by_optimiser.keys() == {"Adam"}
    for name, group in by_optimiser["Adam"].items():
        fc_bias = name.startswith(("ip", "generator")) and name.endswith("bias")
        assert (group["lr"], group["weight_decay"]) == ((2e-4, 0.0) if fc_bias else (1e-4, 1e-4)), name


def test_learning_rates_are_shares_of_their_peaks():
    net = sr.SRVAE(4, grid_generator=True)
    optimisers = build_optimisers(dict(net.named_parameters()), Config(run="x", stage="latents", lr=1.0))
    for share in (0.5, 0.25):
        set_learning_rate(optimisers, share)
        assert {round(g["lr"], 6) for g in optimisers[0].param_groups} == {
            round(share * peak, 6) for peak in (0.3, 0.06, 0.009)
        }
        assert optimisers[1].param_groups[0]["lr"] == share
