"""Files shared among the processes of ``accelerate launch``, on one machine or several.

Each process takes the next file that no other has taken: a counter in the store, which the launcher keeps and all
processes reach, is raised by one at a time. So nothing is computed twice, and no GPU waits for a slower one.
"""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta

import torch
from accelerate import PartialState
from torch import distributed

POLL = 0.2  # seconds between looks at what other processes say
NO_SHARING = ("mps",)  # devices that only one process can have


class Crew:
    """The processes that work on the files; one alone is its own crew.

    Args:
        device: what a person asked for, such as "cuda"; None takes what is there.

    Attributes:
        device: of this process. processes: how many there are. main: whether this is the one that plans and reports.

    Raises:
        ValueError: there is no such device here, or the processes do not find each other.
    """

    def __init__(self, device: str | None = None) -> None:
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
        for_one = accelerator is None or accelerator.type in NO_SHARING
        self._state = PartialState(cpu="cpu" in (device, launched_for()) or (for_one and not alone))
        self.processes, self.main = self._state.num_processes, self._state.is_main_process
        if (self.processes == 1) != alone:
            raise ValueError(f"this process was launched as one of {os.environ['WORLD_SIZE']} but is alone")
        own = device in (None, self._state.device.type)
        self.device = self._state.device if own else _device_of(device)
        self._store = distributed.HashStore() if alone else _launchers_store()

    # What the main process says to all.

    def publish(self, jobs: list[str], problem: str = "") -> None:
        """Say what is to be done, a text for each job, or why nothing can be."""
        for number, job in enumerate(jobs):
            self._store.set(f"job {number}", job)
        self._store.set("plan", json.dumps({"jobs": len(jobs), "problem": problem}))

    def plan(self) -> tuple[int, str]:
        """How many jobs there are, and the problem, once the main process has said it."""
        self._wait_for("plan")
        plan = json.loads(self._store.get("plan"))
        return plan["jobs"], plan["problem"]

    def claim(self, jobs: int) -> str | None:
        """A job that is nobody else's from now on; None when all are taken."""
        number = self.count("claimed") - 1
        return self._store.get(f"job {number}").decode() if number < jobs else None

    # What every process says to the main one.

    def count(self, what: str, more: int = 1) -> int:
        """Count something that was done, for example pixels; gives how much of it all have done."""
        return self._store.add(what, more)

    def fail(self, name: str, reason: str) -> None:
        """Say that a file could not be enlarged."""
        number = self.count("failures")
        self._store.set(f"failure {number}", json.dumps([name, reason]))

    def unclaimed(self, jobs: int) -> int:
        """How many of the jobs nobody has taken."""
        return max(0, jobs - self.count("claimed", 0))

    def failures(self) -> list[tuple[str, str]]:
        """What all have said to have failed: (name, reason)."""
        numbers = range(1, self.count("failures", 0) + 1)
        return sorted(tuple(json.loads(self._store.get(f"failure {number}"))) for number in numbers)

    def leave(self) -> None:
        """Part; the main process goes last, since the store may go with it."""
        if self.processes > 1:
            self.count("left")
            while self.main and self.count("left", 0) < self.processes:
                time.sleep(POLL)
        self._state.destroy_process_group()

    def _wait_for(self, key: str) -> None:
        """Wait without an end: a plan of many files, or an answer, may take hours."""
        while not self._store.check([key]):
            time.sleep(POLL)


def launched_for() -> str | None:
    """ "cpu" where ``accelerate launch --cpu`` says so."""
    return "cpu" if os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes") else None


def _device_of(name: str) -> torch.device:
    """A device by its name; raises ValueError where it is not there."""
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"--device {name}: there is no such device here ({reason})") from error


def _launchers_store() -> distributed.Store:
    """The store of key and value through which the launcher's processes found each other."""
    store, _, _ = next(distributed.rendezvous("env://", timeout=timedelta(minutes=30)))
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # what was claimed before is not done
    return distributed.PrefixStore(f"enlarge {restart}", store)
