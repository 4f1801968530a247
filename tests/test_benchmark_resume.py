"""An evaluation that is killed at any moment and started again: nothing is computed twice, nothing is written twice."""

import hashlib
import multiprocessing
import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from tqdm import tqdm

import srvae.benchmarks.evaluate
import srvae.benchmarks.scoring
import srvae_core as sr
from pictures import picture
from srvae import images
from srvae.benchmarks.answers import SETTINGS, Request
from srvae.benchmarks.results import read_results

MODEL = "4x-D"
CHOSEN = ("default", "unrounded", "temperature 1", "temperature 0.5")  # of two rounds
IMAGES = 6
KILLS = 10
PAUSE = 0.02  # seconds that each image takes at least


class Pretended:
    """Answers that take no network, and are others for each image and settings."""

    def __init__(self, _: object, lr) -> None:
        self.lr = lr

    def __call__(self, request: Request):
        shade = list(SETTINGS.values()).index(request)
        return [sr.enlarge(self.lr, 4) // (2 + shade) + i for i in range(request.samples)], 1.0


def evaluate_counted(folder: Path, log: Path) -> None:
    """Evaluate the set below a folder into results.csv there; a line of the log for each image that is scored."""
    os.environ["SRVAE_BENCHMARKS"] = str(folder / "sets")
    score = srvae.benchmarks.scoring.score

    def counted(answers, hr, lr, scale, **options):
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{hashlib.sha256(answers[0].tobytes()).hexdigest()}\n")
        time.sleep(PAUSE)
        return score(answers, hr, lr, scale, **options)

    # A process of its own, so that these need no way back.
    tqdm.set_lock(threading.RLock())  # its usual lock is the system's, and outlives a process that is killed
    srvae.benchmarks.scoring.score = counted
    sr.load_model = lambda *_: SimpleNamespace(scale=4, temperature=0.0)
    sr.super_resolve = lambda *_, **__: None
    srvae.benchmarks.evaluate.evaluate(
        [MODEL],
        ["Tiny"],
        settings=CHOSEN,
        peers={"Peer": str(folder / "peer")},
        results=folder / "results.csv",
        progress=False,
        niqe=False,
        answers=Pretended,
    )


@pytest.fixture
def start(monkeypatch):
    """A function that starts :func:`evaluate_counted` in a process of its own, which has its modules already."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("processes that are started in no time need a Unix")
    paths = [str(Path(__file__).parent), *sys.path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))  # for the process that the others are copies of
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])

    def started(folder: Path, log: Path) -> multiprocessing.Process:
        process = context.Process(target=evaluate_counted, args=(folder, log))
        process.start()
        return process

    return started


def prepared(folder: Path) -> Path:
    """A folder with a set and a peer's answers to it."""
    for i in range(IMAGES):
        for place, image in (("sets/Tiny", picture(36, 40 + 4 * i)), ("peer/Tiny/x4", picture(36, 40 + 4 * i) // 2)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            images.write(folder / place / f"image {i}.png", image)
    return folder


def images_in(log: Path) -> int:
    """How many images have been scored."""
    return log.read_text(encoding="utf-8").count("\n")


def scores(folder: Path) -> list[dict[str, str]]:
    """The results without their seconds, which no two calls share."""
    return [row | {"seconds": ""} for row in read_results(folder / "results.csv")]


@pytest.mark.slow
def test_an_evaluation_killed_at_any_moment_repeats_nothing(start, tmp_path):
    folder = prepared(tmp_path / "work")
    log = tmp_path / "log"
    log.touch()
    rng = random.Random(3)
    kills = 0
    while kills < KILLS:
        wanted = images_in(log) + rng.randrange(5)
        process = start(folder, log)
        while images_in(log) < wanted and process.is_alive():
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 2 * PAUSE))
        process.kill()
        process.join()
        if process.exitcode == 0:  # it was done before
            break
        kills += 1
    assert kills >= KILLS // 2  # each call has come as far as four images and what two pauses take
    process = start(folder, log)
    process.join()
    assert process.exitcode == 0
    interrupted = Counter(log.read_text().split())
    # one row each of bicubic, of the peer, and of the settings
    assert len(interrupted) == IMAGES * (2 + len(CHOSEN))
    assert sum(count - 1 for count in interrupted.values()) <= kills  # what was under way at a kill
    assert sorted(path.name for path in folder.iterdir()) == ["peer", "results.csv", "sets"]
    size = log.stat().st_size
    written = (folder / "results.csv").stat().st_mtime_ns
    process = start(folder, log)  # and nothing is left to do
    process.join()
    assert (process.exitcode, log.stat().st_size) == (0, size)
    assert (folder / "results.csv").stat().st_mtime_ns == written
    (folder / "results.csv").rename(tmp_path / "interrupted.csv")
    process = start(folder, tmp_path / "undisturbed")
    process.join()
    assert Counter((tmp_path / "undisturbed").read_text().split()) == Counter(interrupted.keys())
    undisturbed = scores(folder)
    (tmp_path / "interrupted.csv").replace(folder / "results.csv")
    assert scores(folder) == undisturbed
    assert len(undisturbed) == 2 + len(CHOSEN)
