"""Photographs to train on, from a folder or a pack, in memory with their LR images."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import srvae_core as sr
from srvae import images, metrics
from srvae.csvfiles import Row, read_csv

HELD_OUT = 40  # every 40th photograph is kept for validation
UNUSABLE = 0.1  # largest share of unusable files
INDEX = "index.csv"  # of a pack
MULTIPLE = 8  # sides are cropped to multiples of it, for LR images of both scales


@dataclass
class Photographs:
    """Photographs and their LR images; their order decides which are held out.

    ``hr`` and ``lr`` hold uint8 arrays (H, W, 3) and (H / scale, W / scale, 3). ``sources`` counts photographs by
    source and licence, for the model card.
    """

    scale: int
    names: list[str]
    hr: list[np.ndarray]
    lr: list[np.ndarray]
    sources: list[dict[str, str | int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.hr)

    def part(self, numbers: Iterable[int]) -> Photographs:
        """Return the photographs of the given numbers, from 0."""
        kept = list(numbers)
        lists = ([all_of[i] for i in kept] for all_of in (self.names, self.hr, self.lr))
        return Photographs(self.scale, *lists, self.sources)

    @property
    def for_training(self) -> Photographs:
        """All but every 40th photograph."""
        return self.part(i for i in range(len(self)) if i % HELD_OUT)

    @property
    def held_out(self) -> Photographs:
        """Every 40th photograph, from the first on, for validation."""
        return self.part(range(0, len(self), HELD_OUT))

    @property
    def digest(self) -> str:
        """Identifies a collection by the number, order and sizes of its photographs; their contents are not read."""
        return sr.digest(";".join(f"{hr.shape[0]}x{hr.shape[1]}" for hr in self.hr).encode())


def load_photographs(source: str | Path, scale: int) -> Photographs:
    """Load the photographs of a folder, with its subfolders, or of a pack, each with its LR image.

    Photographs that cannot be read or are smaller than a patch are named and left out.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: the file is not a pack, fewer than two photographs are usable, or more than a tenth are not.
    """
    files, rows = read_source(Path(source))
    loaded = in_threads(lambda item: _load(*item, scale), files.items())
    for problem in (pair for pair in loaded if isinstance(pair, str)):
        print(f"left out: {problem}", flush=True)
    usable = [(name, *pair) for name, pair in zip(files, loaded, strict=True) if not isinstance(pair, str)]
    unusable = len(files) - len(usable)
    if unusable > UNUSABLE * len(files):
        raise ValueError(f"{unusable} of {len(files)} photographs in {source} are unusable (named above)")
    if len(usable) < 2:
        raise ValueError(f"{source} needs at least two photographs of {sr.PATCH}x{sr.PATCH} pixels or more")
    names, hr, lr = (list(column) for column in zip(*usable, strict=True))
    counts = Counter((row["source"], row["licence"]) for row in rows if row.get("source"))
    sources = [{"photographs": n, "source": s, "licence": licence} for (s, licence), n in counts.items()]
    return Photographs(scale, names, hr, lr, sources)


def read_source(source: Path) -> tuple[dict[str, Path | bytes], list[Row]]:
    """List the photographs of a folder or a pack, by name, and the rows of its sources.csv or index."""
    if source.is_dir():
        files = images.find_images(source, recursive=True)
        return {str(file.relative_to(source)): file for file in files}, read_csv(source / "sources.csv")
    try:
        with zipfile.ZipFile(sr.check_file(source)) as pack:
            rows = list(csv.DictReader(io.StringIO(pack.read(INDEX).decode())))
            return {row["file"]: pack.read(row["file"]) for row in rows}, rows
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"{source} is neither a folder nor a pack of photographs: {error}") from error


def _load(name: str, file: Path | bytes, scale: int) -> tuple[np.ndarray, np.ndarray] | str:
    """Load a photograph and its LR image; return a message if that fails."""
    try:
        image = images.read(file)
        if min(image.shape[:2]) < sr.PATCH:
            return f"{name} is smaller than a patch, {sr.PATCH}x{sr.PATCH} pixels"
    except (ValueError, OSError) as error:
        return f"{name}: {error}"
    hr = metrics.crop_to_multiple(image, MULTIPLE)[..., :3]
    hr = np.ascontiguousarray(hr if hr.dtype == np.uint8 else (hr >> 8).astype(np.uint8))
    return hr, sr.downscale(hr, scale)


def in_threads(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Map a function over items in one thread per core, in which torch uses no threads of its own."""
    items, before = list(items), torch.get_num_threads()
    with ThreadPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            results = pool.map(function, items)
            return list(sr.progress_bar(results, "photographs", len(items), disable=None, leave=False))
        finally:
            torch.set_num_threads(before)  # the number holds for all threads that torch starts later
