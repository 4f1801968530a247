"""Pace alone, with steps that only note that they were taken."""

import asyncio
import threading

import pytest

from srvae.viewer.pace import Pace
from viewer_helpers import until


class Noted:
    """A pace and what it reports."""

    def __init__(self):
        self.errors, self.running, self.steps = [], [], []
        self.pace = Pace(self.errors.append, self.running.append)

    def work(self, name, count=3, pause=0.01):
        for i in range(count):
            self.steps.append((name, i))
            yield pause


@pytest.fixture
def noted():
    return Noted()


def fail():
    raise ValueError("wrong")


def failing_steps():
    yield 0.0
    fail()


def succeed():
    return None


def remark():
    return "but"


def test_a_quiet_handler_leaves_what_was_said_unless_it_fails_or_remarks(noted):
    for action in (fail, succeed, remark):
        noted.pace.guarded(action, quiet=True)(None)
    assert [str(error) for error in noted.errors] == ["wrong", "but"]


def test_a_handler_shows_what_its_action_raises_or_remarks_and_clears_it_after_the_next(noted):
    for action in (fail, succeed, remark):
        noted.pace.guarded(action)(None)
    assert [str(error) for error in noted.errors] == ["wrong", "None", "but"]


def test_held_handlers_do_nothing_even_after_an_inner_hold(noted):
    handler = noted.pace.guarded(fail)
    with noted.pace.hold():
        with noted.pace.hold():
            handler(None)
        handler(None)
    assert noted.errors == []
    handler(None)
    assert len(noted.errors) == 1


def test_without_a_loop_all_steps_are_taken_at_once(noted):
    assert not noted.pace.later(10, noted.work("due"))
    noted.pace.start(noted.work("study"))
    assert noted.steps == [(name, i) for name in ("due", "study") for i in range(3)]
    assert not noted.pace.is_due
    with pytest.raises(ValueError, match="wrong"):
        noted.pace.later(0, failing_steps())


def test_without_a_loop_an_endless_study_does_not_begin(noted):
    noted.pace.start(noted.work("study"), endless=True)
    assert noted.steps == []
    assert not noted.pace.is_studying
    assert noted.running == [False]

    async def run():
        noted.pace.start(noted.work("study", count=10**6, pause=0.001), endless=True)
        await until(lambda: len(noted.steps) > 2)
        assert noted.pace.is_studying
        noted.pace.cancel()
        assert not noted.pace.is_studying

    asyncio.run(run())


def test_what_is_due_is_dropped_when_anything_newer_is(noted):
    async def run():
        assert noted.pace.later(0.0, noted.work("old", count=100))
        await until(lambda: len(noted.steps) >= 2)
        assert noted.pace.is_due
        noted.pace.later(0.0, noted.work("new"))
        await until(lambda: not noted.pace.is_due)

    asyncio.run(run())
    assert noted.steps[-3:] == [("new", i) for i in range(3)]
    assert 2 <= noted.steps.count(("old", 0)) + len(noted.steps) - 4 < 100
    assert noted.errors == []


def test_errors_of_steps_are_shown(noted):
    async def run():
        noted.pace.later(0.0, failing_steps())
        await until(lambda: noted.errors)
        noted.pace.start(failing_steps())
        await until(lambda: len(noted.errors) == 2)
        await until(lambda: not noted.running[-1])

    asyncio.run(run())
    assert [str(error) for error in noted.errors] == ["wrong", "wrong"]
    assert not noted.pace.is_due


def test_a_study_goes_on_until_it_is_cancelled(noted):
    async def run():
        noted.pace.start(noted.work("study", count=1000))
        await until(lambda: len(noted.steps) >= 3)
        assert noted.running[-1]
        noted.pace.later(0.0, noted.work("due"))  # what is due does not end it
        await until(lambda: not noted.pace.is_due)
        noted.pace.cancel()
        taken = len(noted.steps)
        await asyncio.sleep(0.05)
        assert len(noted.steps) == taken
        assert not noted.running[-1]

    asyncio.run(run())


def test_another_study_takes_the_place_of_the_first(noted):
    async def run():
        noted.pace.start(noted.work("first", count=1000))
        await until(lambda: noted.steps)
        noted.pace.start(noted.work("second"))
        await until(lambda: not noted.running[-1])

    asyncio.run(run())
    assert [step for step in noted.steps if step[0] == "second"] == [("second", i) for i in range(3)]
    assert len(noted.steps) < 100


def test_actions_of_two_threads_come_one_after_the_other(noted):
    order, inside = [], threading.Event()

    def slow():
        inside.set()
        order.append("in")
        threading.Event().wait(0.1)
        order.append("out")

    thread = threading.Thread(target=noted.pace.guarded(slow), args=(None,))
    thread.start()
    inside.wait()
    noted.pace.guarded(lambda: order.append("other"))(None)
    thread.join()
    assert order == ["in", "out", "other"]


def test_a_study_that_waits_for_another_thread_takes_no_step_once_that_has_cancelled_it(noted):
    """JupyterLab handles a widget's message in another thread than the study's loop."""
    begun, cancel = threading.Event(), threading.Event()

    def act():
        with noted.pace.lock:
            begun.set()
            cancel.wait(10)
            noted.pace.cancel()

    async def run():
        noted.pace.start(noted.work("study", count=1000, pause=0.0))
        await until(lambda: len(noted.steps) > 3)
        thread = threading.Thread(target=act)
        thread.start()
        begun.wait(10)
        threading.Timer(0.1, cancel.set).start()
        taken = len(noted.steps)
        await asyncio.sleep(0.05)  # its next step waits for the lock meanwhile
        thread.join()
        await asyncio.sleep(0.05)
        assert len(noted.steps) == taken

    asyncio.run(run())
    assert noted.running[-1] is False


def test_the_end_of_a_study_says_nothing_about_the_one_in_its_place(noted):
    async def run():
        noted.pace.start(noted.work("first", count=1, pause=0.02))
        await until(lambda: noted.steps)
        noted.pace.start(noted.work("second", count=100))
        await asyncio.sleep(0.1)
        assert noted.running[-1], "Progress and Stop stay for the second"
        assert noted.pace.is_studying
        noted.pace.cancel()

    asyncio.run(run())
