"""The command that times a slider's step."""

import argparse

import pytest
from viewer import timing


def test_each_thing_is_timed():
    ms = timing.step_times(64, steps=1)
    assert ms.keys() == {"move", "uncut", "encode", "region", "rest", "full"}
    assert all(value > 0 for value in ms.values())


def test_the_command_is_offered():
    parser = argparse.ArgumentParser()
    timing.add_slider(parser.add_subparsers())
    options = parser.parse_args(["slider", "--sizes", "64", "128", "--scale", "8"])
    assert (options.sizes, options.scale, options.run) == ([64, 128], 8, timing.run_slider)
    assert parser.parse_args(["slider"]).sizes == [256, 512, 1024]
    with pytest.raises(SystemExit):
        parser.parse_args(["slider", "--scale", "3"])
