"""The notebooks as they are committed. That they run, and print what they say, nbval checks (`make test`)."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
EXPECTED = {"SR_VAE_4x", "SR_VAE_8x", "Latent_Sampling", "Paper_Figures", "Training"}
PRESENT = sorted(NOTEBOOKS.glob("*.ipynb"))


def stem(path: Path) -> str:
    """What a notebook is called in the names of tests."""
    return path.stem


def code_cells(path):
    cells = json.loads(path.read_text())["cells"]
    return [c for c in cells if c["cell_type"] == "code" and "".join(c["source"]).strip()]


def test_all_notebooks_are_there():
    assert {p.stem for p in PRESENT} >= EXPECTED


def test_nbval_collects_them():
    makefile = (NOTEBOOKS.parent / "Makefile").read_text()
    assert "--nbval-lax" in makefile
    for path in PRESENT:
        checked = [c for c in code_cells(path) if "NBVAL_CHECK_OUTPUT" in "".join(c["source"])]
        assert checked, f"{path.name} has no cell whose output is compared"


@pytest.mark.parametrize("path", PRESENT, ids=stem)
def test_committed_as_run_once_in_order(path):
    cells = code_cells(path)
    assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
    kinds = {o["output_type"] for c in cells for o in c["outputs"]}
    assert "error" not in kinds
    assert "stream" in kinds, "no printed numbers"
    assert kinds & {"display_data", "execute_result"}, "no pictures"


@pytest.mark.parametrize("path", PRESENT, ids=stem)
def test_light_and_short(path):
    assert path.stat().st_size < 3e6
    assert "widgets" not in json.loads(path.read_text())["metadata"], "widget state was saved"
    cells = code_cells(path)
    assert 5 <= len(cells) <= 25
    assert max(len("".join(c["source"]).splitlines()) for c in cells) <= 15


@pytest.mark.parametrize("path", PRESENT, ids=stem)
def test_begins_with_a_title_and_says_what_it_shows(path):
    first = json.loads(path.read_text())["cells"][0]
    assert first["cell_type"] == "markdown"
    title, *prose = "".join(first["source"]).splitlines()
    assert title.startswith("# ")
    assert len(" ".join(prose)) > 100


def test_no_function_is_defined_twice():
    """What two notebooks need belongs into a module."""
    seen = {}
    for path in PRESENT:
        for cell in code_cells(path):
            text = "".join(cell["source"])
            for line in text.splitlines():
                if line.startswith("def ") or line.startswith("class "):
                    assert seen.setdefault(line, path) == path, f"{line!r} stands in two notebooks"


def test_the_two_scales_are_twins():
    """SR_VAE_4x and SR_VAE_8x agree but for the scale: their code stands in the modules."""
    four, eight = (["".join(c["source"]) for c in code_cells(NOTEBOOKS / f"SR_VAE_{s}x.ipynb")] for s in (4, 8))
    assert [cell.replace("SCALE = 4", "SCALE = 8") for cell in four] == eight
