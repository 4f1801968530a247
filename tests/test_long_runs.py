"""Long runs: killed again and again, they end where they would have ended."""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
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
needs_forks = pytest.mark.skipif(FORKS is None, reason="this system cannot fork")

KILLS = 20


@pytest.fixture(scope="module")
def server():
    """A process that has imported torch and this file once: what is forked from it starts at once."""
    from multiprocessing import forkserver  # Windows has none

    FORKS.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # Python 3.11 does not hand it on
        forkserver.ensure_running()


def quiet_main(words: list[object]) -> None:
    """Run a command of ``srvae train``, and print nothing."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        train_here(*words)


def ended(words: list[object]) -> int:
    """The exit code of a command in a process of its own."""
    process = FORKS.Process(target=quiet_main, args=(words,))
    process.start()
    process.join()
    return process.exitcode


# -- killed -------------------------------------------------------------------------------------------------


def file_events(run: Path, function) -> None:
    """Have a function called before each opening and each renaming of a file that is on its way into a run's folder."""

    def hook(event: str, arguments: tuple) -> None:
        if event in ("open", "os.rename") and isinstance(arguments[0], str | Path):
            path = Path(arguments[0])
            if path.suffix == ".part" and path.parent == run:
                function(event, path)

    sys.addaudithook(hook)


def train_until(words: list[object], run: Path, number: int, way: str, pipe) -> None:
    """Train until the number-th event of the run's files, and what comes then.

    ``before`` kills this process before that event; ``torn`` too, and leaves half of what had been written;
    ``later`` tells the parent, which kills it some time later.
    """
    left = [number]

    def count(event: str, path: Path) -> None:
        left[0] -= 1
        if left[0]:
            return
        if way == "later":
            pipe.send("now")
            return
        if way == "torn" and event == "os.rename":
            os.truncate(path, path.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    file_events(run, count)
    if not number:
        pipe.send("now")
    quiet_main(words)


def kill_once(words: list[object], run: Path, number: int, way: str, seconds: float) -> None:
    """Start a run and have it killed."""
    here, there = FORKS.Pipe()
    process = FORKS.Process(target=train_until, args=(words, run, number, way, there))
    process.start()
    there.close()
    if way == "later":
        here.recv()
        time.sleep(seconds)
        process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it ended before it could be killed"


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


@pytest.mark.slow
@needs_forks
def test_a_run_killed_twenty_times_ends_bit_for_bit_where_an_undisturbed_one_ends(server, photograph_folder, tmp_path):
    """Noise is scaled in the end, and a pool of a teacher's answers is kept, so that all that a run writes is written.

    The kills are at random: before a file is opened, before it takes its place, with half of it written, or at any
    moment after that. In the last three steps none comes later than said, so that the run cannot end too early.
    """
    steps = 9
    more = ("--initial", "4x-D", "--teacher", "self", "--pool", 2, "--steps", steps)
    more = (*more, "--checkpoints", steps, "--validations", 3, "--validated", 1, "--workers", 1)
    assert ended(run_words(photograph_folder, tmp_path / "whole", *more)) == 0
    run, rng = tmp_path / "killed", random.Random(3)
    words = run_words(photograph_folder, run, *more)
    began = set()
    for _ in range(KILLS):
        done = int(checkpoints.read_progress(run).get("step", 0))
        began.add(done)
        way = rng.choice(("before", "torn") if done > steps - 4 else ("before", "torn", "later"))
        # An end writes five files' events: the log's two, the record's two, and the checkpoint's renaming.
        kill_once(words, run, rng.randint(0 if way == "later" else 1, 5), way, rng.uniform(0, 0.5))
    assert len(began) > 4, "it was killed at many steps"
    assert not checkpoints.is_finished(run)
    assert ended(words) == 0
    whole, killed = outcome(tmp_path / "whole"), outcome(run)
    assert whole[0].keys() == killed[0].keys()
    assert [name for name, t in whole[0].items() if not torch.equal(t, killed[0][name])] == []
    assert whole[1:] == killed[1:]
    assert [row["step"] for row in killed[3]] == ["3", "6", "9"]
    assert killed[2]["history"][-1]["noise_factor"] != 1


def keep_time(file: Path, number: int, way: str) -> None:
    """Keep the time in a file until the number-th event on its way there, then as :func:`train_until`."""
    schedule.TICK = 0.001
    left = [number]

    def count(event: str, path: Path) -> None:
        left[0] -= 1
        if not left[0]:
            if way == "torn" and event == "os.rename":
                os.truncate(path, 1)
            os.kill(os.getpid(), signal.SIGKILL)

    file_events(file.parent, count)
    clock = Clock(file, time.monotonic())
    clock.resume(0.0)
    with clock.ticking():
        time.sleep(60)


@pytest.mark.slow
@needs_forks
def test_a_clock_killed_while_it_is_written_never_goes_back(server, tmp_path):
    file, rng, before = tmp_path / "clock", random.Random(0), 0.0
    for _ in range(KILLS):
        process = FORKS.Process(target=keep_time, args=(file, rng.randint(1, 200), rng.choice(("before", "torn"))))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        now = read_seconds(file)
        assert now >= before
        before = now
    assert before > 0
    with claimed(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {"clock", "lock"}, "half a clock is removed"


def claim_and_be_killed(folder: Path) -> None:
    with claimed(folder):
        (folder / "log.csv.part").write_text("half")
        (folder / ".tmpABC123").write_text("half, as safetensors leaves it")
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
@needs_forks
def test_a_killed_training_leaves_its_folder_free(server, tmp_path):
    process = FORKS.Process(target=claim_and_be_killed, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 3
    with claimed(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]
