"""What is left to do: the answers that are missing or were made otherwise. All of it is known before any work."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

import srvae_core as sr

from .headers import Header, read_header
from .jobs import Job
from .settings import Settings, digest_of, words_of


@dataclass(frozen=True)
class Task:
    """What is left to do of a job.

    Attributes:
        source: the file.
        targets: the answers that are missing, by seed.
        pixels: of these answers together.
    """

    source: Path
    targets: dict[int, Path]
    pixels: int

    def to_json(self) -> str:
        return json.dumps([str(self.source), {seed: str(path) for seed, path in self.targets.items()}, self.pixels])

    @classmethod
    def from_json(cls, text: str) -> Task:
        """The task that :meth:`to_json` gave."""
        source, targets, pixels = json.loads(text)
        return cls(Path(source), {int(seed): Path(path) for seed, path in targets.items()}, pixels)


def plan(
    jobs: list[Job], settings: Settings, *, pixel_limit: int, overwrite: bool
) -> tuple[list[Task], int, list[tuple[str, str]]]:
    """What is left to do, how many answers are finished already, and which files cannot be enlarged: (name, reason).

    Of each file its header is read, so that what an answer's format cannot hold is known before any work.
    """
    tasks, finished, failures = [], 0, []
    for job in jobs:
        missing = dict(zip(settings.seeds, job.targets, strict=True))
        try:
            header = read_header(job.source, pixel_limit)
            if not overwrite:
                missing = _missing(job, settings)
            for target in missing.values():
                check_target(target, header, settings.scale)
        except (OSError, ValueError) as error:
            failures.append((str(job.source), reason_of(error)))
            continue
        finished += len(job.targets) - len(missing)
        if missing:
            pixels = header.pixels * settings.scale**2 * len(missing)
            tasks.append(Task(job.source, missing, pixels))
    return tasks, finished, failures


def _missing(job: Job, settings: Settings) -> dict[int, Path]:
    """The answers of a job that are not there, or were made of another file, with other settings or weights.

    Raises:
        ValueError: there is a file in an answer's place that this command did not make.
    """
    targets = dict(zip(settings.seeds, job.targets, strict=True))
    there = {seed: words_of(target) for seed, target in targets.items() if target.exists()}
    for seed, words in there.items():
        if not words:
            raise ValueError(f"{targets[seed]} is there and is no answer of this command: --overwrite replaces it")
    digest = digest_of(job.source) if there else ""
    return {seed: target for seed, target in targets.items() if there.get(seed) != settings.words(seed, digest)}


def check_target(target: Path, header: Header, scale: int) -> None:
    """See that an answer's format holds it; raises ValueError, which says what would be right."""
    shape = (header.shape[0] * scale, header.shape[1] * scale, header.shape[2])
    try:
        sr.check_target(target, shape, header.dtype)
    except ValueError as error:
        raise ValueError(f"{error} (--format png or tif)") from error


def reason_of(error: Exception) -> str:
    """Why a file could not be enlarged, in one line."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "there is not enough memory for it (--device cpu has another)"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    words = " ".join(str(error).split())
    return words if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {words}"
