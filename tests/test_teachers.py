"""Teachers: networks by their published weights, the run's own self-ensemble, fresh answers and pools."""

import copy

import pytest
import torch
from safetensors.torch import load_file, save_file

import srvae_core as sr
from conftest import SHARED
from helpers import VapSRNetwork, patches, pictures
from srvae import metrics, release
from srvae.training.patches import Batch
from srvae.training.teachers import BETWEEN, CONTEXT, Networks, SelfEnsemble, TaughtPatches, VapSR

TEACHERS = [SHARED / "teacher" / f"vapsr_x{s}.safetensors" for s in (4, 2)]
published = pytest.mark.skipif(not TEACHERS[0].is_file(), reason="no ../shared/teacher")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Small random networks, 4x and 2x, and their files."""
    torch.manual_seed(0)
    folder, by_scale = tmp_path_factory.mktemp("teachers"), {}
    for scale in (4, 2):
        net = VapSRNetwork(scale, blocks=2).eval().requires_grad_(False)
        save_file(net.state_dict(), folder / f"x{scale}.safetensors")
        by_scale[scale] = (net, folder / f"x{scale}.safetensors")
    return by_scale


@pytest.mark.parametrize("scale", [4, 2])
def test_network_is_that_of_the_paper(networks, scale):
    net, file = networks[scale]
    x = torch.rand(2, 3, 20, 24)
    torch.testing.assert_close(VapSR(file)(x), net(x))


def test_networks_follow_each_other_and_keep_the_middle(networks):
    batch = Batch(None, None, torch.rand(2, 3, 16 + 2 * CONTEXT[8], 16 + 2 * CONTEXT[8]))
    answer = Networks([networks[4][1], networks[2][1]], 8)(batch)
    between = networks[4][0](batch.context).clamp(0, 1)
    border = 4 * CONTEXT[8] - BETWEEN  # which the second network need not see
    last = networks[2][0](between[..., border:-border, border:-border])
    torch.testing.assert_close(answer, last[..., 2 * BETWEEN : -2 * BETWEEN, 2 * BETWEEN : -2 * BETWEEN])
    with pytest.raises(ValueError, match="the teacher enlarges 4x, and 8x is wanted"):
        Networks([networks[4][1]], 8)


@published
def test_what_a_teacher_is_spared_changes_little(photograph_folder):
    """Half precision, as on a GPU, and the border between two networks, by the published networks."""
    source = patches(photograph_folder, scale=8, batch=2, margin=CONTEXT[8])
    batch, teacher = source(0), Networks(TEACHERS, 8)
    answer = teacher(batch)
    whole = VapSR(TEACHERS[1])(VapSR(TEACHERS[0])(batch.context).clamp(0, 1))[..., 48:-48, 48:-48]
    assert 0 < float((answer - whole).abs().mean()) < 0.1 / 255
    teacher.networks = [VapSR(file, dtype=torch.float16) for file in TEACHERS]
    halved = teacher(batch)
    assert halved.dtype == torch.float32
    assert 0 < float((answer - halved).abs().mean()) < 0.2 / 255


def test_answers_that_are_damaged_are_named(networks, photograph_folder, tmp_path):
    source, file = patches(photograph_folder, margin=CONTEXT[4]), tmp_path / "taught.safetensors"
    for content in ({"taught": torch.zeros(6, 3, 8, 8)}, {"other": torch.zeros(6, 3, 128, 128)}):
        save_file(content, file)
        with pytest.raises(ValueError, match=r"taught\.safetensors"):
            TaughtPatches(source, Networks([networks[4][1]], 4), 0.5, 6, file)
    file.write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"taught\.safetensors is no readable safetensors file"):
        TaughtPatches(source, Networks([networks[4][1]], 4), 0.5, 6, file)


def test_a_file_of_another_network_is_refused(networks, tmp_path):
    tensors = load_file(networks[4][1])
    tensors["conv_first.weight"] = torch.zeros(32, 3, 3, 3)
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"conv_first.weight must be \(48, 3, 3, 3\), not \(32, 3, 3, 3\)"):
        VapSR(tmp_path / "other.safetensors")
    tensors = load_file(networks[4][1])
    del tensors["body.1.atten_branch.depthwise.bias"]  # which is read in the second block, an hour later
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"body\.1\.atten_branch\.depthwise\.bias must be \(64,\), not nothing"):
        VapSR(tmp_path / "other.safetensors")
    save_file(load_file(networks[4][1]) | {"body.99999999999.x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors holds no VapSR network: body\.2\.proj_1"):
        VapSR(tmp_path / "other.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(networks[4][1].read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"torn\.safetensors is no readable safetensors file"):
        VapSR(tmp_path / "torn.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match=r"holds no VapSR network: conv_first\.weight"):
        VapSR(tmp_path / "none.safetensors")


@pytest.mark.slow
@published
@pytest.mark.parametrize(("scale", "least"), [(4, 32.40), (8, 27.10)])
def test_the_published_networks_reach_what_is_known_of_them(scale, least, benchmark_set):
    """Set5, 8 bit: 32.40 dB at 4x and 27.11 at 8x."""
    nets = [VapSR(file) for file in TEACHERS[: 1 + (scale == 8)]]
    values = []
    for image in benchmark_set("Set5"):
        hr = metrics.crop_to_multiple(image, scale)[..., :3].copy()
        y = sr.to_tensor(sr.downscale(hr, scale))
        for net in nets:
            y = net(y.clamp(0, 1))
        values.append(metrics.psnr_y(sr.to_image(y, hr.dtype), hr, scale))
    assert round(sum(values) / 5, 2) >= least


def bicubic_answer(batch: Batch) -> torch.Tensor:
    """A teacher that knows no better than bicubic interpolation."""
    return batch.up


def test_self_ensemble_is_that_of_the_weights_it_was_given(random_model, photograph_folder):
    net = copy.deepcopy(random_model(4))
    teacher = SelfEnsemble(pictures(net))
    batch = patches(photograph_folder, batch=1)(0)
    answer = teacher(batch)
    lr = sr.bicubic(batch.hr, 4, up=False)
    turned = []
    for k in range(8):
        up = release.turn(batch.up, k)
        y = net(up, torch.zeros(1, 1024))
        y = y + sr.bicubic(release.turn(lr, k) - sr.bicubic(y, 4, up=False), 4, up=True)
        turned.append(release.unturn(y, k))
    torch.testing.assert_close(answer, torch.stack(turned).mean(0), rtol=0, atol=1e-5)
    with torch.no_grad():
        net.feat1_1.weight.zero_()  # training goes on; the teacher stays
    assert torch.equal(teacher(batch), answer)


def test_fresh_answers_are_mixed_into_every_batch(networks, photograph_folder):
    source = patches(photograph_folder, batch=2, seed=3, margin=CONTEXT[4])
    teacher = Networks([networks[4][1]], 4)
    taught = TaughtPatches(source, teacher, 0.75)
    for step, batch in enumerate(taught.stream(0, 3)):
        plain = source(step)
        assert torch.equal(batch.up, plain.up)
        torch.testing.assert_close(batch.hr, 0.25 * plain.hr + 0.75 * teacher(plain))


@pytest.mark.parametrize("pool", [None, 6])
def test_beside_the_originals_the_answer_has_a_target_of_its_own(pool, photograph_folder):
    source = patches(photograph_folder, batch=2, seed=3)
    taught = TaughtPatches(source, bicubic_answer, 0.75, pool, beside=True)
    plain = TaughtPatches(source, bicubic_answer, 0.75, pool)
    batch, mixed = taught(4), plain(4)
    assert torch.equal(batch.up, mixed.up)
    torch.testing.assert_close(batch.answer, mixed.hr)
    torch.testing.assert_close(batch.answer, 0.25 * batch.hr + 0.75 * batch.up, rtol=0, atol=1e-3)  # a pool is halved
    assert not torch.equal(batch.hr, batch.answer)


def test_a_pool_is_answered_once_and_turns_with_its_answers(photograph_folder, tmp_path):
    source = patches(photograph_folder, batch=2, seed=3)
    file = tmp_path / "taught.safetensors"
    pool = source.like(batch=6)(0)
    taught = TaughtPatches(source, bicubic_answer, 0.75, 6, file)
    for up, target in zip(*taught(4)[:2], strict=True):
        same = [
            (release.turn(a[None], k), release.turn(b[None], k))
            for a, b in zip(*pool[:2], strict=True)
            for k in range(8)
            if torch.equal(release.turn(a[None], k)[0], up)
        ]
        assert same
        assert any(torch.allclose((0.75 * a + 0.25 * b)[0], target, atol=5e-4) for a, b in same)
    again = TaughtPatches(source, None, 0.75, 6, file)  # whoever asked this teacher would fail
    assert all(torch.equal(a, b) for a, b in zip(taught(7)[:2], again(7)[:2], strict=True))
    assert not torch.equal(taught(7).up, taught(8).up)
    with pytest.raises(ValueError, match="answers to other patches"):
        TaughtPatches(source, None, 0.75, 5, file)
    with pytest.raises(ValueError, match="answers to other patches"):
        TaughtPatches(source.like(seed=4), None, 0.75, 6, file)
