"""Long runs: killed again and again, they end where they would have ended."""

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch

from helpers import run_words, train_here
from srvae.csvfiles import read_csv
from srvae.training import checkpoints, schedule
from srvae.training.files import claimed, read_seconds
from srvae.training.schedule import Clock

FORKS = multiprocessing.get_context("forkserver") if "forkserver" in multiprocessing.get_all_start_methods() else None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(FORKS is None, reason="this system cannot fork")]


@pytest.fixture(scope="module", autouse=True)
def server():
    """A process that has imported torch and this file once: what is forked from it starts at once."""
    from multiprocessing import forkserver  # Windows has none

    FORKS.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # Python 3.11 does not hand it on
        forkserver.ensure_running()


def exit_code(function: Callable, *arguments: object) -> int:
    """The exit code of a function in a process of its own."""
    process = FORKS.Process(target=function, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(folder: Path, number: int, way: str) -> None:
    """Have this process killed at the number-th opening or renaming of a file that is on its way into a folder.

    ``before`` kills it before that; ``torn`` too, and leaves half of what had been written; ``later`` in a moment.
    """
    left = [number]

    def hook(event: str, arguments: tuple) -> None:
        path = Path(arguments[0]) if event in ("open", "os.rename") and isinstance(arguments[0], str | Path) else folder
        if path.suffix != ".part" or path.parent != folder:
            return
        left[0] -= 1
        if left[0] == 0 and way == "later":
            threading.Timer(0.1, kill).start()
        elif left[0] == 0:
            if way == "torn" and event == "os.rename":
                os.truncate(path, path.stat().st_size // 2)
            kill()

    sys.addaudithook(hook)


def train_quietly(words: list[object], *death: object) -> None:
    """Run a command of ``srvae train`` and print nothing; be killed on the way where it is said when."""
    if death:
        kill_at(*death)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        train_here(*words)


def outcome(run: Path) -> tuple[dict, ...]:
    """What a run leaves, without what depends on time and place: its tensors and their metadata, record, log, files."""
    tensors, progress = checkpoints.load_checkpoint(run)
    record = json.loads((run / "config.json").read_text("utf-8"))
    for stage in record["history"]:
        del stage["minutes"]
        stage["command"] = stage["command"].replace(run.name, "RUN")
    log = [{k: v for k, v in row.items() if k not in ("seconds", "waited")} for row in read_csv(run / "log.csv")]
    del progress["seconds"], record["run"]
    return tensors, progress, record, log, sorted(path.name for path in run.iterdir())


KILLS = ((1, "torn"), (4, "torn"), (4, "before"), (5, "torn"), (8, "later"))


def test_a_run_killed_five_times_ends_bit_for_bit_where_an_undisturbed_one_ends(photograph_folder, tmp_path):
    """Noise is scaled in the end, and a pool of a teacher's answers is kept, so that all that a run writes is written.

    Killed while it writes the pool, the first checkpoint, the log's first row, the second checkpoint, and in a step.
    """
    more = ("--initial", "4x-D", "--teacher", "self", "--pool", 2, "--steps", 6)
    more = (*more, "--checkpoints", 6, "--validations", 3, "--validated", 1, "--workers", 1)
    assert exit_code(train_quietly, run_words(photograph_folder, tmp_path / "whole", *more)) == 0
    run, begun = tmp_path / "killed", []
    words = run_words(photograph_folder, run, *more)
    for number, way in KILLS:
        begun.append(int(checkpoints.read_progress(run).get("step", 0)))
        assert exit_code(train_quietly, words, run, number, way) == -signal.SIGKILL, "it ended before it was killed"
    assert begun == [0, 0, 0, 1, 1]
    assert not checkpoints.is_finished(run)
    assert exit_code(train_quietly, words) == 0
    whole, killed = outcome(tmp_path / "whole"), outcome(run)
    assert whole[0].keys() == killed[0].keys()
    assert [name for name, t in whole[0].items() if not torch.equal(t, killed[0][name])] == []
    assert whole[1:] == killed[1:]
    assert [row["step"] for row in killed[3]] == ["2", "4", "6"]
    assert killed[2]["history"][-1]["noise_factor"] != 1


def keep_time(file: Path, number: int, way: str) -> None:
    """Keep the time in a file of a folder that nobody else may have, and be killed as :func:`kill_at` says."""
    schedule.TICK = 0.001
    clock = Clock(file, time.monotonic())
    clock.resume(0.0)
    with claimed(file.parent):
        kill_at(file.parent, number, way)
        with clock.ticking():
            time.sleep(60)


def test_a_killed_clock_never_goes_back_and_leaves_its_folder_free(tmp_path):
    file, before = tmp_path / "clock", 0.0
    for number, way in ((200, "torn"), (1, "before"), (2, "torn"), (99, "before"), (100, "torn")):
        assert exit_code(keep_time, file, number, way) == -signal.SIGKILL
        before, earlier = read_seconds(file), before
        assert before >= earlier
    assert before > 0
    (tmp_path / ".tmpABC123").write_text("half, as safetensors leaves it")
    assert len(list(tmp_path.iterdir())) == 4
    with claimed(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {"clock", "lock"}, "what is half-written is removed"
