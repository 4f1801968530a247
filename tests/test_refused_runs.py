"""Runs that cannot go on: a full disk, folders that cannot be, photographs that have gone, files damaged by hand.

Each ends with one line that says what is wrong, and leaves the last good checkpoint as it is.
"""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import run_words, train_here
from srvae.csvfiles import read_csv, write_csv
from srvae.training import checkpoints, files
from srvae.training.files import claimed
from srvae.training.packing import write_pack


@pytest.fixture(scope="module")
def begun(photograph_folder, tmp_path_factory):
    """A run of the first of two steps, and a folder of the photographs that it was begun on."""
    folder = tmp_path_factory.mktemp("begun")
    shutil.copytree(photograph_folder, folder / "photographs")
    train_here(*run_words(folder / "photographs", folder / "run", "--steps", 1))
    return folder


@pytest.fixture
def copied(begun, tmp_path):
    """A copy of that run, for a test to spoil. Its large file is shared: nothing may write into it, only replace it."""
    shutil.copytree(begun / "run", tmp_path / "run", copy_function=os.link)
    shutil.copytree(begun / "photographs", tmp_path / "photographs")
    return tmp_path


def refusal(words: list[object], capsys) -> str:
    """The one line with which a command ends that cannot do what it is asked for."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        train_here(*words)
    assert stopped.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "%|" not in line]  # bars go to the same place
    assert len(lines) == 1, lines
    return lines[0]


def assert_kept(folder: Path, step: int = 1) -> None:
    """A run's checkpoint of a step is there and loads; nothing half-written is beside it."""
    tensors, progress = checkpoints.load_checkpoint(folder / "run")
    assert int(progress["step"]) == step
    assert all(torch.isfinite(t).all() for t in tensors.values())
    names = {path.name for path in (folder / "run").iterdir()}
    assert names <= {"checkpoint.safetensors", "config.json", "log.csv", "clock", "lock", "spare"}


def two_steps(folder: Path, *more: object) -> list[object]:
    """The command that goes on with such a run."""
    return run_words(folder / "photographs", folder / "run", "--steps", 2, *more)


def mount(folder: Path, options: str) -> None:
    """Make a small disk at a folder, or make that larger; skips where only root can."""
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")


@pytest.mark.slow
def test_a_full_disk_keeps_the_last_checkpoint(begun, tmp_path, capsys):
    """The disk holds one checkpoint and half of another. With more room the run goes on."""
    run = tmp_path / "run"
    shutil.copytree(begun / "photographs", tmp_path / "photographs")
    used = sum(-(-path.stat().st_size // 4096) * 4096 for path in (begun / "run").iterdir())
    run.mkdir()
    mount(run, f"size={2 * used}")
    try:
        shutil.copytree(begun / "run", run, dirs_exist_ok=True)
        (run / "spare").write_bytes(bytes(used - 20_000_000))
        message = refusal(two_steps(tmp_path), capsys)
        assert message.startswith(f"{run} cannot be written (")
        assert "No space left on device" in message
        assert "the checkpoint of step 1" in message
        assert_kept(tmp_path)
        mount(run, f"remount,size={4 * used}")
        train_here(*two_steps(tmp_path))
        assert_kept(tmp_path, 2)
        assert [row["step"] for row in read_csv(run / "log.csv")] == ["1", "2"]
    finally:  # a file that is still mapped into memory, which Windows would let nobody replace, keeps the disk in use
        assert not subprocess.run(["umount", str(run)]).returncode


@pytest.mark.parametrize("what", ["checkpoint.safetensors", "config.json", "log.csv"])
def test_what_cannot_be_written_whole_is_not_written(copied, monkeypatch, capsys, what):
    """As on a full disk, where there is no way to make a small one."""
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == what:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    before = (copied / "run" / what).read_bytes()
    message = refusal(two_steps(copied), capsys)
    assert f"{copied / 'run'} cannot be written (" in message
    assert f"{os.strerror(errno.ENOSPC)}); the checkpoint of step 1" in message
    assert_kept(copied)
    assert (copied / "run" / what).read_bytes() == before


def test_folders_that_cannot_be(begun, tmp_path, monkeypatch, capsys):
    """They are found before the photographs are read."""
    for module in ("loop", "packing"):
        monkeypatch.setattr(f"srvae.training.{module}.load_photographs", None)  # would fail
    (tmp_path / "file").write_text("not a folder")
    for run, wanted in (("file", ": name a folder with --run"), ("file/run", ": name another folder")):
        message = refusal(run_words(begun / "photographs", tmp_path / run, "--steps", 1), capsys)
        assert str(tmp_path / run) in message
        assert message.endswith(wanted)
    assert (tmp_path / "file").read_text("utf-8") == "not a folder"
    for words in (
        ["pack", begun / "photographs", tmp_path / "none" / "pack"],
        ["judge", begun / "run", tmp_path / "none" / "table.csv"],
        ["sampling", "4x-D", "--data", begun / "photographs", "--table", tmp_path / "none" / "table.csv"],
    ):
        assert f"there is no folder {tmp_path / 'none'}" in refusal(words, capsys)
    assert f"{tmp_path} cannot be written: it is a folder" in refusal(["judge", begun / "run", tmp_path], capsys)
    words = run_words(tmp_path / "none", tmp_path / "run", "--steps", 1)
    wanted = f"{tmp_path / 'none'} is neither a folder of photographs nor a pack: nothing is there"
    assert refusal(words, capsys) == wanted
    assert not (tmp_path / "run").exists()

    def refuse(**options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse)
    message = refusal(run_words(begun / "photographs", tmp_path / "run", "--steps", 1), capsys)
    assert message == f"{tmp_path / 'run'} cannot be written (Permission denied): name another folder"


def test_a_second_training_in_one_folder_is_refused(copied, capsys):
    with claimed(copied / "run"):
        message = refusal(two_steps(copied), capsys)
    assert message.startswith(f"another process is training in {copied / 'run'}")
    assert_kept(copied)
    train_here(*two_steps(copied))  # the folder is free again
    assert_kept(copied, 2)


def test_photographs_that_have_gone(copied, capsys):
    write_pack(copied / "photographs", copied / "pack")
    (copied / "photographs" / "coffee.png").unlink()
    assert "begun on other photographs" in refusal(two_steps(copied), capsys)
    shutil.rmtree(copied / "photographs")
    assert "photographs is neither a folder" in refusal(two_steps(copied), capsys)
    data = (copied / "pack").read_bytes()
    (copied / "pack").write_bytes(data[: len(data) // 2])
    message = refusal(run_words(copied / "pack", copied / "run", "--steps", 2), capsys)
    assert f"{copied / 'pack'} is no pack of photographs, or damaged" in message
    assert_kept(copied)


DAMAGES = {
    "checkpoint of text": ("checkpoint.safetensors", b"hello, this is no checkpoint", "no readable safetensors file"),
    "record cut short": ("config.json", b'{"scale": 4, "sta', "is no JSON"),
    "record that is deep": ("config.json", b"[" * 100_000, "is no JSON"),
    "record that is a list": ("config.json", b"[1, 2]", "must hold a JSON object"),
    "record of a word": ("config.json", b'{"scale": "four", "batch": 1}', "scale cannot be 'four'"),
    "record of an odd history": ("config.json", b'{"history": "long"}', "history must be a list"),
    "record of version 0.1 in part": ("config.json", b'{"validate": 3}', "no whole record"),
    "record of another run": ("config.json", b'{"scale": 8}', "begun with other settings: scale (8, now 4)"),
    "log of bytes": ("log.csv", b"\xff\xfe\x00\x01", "is no log"),
    "log cut short": ("log.csv", b"step,psnr\n1,20\n2", "line 3 of"),
    "log with a row twice": ("log.csv", b"step,psnr\n1,20\n1,20\n", "steps do not rise"),
    "clock of a word": ("clock", b"noon", "must hold a number of seconds, not 'noon'"),
    "clock that is endless": ("clock", b"inf", "must hold a number of seconds"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_named(copied, capsys, name):
    file, content, message = DAMAGES[name]
    (copied / "run" / file).unlink(missing_ok=True)
    (copied / "run" / file).write_bytes(content)
    before = {p: p.stat().st_mtime_ns for p in (copied / "run").iterdir() if p.name != "lock"}
    said = refusal(two_steps(copied, *(("--minutes", 1) if file == "clock" else ())), capsys)
    assert message in said
    assert file in said or "other settings" in said
    assert before == {p: p.stat().st_mtime_ns for p in (copied / "run").iterdir() if p.name != "lock"}


FIRST = {"step": "1", "seconds": "1"}
MOMENTUM = "optimiser.momentum_buffer.feat1_1.weight"
CHANGES = {
    "no metadata": ({}, None, "does not say how far the run has come"),
    "a negative step": ({}, {"step": "-1", "seconds": "1"}, "does not say how far"),
    "no weights": ({"model.feat1_1.weight": None}, FIRST, "lacks model.feat1_1.weight"),
    "weights to repeat": ({"model.feat1_1.bias": torch.ones(1)}, FIRST, "feat1_1.bias is (1,), should be (64,)"),
    "another momentum": ({MOMENTUM: torch.ones(2, 2)}, FIRST, "momentum_buffer of feat1_1.weight is (2, 2), should be"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_checkpoint_of_something_else_is_named(copied, capsys, name):
    changes, metadata, message = CHANGES[name]
    file = copied / "run" / "checkpoint.safetensors"
    tensors = {k: t for k, t in (load_file(file) | changes).items() if t is not None}
    file.unlink()
    save_file(tensors, file, metadata)
    said = refusal(two_steps(copied), capsys)
    assert message in said
    assert str(file) in said


def test_pieces_and_runs_whose_records_are_damaged_are_named(copied, tmp_path, capsys):
    for content in ("[]", '{"a": {"sha256": "x"}}', '{"a": {"sha256": 1, "bytes": 2, "pieces": 3}}', "{"):
        (tmp_path / "pieces.json").write_text(content)
        assert str(tmp_path / "pieces.json") in refusal(["join", tmp_path, tmp_path / "out"], capsys)
    record = copied / "run" / "config.json"
    record.unlink()
    record.write_text('{"scale": 4}')
    said = refusal(["export", copied / "run", "4x-D", "--folder", tmp_path / "out"], capsys)
    assert f"{record} is no record of a whole run: it lacks history, sources" in said
    assert "it lacks history" in refusal(["judge", copied / "run", tmp_path / "table.csv"], capsys)


@pytest.mark.slow
def test_a_log_has_a_row_once_however_a_run_ends(copied):
    """One is killed two rows after its checkpoint. Made shorter, it ends where it has both checkpoint and row."""
    log = copied / "run" / "log.csv"
    (row,) = read_csv(log)
    write_csv(log, [row, row | {"step": 2}, row | {"step": 3}])
    train_here(*two_steps(copied, "--validations", 2, "--checkpoints", 2))
    tensors, progress = checkpoints.load_checkpoint(copied / "run")
    checkpoints.save_checkpoint(copied / "run", tensors, progress | {"finished": "False"})
    before = read_csv(log)
    train_here(*two_steps(copied))
    after = read_csv(log)
    assert [row["step"] for row in after] == ["1", "2"]
    changing = {"seconds": "", "waited": ""}
    assert after[-1] | changing == before[-1] | changing, "what the row says of the steps before is kept"
