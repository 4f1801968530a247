"""Runs: resuming, checkpoints, NaN, full disks, locks, several processes."""

import ast
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import srvae_core as sr
from helpers import assert_same, new_run, patches, quick, run_words, train_here
from srvae.csvfiles import read_csv
from srvae.training.patches import Patches
from srvae.training.train import NotFiniteError, Run, is_due, read_checkpoint, train

PRIOR = {"stage": "prior", "initial": str(sr.weights_path("4x-D")), "train": "all"}


class Killed(BaseException):
    """Nothing in the program handles it, as nothing handles SIGKILL."""


@pytest.fixture(scope="module")
def finished(photograph_folder, tmp_path_factory):
    """The folder of a finished run of the answer stage."""
    folder = tmp_path_factory.mktemp("runs") / "answer"
    train(quick(photograph_folder, folder))
    return folder


# -- resuming -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"validations": 2, "checkpoints": 4}, {"stage": "prior", "train": "all", "shaping": 50, "validations": 4}],
    ids=["answer", "prior"],
)
def test_a_killed_run_resumes_bit_for_bit(photograph_folder, finished, tmp_path, monkeypatch, options):
    """Killed before the last step, with sums for the log in the checkpoint, or a row of the log after it."""
    options = {"initial": str(finished), "steps": 4, "checkpoints": 2} | options
    whole, killed = (quick(photograph_folder, tmp_path / name, **options) for name in ("whole", "killed"))
    train(whole)
    step = Run.train_step

    def die_later(run, *arguments):
        if run.step == 3:
            raise Killed
        step(run, *arguments)

    monkeypatch.setattr(Run, "train_step", die_later)
    with pytest.raises(Killed):
        train(killed)
    monkeypatch.undo()
    state, rows = read_checkpoint(tmp_path / "killed"), read_csv(tmp_path / "killed" / "log.csv")
    assert state["sums"] if options["checkpoints"] == 4 else int(rows[-1]["step"]) > state["step"]
    train(killed)
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_a_finished_run_is_left_as_it_is_and_can_be_made_longer(photograph_folder, finished, tmp_path):
    before = (finished / "checkpoint.pt").read_bytes()
    train(quick(photograph_folder, finished))
    assert (finished / "checkpoint.pt").read_bytes() == before
    shutil.copytree(finished, tmp_path / "longer")
    assert train(quick(photograph_folder, tmp_path / "longer", steps=3)).step == 3
    assert [row["step"] for row in read_csv(tmp_path / "longer" / "log.csv")] == ["2", "3"]


# -- a step, the log ----------------------------------------------------------------------------------------


def test_a_step_moves_what_its_stage_trains_and_averages_weights_and_terms(photograph_folder, tmp_path):
    run = new_run(tmp_path, **PRIOR | {"train": "stage"}, vgg_weight=0.0)
    before = {name: p.detach().clone() for name, p in run.net.named_parameters()}
    average = {name: t.clone() for name, t in run.average.items()}
    losses = []
    for step, weight in enumerate((0.9, 9 / 11)):  # the average's decay rises from 0.1
        batch = patches(photograph_folder, batch=2)(step)
        losses.append(float(run.objective(batch | run.objective.draw(step))["energy"].detach()))
        run.train_step(batch)
        average = {name: torch.lerp(t, run.parameters[name].detach(), weight) for name, t in average.items()}
    moved = {name for name, p in run.net.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if not name.startswith(("feat", "input"))}
    for name, t in average.items():
        torch.testing.assert_close(run.average[name], t)
    assert float(run.sums["energy"]) / run.summed == pytest.approx(sum(losses) / 2, rel=1e-5)


@pytest.mark.parametrize(("steps", "count"), [(3, 7), (10, 1), (49, 7), (500, 3), (7, 3)])
def test_events_are_evenly_spread(steps, count):
    at = [i + 1 for i, pair in enumerate(pairwise(step / steps for step in range(steps + 1))) if is_due(count, *pair)]
    assert len(at) == min(count, steps)
    assert at[-1] == steps
    assert max(b - a for a, b in pairwise([0, *at])) <= -(-steps // min(count, steps))


# -- errors -------------------------------------------------------------------------------------------------


def refusal(capsys, *words: object, code: int = 2) -> str:
    """The one line with which a command ends that cannot be carried out."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        train_here(*words)
    assert stopped.value.code == code
    lines = [line for line in capsys.readouterr().err.splitlines() if "%|" not in line]  # without progress bars
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture(scope="module")
def half(photograph_folder, tmp_path_factory):
    """The folder of a run of the first of two steps."""
    folder = tmp_path_factory.mktemp("half") / "run"
    train(quick(photograph_folder, folder, stop=0.5))
    return folder


@pytest.fixture
def begun(half, photograph_folder, tmp_path):
    """A copy of it, and the command that takes the second step; the test must leave its checkpoint as it is."""
    folder = Path(shutil.copytree(half, tmp_path / "run"))
    yield folder, run_words(photograph_folder, folder)
    assert (folder / "checkpoint.pt").read_bytes() == (half / "checkpoint.pt").read_bytes()
    assert not list(tmp_path.rglob("*.part"))


def test_nan_ends_a_run(begun, monkeypatch, capsys):
    cut = Patches.cut
    monkeypatch.setattr(Patches, "cut", lambda *a: {name: t * float("nan") for name, t in cut(*a).items()})
    assert f"the loss of step 2 is not finite; {begun[0]} keeps its last" in refusal(capsys, *begun[1], code=3)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    run = new_run(tmp_path)
    with torch.no_grad():
        run.net.input1.bias[3] = float("inf")
    with pytest.raises(NotFiniteError, match="the weights of step 0 are not finite"):
        run.save()
    assert not (tmp_path / "run").exists()


def test_a_disk_that_fills_up_ends_a_run(begun, capsys):
    """The system refuses to write on in the middle of the checkpoint."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, limits[1]))
    try:
        assert "File too large" in refusal(capsys, *begun[1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_run_begun_otherwise_is_not_resumed(begun, photograph_folder, tmp_path, capsys):
    assert "begun with other settings: seed (0, now 1)" in refusal(capsys, *begun[1], "--seed", 1)
    others = Path(shutil.copytree(photograph_folder, tmp_path / "others"))
    (others / "coffee.png").unlink()
    assert "begun on other photographs" in refusal(capsys, *begun[1], "--data", others)


def test_a_second_process_in_the_folder_is_refused(begun, capsys):
    folder, words = begun
    code = f"import filelock; a = filelock.FileLock({str(folder / 'lock')!r}); a.acquire(); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert f"another process is training in {folder}" in refusal(capsys, *words)
        other.communicate(b"\n")


def test_a_damaged_checkpoint_is_named_and_kept(begun, capsys):
    folder, words = begun
    file, whole = folder / "checkpoint.pt", (folder / "checkpoint.pt").read_bytes()
    try:
        for content in (whole[: len(whole) // 2], b"", b"no checkpoint"):
            file.write_bytes(content)
            assert f"{file} is damaged" in refusal(capsys, *words)
            assert file.read_bytes() == content
    finally:
        file.write_bytes(whole)


# -- processes and devices ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_compute_the_gradients_of_one(photograph_folder, tmp_path):
    """Muon's momentum after one step is 0.05 of the gradient. (`accelerate launch --cpu` starts one process only.)"""
    words = ["--batch", 2, "--steps", 1, "--stage", "prior", "--initial", sr.weights_path("4x-D"), "--train", "decoder"]
    train_here(*run_words(photograph_folder, tmp_path / "one", *words))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--", "-m", "srvae", "train"]
    command = [sys.executable, *launcher, *run_words(photograph_folder, tmp_path / "two", *words)]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    one, two = (read_checkpoint(tmp_path / name)["optimisers"][1]["state"] for name in ("one", "two"))
    assert len(one) > 5
    for key, state in one.items():
        wanted = state["momentum_buffer"]
        # In float32 L1's sign may flip at a pixel, which changes single entries by more than their rounding.
        assert (two[key]["momentum_buffer"] - wanted).norm() < 1e-3 * wanted.norm()
    logs = [read_csv(tmp_path / name / "log.csv")[0] for name in ("one", "two")]
    assert float(logs[1]["energy"]) == pytest.approx(float(logs[0]["energy"]), abs=0.02)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_a_cuda_graph_gives_the_gradients_of_plain_calls(photograph_folder, tmp_path):
    graph, plain = (new_run(tmp_path, **PRIOR, device="cuda", compile=compile) for compile in (True, False))
    for step in range(3):
        batch = patches(photograph_folder, batch=2)(step)
        for run in (graph, plain):
            run.train_step(dict(batch), 1e-3)
        for name, t in graph.sums.items():
            torch.testing.assert_close(t, plain.sums[name], rtol=1e-3, atol=0)


def test_the_benchmark_counts_steps_and_operations(photograph_folder, capsys):
    train_here("benchmark", *run_words(photograph_folder, "unused", "--batch", 2)[1:], "--seconds", 0.1)
    found = ast.literal_eval(capsys.readouterr().out.splitlines()[-1])
    assert found["patches/s"] == pytest.approx(2 * found["steps/s"], rel=0.1)
    assert 0 < found["share of product"] < 2
