"""Play: drafts alone while it goes on, and the exact picture at its end, whatever ended it."""

import asyncio

import numpy as np
import pytest

from viewer_helpers import Messages, Recorder, at_rest, is_png, new_view, shown, until

OLD = "srvae-stale"


@pytest.fixture
def view():
    return new_view()


async def begin(view):
    """Let a view come to rest at sample 3 and then play for some steps."""
    view.apply({"temperature": 1.0, "seed": 3})
    await until(lambda: at_rest(view))
    view.play.value = True
    await until(lambda: view.seed.value > 3.1)


async def assert_comes_to_rest(view):
    """The exact picture of where it stopped, and its scores."""
    await until(lambda: not (view.pace.is_due or view.pace.is_studying))
    assert view.picture.exact
    assert not view.play.value
    assert not view.picture.working
    assert OLD not in view.metrics._dom_classes
    assert np.array_equal(shown(view), view.frame)
    assert f"sample {view.seed.value:g}," in view.picture.right_label


@pytest.mark.parametrize("button", ["draw", "measure", "record", "stop"])
def test_whatever_ends_it_the_picture_is_exact_then(view, button):
    async def run():
        view.length.value, view.count.value = 1, 2
        view.overlay.value = False
        await begin(view)
        getattr(view, button).click()
        reached = view.seed.value
        assert not view.play.value
        await assert_comes_to_rest(view)
        assert view.seed.value == reached
        assert view.error.value == ""

    asyncio.run(run())


def test_another_image_ends_it_too(view):
    async def run():
        await begin(view)
        view.image.value = "coffee"
        await assert_comes_to_rest(view)
        assert view.picture.name.startswith("coffee")

    asyncio.run(run())


def test_a_step_that_fails_ends_it(view):
    async def run():
        await begin(view)
        sample = view.scene.sample

        def fail_at_drafts(*given, draft=False, **named):
            if draft:
                raise ZeroDivisionError("division by zero")
            return sample(*given, draft=draft, **named)

        view.scene.sample = fail_at_drafts
        await until(lambda: view.error.value)
        assert "division by zero" in view.error.value
        await assert_comes_to_rest(view)
        assert "division by zero" in view.error.value, "it can still be read"

    asyncio.run(run())


def test_while_it_goes_on_there_are_drafts_alone(view):
    """Nothing that was due before comes in between, nor does a look elsewhere bring an exact answer."""

    async def run():
        view.apply({"temperature": 1.0, "seed": 3})
        await until(lambda: at_rest(view))
        view.seed.value = 4.0
        view.rest()  # its scores are due in a moment
        messages, recorder = Messages(view), Recorder(view)
        view.play.value = True
        await until(lambda: view.seed.value > 4.3)
        view.picture.zoom = 2.0
        await until(lambda: view.seed.value > 4.6)
        assert OLD in view.metrics._dom_classes
        assert view.picture.working
        assert recorder.exact() == []
        layers = [message for message in messages.sent if message.get("right") or message.get("whole")]
        assert len(layers) > 5
        assert not any(is_png(message.get(name, b"")) for message in layers for name in ("right", "whole"))
        seeds = [seed for seed, _, _ in recorder.asked]
        assert seeds == sorted(seeds), "no frame of a sample before"
        assert not view.picture.exact
        view.play.value = False
        await assert_comes_to_rest(view)

    asyncio.run(run())


def test_what_is_due_when_it_begins_does_not_come(view):
    async def run():
        view.apply({"temperature": 1.0, "seed": 3})
        recorder = Recorder(view)
        view.play.value = True  # the answer to sample 3 was due
        await until(lambda: view.seed.value > 3.4)
        assert recorder.exact() == []
        view.play.value = False
        await assert_comes_to_rest(view)

    asyncio.run(run())
