"""How far a run has come, in steps and in minutes."""

import errno
import time
from itertools import pairwise

import pytest

from srvae.training import schedule as schedules
from srvae.training.config import Config
from srvae.training.schedule import Clock, Schedule


def clock_at(seconds: float, file=None) -> Clock:
    return Clock(file, time.monotonic() - seconds)


def test_steps_give_shares_and_everything_follows_them():
    schedule = Schedule(Config(steps=10, warmup=2, decay=0.5), clock_at(0))
    shares = [schedule.share(step) for step in range(11)]
    assert shares == [step / 10 for step in range(11)]
    rates = [schedule.learning_rate(step, share) for step, share in enumerate(shares)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0])
    assert Schedule(Config(decay=0.0), clock_at(0)).learning_rate(100, 0.9) == 1


@pytest.mark.parametrize("steps", [3, 7, 10, 49, 500])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_events_are_evenly_spread_whatever_the_steps(steps, count):
    schedule = Schedule(Config(steps=steps), clock_at(0))
    shares = [schedule.share(step) for step in range(steps + 1)]
    at = [i + 1 for i, pair in enumerate(pairwise(shares)) if schedule.due(count, *pair)]
    assert len(at) == min(count, steps)
    assert at[-1] == steps
    if steps % count == 0:
        assert at == [steps // count * i for i in range(1, count + 1)]


def test_minutes_count_from_the_start_and_keep_time_for_the_end():
    schedule = Schedule(Config(minutes=2.0), clock_at(60))
    assert schedule.share(0) == pytest.approx(0.5, abs=0.01)
    schedule.reserve = 60.0
    assert schedule.share(0) == 1
    schedule.reserve = 500.0
    assert schedule.share(0) == 1


def test_a_clock_goes_on_where_it_was_killed(tmp_path):
    file = tmp_path / "clock"
    first = clock_at(30, file)
    with first.ticking():
        pass
    assert float(file.read_text("utf-8")) == pytest.approx(30, abs=1)
    second = Clock(file, time.monotonic())
    second.resume(20.0)  # the last checkpoint's, ten seconds before it was killed
    assert second.seconds == pytest.approx(30, abs=1)
    third = Clock(None, time.monotonic())
    third.resume(20.0)
    with third.ticking():
        pass
    assert third.seconds == pytest.approx(20, abs=1)


def test_a_clock_outlasts_a_disk_that_is_full_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(schedules, "TICK", 0.01)
    failures, write = [], schedules.write_text

    def fail(path, text):
        failures.append(path)
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    clock = clock_at(30, tmp_path / "clock")
    with clock.ticking():
        monkeypatch.setattr(schedules, "write_text", fail)
        end = time.monotonic() + 30
        while len(failures) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        assert len(failures) >= 3, "it goes on trying"
        monkeypatch.setattr(schedules, "write_text", write)
    assert float((tmp_path / "clock").read_text("utf-8")) >= 30
    monkeypatch.setattr(schedules, "write_text", fail)
    with pytest.raises(OSError, match=r"the time cannot be kept in .*clock \(No space left on device\): make room"):
        clock.ticking().__enter__()
