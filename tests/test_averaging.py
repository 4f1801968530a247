"""The mean of several stages' weights, as a run that others go on from."""

import pytest
import torch

import srvae_core as sr
from helpers import run_words, train_here
from srvae.training.averaging import average
from srvae.training.checkpoints import averaged_weights, is_finished, read_discriminator, read_record
from srvae.training.export import export
from srvae.training.files import read_log
from srvae.training.photographs import load_photographs

ONE_STEP = ("--steps", 1, "--batch", 2)


@pytest.fixture(scope="module")
def stages(photograph_folder, tmp_path_factory):
    """A run, one that goes on from it, and one of its own."""
    folder = tmp_path_factory.mktemp("runs")
    first, second, other = (folder / name for name in ("first", "second", "other"))
    train_here(*run_words(photograph_folder, first, *ONE_STEP))
    train_here(*run_words(photograph_folder, second, *ONE_STEP, "--initial", first))
    train_here(*run_words(photograph_folder, other, *ONE_STEP, "--seed", 1))
    return first, second, other


def test_it_is_the_mean_and_a_run_to_go_on_from(stages, photograph_folder, tmp_path):
    first, second, _ = stages
    train_here("average", tmp_path / "mean", first, second, "--data", photograph_folder)
    assert is_finished(tmp_path / "mean")
    a, b, mean = (averaged_weights(run) for run in (first, second, tmp_path / "mean"))
    assert not torch.equal(a["conv1_SR_s1.weight"], b["conv1_SR_s1.weight"])
    for name, t in mean.items():
        torch.testing.assert_close(t, (a[name] + b[name]) / 2)
    assert float(read_log(tmp_path / "mean" / "log.csv")[0]["psnr"]) > 15
    train_here(*run_words(photograph_folder, tmp_path / "next", *ONE_STEP, "--initial", tmp_path / "mean"))
    history = read_record(tmp_path / "next")["history"]
    assert [stage["stage"] for stage in history] == ["answer", "answer", "mean", "answer"]
    assert history[2]["command"].startswith("srvae train average mean first second --data ")
    model = sr.load_model(export(tmp_path / "mean", "4x-D", tmp_path / "weights"))
    torch.testing.assert_close(model.feat2_1.weight, mean["feat2_1.weight"], rtol=1e-3, atol=1e-6)
    assert "| mean 4x | 0 | 0 | 0 |" in (tmp_path / "weights" / "README.md").read_text("utf-8")


def test_weights_files_will_do(stages, photograph_folder, tmp_path):
    first, second, _ = stages
    file = export(first, "4x-D", tmp_path / "weights")
    run = average([file, second], tmp_path / "mean", load_photographs(photograph_folder, 4), count=2)
    a, b, mean = sr.load_model(file).state_dict(), averaged_weights(second), averaged_weights(run)
    torch.testing.assert_close(mean["feat2_1.weight"], (a["feat2_1.weight"] + b["feat2_1.weight"]) / 2)


def test_the_rest_is_the_first_ones(photograph_folder, tmp_path):
    options = ("--stage", "latents", "--shaping", 0, "--batch", 2, "--steps", 1)
    shipped = sr.WEIGHTS / sr.ModelName(4, "D").file
    train_here(*run_words(photograph_folder, tmp_path / "next", *options, "--initial", shipped, "--train", "all"))
    sources = shipped, tmp_path / "next", "--data", photograph_folder
    train_here("average", tmp_path / "mean", *sources, "--part", "convolutions")
    d, moved, mean = sr.load_model(shipped), averaged_weights(tmp_path / "next"), averaged_weights(tmp_path / "mean")
    for name in ("ip4.weight", "ip6.weight", "generator1.weight"):
        assert not torch.equal(moved[name], d.get_parameter(name))
        assert torch.equal(mean[name], d.get_parameter(name))
    torch.testing.assert_close(mean["feat2_1.weight"], (d.feat2_1.weight + moved["feat2_1.weight"]) / 2)
    assert read_record(tmp_path / "mean")["history"][-1]["command"].endswith(" --part convolutions")


def test_the_last_discriminator_goes_along(stages, photograph_folder, tmp_path):
    options = ("--stage", "latents", "--shaping", 0, "--adversarial", 100, *ONE_STEP)
    first = stages[0]
    train_here(*run_words(photograph_folder, tmp_path / "told", *options, "--initial", first))
    train_here("average", tmp_path / "mean", first, tmp_path / "told", "--data", photograph_folder)
    told, mean = (read_discriminator(tmp_path / run) for run in ("told", "mean"))
    assert told
    assert told.keys() == mean.keys()
    assert all(torch.equal(t, mean[name]) for name, t in told.items())


def test_what_has_no_mean_is_refused(stages, photograph_folder, tmp_path):
    first, second, other = stages
    for sources, words in (
        ([first], "of two models or more, not of 1"),
        ([first, other], "other did not go on from .*first"),
        ([second, first], "first did not go on from .*second"),
    ):
        with pytest.raises(ValueError, match=words):
            average(sources, tmp_path / "mean", photograph_folder)
    with pytest.raises(FileNotFoundError):
        average([first, tmp_path / "nowhere"], tmp_path / "mean", photograph_folder)
    with pytest.raises(ValueError, match=r"the part must be one of convolutions, .* not 'hair'"):
        average([first, second], tmp_path / "mean", photograph_folder, part="hair")
    assert not (tmp_path / "mean").exists()
    with pytest.raises(ValueError, match="second holds a run already"):
        average([first, second], second, photograph_folder)
