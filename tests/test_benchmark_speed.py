"""Speed and memory."""

import pytest

import srvae_core as sr
from srvae.benchmarks import cli, speed


def test_speed_is_printed_for_both_scales(capsys):
    cli.main(["speed", "--size", "64", "--repeats", "1"])
    lines = capsys.readouterr().out.splitlines()
    for scale in sr.SCALES:
        assert sum(line.startswith(f"{scale}x ") for line in lines) == 5


def test_the_fastest_run_counts(monkeypatch):
    calls = iter(range(1, 100))
    monkeypatch.setattr(speed, "timed", lambda _: float(next(calls)))
    # Four calls take turns; the first turn (1 to 4) warms up and the last call is the self-ensemble's.
    assert list(speed.speed(4, repeats=2, size=64).values()) == [5, 6, 7, 8, 13]


@pytest.mark.slow
def test_memory_is_that_of_a_fresh_process(capsys):
    grown = bytearray(2 * 2**30)  # of this process, so it must not count
    grown[:: 2**12] = b"x" * len(grown[:: 2**12])
    cli.main(["memory", "--sizes", "16"])
    text = capsys.readouterr().out
    assert "16x16 -> 64x64" in text
    assert 0.1 < float(text.split("peak memory ")[1].split(" GiB")[0]) < 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "700"], "size must be a multiple of 8, at most 512, not 700"),
        (["--size", "20"], "size must be a multiple of 8"),
        (["--size", "0"], "size must be a multiple of 8"),
        (["--repeats", "0"], "repeats must be at least 1, not 0"),
    ],
)
def test_sizes_that_cannot_be_timed_end_with_a_line(words, message):
    with pytest.raises(SystemExit, match=f"^error: {message}"):
        cli.main(["speed", *words])
