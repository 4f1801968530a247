"""The command line of evaluate.py."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import cli
from csvfiles import read_csv

import srvae_core as sr

COMMAND = Path(__file__).resolve().parents[1] / "notebooks" / "evaluate.py"


@pytest.fixture
def tiny(tmp_path, monkeypatch, crops) -> Path:
    """A set "Tiny" of one 32x32 image; returns the results file to use."""
    (tmp_path / "sets" / "Tiny").mkdir(parents=True)
    sr.write_image(tmp_path / "sets" / "Tiny" / "coffee.png", crops["coffee"][:32, :32])
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
    ):
        with pytest.raises(SystemExit, match=message):
            cli.main(["scores", "--results", str(tiny), *words])
    assert not tiny.exists()


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
    assert capsys.readouterr().out.count("ratio 1/") == 6
    cli.main(["memory", "--inside", "8"])
    assert 0.1 < float(capsys.readouterr().out) < 50


def test_commands_of_other_modules_can_be_added():
    called = []

    def add(commands):
        command = commands.add_parser("other")
        command.add_argument("--size", type=int)
        command.set_defaults(run=called.append)

    cli.main(["other", "--size", "3"], more=[add])
    assert called[0].size == 3


def test_help_lists_the_commands():
    done = subprocess.run([sys.executable, str(COMMAND), "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("scores", "readme", "speed", "memory", "slider"):
        assert f"evaluate.py {name}" in done.stdout
    assert "scores,readme,speed,memory,slider" in done.stdout
