"""Undo and redo: the same settings and the same bytes, thirty steps back."""

import asyncio

import numpy as np
import pytest

import srvae_core as sr
from srvae import images, viewer
from srvae.viewer.history import STEPS, History
from srvae.viewer.settings import LOOK
from viewer_helpers import at_rest, cat, changed, coffee, new_view, state, until

MODELS = ["4x-D", "4x-P"] if "4x-P" in sr.available_models() else ["4x-D"]


@pytest.fixture
def view():
    return new_view()


def held(view):
    """What undo brings back, and the picture of it."""
    return view.state, view.answer


def same(one, other):
    return one[0] == other[0] and np.array_equal(one[1], other[1])


# A history alone.


def test_states_are_noted_and_come_back():
    history = History()
    assert not history.can(-1)
    for i in range(3):
        history = history.noted({"seed": i})
    assert history.state == {"seed": 2}
    assert history.noted({"seed": 2}) is history, "nothing has changed"
    back = history.moved(-2)
    assert back.state == {"seed": 0}
    assert (back.can(-1), back.can(2), back.can(3)) == (False, True, False)
    assert back.moved(1).state == {"seed": 1}
    assert history.state == {"seed": 2}, "histories do not change"
    branched = back.noted({"seed": 9})
    assert not branched.can(1)
    assert branched.moved(-1).state == {"seed": 0}


def test_there_are_so_many_steps_and_no_more():
    history = History()
    for i in range(STEPS + 10):
        history = history.noted({"seed": i})
    assert history.can(-STEPS)
    assert not history.can(-STEPS - 1)
    assert history.moved(-STEPS).state == {"seed": 9}
    with pytest.raises(IndexError, match="nothing more to undo"):
        history.moved(-STEPS - 1)
    with pytest.raises(IndexError, match="nothing to do again"):
        history.moved(1)


# In the view.


def changes(view):
    """One of each kind that undo knows, in turn."""

    def select_and_reroll():
        view.picture.selection = (8, 8, 24, 24)
        view.reroll.click()

    yield lambda: setattr(view.temperature, "value", 0.7)
    yield lambda: setattr(view.seed, "value", 12.35)
    yield view.dice.click
    yield lambda: setattr(view.amounts[1], "value", 3.0)
    yield select_and_reroll
    yield view.reroll.click
    yield lambda: setattr(view.left, "value", "another sample")
    yield lambda: setattr(view.left_seed, "value", 8.0)
    yield view.keep.click
    yield lambda: setattr(view.left, "value", "best")
    yield view.drop.click
    yield view.reset_directions.click
    yield lambda: setattr(view.image, "value", "coffee")
    yield lambda: setattr(view.seed, "value", 4.0)
    yield lambda: setattr(view.model, "value", MODELS[-1])
    yield lambda: setattr(view.seed, "value", 5.0)
    yield view.reset.click


def test_everything_is_undone_and_done_again_with_the_same_bytes():
    view = viewer.View({"cat": cat(), "coffee": coffee()}, scale=4, models=MODELS, rest_delay=0.05)
    assert view.undo.disabled
    steps = [held(view)]
    for change in changes(view):
        change()
        assert 'role="alert"' not in view.error.value
        if view.state != steps[-1][0]:
            steps.append(held(view))
        else:
            assert len(MODELS) == 1, "every change is one"
    assert view.redo.disabled
    for i in reversed(range(len(steps) - 1)):
        view.undo.click()
        assert view.error.value == ""
        assert same(held(view), steps[i]), i
    assert view.undo.disabled
    for i in range(1, len(steps)):
        view.redo.click()
        assert same(held(view), steps[i]), i
    assert view.redo.disabled


def test_thirty_steps_and_no_more(view):
    view.temperature.value = 1.0
    for seed in range(1, STEPS + 6):
        view.seed.value = seed
    answers = {}
    for _ in range(STEPS):
        assert not view.undo.disabled
        view.undo.click()
        answers[view.seed.value] = view.answer
    assert view.undo.disabled
    assert view.seed.value == 5
    assert np.array_equal(answers[20.0], view.sampler(20, 1.0))
    before = view.settings
    view.undo.click()  # a click that was on its way
    assert "nothing more to undo" in view.error.value
    assert view.settings == before


def test_a_new_change_drops_what_could_be_done_again(view):
    for seed in (1, 2, 3):
        view.seed.value = seed
    view.undo.click()
    view.undo.click()
    view.temperature.value = 0.5
    assert view.redo.disabled
    view.undo.click()
    assert (view.seed.value, view.temperature.value) == (1, 0.0)
    view.redo.click()
    assert (view.seed.value, view.temperature.value) == (1, 0.5)


def test_where_one_looks_is_not_undone(view):
    view.apply({"temperature": 1.0})
    view.seed.value = 4.0
    looks = {"share": 0.3, "zoom": 2.5, "across": 0.9, "down": 0.2}
    steps = len(view.history.states)
    for name, value in looks.items():
        setattr(view.picture, name, value)
    view.frame  # noqa: B018 (which brings the view to rest)
    assert len(view.history.states) == steps
    view.undo.click()
    assert view.seed.value == 0.0
    assert {name: getattr(view.picture, name) for name in LOOK} == looks
    view.redo.click()
    assert {name: getattr(view.picture, name) for name in LOOK} == looks


def test_a_drag_is_one_step_back(view):
    async def drag():
        view.apply({"temperature": 1.0})
        await until(lambda: at_rest(view))
        for seed in range(1, 9):
            view.seed.value = seed / 2
        await until(lambda: at_rest(view))
        view.undo.click()
        assert view.seed.value == 0.0
        await until(lambda: at_rest(view))
        view.redo.click()
        await until(lambda: at_rest(view))
        assert view.seed.value == 4.0

    asyncio.run(drag())


def test_a_move_that_has_not_come_to_rest_is_undone_too(view):
    async def drag():
        view.apply({"temperature": 1.0})
        await until(lambda: at_rest(view))
        view.seed.value = 5.0
        view.undo.click()
        assert view.seed.value == 0.0
        view.redo.click()
        assert view.seed.value == 5.0
        await until(lambda: at_rest(view))
        assert np.array_equal(view.answer, view.sampler(5, 1.0))

    asyncio.run(drag())


def test_undo_of_what_is_gone_changes_nothing(view, tmp_path):
    images.write(tmp_path / "mine.png", coffee())
    view.folder.value = str(tmp_path)
    view.image.value = "cat"
    (tmp_path / "mine.png").unlink()
    before = state(view)
    view.undo.click()
    assert "mine.png" in view.error.value
    assert changed(before, state(view)) == []
    view.seed.value = 3.0
    view.undo.click()
    assert (view.image.value, view.seed.value) == ("cat", 0.0)


def test_a_change_that_failed_is_no_step(view):
    view.seed.value = 3.0
    steps = view.history
    with pytest.raises(ValueError, match="temperature is 9"):
        view.apply({"temperature": 9})
    view.left.value = "best"
    assert "no sample was kept" in view.error.value
    assert view.history is steps


# Actions one after the other, as in a notebook's cell: the event loop takes nothing in between.


def test_each_action_is_a_step_although_nothing_came_to_rest_between(view):
    async def act():
        view.apply({"temperature": 1.0})
        view.dice.click()
        dice = view.seed.value
        view.reroll.click()
        first = view.regions
        view.reroll.click()
        assert view.regions != first
        for seed, regions in ((dice, first), (dice, ()), (0.0, ())):
            view.undo.click()
            assert view.error.value == ""
            assert (view.seed.value, view.regions) == (seed, regions)
        view.undo.click()
        assert view.temperature.value == 0.0, "what the view opened with"
        assert view.undo.disabled
        for _ in range(4):
            view.redo.click()
        assert len(view.regions) == 1

    asyncio.run(act())


def test_a_cell_gets_the_same_bytes_back(view):
    async def cell():
        view.temperature.value, view.seed.value = 0.8, 11
        before = view.answer
        view.seed.value = 12
        assert not np.array_equal(view.answer, before)
        view.undo.click()
        assert view.seed.value == 11
        assert np.array_equal(view.answer, before)

    asyncio.run(cell())


def test_moves_of_another_slider_are_another_step(view):
    async def slide():
        for control, values in ((view.temperature, (0.3, 0.6)), (view.seed, (1, 2)), (view.temperature, (0.7, 0.9))):
            for value in values:
                control.value = value
        for temperature, seed in ((0.6, 2), (0.6, 0), (0.0, 0)):
            view.undo.click()
            assert (view.temperature.value, view.seed.value) == (temperature, seed)

    asyncio.run(slide())


def test_moves_after_a_rest_are_another_step(view):
    async def slide():
        view.apply({"temperature": 1.0})
        view.seed.value = 1
        await until(lambda: view.picture.exact)
        view.seed.value = 2
        view.undo.click()
        assert view.seed.value == 1

    asyncio.run(slide())


def test_playing_is_one_step(view):
    async def play():
        view.apply({"temperature": 1.0, "seed": 20})
        await until(lambda: at_rest(view))
        view.play.value = True
        await until(lambda: view.seed.value > 20.2)
        view.picture.zoom = 2.0
        await until(lambda: view.seed.value > 20.6)
        view.play.value = False
        await until(lambda: at_rest(view))
        reached = view.seed.value
        view.undo.click()
        assert view.seed.value == 20
        view.redo.click()
        assert view.seed.value == reached

    asyncio.run(play())
