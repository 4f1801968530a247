"""The recipe: a whole scale within given minutes, killed on the way, from a pack and with files of others' forms."""

import os
import signal
import subprocess
import time

import pytest
import torch
from safetensors.torch import save_file

import srvae_core as sr
from helpers import VapSRNetwork, train_command, train_here
from srvae.csvfiles import read_csv
from srvae.training.config import Config
from srvae.training.export import join
from srvae.training.packing import write_pack
from srvae.training.recipe import Recipe, config_for, minutes_for, stages_of
from srvae.training.schedule import Clock


@pytest.fixture(scope="module")
def files(photograph_folder, tmp_path_factory):
    """A pack and a teacher."""
    folder = tmp_path_factory.mktemp("recipe")
    write_pack(photograph_folder, folder / "pack")
    torch.manual_seed(0)
    save_file(VapSRNetwork(4, blocks=1).state_dict(), folder / "teacher.safetensors")
    return folder


@pytest.mark.slow
def test_killed_twice_it_leaves_both_models_and_a_table(files, tmp_path, capsys):
    """Once in the first stage and once in a later one; in the end as if it had not been."""
    out, work = tmp_path / "out", tmp_path / "work"
    words = ["--data", files / "pack", "--out", out, "--work", work, "--minutes", 0.3, "--rehearse"]
    words = ["recipe", *words, "--device", "cpu", "--teacher", files / "teacher.safetensors"]
    for stage in ("answer", "latents"):
        process = subprocess.Popen(train_command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.time() + 200
        while not (work / stage / "log.csv").exists() and process.poll() is None and time.time() < end:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    capsys.readouterr()
    train_here(*words)
    assert "minutes" in capsys.readouterr().out
    names = sorted(path.name for path in out.iterdir())
    assert names == [
        "4x-D.csv", "4x-P.csv", "SR_VAE_4x-D.safetensors.1of1", "SR_VAE_4x-P.safetensors.1of1", "pieces.json",
        "table.csv",
    ]  # fmt: skip
    assert max(path.stat().st_size for path in out.iterdir()) <= 15 * 2**20
    for path in join(out, tmp_path / "weights"):
        model = sr.load_model(path)
        lr = sr.downscale(torch.randint(256, (64, 64, 3), dtype=torch.uint8).numpy(), 4)
        assert sr.super_resolve(lr, model).shape == (64, 64, 3)
    assert model.temperature == 0.25
    rows = read_csv(out / "table.csv")
    assert [row["model"] for row in rows] == ["bicubic", "teacher", "4x-D", "4x-D", "4x-P", "4x-P", "4x-P"]
    assert all(float(row["psnr"]) > 15 for row in rows if row["model"] != "teacher")  # which is random
    assert float(rows[3]["correlation"]) < 0.9, "noise that knows the picture"
    assert read_csv(out / "4x-P.csv")[0]["run"] == "answer"
    train_here(*words)  # nothing is left but the table
    assert "until minute" not in capsys.readouterr().out


def test_every_stage_is_a_run_that_can_be_meant(tmp_path):
    for scale in (4, 8):
        shared = {"data": "x", "out": "y", "minutes": 5.0, "scale": scale, "work": str(tmp_path)}
        assert [stage.name for stage in stages_of(Recipe(**shared))] == ["answer", "latents", "P"]
        recipe = Recipe(**shared, original=0.2)
        stages = stages_of(recipe)
        assert [stage.name for stage in stages] == ["answer", "latents", "P", "original"]
        assert sum(stage.share for stage in stages) == pytest.approx(1)
        for stage in stages:
            initial = None if stage.name in ("answer", "original") else tmp_path
            config = config_for(recipe, stage, initial, 1.0)
            config.check()
            assert config.scale == scale


def test_the_self_ensemble_may_teach_from_the_start(files, tmp_path):
    shared = {"data": str(files / "pack"), "out": "y", "minutes": 5.0, "work": str(tmp_path)}
    recipe = Recipe(**shared, initial=str(sr.weights_path("4x-D")), teacher=("self",))
    recipe.check()
    assert recipe.networks == ()
    with pytest.raises(ValueError, match="name the weights whose self-ensemble teaches"):
        Recipe(**shared, teacher=("self",)).check()


def test_what_is_left_is_shared_among_the_stages_that_are(tmp_path):
    recipe = Recipe(data="x", out="y", minutes=10.0)
    stages = stages_of(recipe)
    clock = Clock(None, time.monotonic() - 60)
    whole = minutes_for(recipe, stages, tmp_path / "answer", clock)
    assert whole == pytest.approx(0.45 * (9 - 0.6), abs=0.01)
    (tmp_path / "answer").mkdir()
    (tmp_path / "answer" / "clock").write_text("30")
    assert minutes_for(recipe, stages, tmp_path / "answer", clock) == pytest.approx(whole + 0.5, abs=0.01)
    assert minutes_for(recipe, stages[-1:], tmp_path / "P", clock) == pytest.approx(9 - 0.6, abs=0.01)
    assert minutes_for(recipe, stages, tmp_path / "P", Clock(None, time.monotonic() - 595)) is None


def test_the_teacher_goes_on_teaching_the_answer_while_samples_learn(tmp_path):
    """An answer stage after the latents would spoil the samples, since its convolutions forget them."""
    shared = {"data": "x", "out": "y", "minutes": 5.0, "work": str(tmp_path)}
    for teacher in ((), ("t",)):
        by_name = {stage.name: stage.settings for stage in stages_of(Recipe(**shared, teacher=teacher))}
        assert by_name["latents"]["teacher"] == (teacher or ("self",))
        assert "teacher" not in by_name["P"]
        assert list(by_name).index("latents") > list(by_name).index("answer")
    gentle = stages_of(Recipe(**shared, initial="weights"))[0].settings
    assert gentle["lr"] < Config(run="x").lr, "good weights are moved in smaller steps"


def test_shares_that_cannot_be_meant():
    with pytest.raises(ValueError, match="original is a share of the time"):
        Recipe(data="x", out="y", minutes=1.0, original=1.0).check()
    with pytest.raises(ValueError, match="say what to train on"):
        Recipe(data=None, out="y", minutes=1.0).check()
