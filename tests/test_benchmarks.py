"""Image sets, NIQE, the evaluation and its tables, speed and memory."""

import functools
import hashlib
import http.server
import math
import os
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.optimize import brentq

import srvae_core as sr

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
sys.path.insert(0, str(ROOT / "notebooks"))
import benchmarks  # noqa: E402
import niqe  # noqa: E402


@pytest.fixture
def natural_model(monkeypatch):
    """NIQE's model from the folder beside the checkout; skips where there is none."""
    path = SHARED / "perceptual" / "niqe_pris_params.npz"
    if not path.exists():
        pytest.skip(f"no {path}")
    monkeypatch.setenv("SRVAE_NIQE", str(path))
    niqe.natural_model.cache_clear()
    benchmarks.niqe_at_hand.cache_clear()
    yield niqe.natural_model()
    niqe.natural_model.cache_clear()
    benchmarks.niqe_at_hand.cache_clear()


@pytest.fixture
def without_niqe(monkeypatch):
    """As on a machine that has no NIQE model and no network."""
    monkeypatch.setattr(benchmarks, "niqe_at_hand", lambda: False)


# Image sets


def test_bundled_photographs(photographs):
    assert benchmarks.image_names("bundled") == list(benchmarks.BUNDLED)
    assert np.array_equal(benchmarks.load_image("bundled", "coffee"), photographs["coffee"])
    with pytest.raises(ValueError, match="none of the bundled photographs"):
        benchmarks.bundled("lena")


def test_registry_names_every_image_of_the_sets():
    sets = benchmarks.registry()
    assert {name: len(rows) for name, rows in sets.items()} == {"Set5": 5, "Set14": 14, "BSD100": 100, "Urban100": 100}
    hashes = [row["sha256"] for rows in sets.values() for row in rows]
    assert all(len(h) == 64 and int(h, 16) for h in hashes)
    assert len(set(hashes)) == 219


def thumbnail(grey: np.ndarray) -> np.ndarray:
    """16x16 grey levels of mean 0 and length 1: their product is how alike two pictures are, at most 1."""
    small = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).astype(float)
    small -= small.mean()
    return (small / (np.linalg.norm(small) + 1e-9)).ravel()


def test_no_training_photograph_is_a_judged_one():
    files = sorted((SHARED / "train").rglob("*.jpg"))
    if not files:
        pytest.skip(f"no photographs in {SHARED / 'train'}")
    judged = [sr.read_image(p) for name in benchmarks.TABLE_SETS for p in (SHARED / "benchmarks" / name).glob("*.png")]
    judged = [cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (*judged, *map(benchmarks.bundled, benchmarks.BUNDLED))]
    turned = [turn(x) for x in judged for turn in (np.asarray, np.fliplr)]
    ours = np.stack([thumbnail(x) for x in turned])
    theirs = np.stack([thumbnail(cv2.imread(str(p), cv2.IMREAD_REDUCED_GRAYSCALE_2)) for p in files])
    assert (ours @ theirs.T).max() < 0.9
    for grey in judged:  # while a smaller, slightly cut copy, compressed, would be noticed
        cut = cv2.resize(grey[4:-4, 4:-4], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        copy = cv2.imdecode(cv2.imencode(".jpg", cut, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_GRAYSCALE)
        assert (ours @ thumbnail(copy)).max() > 0.9


@pytest.fixture
def server(tmp_path, monkeypatch, crops):
    """A set of one image behind a web server of our own: (server, image)."""
    image = crops["coffee"][:32, :48]
    folder = tmp_path / "served"
    folder.mkdir()
    sr.write_image(folder / "one.png", image)
    digest = hashlib.sha256((folder / "one.png").read_bytes()).hexdigest()
    (tmp_path / "registry.csv").write_text(f"dataset,image,path,sha256,bytes\nTiny,one.png,one.png,{digest},0\n")
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(folder)))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    monkeypatch.setattr(benchmarks, "SOURCE", f"http://127.0.0.1:{served.server_port}/")
    monkeypatch.setattr(benchmarks, "REGISTRY", tmp_path / "registry.csv")
    monkeypatch.setenv("SRVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SRVAE_BENCHMARKS", raising=False)
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)  # between the attempts
    yield served, image
    served.shutdown()
    served.server_close()


def test_a_set_is_downloaded_once_and_then_read_offline(server):
    served, image = server
    benchmarks.fetch("Tiny", progress=False)
    served.shutdown()
    served.server_close()
    assert np.array_equal(benchmarks.load_image("Tiny", "one"), image)


def test_offline_the_error_says_what_to_do(server):
    server[0].shutdown()
    server[0].server_close()
    with pytest.raises(benchmarks.SetMissingError, match=r"set SRVAE_BENCHMARKS to a folder that holds Tiny/one\.png"):
        benchmarks.fetch("Tiny", progress=False)


def test_another_file_than_the_registrys_is_refused(server, tmp_path):
    sr.write_image(tmp_path / "served" / "one.png", server[1][:, ::-1])
    with pytest.raises(benchmarks.SetMissingError, match=r"hash"):
        benchmarks.fetch("Tiny", progress=False)


def test_an_interrupted_download_is_tried_again(server):
    handler, attempts = server[0].RequestHandlerClass.func, []

    def do_get(self):
        attempts.append(self.path)
        if len(attempts) < 3:
            self.send_error(503)
        else:
            http.server.SimpleHTTPRequestHandler.do_GET(self)

    handler.do_GET = do_get
    benchmarks.fetch("Tiny", progress=False)
    assert len(attempts) == 3


def test_a_local_folder_comes_before_the_network(server, tmp_path, monkeypatch):
    mirrored = server[1][:, ::-1]
    (tmp_path / "local" / "Tiny").mkdir(parents=True)
    sr.write_image(tmp_path / "local" / "Tiny" / "one.png", mirrored)
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "local"))
    assert np.array_equal(benchmarks.load_image("Tiny", "one"), mirrored)


def test_any_folder_is_a_set(tmp_path, monkeypatch, crops):
    monkeypatch.delenv("SRVAE_BENCHMARKS", raising=False)
    with pytest.raises(benchmarks.SetMissingError, match="no image set 'Manga109'"):
        benchmarks.fetch("Manga109")
    (tmp_path / "Manga109").mkdir()
    sr.write_image(tmp_path / "Manga109" / "page.png", crops["chelsea"][:16, :16])
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path))
    assert benchmarks.image_names("Manga109") == ["page"]
    assert np.array_equal(benchmarks.load_image("Manga109", "page"), crops["chelsea"][:16, :16])


# NIQE, computed another way: explicit sums, MATLAB's imresize as a matrix, the shape as a root


def independent_features(y: np.ndarray) -> np.ndarray:
    """The 36 features of each 96x96 block of y."""
    edge = np.arange(-3, 4)
    window = np.exp(-(edge[:, None] ** 2 + edge[None] ** 2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    rows, cols = y.shape[0] // 96, y.shape[1] // 96
    y = y[: 96 * rows, : 96 * cols]
    features = {(r, c): [] for c in range(cols) for r in range(rows)}
    for size in (96, 48):
        h, w = y.shape
        padded = np.pad(y, 3, mode="edge")
        shifted = [(window[i, j], padded[i : i + h, j : j + w]) for i in range(7) for j in range(7)]
        mean = sum(g * x for g, x in shifted)
        variance = sum(g * (x - mean) ** 2 for g, x in shifted)
        field = (y - mean) / (np.sqrt(np.maximum(variance, 0)) + 1)
        for (r, c), found in features.items():
            block = field[r * size : (r + 1) * size, c * size : (c + 1) * size]
            shape, left, right = independent_gaussian(block)
            found += [shape, (left + right) / 2]
            for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
                product = [
                    [block[i, j] * block[(i - down) % size, (j - across) % size] for j in range(size)]
                    for i in range(size)
                ]
                shape, left, right = independent_gaussian(np.array(product))
                found += [shape, (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape), left, right]
        y = halving(h) @ y @ halving(w).T
    return np.array(list(features.values()))


def halving(n: int) -> np.ndarray:
    """MATLAB's imresize(x, 0.5) of one axis as a matrix (n / 2, n): Keys' kernel widened to twice its size."""
    matrix = np.zeros((n // 2, n))
    for i in range(n // 2):
        centre = 2 * i + 0.5
        for j in range(math.floor(centre) - 4, math.floor(centre) + 6):
            x = abs(centre - j) / 2
            k = 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0
            matrix[i, min(max(j, 0), n - 1)] += k / 2
    return matrix / matrix.sum(1, keepdims=True)


def independent_gaussian(x: np.ndarray) -> tuple[float, float, float]:
    left = math.sqrt(np.mean([v * v for v in x.flat if v < 0]))
    right = math.sqrt(np.mean([v * v for v in x.flat if v > 0]))
    r = left / right
    wanted = np.abs(x).mean() ** 2 / (x**2).mean() * (r**3 + 1) * (r + 1) / (r**2 + 1) ** 2
    ratio = lambda a: math.gamma(2 / a) ** 2 / (math.gamma(1 / a) * math.gamma(3 / a)) - wanted  # noqa: E731
    shape = brentq(ratio, 0.1, 20)
    width = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    return shape, left * width, right * width


@pytest.fixture(scope="module")
def luma_crop(crops):
    """(192, 200) of the motorcycle, whole grey levels: 2 blocks by 2."""
    return niqe.luma(crops["motorcycle"][:192, :200])


def test_niqe_features_equal_those_computed_another_way(luma_crop):
    edge = np.arange(-3, 4)
    window = np.exp(-(edge[:, None] ** 2 + edge[None] ** 2) / (2 * (7 / 6) ** 2))
    found = niqe.features(luma_crop, window / window.sum())
    # The published code looks the shape up in steps of 0.001, the reference solves for it.
    assert found.shape == (4, 36)
    np.testing.assert_allclose(found, independent_features(luma_crop), rtol=2e-3, atol=1e-3)


def test_niqe_equals_the_score_computed_another_way(crops, luma_crop, natural_model):
    mean, covariance, _ = natural_model
    features = independent_features(luma_crop)
    apart = mean - features.mean(0)
    centred = features - features.mean(0)
    spread = (covariance + centred.T @ centred / (len(features) - 1)) / 2
    score = math.sqrt(apart @ np.linalg.solve(spread, apart))
    assert niqe.niqe(crops["motorcycle"][:192, :200]) == pytest.approx(score, abs=0.02)


def test_niqe_prefers_photographs_to_noise_and_blur(photographs, natural_model):
    photo = photographs["astronaut"]
    noisy = np.clip(photo + np.random.default_rng(0).normal(0, 40, photo.shape), 0, 255).astype(np.uint8)
    blurred = sr.enlarge(sr.downscale(photo, 4), 4)
    assert niqe.niqe(photo) < min(niqe.niqe(noisy), niqe.niqe(blurred))


def test_niqe_has_a_border_and_refuses_what_is_too_small(crops, natural_model):
    image = crops["coffee"]
    assert niqe.niqe(image, 8) == pytest.approx(niqe.niqe(image[8:-8, 8:-8]), abs=1e-9)
    for small, border in ((image[:96, :96], 0), (image[:20, :20], 12), (np.zeros((200, 200, 3), np.uint8), 0)):
        with pytest.raises(ValueError, match="NIQE needs two blocks"):
            niqe.niqe(small, border)


def test_niqe_refuses_another_file(tmp_path, monkeypatch):
    (tmp_path / "other.npz").write_bytes(b"no model")
    monkeypatch.setenv("SRVAE_NIQE", str(tmp_path / "other.npz"))
    niqe.natural_model.cache_clear()
    with pytest.raises(ValueError, match="sha256"):
        niqe.natural_model()
    monkeypatch.setenv("SRVAE_NIQE", str(tmp_path / "absent.npz"))
    with pytest.raises(RuntimeError, match="set SRVAE_NIQE"):
        niqe.natural_model()


# Evaluation


@pytest.mark.parametrize(("dataset", "scale"), [("Set5", 4), ("Set5", 8), ("Set14", 4), ("Set14", 8)])
def test_bicubic_meets_the_published_rows(dataset, scale, benchmark_set):
    values = []
    for image in benchmark_set(dataset):
        hr = sr.crop_to_multiple(image, scale)
        up = sr.enlarge(sr.downscale(hr, scale), scale)
        values.append(benchmarks.fidelity(up, hr, scale)["psnr"])
    row = next(
        r
        for r in benchmarks.read_csv(benchmarks.PUBLISHED)
        if (r["method"], r["scale"], r["dataset"]) == ("Bicubic", str(scale), dataset)
    )
    assert np.mean(values) == pytest.approx(float(row["psnr_y"]), abs=0.02)


@pytest.fixture
def tiny(tmp_path, monkeypatch, crops, without_niqe):
    """A set "Tiny" of two 64x64 images; returns the results file to use."""
    (tmp_path / "sets" / "Tiny").mkdir(parents=True)
    for name in ("chelsea", "coffee"):
        sr.write_image(tmp_path / "sets" / "Tiny" / f"{name}.png", crops[name][64:128, 64:128])
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    return tmp_path / "results.csv"


def row_of(rows, method, settings):
    return next(r for r in rows if (r["method"], r["settings"]) == (method, settings))


@pytest.fixture
def model_name():
    return sr.available_models()[0]


def test_evaluate_writes_the_scores(tiny, model_name, shipped, crops):
    rows = benchmarks.evaluate(
        [model_name], ["Tiny"], settings=["default", "temperature 1"], results=tiny, progress=False
    )
    assert rows == benchmarks.read_csv(tiny)
    assert tuple(rows[0]) == benchmarks.COLUMNS
    model, scale, method = shipped(model_name), int(model_name[0]), f"SR-VAE-{model_name[-1]}"
    answers = []
    for name in ("chelsea", "coffee"):
        hr = crops[name][64:128, 64:128]
        out = sr.super_resolve(sr.downscale(hr, scale), model)
        answers.append((sr.psnr_y(out, hr, scale), sr.ssim_y(out, hr, scale)))
    row = row_of(rows, method, "default")
    assert [float(row["psnr"]), float(row["ssim"])] == pytest.approx(np.mean(answers, 0), abs=6e-5)
    assert (row["images"], row["niqe"], row["diversity"]) == ("2", "", "")
    assert float(row["seconds"]) > 0
    sampled = row_of(rows, method, "temperature 1")
    hr = crops["coffee"][64:128, 64:128]
    view = sr.Sampler(model, sr.downscale(hr, scale))
    samples = [view(seed, 1.0) for seed in range(benchmarks.SAMPLES)]
    hr2 = crops["chelsea"][64:128, 64:128]
    view2 = sr.Sampler(model, sr.downscale(hr2, scale))
    samples2 = [view2(seed, 1.0) for seed in range(benchmarks.SAMPLES)]
    expected = (sr.diversity(samples, hr) + sr.diversity(samples2, hr2)) / 2
    assert float(sampled["diversity"]) == pytest.approx(expected, abs=6e-5)


def test_evaluate_goes_on_where_it_was(tiny, model_name, monkeypatch):
    answer, calls = benchmarks.Answers.__call__, []

    def counted(self, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return answer(self, **options)

    monkeypatch.setattr(benchmarks.Answers, "__call__", counted)
    run = functools.partial(benchmarks.evaluate, settings=["default", "unrounded"], results=tiny, progress=False)
    with pytest.raises(KeyboardInterrupt):
        run([model_name], ["Tiny"])
    rows = run([model_name], ["Tiny"])
    assert len(calls) == 5  # both answers to the first image were kept
    assert run([model_name], ["Tiny"]) == rows
    assert len(calls) == 5  # and nothing is left to do
    monkeypatch.setattr(benchmarks, "version", lambda model=None: "other")
    rows = benchmarks.evaluate([model_name], ["Tiny"], settings=["default"], results=tiny, progress=False)
    assert len(calls) == 7  # other weights: computed anew
    assert {r["settings"] for r in rows} == {"default"}  # and what the old ones gave is gone
    assert not tiny.with_suffix(".partial.csv").exists()


def test_answers_are_those_of_super_resolve(random_model, crops):
    model, lr = random_model(4), crops["coffee"][:40, :36]
    answers = benchmarks.Answers(model, lr)
    for name in ("default", "unrounded", "temperature 1", "self-ensemble", "release tiling"):
        found, seconds = answers(**benchmarks.SETTINGS[name])
        expected = sr.super_resolve(lr, model, **benchmarks.SETTINGS[name])
        assert found[0].dtype == expected.dtype
        np.testing.assert_allclose(found[0], expected, atol=1e-6)
        assert len(found) == (benchmarks.SAMPLES if name == "temperature 1" else 1)
        assert seconds > 0


def test_an_image_is_encoded_once_for_all_samples(random_model, crops, monkeypatch):
    sampler, encoded = sr.Sampler, []
    monkeypatch.setattr(sr, "Sampler", lambda *args, **options: encoded.append(options) or sampler(*args, **options))
    answers = benchmarks.Answers(random_model(4), crops["coffee"][:16, :16])
    for name in ("default", "unrounded", "temperature 0.5", "temperature 1"):
        answers(**benchmarks.SETTINGS[name])
    assert len(encoded) == 1


def test_the_plan_holds_what_readme_and_figures_need():
    assert sorted(name for stage in benchmarks.STAGES for name in stage) == sorted(benchmarks.SETTINGS)
    everywhere = {"default", "unrounded", "temperature 1"}
    assert all(everywhere <= set(benchmarks.plan(name)) for name in (*benchmarks.SETS, "Urban100"))
    walk = {0.25 * i for i in range(7)}
    assert {benchmarks.SETTINGS[name].get("temperature", 0) for name in benchmarks.plan("bundled")} == walk
    ways = {"self-ensemble", "release tiling", "release tiling, self-ensemble"}
    assert ways <= set(benchmarks.plan("Set5"))
    planned = benchmarks.jobs(sr.available_models(), benchmarks.SETS, [], {})
    assert len({job.key for job in planned}) == len(planned)
    assert planned[-1].settings == "release tiling, self-ensemble"  # the slowest comes last


def test_without_arguments_what_cannot_be_had_is_left_out(monkeypatch, tmp_path, capsys, tiny):
    def fetch(dataset, progress=True):
        if dataset == "Set14":
            raise benchmarks.SetMissingError("connect to the internet")

    evaluated = []
    monkeypatch.setattr(benchmarks, "fetch", fetch)
    monkeypatch.setattr(benchmarks, "evaluate", lambda models, sets, **_: evaluated.extend(sets) or [])
    benchmarks.main(["evaluate", "--results", str(tiny)])
    assert evaluated == ["bundled", "Set5"]
    assert "Set14 is left out: connect to the internet" in capsys.readouterr().err


def test_the_bar_counts_the_work_that_is_left(tiny, model_name, monkeypatch):
    bars = []

    class Bar(benchmarks.tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **options | {"disable": False, "file": open(os.devnull, "w")})  # noqa: SIM115
            bars.append(self)

    monkeypatch.setattr(benchmarks, "tqdm", Bar)
    benchmarks.pixels.cache_clear()
    benchmarks.evaluate([model_name], ["Tiny"], settings=["default", "temperature 1"], results=tiny)
    assert bars[-1].n == bars[-1].total == 2 * 64 * 64 * (10 + 10 + 37)  # bicubic counts like an answer


def test_notebooks_and_results_score_alike(tiny, model_name, shipped):
    rows = benchmarks.evaluate([model_name], ["Tiny"], settings=["default"], results=tiny, progress=False)
    average = benchmarks.enlarge_set(shipped(model_name), "Tiny")[-1]
    row = row_of(rows, f"SR-VAE-{model_name[-1]}", "default")
    assert average["psnr"] == pytest.approx(float(row["psnr"]), abs=6e-5)
    assert average["ssim"] == pytest.approx(float(row["ssim"]), abs=6e-5)


def test_grey_images_are_converted_to_y_like_others(crops):
    grey = np.repeat(crops["coffee"][:64, :64, :1], 3, 2)
    worse = np.clip(grey.astype(int) + 10, 0, 255).astype(np.uint8)
    error = (worse.astype(float) - grey)[4:-4, 4:-4, 0] * 219 / 255
    expected = 10 * np.log10(255**2 / np.mean(error**2))
    assert benchmarks.fidelity(worse, grey, 4)["psnr"] == pytest.approx(expected, abs=1e-9)


def test_a_peers_files_are_scored_like_our_own(tiny, tmp_path):
    folder = tmp_path / "peer" / "Tiny" / "x4"
    folder.mkdir(parents=True)
    peers = {"Peer": str(tmp_path / "peer")}
    sr.write_image(
        folder / "chelsea_PEER.png", sr.enlarge(sr.downscale(benchmarks.load_image("Tiny", "chelsea"), 4), 4)
    )
    run = functools.partial(benchmarks.evaluate, [], ["Tiny"], peers=peers, results=tiny, progress=False)
    with pytest.raises(FileNotFoundError, match="begins with coffee; it holds 0"):
        run()
    sr.write_image(folder / "coffee.png", sr.enlarge(sr.downscale(benchmarks.load_image("Tiny", "coffee"), 4), 4))
    rows = [r for r in run() if r["scale"] == "4"]
    peer, bicubic = row_of(rows, "Peer", "files"), row_of(rows, "Bicubic", "default")
    assert all(peer[k] == bicubic[k] for k in ("images", "psnr", "ssim", "lr_psnr"))
    assert peer["seconds"] == ""


def test_evaluate_refuses_unknown_settings_and_sets_before_it_computes(tiny):
    with pytest.raises(ValueError, match="no settings 'slow'"):
        benchmarks.evaluate([], ["Tiny"], settings=["slow"], results=tiny)
    with pytest.raises(SystemExit, match="no image set 'Nowhere'"):
        benchmarks.main(["evaluate", "--sets", "Tiny", "Nowhere", "--results", str(tiny)])
    assert not tiny.exists()


# Tables

PUBLISHED = [
    {"scale": "4", "method": "Bicubic", "dataset": "Set5", "psnr_y": "28.42", "ssim_y": "0.81", "pi": "7.37"},
    {"scale": "4", "method": "Good", "dataset": "Set5", "psnr_y": "31.0", "ssim_y": "0.9", "pi": "3"},
]
OURS = dict.fromkeys(benchmarks.COLUMNS, "") | {
    "method": "SR-VAE-D",
    "scale": "4",
    "set": "Set5",
    "settings": "default",
    "psnr": "31.4321",
    "ssim": "0.8765",
}

STEPS = ("default", "temperature 1", "self-ensemble", "release tiling, self-ensemble")


def test_markdown_marks_the_best_and_leaves_what_is_not_known_blank():
    lines = benchmarks.markdown(PUBLISHED, [OURS], []).splitlines()
    assert "| Good | 31.00 / **0.900** / **3.000** |  |  |  |  |" in lines
    assert "| SR-VAE-D (here) | **31.43** / 0.876 / – |  |  |  |  |" in lines
    assert "| 4x | SR-VAE-D answer | 31.43 / – / – / – |" in lines
    assert not any("Like for like" in line for line in lines)


def test_markdown_shows_samples_and_the_releases_way():
    more = {"niqe": "7.121", "lr_psnr": "50.04", "diversity": "21.06", "seconds": "4.06"}
    rows = [OURS | more | {"settings": s, "method": f"SR-VAE-{v}", "images": "5"} for s in STEPS for v in "DP"]
    printed = [{"scale": "4", "method": "SR-VAE-P", "dataset": "Set5", "psnr_y": "31.551", "ssim_y": "0.8871"}]
    lines = benchmarks.markdown([], rows, printed).splitlines()
    assert "| scale | method | Set5, 5 images |" in lines
    assert "| 4x | SR-VAE-P samples, mean of 10 | 31.43 / 7.12 / 50.0 / 21.1 |" in lines
    cell = "31.43 / 0.8765 / 4.1"
    assert f"| 4x | SR-VAE-D | Set5 | {cell} |  | {cell} |  | {cell} |  |" in lines
    assert f"| 4x | SR-VAE-P | Set5 | {cell} |  | {cell} |  | {cell} | 31.55 / 0.8871 |" in lines


def test_markdown_says_what_is_gained_and_what_is_missing():
    theirs = [PUBLISHED[0] | {"method": "LapSRN", "psnr_y": "31.54"}]
    rows = [OURS | {"psnr": "31.43", "niqe": "8.35"}]
    rows += [OURS | {"method": "SR-VAE-P", "psnr": "30.99", "niqe": "7.04"}]
    lines = benchmarks.markdown(theirs, rows, []).splitlines()
    assert "| 4x | SR-VAE-D | LapSRN, published | -0.11 |" in lines
    assert "| 4x | SR-VAE-P | SR-VAE-D (here) | -0.44 / -1.31 |" in lines
    assert not any(line.startswith("| 8x | SR-VAE-P") for line in lines)


def test_tables_go_between_the_markers_only():
    text = f"before {benchmarks.START} old {benchmarks.END} after"
    new = benchmarks.with_results(text, "NEW")
    assert new == f"before {benchmarks.START}\n\nNEW\n\n{benchmarks.END} after"
    assert benchmarks.with_results(new, "NEW") == new
    with pytest.raises(ValueError, match="markers"):
        benchmarks.with_results("no markers", "NEW")


def test_readme_and_results_agree():
    if not benchmarks.RESULTS.exists():
        pytest.skip("data/results.csv has not been made yet")
    text = benchmarks.README.read_text()
    assert benchmarks.with_results(text, benchmarks.tables()) == text, "run python notebooks/benchmarks.py readme"


def test_results_are_from_the_shipped_weights():
    rows = [r for r in benchmarks.read_csv(benchmarks.RESULTS) if r["method"].startswith("SR-VAE-")]
    if not rows:
        pytest.skip("data/results.csv has not been made yet")
    for row in rows:
        assert row["version"] == benchmarks.version(f"{row['scale']}x-{row['method'][-1]}")


# Speed and memory


def test_speed_prints_both_ratios(capsys):
    benchmarks.main(["speed", "--size", "128", "--repeats", "1"])
    text = capsys.readouterr().out
    for scale in sr.SCALES:
        assert f"{scale}x: whole tiling" in text
    assert text.count("ratio 1/") == 6
    assert "threads" in text


def test_memory_is_that_of_a_fresh_process(capsys):
    benchmarks.main(["memory", "--sizes", "16"])
    text = capsys.readouterr().out
    assert "16x16 -> 64x64" in text
    assert 0.1 < float(text.split("peak memory ")[1].split(" GiB")[0]) < 1.5
