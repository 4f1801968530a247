"""The release's objective: VGG term, KL, latents drawn or not, D and P; processes that share a batch."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from test_caffe import caffemodel
from test_training import command
from torch import nn

import srvae_core as sr

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import training  # noqa: E402

BLOCKS = (2, 2, 4, 4, 4)
NAMES = [f"conv{b}_{i}" for b, n in enumerate(BLOCKS, 1) for i in range(1, n + 1)]


@pytest.fixture(scope="module")
def small_vgg() -> dict[str, list[torch.Tensor]]:
    """A VGG-19 of few channels: weights and biases by Caffe's names."""
    torch.manual_seed(0)
    widths = [3, *(w for w, n in zip((4, 5, 6, 7, 8), BLOCKS, strict=True) for _ in range(n))]
    return {
        n: [torch.randn(b, a, 3, 3) * (2 / (9 * a)) ** 0.5, torch.randn(b) * 0.1]
        for n, a, b in zip(NAMES, widths[:-1], widths[1:], strict=True)
    }


@pytest.fixture(scope="module")
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Enlarged LR and HR patches of a photograph, each (2, 3, 128, 128)."""
    image = data.astronaut()
    hr = torch.cat([sr.to_tensor(np.ascontiguousarray(image[y : y + 128, 160:288])) for y in (0, 128)])
    return sr.bicubic(sr.bicubic(hr, 4, up=False), 4, up=True), hr


def reference(layers: dict[str, list[torch.Tensor]], x: torch.Tensor, last: str) -> torch.Tensor:
    """VGG-19 as its paper draws it, its four poolings averaged, up to a layer's output before the ReLU."""
    for block, n in enumerate(BLOCKS, 1):
        for i in range(1, n + 1):
            x = F.conv2d(x, *layers[f"conv{block}_{i}"], padding=1)
            if f"conv{block}_{i}" == last:
                return x
            x = F.relu(x)
        x = nn.AvgPool2d(2, 2)(x)
    raise AssertionError


def test_vgg_term_of_a_caffe_file_is_the_releases(small_vgg, pictures, tmp_path):
    """Sum of |conv5_4 / 256|, on 255 * BGR minus the means that the release subtracts."""
    file = tmp_path / "VGG.caffemodel"
    file.write_bytes(caffemodel({k: [t.numpy() for t in v] for k, v in small_vgg.items()}).SerializeToString())
    vgg, (up, hr) = training.VGG(file), pictures
    features = []
    for x in (up, hr):
        bgr = 255 * x.flip(1) - torch.tensor([103.939, 116.779, 123.68])[None, :, None, None]
        features.append(reference(small_vgg, bgr, "conv5_4") / 256)
    vgg.calibrate(up, hr)  # leaves the release's own unit alone
    expected = (features[0] - features[1]).abs().sum() / len(up)
    assert expected > 1
    torch.testing.assert_close(vgg(up, hr), expected, rtol=1e-4, atol=0)


def test_vgg_file_with_torchvisions_names(small_vgg, pictures, tmp_path):
    numbers = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    named = zip(numbers, small_vgg.values(), strict=True)
    save_file({f"features.{i}.{k}": t for i, v in named for k, t in zip(("weight", "bias"), v)}, tmp_path / "v.safetensors")  # fmt: skip  # noqa: B905, E501
    vgg, x = training.VGG(tmp_path / "v.safetensors"), pictures[0]
    mean, sd = (torch.tensor(t)[None, :, None, None] for t in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    torch.testing.assert_close(vgg.features(x), reference(small_vgg, (x - mean) / sd, "conv5_4"))
    assert vgg.description == "v.safetensors, conv5_4"


def test_shorter_file_and_its_unit(small_vgg, pictures, tmp_path):
    """With P's lambda the bicubic image's VGG term weighs as much as its L1 term, so that lambda keeps a meaning."""
    kept = {k: small_vgg[k] for k in NAMES[: NAMES.index("conv3_4") + 1]}
    tensors = {f"{n}.{k}": t for n, v in kept.items() for k, t in zip(("weight", "bias"), v, strict=True)}
    colour = {"colour.weight": torch.eye(3)[:, :, None, None], "colour.bias": torch.zeros(3)}
    save_file(tensors | colour, tmp_path / "v.safetensors")
    vgg, (up, hr) = training.VGG(tmp_path / "v.safetensors"), pictures
    torch.testing.assert_close(vgg.features(up), reference(small_vgg, up, "conv3_4"))
    vgg.calibrate(up, hr)
    assert 10 * float(vgg(up, hr)) == pytest.approx(float((up - hr).abs().sum() / 2), rel=1e-5)
    assert float(vgg(hr, hr)) == 0
    save_file(tensors, tmp_path / "colourless.safetensors")
    with pytest.raises(ValueError, match="colour"):
        training.VGG(tmp_path / "colourless.safetensors")


def test_a_vgg_that_would_have_to_be_unpickled_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing is unpickled"):
        training.VGG(tmp_path / "vgg19.pth")


@pytest.mark.skipif(not training.VGG_FILE.is_file(), reason="no ../shared/perceptual")
def test_the_vgg_file_at_hand(pictures):
    up, hr = pictures
    vgg = training.VGG(training.VGG_FILE)
    assert vgg.description.endswith("conv3_4")
    vgg.calibrate(up, hr)
    half = (up + hr) / 2
    assert 0 < float(vgg(half, hr)) < float(vgg(up, hr))


def test_kl_is_that_of_two_gaussians():
    torch.manual_seed(0)
    mu, logsd = torch.randn(3, 7) * 0.2, torch.randn(3, 7) - 2
    p, q = torch.distributions.Normal(mu, logsd.exp()), torch.distributions.Normal(0.0, 0.1)
    torch.testing.assert_close(training.kl_divergence(mu, logsd), torch.distributions.kl_divergence(p, q))
    assert float(training.kl_divergence(torch.zeros(1), torch.full((1,), 0.1).log())) == pytest.approx(0, abs=1e-6)


def test_psnr_loss_is_the_metric(pictures, tmp_path):
    up, hr = pictures
    images = [[t.permute(1, 2, 0).numpy() for t in batch] for batch in (up, hr)]
    on_y = np.mean([sr.psnr_y(a, b, 0) for a, b in zip(*images, strict=True)])
    on_rgb = np.mean([peak_signal_noise_ratio(b, a, data_range=1) for a, b in zip(*images, strict=True)])
    assert float(training.psnr_loss(up, hr)) == pytest.approx(-on_y - on_rgb / 4, abs=0.1)  # it ends at 50 dB
    found = trainer(tmp_path, loss="psnr", vgg_weight=0.0).losses(up, hr)
    assert {k: float(t.detach()) for k, t in found.items()} == {"answer": float(training.psnr_loss(up, hr))}


def trainer(tmp_path, **options) -> training.Trainer:
    fixed = {"run": str(tmp_path / "run"), "batch": 2, "device": "cpu", "fp32": True, "features": "", "vgg": ""}
    return training.Trainer(training.Config(**fixed | options))


def test_the_release_draws_nothing_and_the_sample_does(pictures, tmp_path):
    up, hr = pictures
    release = trainer(tmp_path, stage="latents", latents="release", fillers=True)
    first = {k: float(t.detach()) for k, t in release.losses(up, hr).items()}
    release.step = 1  # the step chooses the noise
    assert {k: float(t.detach()) for k, t in release.losses(up, hr).items()} == first
    assert first.keys() == {"l1", "kl"}
    with torch.no_grad():  # the same by hand
        net = release.net
        mu, logsd = net.encode(up, hr)
        y = net.decode(net.features(up), mu + net.generator(up) * logsd.exp(), up)
        kl = 50 * mu**2 + 50 * (2 * logsd).exp() - (10 * logsd.exp()).log() - 0.5
        assert first["l1"] == pytest.approx(float((hr - y).abs().sum() / 2), rel=1e-5)
        assert first["kl"] == pytest.approx(float(kl.sum() / 2), rel=1e-5)
    assert all(p.requires_grad for p in net.parameters())

    release.config.latents = "sample"
    with torch.no_grad():
        net.ip4.weight.mul_(100)
        a = release.losses(up, hr)
        release.step = 2
        b = release.losses(up, hr)
    assert a.keys() == {"l1", "kl", "answer"}
    assert (a["kl"], a["answer"]) == (b["kl"], b["answer"])
    assert a["l1"] != b["l1"]


def test_d_and_p_differ_in_lambda_alone(small_vgg, pictures, tmp_path):
    kept = {f"{n}.{k}": t for n in NAMES[:3] for k, t in zip(("weight", "bias"), small_vgg[n], strict=True)}
    save_file(
        kept | {"colour.weight": torch.eye(3)[:, :, None, None], "colour.bias": torch.zeros(3)},
        tmp_path / "v.safetensors",
    )
    up, hr = pictures
    terms = {}
    for variant in "DP":
        run = trainer(tmp_path, variant=variant, vgg=str(tmp_path / "v.safetensors"), fixed_vgg=True)
        run.vgg.calibrate(up, hr)
        terms[variant] = {k: float(t.detach()) for k, t in run.losses(up, hr).items()}
    assert terms["D"]["answer"] == terms["P"]["answer"]
    assert terms["P"]["vgg"] == pytest.approx(10 * terms["D"]["vgg"], rel=1e-5)
    assert terms["P"]["vgg"] == pytest.approx(terms["P"]["answer"], rel=1e-4)  # SR_res is zero: the bicubic image
    moving = trainer(tmp_path, variant="P", vgg=str(tmp_path / "v.safetensors"))
    moving.vgg.unit = 1.0
    seen = set()
    for moving.step in range(8):
        seen.add(float(moving.perceptual(up, hr)["vgg"]))
    assert len(seen) > 4, "the window that the term sees moves from step to step"
    assert trainer(tmp_path, vgg_weight=0.0, vgg=str(tmp_path / "v.safetensors")).vgg is None


def test_what_a_run_trains_is_named():
    names = [k for k, _ in sr.SRVAE(8, encoder=True, grid_generator=True).named_parameters()]
    moved = lambda **options: {  # noqa: E731
        k.split(".")[0] for k in names if training.Config(run="x", **options).trains(k)
    }
    layers = {k.split(".")[0] for k in names}
    assert moved(stage="latents", latents="release") == layers
    fully_connected = {k for k in layers if k.startswith(("ip", "generator"))}
    encoder = {"encoder1", "encoder2", "encoder3"}
    assert moved(stage="answer") == layers - fully_connected - encoder
    rest = {k for k in layers if k.startswith(("feat", "input"))}
    assert moved(stage="latents") == layers - rest - encoder - {"ip1", "ip2", "ip3"}
    assert moved(stage="latents", train="decoder") == moved(stage="answer") - {k for k in rest if k.startswith("feat")}


ONE_STEP = ("--steps", "1", "--batch", "2")


def test_two_processes_share_a_batch(photograph_folder, tmp_path):
    """The gradient (Muon's momentum after one step is 0.05 of it) is that of one process with the whole batch."""
    one, two = tmp_path / "one", tmp_path / "two"
    subprocess.run(command(photograph_folder, one, *ONE_STEP), check=True, capture_output=True)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launcher, *command(photograph_folder, two, *ONE_STEP)[1:]],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.stdout.count("no VGG-19 file") == 2, "one line from each process"
    a, b = (load_file(run / "checkpoint.safetensors") for run in (one, two))
    names = [k for k in a if "momentum_buffer" in k]
    assert len(names) > 10
    for k in names:
        assert (a[k] - b[k]).abs().max() <= 1e-4 * a[k].abs().max(), k
    rows = [list(csv.DictReader((run / "log.csv").open())) for run in (one, two)]
    assert len(rows[1]) == 1
    assert float(rows[0][0]["answer"]) == pytest.approx(float(rows[1][0]["answer"]), rel=1e-4)


def test_a_release_run_from_the_command_line_and_its_judgement(photograph_folder, tmp_path):
    more = ("--stage", "latents", "--latents", "release", "--optimiser", "adam", "--lr", "1e-4", "--fillers")
    subprocess.run(
        command(photograph_folder, tmp_path / "run", *ONE_STEP, *more), check=True, capture_output=True, text=True
    )
    table = tmp_path / "judged.csv"
    training.judge_run(tmp_path / "run", table)
    (row,) = csv.DictReader(table.open())
    assert row["latents"] == "release"
    assert float(row["kl"]) > 0
    assert 0 <= float(row["active"]) <= sr.LATENTS
    assert 5 < float(row["psnr"]) < float(row["psnr_bicubic"])  # an untrained net
    assert {"psnr_prior", "diversity_prior", "psnr_deploy"} <= row.keys()
    state = load_file(tmp_path / "run" / "checkpoint.safetensors")
    assert state["model.ip1.weight"].shape == (4096, 32768)
    path = training.export(tmp_path / "run", "4x-D", tmp_path / "weights")
    assert not sr.load_model(path).has_encoder


def test_p_is_stored_as_what_differs_from_d(photograph_folder, tmp_path):
    d, p, weights = tmp_path / "d", tmp_path / "p", tmp_path / "weights"
    subprocess.run(command(photograph_folder, d, *ONE_STEP), check=True, capture_output=True)
    more = ("--initial", str(d), "--variant", "P", "--train", "decoder")
    subprocess.run(command(photograph_folder, p, *ONE_STEP, *more), check=True, capture_output=True)
    whole = training.export(d, "4x-D", weights)
    part = training.export(p, "4x-P", weights, base="4x-D")
    assert part.stat().st_size < 2e6 < 2e7 < whole.stat().st_size
    model, base = sr.load_model(part), sr.load_model(whole)
    assert torch.equal(model.ip5.weight, base.ip5.weight)
    assert torch.equal(model.feat2_1.weight, base.feat2_1.weight)
    own = load_file(p / "checkpoint.safetensors")["ema.conv1_SR_s1.weight"]
    assert torch.allclose(model.conv1_SR_s1.weight, own, rtol=1e-3, atol=1e-6)
    assert not torch.equal(model.conv1_SR_s1.weight, base.conv1_SR_s1.weight)
    card = (weights / "README.md").read_text()
    assert "What is not in the file is 4x-D's." in card
    rows = list(csv.DictReader((weights / "curves" / "4x-P.csv").open()))
    assert [r["run"] for r in rows] == ["d", "p"]
    old = shutil.copytree(weights, tmp_path / "old")
    training.export(p, "4x-D", weights)  # another base
    with pytest.raises(ValueError, match="another 4x-D"):
        sr.load_model(part)
    training.reissue(old / part.name, "4x-P", weights, base="4x-D", temperature=0.5)
    with pytest.raises(ValueError, match="the name must be 4x-D or 4x-P, not '8x-P'"):
        training.reissue(old / part.name, "8x-P", weights)
    assert sr.load_model(part).temperature == 0.5
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), sr.load_model(part).parameters(), strict=True))
    assert "Answers at temperature 0.5" in (weights / "README.md").read_text()
    whole.unlink()
    with pytest.raises(FileNotFoundError, match="SR_VAE_4x-D"):
        sr.load_model(part)
    assert json.loads((p / "config.json").read_text())["variant"] == "P"


def test_a_log_forgets_what_will_be_done_again(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("step,psnr\n10,1\n20,2\n30,3\n")
    training.forget_rows(log, 20)
    assert log.read_text() == "step,psnr\n10,1\n20,2\n"
