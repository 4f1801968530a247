"""Damaged files: readers raise what they document, in bounded memory, and do no more; the hunt finds those that do."""

import os
import pickle
import random
import time
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

import PIL.Image
import pytest

import fuzz_targets
import srvae_core as sr
from fuzzing import MUTATORS, Seed, Target, forget_peak, hunt, peak_memory, with_checksums
from pictures import picture

FILES = {"image": 5000, "weights": 2500, "caffemodel": 2500}
needs_peaks = pytest.mark.skipif(peak_memory() == 0, reason="only Linux tells the most memory that a process has held")


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_readers_raise_what_they_document(name):
    found = hunt(fuzz_targets.TARGETS[name], range(FILES[name]), seed=7)
    assert not found, "\n".join(f"--target {name} --seed 7 --first {n} --files 1: {what}" for n, what in found[:20])


# -- the hunt itself ----------------------------------------------------------------------------------------


def misread(path: Path, data: bytes) -> object:
    """A reader that does with a file what its first byte says."""
    what = data[:1]
    if what == b"e":
        raise KeyError("not documented")
    if what == b"u":
        raise ValueError("it is damaged")
    if what == b"m":
        return bytearray(50_000_000)[::7]
    if what == b"p":
        return pickle.loads(pickle.dumps(Path(".")))
    if what == b"w":
        return (path.parent / "other").write_text("x")
    if what == b"x":
        os._exit(9)
    if what == b"h":
        time.sleep(3600)
    raise ValueError(f"{path} is damaged")


class Undamaged(Target):
    """Files one after the other as they are."""

    def mutant(self, seed: int, number: int) -> tuple[str, bytes]:
        return self.seeds[number].name, self.seeds[number].data


def misreading(folder: Path, kinds: str) -> Target:
    """A target whose files begin with letters."""
    seeds = [Seed(f"{kind} {number}".encode(), "stranger") for number, kind in enumerate(kinds)]
    return Undamaged(seeds, misread, 10, 1_000_000, folder, warm=False)


def bad_readers(folder: Path) -> Target:
    return misreading(folder, ".e.u.p.w.")


def dying_reader(folder: Path) -> Target:
    return misreading(folder, ".x.e")


def hungry_reader(folder: Path) -> Target:
    return misreading(folder, ".m.")


def hanging_reader(folder: Path) -> Target:
    import fuzzing

    fuzzing.PATIENCE = 0.5
    return misreading(folder, ".h.e")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (bad_readers, {1: "raised KeyError", 3: "without the file's name", 5: "pickle.find_class", 7: "did open"}),
        (dying_reader, {1: "ended the process (9)", 3: "raised KeyError"}),
        (hanging_reader, {1: "Timeout", 3: "raised KeyError"}),
        pytest.param(hungry_reader, {1: "took 5"}, marks=needs_peaks),
    ],
)
def test_the_hunt_finds_what_a_reader_must_not_do(make, wanted):
    found = dict(hunt(make, range(9 if make is bad_readers else 4 if make is not hungry_reader else 3)))
    assert found.keys() == wanted.keys()
    for number, what in wanted.items():
        assert what in found[number]


def test_a_file_is_a_function_of_its_number(tmp_path):
    first, again = (fuzz_targets.caffe(tmp_path / name) for name in "ab")
    files = [first.mutant(1, number) for number in range(50)]
    assert files == [again.mutant(1, number) for number in range(50)]
    assert files != [again.mutant(2, number) for number in range(50)]
    assert len(set(files)) > 40


def test_every_mutator_changes_files():
    rng, data = random.Random(0), bytes(range(256)) * 4
    for mutate in MUTATORS:
        assert any(bytes(mutate(rng, bytearray(data), [b"another file"])) != data for _ in range(5)), mutate.__name__


def test_checksums_are_put_right(tmp_path):
    sr.write_image(tmp_path / "a.png", picture(8, 8))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[19] ^= 24  # the width's lowest byte
    with pytest.raises(ValueError, match="no image"):
        sr.read_image(bytes(data))
    assert with_checksums(bytes(data)) != bytes(data)


@needs_peaks
def test_peaks_are_seen_and_forgotten():
    before = forget_peak()
    len(bytearray(b"x") * 100_000_000)
    assert peak_memory() - before > 90_000_000
    assert forget_peak() - before < 50_000_000


@pytest.mark.filterwarnings("ignore:.*frames or pages")
def test_good_files_are_read(tmp_path):
    """What is damaged is good before: pictures but for two in CMYK and the bombs, and what holds whole weights."""
    for data in fuzz_targets.picture_files():
        # JPEG and TIFF files in CMYK open in Pillow as such.
        with nullcontext() if PIL.Image.open(BytesIO(data)).mode != "CMYK" else pytest.raises(ValueError, match="CMYK"):
            assert sr.read_image(data).shape[:2] in ((21, 26), (26, 21))
    files = fuzz_targets.other_tensors()
    for name in ("vapsr", "vgg", "distilled"):
        (tmp_path / f"{name}.safetensors").write_bytes(files[name])
        fuzz_targets.READERS[name](tmp_path / f"{name}.safetensors")
