"""Figures of data/results.csv: the table, the walk over temperatures, quality against time."""

import matplotlib.pyplot as plt
import pytest
from benchmark_helpers import overlapping, results_row, texts
from benchmarks.results import SCORE_COLUMNS
from csvfiles import PUBLISHED, RESULTS, read_csv
from figures.results import MEASURES, quality_vs_time, table, temperature, temperature_of
from figures.style import COLOURS


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_table_has_the_numbers_of_both_files():
    published = read_csv(PUBLISHED)
    fig = table(published, [results_row("SR-VAE-D", "default", 8, "Set14", psnr="99.1234", ssim="0.4321")])
    shown = texts(fig)
    for row in published:
        assert f"{float(row['psnr_y']):.2f}" in shown
        assert f"{float(row['pi']):.3f}" in shown
    assert {"99.12", "0.432", "SR-VAE-D (here)"} <= set(shown)
    bold = {t.get_text() for t in fig.axes[0].texts if t.get_fontweight() == "bold"}
    assert {"99.12", "32.73", "2.926"} <= bold  # ours at 8x; HBPN's PSNR and EnhanceNet's PI on Set5 at 4x
    assert "25.13" not in bold  # the best published one, now beaten
    assert not overlapping(fig)


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
    assert [ax.get_title("left") for ax in fig.axes] == list(MEASURES.values())
    (line,) = psnr.lines
    assert line.get_xydata().tolist() == [[0, 30.5], [0.5, 29.5], [1.5, 28.5]]
    assert line.get_color() == COLOURS["SR-VAE-D"]
    assert niqe.lines[0].get_ydata().tolist() == [6.5, 5.5, 4.5]
    assert diversity.lines[0].get_ydata().tolist() == [0, 4.5, 13.5]


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
    assert points == {(0.1, 28), (60, 31)}
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
    with pytest.raises(LookupError, match=r"evaluate\.py scores --sets"):
        draw([])
