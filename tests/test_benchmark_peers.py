"""Other methods' answers: exact paths, and everything that is missing or wrong named before anything is computed."""

import functools
import shutil
from pathlib import Path

import pytest

import srvae_core as sr
from pictures import levels, picture
from srvae import images, metrics
from srvae.benchmarks import cli
from srvae.benchmarks.evaluate import evaluate
from srvae.benchmarks.peers import find_answers, named_peers, peer_answer
from srvae.benchmarks.sets import image_names, load_image
from srvae.csvfiles import read_csv

# Names that strangers bring: a shared beginning, a glob's brackets, capitals, spaces, Cyrillic, what a URL would take.
STRANGE = ("a.png", "a.b.png", "a_b.png", "img[1].png", "img_1.png", "img_10.png", "B.PNG", "two words.png", "Кот.jpg")
STRANGE += ("no#1 100%.bmp",)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    """A folder of a set "Odd" of strange names, in sets, and of a peer's bicubic answers to it at 4x, in peer."""
    folder = tmp_path_factory.mktemp("pristine")
    originals, answers = folder / "sets" / "Odd", folder / "peer" / "Odd" / "x4"
    for place in (originals, answers):
        place.mkdir(parents=True)
    for i, name in enumerate(STRANGE):
        images.write(originals / name, picture(40 + i, 36))
        hr = metrics.crop_to_multiple(images.read(originals / name), 4)
        images.write(answers / f"{Path(name).stem}.png", sr.enlarge(sr.downscale(hr, 4), 4))
    return folder


@pytest.fixture
def sets(pristine, tmp_path, monkeypatch) -> Path:
    """The folder around the set, which a test may change."""
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    return shutil.copytree(pristine / "sets", tmp_path / "sets")


@pytest.fixture
def peer(pristine, sets, tmp_path) -> Path:
    """The peer's folder, which a test may change."""
    return shutil.copytree(pristine / "peer", tmp_path / "peer")


@pytest.fixture
def run(peer, tmp_path):
    """Evaluate "Odd" with the peer, at 4x, without models."""
    fixed = {"scales": [4], "results": tmp_path / "results.csv", "progress": False, "niqe": False}
    return functools.partial(evaluate, [], ["Odd"], peers={"Peer": str(peer)}, **fixed)


def test_each_image_gets_the_answer_of_its_own_name(run, peer):
    assert image_names("Odd") == sorted(Path(name).stem for name in STRANGE)
    for name in image_names("Odd"):
        hr = metrics.crop_to_multiple(load_image("Odd", name), 4)
        assert levels(peer_answer(peer, "Odd", 4, name), sr.enlarge(sr.downscale(hr, 4), 4)) == 0
    bicubic, theirs = run()
    assert (bicubic["method"], theirs["method"]) == ("Bicubic", "Peer")
    assert theirs["images"] == str(len(STRANGE))
    assert theirs["psnr"] == bicubic["psnr"]


def test_names_that_go_on_are_taken_unless_they_are_another_images(peer):
    place = peer / "Odd" / "x4"
    for name in ("a", "img_1", "Кот"):
        (place / f"{name}.png").rename(place / f"{name}_Peer.PNG")
    files, wrong = find_answers(peer, "Odd", 4)
    assert (files["a"].name, files["a_b"].name, files["img_1"].name) == ("a_Peer.PNG", "a_b.png", "img_1_Peer.PNG")
    assert not wrong
    (place / "a_Peer.PNG").unlink()  # a_b.png and a.b.png stay, but are none of its
    with pytest.raises(FileNotFoundError, match=r"a\.png is missing"):
        peer_answer(peer, "Odd", 4, "a")


def test_two_originals_of_one_stem_have_an_answer_each(sets, peer, tmp_path):
    images.write(sets / "Odd" / "a.bmp", picture(32, 32))
    assert {"a.png", "a.bmp"} < set(image_names("Odd"))
    _, wrong = find_answers(peer, "Odd", 4)
    assert wrong["a.bmp"].endswith("a.bmp is missing")
    images.write(peer / "Odd" / "x4" / "a.bmp", picture(32, 32))
    files, wrong = find_answers(peer, "Odd", 4)
    assert (files["a.png"].name, files["a.bmp"].name) == ("a.png", "a.bmp")
    assert not wrong


def spoilt_folder(peer: Path) -> Path:
    """The peer's folder, to be spoilt."""
    return peer / "Odd" / "x4"


def mistyped(peer):
    (peer / "Odd").rename(peer / "odd")


def flat(peer):
    for path in spoilt_folder(peer).iterdir():
        path.rename(peer / path.name)
    spoilt_folder(peer).rmdir()


def missing(peer):
    for name in ("a", "img[1]"):
        (spoilt_folder(peer) / f"{name}.png").unlink()


def surplus(peer):
    images.write(spoilt_folder(peer) / "a.bmp", picture(40, 36))
    images.write(spoilt_folder(peer) / "img_10_again.png", picture(40, 36))


def another_size(peer):
    images.write(spoilt_folder(peer) / "a.png", picture(40, 32))
    images.write(spoilt_folder(peer) / "Кот.png", picture(10, 9))


def damaged(peer):
    for name in ("a", "two words"):
        path = spoilt_folder(peer) / f"{name}.png"
        path.write_bytes(path.read_bytes()[:60])


def a_folder(peer):
    (spoilt_folder(peer) / "a.png").unlink()
    (spoilt_folder(peer) / "a.png").mkdir()


WRONG = [
    (mistyped, ["no folder", "Odd/x4 with", "a.png", "img[1].png", "Кот.png"]),
    (flat, ["no folder", "Odd/x4 with", "a.png", "img[1].png", "Кот.png"]),
    (missing, ["x4/a.png is missing", "x4/img[1].png is missing"]),
    (surplus, ["one answer to a, not a.bmp and a.png", "one answer to img_10, not img_10.png and img_10_again.png"]),
    (another_size, ["x4/a.png has 40x32 pixels, not 40x36", "x4/Кот.png has 10x9 pixels, not 48x36"]),
    (damaged, ["x4/a.png", "x4/two words.png"]),
    (a_folder, ["x4/a.png is missing"]),
]


@pytest.mark.parametrize(("spoil", "words"), WRONG, ids=[spoil.__name__ for spoil, _ in WRONG])
def test_every_wrong_file_is_named_before_anything_is_computed(spoil, words, run, peer, tmp_path, monkeypatch):
    spoil(peer)
    monkeypatch.setattr("srvae.benchmarks.scoring.score", None)  # nothing may call it
    with pytest.raises(ValueError, match=r"FOLDER/SET/xSCALE/IMAGE\.png to every image of Odd at 4x") as error:
        run()
    message = str(error.value).replace("\\", "/")
    assert not [word for word in words if word not in message], message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["peer", "sets"]  # no results
    options = ["--models", "--scales", "4", "--sets", "Odd", "--results", str(tmp_path / "results.csv")]
    with pytest.raises(SystemExit, match=r"error: a peer needs an answer") as end:
        cli.main(["scores", *options, "--peer", f"Peer={peer}"])
    assert end.value.code != 0
    assert not (tmp_path / "results.csv").exists()


def test_a_scale_or_set_without_answers_is_not_passed_over(run, sets):
    with pytest.raises(ValueError, match=r"no folder .*x8 with"):
        run(scales=[4, 8])
    images.write(sets / "one.png", picture(40, 40))
    (sets / "More").mkdir()
    (sets / "one.png").rename(sets / "More" / "one.png")
    with pytest.raises(ValueError, match=r"no folder .*More.x4 with one\.png"):
        evaluate([], ["Odd", "More"], **run.keywords)


def test_a_peers_rows_are_kept_while_its_files_are_the_same(run, peer, tmp_path, monkeypatch):
    rows = run()
    monkeypatch.setattr("srvae.benchmarks.scoring.score", None)  # nothing may call it
    assert run() == rows
    monkeypatch.undo()
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    place = spoilt_folder(peer)
    images.write(place / "a.png", 255 - images.read(place / "a.png"))
    bicubic, theirs = run()
    assert bicubic == rows[0]
    assert float(theirs["psnr"]) < float(rows[1]["psnr"])
    assert len(read_csv(tmp_path / "results.csv")) == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["EDSR", "EDSR"], "two peers are called EDSR"),
        (["bicubic"], "name of this project's own"),
        (["SR-VAE-D"], "name of this project's own"),
        (["HR"], "name of this project's own"),
        (["a|b"], "without |"),
        (["a\nb"], "of one line"),
        ([" "], "of one line"),
    ],
)
def test_a_peers_name_is_its_own(names, message, tmp_path, capsys):
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        named_peers([(name, str(tmp_path)) for name in names])
    with pytest.raises(SystemExit) as end:
        cli.main(["scores", *(f"--peer={name}={tmp_path}" for name in names)])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_a_peers_folder_is_there(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["scores", "--peer", f"EDSR={tmp_path / 'gone'}"])
    assert "gone, in which the answers of EDSR are to lie" in capsys.readouterr().err
