"""Runs that cannot go on: a full disk, folders that cannot be, photographs that have gone, files damaged by hand.

Each ends with one line that says what is wrong, and leaves the last good checkpoint as it is.
"""

import errno
import os
import shutil
import subprocess
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import run_words, train_here
from srvae.csvfiles import read_csv, write_csv
from srvae.training import checkpoints, files, schedule
from srvae.training.files import claimed, log_row, read_seconds
from srvae.training.packing import write_pack
from srvae.training.photographs import load_photographs
from srvae.training.schedule import Clock

# -- a run that is there already ----------------------------------------------------------------------------


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
    message = capsys.readouterr().err.rstrip("\n")
    assert "Traceback" not in message
    lines = [line for line in message.splitlines() if "%|" not in line]  # bars go to the same place
    assert len(lines) == 1, message
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


# -- a full disk --------------------------------------------------------------------------------------------


@pytest.fixture
def disk():
    """A function that makes a small disk of so many bytes at a folder, or makes that larger; skips where it cannot."""
    mounted = []

    def make(folder: Path, size: int) -> None:
        options = f"size={size}" if folder not in mounted else f"remount,size={size}"
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("only root can mount a small disk")
        mounted.append(folder)

    yield make
    for folder in set(mounted):
        busy = subprocess.run(["umount", str(folder)], capture_output=True).returncode
        if busy:  # a file in it is still mapped into memory, which Windows would not let anybody replace
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        assert not busy, f"{folder} is in use"


@pytest.mark.slow
@pytest.mark.parametrize("room", [20_000_000, 0], ids=["checkpoint", "log"])
def test_a_full_disk_keeps_the_last_checkpoint(begun, tmp_path, disk, capsys, room):
    """The disk holds one checkpoint and half of another, or not even a new log. With more room the run goes on."""
    shutil.copytree(begun / "photographs", tmp_path / "photographs")
    used = sum(-(-path.stat().st_size // 4096) * 4096 for path in (begun / "run").iterdir())
    disk(tmp_path / "run", 2 * used)
    for path in (begun / "run").iterdir():
        shutil.copy(path, tmp_path / "run")
    with suppress(OSError):  # where no room is to be left, the file ends with the disk
        (tmp_path / "run" / "spare").write_bytes(bytes(used - room) if room else bytes(2 * used))
    message = refusal(two_steps(tmp_path), capsys)
    assert f"{tmp_path / 'run'} cannot be written (" in message
    assert "No space left on device" in message
    assert "the checkpoint of step 1" in message
    assert_kept(tmp_path)
    disk(tmp_path / "run", 4 * used)
    train_here(*two_steps(tmp_path))
    assert_kept(tmp_path, 2)
    assert [row["step"] for row in read_csv(tmp_path / "run" / "log.csv")] == ["1", "2"]


@pytest.mark.parametrize("what", ["checkpoint.safetensors", "config.json", "log.csv"])
def test_what_cannot_be_written_whole_is_not_written(copied, monkeypatch, capsys, what):
    """As on a full disk, where there is no way to make a small one."""
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == what:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    before = {path.name: path.read_bytes() for path in (copied / "run").glob(what)}
    message = refusal(two_steps(copied), capsys)
    assert f"{copied / 'run'} cannot be written (" in message
    assert f"{os.strerror(errno.ENOSPC)}); the checkpoint of step 1" in message
    assert_kept(copied)
    assert before == {path.name: path.read_bytes() for path in (copied / "run").glob(what)}


def test_a_clock_outlasts_a_disk_that_is_full_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "TICK", 0.01)
    failures, write = [], files.write_text
    full = [False]

    def write_where_room_is(path: Path, text: str) -> None:
        if full[0]:
            failures.append(path)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, text)

    monkeypatch.setattr(schedule, "write_text", write_where_room_is)
    clock = Clock(tmp_path / "clock", time.monotonic() - 30)
    with clock.ticking():
        first = read_seconds(tmp_path / "clock")
        full[0] = True
        end = time.monotonic() + 30
        while len(failures) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        assert len(failures) >= 3, "it goes on trying"
        full[0] = False
    assert read_seconds(tmp_path / "clock") >= first
    full[0] = True
    with pytest.raises(OSError, match=r"the time cannot be kept in .*clock \(No space left on device\): make room"):
        clock.ticking().__enter__()


# -- folders that cannot be ---------------------------------------------------------------------------------


def test_a_run_folder_that_is_a_file(begun, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    for run in (tmp_path / "file", tmp_path / "file" / "run"):
        message = refusal(run_words(begun / "photographs", run, "--steps", 1), capsys)
        assert message.endswith(": name a folder with --run" if run.name == "file" else ": name another folder")
        assert str(run) in message
    assert (tmp_path / "file").read_text("utf-8") == "not a folder"


def test_a_folder_that_cannot_be_written_is_found_before_the_photographs_are_read(begun, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("srvae.training.loop.load_photographs", None)  # would fail
    folder = tmp_path / "locked"
    folder.mkdir()
    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse_to_write)
    message = refusal(run_words(begun / "photographs", folder / "run", "--steps", 1), capsys)
    assert message == f"{folder / 'run'} cannot be written (Permission denied): name another folder"


def refuse_to_write(**options: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied")


def test_a_read_only_disk(begun, tmp_path, disk, capsys):
    disk(tmp_path / "disk", 1 << 20)
    subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "disk")], check=True)
    message = refusal(run_words(begun / "photographs", tmp_path / "disk" / "run", "--steps", 1), capsys)
    assert message == f"{tmp_path / 'disk' / 'run'} cannot be written (Read-only file system): name another folder"


def test_results_that_would_have_no_folder_are_refused_before_the_work(begun, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("srvae.training.packing.load_photographs", None)
    monkeypatch.setattr("srvae.training.loop.load_photographs", None)
    for words in (
        ["pack", begun / "photographs", tmp_path / "none" / "pack"],
        ["judge", begun / "run", tmp_path / "none" / "table.csv"],
        ["sampling", "4x-D", "--data", begun / "photographs", "--table", tmp_path / "none" / "table.csv"],
    ):
        assert f"there is no folder {tmp_path / 'none'}" in refusal(words, capsys)
    assert f"{tmp_path} cannot be written: it is a folder" in refusal(["judge", begun / "run", tmp_path], capsys)


# -- one training a folder ----------------------------------------------------------------------------------


def test_a_second_training_in_one_folder_is_refused(copied, capsys):
    with claimed(copied / "run"):
        message = refusal(two_steps(copied), capsys)
    assert message.startswith(f"another process is training in {copied / 'run'}")
    assert_kept(copied)
    train_here(*two_steps(copied))  # the folder is free again
    assert_kept(copied, 2)


# -- photographs that have gone -----------------------------------------------------------------------------


def test_photographs_that_have_gone(copied, capsys):
    write_pack(copied / "photographs", copied / "pack")
    (copied / "photographs" / "coffee.png").unlink()
    assert "begun on other photographs" in refusal(two_steps(copied), capsys)
    shutil.rmtree(copied / "photographs")
    assert "photographs is neither a folder" in refusal(two_steps(copied), capsys)
    assert_kept(copied)
    data = (copied / "pack").read_bytes()
    (copied / "pack").write_bytes(data[: len(data) // 2])
    message = refusal(run_words(copied / "pack", copied / "run", "--steps", 2), capsys)
    assert f"{copied / 'pack'} is no pack of photographs, or damaged" in message
    assert_kept(copied)


def test_a_mistyped_folder_of_photographs_leaves_no_run(tmp_path, capsys):
    words = run_words(tmp_path / "none", tmp_path / "run", "--steps", 1)
    assert (
        refusal(words, capsys) == f"{tmp_path / 'none'} is neither a folder of photographs nor a pack: nothing is there"
    )
    assert not (tmp_path / "run").exists()


def test_a_pack_that_unpacks_to_far_more_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "pack", "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("index.csv", "file\nbomb.png\n")
        pack.writestr("bomb.png", bytes(50_000_000))
    with pytest.raises(ValueError, match=r"pack is no pack of photographs, or damaged: it would unpack to far more"):
        load_photographs(tmp_path / "pack", 4)


def end_reading(pipe: Path) -> None:
    """Let go whoever waits for a pipe's content; nobody should."""
    with suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


def test_what_has_the_name_of_a_photograph_and_is_none(begun, tmp_path, capsys):
    folder = tmp_path / "photographs"
    shutil.copytree(begun / "photographs", folder / "deeper.jpg")  # a folder by that name is searched, too
    for number in range(20):
        shutil.copy(folder / "deeper.jpg" / "coffee.png", folder / f"{number}.png")
    os.symlink(folder / "nowhere", folder / "link.png")
    has_pipes = hasattr(os, "mkfifo")  # Windows has none
    rescue = threading.Timer(20, end_reading, [folder / "pipe.jpg"])
    if has_pipes:
        os.mkfifo(folder / "pipe.jpg")
        rescue.start()
    assert len(load_photographs(folder, 4)) == 23
    rescue.cancel()
    said = capsys.readouterr().out
    assert "left out: link.png is no file" in said
    assert "left out: pipe.jpg is no file" in said or not has_pipes


# -- damaged by hand ----------------------------------------------------------------------------------------

DAMAGES = {
    "checkpoint empty": ("checkpoint.safetensors", b"", "no readable safetensors file"),
    "checkpoint of text": ("checkpoint.safetensors", b"hello, this is no checkpoint", "no readable safetensors file"),
    "record empty": ("config.json", b"", "is no JSON"),
    "record cut short": ("config.json", b'{"scale": 4, "sta', "is no JSON"),
    "record of bytes": ("config.json", b"\xff\xfe\x00", "is no JSON"),
    "record that is deep": ("config.json", b"[" * 100_000, "is no JSON"),
    "record that is a list": ("config.json", b"[1, 2]", "must hold a JSON object"),
    "record of a word": ("config.json", b'{"scale": "four", "batch": 1}', "scale cannot be 'four'"),
    "record of a list": ("config.json", b'{"initial": ["a"]}', "initial cannot be"),
    "record of an odd teacher": ("config.json", b'{"teacher": 5}', "teacher cannot be 5"),
    "record of an odd history": ("config.json", b'{"history": "long"}', "history must be a list"),
    "record of version 0.1 in part": ("config.json", b'{"validate": 3}', "no whole record"),
    "record of another run": ("config.json", b'{"scale": 8}', "begun with other settings: scale (8, now 4)"),
    "log of bytes": ("log.csv", b"\xff\xfe\x00\x01", "is no log"),
    "log without steps": ("log.csv", b"psnr\n20\n", "is no log"),
    "log cut short": ("log.csv", b"step,psnr\n1,20\n2", "line 3 of"),
    "log with a long row": ("log.csv", b"step,psnr\n1,20,30\n", "line 2 of"),
    "log with a row twice": ("log.csv", b"step,psnr\n1,20\n1,20\n", "steps do not rise"),
    "clock of a word": ("clock", b"noon", "must hold a number of seconds, not 'noon'"),
    "clock of nothing": ("clock", b"", "must hold a number of seconds, not ''"),
    "clock that is endless": ("clock", b"inf", "must hold a number of seconds"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_named(copied, capsys, name):
    file, content, message = DAMAGES[name]
    (copied / "run" / file).unlink(missing_ok=True)
    (copied / "run" / file).write_bytes(content)
    others = {p: p.stat().st_mtime_ns for p in (copied / "run").iterdir() if p.name != "lock"}
    more = ("--minutes", 1) if file == "clock" else ()
    said = refusal(two_steps(copied, *more), capsys)
    assert message in said
    assert file in said or "other settings" in said
    assert others == {p: p.stat().st_mtime_ns for p in (copied / "run").iterdir() if p.name != "lock"}


FIRST = {"step": "1", "seconds": "1"}
CHANGES = {
    "nothing of the metadata": ({}, None, "does not say how far the run has come"),
    "a step that is none": ({}, {"step": "soon", "seconds": "1"}, "does not say how far"),
    "a negative step": ({}, {"step": "-1", "seconds": "1"}, "does not say how far"),
    "endless seconds": ({}, {"step": "1", "seconds": "nan"}, "does not say how far"),
    "no weights": ({"model.feat1_1.weight": None}, FIRST, "lacks model.feat1_1.weight"),
    "weights that would be repeated": ({"model.feat1_1.bias": torch.ones(1)}, FIRST, "is (1,), should be (64,)"),
    "an average of another model": (
        {"ema.feat1_1.weight": torch.ones(2, 2)}, FIRST, "ema.feat1_1.weight is (2, 2), should be",
    ),
    "another model's momentum": (
        {"optimiser.momentum_buffer.feat1_1.weight": torch.ones(2, 2)}, FIRST,
        "momentum_buffer of feat1_1.weight is (2, 2), should be",
    ),
}  # fmt: skip


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
    for content in ("[]", '{"a.safetensors": {"sha256": "x"}}', '{"a": {"sha256": 1, "bytes": 2, "pieces": 3}}', "{"):
        (tmp_path / "pieces.json").write_text(content)
        assert str(tmp_path / "pieces.json") in refusal(["join", tmp_path, tmp_path / "out"], capsys)
    (copied / "run" / "config.json").unlink()
    (copied / "run" / "config.json").write_text('{"scale": 4}')
    said = refusal(["export", copied / "run", "4x-D", "--folder", tmp_path / "out"], capsys)
    assert f"{copied / 'run' / 'config.json'} is no record of a whole run: it lacks history, sources" in said
    assert "it lacks history" in refusal(["judge", copied / "run", tmp_path / "table.csv"], capsys)


# -- the log ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_log_has_a_row_once_however_a_run_ends(copied):
    """One is killed two rows after its checkpoint. Made shorter, it ends where it has both checkpoint and row."""
    log = copied / "run" / "log.csv"
    (row,) = read_csv(log)
    write_csv(log, [row, row | {"step": 2}, row | {"step": 3}])
    train_here(*two_steps(copied, "--validations", 2, "--checkpoints", 2))
    progress = checkpoints.load_checkpoint(copied / "run")
    checkpoints.save_checkpoint(copied / "run", progress[0], progress[1] | {"finished": "False"})
    before = read_csv(log)
    train_here(*two_steps(copied))
    after = read_csv(log)
    assert [row["step"] for row in after] == ["1", "2"]
    assert {k: v for k, v in after[-1].items() if k != "waited"} | {"seconds": ""} == {
        k: v for k, v in before[-1].items() if k != "waited"
    } | {"seconds": ""}, "what the row says of the steps before is kept"


def test_a_row_of_the_same_step_takes_the_place_of_the_one_before(tmp_path):
    log = tmp_path / "log.csv"
    log_row(log, {"step": 1, "answer": 5.0, "psnr": 20.0})
    log_row(log, {"step": 2, "answer": 4.0, "psnr": 21.0})
    log_row(log, {"step": 2, "psnr": 22.0})
    assert log.read_text("utf-8") == "step,answer,psnr\n1,5.0,20.0\n2,4.0,22.0\n"
