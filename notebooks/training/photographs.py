"""Photographs to train on: read from a folder or from a pack, one file that holds the most detailed part of each.

A pack is a plain zip file: the photographs as JPEG (4:4:4) or PNG, ``index.csv`` with a row for each, in the order in
which training counts them, and their sources and licences in it. Any program opens it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

import srvae_core as sr

from .files import replaced

HELD_OUT = 40  # every 40th photograph is kept for validation
LOST = 0.1  # more than this share of unusable files is no oversight any more
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
INDEX = "index.csv"
COLUMNS = ("file", "original", "held_out", "top", "left", "height", "width", "source", "licence")
SIDE = 8  # sides are cut to multiples of it, so that both scales have whole LR images
DETAIL_CELL = 16  # pixels a side of the cells in which the detail of a photograph is added up


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

    def part(self, keep: Callable[[int], bool]) -> Photographs:
        """Those of the numbers for which ``keep`` is true."""
        kept = [i for i in range(len(self)) if keep(i)]
        lists = ([all_of[i] for i in kept] for all_of in (self.names, self.hr, self.lr))
        return Photographs(self.scale, *lists, self.sources)

    @property
    def for_training(self) -> Photographs:
        return self.part(lambda i: i % HELD_OUT != 0)

    @property
    def held_out(self) -> Photographs:
        return self.part(lambda i: i % HELD_OUT == 0)

    @property
    def digest(self) -> str:
        """Tells one collection of photographs from another: their number, order and sizes decide every patch."""
        sizes = ";".join(f"{h}x{w}" for h, w in (hr.shape[:2] for hr in self.hr))
        return hashlib.sha256(sizes.encode()).hexdigest()[:16]


# -- reading ------------------------------------------------------------------------------------------------


def load_photographs(source: str | Path, scale: int, threads: int | None = None) -> Photographs:
    """Every photograph of a folder, with its subfolders, or of a pack, each with its LR image.

    Args:
        source: a folder, or a file written by :func:`write_pack`.
        scale: 4 or 8.
        threads: how many read at once; None is one for each core.

    Unreadable photographs and those smaller than a patch are named and left out.

    Raises:
        FileNotFoundError: no such folder or file.
        ValueError: no pack; less than two usable photographs; or more than a tenth of them unusable.
    """
    source = Path(source)
    reader = Pack(source) if source.is_file() else Folder(source)
    with workers(threads) as pool:
        jobs = [pool.submit(_read_pair, reader, name, scale) for name in reader.names]
        found = [job.result() for job in tqdm(jobs, "photographs", disable=None, leave=False)]
    lost = [problem for _, problem in found if problem]
    for problem in lost:
        print(f"left out: {problem}", flush=True)
    if len(lost) > LOST * len(found):
        raise ValueError(
            f"{len(lost)} of {len(found)} photographs in {source} cannot be used (named above); {LOST:.0%} may be amiss"
        )
    usable = [(name, *pair) for name, (pair, _) in zip(reader.names, found, strict=True) if pair]
    if len(usable) < 2:
        raise ValueError(f"less than two photographs of at least {sr.PATCH}x{sr.PATCH} pixels in {source}")
    names, hr, lr = (list(t) for t in zip(*usable, strict=True))
    return Photographs(scale, names, hr, lr, reader.sources())


class Folder:
    """The photographs below a folder, linked folders included; hidden files and folders are passed over."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise FileNotFoundError(f"{path} is neither a folder of photographs nor a pack")
        self.path = path
        self.names = sorted(self._search())

    def _search(self) -> Iterator[str]:
        seen = set()  # links may go round in a circle
        for folder, folders, files in os.walk(self.path, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                # "._photo.jpg" is what macOS writes beside a photograph, not one.
                if Path(name).suffix.lower() in ENDINGS and not name.startswith("."):
                    yield os.path.relpath(os.path.join(folder, name), self.path)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def rows(self) -> dict[str, dict[str, str]]:
        """The rows of the folder's sources.csv by file name; empty where there is none."""
        table = self.path / "sources.csv"
        if not table.is_file():
            return {}
        with table.open(newline="") as f:
            return {row["file"]: row for row in csv.DictReader(f)}

    def sources(self) -> list[dict[str, str | int]]:
        return _count_sources(self.rows().values())


class Pack:
    """The photographs in a file that :func:`write_pack` wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as pack:  # all at once: a pack is small, and threads must not share a reader
                self.data = {name: pack.read(name) for name in pack.namelist()}
            text = self.data[INDEX].decode()
        except (zipfile.BadZipFile, KeyError) as error:
            raise ValueError(f"{path} is no pack of photographs, or damaged: {error}") from error
        self.table = list(csv.DictReader(io.StringIO(text)))
        self.names = [row["file"] for row in self.table]

    def read(self, name: str) -> bytes:
        if name not in self.data:
            raise ValueError(f"{name} is not in the pack {self.path}")
        return self.data[name]

    def sources(self) -> list[dict[str, str | int]]:
        return _count_sources(self.table)


def _count_sources(rows: Sequence[dict[str, str]]) -> list[dict[str, str | int]]:
    """How many photographs come from where, with their licences: for the model card."""
    counts = Counter((row["source"], row["licence"]) for row in rows if row.get("source"))
    return [{"photographs": n, "source": source, "licence": licence} for (source, licence), n in counts.items()]


def decode(data: bytes, name: str) -> np.ndarray:
    """The bytes of a photograph -> uint8 (H, W, 3), sides cut to multiples of 8; ValueError where they are none."""
    try:
        image = sr.read_image(data)
    except ValueError as error:
        raise ValueError(f"{name} is no image that can be read") from error
    image = sr.crop_to_multiple(image, SIDE)[..., :3]
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if min(image.shape[:2]) < sr.PATCH:
        raise ValueError(f"{name} is smaller than a patch, {sr.PATCH}x{sr.PATCH} pixels")
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
        yield pool
    torch.set_num_threads(before)  # the number is torch's, not the thread's, for threads to come


# -- packing ------------------------------------------------------------------------------------------------


def write_pack(
    folder: str | Path, path: str | Path, *, megabytes: float = 40.0, quality: int = 88, lossless: bool = False
) -> dict[str, float]:
    """Pack the photographs of a folder into one file of at most a given size.

    Of each photograph that training uses the most detailed window is kept, of the same share of its area for all, as
    large as the size allows. Those held out for validation go in as they are, byte for byte, so figures of runs on the
    pack compare with figures of runs on the folder.

    Args:
        folder: as for :func:`load_photographs`.
        path: the file to write.
        megabytes: its largest size, in 10^6 bytes.
        quality: JPEG's, 1 to 100; colours are kept at full resolution (4:4:4).
        lossless: PNG in the place of JPEG.

    Returns:
        photographs, share (of the area, 0 to 1) and megabytes.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: the size does not hold even a patch of each, or an unusable folder.
    """
    source, path, limit = Folder(Path(folder)), Path(path), megabytes * 1e6
    encode = _encoder(quality, lossless)
    photographs = load_photographs(folder, 8)
    rows = source.rows()
    with workers() as pool:
        maps = list(pool.map(detail_map, photographs.hr))

        def entries(share: float) -> list[tuple[dict[str, object], bytes]]:
            numbers = range(len(photographs))
            return list(pool.map(lambda i: _entry(source, photographs, rows, maps, i, share, encode), numbers))

        share, packed = _largest_fit(entries, limit)
    part = io.StringIO()
    table = csv.DictWriter(part, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(row for row, _ in packed)
    with replaced(path) as target, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as pack:
        # Photographs are compressed already. A fixed date keeps the same folder's packs the same.
        for name, data in [*((row["file"], data) for row, data in packed), (INDEX, part.getvalue().encode())]:
            pack.writestr(zipfile.ZipInfo(str(name)), data)
    return {"photographs": len(packed), "share": share, "megabytes": path.stat().st_size / 1e6}


def _encoder(quality: int, lossless: bool) -> Callable[[np.ndarray], tuple[str, bytes]]:
    """A function image -> (file ending, bytes)."""
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be from 1 to 100, not {quality}")
    full_colour = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    ending, options = (".png", [cv2.IMWRITE_PNG_COMPRESSION, 9]) if lossless else (".jpg", full_colour)

    def encode(image: np.ndarray) -> tuple[str, bytes]:
        done, data = cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
        if not done:
            raise ValueError(f"OpenCV could not write {ending} of {image.shape[1]}x{image.shape[0]} pixels")
        return ending, data.tobytes()

    return encode


def _entry(
    source: Folder,
    photographs: Photographs,
    rows: dict[str, dict[str, str]],
    maps: list[np.ndarray],
    number: int,
    share: float,
    encode: Callable[[np.ndarray], tuple[str, bytes]],
) -> tuple[dict[str, object], bytes]:
    """One photograph of a pack: its row in the index and its bytes."""
    name, hr, held_out = photographs.names[number], photographs.hr[number], number % HELD_OUT == 0
    if held_out:
        top, left, (height, width) = 0, 0, hr.shape[:2]
        ending, data = Path(name).suffix, source.read(name)
    else:
        top, left, height, width = most_detailed_window(maps[number], hr.shape[:2], share)
        ending, data = encode(hr[top : top + height, left : left + width])
    origin = rows.get(name, {})
    row = {"file": f"{number:05d}{ending}", "original": name, "held_out": int(held_out)}
    row |= {"top": top, "left": left, "height": height, "width": width}
    return row | {k: origin.get(k, "") for k in ("source", "licence")}, data


def _largest_fit(
    entries: Callable[[float], list[tuple[dict[str, object], bytes]]], limit: float
) -> tuple[float, list[tuple[dict[str, object], bytes]]]:
    """The largest share of the photographs' area whose entries fit into ``limit`` bytes, to 0.002, and they."""

    def size(packed: list[tuple[dict[str, object], bytes]]) -> int:
        # Beside its bytes an entry costs its row and, twice, its name and a header of some 60 bytes.
        return sum(len(data) + len(",".join(map(str, row.values()))) + 160 for row, data in packed) + 500

    packed = entries(1.0)
    if size(packed) <= limit:
        return 1.0, packed
    low, high, best = 0.0, 1.0, entries(0.0)
    if size(best) > limit:
        raise ValueError(f"{limit / 1e6:g} MB do not hold a patch of each photograph: {size(best) / 1e6:.2f} MB would")
    while high - low > 0.002:
        middle = (low + high) / 2
        packed = entries(middle)
        if size(packed) <= limit:
            low, best = middle, packed
        else:
            high = middle
    return low, best


def detail_map(image: np.ndarray) -> np.ndarray:
    """Where a photograph has detail: sums of its |Laplacian| from the top left corner on, at every 16th pixel.

    (H, W, 3) uint8 -> (H // 16 + 1, W // 16 + 1) float64, an integral image whose differences are window sums.
    """
    strength = np.abs(cv2.Laplacian(image[..., 1].astype(np.float32), cv2.CV_32F))
    return cv2.integral(strength, sdepth=cv2.CV_64F)[::DETAIL_CELL, ::DETAIL_CELL]


def most_detailed_window(detail: np.ndarray, size: tuple[int, int], share: float) -> tuple[int, int, int, int]:
    """The window of a share of a photograph's area with the most detail: (top, left, height, width) in pixels.

    It has the photograph's proportions, sides that are multiples of 16 (or the photograph's own), and room for a patch.
    """
    cells = []
    for length in size:
        wanted = max(sr.PATCH, round(length * share**0.5))
        cells.append(length if wanted >= length - DETAIL_CELL else wanted - wanted % DETAIL_CELL)
    (height, width), (rows, columns) = (
        cells,
        (min(c // DETAIL_CELL, n - 1) for c, n in zip(cells, detail.shape, strict=True)),
    )
    sums = detail[rows:, columns:] - detail[:-rows, columns:] - detail[rows:, :-columns] + detail[:-rows, :-columns]
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    top, left = (min(int(at) * DETAIL_CELL, n - c) for at, n, c in zip((y, x), size, cells, strict=True))
    return top, left, height, width
