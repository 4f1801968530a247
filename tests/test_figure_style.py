"""What all figures share: colours, files."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from srvae.figures.style import COLOURS, PEER_COLOURS, colour, save


def test_every_method_has_a_colour_of_its_own():
    colours = [*COLOURS.values(), *PEER_COLOURS]
    assert len({c.lower() for c in colours}) == len(colours)
    peers = ("B", "A")
    assert colour("A", peers) != colour("B", peers)
    assert colour("SR-VAE-D", peers) == COLOURS["SR-VAE-D"]
    assert colour("nobody", peers) == "#000000"


def test_a_figure_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    save(Figure((1, 1)), path)
    before = path.read_bytes()

    def half(fig, file, **_):
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="no space left"):
        save(Figure((2, 2)), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_figure_is_the_same_file(tmp_path):
    for ending in ("png", "pdf"):
        for folder in "ab":
            fig = Figure(figsize=(1, 1))
            fig.text(0.5, 0.5, "words")
            save(fig, tmp_path / folder / f"figure.{ending}")
        assert (tmp_path / "a" / f"figure.{ending}").read_bytes() == (tmp_path / "b" / f"figure.{ending}").read_bytes()
    assert plt.imread(tmp_path / "a" / "figure.png").shape[1] == 100
