"""The teacher: VapSR by its published weights, and its share in the target."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import VapSRNetwork, new_run, patches
from srvae.training.teacher import BETWEEN, CONTEXT, Teacher, VapSR

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Small random networks and their files, by scale."""
    torch.manual_seed(0)
    folder, by_scale = tmp_path_factory.mktemp("teachers"), {}
    for scale in (4, 2):
        net = VapSRNetwork(scale, blocks=2).eval().requires_grad_(False)
        save_file(net.state_dict(), folder / f"x{scale}.safetensors")
        by_scale[scale] = net, str(folder / f"x{scale}.safetensors")
    return by_scale


@pytest.mark.parametrize("scale", [4, 2])
def test_vapsr_equals_its_modules(networks, scale):
    net, file = networks[scale]
    x = torch.rand(2, 3, 20, 24)
    torch.testing.assert_close(VapSR(file)(x), net(x))


def test_two_networks_follow_each_other_and_give_the_middle(networks):
    context = torch.rand(2, 3, 16 + 2 * CONTEXT[8], 16 + 2 * CONTEXT[8])
    border = 4 * CONTEXT[8] - BETWEEN  # which the second network need not see
    between = networks[4][0](context).clamp(0, 1)[..., border:-border, border:-border]
    wanted = networks[2][0](between)[..., 2 * BETWEEN : -2 * BETWEEN, 2 * BETWEEN : -2 * BETWEEN]
    torch.testing.assert_close(Teacher([networks[4][1], networks[2][1]], 8, CPU)(context), wanted)
    with pytest.raises(ValueError, match="the teacher enlarges 4x, but the scale is 8"):
        Teacher([networks[4][1]], 8, CPU)


def test_the_target_is_a_mixture_of_answer_and_original(networks, photograph_folder, tmp_path, monkeypatch):
    run, seen = new_run(tmp_path, teacher=(networks[4][1],), teacher_share=0.75), {}
    monkeypatch.setattr(run, "gradients", lambda batch: seen.update(batch) or run.compute_gradients(batch))
    batch = patches(photograph_folder, batch=2, margin=CONTEXT[4])(0)
    answer = networks[4][0](batch["context"])[..., 32:-32, 32:-32]
    run.train_step(dict(batch))
    torch.testing.assert_close(seen["taught"], 0.25 * batch["hr"] + 0.75 * answer)
    loss = (seen["taught"] - batch["up"]).abs().sum() / 2  # SR_res is 0 at first
    torch.testing.assert_close(run.sums["answer"], loss, rtol=1e-4, atol=0)


def test_a_file_of_another_network_is_refused(networks, tmp_path):
    good, file = load_file(networks[4][1]), tmp_path / "other.safetensors"
    lacking = {name: t for name, t in good.items() if name != "body.1.atten_branch.depthwise.bias"}
    for tensors, message in (
        (good | {"conv_first.weight": torch.zeros(32, 3, 3, 3)}, r"conv_first.weight must be \(48, 3, 3, 3\)"),
        (lacking, r"body\.1\.atten_branch\.depthwise"),
        ({"x": torch.zeros(1)}, "holds no VapSR network"),
    ):
        save_file(tensors, file)
        with pytest.raises(ValueError, match=message):
            VapSR(file)
