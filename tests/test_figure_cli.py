"""The command srvae draw, and the files that it writes."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from srvae.figures import cli
from srvae.figures.style import FIGURES, save


@pytest.mark.slow
def test_the_command_writes_png_and_pdf(tmp_path):
    cli.main(["network", "table", "--folder", str(tmp_path / "new")])
    names = ["network.pdf", "network.png", "table.pdf", "table.png"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == names
    assert plt.imread(tmp_path / "new" / "network.png").shape[1] == 1760


def test_an_unknown_figure_is_an_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["nothing"])
    assert "no figure 'nothing'; there are hero, network" in capsys.readouterr().err


def test_every_figure_is_shipped():
    assert {path.stem for path in FIGURES.glob("*.png")} == set(cli.ALL_FIGURES)
    assert {path.stem for path in FIGURES.glob("*.pdf")} == set(cli.AS_PDF_TOO)


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_equal_figures_give_equal_files(tmp_path, ending):
    for name in "ab":
        fig = Figure(figsize=(1, 1))
        fig.text(0.5, 0.5, "words")
        save(fig, tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
