"""Figures of data/results.csv: the table, the walk over temperatures, quality against time."""

import matplotlib.pyplot as plt
import pytest

from benchmark_helpers import cut_off, overlapping, results_row, texts
from srvae.benchmarks.results import SCORE_COLUMNS
from srvae.csvfiles import PUBLISHED, RESULTS, read_csv
from srvae.figures.results import LARGEST_LOSS, MEASURES, best_sample, quality_vs_time, temperature, temperature_of
from srvae.figures.style import COLOURS
from srvae.figures.table import table


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_table_has_the_numbers_of_both_files():
    published = read_csv(PUBLISHED)
    rows = [
        results_row("SR-VAE-D", "default", 8, "Set14", psnr="99.1234", ssim="0.4321", niqe="7.654"),
        results_row("SR-VAE-P", "default", 8, "Set14", psnr="98", ssim="0.4", niqe="3.211"),
    ]
    fig = table(published, rows)
    shown = texts(fig)
    for row in published:  # of the sets that were measured here
        assert (f"{float(row['psnr_y']):.2f}" in shown) or row["dataset"] != "Set14"
        assert (f"{float(row['pi']):.3f}" in shown) or row["dataset"] != "Set14"
    assert "Set5" not in shown
    assert {"99.12", "0.432", "7.65", "measured here", "NIQE", "PI"} <= set(shown)
    bold = {t.get_text() for t in fig.axes[0].texts if t.get_fontweight() == "bold"}
    assert {"99.12", "28.99", "2.882", "3.21"} <= bold  # ours at 8x; HBPN's PSNR, SRGAN's PI at 4x; P's NIQE
    assert not bold & {"25.13", "7.65"}  # the best published one, now beaten, and D's NIQE
    assert not overlapping(fig)
    assert not cut_off(fig)


def test_the_table_has_no_blank_columns():
    shown = texts(table())
    assert "–" not in shown
    assert shown.count("NIQE") == shown.count("PI")


def walked(method, scale, *points):
    """Rows of (temperature, PSNR, NIQE)."""
    return [
        results_row(method, f"temperature {t:g}", scale, psnr=str(psnr), niqe=str(niqe)) for t, psnr, niqe in points
    ]


def test_the_best_sample_has_the_lowest_niqe_of_those_that_lose_little():
    d = walked("SR-VAE-D", 4, (0, 30, 7), (0.25, 29.8, 6), (0.5, 29.1, 5), (1, 28.9, 3))
    p = walked("SR-VAE-P", 4, (0, 29.9, 1), (0.25, 29.5, 5.5), (0.5, 28, 2))
    assert best_sample(4, d + p) == ("SR-VAE-D", 0.5)  # P's at 0 is no sample, others lose more than 1 dB
    assert best_sample(4, d + walked("SR-VAE-P", 4, (0.25, 29, 4.9))) == ("SR-VAE-P", 0.25)
    assert best_sample(4, d + p, loss=3, only=1.0) == ("SR-VAE-D", 1.0)
    assert best_sample(4, d + p, loss=3) == ("SR-VAE-P", 0.5)
    with pytest.raises(LookupError, match=r"srvae evaluate scores"):
        best_sample(8, d + p)
    with pytest.raises(LookupError, match=r"no sample comes within 0\.1 dB"):
        best_sample(4, d + p, loss=0.1)


def test_the_best_samples_of_the_shipped_models_keep_the_promise():
    results = [r for r in read_csv(RESULTS) if r["set"] == "bundled"]
    for scale in (4, 8):
        method, t = best_sample(scale)
        (chosen,) = (
            r for r in results if (r["method"], r["scale"], r["settings"]) == (method, str(scale), f"temperature {t:g}")
        )
        (answer,) = (
            r for r in results if (r["method"], r["scale"], r["settings"]) == ("SR-VAE-D", str(scale), "temperature 0")
        )
        assert float(chosen["psnr"]) >= float(answer["psnr"]) - LARGEST_LOSS
        assert float(chosen["niqe"]) < float(answer["niqe"])


def test_temperature_is_read_from_the_settings():
    assert [temperature_of(s) for s in ("temperature 0.25", "temperature 0", "default")] == [0.25, 0.0, None]
    assert [temperature_of(s) for s in ("temperature", "temperature high", "")] == [None] * 3


def test_temperature_draws_the_rows():
    rows = [
        results_row(
            "SR-VAE-D", f"temperature {t}", psnr=str(30 - t), lr_psnr="50", niqe=str(6 - t), diversity=str(9 * t)
        )
        for t in (1.5, 0.5)
    ]
    rows.append(results_row("SR-VAE-D", "temperature 0", psnr="30.5", lr_psnr="50", niqe="6.5"))
    rows.append(results_row("SR-VAE-D", "self-ensemble", psnr="99"))
    fig = temperature(rows)
    psnr, _, niqe, diversity = fig.axes
    assert [ax.get_title("left") for ax in fig.axes] == [MEASURES[m] for m in ("psnr", "lr_psnr", "niqe", "diversity")]
    line, *_ = psnr.lines
    assert line.get_label() == "SR-VAE-D 4x"
    assert line.get_xydata().tolist() == [[0, 30.5], [0.5, 29.5], [1.5, 28.5]]
    assert line.get_color() == COLOURS["SR-VAE-D"]
    assert niqe.lines[0].get_ydata().tolist() == [6.5, 5.5, 4.5]
    assert diversity.lines[0].get_ydata().tolist() == [0, 4.5, 13.5]


def test_temperature_shows_the_vgg_distance_where_it_is_measured_and_rings_the_best_sample():
    rows = walked("SR-VAE-D", 4, (0, 30, 7), (0.25, 29.8, 6), (0.5, 29.1, 5), (1, 28.9, 3))
    fig = temperature([r | {"vgg": "0.5"} for r in rows])
    assert [ax.get_title("left") for ax in fig.axes] == [*(MEASURES[m] for m in ("psnr", "niqe", "vgg")), ""]
    rings = [line.get_xydata().tolist() for line in fig.axes[0].lines if line.get_label() == "_ring"]
    assert rings == [[[0.5, 29.1]]]
    assert any("comparisons" in t.get_text() for t in fig.axes[-1].get_legend().get_texts())
    assert not fig.legends  # it stands in the place that three scores leave


def test_a_score_without_end_is_drawn():
    """Of a peer whose answers are the originals."""
    rows = [
        results_row("SR-VAE-D", "default", dataset="Set5", psnr="31", ssim="0.9", seconds="6"),
        results_row("Original", "files", dataset="Set5", psnr="inf", ssim="1.0000", lr_psnr="inf"),
    ]
    for fig in (quality_vs_time(rows), table([], rows)):
        fig.draw_without_rendering()


def test_quality_vs_time_draws_the_rows():
    rows = [
        results_row("Bicubic", "default", dataset="Set5", psnr="28", seconds="0.1"),
        results_row("SR-VAE-D", "release tiling", dataset="Set5", psnr="31", seconds="60"),
        results_row("SR-VAE-D", "unrounded", dataset="Set5", psnr="77", seconds="60"),
        results_row("Peer", "files", dataset="Set5", psnr="32"),
    ]
    fig = quality_vs_time(rows)
    left, right = fig.axes
    points = {tuple(line.get_xydata()[0]) for line in left.lines if line.get_linestyle() == "None"}
    assert points == {(60, 31)}
    assert "bicubic, 28.00 dB in 0.10 s" in left.get_title("left")  # not a decade of empty axis
    assert all(line.get_markerfacecolor() == "none" for line in left.lines if line.get_linestyle() == "None")
    assert [line.get_ydata()[0] for line in left.lines if line.get_linestyle() == ":"] == [32]
    assert not right.lines
    assert any("time unknown" in t.get_text() for t in fig.legends[0].get_texts())


@pytest.mark.parametrize("draw", [temperature, quality_vs_time])
def test_every_point_is_a_number_of_the_results(draw):
    results = read_csv(RESULTS)
    try:
        fig = draw()
    except LookupError as error:
        pytest.skip(error.args[0])
    known = {float(r[name]) for r in results for name in SCORE_COLUMNS if r[name]} | {0.0}  # no diversity at 0
    drawn = {float(y) for ax in fig.axes for line in ax.lines for y in line.get_ydata()}
    assert len(drawn) > 2
    assert drawn <= known
    assert not overlapping(fig)


@pytest.mark.parametrize("draw", [temperature, quality_vs_time])
def test_missing_rows_name_the_command(draw):
    with pytest.raises(LookupError, match=r"srvae evaluate scores --sets"):
        draw([])
