"""The README's tables, made of CSV rows."""

import pytest
from benchmarks.results import RESULT_COLUMNS
from benchmarks.tables import END_MARKER, README, START_MARKER, markdown, tables, with_results, write_readme
from csvfiles import RESULTS

PUBLISHED_ROWS = [
    {"scale": "4", "method": "Bicubic", "dataset": "Set5", "psnr_y": "28.42", "ssim_y": "0.81", "pi": "7.37"},
    {"scale": "4", "method": "Good", "dataset": "Set5", "psnr_y": "31.0", "ssim_y": "0.9", "pi": "3"},
]
OURS = dict.fromkeys(RESULT_COLUMNS, "") | {
    "method": "SR-VAE-D",
    "scale": "4",
    "set": "Set5",
    "settings": "default",
    "psnr": "31.4321",
    "ssim": "0.8765",
}
STEPS = ("default", "temperature 1", "self-ensemble", "release tiling, self-ensemble")


def test_markdown_marks_the_best_and_leaves_what_is_not_known_blank():
    lines = markdown(PUBLISHED_ROWS, [OURS], []).splitlines()
    assert "| Good | 31.00 / **0.900** / **3.000** |  |  |  |  |" in lines
    assert "| SR-VAE-D (here) | **31.43** / 0.876 / – |  |  |  |  |" in lines
    assert "| 4x | SR-VAE-D answer | 31.43 / – / – / – |" in lines
    assert not any("Like for like" in line for line in lines)


def test_markdown_shows_samples_and_the_releases_way():
    more = {"niqe": "7.121", "lr_psnr": "50.04", "diversity": "21.06", "seconds": "4.06"}
    rows = [OURS | more | {"settings": s, "method": f"SR-VAE-{v}", "images": "5"} for s in STEPS for v in "DP"]
    printed = [{"scale": "4", "method": "SR-VAE-P", "dataset": "Set5", "psnr_y": "31.551", "ssim_y": "0.8871"}]
    lines = markdown([], rows, printed).splitlines()
    assert "| scale | method | Set5, 5 images |" in lines
    assert "| 4x | SR-VAE-P samples, mean of 10 | 31.43 / 7.12 / 50.0 / 21.1 |" in lines
    cell = "31.43 / 0.8765 / 4.1"
    assert f"| 4x | SR-VAE-D | Set5 | {cell} |  | {cell} |  | {cell} |  |" in lines
    assert f"| 4x | SR-VAE-P | Set5 | {cell} |  | {cell} |  | {cell} | 31.55 / 0.8871 |" in lines


def test_markdown_orders_sets_as_the_paper_does():
    sets = ("Zoo", "Set14", "bundled", "Set5")
    lines = markdown([], [OURS | {"set": name, "images": "1"} for name in sets], []).splitlines()
    ordered = " | ".join(f"{name}, 1 images" for name in ("bundled", "Set5", "Set14", "Zoo"))
    assert f"| scale | method | {ordered} |" in lines


def test_markdown_says_what_is_gained_and_what_is_missing():
    theirs = [PUBLISHED_ROWS[0] | {"method": "LapSRN", "psnr_y": "31.54"}]
    rows = [OURS | {"psnr": "31.43", "niqe": "8.35"}]
    rows += [OURS | {"method": "SR-VAE-P", "psnr": "30.99", "niqe": "7.04"}]
    lines = markdown(theirs, rows, []).splitlines()
    assert "| 4x | SR-VAE-D | LapSRN, published | -0.11 |" in lines
    assert "| 4x | SR-VAE-P | SR-VAE-D (here) | -0.44 / -1.31 |" in lines
    assert not any(line.startswith("| 8x | SR-VAE-P") for line in lines)


def test_tables_go_between_the_markers_only(tmp_path):
    text = f"before {START_MARKER} old {END_MARKER} after"
    new = with_results(text, "NEW")
    assert new == f"before {START_MARKER}\n\nNEW\n\n{END_MARKER} after"
    assert with_results(new, "NEW") == new
    with pytest.raises(ValueError, match="markers"):
        with_results("no markers", "NEW")
    (tmp_path / "README.md").write_text(text)
    write_readme(tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == with_results(text, tables())


def test_readme_and_results_agree():
    if not RESULTS.exists():
        pytest.skip("data/results.csv has not been made yet")
    text = README.read_text()
    assert with_results(text, tables()) == text, "run python notebooks/evaluate.py readme"
