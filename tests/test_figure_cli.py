"""The command line srvae draw."""

import re
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from srvae.figures import cli
from srvae.figures.style import FIGURES


@pytest.mark.slow
def test_the_command_writes_the_same_files_again(tmp_path, capsys):
    for folder in ("a", "b"):
        cli.main(["network", "table", "--folder", str(tmp_path / folder)])
    names = ["network.pdf", "network.png", "table.pdf", "table.png"]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert plt.imread(tmp_path / "a" / "network.png").shape[1] == 1760  # twice the width a README shows
    assert str(tmp_path / "b" / "table.pdf") in capsys.readouterr().out
    assert matplotlib.get_backend() == "agg"


def test_what_it_does_not_know_ends_with_a_line(capsys):
    for words, message in ((["nothing"], "no figure 'nothing'"), (["--peer", "folder"], "takes NAME=FOLDER")):
        with pytest.raises(SystemExit):
            cli.main(words)
        assert message in capsys.readouterr().err


def test_what_cannot_be_drawn_ends_with_a_line_before_the_work(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(cli, "measured_and_drawn", None)  # nothing may call it
    for words, message in (
        (["--peer", f"EDSR={tmp_path / 'gone'}"], "there is no folder .*gone, in which the answers of EDSR are to lie"),
        (["--peer", f"sample={tmp_path}"], "a peer cannot be called sample"),
        (["--peer", f"A={tmp_path}", "--peer", f"A={tmp_path}"], "two peers are called A"),
    ):
        with pytest.raises(SystemExit, match="2"):
            cli.main(words)
        assert re.search(message, capsys.readouterr().err)
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SystemExit, match=r"^error: the folder .*file.* cannot be made"):
            cli.main(["network", "--folder", str(folder)])


def test_a_peer_in_no_figure_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match=r"^error: in none of these figures is there a place for EDSR"):
        cli.main(["quality_vs_time", "--folder", str(tmp_path), "--peer", f"EDSR={tmp_path}"])


def test_a_peer_without_answers_is_left_out_and_named(tmp_path, capsys, monkeypatch):
    def drawn_without(scale, images, peers):
        return [SimpleNamespace(crops={"Bicubic": None}, rows=[])]

    monkeypatch.setattr(cli, "compare", drawn_without)
    monkeypatch.setattr(cli, "record", list)
    monkeypatch.setattr(cli, "comparison", lambda _: Figure((1, 1)))
    with pytest.raises(SystemExit, match=r"^error: .* for want of answers"):
        cli.main(["comparison_4x", "--folder", str(tmp_path), "--peer", f"EDSR={tmp_path}"])
    assert "EDSR is left out of comparison_4x, bundled: it lacks" in capsys.readouterr().err


def test_every_figure_is_shipped():
    assert {path.stem for path in FIGURES.glob("*.png")} == set(cli.ALL_FIGURES)
    assert {path.stem for path in FIGURES.glob("*.pdf")} == set(cli.AS_PDF_TOO)
