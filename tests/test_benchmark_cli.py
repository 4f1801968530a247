"""The command line srvae evaluate."""

import functools
import subprocess
import sys
from pathlib import Path

import pytest

import srvae_core as sr
from srvae import images
from srvae.benchmarks import cli
from srvae.csvfiles import read_csv


@pytest.fixture
def tiny(tmp_path, monkeypatch, crops) -> Path:
    """A set "Tiny" of one 32x32 image; returns the results file to use."""
    (tmp_path / "sets" / "Tiny").mkdir(parents=True)
    images.write(tmp_path / "sets" / "Tiny" / "coffee.png", crops["coffee"][:32, :32])
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    return tmp_path / "results.csv"


def test_scores_go_into_the_results_file(tiny, capsys, natural_model):
    cli.main(["scores", "--models", "--sets", "Tiny", "--results", str(tiny)])
    assert [(r["method"], r["scale"]) for r in read_csv(tiny)] == [("Bicubic", "4"), ("Bicubic", "8")]
    assert f"2 rows in {tiny}" in capsys.readouterr().out


def test_what_cannot_be_done_ends_with_a_line(tiny):
    for words, message in (
        (["--sets", "Tiny", "Nowhere"], "no image set 'Nowhere'"),
        (["--sets", "Tiny", "--settings", "slow"], "no settings 'slow'"),
        (["--sets", "Tiny", "--models", "5x-D"], "no model '5x-D'"),
        (["--sets", "Tiny", "--models", "4x-D", "--scales", "8"], "4x-D enlarges 4x, but only 8x was asked for"),
    ):
        with pytest.raises(SystemExit, match=f"^error: .*{message}"):
            cli.main(["scores", "--results", str(tiny), *words])
    assert not tiny.exists()


def test_a_process_says_in_one_line_what_was_wrong(tiny):
    """Without a traceback, on standard error, and with an exit code that scripts see."""
    broken = tiny.parent / "sets" / "Tiny" / "broken.png"
    broken.write_bytes(b"no picture")
    words = ["scores", "--models", "--sets", "Tiny", "--results", str(tiny)]
    done = subprocess.run(
        [sys.executable, "-m", "srvae", "evaluate", *words], capture_output=True, text=True, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: the set 'Tiny' has files that cannot be read: ")
    assert str(broken) in done.stderr
    assert not tiny.exists()


def test_what_is_stopped_ends_without_a_traceback(tiny, monkeypatch, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "evaluate", stopped)
    with pytest.raises(SystemExit, match="130"):
        cli.main(["scores", "--sets", "Tiny"])
    assert capsys.readouterr().err == "stopped\n"


def test_scales_choose_among_the_shipped_models(tiny, monkeypatch):
    asked = []

    def noted(models, sets, **options):
        asked.append((models, sets, options["scales"]))
        return []

    monkeypatch.setattr(cli, "evaluate", noted)
    for words in ([], ["--scales", "8"], ["--models", "--scales", "4", "8"], ["--models", "4x-D"]):
        cli.main(["scores", "--sets", "Tiny/", *words])
    everything = [*sr.available_models(4), *sr.available_models(8)]
    assert asked == [
        (everything, ["Tiny"], []),
        (sr.available_models(8), ["Tiny"], [8]),
        ([], ["Tiny"], [4, 8]),
        (["4x-D"], ["Tiny"], []),
    ]


def test_a_vgg_file_is_named_by_a_flag_or_a_variable(tiny, monkeypatch):
    asked = []

    def noted(*_, **options):
        asked.append(options["vgg"])
        return []

    monkeypatch.setattr(cli, "evaluate", noted)
    monkeypatch.delenv("SRVAE_VGG", raising=False)
    cli.main(["scores", "--sets", "Tiny"])
    cli.main(["scores", "--sets", "Tiny", "--vgg", "mine.safetensors"])
    monkeypatch.setenv("SRVAE_VGG", "kept.safetensors")
    cli.main(["scores", "--sets", "Tiny"])
    monkeypatch.setenv("SRVAE_VGG", "")  # set to nothing counts as not set
    cli.main(["scores", "--sets", "Tiny"])
    assert asked == [None, "mine.safetensors", "kept.safetensors", None]


def test_a_vgg_file_that_cannot_be_read_ends_with_a_line(tiny):
    for name in ("gone.safetensors", "gone.caffemodel", "vgg19.pth"):
        with pytest.raises(SystemExit, match=f"^error: .*{name}"):
            cli.main(["scores", "--models", "--sets", "Tiny", "--results", str(tiny), "--vgg", name])
    assert not tiny.exists()


def test_sizes_that_cannot_be_timed_are_refused():
    for words, message in (
        (["speed", "--size", "700"], "size must be a multiple of 8, at most 512, not 700"),
        (["speed", "--size", "20"], "size must be a multiple of 8"),
        (["speed", "--size", "0"], "size must be a multiple of 8"),
        (["speed", "--repeats", "0"], "repeats must be at least 1, not 0"),
        (["memory", "--inside", "0"], "an image has at least 1x1 pixels, not 0x0"),
    ):
        with pytest.raises(SystemExit, match=f"^error: {message}"):
            cli.main(words)


def test_a_readme_without_markers_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "write_readme", functools.partial(cli.write_readme, tmp_path / "README.md"))
    with pytest.raises(SystemExit, match=r"^error: .*README\.md"):
        cli.main(["readme"])
    (tmp_path / "README.md").write_text("Кот\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^error: the README lacks the markers"):
        cli.main(["readme"])
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "Кот\n"


def test_peers_are_named_folders(tiny, capsys):
    assert dict(map(cli.named_folder, ["A=x", "B=y=z"])) == {"A": "x", "B": "y=z"}
    for wrong in ("A", "A=", "=x"):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["scores", "--results", str(tiny), "--sets", "Tiny", "--peer", wrong])
        assert f"argument --peer: it takes NAME=FOLDER, not {wrong}" in capsys.readouterr().err
    assert not tiny.exists()


def test_without_sets_what_cannot_be_had_is_left_out(tmp_path, monkeypatch, capsys, natural_model):
    """The bundled photographs are always at hand; the others would be downloaded, which is no business of a test."""
    asked = []

    def without_downloads(sets):
        asked.extend(sets)
        return []

    monkeypatch.setattr(cli, "at_hand", without_downloads)
    cli.main(["scores", "--models", "--results", str(tmp_path / "results.csv")])
    assert asked == ["bundled", "Set5", "Set14"]
    assert "0 rows in" in capsys.readouterr().out


def test_speed_and_memory_from_the_command_line(capsys):
    cli.main(["speed", "--size", "64", "--repeats", "1"])
    assert capsys.readouterr().out.count("ratio 1/") == 8
    cli.main(["memory", "--inside", "8"])
    assert 0.1 < float(capsys.readouterr().out) < 50


def test_help_lists_the_commands():
    done = subprocess.run([sys.executable, "-m", "srvae", "evaluate", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("scores", "readme", "speed", "memory"):
        assert f"srvae evaluate {name}" in done.stdout
    assert "scores,readme,speed,memory" in done.stdout
