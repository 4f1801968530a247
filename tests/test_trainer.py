"""Runs: killed ones that go on, ones in minutes, ones that were begun by version 0.1 or that run into NaN."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import srvae_core as sr
from helpers import call, run_words, train_command, train_here, trainer
from srvae.csvfiles import read_csv
from srvae.training import checkpoints
from srvae.training.config import Config
from srvae.training.loop import judge_run, train
from srvae.training.patches import Batch, Patches
from srvae.training.photographs import load_photographs
from srvae.training.trainer import NotFiniteError, Trainer
from srvae.training.validation import correlation_between


@pytest.fixture(scope="module")
def answer_run(photograph_folder, tmp_path_factory):
    """A finished run of the answer stage, four steps long."""
    run = tmp_path_factory.mktemp("runs") / "answer"
    train_here(*run_words(photograph_folder, run, "--steps", 4))
    return run


def kill_after_a_checkpoint(words: list[object], run) -> None:
    """Start a command in a process of its own, and kill it once its run has a checkpoint."""
    process = subprocess.Popen(train_command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.time() + 120
    while not (run / "checkpoint.safetensors").exists() and process.poll() is None and time.time() < end:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"


@pytest.mark.slow
def test_killed_run_goes_on_as_if_nothing_had_happened(photograph_folder, answer_run, tmp_path, capsys):
    more = ("--stage", "latents", "--initial", answer_run, "--steps", 4)
    train_here(*run_words(photograph_folder, tmp_path / "whole", *more))
    killed = run_words(photograph_folder, tmp_path / "killed", *more)
    kill_after_a_checkpoint(killed, tmp_path / "killed")
    capsys.readouterr()
    train_here(*killed)
    assert "resumed at step" in capsys.readouterr().out
    a, b = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "killed"))
    assert a.keys() == b.keys()
    assert any(k.startswith("optimiser.momentum_buffer") for k in a)
    assert [k for k in a if not torch.equal(a[k], b[k])] == []
    logs = [read_csv(tmp_path / name / "log.csv") for name in ("whole", "killed")]
    assert [row["step"] for row in logs[0]] == ["2", "4"]
    for left, right in zip(*logs, strict=True):
        aside = ("seconds", "waited")
        assert {k: v for k, v in left.items() if k not in aside} == {k: v for k, v in right.items() if k not in aside}


def test_training_moves_what_its_stage_trains_and_nothing_else(photograph_folder, answer_run, tmp_path):
    more = ("--stage", "latents", "--initial", answer_run, "--steps", 2)
    train_here(*run_words(photograph_folder, tmp_path / "run", *more))
    before, after = (load_file(r / "checkpoint.safetensors") for r in (answer_run, tmp_path / "run"))
    names = [k.removeprefix("model.") for k in after if k.startswith("model.")]
    # the averaged weights are what a run starts from
    start = {k: before.get(f"ema.{k}", before[f"model.{k}"]) for k in names}
    moved = {k for k in names if not torch.equal(start[k], after[f"model.{k}"])}
    assert not [k for k in moved if k.startswith(("feat", "input"))]
    for layer in ("decoder1", "generator1", "ip4", "ip6", "conv1_SR_s1", "SR_res"):
        assert f"{layer}.weight" in moved


def as_version_0_1(run) -> None:
    """Rewrite a run's folder as the program of version 0.1 would have left it."""
    with safe_open(run / "checkpoint.safetensors", "pt") as f:
        tensors, progress = {k: f.get_tensor(k) for k in f.keys()}, f.metadata()  # noqa: SIM118
    del progress["finished"]
    # Muon's momentum stood there as matrices.
    tensors = {k: t.flatten(1) if k.startswith("optimiser.momentum_buffer") else t for k, t in tensors.items()}
    save_file(tensors, run / "checkpoint.safetensors", progress)
    record = json.loads((run / "config.json").read_text("utf-8"))
    for name in ("teacher", "teacher_share", "minutes", "validations", "validated", "checkpoints", "shaping"):
        del record[name]
    del record["compile"], record["photographs"]
    record |= {"validate": 3, "checkpoint": 2, "ensemble": 0.0, "pool": 1024, "loss": "l1", "vgg_weight": -1.0}
    record |= {"train": "", "threads": 1, "vgg": "none", "features": "none"}
    (run / "config.json").write_text(json.dumps(record))


@pytest.mark.slow
def test_a_run_of_version_0_1_goes_on(photograph_folder, tmp_path):
    options = {"run": str(tmp_path / "run"), "data": str(photograph_folder), "batch": 1, "device": "cpu", "fp32": True}
    options |= {"warmup": 1, "steps": 3, "decay": 1e-9, "validations": 1, "validated": 1, "checkpoints": 1}
    train(Config(**options))
    as_version_0_1(tmp_path / "run")
    old = train(Config(**options | {"steps": 6}))
    whole = train(Config(**options | {"steps": 6, "run": str(tmp_path / "whole")}))
    for name, p in whole.net.named_parameters():
        assert torch.equal(p, old.net.get_parameter(name)), name


def test_going_on_with_other_settings_is_refused(photograph_folder, answer_run, capsys):
    before = (answer_run / "checkpoint.safetensors").read_bytes()
    with pytest.raises(SystemExit) as stopped:
        train_here(*run_words(photograph_folder, answer_run, "--steps", 9, "--seed", 1, "--train", "all"))
    assert stopped.value.code == 2
    assert "seed (0, now 1); train (none, now all)" in capsys.readouterr().err.replace("\n", " ")
    assert (answer_run / "checkpoint.safetensors").read_bytes() == before


@pytest.mark.slow
def test_a_finished_run_is_left_as_it_is_and_can_be_made_longer(photograph_folder, answer_run, tmp_path):
    before = (answer_run / "checkpoint.safetensors").read_bytes()
    train_here(*run_words(photograph_folder, answer_run, "--steps", 4))
    assert (answer_run / "checkpoint.safetensors").read_bytes() == before
    run = tmp_path / "run"
    train_here(*run_words(photograph_folder, run, "--steps", 2))
    train_here(*run_words(photograph_folder, run, "--steps", 4))
    assert checkpoints.read_progress(run)["step"] == "4"


@pytest.mark.slow
def test_minutes_end_a_run_in_time_also_when_it_is_killed(photograph_folder, tmp_path, capsys):
    run = tmp_path / "run"
    words = run_words(photograph_folder, run, "--minutes", 0.25, "--validated", 1, "--checkpoints", 8)
    kill_after_a_checkpoint(words, run)
    used = float((run / "clock").read_text("utf-8"))
    begin = time.monotonic()
    train_here(*words)
    assert used + time.monotonic() - begin < 0.25 * 60 + 15, "a step and the saving, on a busy machine"
    rows = read_csv(run / "log.csv")
    assert rows[0]["step"] == "0"
    assert float(rows[-1]["psnr"]) > 0
    progress = checkpoints.read_progress(run)
    assert progress["finished"] == "True"
    assert int(progress["step"]) == int(rows[-1]["step"]) > 0
    capsys.readouterr()
    train_here(*words)  # nothing is left to do
    assert checkpoints.read_progress(run) == progress
    assert "resumed at step" in capsys.readouterr().out


def test_minutes_that_are_gone_at_the_start_give_one_step(photograph_folder, tmp_path):
    options = {"run": str(tmp_path / "run"), "data": str(photograph_folder), "batch": 1, "device": "cpu", "fp32": True}
    ended = train(Config(**options, minutes=1e-3, validated=1, vgg_weight=0.0))
    assert ended.step == 1
    assert ended.finished


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return Batch(*(torch.rand(2, 3, 128, 128, generator=generator) for _ in range(2)))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path, batch):
    run = trainer(tmp_path)
    run.train_step(batch)
    run.save(1.0)
    kept = (run.run / "checkpoint.safetensors").read_bytes()
    bad = batch._replace(hr=batch.hr * float("nan"))
    with pytest.raises(NotFiniteError, match=r"loss of step 2 is not finite \(answer nan.*step 1 in .* is kept"):
        run.train_step(bad)
    with pytest.raises(NotFiniteError):
        run.save(2.0)
    assert (run.run / "checkpoint.safetensors").read_bytes() == kept


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    run = trainer(tmp_path)
    with torch.no_grad():
        run.net.input1.bias[3] = float("inf")
    with pytest.raises(NotFiniteError, match=r"input1\.bias.*there is no checkpoint yet"):
        run.save(1.0)
    assert not run.run.exists()


def test_the_command_says_so_and_ends_with_an_error(photograph_folder, tmp_path, capsys):
    words = run_words(photograph_folder, tmp_path / "run", "--steps", 30, "--lr", 1e30, "--vgg-weight", 0)
    with pytest.raises(SystemExit) as stopped:
        train_here(*words)
    assert stopped.value.code == 3
    assert "not finite" in capsys.readouterr().err


def test_steps_go_on_where_compiling_fails(tmp_path, batch, capsys):
    run, plain = trainer(tmp_path), trainer(tmp_path)

    def no_compiler(*inputs):
        raise RuntimeError("no C compiler\nwith many lines")

    run.run_gradients.quick = no_compiler
    for each in (run, plain):
        each.train_step(batch)
    assert "goes on without compiling: RuntimeError: no C compiler\n" in capsys.readouterr().out
    assert torch.equal(run.net.SR_res.weight, plain.net.SR_res.weight)


def test_a_cuda_graph_needs_cuda(tmp_path):
    with pytest.raises(ValueError, match="compile graph needs a CUDA device, not cpu"):
        trainer(tmp_path, compile="graph")


def test_losses_are_means_since_they_were_asked_for(tmp_path, batch):
    run = trainer(tmp_path, lr=1e-9)
    for _ in range(3):
        run.train_step(batch)
    first = run.tally.means()
    assert first["answer"] == pytest.approx(float((batch.up - batch.hr).abs().sum() / 2), rel=0.01)  # SR_res is zero
    run.train_step(batch)
    assert run.tally.means()["answer"] == pytest.approx(first["answer"], rel=0.01)


@pytest.mark.slow
def test_new_latents_start_shaped_and_stay_so(photograph_folder, answer_run, tmp_path):
    options = {"data": str(photograph_folder), "initial": str(answer_run), "stage": "latents", "batch": 1, "steps": 2}
    options |= {"device": "cpu", "fp32": True, "vgg_weight": 0.0, "warmup": 1, "validated": 2, "validations": 1}
    shaped = train(Config(**options, run=str(tmp_path / "shaped"), shaping=100))
    alike = train(Config(**options, run=str(tmp_path / "alike"), shaping=0))

    up = Patches(load_photographs(photograph_folder, 4), 12, seed=9)(0).up
    correlations = []
    for run in (shaped, alike):
        with run.averaged_weights():
            correlations.append(correlation_between(run.net.generator(up).detach().abs()))
    assert correlations[0] < 0.5 < correlations[1]


def test_calibrated_noise_has_the_spread_of_the_originals(tmp_path):
    """A decoder that makes x + z-noise of known size: the chosen factor brings it near the originals' spread."""
    run = trainer(tmp_path)
    hr = 0.5 + 0.1 * torch.randn(4, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    up = torch.full_like(hr, 0.5)
    run.net.generator = lambda up: torch.ones(len(up), 1024)
    spread = 0.05  # of the pictures that the prior makes: half of the originals'

    def answer(code, z, up, lr):
        if z is None:
            return up
        size = float(z.std()) / sr.PRIOR_SD * spread
        seed = int(1e6 * float(z[0, 0].abs()))
        return up + size * torch.randn(up.shape, generator=torch.Generator().manual_seed(seed))

    run.pictures.answer = answer
    before = run.net.ip4.weight.detach().clone()
    run.calibrate_noise(Batch(up, hr))
    assert run.noise_factor == pytest.approx(2.0, rel=0.2)
    assert torch.equal(run.net.ip4.weight, run.noise_factor * before)


ONE_STEP = ("--steps", 1, "--batch", 2)


def call_twice(words: list[object]) -> str:
    """Run a command in two processes that train together; what they print."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    return call([*launcher, *train_command(*words)[1:]], env=environment, timeout=300).stdout


@pytest.mark.slow
def test_two_processes_share_a_batch(photograph_folder, tmp_path):
    """The gradient (Muon's momentum after one step is 0.05 of it) is that of one process with the whole batch."""
    one, two = tmp_path / "one", tmp_path / "two"
    train_here(*run_words(photograph_folder, one, *ONE_STEP))
    said = call_twice(run_words(photograph_folder, two, *ONE_STEP))
    assert said.count("no --vgg file") == 2, "one line from each process"
    a, b = (load_file(run / "checkpoint.safetensors") for run in (one, two))
    names = [k for k in a if "momentum_buffer" in k]
    assert len(names) > 10
    for k in names:
        assert (a[k] - b[k]).abs().max() <= 1e-4 * a[k].abs().max(), k
    (first,), (second,) = (read_csv(run / "log.csv") for run in (one, two))
    assert float(first["answer"]) == pytest.approx(float(second["answer"]), rel=1e-4)


@pytest.mark.slow
def test_two_processes_end_together_by_the_clock(photograph_folder, tmp_path):
    call_twice(run_words(photograph_folder, tmp_path / "run", "--batch", 2, "--minutes", 0.2, "--validated", 1))
    assert checkpoints.is_finished(tmp_path / "run")


@pytest.mark.slow  # 169 million parameters, and their state
def test_a_release_run_from_the_command_line_and_its_judgement(photograph_folder, tmp_path):
    more = ("--stage", "latents", "--latents", "release", "--optimiser", "adam", "--lr", "1e-4", "--fillers")
    more = (*more, "--train", "decoder")  # of all 169 million parameters the state would be 2.7 GB
    train_here(*run_words(photograph_folder, tmp_path / "run", *ONE_STEP, *more))
    table = tmp_path / "judged.csv"
    judge_run(tmp_path / "run", table, count=2)
    (row,) = read_csv(table)
    assert row["latents"] == "release"
    assert float(row["kl"]) > 0
    assert 0 <= float(row["active"]) <= sr.LATENTS
    assert 5 < float(row["psnr"]) < float(row["psnr_bicubic"])  # an untrained net
    assert {"psnr_prior", "diversity_prior", "psnr_deploy"} <= row.keys()
    with safe_open(tmp_path / "run" / "checkpoint.safetensors", "pt") as f:
        assert f.get_slice("model.ip1.weight").get_shape() == [4096, 32768]


def test_optimisers_get_their_state_back(tmp_path, batch):
    run = trainer(tmp_path, optimiser="adam", lr=1e-3)
    run.train_step(batch)
    run.save(1.0)
    again = Trainer(run.config)
    again.resume()
    for each in (run, again):
        each.train_step(batch)
    for name, p in run.net.named_parameters():
        assert torch.equal(p, again.net.get_parameter(name)), name
