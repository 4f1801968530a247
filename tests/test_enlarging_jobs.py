"""Which files are found, what their answers are called, and which clashes are found before any work."""

import os
import sys
from pathlib import Path

import pytest

from srvae.enlarging.jobs import find_jobs

LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(inputs: list[Path], to: Path, seeds: tuple[int, ...] = (0,), suffix: str = "") -> dict[str, list[str]]:
    """Files -> their answers below ``to``."""
    jobs = find_jobs(inputs, to, seeds, suffix)
    return {job.source.as_posix(): [target.relative_to(to).as_posix() for target in job.targets] for job in jobs}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path()


def test_a_folder_keeps_its_subfolders(here):
    touch(here / "in", "b.PNG", "a.jpg", "sub/deep er/Привет #1.x.webp", "folder.png/c.tif", "notes.txt", "raw.cr2")
    touch(here / "in", ".hidden.png", ".thumbs/d.png", "sub/.e.png")
    assert found([Path("in")], Path("out")) == {
        "in/a.jpg": ["a.jpg"],
        "in/b.PNG": ["b.PNG"],
        "in/folder.png/c.tif": ["folder.png/c.tif"],
        "in/sub/deep er/Привет #1.x.webp": ["sub/deep er/Привет #1.x.webp"],
    }


def test_what_is_named_by_hand_is_taken_though_it_is_hidden(here):
    touch(here, ".hidden/.a.png", ".hidden/b.png")
    assert found([Path(".hidden/.a.png")], Path("out")) == {".hidden/.a.png": [".a.png"]}
    assert found([Path(".hidden")], Path("out")) == {".hidden/b.png": ["b.png"]}


def test_names_of_formats_and_seeds(here):
    touch(here, "a.b.c.JPG")
    assert found([Path("a.b.c.JPG")], Path("out"), suffix=".png") == {"a.b.c.JPG": ["a.b.c.png"]}
    names = ["a.b.c_seed4.JPG", "a.b.c_seed5.JPG"]
    assert found([Path("a.b.c.JPG")], Path("out"), (4, 5)) == {"a.b.c.JPG": names}


def test_answers_are_not_read_again(here):
    touch(here, "in/a.png", "in/out/a.png", "in/out/sub/b.png")
    assert found([Path("in")], Path("in/out")) == {"in/a.png": ["a.png"]}
    assert found([Path()], Path("in/out")) == {"in/a.png": ["in/a.png"]}


def test_named_twice_is_done_once(here):
    touch(here, "in/a.png")
    inputs = [Path("in"), Path("in/a.png"), Path("in/../in"), Path("in").absolute()]
    assert found(inputs, Path("out")) == {"in/a.png": ["a.png"]}


@LINKS
def test_links(here):
    touch(here, "elsewhere/photo.png", "in/a.png")
    os.symlink(Path("elsewhere/photo.png").absolute(), "in/b.png")
    os.symlink(Path("elsewhere").absolute(), "in/linked")
    os.symlink(Path("in").absolute(), "in/loop")  # leads back to where it is
    os.symlink("self.png", "in/self.png")
    os.symlink("gone.png", "in/dangling.png")
    names = ["a.png", "b.png", "dangling.png", "self.png", "linked/photo.png"]
    assert [target for targets in found([Path("in")], Path("out")).values() for target in targets] == names


@pytest.mark.parametrize(
    ("files", "inputs", "suffix", "message"),
    [
        (["in/a.png", "in/a.jpg"], ["in"], ".png", r"a\.jpg and .*a\.png would both become .*a\.png"),
        (["x/a.png", "y/a.png"], ["x/a.png", "y/a.png"], "", "x.a.png and y.a.png would both become .*two folders"),
        (["a.png", "a_seed1.png"], ["."], "", "would both become .*a_seed1.png"),
    ],
)
def test_two_answers_of_one_name(files, inputs, suffix, message, here):
    touch(here, *files)
    seeds = (1, 2) if "a_seed1.png" in files else (0,)
    if seeds == (1, 2):
        touch(here, "a_seed1.jpg")  # a.png becomes a_seed1.png; a_seed1 itself becomes a_seed1_seed1
        assert len(found([Path()], Path("out"), seeds)) == 3
        return
    with pytest.raises(ValueError, match=message):
        find_jobs([Path(name) for name in inputs], Path("out"), seeds, suffix)


def test_many_clashes_are_one_sentence(here):
    touch(here / "in", *(f"{n}.{ending}" for n in range(9) for ending in ("png", "bmp")))
    with pytest.raises(ValueError, match="and 4 more"):
        find_jobs([Path("in")], Path("out"), (0,), ".tif")


@pytest.mark.parametrize(
    ("inputs", "to", "error", "message"),
    [
        (["gone"], "out", FileNotFoundError, "no file or folder gone"),
        (["in/notes.txt"], "out", ValueError, r"notes\.txt is no image file: .*\.png"),
        (["empty"], "out", ValueError, "empty: no images there"),
        (["in"], "in", ValueError, "images would be replaced"),
        (["in/sub"], "in/sub/../sub", ValueError, "images would be replaced"),
        (["in/sub/b.png"], "in/sub", ValueError, "would replace an input"),
        (["in/sub", "in/c.png"], "in", ValueError, "would replace an input"),
        (["in/c.png"], "taken", ValueError, r"a folder has that name"),
        (["in/c.png"], "in/notes.txt", ValueError, "is a file, where a folder has to be"),
        (["in"], "blocked", ValueError, "sub is a file, where a folder has to be"),
    ],
)
def test_found_before_any_work(inputs, to, error, message, here):
    touch(here, "in/notes.txt", "in/sub/b.png", "in/c.png", "taken/c.png/x", "blocked/sub")
    Path("empty").mkdir()
    with pytest.raises(error, match=message):
        find_jobs([Path(name) for name in inputs], Path(to), (0,))


@LINKS
def test_a_link_to_an_input_is_not_written_through(here):
    touch(here, "in/a.png", "out/x")
    os.symlink(Path("in/a.png").absolute(), "out/a.png")
    with pytest.raises(ValueError, match="would replace an input"):
        find_jobs([Path("in")], Path("out"), (0,))
