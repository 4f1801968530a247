"""Scores into data/results.csv: settings, jobs, resuming, other methods' files."""

import functools
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import srvae_core as sr
from benchmark_helpers import write_vgg
from srvae import csvfiles, images, metrics, release
from srvae.benchmarks.answers import ROUNDS, SAMPLES_PER_IMAGE, SETTINGS, VGG_SAMPLES, Answers, plan
from srvae.benchmarks.evaluate import DEFAULT_SETS, enlarge_set, evaluate, print_rows
from srvae.benchmarks.jobs import jobs, measured_models
from srvae.benchmarks.results import RESULT_COLUMNS
from srvae.benchmarks.scoring import score, smallest_original
from srvae.benchmarks.sets import load_image, originals_version, pair
from srvae.csvfiles import PUBLISHED, RESULTS, read_csv, write_csv
from srvae.training.weights import save_model
from srvae.vgg import VGG19

MODEL = sr.available_models()[0]
SCALE, VARIANT = int(MODEL[0]), MODEL.partition("x-")[2]
# NIQE needs a file that is not shipped, and 192 pixels an edge; its own tests are elsewhere
run_evaluate = functools.partial(evaluate, progress=False, niqe=False)


@pytest.fixture
def tiny(tmp_path, monkeypatch, crops) -> Path:
    """A set "Tiny" of two 64x64 images; returns the results file to use."""
    (tmp_path / "sets" / "Tiny").mkdir(parents=True)
    for name in ("chelsea", "coffee"):
        images.write(tmp_path / "sets" / "Tiny" / f"{name}.png", crops[name][64:128, 64:128])
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    return tmp_path / "results.csv"


def row_of(rows, method, settings):
    return next(r for r in rows if (r["method"], r["settings"]) == (method, settings))


@pytest.mark.parametrize(("dataset", "scale"), [("Set5", 4), ("Set5", 8), ("Set14", 4), ("Set14", 8)])
def test_bicubic_meets_the_published_rows(dataset, scale, benchmark_set):
    values = []
    for image in benchmark_set(dataset):
        hr = metrics.crop_to_multiple(image, scale)
        up = sr.enlarge(sr.downscale(hr, scale), scale)
        values.append(metrics.psnr_y(up, hr, scale))
    row = next(
        r for r in read_csv(PUBLISHED) if (r["method"], r["scale"], r["dataset"]) == ("Bicubic", str(scale), dataset)
    )
    assert np.mean(values) == pytest.approx(float(row["psnr_y"]), abs=0.02)


def test_evaluate_writes_the_scores(tiny, shipped):
    rows = run_evaluate([MODEL], ["Tiny"], settings=["default", "temperature 1"], results=tiny)
    assert rows == read_csv(tiny)
    assert tuple(rows[0]) == RESULT_COLUMNS
    model = shipped(MODEL)
    fidelity, diversity = [], []
    for name in ("chelsea", "coffee"):
        hr, lr = pair("Tiny", name, SCALE)
        answer = sr.super_resolve(lr, model)
        fidelity.append((metrics.psnr_y(answer, hr, SCALE), metrics.ssim_y(answer, hr, SCALE)))
        sampler = sr.Sampler(model, lr)
        diversity.append(metrics.diversity([sampler(seed, 1.0) for seed in range(SAMPLES_PER_IMAGE)], hr))
    row = row_of(rows, f"SR-VAE-{VARIANT}", "default")
    assert [float(row["psnr"]), float(row["ssim"])] == pytest.approx(np.mean(fidelity, 0), abs=6e-5)
    assert (row["images"], row["niqe"], row["diversity"]) == ("2", "", "")
    assert row["version"] == csvfiles.weights_version(MODEL) + originals_version("Tiny")
    assert float(row["seconds"]) > 0
    sampled = row_of(rows, f"SR-VAE-{VARIANT}", "temperature 1")
    assert float(sampled["diversity"]) == pytest.approx(np.mean(diversity), abs=6e-5)
    # notebooks score the same way
    average = enlarge_set(model, "Tiny")[-1]
    assert average["psnr"] == pytest.approx(float(row["psnr"]), abs=6e-5)
    assert average["ssim"] == pytest.approx(float(row["ssim"]), abs=6e-5)


def test_the_vgg_distance_is_that_of_8_bit_answers(tiny, shipped):
    """Of samples the first few are looked at; a file of too few layers is refused before anything is computed."""
    file = write_vgg(tiny.parent / "vgg.safetensors")
    settings = ["default", "unrounded", "temperature 1"]
    rows = run_evaluate([MODEL], ["Tiny"], settings=settings, results=tiny, vgg=file)
    assert row_of(rows, f"SR-VAE-{VARIANT}", "unrounded")["vgg"] == ""
    means = {"default": [], "temperature 1": []}
    for name in ("chelsea", "coffee"):
        hr, lr = pair("Tiny", name, SCALE)
        for setting, values in means.items():
            answers, _ = Answers(shipped(MODEL), lr)(SETTINGS[setting])
            inner = slice(SCALE, -SCALE)
            x, y = (torch.cat([sr.to_tensor(a[inner, inner]) for a in pictures]) for pictures in (answers, [hr]))
            values.append(float(VGG19(file).distance(x[:VGG_SAMPLES], y.expand_as(x[:VGG_SAMPLES])).mean()))
    for setting, values in means.items():
        assert float(row_of(rows, f"SR-VAE-{VARIANT}", setting)["vgg"]) == pytest.approx(np.mean(values), abs=6e-5)
    short = write_vgg(tiny.parent / "short.safetensors", "conv2_2")
    with pytest.raises(ValueError, match=r"the last layer of short\.safetensors is conv2_2, but the VGG"):
        run_evaluate([MODEL], ["Tiny"], settings=["temperature 0.5"], results=tiny, vgg=short)
    assert read_csv(tiny) == rows


def test_evaluate_goes_on_where_it_was(tiny):
    calls = []

    class Counted(Answers):
        def __call__(self, settings):
            calls.append(settings)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return super().__call__(settings)

    run = functools.partial(run_evaluate, [MODEL], ["Tiny"], results=tiny, answers=Counted)
    with pytest.raises(KeyboardInterrupt):
        run(settings=["default", "unrounded"])
    rows = run(settings=["default", "unrounded"])
    assert len(calls) == 5  # both answers to the first image were kept
    assert run(settings=["default", "unrounded"]) == rows
    assert len(calls) == 5  # and nothing is left to do
    write_csv(tiny, [r | {"version": "other"} if r["method"] != "Bicubic" else r for r in rows], RESULT_COLUMNS)
    rows = run(settings=["default"])
    assert len(calls) == 7  # other weights: computed anew
    assert {r["settings"] for r in rows} == {"default"}  # and what the old ones gave is gone
    originals = originals_version("Tiny")
    assert {r["version"] for r in rows} == {originals, csvfiles.weights_version(MODEL) + originals}
    assert not tiny.with_suffix(".partial.csv").exists()


def test_a_picture_that_took_anothers_place_is_scored_anew(tiny, tmp_path, crops):
    run = functools.partial(run_evaluate, [], ["Tiny"], scales=[4], results=tiny)
    before = row_of(run(), "Bicubic", "default")["psnr"]
    original = tmp_path / "sets" / "Tiny" / "coffee.png"
    images.write(original, np.full_like(images.read(original), 90))
    assert float(row_of(run(), "Bicubic", "default")["psnr"]) > float(before) + 5
    assert originals_version("bundled") == originals_version("Set5") == ""  # known pictures


def test_weights_that_are_replaced_while_they_are_scored_are_refused(tiny, tmp_path):
    path = tmp_path / f"SR_VAE_{MODEL}.safetensors"
    shutil.copy(sr.WEIGHTS / path.name, path)

    class Replacing(Answers):
        def __call__(self, settings):
            save_model(self.model, path, rank=16)
            return super().__call__(settings)

    other = tmp_path / "sets" / "Other"
    other.mkdir()
    shutil.copy(tmp_path / "sets" / "Tiny" / "coffee.png", other)
    with pytest.raises(ValueError, match="were replaced meanwhile"):  # found before the second set
        run_evaluate([str(path)], ["Tiny", "Other"], settings=["default"], results=tiny, answers=Replacing)


def test_answers_are_those_of_super_resolve(random_model, crops):
    model, lr = random_model(4), crops["coffee"][:20, :16]
    answers = Answers(model, lr)
    expected = {
        "default": sr.super_resolve(lr, model),
        "unrounded": sr.super_resolve(lr, model, as_float=True),
        "temperature 1": sr.super_resolve(lr, model, temperature=1.0),
        "self-ensemble": release.self_ensemble(lr, model),
        "release tiling": release.super_resolve(lr, model, as_float=True),
    }
    for name, answer in expected.items():
        got, seconds = answers(SETTINGS[name])
        assert got[0].dtype == answer.dtype
        np.testing.assert_allclose(got[0], answer, atol=1e-6)
        assert len(got) == (SAMPLES_PER_IMAGE if name == "temperature 1" else 1)
        assert seconds > 0


def test_an_image_is_encoded_once_for_all_samples(random_model, crops):
    answers = Answers(random_model(4), crops["coffee"][:16, :16])
    assert answers.sampler is None
    answers(SETTINGS["default"])
    sampler = answers.sampler
    for name in ("unrounded", "temperature 0.5", "temperature 1"):
        answers(SETTINGS[name])
        assert answers.sampler is sampler


def test_the_plan_holds_what_readme_and_figures_need():
    assert sorted(name for names in ROUNDS for name in names) == sorted(SETTINGS)
    everywhere = {"default", "unrounded", "temperature 1"}
    assert all(everywhere <= set(plan(name)) for name in (*DEFAULT_SETS, "Urban100"))
    walk = {0.25 * i for i in range(7)}
    assert {SETTINGS[name].temperature or 0 for name in plan("bundled")} == walk
    ways = {"self-ensemble", "release tiling", "release tiling, self-ensemble"}
    assert ways <= set(plan("Set5"))
    planned = jobs(measured_models(sr.available_models()), DEFAULT_SETS)
    assert len({job.key for job in planned}) == len(planned)
    assert planned[-1].settings == "release tiling, self-ensemble"  # the slowest comes last
    # what the results hold is what would be measured again
    measured = {tuple(row[k] for k in ("method", "scale", "set", "settings")) for row in read_csv(RESULTS)}
    assert measured <= {job.key for job in planned}


def test_a_weights_file_is_evaluated_like_a_shipped_model(tmp_path):
    path = tmp_path / f"SR_VAE_{MODEL}.safetensors"
    shutil.copy(sr.WEIGHTS / path.name, path)
    from_file, from_name = (jobs(measured_models([model]), ["bundled"])[1] for model in (str(path), MODEL))
    assert from_file.head == from_name.head
    with pytest.raises(FileNotFoundError, match=r"no model .3x-D.: .*4x-D"):
        measured_models(["3x-D"])


def test_the_bar_counts_the_work_that_is_left(tiny, capsys):
    settings = ["default", "temperature 1"]
    work = sum(job.work for job in jobs(measured_models([MODEL]), ["Tiny"], settings))
    assert work == 10 + 10 + 37  # bicubic counts like an answer
    evaluate([MODEL], ["Tiny"], settings=settings, results=tiny, niqe=False)
    assert "100%|" in capsys.readouterr().err.splitlines()[-1]  # no percentage if more was done than counted


def test_a_peers_files_are_scored_like_our_own(tiny, tmp_path):
    folder = tmp_path / "peer" / "Tiny" / "x4"
    folder.mkdir(parents=True)
    up = {name: sr.enlarge(sr.downscale(load_image("Tiny", name), 4), 4) for name in ("chelsea", "coffee")}
    images.write(folder / "chelsea_PEER.png", up["chelsea"])
    images.write(folder / "coffee.png", up["coffee"])
    rows = run_evaluate([], ["Tiny"], peers={"Peer": str(tmp_path / "peer")}, scales=[4], results=tiny)
    peer, bicubic = row_of(rows, "Peer", "files"), row_of(rows, "Bicubic", "default")
    assert all(peer[k] == bicubic[k] for k in ("images", "psnr", "ssim", "lr_psnr"))
    assert peer["seconds"] == ""


def test_evaluate_refuses_unknown_settings_before_it_computes(tiny):
    with pytest.raises(ValueError, match="no settings 'slow'"):
        run_evaluate([], ["Tiny"], settings=["slow"], results=tiny)
    assert not tiny.exists()


def test_originals_too_small_to_score_are_named_before_anything_is_computed(tiny, monkeypatch):
    folder = tiny.parent / "sets" / "Tiny"
    for name, size in (("dot", (3, 3)), ("line", (31, 400)), ("enough", (32, 39))):
        images.write(folder / f"{name}.png", np.zeros((*size, 3), np.uint8))
    monkeypatch.setattr("srvae.benchmarks.scoring.score", None)  # nothing may call it
    message = "at 8x an original needs 32x32 pixels to be scored: dot of Tiny has 3x3; line of Tiny has 31x400"
    with pytest.raises(ValueError, match=f"^{message}$"):
        run_evaluate([], ["Tiny"], results=tiny)
    with pytest.raises(ValueError, match=r"at 4x an original needs 20x20 pixels .* dot of Tiny has 3x3$"):
        run_evaluate([], ["Tiny"], scales=[4], results=tiny)
    with pytest.raises(ValueError, match="dot of Tiny has 3x3"):
        enlarge_set(SimpleNamespace(scale=4), "Tiny")
    assert not tiny.exists()


@pytest.mark.parametrize(("scale", "least"), [(4, 20), (8, 32)])
def test_the_smallest_original_can_be_scored(scale, least, crops):
    assert smallest_original(scale) == least
    hr = crops["coffee"][:least, :least]
    assert np.isfinite(score([hr // 2], hr, sr.downscale(hr, scale), scale, niqe=False)["ssim"])
    smaller = hr[: least - scale, : least - scale]
    with pytest.raises(ValueError, match="SSIM needs"):
        score([smaller], smaller, sr.downscale(smaller, scale), scale, niqe=False)


def test_models_that_cannot_be_scored_are_named(tmp_path, tiny):
    four, eight = sr.available_models(4)[0], sr.available_models(8)[0]
    damaged = tmp_path / "SR_VAE_4x-E.safetensors"
    damaged.write_bytes((sr.WEIGHTS / f"SR_VAE_{four}.safetensors").read_bytes()[:1000])
    (tmp_path / "folder.safetensors").mkdir()
    for name in sr.available_models(4):  # P's file holds only what differs from D's
        shutil.copy(sr.WEIGHTS / f"SR_VAE_{name}.safetensors", tmp_path)
    twin = tmp_path / f"twin-{four.partition('x-')[2]}.safetensors"
    shutil.copy(sr.weights_path(sr.available_models(4)[-1]), twin)
    for models, scales, message in (
        ([four, str(tmp_path / "gone.safetensors")], [], r"no model '.*gone\.safetensors'"),
        (["5x-D"], [], "no model '5x-D'"),
        ([str(tmp_path / "folder.safetensors")], [], "no model"),
        ([str(damaged)], [], r"SR_VAE_4x-E\.safetensors is not a readable weights file"),
        ([four, eight], [4], f"{eight} enlarges 8x, but only 4x was asked for"),
        ([], [5], "scales are 4 and 8, not 5"),
        ([four, str(twin)], [], "would both be called"),
    ):
        with pytest.raises((FileNotFoundError, ValueError), match=message):
            run_evaluate(models, ["Tiny"], scales=scales, results=tiny)
    assert not tiny.exists()


def test_what_is_named_twice_counts_once(tiny):
    twice = measured_models([MODEL, MODEL, str(sr.WEIGHTS / f"SR_VAE_{MODEL}.safetensors")])
    assert [model.model for model in twice] == [MODEL]
    planned = jobs(twice, ["Tiny", "Tiny"], ["default", "default"], scales=[SCALE, SCALE])
    assert [job.method for job in planned] == ["Bicubic", f"SR-VAE-{VARIANT}"]


def test_a_damaged_original_is_named_before_anything_is_computed(tiny):
    path = tiny.parent / "sets" / "Tiny" / "zebra.png"
    path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=rf"'Tiny' has files that cannot be read: .*{path.name}"):
        run_evaluate([], ["Tiny"], results=tiny)
    assert not tiny.exists()


def test_score_takes_niqe_where_it_can(crops, natural_model):
    hr = crops["coffee"][:208, :208]
    lr = sr.downscale(hr, 4)
    up = sr.enlarge(lr, 4)
    assert score([up], hr, lr, 4)["niqe"] == pytest.approx(metrics.niqe(up, 4))
    assert np.isnan(score([up], hr, lr, 4, niqe=False)["niqe"])
    small = slice(0, 64), slice(0, 64)  # too small for NIQE
    assert np.isnan(score([up[small]], hr[small], sr.downscale(hr[small], 4), 4, niqe=True)["niqe"])


def test_rows_are_printed_in_columns(capsys):
    print_rows([{"image": "cat", "psnr": 31.234, "ssim": 0.98765}], psnr=2, ssim=4)
    assert capsys.readouterr().out.splitlines()[1].split() == ["cat", "31.23", "0.9877"]


def test_results_are_from_the_shipped_weights():
    rows = [r for r in read_csv(RESULTS) if r["method"].startswith("SR-VAE-")]
    if not rows:
        pytest.skip("data/results.csv has not been made yet")
    versions = {name: csvfiles.weights_version(name) for name in sr.available_models()}
    for row in rows:
        assert row["version"] == versions[f"{row['scale']}x-{row['method'][-1]}"]
