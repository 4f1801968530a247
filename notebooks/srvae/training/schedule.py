"""How far a run has come, in steps or in minutes of wall clock: learning rate, validation and checkpoints follow it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .config import Config
from .files import read_seconds, reason, write_text

TICK = 1.0  # seconds between two writings of the clock


@dataclass
class Clock:
    """Seconds that a run has taken, over all the times that it was started.

    It is kept in a file beside the checkpoints, since a run that was killed has also used the time after its last one.

    Args:
        file: where; None keeps nothing.
        started: ``time.monotonic()`` when the program started, so that loading counts too.
    """

    file: Path | None
    started: float
    before: float = 0.0  # seconds of earlier starts

    def resume(self, seconds: float) -> None:
        """Go on from what the file says, or from a checkpoint's seconds if those are more.

        Raises:
            ValueError: the file holds no number of seconds.
        """
        self.before = max(read_seconds(self.file) if self.file else 0.0, seconds)

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Keep the time about once a second, whatever else goes on.

        Raises:
            OSError: the file cannot be written at the start or at the end. In between the file keeps an earlier time:
                a disk that is full for a while is no reason to stop.
        """
        if self.file is None:
            yield
            return
        done = threading.Event()

        def tick() -> None:
            while not done.wait(TICK):
                with suppress(OSError):
                    self._write()

        def end() -> None:
            done.set()
            thread.join()

        self._write()
        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            end()
            with suppress(OSError):  # the error under way says more
                self._write()
            raise
        end()
        self._write()

    def _write(self) -> None:
        try:
            write_text(self.file, f"{self.seconds:.1f}\n")
        except OSError as error:
            raise OSError(f"the time cannot be kept in {self.file} ({reason(error)}): make room for it") from error


class Schedule:
    """The plan of a run: its share that is done, from 0 to 1, and what is due then.

    A run in minutes ends so that what comes after its last step still falls into them: the time for that is a reserve.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        self.config, self.clock = config, clock
        self.reserve = 0.0  # seconds for what comes after the last step

    def share(self, step: int) -> float:
        """The share of the run that lies behind after so many steps (or, in minutes, now)."""
        if self.config.minutes is None:
            return min(1.0, step / self.config.steps)
        available = 60 * self.config.minutes - self.reserve
        return min(1.0, self.clock.seconds / available) if available > 0 else 1.0

    def learning_rate(self, step: int, share: float) -> float:
        """Share of the peak: a short rise, a plateau, and a straight fall to zero over the last part of the run."""
        return min(1.0, (step + 1) / self.config.warmup, (1 - share) / max(self.config.decay, 1e-6))

    @staticmethod
    def due(count: int, before: float, now: float) -> bool:
        """Whether one of ``count`` events, evenly spread over a run, falls between two shares of it."""
        # 1e-9 is added since rounding may leave step / steps just below a whole number of parts.
        return int(now * count + 1e-9) > int(before * count + 1e-9)
