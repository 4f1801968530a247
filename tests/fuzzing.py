"""Files damaged at random, for the readers of pictures, weights and Caffe models.

A reader may give what it reads or raise the errors that it documents, in a sentence that names the file. Anything else
is a finding: another error, a process that dies or hangs, more memory than stated, something executed, unpickled,
written or sent. ``tests/test_fuzz.py`` reads ten thousand files; more are read by

    python tests/fuzzing.py --files 1000000 --seed 7 [--target image] [--jobs 8]

Every file is a function of the seed and its number, so that a finding can be had again, and kept:

    python tests/fuzzing.py --target image --seed 7 --first 4711 --files 1 --keep FOLDER
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import multiprocessing
import os
import random
import struct
import sys
import tempfile
import warnings
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 20.0  # seconds for one file, of which most take some milliseconds: no machine is so busy
ADDRESS_SPACE = 6 * 2**30  # bytes that a worker may reserve beyond what it has at its start
DOCUMENTED = (ValueError, FileNotFoundError)
# What no file may make a reader do, by the names of Python's audit events.
FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork")
FORBIDDEN += (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "subprocess.Popen",
    "socket.connect",
    "socket.bind",
    "shutil.rmtree",
)
NUMBERS = [0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 10**6, 2**24, 2**28]
NUMBERS += [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**48, 2**63 - 1, 2**63, 2**64 - 1]
UNDAMAGED = 0.02  # share of the files: some good ones are bombs, small files of what fills memory
HEADER = 400  # bytes at a file's beginning that are changed more often than the rest

Bytes = bytearray
Mutator = Callable[[random.Random, Bytes, Sequence[bytes]], Bytes]


# -- damage -------------------------------------------------------------------------------------------------


def place(rng: random.Random, data: Bytes) -> int:
    """Somewhere in the data, half the time near its beginning."""
    return rng.randrange(max(1, min(len(data), HEADER if rng.random() < 0.5 else len(data))))


def flip_bits(rng: random.Random, data: Bytes, others: Sequence[bytes]) -> Bytes:
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        if data:
            data[place(rng, data)] ^= 1 << rng.randrange(8)
    return data


def set_number(rng: random.Random, data: Bytes, others: Sequence[bytes]) -> Bytes:
    """A number of 1 to 8 bytes in either order: a length, an offset, a size."""
    size = rng.choice((1, 2, 4, 8))
    at = place(rng, data)
    number = rng.choice(NUMBERS) + rng.choice((0, 0, 0, -1, 1))
    data[at : at + size] = (number % 2 ** (8 * size)).to_bytes(size, rng.choice(("little", "big")))
    return data


def insert_bytes(rng: random.Random, data: Bytes, others: Sequence[bytes]) -> Bytes:
    at, size = place(rng, data), rng.choice((1, 2, 4, 16, 300))
    data[at:at] = rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size))
    return data


def delete_bytes(rng: random.Random, data: Bytes, others: Sequence[bytes]) -> Bytes:
    at = place(rng, data)
    del data[at : at + rng.choice((1, 2, 4, 16, 300))]
    return data


def repeat_bytes(rng: random.Random, data: Bytes, others: Sequence[bytes]) -> Bytes:
    at, size = place(rng, data), rng.choice((1, 4, 12, 60, 400))
    piece = data[at : at + size]
    times = min(rng.choice((1, 2, 10, 1000)), 200_000 // max(1, len(piece)))
    data[at:at] = piece * times
    return data


def truncate(rng: random.Random, data: Bytes, others: Sequence[bytes]) -> Bytes:
    del data[rng.randrange(len(data) + 1) :]
    return data


def splice(rng: random.Random, data: Bytes, others: Sequence[bytes]) -> Bytes:
    """A piece of another file in the place of one of this."""
    other = rng.choice(others)
    at, start, size = place(rng, data), rng.randrange(len(other) + 1), rng.choice((4, 20, 100, 2000))
    data[at : at + rng.choice((0, size))] = other[start : start + size]
    return data


MUTATORS: list[Mutator] = [
    flip_bits,
    set_number,
    set_number,
    insert_bytes,
    delete_bytes,
    repeat_bytes,
    truncate,
    splice,
]


def damaged(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The data after one to four kinds of damage."""
    result = Bytes(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        result = rng.choice(MUTATORS)(rng, result, others)
    return bytes(result)


def with_checksums(data: bytes) -> bytes:
    """A PNG file whose chunks' checksums are right again, so that a reader looks further."""
    result, at = Bytes(data), 8
    while at + 12 <= len(result):
        (size,) = struct.unpack_from(">I", result, at)
        end = at + 8 + size
        if end + 4 > len(result):
            break
        struct.pack_into(">I", result, end, zlib.crc32(result[at + 4 : end]))
        at = end + 4
    return bytes(result)


# -- targets ------------------------------------------------------------------------------------------------


class Seed(NamedTuple):
    """A good file: its bytes, the name that it needs, and how it is damaged beyond :func:`damaged`."""

    data: bytes
    name: str
    structural: Callable[[random.Random, bytes], bytes] | None = None


@dataclass
class Target:
    """A reader, and the files that are damaged for it.

    ``read(path, data)`` reads the file at the path, or its data. ``multiple`` and ``fixed`` bound the memory that it
    may take: so many times the file's size, and so many bytes besides. ``warm`` has every good file read first.
    """

    seeds: list[Seed]
    read: Callable[[Path, bytes], object]
    multiple: int
    fixed: int
    folder: Path
    warm: bool = True
    others: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.others = [seed.data for seed in self.seeds]

    def mutant(self, seed: int, number: int) -> tuple[str, bytes]:
        """The name and the bytes of a file."""
        rng = random.Random(f"{seed} {number}")
        good = rng.choice(self.seeds)
        data = good.data
        if rng.random() < UNDAMAGED:
            return good.name, data
        if good.structural and rng.random() < 0.7:
            data = good.structural(rng, data)
        if data is good.data or rng.random() < 0.3:
            data = damaged(rng, data, self.others)
        return good.name, with_checksums(data) if data[:4] == b"\x89PNG" and rng.random() < 0.8 else data


# -- watching -----------------------------------------------------------------------------------------------


class Finding(NamedTuple):
    """What a file did that it must not do."""

    number: int
    what: str


class Guard:
    """Notes what a reader does that no file may make it do, while :attr:`on`."""

    def __init__(self) -> None:
        self.on, self.seen = False, ""
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple) -> None:
        if not self.on:
            return
        flags = arguments[2] if event == "open" and isinstance(arguments[2], int) else 0
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in FORBIDDEN or writes:
            self.seen = f"{event} {arguments!r}"[:200]


def peak_memory() -> int:
    """The most memory that this process has held since :func:`forget_peak`, in bytes; 0 where Linux does not tell."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM"):
                return 1024 * int(line.split()[1])
    return 0


def forget_peak() -> int:
    """Begin to measure anew; gives what is held now."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "utf-8")
    return peak_memory()


def limit_memory() -> None:
    """Let the system refuse what would fill the machine, where it can."""
    try:
        import resource
    except ImportError:  # on Windows
        return
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
        size = pages * resource.getpagesize() + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))


def written(target: Target, name: str, data: bytes) -> Path:
    """A file in the target's folder."""
    path = target.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def fault(target: Target, name: str, data: bytes, guard: Guard) -> str:
    """What reading a file does wrong; empty where it does nothing wrong."""
    path = written(target, name, data)
    before, error = forget_peak(), None
    guard.seen, guard.on = "", True
    try:
        target.read(path, data)
    except Exception as caught:
        error = caught
    finally:
        guard.on = False
    taken, allowed = peak_memory() - before, target.multiple * len(data) + target.fixed
    if guard.seen:
        return f"did {guard.seen}"
    if error and not isinstance(error, DOCUMENTED):
        return f"raised {type(error).__name__}: {error}"[:300]
    if error and not any(known in str(error) for known in (path.stem, "the data given")):
        return f"raised without the file's name {type(error).__name__}: {error}"[:300]
    if taken > allowed:
        return f"took {taken / 1e6:.0f} MB for a file of {len(data)} bytes, more than {allowed / 1e6:.0f}"
    return ""


def work(make: Callable[[Path], Target], numbers: range, seed: int, at: object, pipe: object, report: str) -> None:
    """Read files one after the other in this process, and send what is found."""
    warnings.simplefilter("ignore")
    logging.disable()  # tifffile logs what it finds wrong
    with tempfile.TemporaryDirectory(prefix="fuzzing ") as folder, open(report, "w", encoding="utf-8") as notes:
        faulthandler.enable(notes)
        target, guard = make(Path(folder)), Guard()
        for good in target.seeds if target.warm else ():  # what is loaded at first use is no finding
            with suppress(*DOCUMENTED):
                target.read(written(target, good.name, good.data), good.data)
        limit_memory()
        for number in numbers:
            at.value = number
            faulthandler.dump_traceback_later(PATIENCE, exit=True, file=notes)
            what = fault(target, *target.mutant(seed, number), guard)
            faulthandler.cancel_dump_traceback_later()
            if what:
                pipe.send(Finding(number, what))
    pipe.close()


def hunt(make: Callable[[Path], Target], numbers: range, seed: int = 0) -> list[Finding]:
    """Read files in a process of their own; where that dies, another one goes on behind the file.

    Args:
        make: makes the target in a folder; a function of a module, since the other process has to find it.
        numbers: of the files.
        seed: together with the number it decides what a file is.

    Raises:
        RuntimeError: the process dies before it reads anything.
    """
    context, found = multiprocessing.get_context("spawn"), []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        while numbers:
            here, there = context.Pipe(duplex=False)
            at = context.Value("q", -1, lock=False)
            process = context.Process(target=work, args=(make, numbers, seed, at, there, str(report)))
            process.start()
            there.close()
            with suppress(EOFError):
                while True:
                    found.append(here.recv())
            process.join()
            if process.exitcode == 0:
                break
            if at.value < 0:
                raise RuntimeError(f"no file was read: exit code {process.exitcode}")
            lines = report.read_text("utf-8", errors="replace").splitlines() or [""]
            found.append(Finding(at.value, f"ended the process ({process.exitcode}): {' | '.join(lines[:12])}"[:600]))
            numbers = range(at.value + 1, numbers.stop)
    return found


# -- from the command line ----------------------------------------------------------------------------------


def main() -> None:
    """Hunt as the command line says; exits with 1 where something is found."""
    sys.path[:0] = [str(ROOT), str(ROOT / "notebooks"), str(ROOT / "tests")]
    import fuzz_targets

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="how many, of each target [10000]")
    parser.add_argument("--first", type=int, default=0, help="number of the first [0]")
    parser.add_argument("--seed", type=int, default=0, help="decides, with the number, what a file is [0]")
    parser.add_argument("--target", choices=fuzz_targets.TARGETS, help="one of them; left out, all")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once [1]")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="write the files there in the place of reading them"
    )
    options = parser.parse_args()
    count = 0
    for name in [options.target] if options.target else fuzz_targets.TARGETS:
        make = fuzz_targets.TARGETS[name]
        numbers = range(options.first, options.first + options.files)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            for number in numbers:
                file, data = make(options.keep).mutant(options.seed, number)
                (options.keep / f"{number}-{Path(file).name}").write_bytes(data)
            continue
        share = -(-len(numbers) // options.jobs)
        parts = [numbers[at : at + share] for at in range(0, len(numbers), share)]
        with ThreadPoolExecutor(options.jobs) as pool:
            for found in pool.map(partial(hunt, make, seed=options.seed), parts):
                count += len(found)
                for finding in found:
                    again = f"--target {name} --seed {options.seed} --first {finding.number} --files 1"
                    print(f"{again}\n    {finding.what}", flush=True)
        print(f"{name}: {len(numbers):,} files read", flush=True)
    print(f"{count} findings")
    raise SystemExit(1 if count else 0)


if __name__ == "__main__":
    main()
