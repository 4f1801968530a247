"""What is left to do, and what is known to fail before any work."""

import argparse
import os

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch

import srvae_core as sr
from enlarge_helpers import bands, form, save
from pictures import picture
from srvae.enlarging.jobs import Job, find_jobs
from srvae.enlarging.picture import Notes
from srvae.enlarging.settings import Settings, digest_of, settings_of
from srvae.enlarging.tasks import Task, plan, reason_of
from srvae.enlarging.writers import write_picture


@pytest.fixture(scope="module")
def settings() -> Settings:
    return settings_of(argparse.Namespace(model="D", scale=4, temperature=0.5, seed=3, samples=2, precision="auto"))


def answer(job: Job, settings: Settings, seed: int) -> None:
    """Put an answer's file in its place, as if it had been made."""
    words = settings.words(seed, digest_of(job.source))
    image, target = picture(24, 36), job.targets[settings.seeds.index(seed)]
    target.parent.mkdir(parents=True, exist_ok=True)
    write_picture(target, target.suffix, form(image), bands(image), Notes(words))


def left(jobs: list[Job], settings: Settings, **options: object) -> list[list[int]]:
    """The seeds that are left to do of each job that has some."""
    tasks, _, failures = plan(jobs, settings, **{"pixel_limit": sr.PIXEL_LIMIT, "overwrite": False} | options)
    assert not failures
    return [list(task.targets) for task in tasks]


def test_only_what_is_missing_is_left(tmp_path, settings):
    save(tmp_path / "in" / "a.png")
    jobs = find_jobs([tmp_path / "in"], tmp_path / "out", settings.seeds)
    assert left(jobs, settings) == [[3, 4]]
    answer(jobs[0], settings, 3)
    assert left(jobs, settings) == [[4]]
    answer(jobs[0], settings, 4)
    assert left(jobs, settings) == []
    assert plan(jobs, settings, pixel_limit=sr.PIXEL_LIMIT, overwrite=False)[1] == 2
    assert left(jobs, settings, overwrite=True) == [[3, 4]]


def test_what_changed_is_done_again(tmp_path, settings):
    path = save(tmp_path / "in" / "a.png")
    jobs = find_jobs([tmp_path / "in"], tmp_path / "out", settings.seeds)
    answer(jobs[0], settings, 3)
    answer(jobs[0], settings, 4)
    os.utime(path, (1, 1))  # an older date is no change
    assert left(jobs, settings) == []
    for change in ({"weights": "others"}, {"temperature": 0.6}, {"name": "4x-P"}):
        assert left(jobs, Settings(**vars(settings) | change)) == [[3, 4]]
    before = path.stat()
    PIL.Image.fromarray(picture(6, 9)[::-1]).save(path)
    os.utime(path, (before.st_atime, before.st_mtime))  # contents count, not dates
    assert left(jobs, settings) == [[3, 4]]


def test_files_of_others_are_not_replaced(tmp_path, settings):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "out" / "a_seed3.png")
    jobs = find_jobs([tmp_path / "in"], tmp_path / "out", settings.seeds)
    tasks, _, failures = plan(jobs, settings, pixel_limit=sr.PIXEL_LIMIT, overwrite=False)
    assert not tasks
    assert "a_seed3.png is there and is no answer of this command: --overwrite replaces it" in failures[0][1]
    assert left(jobs, settings, overwrite=True) == [[3, 4]]


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "suffix", "message"),
    [
        ("a.jpg", (1, 16376), np.uint8, "", "hold at most 65500 pixels a side, not 65504.*--format png or tif"),
        ("a.png", (4096, 1), np.uint8, ".webp", "hold at most 16383 pixels a side"),
        ("a.tif", (5, 5, 3), np.uint16, ".jpg", "do not hold 16 bit.*--format png or tif"),
        ("a.png", (5, 5, 4), np.uint8, ".bmp", "do not hold alpha.*--format png or tif"),
    ],
)
def test_what_a_format_cannot_hold_is_known_from_the_header(
    name, shape, dtype, suffix, message, tmp_path, settings, monkeypatch
):
    image = np.zeros(shape, dtype)
    if dtype is np.uint16:
        tifffile.imwrite(tmp_path / name, image, photometric="rgb")
    else:
        PIL.Image.fromarray(image).save(tmp_path / name)
    monkeypatch.setattr(sr, "read_image", None)  # no pixels are read
    jobs = find_jobs([tmp_path / name], tmp_path / "out", (0,), suffix)
    tasks, _, failures = plan(jobs, Settings(**vars(settings) | {"seeds": (0,)}), pixel_limit=2**28, overwrite=False)
    assert not tasks
    with pytest.raises(ValueError, match=message):
        raise ValueError(failures[0][1])


def test_the_others_go_on(tmp_path, settings):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "large.png", 20, 20)
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    jobs = find_jobs([tmp_path / "in"], tmp_path / "out", settings.seeds)
    tasks, _, failures = plan(jobs, settings, pixel_limit=100, overwrite=False)
    assert [task.source.name for task in tasks] == ["a.png"]
    assert [(os.path.basename(name), reason.split(",")[0]) for name, reason in failures] == [
        ("broken.png", "no image that can be read"),
        ("large.png", "it has 20x20 pixels"),
    ]
    assert tasks[0].pixels == 6 * 9 * 16 * 2


def test_a_task_travels_as_text(tmp_path):
    task = Task(tmp_path / "Привет #1.png", {3: tmp_path / "a.png", 4: tmp_path / "b.png"}, 5)
    assert Task.from_json(task.to_json()) == task


def test_reasons_are_one_line():
    assert reason_of(ValueError("one\n  and two")) == "one and two"
    assert reason_of(KeyError("x")) == "KeyError: 'x'"
    assert reason_of(PermissionError(13, "Permission denied", "a.png")) == "Permission denied: a.png"
    assert reason_of(OSError("truncated")) == "truncated"
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")):
        assert "not enough memory" in reason_of(error)
