"""Sheets: pictures at true pixels, in rows, with captions on dark bands."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from benchmark_helpers import cut_off, overlapping, texts
from srvae.figures.sheet import BAND, DPI, GUTTER, MAP_EDGE, Strip, maps, sheet
from srvae.figures.style import PLOT_STYLE, save


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    yield [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(4)]
    plt.close("all")


def saved(fig, path):
    """The pixels of a figure in its file, (H, W, 4) uint8."""
    with plt.rc_context(PLOT_STYLE):
        save(fig, path, DPI)
    return np.rint(255 * plt.imread(path)).astype(np.uint8)


def test_the_file_holds_the_pictures_pixel_by_pixel(pictures, tmp_path):
    fig = sheet([Strip(pictures[:2], ["a\nb", "c"]), Strip(pictures[2:], below=["d", "e"])])
    pixels = saved(fig, tmp_path / "sheet.png")
    assert pixels.shape[1] == 2 * 64 + 3 * GUTTER
    tops = []
    for i, picture in enumerate(pictures):
        left = GUTTER + i % 2 * (64 + GUTTER)
        column = pixels[:, left : left + 64, :3]
        tops += [top for top in range(len(pixels) - 47) if np.array_equal(column[top : top + 48], picture)]
    assert len(tops) == 4  # each once, unblurred
    assert tops[0] == tops[1] < tops[2] == tops[3] == tops[0] + 48 + GUTTER


def test_the_background_is_dark_and_opaque(pictures, tmp_path):
    pixels = saved(sheet([Strip(pictures[:2])]), tmp_path / "sheet.png")
    assert (pixels[..., 3] == 255).all()
    band = (pixels[..., :3] == np.rint(255 * np.array(to_rgb(BAND)))).all(-1)
    assert band.sum() >= band.size - 2 * 48 * 64


def test_captions_stand_over_their_pictures(pictures):
    fig = sheet([Strip(pictures, [f"name {i}\nnote {i}" for i in range(4)])])
    assert texts(fig) == [f"{kind} {i}" for i in range(4) for kind in ("name", "note")]
    assert not overlapping(fig)
    assert not cut_off(fig, 64)
    for i, ax in enumerate(fig.axes[1:]):
        np.testing.assert_array_equal(ax.images[0].get_array(), pictures[i])
        box, caption = ax.get_window_extent(), fig.axes[0].texts[2 * i].get_window_extent()
        assert box.x0 < (caption.x0 + caption.x1) / 2 < box.x1
        assert caption.y0 > box.y1


def test_maps_have_one_colour_scale_and_its_bar():
    values = np.linspace(0, 1, 32 * 32).reshape(32, 32)
    fig = maps({"low": values, "high\nnote": 3 * values})
    low, high = (ax.images[0].get_array() for ax in fig.axes[1:3])
    assert low.shape == (MAP_EDGE, MAP_EDGE, 3)
    third = round(32 * 32 / 3) // 32 * MAP_EDGE // 32  # the row where 3 * values reaches the maximum of values
    assert np.abs(low[-1, -1].astype(int) - high[third].astype(int)).max(-1).min() <= 2
    (bar,) = (child for ax in fig.axes for child in ax.child_axes)
    assert bar.get_ylim() == (0, pytest.approx(np.percentile([values, 3 * values], 99.5)))
    assert not cut_off(fig, MAP_EDGE)
    plt.close(fig)
