"""The work itself: every file is read, enlarged and written, and what fails is its own failure alone."""

from __future__ import annotations

import errno
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

import srvae_core as sr

from .headers import Header, read_header
from .notes import notes_of
from .settings import Settings, digest_of
from .sharing import POLL, Crew
from .strips import Strips
from .tasks import Task, check_target, reason_of
from .writers import write_picture

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Worker:
    """Does tasks, one after another.

    Args:
        model: on its device.
        settings: of the run.
        pixel_limit: the most pixels of a file that is read.
        made: is told how many pixels were made since it was told last.
        say: shows a line, for example a warning.
    """

    def __init__(
        self,
        model: sr.SRVAE,
        settings: Settings,
        *,
        pixel_limit: int,
        made: Callable[[int], None],
        say: Callable[[str], None],
    ) -> None:
        self.model, self.settings, self.pixel_limit = model, settings, pixel_limit
        self.made, self.say = made, say

    def do(self, task: Task) -> None:
        """Write the answers of a task.

        Raises:
            ValueError, OSError: the file cannot be enlarged, or an answer not be written.
        """
        digest = digest_of(task.source)
        with self._warnings_of(task.source):
            header = read_header(task.source, self.pixel_limit)
            lr = sr.read_image(task.source, pixel_limit=self.pixel_limit)
        for target in task.targets.values():  # the header may have promised less than there is
            check_target(target, Header(lr.shape, lr.dtype, header.grey), self.model.scale)
        strips = Strips(self.model, lr, grey=header.grey, samples=len(task.targets), precision=self.settings.precision)
        for seed, target in task.targets.items():
            notes = notes_of(task.source, self.model.scale, self.settings.words(seed, digest))
            if strips.picture.grey:  # which an RGB profile does not fit
                notes = replace(notes, profile=b"")
            target.parent.mkdir(parents=True, exist_ok=True)
            with sr.written_whole(target) as part:
                bands = strips.bands(seed, self.settings.temperature, self.made)
                write_picture(part, target.suffix, strips.picture, bands, notes)

    @contextmanager
    def _warnings_of(self, source: Path) -> Iterator[None]:
        """Show each warning once, with the file's name, and on a line of its own."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for message in dict.fromkeys(str(warning.message) for warning in caught):
            self.say(message if str(source) in message else f"{source}: {message}")


def work(crew: Crew, tasks: int, total: int, settings: Settings, pixel_limit: int) -> None:
    """Take tasks until none is left, and show how far all processes are: the main one's bar is of all.

    What fails is said to the crew, and the other files go on, unless the disk is full.

    Args:
        crew: to which the tasks are published.
        tasks: how many.
        total: the pixels of all answers.
        settings: of the run.
        pixel_limit: the most pixels of a file that is read.

    Raises:
        FileNotFoundError, ValueError: the model cannot be loaded.
    """
    model = sr.load_model(settings.model, device=crew.device)
    seldom = 0.1 if sys.stderr.isatty() else 30  # seconds between lines of the bar in a log
    with tqdm(total=total, unit="px", unit_scale=True, disable=not crew.main, mininterval=seldom) as bar:

        def made(pixels: int) -> None:
            bar.update(crew.count("pixels", pixels) - bar.n)

        def say(line: str) -> None:
            bar.write(line, file=sys.stderr)

        worker = Worker(model, settings, pixel_limit=pixel_limit, made=made, say=say)
        while (text := crew.claim(tasks)) is not None:
            task = Task.from_json(text)
            bar.set_description(task.source.name, refresh=False)
            if not _done(worker, task, crew):
                break
        crew.count("finished")
        while crew.main and crew.count("finished", 0) < crew.processes:
            time.sleep(POLL)
            made(0)


def _done(worker: Worker, task: Task, crew: Crew) -> bool:
    """Do a task; False where there is no sense in going on.

    A failure is its file's alone, whatever it is, so that a night's run is not lost by one file.
    """
    try:
        worker.do(task)
    except Exception as error:
        crew.fail(str(task.source), reason_of(error))
        return not (isinstance(error, OSError) and error.errno in DISK_FULL)
    crew.count("answers", len(task.targets))
    return True
