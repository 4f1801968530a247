"""From a run to files: compact weights, the model card with its curves, and pieces."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import srvae_core as sr
from helpers import run_words, train_here, trainer
from srvae.csvfiles import read_csv
from srvae.training.checkpoints import averaged_weights, read_record
from srvae.training.config import Config
from srvae.training.export import export, join, lay_start, split
from srvae.training.trainer import starting_network
from srvae.training.weights import save_model

ONE_STEP = ("--steps", 1, "--batch", 2)


@pytest.fixture(scope="module")
def runs(photograph_folder, tmp_path_factory):
    """A D of one step and a P of one more."""
    folder = tmp_path_factory.mktemp("runs")
    d, p = folder / "d", folder / "p"
    train_here(*run_words(photograph_folder, d, *ONE_STEP))
    train_here(*run_words(photograph_folder, p, *ONE_STEP, "--initial", d, "--variant", "P", "--train", "decoder"))
    return d, p


def test_export_ships_the_averaged_weights_with_a_card(runs, tmp_path):
    path = export(runs[0], "4x-D", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "SR_VAE_4x-D.safetensors", "curves"]
    model = sr.load_model(path)
    averaged = load_file(runs[0] / "checkpoint.safetensors")["ema.feat2_1.weight"]
    step = averaged.abs().amax((1, 2, 3), keepdim=True) / 127
    assert ((model.feat2_1.weight - averaged).abs() <= 0.51 * step).all()
    (stage,) = read_record(runs[0])["history"]
    assert stage["steps"] == 1
    assert stage["command"].startswith("srvae train run ")
    assert stage["command"] in (tmp_path / "README.md").read_text("utf-8")
    with pytest.raises(ValueError, match="the name must be 4x-D or 4x-P, not '8x-D'"):
        export(runs[0], "8x-D", tmp_path)
    save_file({"a": torch.ones(1)}, tmp_path / "SR_VAE_4x-P.safetensors")  # of somebody else: the card has it, too
    export(runs[0], "4x-D", tmp_path)
    assert "how it was trained is not on record" in (tmp_path / "README.md").read_text("utf-8")


def test_p_is_stored_as_what_differs_from_d(runs, tmp_path):
    d, p = runs
    whole = export(d, "4x-D", tmp_path)
    train_here("export", p, "4x-P", "--base", "4x-D", "--temperature", 0.15, "--folder", tmp_path)
    part, card = tmp_path / "SR_VAE_4x-P.safetensors", (tmp_path / "README.md").read_text("utf-8")
    assert part.stat().st_size < 0.2 * whole.stat().st_size < 2e6
    model, base = sr.load_model(part), sr.load_model(whole)
    for name in ("ip5", "feat2_1"):
        assert torch.equal(model.get_submodule(name).weight, base.get_submodule(name).weight)
    assert (model.temperature, base.temperature) == (0.15, 0)
    assert not torch.equal(model.conv1_SR_s1.weight, base.conv1_SR_s1.weight)
    own = load_file(p / "checkpoint.safetensors")["ema.conv1_SR_s1.weight"]
    assert (model.conv1_SR_s1.weight - own).abs().max() < 0.01 * own.abs().max()
    assert card.count("a rest of rank 16 is kept") == 2
    assert "What is not in the file is 4x-D's." in card
    assert "Answers at temperature 0.15" in card
    assert [r["run"] for r in read_csv(tmp_path / "curves" / "4x-P.csv")] == ["d", "p"]
    size = part.stat().st_size
    save_model(model, part, base="4x-D")
    assert part.stat().st_size == pytest.approx(size, rel=0.01), "loaded and written again it is no larger"
    again = sr.load_model(part)
    for name in ("ip5", "conv1_SR_s1"):
        torch.testing.assert_close(again.get_submodule(name).weight, model.get_submodule(name).weight)


def test_a_base_that_changes_is_noticed(runs, tmp_path):
    d, p = runs
    whole, part = export(d, "4x-D", tmp_path), export(p, "4x-P", tmp_path, base="4x-D")
    before = part.read_bytes()
    with pytest.raises(ValueError, match="cannot have the base 4x-D: a base is another 4x model of rank 5"):
        export(p, "4x-P", tmp_path, base="4x-D", rank=5)
    assert part.read_bytes() == before
    train_here("export", d, "4x-D", "--rank", 5, "--folder", tmp_path)
    differs = r"SR_VAE_4x-P\.safetensors holds only what differs from 4x-D, and .* is missing or has changed since"
    with pytest.raises(ValueError, match=differs):
        sr.load_model(part)
    whole.unlink()
    with pytest.raises(ValueError, match=differs):
        sr.load_model(part)
    with pytest.raises(FileNotFoundError, match="the base 4x-D is not beside"):
        export(p, "4x-P", tmp_path, base="4x-D")


def test_a_start_is_the_answer_alone(runs, tmp_path):
    d, p = runs
    source = export(p, "4x-P", tmp_path / "weights")
    for number, from_where in enumerate((source, p)):
        folder = lay_start(from_where, tmp_path / f"start{number}")
        assert (folder / "checkpoint.safetensors").stat().st_size < 6e6
        wanted = averaged_weights(p) if from_where == p else sr.load_model(source).state_dict()
        for stage, new_latents in (("answer", False), ("latents", True)):
            run = trainer(tmp_path, initial=str(folder), stage=stage, shaping=0)
            assert run.new_latents == new_latents
            for name in ("feat3_1.weight", "conv1_SR_s2.weight", "SR_res.weight"):
                torch.testing.assert_close(run.net.get_parameter(name).detach(), wanted[name], rtol=2e-3, atol=1e-6)
        assert run.history[0]["command"] == read_record(d)["history"][0]["command"]
    train_here("start", source, tmp_path / "by command")
    assert read_record(tmp_path / "by command") == read_record(tmp_path / "start0")
    with pytest.raises(FileNotFoundError):
        lay_start(tmp_path / "nowhere.safetensors", tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_run_from_a_weights_file_learns_from_its_self_ensemble(photograph_folder, runs, tmp_path):
    """It knows how the file came about, and neither the latents nor what they meet at z = 0 are disturbed."""
    more = ("--stage", "latents", "--initial", runs[0], "--steps", 1)
    train_here(*run_words(photograph_folder, tmp_path / "latents", *more))
    file = export(tmp_path / "latents", "4x-D", tmp_path / "weights")
    more = ("--initial", file, "--teacher", "self", "--teacher-share", 0.8, "--pool", 2, "--steps", 2)
    train_here(*run_words(photograph_folder, tmp_path / "run", *more))
    history = read_record(tmp_path / "run")["history"]
    assert [stage["stage"] for stage in history] == ["answer", "latents", "answer"]
    assert "--teacher self --teacher-share 0.8" in history[-1]["command"]
    before, after = sr.load_model(file), averaged_weights(tmp_path / "run")
    for name in ("ip5", "ip6", "generator1", "generator2", "decoder1"):
        assert torch.equal(before.get_submodule(name).weight, after[f"{name}.weight"]), name
    assert not torch.equal(before.feat2_1.weight, after["feat2_1.weight"])
    factor = history[-1].get("noise_factor", 1.0)  # 1 where no other has a lower energy score
    torch.testing.assert_close(after["ip4.weight"], factor * before.ip4.weight, rtol=1e-3, atol=0)
    export(tmp_path / "run", "4x-D", tmp_path / "again")
    curve = read_csv(tmp_path / "again" / "curves" / "4x-D.csv")
    assert [row["run"] for row in curve] == ["d", "latents", "run", "run"]
    assert "its own self-ensemble" in (tmp_path / "again" / "README.md").read_text("utf-8")

    net, _, new = starting_network(Config(run="x", stage="latents", initial=str(tmp_path / "run")))
    assert not new, "trained latents must not start anew"
    assert torch.equal(net.ip4.weight, after["ip4.weight"])


@pytest.fixture
def pieces(runs, tmp_path):
    """D and P in pieces of a third of a megabyte, and the folder that they were cut from."""
    weights, out = tmp_path / "weights", tmp_path / "out"
    files = [export(runs[0], "4x-D", weights), export(runs[1], "4x-P", weights, base="4x-D")]
    names = [path.name for path in split(files, out, 333_333)]
    assert names[-1] == "pieces.json"
    assert len(names) == len(set(names)) > 20
    assert max(path.stat().st_size for path in out.iterdir()) <= 333_333
    shutil.copy(weights / "curves" / "4x-P.csv", out)
    return weights, out


def test_pieces_come_together_as_they_were(pieces, tmp_path):
    weights, out = pieces
    joined = join(out, tmp_path / "joined")
    assert [path.name for path in joined] == ["SR_VAE_4x-D.safetensors", "SR_VAE_4x-P.safetensors"]
    for path in joined:
        assert path.read_bytes() == (weights / path.name).read_bytes()
        assert sr.load_model(path).scale == 4
    assert (tmp_path / "joined" / "README.md").read_text("utf-8") == (weights / "README.md").read_text("utf-8")
    assert (tmp_path / "joined" / "curves" / "4x-P.csv").is_file()


def test_damaged_or_missing_pieces_leave_nothing_behind(pieces, tmp_path):
    _, out = pieces
    names = json.loads((out / "pieces.json").read_text("utf-8"))["SR_VAE_4x-D.safetensors"]["pieces"]
    data = bytearray((out / names[3]).read_bytes())
    data[100] ^= 1
    (out / names[3]).write_bytes(data)
    with pytest.raises(ValueError, match=r"SR_VAE_4x-D\.safetensors: its pieces in .* are damaged"):
        join(out, tmp_path / "joined")
    (out / names[3]).unlink()
    with pytest.raises(FileNotFoundError, match=rf"lacks pieces: {names[3]}"):
        join(out, tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_fewer_pieces_take_the_place_of_more(pieces):
    weights, out = pieces
    split([weights / "SR_VAE_4x-P.safetensors"], out)
    assert [path.name for path in out.glob("*of*")] == ["SR_VAE_4x-P.safetensors.1of1"]
