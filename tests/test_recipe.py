"""The recipe: D and P of a scale, from photographs, a teacher and a VGG-19."""

import pytest
import torch
from safetensors.torch import save_file

import srvae_core as sr
from benchmark_helpers import write_vgg
from helpers import VapSRNetwork, train_here
from srvae.csvfiles import read_csv
from srvae.training import recipe
from srvae.training.train import read_checkpoint


@pytest.mark.slow
def test_a_rehearsal_resumes_and_leaves_both_models_and_a_table(photograph_folder, tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    save_file(VapSRNetwork(4, blocks=1).state_dict(), tmp_path / "teacher.safetensors")
    vgg, out = write_vgg(tmp_path / "vgg.safetensors", "conv4_1"), tmp_path / "out"
    words = ["recipe", "--data", photograph_folder, "--out", out, "--minutes", 1, "--rehearse", "--device", "cpu"]
    words += ["--teacher", tmp_path / "teacher.safetensors", "--features", vgg]
    trained, names = recipe.train, []

    def train(config, photographs):
        names.append(config.run.split("/")[-1])
        if names == ["answer", "D"]:
            raise KeyboardInterrupt
        return trained(config, photographs)

    monkeypatch.setattr(recipe, "train", train)
    with pytest.raises(KeyboardInterrupt):
        train_here(*words)
    train_here(*words)
    assert names == ["answer", "D", "answer", "D", "P"]
    rows = read_csv(out / "table.csv")
    assert [row["model"] + row["after"] for row in rows] == ["SR_VAE_4x-Danswer", "SR_VAE_4x-DD", "SR_VAE_4x-PP"]
    assert float(rows[2]["spread_sample"]) > 0
    d, p = (sr.load_model(out / f"SR_VAE_4x-{variant}.safetensors") for variant in "DP")
    assert (d.temperature, p.temperature) == (0, recipe.P_TEMPERATURE)
    assert torch.equal(d.feat2_1.weight, p.feat2_1.weight)
    assert [row["run"] for row in read_csv(out / "curves" / "4x-P.csv")] == ["answer", "D", "P"]
    history = read_checkpoint(out / "runs" / "P")["history"]
    assert [stage["stage"] for stage in history] == ["answer", "prior", "adversarial"]


def test_the_history_has_the_teachers_file_name(photograph_folder, tmp_path, monkeypatch):
    (tmp_path / "teacher.safetensors").write_bytes(b"")
    configs = []
    monkeypatch.setattr(recipe, "train", lambda config, _: configs.append(config) or exit())
    words = ("--data", photograph_folder, "--out", tmp_path, "--teacher", tmp_path / "teacher.safetensors")
    with pytest.raises(SystemExit):
        train_here("recipe", "--minutes", 1, *words)
    assert "--teacher teacher.safetensors" in configs[0].command()


def test_a_missing_file_of_the_last_stage_is_named_before_the_first(photograph_folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        train_here(
            "recipe", "--data", photograph_folder, "--out", tmp_path / "out", "--minutes", 1, "--features", "gone"
        )
    assert ended.value.code == 2
    assert "there is no file or folder gone" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
