"""What README and Training say of the shipped models in words, held by numbers."""

import re

import pytest
import torch
from csvfiles import RESULTS, read_csv
from prose import COMMANDS, TRAINING, says
from torch import nn
from training.export import PIECE_BYTES
from training.objective import kl_divergence
from training.validation import correlation_between

import srvae_core as sr

TRIED = sr.WEIGHTS / "curves" / "tried.csv"
NOISE = sr.WEIGHTS / "curves" / "noise.csv"
RELEASED = {4: 105_000 * 16, 8: 95_000 * 16}  # patches that the release had seen: file names, solver


def test_from_0_to_1_niqe_and_psnr_fall_and_the_vgg_distance_rises():
    says("From 0 to 1, NIQE falls, which is better")
    says("PSNR falls and the VGG distance rises, which is worse")
    walks: dict[tuple[str, str], dict[float, tuple[float, ...]]] = {}
    for row in read_csv(RESULTS):
        if row["settings"].startswith("temperature") and row["set"] == "bundled":
            temperature = float(row["settings"].split()[1])
            scores = float(row["niqe"]), float(row["psnr"]), float(row["vgg"])
            walks.setdefault((row["method"], row["scale"]), {})[temperature] = scores
    assert len(walks) == len(sr.available_models())
    for who, walk in walks.items():
        to_one = [walk[temperature] for temperature in sorted(walk) if temperature <= 1]
        assert len(to_one) > 2
        niqe, psnr, vgg = zip(*to_one, strict=True)
        assert list(niqe) == sorted(niqe, reverse=True), (who, niqe)
        assert list(psnr) == sorted(psnr, reverse=True), (who, psnr)
        assert list(vgg) == sorted(vgg), (who, vgg)


def test_an_answer_reduced_again_is_the_small_photograph():
    says("reduced again, an answer gives it back nearly exactly")
    rows = [r for r in read_csv(RESULTS) if r["method"].startswith("SR-VAE")]
    kept = [float(r["lr_psnr"]) for r in rows if r["settings"] in ("default", "temperature 1")]
    assert kept
    assert min(kept) > 45, "45 dB are an error of 1.4 grey levels"


@pytest.mark.parametrize("name", sr.available_models())
def test_the_models_are_what_readme_calls_them(name, shipped):
    says("The shipped weights have seen far fewer patches than the release's")
    says("**D** (distortion) gives the single answer of z = 0")
    says("**P** (perception) shares most of its fully connected layers with D")
    says("was trained on with a VGG term")
    says("the answer was taught by a stronger network, VapSR, beside the originals")
    says("D without a VGG term, P with VGG-19 up to conv3_4; the energy score sees features of a distilled VGG-19")
    model = sr.ModelName.of(name)
    notes = sr.read_notes(sr.WEIGHTS / model.file)
    runs = notes["history"]
    assert sum(run["steps"] * run["batch"] for run in runs) < RELEASED[model.scale] / 2
    if model.variant == "D":
        assert shipped(name).temperature == 0
        assert "vapsr" in runs[-1]["teacher"]
        assert not any(run.get("vgg") for run in runs)
    else:
        base = dict(shipped(f"{model.scale}x-D").named_modules())
        layers = {n: layer for n, layer in shipped(name).named_modules() if isinstance(layer, nn.Linear)}
        shared = [n for n, layer in layers.items() if torch.equal(layer.weight, base[n].weight)]
        assert len(shared) > len(layers) / 2
        assert "conv3_4" in runs[-1]["vgg"]


@pytest.mark.parametrize("name", sr.available_models())
def test_noise_of_the_shipped_weights_is_as_said(name, shipped, crops):
    """g follows the photograph, which it did not before generators were shaped."""
    says("new latents' noise starts shaped by local contrast, and the generator stands still")
    says("$|g|$ becomes nearly the same for every patch, as it was in version 0.1", TRAINING)
    model = shipped(name)
    patches = [sr.to_tensor(sr.downscale(crop[:128, :128], model.scale)) for crop in crops.values()]
    with torch.inference_mode():
        sizes = torch.cat([sr.LatentField(model, patch, eight_bit=True).g.abs() for patch in patches])
    assert correlation_between(sizes) < 0.5
    earlier = [row for row in read_csv(NOISE) if row["model"] == f"{model.scale}x-D of 0.1" and row["g"] == "own"]
    assert float(earlier[0]["correlation"]) > 0.8


def test_averaging_over_turns_is_more_accurate():
    says("Averaging the answers for 8 flips and rotations is more accurate than one answer", TRAINING)
    psnr = {(r["method"], r["scale"], r["set"], r["settings"]): float(r["psnr"]) for r in read_csv(RESULTS)}
    averaged = [key[:3] for key in psnr if key[3] == "self-ensemble"]
    assert len(averaged) == len(sr.available_models())
    assert all(psnr[(*who, "self-ensemble")] > psnr[(*who, "default")] for who in averaged)


@pytest.mark.parametrize("scale", sr.SCALES)
def test_what_was_tried_did_what_training_says(scale):
    says(
        "In this table neither the self-ensemble as teacher (`ensemble`) nor the other loss (`psnr`) moved the answer "
        "of z = 0 by 0.1 dB from the run before (`joint`). Samples came nearer to the originals, with less spread.",
        TRAINING,
    )
    tried = {row["run"]: row for row in read_csv(TRIED)}
    psnr, nearness, spread = (
        {run: float(tried[f"{scale}x-{run}"][name]) for run in ("joint", "ensemble", "psnr")}
        for name in ("psnr", "psnr_prior", "spread_prior")
    )
    for run in ("ensemble", "psnr"):
        assert abs(psnr[run] - psnr["joint"]) < 0.1
        assert nearness[run] > nearness["joint"]
        assert spread[run] < spread["joint"]


def test_the_ablation_shows_what_training_says():
    says(
        "the KL of a whole patch falls below one nat, no latent is active, and samples from the prior differ by half",
        TRAINING,
    )
    says("`release` also loses PSNR at its own deploy draw", TRAINING)
    says("Only the energy score (`prior`) gives samples that differ, at the price of a single sample's PSNR", TRAINING)
    tried = {row["run"].removeprefix("ablation-"): row for row in read_csv(TRIED) if row["run"].startswith("ablation-")}
    figures = {run: {name: float(row[name] or "nan") for name in list(row)[3:]} for run, row in tried.items()}
    for run in ("release", "sample"):
        assert figures[run]["kl"] < 1
        assert figures[run]["active"] == 0
        assert round(figures[run]["spread_prior"], 1) <= 0.5
        assert figures["prior"]["spread_prior"] > 4 * figures[run]["spread_prior"]
        assert figures["prior"]["psnr_prior"] < figures[run]["psnr_prior"]
    assert figures["release"]["psnr_deploy"] < figures["release"]["psnr_prior"]


def test_the_objective_at_length_did_what_training_says():
    says("20,000 steps of batch 16, a fifth of the release's own length", TRAINING)
    says("At the first look, after 2,000 steps, no latent is active any more", TRAINING)
    says("less than a tenth of a grey level by then, goes to nothing", TRAINING)
    says("z = 0, the prior and even the deploy nets' draw, ten times as wide, have the same PSNR", TRAINING)
    rows = read_csv(sr.WEIGHTS / "curves" / "4x-original.csv")
    assert (rows[0]["step"], rows[-1]["step"]) == ("2000", "20000")
    assert round(105_000 / 20_000) == 5
    assert all(float(row["active"]) == 0 and float(row["kl"]) < 1 for row in rows)
    assert float(rows[0]["spread_sample"]) < 0.1
    assert float(rows[-1]["spread_sample"]) == 0
    (row,) = (row for row in read_csv(TRIED) if row["run"] == "4x-original")
    assert row["steps"] == "20000"
    assert row["psnr"] == row["psnr_prior"] == row["psnr_deploy"]


def test_the_first_step_of_the_objective_is_the_priors():
    says(
        "costs 47 nats for each of 1,024 latents, about what L1 is of a black patch in the place of a white one",
        TRAINING,
    )
    sd_of_one = float(kl_divergence(torch.zeros(1), torch.zeros(1)))
    assert int(sd_of_one) == 47
    assert 1024 * sd_of_one == pytest.approx(3 * sr.PATCH**2, rel=0.03)


@pytest.mark.parametrize("scale", sr.SCALES)
def test_the_trials_before_a_discriminator_did_what_training_says(scale):
    says("None of these is shipped: they lost PSNR at z = 0, as this table shows", TRAINING)
    says("a lower VGG distance than the shipped models', and a worse energy score", TRAINING)
    tried = {row["run"]: float(row["psnr"]) for row in read_csv(TRIED)}
    for run, before in (("samples", "outliers"), ("mean", "outliers"), ("P4", "P3")):
        assert tried[f"{scale}x-{run}"] < tried[f"{scale}x-{before}"]
    rows = {row["model"]: row for row in read_csv(NOISE) if row["g"] == "own"}
    trial, shipped = rows[f"{scale}x-mean"], rows[f"{scale}x-D"]
    assert float(trial["vgg"]) < float(shipped["vgg"])
    assert float(trial["energy"]) > float(shipped["energy"])


@pytest.mark.parametrize("scale", sr.SCALES)
def test_p_before_a_discriminator_did_what_training_says(scale):
    says("Its samples spread more than those of `P3`, and their PSNR fell.", TRAINING)
    tried = {row["run"]: row for row in read_csv(TRIED)}
    trial, before = tried[f"{scale}x-P5"], tried[f"{scale}x-P3"]
    assert float(trial["spread_prior"]) > float(before["spread_prior"])
    assert float(trial["psnr_prior"]) < float(before["psnr_prior"])


def test_p_was_trained_as_long_as_training_says():
    says("`4x-P12`, from `P3` by 155 steps, and `8x-P13`, from `8x-P9` by 215, are P as they are shipped.", TRAINING)
    says("(at 8x 160 steps)", TRAINING)
    steps = {}
    for scale in sr.SCALES:
        for stage in sr.read_notes(sr.WEIGHTS / sr.ModelName(scale, "P").file)["history"]:
            steps[re.search(r"--run (\S+)|$", stage["command"]).group(1)] = stage["steps"]
    assert steps["4x-P8"] + steps["4x-P12"] == 155
    assert steps["8x-P11"] + steps["8x-P12"] + steps["8x-P13"] == 215
    assert steps["8x-P6"] + steps["8x-P7"] == 160


@pytest.mark.parametrize("scale", sr.SCALES)
def test_the_shape_of_noise_is_worth_what_training_says(scale):
    says(
        "In both shipped D, shaped noise has a lower energy score and a lower VGG distance than the same noise "
        "unshaped ($g = \\pm 1$)",
        TRAINING,
    )
    says("version 0.1's 4x-D, trained on for 90 steps with and without, hardly differs", TRAINING)
    table = read_csv(NOISE)
    rows = {row["g"]: row for row in table if row["model"] == f"{scale}x-D"}
    for score in ("energy", "vgg"):
        assert 0 < float(rows["+-1"][score]) - float(rows["own"][score]) < 0.02, "small"
    assert abs(float(rows["own"]["correlation"])) < 0.1, "the correlation falls to nearly nothing"
    without, shaped = (row for row in table if row["model"].endswith("90 steps more") and row["g"] == "own")
    assert abs(float(without["energy"]) - float(shaped["energy"])) < 0.01
    assert abs(float(without["vgg"]) - float(shaped["vgg"])) < 0.001


def test_weights_come_in_pieces_as_said():
    says(f"pieces of at most {PIECE_BYTES / 2**20:.0f} MiB", COMMANDS)
