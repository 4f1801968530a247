"""Photographs to train on, read from a folder or from a pack (see :mod:`training.packing`)."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from tqdm import tqdm

import srvae_core as sr
from srvae import images, metrics
from srvae.csvfiles import read_csv

HELD_OUT = 40  # every 40th photograph is kept for validation
UNUSABLE = 0.1  # more than this share of unusable files is no oversight any more
INDEX = "index.csv"
SIDE = 8  # sides are cut to multiples of it, so that both scales have whole LR images


LARGEST_RATIO = 4  # of what a pack holds to its size: photographs are compressed already
# What `zipfile` raises for files that are none, cut short, encrypted, or compressed in a way that it does not know.
UNREADABLE_PACK = (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, EOFError, RuntimeError, csv.Error)


@dataclass
class Photographs:
    """Photographs and their LR images, in the order that decides which are held out.

    ``hr`` and ``lr`` hold uint8 arrays (H, W, 3) and (H / scale, W / scale, 3).
    """

    scale: int
    names: list[str]
    hr: list[np.ndarray]
    lr: list[np.ndarray]
    sources: list[dict[str, str | int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.hr)

    def part(self, numbers: Iterable[int]) -> Photographs:
        """The photographs of the given numbers, which count from 0; the arrays are shared, not copied."""
        kept = list(numbers)
        lists = ([all_of[i] for i in kept] for all_of in (self.names, self.hr, self.lr))
        return Photographs(self.scale, *lists, self.sources)

    @property
    def for_training(self) -> Photographs:
        """All but every 40th photograph."""
        return self.part(i for i in range(len(self)) if i % HELD_OUT)

    @property
    def held_out(self) -> Photographs:
        """Every 40th photograph, the first among them: kept for validation."""
        return self.part(range(0, len(self), HELD_OUT))

    @property
    def digest(self) -> str:
        """Tells one collection of photographs from another: their number, order and sizes decide every patch."""
        sizes = ";".join(f"{h}x{w}" for h, w in (hr.shape[:2] for hr in self.hr))
        return hashlib.sha256(sizes.encode()).hexdigest()[:16]


def check_source(source: str | Path | None) -> None:
    """Find out before anything else whether there is something to train on.

    Raises:
        ValueError: nothing is named.
        FileNotFoundError: no such folder or file.
    """
    if not source:
        raise ValueError("say what to train on: --data FOLDER or PACK")
    if not Path(source).exists():
        raise FileNotFoundError(f"{source} is neither a folder of photographs nor a pack: nothing is there")


def load_photographs(source: str | Path, scale: int, threads: int | None = None) -> Photographs:
    """Every photograph of a folder, with its subfolders, or of a pack, each with its LR image.

    Args:
        source: a folder, or a file written by :func:`write_pack`.
        scale: 4 or 8.
        threads: how many read at once; None is one for each core.

    Unreadable photographs and those smaller than a patch are named and left out.

    Raises:
        FileNotFoundError: no such folder or file.
        ValueError: nothing is named; no pack; a folder that cannot be read; less than two usable photographs; or more
            than a tenth of them unusable.
    """
    check_source(source)
    source = Path(source)
    reader = Folder(source) if source.is_dir() else Pack(source)
    with workers(threads) as pool:
        jobs = [pool.submit(_read_pair, reader, name, scale) for name in reader.names]
        results = [job.result() for job in tqdm(jobs, "photographs", disable=None, leave=False)]
    problems = [problem for _, problem in results if problem]
    for problem in problems:
        print(f"left out: {problem}", flush=True)
    if len(problems) > UNUSABLE * len(results):
        raise ValueError(
            f"{len(problems)} of {len(results)} photographs in {source} cannot be used (named above); "
            f"at most {UNUSABLE:.0%} may be"
        )
    # Their order decides which are held out, so it must not depend on which thread was first.
    usable = [(name, *pair) for name, (pair, _) in zip(reader.names, results, strict=True) if pair]
    if len(usable) < 2:
        raise ValueError(f"less than two photographs of at least {sr.PATCH}x{sr.PATCH} pixels in {source}")
    names, hr, lr = (list(t) for t in zip(*usable, strict=True))
    return Photographs(scale, names, hr, lr, reader.sources())


class Folder:
    """The photographs below a folder, linked folders included; hidden files and folders are passed over.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: a folder in it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise FileNotFoundError(f"{path} is no folder of photographs")
        self.path = path
        self.names = sorted(self._search())

    def _search(self) -> Iterator[str]:
        seen = set()  # links may go round in a circle
        for folder, folders, files in os.walk(self.path, followlinks=True, onerror=_refuse_folder):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                # "._photo.jpg" is what macOS writes beside a photograph, not one.
                if Path(name).suffix.lower() in images.SUFFIXES and not name.startswith("."):
                    yield os.path.relpath(os.path.join(folder, name), self.path)

    def read(self, name: str) -> bytes:
        if not (self.path / name).is_file():  # a link that leads nowhere, or a pipe, from which reading never ends
            raise ValueError(f"{name} is no file")
        return (self.path / name).read_bytes()

    def rows(self) -> dict[str, dict[str, str]]:
        """The rows of the folder's sources.csv by file name; empty where there is none."""
        return {row["file"]: row for row in read_csv(self.path / "sources.csv")}

    def sources(self) -> list[dict[str, str | int]]:
        return _count_sources(self.rows().values())


class Pack:
    """The photographs in a file that :func:`write_pack` wrote.

    Raises:
        ValueError: it is none, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as pack:  # all at once: a pack is small, and threads must not share a reader
                if sum(entry.file_size for entry in pack.infolist()) > LARGEST_RATIO * path.stat().st_size:
                    raise ValueError("it would unpack to far more than photographs do")
                self.data = {name: pack.read(name) for name in pack.namelist()}
            self.table = list(csv.DictReader(io.StringIO(self.data[INDEX].decode())))
            self.names = [row["file"] for row in self.table]
        except UNREADABLE_PACK as error:
            raise ValueError(f"{path} is no pack of photographs, or damaged: {error}") from error

    def read(self, name: str) -> bytes:
        if name not in self.data:
            raise ValueError(f"{name} is not in the pack {self.path}")
        return self.data[name]

    def sources(self) -> list[dict[str, str | int]]:
        return _count_sources(self.table)


def _refuse_folder(error: OSError) -> NoReturn:
    """A folder that cannot be listed: without its photographs the others would be held out."""
    raise ValueError(f"{error.filename} cannot be read ({error.strerror})") from error


def _count_sources(rows: Sequence[dict[str, str]]) -> list[dict[str, str | int]]:
    """How many photographs come from where, with their licences: for the model card."""
    counts = Counter((row["source"], row["licence"]) for row in rows if row.get("source"))
    return [{"photographs": n, "source": source, "licence": licence} for (source, licence), n in counts.items()]


def decode(data: bytes, name: str) -> np.ndarray:
    """The bytes of a photograph -> uint8 (H, W, 3), sides cut to multiples of 8; ValueError where they are none."""
    try:
        image = images.read(data)
    except ValueError as error:
        raise ValueError(f"{name} is no image that can be read") from error
    if min(image.shape[:2]) < sr.PATCH:
        raise ValueError(f"{name} is smaller than a patch, {sr.PATCH}x{sr.PATCH} pixels")
    image = metrics.crop_to_multiple(image, SIDE)[..., :3]
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    return np.ascontiguousarray(image)


def _read_pair(reader: Folder | Pack, name: str, scale: int) -> tuple[tuple[np.ndarray, np.ndarray] | None, str | None]:
    """A photograph with its LR image, or what is wrong with it."""
    try:
        hr = decode(reader.read(name), name)
    except (ValueError, OSError) as error:
        return None, str(error)
    return (hr, sr.downscale(hr, scale)), None


@contextmanager
def workers(threads: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads for OpenCV and torch, one for each core unless another number is given.

    Each thread computes alone: with torch's own threads besides, 16 of them would each start 16 more.
    """
    before = torch.get_num_threads()
    with ThreadPoolExecutor(threads or os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield pool
        finally:
            torch.set_num_threads(before)  # the number is torch's, not the thread's, for threads to come
