"""Scores in data/results.csv, and the command line of srvae evaluate."""

import functools
import shutil
from pathlib import Path

import numpy as np
import pytest

import srvae_core as sr
from benchmark_helpers import write_vgg
from conftest import BENCHMARKS
from srvae import images, metrics, release
from srvae.benchmarks import cli
from srvae.benchmarks import evaluate as module
from srvae.benchmarks.evaluate import (
    DEFAULT_SETS,
    EVERYWHERE,
    SAMPLES_PER_IMAGE,
    SET_SETTINGS,
    SETTINGS,
    VGG_SAMPLES,
    Method,
    answer,
    enlarge_set,
    evaluate,
    named_method,
    print_rows,
    score,
)
from srvae.benchmarks.sets import pair
from srvae.csvfiles import PUBLISHED, RESULTS, read_csv, weights_version, write_csv
from srvae.vgg import VGG19

MODEL, METHOD, SCALE = "4x-D", "SR-VAE-D", 4
NAMES = ("chelsea", "coffee")


@pytest.fixture
def tiny(tmp_path, monkeypatch, crops) -> Path:
    """A set "Tiny" of two 64x64 images, without NIQE; returns the path of a results file."""
    (tmp_path / "sets" / "Tiny").mkdir(parents=True)
    for name in NAMES:
        images.write(tmp_path / "sets" / "Tiny" / f"{name}.png", crops[name][64:128, 64:128])
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    monkeypatch.delenv("SRVAE_VGG", raising=False)
    monkeypatch.setattr(module, "niqe_at_hand", lambda: False)
    return tmp_path / "results.csv"


@pytest.fixture
def run(tiny):
    """A function that evaluates the default answers to the set."""
    return functools.partial(evaluate, sets=["Tiny"], settings=["default"], results=tiny, progress=False)


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """The names of the methods whose rows are computed, as they are."""
    names, score_set = [], module.score_set

    def noted(method, *others):
        names.append(method.name)
        return score_set(method, *others)

    monkeypatch.setattr(module, "score_set", noted)
    return names


def row_of(rows, method, setting="default"):
    return next(row for row in rows if (row["method"], row["settings"]) == (method, setting))


# Scores


@pytest.mark.parametrize(("dataset", "scale"), [("Set5", 4), ("Set5", 8), ("Set14", 4), ("Set14", 8)])
def test_bicubic_enlargement_has_the_published_psnr(dataset, scale, benchmark_set):
    values = []
    for image in benchmark_set(dataset):
        hr = metrics.crop_to_multiple(image, scale)
        values.append(metrics.psnr_y(sr.enlarge(sr.downscale(hr, scale), scale), hr, scale))
    published = {(r["method"], r["scale"], r["dataset"]): float(r["psnr_y"]) for r in read_csv(PUBLISHED)}
    assert np.mean(values) == pytest.approx(published["Bicubic", str(scale), dataset], abs=0.02)


def test_answers_are_those_of_super_resolve(random_model, crops):
    model, lr = random_model(4), crops["coffee"][:20, :16]
    expected = {
        "default": sr.super_resolve(lr, model),
        "unrounded": sr.super_resolve(lr, model, as_float=True),
        "temperature 0.5": sr.super_resolve(lr, model, temperature=0.5),
        "self-ensemble": release.self_ensemble(lr, model),
        "release tiling": release.super_resolve(lr, model, as_float=True),
        "release tiling, self-ensemble": release.super_resolve(lr, model, as_float=True, self_ensemble=True),
    }
    for name, image in expected.items():
        answers, seconds = answer(Method("", 4, model=model), lr, SETTINGS[name])
        assert answers[0].dtype == image.dtype
        np.testing.assert_allclose(answers[0], image, atol=1e-6)
        assert len(answers) == (SAMPLES_PER_IMAGE if name == "temperature 0.5" else 1)
        assert seconds > 0
    assert np.array_equal(answer(Method("Bicubic", 4), lr, SETTINGS["default"])[0][0], sr.enlarge(lr, 4))


def test_samples_have_the_seeds_from_zero(random_model, crops):
    model, lr = random_model(4), crops["coffee"][:16, :16]
    samples, _ = answer(Method("", 4, model=model), lr, SETTINGS["temperature 1"])
    for seed in (1, SAMPLES_PER_IMAGE - 1):
        assert np.array_equal(samples[seed], sr.super_resolve(lr, model, temperature=1.0, seed=seed))


def test_scores_are_means_over_answers(crops, tmp_path, natural_model):
    hr = crops["coffee"][:208, :208]
    lr, vgg = sr.downscale(hr, 4), VGG19(write_vgg(tmp_path / "vgg.safetensors"))
    up = sr.enlarge(lr, 4)
    answers = [up, up // 2, up[::-1], hr]
    scores = score(answers, hr, lr, 4, vgg)
    assert scores["psnr"] == pytest.approx(np.mean([metrics.psnr_y(x, hr, 4) for x in answers]))
    assert scores["ssim"] == pytest.approx(np.mean([metrics.ssim_y(x, hr, 4) for x in answers]))
    assert scores["niqe"] == pytest.approx(np.mean([metrics.niqe(x, 4) for x in answers]))
    assert scores["lr_psnr"] == pytest.approx(np.mean([metrics.lr_psnr(x, lr, 4) for x in answers]))
    assert scores["vgg"] == pytest.approx(np.mean(vgg.distances(answers[:VGG_SAMPLES], hr, 4)))
    assert scores["diversity"] == pytest.approx(metrics.diversity(answers, hr))


def test_scores_that_cannot_be_computed_are_nan(crops, natural_model):
    hr = crops["coffee"][:64, :64]  # too small for NIQE
    scores = score([hr // 2], hr, sr.downscale(hr, 4), 4)
    assert {name for name, value in scores.items() if np.isnan(value)} == {"niqe", "vgg", "diversity"}


# Rows of the results file


def test_rows_are_means_over_images(tiny, run, shipped):
    vgg = write_vgg(tiny.parent / "vgg.safetensors")
    rows = run([MODEL], settings=["default", "unrounded", "temperature 1"], vgg=vgg)
    assert rows == read_csv(tiny)
    assert list(rows[0]) == list(read_csv(RESULTS)[0])
    for setting in ("default", "temperature 1"):
        scores, row = [], row_of(rows, METHOD, setting)
        for name in NAMES:
            hr, lr = pair("Tiny", name, SCALE)
            answers, _ = answer(Method("", SCALE, model=shipped(MODEL)), lr, SETTINGS[setting])
            scores.append(score(answers, hr, lr, SCALE, VGG19(vgg)))
        for column in ("psnr", "ssim", "vgg", "lr_psnr") + ("diversity",) * (setting == "temperature 1"):
            assert float(row[column]) == pytest.approx(np.mean([s[column] for s in scores]), abs=6e-5)
        assert (row["scale"], row["set"], row["images"], row["niqe"]) == ("4", "Tiny", "2", "")
        assert row["version"] == weights_version(MODEL)
        assert float(row["seconds"]) > 0
    assert row_of(rows, METHOD, "default")["diversity"] == ""
    assert row_of(rows, METHOD, "unrounded")["vgg"] == ""  # the distance is that of 8-bit answers
    assert row_of(rows, "Bicubic")["version"] == ""


def test_notebooks_and_results_have_the_same_scores(run, shipped, capsys):
    row = row_of(run([MODEL]), METHOD)
    average = enlarge_set(shipped(MODEL), "Tiny")[-1]
    for column in ("psnr", "ssim", "lr_psnr"):
        assert average[column] == pytest.approx(float(row[column]), abs=6e-5)
    print_rows([average], psnr=2, ssim=4)
    printed = capsys.readouterr().out.splitlines()[1].split()
    assert printed == ["average", f"{average['psnr']:.2f}", f"{average['ssim']:.4f}"]


def test_rows_of_the_same_weights_are_kept(tiny, run, computed):
    rows = run([MODEL])
    assert computed == ["Bicubic", METHOD]
    assert run([MODEL]) == rows
    assert computed == ["Bicubic", METHOD]


def test_a_row_of_other_weights_is_computed_again(tiny, run, computed):
    rows = run([MODEL])
    other = row_of(rows, METHOD) | {"version": "other", "psnr": "1"}
    unrelated = other | {"method": "SR-VAE-P"}
    write_csv(tiny, [row_of(rows, "Bicubic"), other, other | {"settings": "unrounded"}, unrelated])
    computed.clear()
    again = run([MODEL])
    assert computed == [METHOD]
    assert row_of(again, METHOD)["psnr"] == row_of(rows, METHOD)["psnr"]
    assert [(row["method"], row["settings"]) for row in again] == [
        ("Bicubic", "default"),
        (METHOD, "default"),  # the old unrounded row is gone
        ("SR-VAE-P", "default"),
    ]


def test_a_row_of_another_number_of_images_is_computed_again(tiny, run, computed):
    run([], scales=[4])
    (tiny.parent / "sets" / "Tiny" / "coffee.png").unlink()
    (row,) = run([], scales=[4])
    assert (row["images"], len(computed)) == ("1", 2)


def test_a_row_without_a_score_that_can_be_computed_is_computed_again(tiny, run, computed):
    run([], scales=[4])
    file = write_vgg(tiny.parent / "vgg.safetensors")
    rows = run([], scales=[4], vgg=file)
    assert float(rows[0]["vgg"]) > 0
    assert run([], scales=[4], vgg=file) == run([], scales=[4]) == rows
    assert len(computed) == 2


def test_finished_rows_are_in_the_file_after_an_interruption(tiny, run, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "answer", lambda method, *a: interrupted() if method.model else answer(method, *a))
    with pytest.raises(KeyboardInterrupt):
        run([MODEL])
    assert [row["method"] for row in read_csv(tiny)] == ["Bicubic"]


def test_a_weights_file_is_named_like_the_shipped_model(tmp_path):
    path = tmp_path / f"SR_VAE_{MODEL}.safetensors"
    shutil.copy(sr.WEIGHTS / path.name, path)
    named, shipped = named_method(str(path)), named_method(MODEL)
    assert (named.name, named.scale, named.version) == (shipped.name, shipped.scale, shipped.version)


# The committed results


def test_results_are_those_of_the_shipped_weights():
    versions = {name: weights_version(name) for name in sr.available_models()}
    for row in read_csv(RESULTS):
        if row["method"] != "Bicubic":
            assert row["version"] == versions[f"{row['scale']}x-{row['method'][-1]}"]


def test_the_default_command_measures_all_rows_of_the_results():
    expected = {("Bicubic", str(scale), name, "default") for scale in sr.SCALES for name in DEFAULT_SETS}
    for name in DEFAULT_SETS:
        for setting in SET_SETTINGS.get(name, EVERYWHERE):
            expected |= {(m, str(s), name, setting) for m in ("SR-VAE-D", "SR-VAE-P") for s in sr.SCALES}
    assert {(r["method"], r["scale"], r["set"], r["settings"]) for r in read_csv(RESULTS)} == expected


@pytest.mark.slow
def test_rows_of_set5_are_those_of_the_results(tmp_path, monkeypatch, natural_model):
    if not (BENCHMARKS / "Set5").is_dir():
        pytest.skip(f"no {BENCHMARKS / 'Set5'}")
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(BENCHMARKS))
    models = sr.available_models()
    rows = evaluate(models, ["Set5"], settings=["default"], results=tmp_path / "results.csv", progress=False)
    committed = [row for row in read_csv(RESULTS) if (row["set"], row["settings"]) == ("Set5", "default")]
    for row, expected in zip(rows, committed, strict=True):
        for column in expected.keys() - {"seconds", "vgg"}:
            if column in ("psnr", "ssim", "niqe", "lr_psnr"):  # other processors round differently
                assert float(row[column]) == pytest.approx(float(expected[column]), abs=0.002)
            else:
                assert row[column] == expected[column]


# The command line


def test_scores_are_written_into_the_results_file(tiny, capsys):
    cli.main(["scores", "--models", "--sets", "Tiny/", "--results", str(tiny)])
    assert {r["set"] for r in read_csv(tiny)} == {"Tiny"}
    assert [(r["method"], r["scale"]) for r in read_csv(tiny)] == [("Bicubic", "4"), ("Bicubic", "8")]
    assert f"2 rows in {tiny}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sets", "Nowhere"], "there is no image set 'Nowhere'"),
        (["--settings", "slow"], "there is no setting 'slow'"),
        (["--models", "5x-D"], "no model '5x-D'"),
        (["--models", "--vgg", "gone.safetensors"], "gone.safetensors"),
        (["--models", "--vgg", "vgg19.pth"], "vgg19.pth"),
    ],
)
def test_errors_of_the_user_end_with_a_line(tiny, words, message):
    with pytest.raises(SystemExit, match=f"^error: .*{message}"):  # a text as the exit code is printed, and 1 returned
        cli.main(["scores", "--sets", "Tiny", "--results", str(tiny), *words])
    assert not tiny.exists()


def test_scales_choose_among_the_shipped_models(monkeypatch):
    asked = []

    def noted(models, sets, **options):
        asked.append((models, list(sets), options["scales"]))
        return []

    monkeypatch.setattr(cli, "evaluate", noted)
    for words in ([], ["--scales", "8"], ["--models", "--scales", "4", "8"], ["--models", "4x-D"]):
        cli.main(["scores", *words])
    assert asked == [
        ([*sr.available_models(4), *sr.available_models(8)], list(DEFAULT_SETS), []),
        (sr.available_models(8), list(DEFAULT_SETS), [8]),
        ([], list(DEFAULT_SETS), [4, 8]),
        (["4x-D"], list(DEFAULT_SETS), []),
    ]


def test_a_vgg_file_is_named_by_an_option_or_a_variable(monkeypatch):
    asked = []
    monkeypatch.setattr(cli, "evaluate", lambda *_, **options: asked.append(options["vgg"]) or [])
    monkeypatch.setenv("SRVAE_VGG", "variable.safetensors")
    cli.main(["scores"])
    cli.main(["scores", "--vgg", "option.safetensors"])
    monkeypatch.setenv("SRVAE_VGG", "")
    cli.main(["scores"])
    assert asked == ["variable.safetensors", "option.safetensors", None]
