"""From the files and folders that are named to jobs: which file's answers go where. Clashes are found at once."""

from __future__ import annotations

import os
import stat
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import srvae_core as sr

from .settings import words_of

SHOWN = 5  # clashes that an error names


@dataclass(frozen=True)
class Job:
    """A file and the answers to it, one for each seed."""

    source: Path
    targets: tuple[Path, ...]


def find_jobs(
    inputs: Iterable[Path],
    to: Path,
    seeds: tuple[int, ...],
    suffix: str = "",
    refused: Callable[[Path, OSError], None] | None = None,
) -> list[Job]:
    """The jobs that files and folders make.

    Folders are read with their subfolders, which are kept below ``to``. Hidden files and folders are passed over,
    and so are files whose ending is no image's, ``to`` itself, and answers of this command, which would become larger
    and larger. Links are followed.

    Args:
        inputs: what was named by hand.
        to: the folder that answers go into.
        seeds: of the answers; several seeds are named in the files' names.
        suffix: the ending of the answers; "" keeps that of the input.
        refused: is told of folders that cannot be opened, and why, while the others go on; None raises the error.

    Returns:
        In the order of the inputs, a folder's in that of their paths.

    Raises:
        ValueError, OSError: an input that is not there or is no image, two answers of one name, an answer in the place
            of an input or of a folder, or nothing to do.
    """
    jobs: dict[tuple[str, str], Job] = {}
    inputs = list(inputs)
    for given in inputs:
        for source, inside in _images(given, to, refused or _raise):
            targets = tuple(to / _name(inside, seed if len(seeds) > 1 else None, suffix) for seed in seeds)
            jobs.setdefault(
                (os.path.realpath(source), _key(targets[0])), Job(source, targets)
            )  # named twice is done once
    found = list(jobs.values())
    if not found:
        raise ValueError(f"{', '.join(map(str, inputs))}: no images there ({', '.join(sr.IMAGE_SUFFIXES)})")
    _check_clashes(found)
    _check_places(found, to)
    return found


def _raise(folder: Path, error: OSError) -> None:
    raise error


def _images(given: Path, to: Path, refused: Callable[[Path, OSError], None]) -> Iterator[tuple[Path, Path]]:
    """The images of an input: (the file, its path below ``to``)."""
    if given.is_dir():
        if os.path.realpath(given) == os.path.realpath(to):
            raise ValueError(f"--to is the folder {given} itself, whose images would be replaced: name another")
        for path in _walk(given, os.path.realpath(to), (), refused):
            yield path, path.relative_to(given)
    elif not given.exists() and not given.is_symlink():
        raise FileNotFoundError(f"there is no file or folder {given}")
    elif given.suffix.lower() not in sr.IMAGE_SUFFIXES:
        raise ValueError(f"{given} is no image file: the names of those end in {', '.join(sr.IMAGE_SUFFIXES)}")
    else:
        yield given, Path(given.name)


def _walk(folder: Path, to: str, above: tuple[str, ...], refused: Callable[[Path, OSError], None]) -> Iterator[Path]:
    """The images in a folder and its subfolders, but not where a link leads back to a folder above."""
    real = os.path.realpath(folder)
    if real == to or real in above:
        return
    try:
        entries = sorted(os.scandir(folder), key=_order)
    except OSError as error:
        refused(folder, error)
        return
    for entry in entries:
        path = folder / entry.name
        if _is_hidden(entry):
            continue
        if os.path.isdir(entry):
            yield from _walk(path, to, (*above, real), refused)
        elif path.suffix.lower() in sr.IMAGE_SUFFIXES and not words_of(path):
            yield path


def _order(entry: os.DirEntry) -> tuple[bool, str]:
    """A folder's own files come before those of its subfolders."""
    return os.path.isdir(entry), entry.name


def _is_hidden(entry: os.DirEntry) -> bool:
    """By its name, or where Windows says so."""
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    return entry.name.startswith(".") or bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN)


def _name(inside: Path, seed: int | None, suffix: str) -> Path:
    """An answer's path below the folder of answers."""
    drawn = "" if seed is None else f"_seed{seed}"
    return inside.with_name(f"{inside.stem}{drawn}{suffix or inside.suffix}")


def _key(path: Path | str) -> str:
    """Equal for names of the same file, links aside, also where letters' case or their composition does not count."""
    name = os.path.normcase(os.path.abspath(path))
    return unicodedata.normalize("NFC", name).casefold() if sys.platform == "darwin" else name


def _check_clashes(jobs: list[Job]) -> None:
    """See that no two answers have the same name."""
    first: dict[str, Path] = {}
    clashes = []
    for job in jobs:
        for target in job.targets:
            other = first.setdefault(_key(target), job.source)
            if other is not job.source:
                clashes.append(f"{other} and {job.source} would both become {target}")
    if clashes:
        more = f"; and {len(clashes) - SHOWN} more" if len(clashes) > SHOWN else ""
        raise ValueError(
            f"{'; '.join(clashes[:SHOWN])}{more}: enlarge them in two runs into two folders, "
            "without --format, or name the folder that holds both"
        )


def _check_places(jobs: list[Job], to: Path) -> None:
    """See that the answers can be where they are to be."""
    sources = {_key(path) for job in jobs for path in (job.source, os.path.realpath(job.source))}
    for job in jobs:
        for target in job.targets:
            if _key(target) in sources or _key(os.path.realpath(target)) in sources:
                raise ValueError(f"the answer {target} would replace an input: name another folder with --to")
            if target.is_dir():
                raise ValueError(f"the answer {target} cannot be written: a folder has that name")
    for folder in {parent for job in jobs for parent in job.targets[0].parents} | {to}:
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is a file, where a folder has to be")
