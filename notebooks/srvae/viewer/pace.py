"""When things happen: one at a time, a draft now and the exact picture later, every error shown.

A kernel's event loop handles one message at a time. Work that takes longer than a move may wait is therefore a
generator: each of its steps ends with the seconds after which to go on, and in between the loop takes what has come.
Outside a kernel no loop runs; then all steps are taken at once, and a test sees the end right away.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Pace:
    """Runs the view's actions.

    Two kinds of work go on beside them. What is *due* (an exact picture, then its scores) is dropped as soon as
    anything newer is due. A *study* (many samples) goes on until it ends or is cancelled.

    Args:
        show_error: called with an exception that an action or a step raised, or after an action without one with what
            that returned: a remark, or None.
        show_running: called with whether a study goes on.

    Attributes:
        lock: held while anything of the view changes. JupyterLab hands the messages of widgets to another thread of the
            kernel than the cells, so that both can come at the same time.
    """

    def __init__(
        self, show_error: Callable[[Exception | str | None], None], show_running: Callable[[bool], None]
    ) -> None:
        self.lock = threading.RLock()  # re-entrant: an action may set a control, whose handler then runs inside it
        self._show_error = show_error
        self._show_running = show_running
        self._held = False
        self._due: Iterator[float] | None = None
        self._study: asyncio.Task[None] | None = None

    def guarded(self, action: Callable[[], str | None], *, quiet: bool = False) -> Callable[[object], None]:
        """A handler for a widget that shows what the action raises, which JupyterLab would swallow, or remarks.

        A quiet one leaves what is said already as it is, unless the action fails.
        """

        def handler(change: object) -> None:
            # a number that is pulled back to what it was is no move, such as 5000 typed where 999 is the last
            same = isinstance(change, dict) and "old" in change and change["old"] == change["new"]
            with self.lock:
                if self._held or same:
                    return
                try:
                    remark = action()
                    if remark or not quiet:
                        self._show_error(remark)
                except Exception as error:
                    self._show_error(error)

        return handler

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Change controls without running their handlers."""
        with self.lock:
            held, self._held = self._held, True  # an inner hold must not end the outer one
            try:
                yield
            finally:
                self._held = held

    # What is due.

    @property
    def is_due(self) -> bool:
        """Whether the view has yet to come to rest, or its scores have yet to come."""
        return self._due is not None

    def later(self, delay: float, steps: Iterator[float]) -> bool:
        """Take some steps after so many seconds, unless anything newer is due by then.

        Returns:
            False where no event loop runs: all steps have then been taken already.
        """
        self._due = None  # whatever it was: its steps find that they are not due any more
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            for _ in steps:  # no kernel: nobody waits for a draft
                pass
            return False
        self._due = steps
        loop.call_later(delay, self._step, steps)
        return True

    def drop(self) -> None:
        """Let nothing be due any more."""
        self._due = None

    def _step(self, steps: Iterator[float]) -> None:
        """Take the next step and make the others due."""
        with self.lock:
            if steps is not self._due:  # something newer took its place
                return
            self._due = None  # first, because the step itself may make something due
            try:
                pause = next(steps, None)
            except Exception as error:
                self._show_error(error)
                return
            if pause is not None:
                self.later(pause, steps)

    # Studies.

    @property
    def is_studying(self) -> bool:
        """Whether a study goes on."""
        return self._study is not None and not self._study.done()

    def start(self, steps: Iterator[float], *, endless: bool = False) -> None:
        """Begin a study in the place of the one that goes on, if any; an endless one only where an event loop runs."""
        self.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            for _ in () if endless else steps:
                pass
            return
        self._show_running(True)
        self._study = loop.create_task(self._go_through(steps))

    def cancel(self) -> None:
        """Stop the study that goes on, if any."""
        self._study = None  # its task sees that before its next step
        self._show_running(False)

    async def _go_through(self, steps: Iterator[float]) -> None:
        task, pause = asyncio.current_task(), 0.0
        while pause is not None:
            with self.lock:
                if self._study is not task:  # it was cancelled, or another one took its place
                    return
                try:
                    pause = next(steps, None)
                except Exception as error:
                    self._show_error(error)
                    pause = None
                if pause is None:
                    self._study = None
                    self._show_running(False)
                    return
            await asyncio.sleep(pause)  # without the lock: this is when a move can come
