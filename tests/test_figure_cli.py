"""The command line of draw.py."""

import matplotlib
import matplotlib.pyplot as plt
import pytest
from figures import cli
from figures.style import FIGURES


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


def test_every_figure_is_shipped():
    assert {path.stem for path in FIGURES.glob("*.png")} == set(cli.ALL_FIGURES)
    assert {path.stem for path in FIGURES.glob("*.pdf")} == set(cli.AS_PDF_TOO)
