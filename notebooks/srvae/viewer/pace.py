"""When things happen: one at a time, a draft now and the exact picture later, every error shown.

A kernel's event loop handles one message at a time. Longer work is a generator: each step ends with the seconds after
which to go on, and in between the loop handles new messages. Where no loop runs, as in a script, all steps run at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

Steps = Iterator[float]
T = TypeVar("T")
PAUSE = 0.01  # seconds between two steps, in which a message can come


class Pace:
    """Runs the view's work.

    What is *due* (the exact picture, then its scores) is dropped as soon as anything newer is due. *Studies* (nine
    samples, a map, a saved photograph) wait for one another and run until they end or are stopped.

    Args:
        show_error: called with an exception that a step raised.
        show_study: called with whether a study is running.

    Attributes:
        lock: held while the view changes: JupyterLab handles widgets and cells in different threads of the kernel.
    """

    def __init__(self, show_error: Callable[[Exception], None], show_study: Callable[[bool], None]) -> None:
        self.lock = threading.RLock()  # re-entrant: an action may set a widget, whose handler then runs inside it
        self._show_error, self._show_study = show_error, show_study
        self._due: Steps | None = None
        self._studies: list[Steps] = []

    @property
    def is_idle(self) -> bool:
        return self._due is None and not self._studies

    def later(self, delay: float, steps: Steps) -> None:
        """Run steps after so many seconds, in the place of those that are due."""
        self._due = steps
        self._run(delay, steps, lambda: self._due is steps, self._end_due)

    def start(self, steps: Steps) -> None:
        """Run a study, after those that were started before."""
        self._studies.append(steps)
        if len(self._studies) == 1:
            self._begin(steps)

    def stop(self) -> None:
        """Drop all studies."""
        for steps in self._studies:
            steps.close()
        self._studies.clear()
        self._show_study(False)

    def close(self) -> None:
        """Drop all work."""
        self._due = None
        self.stop()

    def _begin(self, steps: Steps) -> None:
        self._show_study(True)
        self._run(0, steps, lambda: steps in self._studies, self._end_study)

    def _end_due(self, steps: Steps) -> None:
        if self._due is steps:  # its last step may have made something else due
            self._due = None

    def _end_study(self, steps: Steps) -> None:
        if steps in self._studies:
            self._studies.remove(steps)
        if self._studies:
            self._begin(self._studies[0])
        else:
            self._show_study(False)

    def _run(self, delay: float, steps: Steps, wanted: Callable[[], bool], end: Callable[[Steps], None]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: nobody waits for a draft
            while self._step(steps, wanted, end) is not None:
                pass
            return

        def go_on() -> None:
            if (pause := self._step(steps, wanted, end)) is not None:
                loop.call_later(pause, go_on)

        loop.call_later(delay, go_on)

    def _step(self, steps: Steps, wanted: Callable[[], bool], end: Callable[[Steps], None]) -> float | None:
        """Run the next step; return the pause after it, or None at the end."""
        with self.lock:
            if not wanted():
                return None
            try:
                pause = next(steps, None)
            except Exception as error:
                pause = None
                self._show_error(error)
            if pause is None:
                end(steps)
            return pause


def in_background(work: Callable[[], T]) -> Generator[float, None, T]:
    """Run what cannot be cut into steps in a thread; messages can come meanwhile."""
    pool = ThreadPoolExecutor(1)
    try:
        future = pool.submit(work)
        while wait([future], timeout=PAUSE).not_done:
            yield PAUSE
        return future.result()
    finally:
        pool.shutdown(wait=False)
