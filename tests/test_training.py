"""Training: batches, the energy score, and runs that are killed and go on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import srvae_core as sr

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import training  # noqa: E402


def test_patches_depend_on_seed_and_step_alone(photograph_folder):
    pairs = training.load_photographs(photograph_folder, 4)
    first = training.Patches(pairs, 4, batch=3, candidates=2, seed=5)
    again = training.Patches(pairs, 4, batch=3, candidates=2, seed=5)
    first(0)  # a batch made in between changes nothing
    for a, b in zip(first(7), again(7), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first(7)[0], first(8)[0])
    streamed = list(first.stream(7, 9))
    assert torch.equal(streamed[1][1], first(8)[1])


@pytest.mark.parametrize("scale", [4, 8])
def test_patches_are_what_the_model_meets_at_test(photograph_folder, scale):
    """Every pair is a window of a photograph and the same window of its enlarged LR image, turned alike."""
    pairs = training.load_photographs(photograph_folder, scale)
    enlarged = [sr.enlarge(lr, scale) for _, lr in pairs]
    up, hr = training.Patches(pairs, scale, batch=4, seed=1)(0)
    for u, h in zip(up, hr, strict=True):
        turned = [sr.unturn(h[None], k) for k in range(8)]
        found = None
        for (original, _), whole in zip(pairs, enlarged, strict=True):
            for k, t in enumerate(turned):
                patch = sr.to_image(t, np.uint8)
                corner = (original[:-127:scale, :-127:scale] == patch[0, 0]).all(2)
                for y, x in np.argwhere(corner) * scale:
                    if np.array_equal(original[y : y + 128, x : x + 128], patch):
                        found = np.abs(
                            sr.to_image(sr.unturn(u[None], k), np.float32) * 255 - whole[y : y + 128, x : x + 128]
                        )
        assert found is not None, "the HR patch is no aligned window of a photograph"
        assert found.max() < 1e-3


def test_energy_score_is_least_for_the_true_spread():
    """Originals ~ N(answer, 0.1^2): samples of that spread must beat silent, timid and loud ones."""
    torch.manual_seed(0)
    distances = training.Distances()
    answer = torch.full((64, 3, 16, 16), 0.5)
    hr = answer + 0.1 * torch.randn_like(answer)
    score = {
        sd: float(training.energy_score(distances, *(answer + sd * torch.randn_like(hr) for _ in range(2)), hr, answer))
        for sd in (0.0, 0.03, 0.1, 0.3)
    }
    assert min(score, key=score.get) == 0.1
    assert score[0.0] == pytest.approx(2.0, abs=0.05)  # two distances, each 1 for the answer itself


def test_start_gives_each_latent_its_place():
    net = sr.SRVAE(4, grid_generator=True)
    training.start_latents(net)
    z = torch.zeros(2, sr.LATENTS)
    z[0, 32 * 5 + 7], z[1, 32 * 5 + 7] = 3.0, -3.0
    maps = net.latent_map(z).detach()
    for i in (0, 1):
        channel, y, x = np.unravel_index(int(maps[i].argmax()), maps[i].shape)
        assert (channel, y, x) == (i, 5, 7)
        rest = maps[i].clone()
        rest[channel, y, x] = 0
        assert rest.max() < 0.1 < 2.5 < maps[i].max()


@pytest.mark.parametrize("shape", [(64, 288), (288, 64)])
def test_muon_is_torchs_in_other_arithmetic(shape):
    """Three steps of both from the same start; torch's Newton-Schulz runs in bfloat16, which has 8 bits."""
    torch.manual_seed(0)
    mine, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    optimisers = [
        training.Muon([mine], 1e-2),
        torch.optim.Muon([theirs], 1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(3):
        mine.grad = torch.randn(shape)
        theirs.grad = mine.grad.clone()
        for optimiser in optimisers:
            optimiser.step()
    assert (mine - theirs).norm() < 0.02 * (theirs - 1).norm()
    assert torch.linalg.svdvals(training.Muon.orthogonal(torch.randn(shape))).sub(1).abs().max() < 0.35


def test_patches_with_the_self_ensembles_answer(photograph_folder, tmp_path):
    """Targets lie between original and teacher, turn with their input, and are not made again."""
    pairs = training.load_photographs(photograph_folder, 4)
    patches = training.Patches(pairs, 4, batch=2, candidates=1, seed=3)
    file = tmp_path / "taught.safetensors"
    pool = training.Patches(pairs, 4, batch=6, candidates=1, seed=3)(0)
    taught = training.Taught(patches, 6, lambda up, hr: hr * 0 + up, 0.75, file)
    for up, target in zip(*taught(4), strict=True):
        same = [
            (sr.turn(a[None], k), sr.turn(b[None], k))
            for a, b in zip(*pool, strict=True)
            for k in range(8)
            if torch.equal(sr.turn(a[None], k)[0], up)
        ]
        assert same
        assert any(torch.allclose((0.75 * a + 0.25 * b)[0], target, atol=1e-6) for a, b in same)
    again = training.Taught(patches, 6, None, 0.75, file)  # whoever asked this teacher would fail
    assert all(torch.equal(a, b) for a, b in zip(taught(7), again(7), strict=True))
    assert not torch.equal(taught(7)[0], taught(8)[0])


def command(photograph_folder, run, *more):
    fixed = ["--batch", "1", "--validate", "3", "--checkpoint", "2", "--warmup", "1", "--threads", "1"]
    fixed += ["--fp32", "--device", "cpu", "--features", "none", "--vgg", "none"]
    return [
        sys.executable,
        str(NOTEBOOKS / "training.py"),
        "--data",
        str(photograph_folder),
        "--run",
        str(run),
        *fixed,
        *more,
    ]


@pytest.fixture(scope="module")
def answer_run(photograph_folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "answer"
    subprocess.run(command(photograph_folder, run, "--steps", "4"), check=True, capture_output=True)
    return run


def test_killed_run_goes_on_as_if_nothing_had_happened(photograph_folder, answer_run, tmp_path):
    more = ("--stage", "latents", "--initial", str(answer_run), "--steps", "6")
    subprocess.run(command(photograph_folder, tmp_path / "whole", *more), check=True, capture_output=True)
    process = subprocess.Popen(command(photograph_folder, tmp_path / "killed", *more), stdout=subprocess.DEVNULL)
    end = time.time() + 120
    while not (tmp_path / "killed" / "checkpoint.safetensors").exists() and time.time() < end:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    again = subprocess.run(
        command(photograph_folder, tmp_path / "killed", *more), check=True, capture_output=True, text=True
    )
    assert "resumed at step" in again.stdout
    a, b = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "killed"))
    assert a.keys() == b.keys()
    assert any(k.startswith("optimiser.momentum_buffer") for k in a)
    assert [k for k in a if not torch.equal(a[k], b[k])] == []


def test_training_moves_what_its_stage_trains_and_nothing_else(photograph_folder, answer_run, tmp_path):
    subprocess.run(
        command(
            photograph_folder, tmp_path / "run", "--stage", "latents", "--initial", str(answer_run), "--steps", "2"
        ),
        check=True,
        capture_output=True,
    )
    before, after = (load_file(r / "checkpoint.safetensors") for r in (answer_run, tmp_path / "run"))
    names = [k.removeprefix("model.") for k in after if k.startswith("model.")]
    # the averaged weights are what a run starts from
    start = {k: before.get(f"ema.{k}", before[f"model.{k}"]) for k in names}
    moved = {k for k in names if not torch.equal(start[k], after[f"model.{k}"])}
    assert not [k for k in moved if k.startswith(("feat", "input"))]
    for k in (
        "decoder1.weight",
        "generator1.weight",
        "ip4.weight",
        "ip6.weight",
        "conv1_SR_s1.weight",
        "SR_res.weight",
    ):
        assert k in moved


def test_export_ships_the_averaged_weights_with_a_card(answer_run, tmp_path):
    path = training.export(answer_run, "4x-D", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "SR_VAE_4x-D.safetensors", "curves"]
    model = sr.load_model(path)
    averaged = load_file(answer_run / "checkpoint.safetensors")["ema.feat2_1.weight"]
    assert torch.allclose(model.feat2_1.weight, averaged, rtol=1e-3, atol=1e-6)
    history = json.loads((answer_run / "config.json").read_text())["history"]
    assert history[0]["steps"] == 4
    assert history[0]["command"] in (tmp_path / "README.md").read_text()
    with pytest.raises(ValueError, match="8x-D"):
        training.export(answer_run, "8x-D", tmp_path)


def test_calibrated_noise_has_the_spread_of_the_originals(photograph_folder, tmp_path):
    """A decoder that makes x + z-noise of known size: the factor found brings it near the originals' spread."""
    trainer = training.Trainer(training.Config(run=str(tmp_path), features="none", vgg="none", device="cpu", fp32=True))
    hr = 0.5 + 0.1 * torch.randn(4, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    up = torch.full_like(hr, 0.5)
    trainer.net.generator = lambda up: torch.ones(len(up), 1024)
    spread = 0.05  # of the pictures that the prior makes: half of the originals'

    def answer(code, z, up, lr):
        if z is None:
            return up
        size = float(z.std()) / sr.PRIOR_SD * spread
        return up + size * torch.randn(
            up.shape, generator=torch.Generator().manual_seed(int(1e6 * float(z[0, 0].abs())))
        )

    trainer.answer = answer
    before = trainer.net.ip4.weight.clone()
    factor = trainer.calibrate_noise(up, hr)
    assert factor == pytest.approx(2.0, rel=0.2)
    assert torch.equal(trainer.net.ip4.weight, factor * before)


def test_a_run_from_a_weights_file_learns_from_its_self_ensemble(photograph_folder, answer_run, tmp_path):
    """It knows how the file came about, and neither the latents nor what they meet at z = 0 are disturbed."""
    more = ("--stage", "latents", "--initial", str(answer_run), "--steps", "1")
    subprocess.run(command(photograph_folder, tmp_path / "latents", *more), check=True, capture_output=True)
    file = training.export(tmp_path / "latents", "4x-D", tmp_path / "weights")
    more = ("--initial", str(file), "--ensemble", "0.8", "--pool", "2", "--steps", "2")
    subprocess.run(command(photograph_folder, tmp_path / "run", *more), check=True, capture_output=True)
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert [run["stage"] for run in record["history"]] == ["answer", "latents", "answer"]
    assert "--ensemble 0.8" in record["history"][-1]["command"]
    path = training.export(tmp_path / "run", "4x-D", tmp_path / "again")
    before, after = sr.load_model(file), sr.load_model(path)
    for name in ("ip5", "ip6", "generator1", "generator2", "decoder1"):
        assert torch.equal(before.get_submodule(name).weight, after.get_submodule(name).weight), name
    assert not torch.equal(before.feat2_1.weight, after.feat2_1.weight)
    factor = record["history"][-1].get("noise_factor", 1.0)  # 1 where no other has a lower energy score
    assert torch.allclose(after.ip4.weight, factor * before.ip4.weight, rtol=0.02, atol=1e-4)
    curves = (tmp_path / "again" / "curves" / "4x-D.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in curves[1:]] == ["answer", "answer", "latents", "run"]
    trainer = training.Trainer(
        training.Config(run=str(tmp_path / "run"), stage="latents", initial=str(tmp_path / "run"), features="none")
    )
    assert torch.allclose(trainer.net.ip4.weight, after.ip4.weight, rtol=1e-2, atol=1e-4), (
        "trained latents must not start anew"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage": "both"}, "stage must be one of answer, latents"),
        ({"scale": 3}, "scale must be 4 or 8, not 3"),
        ({"run": ""}, "--run"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"stage": "latents"}, "--initial"),
        ({"variant": "Q"}, "variant must be one of D, P"),
        ({"latents": "posterior"}, "latents must be one of prior, sample, release"),
        ({"train": "half"}, "train must be one of convolutions, latents, decoder, all"),
        ({"loss": "l2"}, "loss must be one of l1, psnr, not 'l2'"),
        ({"loss": "psnr", "stage": "latents", "initial": "x"}, "loss psnr: the answer stage's choice"),
        ({"ensemble": 0.5}, "--initial naming the teacher"),
        ({"ensemble": 1.5, "initial": "x"}, "a share up to 1"),
        ({"ensemble": 0.5, "initial": "x", "pool": 4, "batch": 8}, "a pool of 4 patches does not fill a batch of 8"),
    ],
)
def test_settings_that_cannot_be_meant(options, message):
    with pytest.raises(ValueError, match=message):
        training.Config(**({"run": "x"} | options)).check()


def test_folder_without_photographs(tmp_path):
    with pytest.raises(ValueError, match="less than two photographs"):
        training.load_photographs(tmp_path, 4)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a\.png is no image"):
        training.load_photographs(tmp_path, 4)
