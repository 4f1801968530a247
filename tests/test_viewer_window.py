"""The window of a large image that is in work."""

import numpy as np
import pytest

from srvae.viewer.window import cut, place_around, remark, shares, window

IMAGE = np.arange(300 * 401, dtype=np.uint32).reshape(300, 401)


def test_a_small_image_is_in_work_whole():
    assert window(IMAGE, 401, 0.0, 1.0) == (0, 0, 300, 401)
    assert np.array_equal(cut(IMAGE, (0, 0, 300, 401)), IMAGE)
    assert remark(IMAGE, (0, 0, 300, 401)) == ""


@pytest.mark.parametrize(
    ("across", "down", "rect"),
    [(0, 0, (0, 0, 100, 100)), (0.5, 0.5, (100, 150, 100, 100)), (1, 1, (200, 301, 100, 100))],
)
def test_a_window_reaches_every_edge(across, down, rect):
    assert window(IMAGE, 100, across, down) == rect
    part = cut(IMAGE, rect)
    assert np.array_equal(part, IMAGE[rect[0] : rect[0] + 100, rect[1] : rect[1] + 100])
    assert part.flags.c_contiguous


@pytest.mark.parametrize("step", [4, 8])
def test_windows_of_an_original_share_one_grid(step):
    for share in np.linspace(0, 1, 57):
        top, left, height, width = window(IMAGE, 64, share, share, step=step)
        assert top % step == left % step == 0
        assert top + height <= 300
        assert left + width <= 401
    assert left + width > 401 - step, "no more is left out than never was an LR sample"


def test_the_window_comes_where_one_points():
    for x, y in ((0.3, 0.6), (0.41, 0.5)):
        top, left, height, width = window(IMAGE, 80, *place_around(IMAGE, 80, x, y))
        assert abs(left + width / 2 - 401 * x) <= 0.5
        assert abs(top + height / 2 - 300 * y) <= 0.5
    assert place_around(IMAGE, 80, 0.01, 0.99) == (0, 1), "at an edge it stays inside"
    assert place_around(IMAGE, 300, 0.9, 0.9)[1] == 0.5, "a side that is in work whole has one place"


def test_pointing_at_its_middle_leaves_a_window_where_it_is():
    for start in range(0, 200):
        rect = (start, start, 100, 100)
        across, down = place_around(IMAGE, 100, (start + 50) / 401, (start + 50) / 300)
        assert window(IMAGE, 100, across, down) == rect


def test_what_is_in_work_is_said_and_drawn():
    rect = window(IMAGE, 256)
    assert remark(IMAGE, rect) == "256 x 256 of 401 x 300 pixels are in work: move the frame in the overview"
    assert shares(IMAGE, (30, 0, 150, 401)) == (0.0, 0.1, 1.0, 0.5)


@pytest.mark.parametrize("wrong", [(0, 0.5, 0.5), (9, -0.1, 0.5), (9, 0.5, 1.1), (9, float("nan"), 0.5)])
def test_there_are_no_other_windows(wrong):
    with pytest.raises(ValueError, match="of a window must be"):
        window(IMAGE, *wrong)
