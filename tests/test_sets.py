"""Image sets by name: bundled photographs, the registry, downloads, folders; and that none was trained on."""

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
from srvae.benchmarks.sets import (
    BUNDLED,
    SHIPPED_REGISTRY,
    Registry,
    SetMissingError,
    at_hand,
    bundled,
    fetch,
    image_names,
    image_sizes,
    load_image,
    pair,
)
from srvae.benchmarks.tables import TABLE_SETS


def test_bundled_photographs(photographs):
    assert image_names("bundled") == list(BUNDLED)
    assert np.array_equal(load_image("bundled", "coffee"), photographs["coffee"])
    with pytest.raises(ValueError, match="none of the bundled photographs"):
        bundled("lena")


def test_registry_names_every_image_of_the_sets():
    sets = SHIPPED_REGISTRY.sets()
    assert {name: len(rows) for name, rows in sets.items()} == {"Set5": 5, "Set14": 14, "BSD100": 100, "Urban100": 100}
    hashes = [row["sha256"] for rows in sets.values() for row in rows]
    assert all(len(h) == 64 and int(h, 16) for h in hashes)
    assert len(set(hashes)) == 219


def test_pair_is_cut_and_downscaled(photographs):
    hr, lr = pair("bundled", "chelsea", 8)  # 300x451
    assert np.array_equal(hr, photographs["chelsea"][:296, :448])
    assert np.array_equal(lr, sr.downscale(hr, 8))


# Downloads


@pytest.fixture
def server(tmp_path, monkeypatch, crops):
    """A set of one image behind a web server of our own: (server, registry, image)."""
    image = crops["coffee"][:32, :48]
    folder = tmp_path / "served"
    folder.mkdir()
    images.write(folder / "one.png", image)
    digest = hashlib.sha256((folder / "one.png").read_bytes()).hexdigest()
    (tmp_path / "registry.csv").write_text(f"dataset,image,path,sha256,bytes\nTiny,one.png,one.png,{digest},0\n")
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(folder)))
    # serve_forever looks this often whether it shall stop
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("SRVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SRVAE_BENCHMARKS", raising=False)
    registry = Registry(tmp_path / "registry.csv", f"http://127.0.0.1:{served.server_port}/", retries=0)
    yield served, registry, image
    close(served)


def close(served):
    served.shutdown()
    served.server_close()


def test_a_set_is_downloaded_once_and_then_read_offline(server):
    served, registry, image = server
    fetch("Tiny", progress=False, registry=registry)
    close(served)
    assert np.array_equal(load_image("Tiny", "one", registry), image)


def test_offline_the_error_says_what_to_do(server, capsys):
    served, registry, _ = server
    close(served)
    with pytest.raises(SetMissingError, match=r"set SRVAE_BENCHMARKS to a folder that holds Tiny/one\.png"):
        fetch("Tiny", progress=False, registry=registry)
    assert at_hand(["bundled", "Tiny"], registry) == ["bundled"]
    assert "Tiny is left out: Tiny/one.png cannot be downloaded" in capsys.readouterr().err


def test_another_file_than_the_registrys_is_refused(server, tmp_path):
    _, registry, image = server
    images.write(tmp_path / "served" / "one.png", image[:, ::-1])
    with pytest.raises(SetMissingError, match=r"hash"):
        fetch("Tiny", progress=False, registry=registry)


def test_an_interrupted_download_is_tried_again(server, monkeypatch):
    served, registry, _ = server
    handler, attempts = served.RequestHandlerClass.func, []
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)  # between the attempts

    def do_get(self):
        attempts.append(self.path)
        if len(attempts) < 3:
            self.send_error(503)
        else:
            http.server.SimpleHTTPRequestHandler.do_GET(self)

    handler.do_GET = do_get
    assert SHIPPED_REGISTRY.retries >= 2
    fetch("Tiny", progress=False, registry=Registry(registry.path, registry.source))
    assert len(attempts) == 3


def test_a_local_folder_comes_before_the_network(server, tmp_path, monkeypatch):
    _, registry, image = server
    (tmp_path / "local" / "Tiny").mkdir(parents=True)
    images.write(tmp_path / "local" / "Tiny" / "one.png", image[:, ::-1])
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "local"))
    assert np.array_equal(load_image("Tiny", "one", registry), image[:, ::-1])


def test_any_folder_is_a_set(tmp_path, monkeypatch, crops):
    monkeypatch.delenv("SRVAE_BENCHMARKS", raising=False)
    with pytest.raises(SetMissingError, match="no image set 'Manga109'"):
        fetch("Manga109")
    (tmp_path / "Manga109").mkdir()
    images.write(tmp_path / "Manga109" / "page.png", crops["chelsea"][:16, :16])
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path))
    assert image_names("Manga109") == ["page"]
    assert np.array_equal(load_image("Manga109", "page"), crops["chelsea"][:16, :16])
    with pytest.raises(KeyError, match="no image 'cover'"):
        load_image("Manga109", "cover")


# Folders of one's own


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty set "Own"."""
    (tmp_path / "Own").mkdir()
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path))
    return tmp_path / "Own"


def fill(folder, *names):
    """Pictures of different heights under these names; returns the heights by name."""
    heights = {name: 32 + i for i, name in enumerate(names)}
    for name, height in heights.items():
        images.write(folder / name, picture(height, 40))
    return heights


NAMES = {  # files -> what they are called
    ("a.png", "a.b.png", "a_1.png"): ("a", "a.b", "a_1"),
    ("a.png", "a.bmp", "b.png"): ("a.bmp", "a.png", "b"),
    ("a.png", "a.bmp", "a.png.tif"): ("a.bmp", "a.png", "a.png.tif"),
    ("img[1].png", "img_1.png", "*.png", "i?.png"): ("*", "i?", "img[1]", "img_1"),
    ("A.PNG", "b.JPeG", "c.TIF"): ("A", "b", "c"),
    ("two words.png", "Кот и пёс.png", "#1 100%.png"): ("#1 100%", "two words", "Кот и пёс"),
    ("._a.png", ".hidden.png", "..png", "a.png"): ("a",),
}


@pytest.mark.parametrize("files", NAMES, ids=" ".join)
def test_every_file_has_a_name_that_finds_it_again(files, folder):
    heights = fill(folder, *files)
    assert tuple(image_names("Own")) == NAMES[files]
    sizes = image_sizes("Own")
    for name in image_names("Own"):
        file = name if name in heights else next(f for f in files if f.rpartition(".")[0] == name)
        assert load_image("Own", name).shape[:2] == sizes[name] == (heights[file], 40)


def test_folders_are_no_images(folder):
    fill(folder, "a.png")
    (folder / "x.jpg").mkdir()
    (folder / "notes.txt").write_text("none either")
    assert image_names("Own") == ["a"]


def test_every_damaged_file_is_named(folder):
    fill(folder, "a.png", "good.png", "b.png")
    (folder / "a.png").write_bytes(b"no picture")
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:70])
    with pytest.raises(ValueError, match=r"the set 'Own' has files that cannot be read: ") as error:
        image_sizes("Own")
    message = str(error.value)
    assert str(folder / "a.png") in message
    assert str(folder / "b.png") in message
    assert "good" not in message


def test_originals_smaller_than_the_scale_are_named(folder):
    images.write(folder / "dot.png", picture(3, 30))
    with pytest.raises(ValueError, match="dot of Own has 3x30 pixels, of which 4x makes no LR image"):
        pair("Own", "dot", 4)


def test_sets_lie_below_the_folder(folder, monkeypatch, tmp_path):
    fill(folder, "a.png")
    for name in ("..", "../Own", str(folder), ""):
        with pytest.raises(SetMissingError, match="a set is the name of a folder below"):
            image_names(name)
    for name in ("own", "Own/a.png", "Empty"):
        with pytest.raises(SetMissingError, match=f"no image set '{name}'"):
            image_names(name)
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "gone"))
    for look in (image_names, fetch):
        with pytest.raises(SetMissingError, match=r"there is no folder .*gone"):
            look("Own")
    with pytest.raises(SetMissingError, match=r"there is no folder .*gone"):
        fetch("Set5")  # rather than to download it


# What the weights were trained on


def thumbnail(grey: np.ndarray) -> np.ndarray:
    """16x16 grey levels of mean 0 and length 1: their product is how alike two pictures are, at most 1."""
    small = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).astype(float)
    small -= small.mean()
    return (small / (np.linalg.norm(small) + 1e-9)).ravel()


@pytest.mark.slow
def test_no_training_photograph_is_a_judged_one():
    files = sorted((SHARED / "train").rglob("*.jpg"))
    if not files:
        pytest.skip(f"no photographs in {SHARED / 'train'}")
    judged = [images.read(p) for name in TABLE_SETS for p in (SHARED / "benchmarks" / name).glob("*.png")]
    judged = [cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (*judged, *map(bundled, BUNDLED))]
    turned = [turn(x) for x in judged for turn in (np.asarray, np.fliplr)]
    ours = np.stack([thumbnail(x) for x in turned])
    # an eighth of the size is enough for 16x16, and JPEG decodes to it at once
    theirs = np.stack([thumbnail(cv2.imread(str(p), cv2.IMREAD_REDUCED_GRAYSCALE_8)) for p in files])
    assert (ours @ theirs.T).max() < 0.9
    for grey in judged:  # while a smaller, slightly cut copy, compressed, would be noticed
        cut = cv2.resize(grey[4:-4, 4:-4], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        copy = cv2.imdecode(cv2.imencode(".jpg", cut, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_GRAYSCALE)
        assert (ours @ thumbnail(copy)).max() > 0.9
