"""From a run to a weights file, its curve and a row of a table."""

import pytest
import torch

import srvae_core as sr
from helpers import quick, train_here
from srvae.csvfiles import read_csv
from srvae.training.export import export
from srvae.training.train import first_network, read_checkpoint, train


@pytest.fixture(scope="module")
def runs(photograph_folder, tmp_path_factory):
    """A D of three steps, and a P of one more."""
    folder = tmp_path_factory.mktemp("runs")
    d = {"initial": str(sr.weights_path("4x-D")), "stage": "prior", "steps": 3, "validations": 3}
    train(quick(photograph_folder, folder / "d", **d))
    p = {"initial": str(folder / "d"), "stage": "prior", "train": "decoder", "steps": 1, "lr": 0.01}
    train(quick(photograph_folder, folder / "p", **p))
    return folder / "d", folder / "p"


def test_export_writes_the_averaged_weights(runs, tmp_path):
    train_here("export", runs[0], "4x-D", "--folder", tmp_path, "--temperature", 0.5)
    model, state = sr.load_model(tmp_path / "SR_VAE_4x-D.safetensors"), read_checkpoint(runs[0])
    for name in ("conv1_SR_s1", "decoder1"):
        averaged = state["average"][f"{name}.weight"]
        axes = (0, 2, 3) if name == "conv1_SR_s1" else (1, 2, 3)
        step = averaged.abs().amax(axes, keepdim=True) / 127
        assert ((model.get_submodule(name).weight - averaged).abs() <= 0.51 * step).all()
        assert not torch.equal(averaged, state["weights"][f"{name}.weight"])
    assert model.temperature == 0.5
    notes = sr.read_weights(tmp_path / "SR_VAE_4x-D.safetensors")[1]
    assert notes["history"][-1]["stage"] == "prior"
    assert notes["history"][:-1] == sr.read_weights(sr.weights_path("4x-D"))[1].get("history", [])
    assert notes["validation"]["step"] == "3"
    with pytest.raises(ValueError, match="the name must be 4x-D or 4x-P, not '8x-D'"):
        export(runs[0], "8x-D", tmp_path)


def test_p_is_stored_as_its_difference_from_d(runs, tmp_path):
    whole = export(runs[0], "4x-D", tmp_path)
    part = export(runs[1], "4x-P", tmp_path, base="4x-D", temperature=0.15)
    assert part.stat().st_size < 0.2 * whole.stat().st_size
    model, base = sr.load_model(part), sr.load_model(whole)
    for name in ("ip5", "feat2_1"):
        assert torch.equal(model.get_submodule(name).weight, base.get_submodule(name).weight)
    own = read_checkpoint(runs[1])["average"]["conv1_SR_s1.weight"]
    assert (model.conv1_SR_s1.weight - own).abs().max() < 0.01 * own.abs().max()
    assert not torch.equal(model.conv1_SR_s1.weight, base.conv1_SR_s1.weight)
    net, history, new = first_network(quick("d", "r", stage="prior", initial=str(part)))
    assert (len(history), new) == (len(read_checkpoint(runs[1])["history"]), False)
    assert torch.equal(net.ip5.weight, model.ip5.weight)


def test_a_curve_joins_earlier_runs(runs, photograph_folder, tmp_path):
    export(runs[1], "4x-P", tmp_path)
    curve, earlier = (read_csv(folder / "curves" / f"4x-{v}.csv") for folder, v in ((tmp_path, "P"), (sr.WEIGHTS, "D")))
    rows = [(row["run"], row["stage"], row["step"]) for row in curve]
    mine = [*(("d", "prior", step) for step in "123"), ("p", "prior", "1")]
    assert rows == [(row["run"], row["stage"], row["step"]) for row in earlier] + mine
    assert curve[-1]["psnr_sample"] == read_csv(runs[1] / "log.csv")[0]["psnr_sample"]


def test_judge_adds_a_row(runs, tmp_path):
    (tmp_path / "table.csv").write_text("run,steps\nearlier,9\n")
    train_here("judge", runs[0], tmp_path / "table.csv")
    earlier, row = read_csv(tmp_path / "table.csv")
    assert earlier["steps"] == "9"
    assert (row["run"], row["steps"], row["latents"]) == ("d", "3", "prior")
    assert float(row["spread_deploy"]) > float(row["spread_prior"]) > 0
