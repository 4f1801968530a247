"""Tables and sentences made of CSV rows: the README's and those of Paper_Figures."""

import pytest

from benchmark_helpers import results_row
from srvae.benchmarks.results import RESULT_COLUMNS
from srvae.benchmarks.summary import END_MARKER, README, START_MARKER, summary, with_results, write_readme
from srvae.benchmarks.tables import answers_and_samples, gains, like_for_like, published_table
from srvae.benchmarks.words import apart, listed, nearer_words, samples_words, verdict
from srvae.csvfiles import RESULTS

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
SHOWN = ("Set5", "Set14")


def of_both_sets(method: str, settings: str = "default", **pairs: tuple[str, str]) -> list[dict[str, str]]:
    """Rows of Set5 and Set14 at 4x; each score is a pair."""
    values = [{name: pair[i] for name, pair in pairs.items()} for i in range(2)]
    return [results_row(method, settings, 4, name, images="5", **v) for name, v in zip(SHOWN, values, strict=True)]


# -- the long tables ----------------------------------------------------------------------------------------


def test_the_papers_table_marks_the_best_and_leaves_what_is_not_known_blank():
    lines = published_table(4, PUBLISHED_ROWS, [OURS]).splitlines()
    assert "| Good | 31.00 / **0.900** / **3.000** |  |  |  |  |" in lines
    assert "| SR-VAE-D (here) | **31.43** / 0.876 / – |  |  |  |  |" in lines
    assert "SR-VAE-D" not in published_table(8, PUBLISHED_ROWS, [OURS])


def test_samples_and_the_releases_way_are_shown():
    more = {"niqe": "7.121", "vgg": "0.4832", "lr_psnr": "50.04", "diversity": "21.06", "seconds": "4.06"}
    rows = [OURS | more | {"settings": s, "method": f"SR-VAE-{v}", "images": "5"} for s in STEPS for v in "DP"]
    lines = answers_and_samples(rows).splitlines()
    assert "| scale | method | Set5, 5 images |" in lines
    assert "| 4x | SR-VAE-P samples, mean of 10 | 31.43 / 7.12 / 0.483 / 50.0 / 21.1 |" in lines
    printed = [{"scale": "4", "method": "SR-VAE-P", "dataset": "Set5", "psnr_y": "31.551", "ssim_y": "0.8871"}]
    lines = like_for_like(rows, printed).splitlines()
    cell = "31.43 / 0.8765 / 4.1"
    assert f"| 4x | SR-VAE-D | Set5 | {cell} |  | {cell} |  | {cell} |  |" in lines
    assert f"| 4x | SR-VAE-P | Set5 | {cell} |  | {cell} |  | {cell} | 31.55 / 0.8871 |" in lines
    assert "| 4x | SR-VAE-D answer | 31.43 / – / – / – / – |" in answers_and_samples([OURS]).splitlines()
    assert like_for_like([OURS], printed) == ""


def test_sets_come_in_the_papers_order():
    sets = ("Zoo", "Set14", "bundled", "Set5")
    lines = answers_and_samples([OURS | {"set": name, "images": "1"} for name in sets]).splitlines()
    ordered = " | ".join(f"{name}, 1 images" for name in ("bundled", "Set5", "Set14", "Zoo"))
    assert f"| scale | method | {ordered} |" in lines


def test_gains_say_what_is_gained_and_what_is_missing():
    theirs = [PUBLISHED_ROWS[0] | {"method": "LapSRN", "psnr_y": "31.54"}]
    rows = [OURS | {"psnr": "31.43", "niqe": "8.35"}]
    rows += [OURS | {"method": "SR-VAE-P", "psnr": "30.99", "niqe": "7.04"}]
    lines = gains(theirs, rows).splitlines()
    assert "| 4x | SR-VAE-D | LapSRN, published | -0.11 |" in lines
    assert "| 4x | SR-VAE-P | SR-VAE-D (here) | -0.44 / -1.31 |" in lines
    assert not any(line.startswith("| 8x | SR-VAE-P") for line in lines)
    assert gains(theirs, []) == ""


# -- sentences ----------------------------------------------------------------------------------------------


def test_words_in_a_row():
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert apart([0.3, 0.2], "above", "below", " dB") == "0.30 and 0.20 dB above"
    assert apart([-0.3, -0.2], "above", "below", " dB") == "0.30 and 0.20 dB below"
    assert apart([0.3, -0.2], "above", "below", " dB") == "0.30 dB above and 0.20 dB below"
    assert apart([0.3, 0], "above", "below", " dB") == "0.30 dB above and level with"
    assert apart([0, 0], "above", "below", " dB") == "level with"


def test_the_verdict_follows_the_numbers():
    published = [
        {"scale": "4", "method": m, "dataset": d, "psnr_y": p, "ssim_y": "0.9", "pi": "5"}
        for m, pair in (("LapSRN", ("31.54", "28.00")), ("SR-VAE-D", ("32.02", "28.30")))
        for d, p in zip(SHOWN, pair, strict=True)
    ]
    rows = of_both_sets("Bicubic", psnr=("28.43", "26.09")) + of_both_sets(
        "SR-VAE-D", psnr=("31.434", "28.15"), niqe=("8", "7")
    )
    head, _, *points = verdict(published, rows + of_both_sets("SR-VAE-P", psnr=("31", "28"), niqe=("7", "7.5"))).split(
        "\n"
    )
    assert "Set5 and Set14" in head
    assert points == [
        "* **D at 4x** is 3.00 and 2.06 dB above bicubic enlargement, 0.11 dB below and 0.15 dB above the published "
        "LapSRN and 0.59 and 0.15 dB below the published SR-VAE-D.",
        "* **P at 4x** is 0.43 and 0.15 dB below D; its NIQE is 1.00 lower and 0.50 higher than D's.",
    ]
    better = of_both_sets("SR-VAE-D", psnr=("32.5", "28.31"))
    assert "0.48 and 0.01 dB above the published SR-VAE-D" in verdict(published, better)
    assert verdict([], []) == ""


def test_samples_are_judged_by_the_numbers():
    def sampled(d_psnr, d_niqe, p_psnr, p_niqe):
        rows = of_both_sets("SR-VAE-D", "temperature 1", psnr=d_psnr, niqe=d_niqe)
        return samples_words(rows + of_both_sets("SR-VAE-P", "temperature 1", psnr=p_psnr, niqe=p_niqe))

    high, low, mixed = ("28", "26"), ("27", "25"), ("27", "26.5")
    start = "At 4x and temperature 1, "
    assert sampled(high, low, low, high) == f"{start}D's samples have the higher PSNR and the lower NIQE on both sets."
    expected = f"{start}D's samples have the higher PSNR on both sets; P's samples have the lower NIQE on both sets."
    assert sampled(high, high, low, low) == expected
    expected = (
        "D's samples have the higher PSNR on Set5; P's samples have the higher PSNR on Set14; D's samples have the"
    )
    assert expected in sampled(high, low, mixed, high)
    assert samples_words([]) == ""


def test_distances_are_put_into_words():
    rows = []
    kinds = (("Bicubic", "default"), *((f"SR-VAE-{v}", s) for s in ("default", "temperature 1") for v in "DP"))
    for (method, settings), value in zip(kinds, ("0.59", "0.483", "0.471", "0.616", "0.59"), strict=True):
        rows += of_both_sets(method, settings, vgg=(value, value))
    assert nearer_words(rows) == (
        "The VGG distance says how far a picture looks from its original. At 4x bicubic enlargement is 0.590 away, the "
        "mean over 10 images: D's answer (0.483) and P's answer (0.471) are nearer; P's samples at temperature 1 "
        "(0.590) are as near; D's samples at temperature 1 (0.616) are no nearer, but farther away."
    )
    rows[0]["images"], rows[0]["vgg"] = "15", "0.99"  # a mean over images, not over sets
    rows[1]["images"] = "5"
    assert "At 4x bicubic enlargement is 0.890 away, the mean over 20 images" in nearer_words(rows)
    assert nearer_words(rows[1:-1]) == ""  # no set has all of them


# -- the README ---------------------------------------------------------------------------------------------


def test_the_readmes_table_fits_a_screen():
    lines = summary([], of_both_sets("SR-VAE-D", psnr=("31.43", "28.15"), niqe=("8.354", "6.8"))).splitlines()
    assert "| PSNR in dB / NIQE | 4x Set5 | 4x Set14 | 8x Set5 | 8x Set14 |" in lines
    assert "| **D, this project** | 31.43 / 8.35 | 28.15 / 6.80 | – / – | – / – |" in lines
    table = [line for line in summary().splitlines() if line.startswith("|")]
    assert len(table) == 10
    assert all("– / –" not in line for line in table)  # all of it is known, but the paper's NIQE
    assert len(summary().splitlines()) < 25


def test_results_go_between_the_markers_only(tmp_path):
    text = f"before {START_MARKER} old {END_MARKER} after"
    new = with_results(text, "NEW")
    assert new == f"before {START_MARKER}\n\nNEW\n\n{END_MARKER} after"
    assert with_results(new, "NEW") == new
    with pytest.raises(ValueError, match="markers"):
        with_results("no markers", "NEW")
    (tmp_path / "README.md").write_text(text)
    write_readme(tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == with_results(text, summary())


def test_readme_and_results_agree():
    if not RESULTS.exists():
        pytest.skip("data/results.csv has not been made yet")
    text = README.read_text(encoding="utf-8")
    assert with_results(text, summary()) == text, "run srvae evaluate readme"
