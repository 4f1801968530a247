"""Image sets by name: bundled photographs, downloads, folders; no training photograph is in them."""

import functools
import hashlib
import http.server
import threading

import cv2
import numpy as np
import pytest

import srvae_core as sr
from conftest import SHARED
from pictures import picture
from srvae import images
from srvae.benchmarks import sets
from srvae.benchmarks.sets import BUNDLED, SetMissingError, bundled, fetch, image_names, load_image, pair, registry
from srvae.benchmarks.tables import TABLE_SETS
from srvae.training.photographs import load_photographs
from srvae.viewer import files


def test_bundled_photographs_are_those_of_scikit_image(photographs):
    assert image_names("bundled") == list(BUNDLED)
    assert np.array_equal(load_image("bundled", "coffee"), photographs["coffee"])
    with pytest.raises(ValueError, match="no bundled photograph 'lena'"):
        bundled("lena")


def test_the_registry_has_every_image_of_the_sets():
    expected = {"Set5": 5, "Set14": 14, "BSD100": 100, "Urban100": 100}
    assert {name: len(registry(name)) for name in expected} == expected
    digests = {row["sha256"] for name in expected for row in registry(name).values()}
    assert len(digests) == 219
    assert all(len(digest) == 64 for digest in digests)


def test_a_pair_is_cropped_and_downscaled(photographs):
    hr, lr = pair("bundled", "chelsea", 8)  # 300x451
    assert np.array_equal(hr, photographs["chelsea"][:296, :448])
    assert np.array_equal(lr, sr.downscale(hr, 8))


# Downloads


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A downloadable set "Tiny" of one image behind a web server: (server, image)."""
    image, folder = picture(32, 48), tmp_path / "served"
    folder.mkdir()
    images.write(folder / "one.png", image)
    digest = hashlib.sha256((folder / "one.png").read_bytes()).hexdigest()
    (tmp_path / "registry.csv").write_text(f"dataset,image,path,sha256,bytes\nTiny,one.png,one.png,{digest},0\n")
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(folder)))
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("SRVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SRVAE_BENCHMARKS", raising=False)
    monkeypatch.setattr(sets, "REGISTRY", tmp_path / "registry.csv")
    monkeypatch.setattr(sets, "SOURCE", f"http://127.0.0.1:{served.server_port}/")
    monkeypatch.setattr(sets, "RETRIES", 0)
    yield served, image
    close(served)


def close(served):
    served.shutdown()
    served.server_close()


def test_a_set_is_downloaded_once_and_then_read_offline(server):
    served, image = server
    fetch("Tiny")
    close(served)
    assert np.array_equal(load_image("Tiny", "one"), image)


def test_a_download_that_fails_says_what_to_do(server):
    close(server[0])
    with pytest.raises(SetMissingError, match=r"set SRVAE_BENCHMARKS to a folder that contains Tiny/one\.png"):
        fetch("Tiny")


def test_a_download_with_another_sha256_is_rejected(server, tmp_path):
    images.write(tmp_path / "served" / "one.png", server[1][:, ::-1])
    with pytest.raises(SetMissingError, match="hash"):
        fetch("Tiny")


def test_an_interrupted_download_is_tried_again(server, monkeypatch):
    served, image = server
    attempts = []
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)  # between the attempts
    monkeypatch.setattr(sets, "RETRIES", 2)

    def do_get(self):
        attempts.append(self.path)
        if len(attempts) < 3:
            self.send_error(503)
        else:
            http.server.SimpleHTTPRequestHandler.do_GET(self)

    served.RequestHandlerClass.func.do_GET = do_get
    assert np.array_equal(load_image("Tiny", "one"), image)
    assert len(attempts) == 3


def test_a_local_file_is_preferred_to_a_download(server, tmp_path, monkeypatch):
    (tmp_path / "local" / "Tiny").mkdir(parents=True)
    images.write(tmp_path / "local" / "Tiny" / "one.png", server[1][:, ::-1])
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "local"))
    assert np.array_equal(load_image("Tiny", "one"), server[1][:, ::-1])


# Folders


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty set "Own"."""
    (tmp_path / "Own").mkdir()
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path))
    return tmp_path / "Own"


def test_images_of_a_folder_are_found_by_their_stems(folder):
    files = ("a.png", "a.b.png", "B.PNG", "img[1].tif", "Кот и пёс.jpg")
    for height, name in enumerate(files, 32):
        images.write(folder / name, picture(height, 40))
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_text("not an image")
    (folder / "folder.jpg").mkdir()
    assert sorted(image_names("Own")) == ["B", "a", "a.b", "img[1]", "Кот и пёс"]
    assert [load_image("Own", name.rpartition(".")[0]).shape[0] for name in files] == [32, 33, 34, 35, 36]
    with pytest.raises(KeyError, match="no image 'cover'"):
        load_image("Own", "cover")


def test_two_images_of_the_same_stem_are_rejected(folder):
    for name in ("a.png", "a.bmp"):
        images.write(folder / name, picture(32, 32))
    with pytest.raises(ValueError, match="differ in the suffix only"):
        image_names("Own")


def test_a_missing_set_says_what_to_do(folder, monkeypatch):
    for name in ("Empty", "Own"):
        with pytest.raises(SetMissingError, match=f"no image set '{name}': put its images into a folder {name}"):
            image_names(name)
    monkeypatch.delenv("SRVAE_BENCHMARKS")
    with pytest.raises(SetMissingError, match="set SRVAE_BENCHMARKS to the folder above it"):
        image_names("Manga109")
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(folder / "gone"))
    for name in ("Own", "Set5"):
        with pytest.raises(SetMissingError, match=r"there is no folder .*gone"):
            fetch(name)


@pytest.mark.parametrize(("scale", "least"), [(4, 20), (8, 32)])
def test_an_original_too_small_for_ssim_is_named(folder, scale, least):
    images.write(folder / "enough.png", picture(least, 40))
    images.write(folder / "small.png", picture(least - 1, 40))
    assert pair("Own", "enough", scale)[0].shape == (least, 40, 3)
    message = f"small of Own has {least - 1}x40 pixels; {scale}x needs at least {least}x{least}"
    with pytest.raises(ValueError, match=message):
        pair("Own", "small", scale)


def test_a_damaged_original_is_named(folder):
    (folder / "a.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"a\.png cannot be read"):
        load_image("Own", "a")


# Training photographs


def thumbnail(grey: np.ndarray) -> np.ndarray:
    """Return 16x16 grey levels of mean 0 and length 1: the product of two is at most 1, for equal pictures."""
    small = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).astype(float)
    small -= small.mean()
    return (small / (np.linalg.norm(small) + 1e-9)).ravel()


@pytest.mark.slow
def test_no_training_photograph_is_in_a_benchmark_set():
    files = sorted((SHARED / "train").rglob("*.jpg"))
    if not files:
        pytest.skip(f"no photographs in {SHARED / 'train'}")
    judged = [images.read(p) for name in TABLE_SETS for p in (SHARED / "benchmarks" / name).glob("*.png")]
    judged = [cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (*judged, *map(bundled, BUNDLED))]
    ours = np.stack([thumbnail(turn(x)) for x in judged for turn in (np.asarray, np.fliplr)])
    # An eighth of the size is enough for 16x16, and JPEG decodes to it at once.
    theirs = np.stack([thumbnail(cv2.imread(str(p), cv2.IMREAD_REDUCED_GRAYSCALE_8)) for p in files])
    assert (ours @ theirs.T).max() < 0.9
    for grey in judged:  # a smaller, slightly cropped, compressed copy would be found
        cut = cv2.resize(grey[4:-4, 4:-4], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        copy = cv2.imdecode(cv2.imencode(".jpg", cut, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_GRAYSCALE)
        assert (ours @ thumbnail(copy)).max() > 0.9


def test_colours_under_alpha_do_not_count(tmp_path, monkeypatch):
    """Files that look the same are the same photographs: to score against, to train on, to look at."""
    image = np.dstack([picture(150, 160), np.full((150, 160), 255, np.uint8)])
    image[40:110, 30:60, 3] = 0
    for folder, hidden in (("magenta", (255, 0, 255)), ("black", (0, 0, 0))):
        image[image[..., 3] == 0, :3] = hidden
        (tmp_path / folder).mkdir()
        for name in ("a", "b"):
            images.write(tmp_path / folder / f"{name}.png", image)
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path))
    for read in (
        lambda folder: pair(folder, "a", 4)[0],
        lambda folder: load_photographs(tmp_path / folder, 4).hr[0],
        lambda folder: files.read(tmp_path / folder / "a.png", is_original=True).image,
        lambda folder: images.read(tmp_path / folder / "a.png"),
    ):
        one, other = read("magenta"), read("black")
        np.testing.assert_array_equal(one, other)
        assert not (one[40:110, 30:60, :3] == (255, 0, 255)).all(2).any()
