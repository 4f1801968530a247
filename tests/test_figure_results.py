"""Figures of data/results.csv: the table, scores against the temperature, quality against time."""

import matplotlib.pyplot as plt
import pytest

from benchmark_helpers import cut_off, overlapping, results_row, texts
from srvae.csvfiles import PUBLISHED, RESULTS, read_csv
from srvae.figures.results import MEASURES, NotMeasuredError, quality_vs_time, temperature
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
    for row in published:
        if row["dataset"] == "Set14":
            assert {f"{float(row['psnr_y']):.2f}", f"{float(row['pi']):.3f}"} <= set(shown)
    assert "Set5" not in shown  # not measured
    assert {"99.12", "0.432", "7.65", "measured here", "NIQE", "PI"} <= set(shown)
    bold = {t.get_text() for t in fig.axes[0].texts if t.get_fontweight() == "bold"}
    assert {"99.12", "28.99", "2.882", "3.21"} <= bold  # PSNR here at 8x; HBPN's PSNR, SRGAN's PI at 4x; P's NIQE
    assert not bold & {"25.13", "7.65"}  # the best published PSNR, which 99.12 beats, and D's NIQE
    assert not overlapping(fig)
    assert not cut_off(fig)
    assert "–" not in texts(table())  # the committed table has no blank cells


def walked(method, scale, *points):
    """Rows of (temperature, PSNR, NIQE)."""
    return [
        results_row(method, f"temperature {t:g}", scale, psnr=str(psnr), niqe=str(niqe), lr_psnr="50", vgg="0.5")
        for t, psnr, niqe in points
    ]


D = walked("SR-VAE-D", 4, (0, 30, 7), (0.25, 29.8, 6), (0.5, 29.1, 5), (1, 28.9, 3))
P = walked("SR-VAE-P", 4, (0, 29, 6), (0.25, 29.3, 4.5), (1, 27, 2))


def test_temperature_draws_the_rows():
    rows = D + P + [row | {"scale": "8", "diversity": "9"} for row in D]
    rows.append(results_row("SR-VAE-D", "self-ensemble", psnr="99"))
    fig = temperature(rows)
    assert [ax.get_title("left") for ax in fig.axes] == [*MEASURES.values(), ""]
    line = fig.axes[0].lines[0]
    assert line.get_label() == "SR-VAE-D 4x"
    assert line.get_xydata().tolist() == [[0, 30], [0.25, 29.8], [0.5, 29.1], [1, 28.9]]
    assert line.get_color() == COLOURS["SR-VAE-D"]
    diversity = fig.axes[4]
    assert diversity.lines[0].get_xydata().tolist() == [[0, 0]]  # no other is measured
    assert diversity.lines[1].get_xydata().tolist() == [[0, 0], [0.25, 9], [0.5, 9], [1, 9]]


def test_quality_vs_time_draws_the_rows_of_set5():
    rows = [
        results_row("Bicubic", "default", dataset="Set5", psnr="28", seconds="0.1"),
        results_row("SR-VAE-D", "release tiling", dataset="Set5", psnr="31", seconds="60"),
        results_row("SR-VAE-D", "unrounded", dataset="Set5", psnr="77", seconds="60"),
        results_row("SR-VAE-D", "default", psnr="78", seconds="60"),
    ]
    left, right = quality_vs_time(rows).axes
    assert [line.get_xydata().tolist() for line in left.lines] == [[[60, 31]]]
    assert "bicubic, 28.00 dB in 0.10 s" in left.get_title("left")
    assert not right.lines


@pytest.mark.parametrize("draw", [temperature, quality_vs_time])
def test_every_point_is_a_number_of_the_results(draw):
    fig = draw()
    known = {float(value) for row in read_csv(RESULTS) for name, value in row.items() if name in (*MEASURES,) and value}
    drawn = {float(y) for ax in fig.axes for line in ax.lines for y in line.get_ydata()}
    assert len(drawn) > 2
    assert drawn <= known | {0.0}  # the diversity at temperature 0
    assert not overlapping(fig)


@pytest.mark.parametrize("draw", [temperature, quality_vs_time, lambda rows: table([], rows)])
def test_missing_rows_name_the_command(draw):
    with pytest.raises(NotMeasuredError, match="srvae evaluate scores --sets"):
        draw([])
