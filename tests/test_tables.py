"""Tables made of CSV rows: those of Paper_Figures and README's."""

import pytest

from benchmark_helpers import results_row
from srvae.benchmarks.tables import (
    END_MARKER,
    README,
    START_MARKER,
    answers_and_samples,
    best_values,
    like_for_like,
    paper_table,
    published_table,
    readme_table,
    write_readme,
)
from srvae.csvfiles import PUBLISHED, RESULTS, read_csv

PUBLISHED_ROWS = [
    {"scale": "4", "method": "Bicubic", "dataset": "Set5", "psnr_y": "28.42", "ssim_y": "0.81", "pi": "7.37"},
    {"scale": "4", "method": "Good", "dataset": "Set5", "psnr_y": "31.0", "ssim_y": "0.9", "pi": "3"},
]
SCORES = {"psnr": "31.4321", "ssim": "0.8765", "images": "5"}
OURS = results_row("SR-VAE-D", "default", 4, "Set5", **SCORES)


def test_the_best_values_of_the_papers_table_are_bold():
    lines = published_table(4, PUBLISHED_ROWS, [OURS]).splitlines()
    assert "| Good | 31.00 / **0.900** / **3.000** |  |  |  |  |" in lines
    assert "| SR-VAE-D (here) | **31.43** / 0.876 / – |  |  |  |  |" in lines
    assert "SR-VAE-D" not in published_table(8, PUBLISHED_ROWS, [OURS])


def test_values_that_look_equal_are_all_best():
    equal = OURS | {"psnr": "31.0049", "ssim": "0.8"}
    table = paper_table(4, PUBLISHED_ROWS, [equal])
    assert best_values(table)["Set5", 0] == "31.00"
    assert published_table(4, PUBLISHED_ROWS, [equal]).count("**31.00**") == 2


def test_only_default_rows_of_the_papers_sets_are_in_its_table():
    others = [OURS | {"settings": "temperature 1"}, OURS | {"set": "bundled"}, OURS | {"scale": "8"}]
    assert list(paper_table(4, PUBLISHED_ROWS, others)) == ["Bicubic", "Good"]


def test_answers_stand_above_samples_and_blank_scores_are_dashes():
    more = {"niqe": "7.121", "vgg": "0.4832", "lr_psnr": "50.04", "diversity": "21.06"}
    lines = answers_and_samples([OURS, OURS | more | {"settings": "temperature 1"}]).splitlines()
    assert lines[2:] == [
        "| 4x SR-VAE-D answer | 31.43 / – / – / – / – |",
        "| 4x SR-VAE-D samples, mean of 10 | 31.43 / 7.12 / 0.483 / 50.0 / 21.1 |",
    ]


def test_sets_are_in_the_papers_order():
    head = answers_and_samples([OURS | {"set": name} for name in ("Set14", "bundled", "Set5")]).splitlines()[0]
    assert [head.index(name) for name in ("bundled", "Set5", "Set14")] == sorted(
        head.index(name) for name in ("bundled", "Set5", "Set14")
    )


def test_ways_to_the_releases_stand_beside_its_own_scores():
    ways = ("default", "self-ensemble", "release tiling, self-ensemble")
    rows = [OURS | {"settings": way, "method": "SR-VAE-P", "seconds": "4.06"} for way in ways]
    printed = [{"scale": "4", "method": "SR-VAE-P", "dataset": "Set5", "psnr_y": "31.551", "ssim_y": "0.8871"}]
    cell = "31.43 / 0.8765 / 4.1"
    line = f"| 4x SR-VAE-P, Set5 | {cell} |  | {cell} |  | {cell} | 31.55 / 0.8871 |"
    assert like_for_like(rows, printed).splitlines()[2:] == [line]
    assert len(like_for_like([OURS], printed).splitlines()) == 2  # the set was not measured in the release's ways


def test_readmes_table_has_psnr_and_niqe():
    lines = readme_table(PUBLISHED_ROWS, [OURS | {"niqe": "8.354"}]).splitlines()
    assert "| **D, this project** | 31.43 / 8.35 |  |  |  |" in lines
    published = [PUBLISHED_ROWS[1] | {"method": "LapSRN", "dataset": "Set14"}]
    assert "| LapSRN, published |  | 31.00 / – |  |  |" in readme_table(published, []).splitlines()


def test_readmes_table_is_written_between_the_markers(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before {START_MARKER} old {END_MARKER} after", encoding="utf-8")
    write_readme(readme)
    text = readme.read_text(encoding="utf-8")
    table = readme_table(read_csv(PUBLISHED), read_csv(RESULTS))
    assert text == f"before {START_MARKER}\n\n{table}\n\n{END_MARKER} after"
    readme.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the markers"):
        write_readme(readme)
    assert readme.read_text(encoding="utf-8") == "no markers"


def test_readmes_table_is_that_of_the_results_file():
    table = readme_table(read_csv(PUBLISHED), read_csv(RESULTS))
    assert f"{START_MARKER}\n\n{table}\n\n{END_MARKER}" in README.read_text(encoding="utf-8")
