"""Speed and memory: what is timed, what is printed, and that a process's memory is its own."""

import sys

import pytest

import srvae_core as sr
from srvae.benchmarks import speed


def test_speed_prints_all_ratios(capsys):
    speed.print_speed(repeats=1, size=64)
    text = capsys.readouterr().out
    for scale in sr.SCALES:
        assert f"{scale}x: whole tiling" in text
    assert text.count("ratio 1/") == 8
    assert text.count("    draft ") == 2
    assert "threads" in text


@pytest.mark.slow
def test_memory_is_that_of_a_fresh_process(capsys):
    grown = bytearray(2**30)  # this process's own gigabyte is no part of it
    grown[:: 2**12] = b"x" * len(grown[:: 2**12])
    assert speed.peak_memory() > 1.2
    speed.print_memory([16])
    text = capsys.readouterr().out
    assert "16x16 -> 64x64" in text
    assert 0.1 < float(text.split("peak memory ")[1].split(" GiB")[0]) < 1.2


def test_a_process_that_fails_says_so(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(RuntimeError, match="16x16 pixels were not enlarged: the process ended with code 1"):
        speed.memory(16)


def test_timed_gives_seconds():
    assert 0 <= speed.timed(list) < 0.1
    with pytest.raises(ZeroDivisionError):
        speed.timed(lambda: 1 / 0)
