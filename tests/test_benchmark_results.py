"""The results file: damaged ones are refused, it is written whole, by one process, and found unwritable in time."""

import functools
from pathlib import Path

import pytest

import srvae_core as sr
from benchmark_helpers import write_vgg
from pictures import picture
from srvae import images
from srvae.benchmarks import cli
from srvae.benchmarks.answers import Answers
from srvae.benchmarks.evaluate import evaluate
from srvae.benchmarks.results import IMAGE_COLUMNS, RESULT_COLUMNS, ImageRows, read_results
from srvae.csvfiles import RESULTS, read_csv, write_csv

MODEL = sr.available_models(4)[0]


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Path:
    """A set "Tiny" of one 32x32 image; returns the results file to use."""
    (tmp_path / "sets" / "Tiny").mkdir(parents=True)
    images.write(tmp_path / "sets" / "Tiny" / "one.png", picture(32, 32))
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    return tmp_path / "results.csv"


@pytest.fixture
def run(tiny):
    """Evaluate the set at 4x, without models."""
    return functools.partial(evaluate, [], ["Tiny"], scales=[4], results=tiny, progress=False, niqe=False)


@pytest.fixture
def vgg_file(tmp_path) -> Path:
    """A VGG-19 of few channels."""
    return write_vgg(tmp_path / "vgg.safetensors")


def shipped_text() -> str:
    """The shipped results file."""
    return RESULTS.read_text(encoding="utf-8")


def with_last_line(*cells: str) -> str:
    """The shipped results file with one more line."""
    return f"{shipped_text()}{','.join(cells)}\n"


ROW = ["Other", "4", "Set5", "5", "30", "0.9", "", "", "40", "", "", "files", "0.1.0"]
DAMAGED = {
    "empty": ("", "must have the columns method,scale"),
    "other columns": (shipped_text().replace("lr_psnr", "lr", 1), "must have the columns method,scale"),
    "semicolons": (shipped_text().replace(",", ";"), "must have the columns method,scale"),
    "last line cut short": (shipped_text()[:-4], "has no end, so it was cut short"),
    "last line cut at a comma": (f"{shipped_text()[:-30]}\n", r"line 79 .* has \d+ values for 13 columns"),
    "a merge's mark": (f"{shipped_text()}<<<<<<< HEAD\n", "line 80 .* has 1 values for 13 columns"),
    "a comma for a point": (with_last_line(*ROW[:4], '"30,5"', *ROW[5:]), "no number as psnr of Other, 4, Set5, files"),
    "no score": (with_last_line(*ROW[:4], "", *ROW[5:]), "no number as psnr of Other, 4, Set5, files, but ''"),
    "a row twice": (with_last_line(*ROW) + ",".join(ROW) + "\n", "two rows of Other, 4, Set5, files"),
    "a quotation without end": (with_last_line('"Other', *ROW[1:]), "no CSV file that can be read"),
    "an image": ("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "must have the columns|no CSV file"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_refused_and_stays_as_it_is(kind, run, tiny, monkeypatch):
    text, message = DAMAGED[kind]
    tiny.write_bytes(text.encode())
    monkeypatch.setattr("srvae.benchmarks.scoring.score", None)  # nothing may call it
    with pytest.raises(ValueError, match=message) as error:
        run()
    assert str(tiny) in str(error.value)
    assert tiny.read_bytes() == text.encode()
    assert sorted(path.name for path in tiny.parent.iterdir()) == ["results.csv", "sets"]


def test_no_text_is_refused(run, tiny):
    tiny.write_bytes(shipped_text().encode("utf-16"))
    with pytest.raises(ValueError, match=r"results\.csv is no CSV file that can be read"):
        run()


def test_a_spreadsheets_file_is_taken(tiny):
    """With a mark at its beginning, and lines that end as on Windows."""
    tiny.write_bytes(shipped_text().replace("\n", "\r\n").encode("utf-8-sig"))
    assert read_results(tiny) == read_results(RESULTS)


def test_files_of_version_0_1_are_read_and_their_rows_completed(run, tiny, vgg_file):
    """They have no column of VGG distances; a row that lacks one is completed, and keeps what it had."""
    (row,) = run()
    earlier = {name: value for name, value in row.items() if name != "vgg"} | {"niqe": "7.5", "seconds": "123.0000"}
    write_csv(tiny, [earlier], [name for name in RESULT_COLUMNS if name != "vgg"])
    assert read_results(tiny) == [row | {"niqe": "7.5", "vgg": "", "seconds": "123.0000"}]
    assert run() == read_results(tiny)  # without a VGG-19 nothing is to be done
    (completed,) = run(vgg=vgg_file)
    assert float(completed["vgg"]) > 0
    assert completed == row | {"niqe": "7.5", "vgg": completed["vgg"], "seconds": "123.0000"}
    assert run() == [completed]  # and a call without one leaves it there
    damaged = tiny.read_text().replace(",vgg", "", 1)  # the header alone of version 0.1
    tiny.write_text(damaged)
    with pytest.raises(ValueError, match="must have the columns method,scale,set,images,psnr,ssim,niqe,vgg"):
        read_results(tiny)


def test_a_damaged_file_of_single_images_is_refused(run, tiny):
    partial = tiny.with_suffix(".partial.csv")
    partial.write_text(",".join(IMAGE_COLUMNS) + "\nBicubic,4,Ti\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 2 .*partial\.csv has 3 values.*delete the file"):
        run()
    assert not tiny.exists()


def test_rows_of_single_images_are_found_by_what_they_are_of(tiny):
    head = dict.fromkeys(IMAGE_COLUMNS, "") | {"method": "Bicubic", "scale": "4", "set": "Tiny", "version": "1"}
    rows = ImageRows(tiny)
    rows.add(head | {"image": "one", "megapixels": "0.25"})
    rows.add(head | {"image": "two", "megapixels": "0.5", "niqe": "nan"})
    again = ImageRows(tiny)
    assert again.find(head, "one", 0.25)["image"] == "one"
    assert again.find(head, "one", 0.25, ["niqe"]) is None  # NIQE was not asked for
    assert again.find(head, "two", 0.5, ["niqe"])["niqe"] == "nan"  # it was, but could not be had
    assert again.find(head, "two", 0.5, ["niqe", "vgg"]) is None
    assert again.find(head, "one", 0.5) is None  # another picture by now
    assert again.find(head | {"version": "2"}, "one", 0.25) is None
    again.forget([head | {"version": "2"}])
    assert len(read_csv(again.path)) == 2
    again.forget([head])
    assert not again.path.exists()


def test_an_interrupted_calls_images_outlast_another_call(run, tiny):
    """What was computed of one set is kept while another set is evaluated."""
    rows = ImageRows(tiny)
    rows.add(dict.fromkeys(IMAGE_COLUMNS, "") | {"method": "Bicubic", "scale": "4", "set": "Large", "image": "one"})
    run()
    assert [row["set"] for row in read_csv(rows.path)] == ["Large"]


def test_what_is_in_the_results_leaves_the_file_of_single_images(run, tiny):
    """A call may be killed after the one file is written and before the other is."""
    (row,) = run()
    rows = ImageRows(tiny)
    rows.add(dict.fromkeys(IMAGE_COLUMNS, "") | {key: row[key] for key in row.keys() & IMAGE_COLUMNS})
    assert run() == [row]
    assert not rows.path.exists()


def test_images_too_small_for_niqe_are_computed_once(run, monkeypatch):
    scored = []

    def too_small(*_):
        scored.append(1)
        raise ValueError

    monkeypatch.setattr("srvae.metrics.niqe", too_small)
    rows = run(niqe=True)
    assert run(niqe=True) == rows
    assert len(scored) == 1


def test_another_image_in_the_folder_makes_the_row_anew(run, tiny):
    (row,) = run()
    images.write(tiny.parent / "sets" / "Tiny" / "two.png", picture(32, 40))
    (more,) = run()
    assert (row["images"], more["images"]) == ("1", "2")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("gone/results.csv", "there is no folder .*gone"),
        ("sets", "it is a folder, and a file's name is needed"),
        ("sets/Tiny/one.png/results.csv", r"there is no folder .*one\.png"),
    ],
)
def test_a_file_that_cannot_be_written_is_found_before_the_work(place, message, run, tiny, monkeypatch):
    monkeypatch.setattr("srvae.benchmarks.evaluate.fetch", None)  # nothing may call it
    with pytest.raises(OSError, match=message):
        run(results=tiny.parent / place)
    with pytest.raises(SystemExit, match=message):
        cli.main(["scores", "--models", "--sets", "Tiny", "--results", str(tiny.parent / place)])


def test_results_have_a_name_of_their_own(run, tiny):
    """Two results files that differ in their endings alone would share the file of single images."""
    with pytest.raises(ValueError, match=r"ends in \.csv, not into .*results\.txt"):
        run(results=tiny.with_suffix(".txt"))


@pytest.fixture
def small_disk():
    """A function bytes -> None: from then on no file may grow beyond these, as if the disk were full."""
    resource = pytest.importorskip("resource")  # Windows has no such limits
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_found_before_the_work(run, tiny, small_disk, monkeypatch):
    write_csv(tiny, [], RESULT_COLUMNS)
    before = tiny.read_bytes()
    monkeypatch.setattr("srvae.benchmarks.evaluate.fetch", None)  # nothing may call it
    small_disk(1000)
    with pytest.raises(OSError, match=r"results\.csv cannot be written: \w+"):
        run()
    assert tiny.read_bytes() == before
    assert sorted(path.name for path in tiny.parent.iterdir()) == ["results.csv", "sets"]


def test_a_disk_that_fills_up_leaves_whole_files(run, tiny, small_disk):
    rows = run()

    class Filling(Answers):
        def __call__(self, request):
            small_disk(150)  # the next row does not fit
            return super().__call__(request)

    with pytest.raises(OSError, match=r"results\.partial\.csv could not be written and is as it was: \w+"):
        evaluate([MODEL], ["Tiny"], settings=["default"], **(run.keywords | {"answers": Filling}))
    small_disk(2**30)
    assert read_results(tiny) == rows
    assert sorted(path.name for path in tiny.parent.iterdir()) == ["results.csv", "sets"]
