"""The command that times the gestures of the view."""

import argparse

import pytest

from srvae.viewer import browser, timing


def test_each_thing_is_timed():
    ms = timing.step_times(64, steps=1)
    assert ms.keys() == {"fitted", "zoomed", "region", "exact", "first", "full"}
    assert all(value > 0 for value in ms.values())


@pytest.mark.slow
def test_each_gesture_is_timed_in_a_browser(monkeypatch):
    try:
        browser.chromium()
    except browser.NoBrowserError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(timing, "ROUNDS", 1)
    monkeypatch.setattr(timing, "STEPS", 1)
    times = timing.gesture_times(64)
    assert times.keys() == timing.GESTURES.keys()
    assert all(0 < value < 60_000 for value in times.values())


def test_the_command_is_offered():
    parser = argparse.ArgumentParser()
    timing.add_slider(parser.add_subparsers())
    options = parser.parse_args(["slider", "--sizes", "64", "128", "--scale", "8"])
    assert (options.sizes, options.scale, options.run) == ([64, 128], 8, timing.run_slider)
    assert parser.parse_args(["slider"]).sizes == [256, 512, 1024]
    with pytest.raises(SystemExit):
        parser.parse_args(["slider", "--scale", "3"])
