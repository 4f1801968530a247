"""Many samples: their spread and nine of them to choose from."""

import asyncio

import numpy as np
import pytest
from viewer.studies import describe_spread
from viewer_helpers import new_view, until


@pytest.fixture
def view():
    return new_view()


def test_measure_shows_the_standard_deviation(view):
    view.measure.click()
    assert "raise the temperature" in view.error.value
    view.apply({"temperature": 1.0, "share": 0.0})
    plain = view.frame.copy()
    view.count.value = 3
    view.measure.click()
    expected = np.std([view.sampler(seed, 1.0).astype(float) for seed in range(3)], 0).mean(2)
    assert np.allclose(view.deviation, expected)
    assert view.spread.value.startswith("3 samples")
    assert "diversity" in view.spread.value
    assert view.progress.value == 3
    assert not np.array_equal(view.frame, plain)
    view.overlay.value = False
    assert np.array_equal(view.frame, plain)
    view.overlay.value = True
    view.seed.value = 9
    assert view.deviation is None, "another sample: the map is not of these settings any more"
    assert np.array_equal(view.frame, view.sampler(9, 1.0))


def test_the_spread_in_words():
    deviation = np.array([[0.5, 1.5]])
    text = describe_spread(4, deviation, temperature=1.0, diversity=12.34)
    assert text == "4 samples differ by 1.00 grey levels on average, 1.5 at most; diversity 12.3 %"
    assert "hardly changes" in describe_spread(4, deviation, temperature=1.0, visible=255)
    assert "hardly changes" not in describe_spread(4, deviation, temperature=1.0, visible=0)
    assert "hardly changes" in describe_spread(4, deviation / 2, temperature=1.0)
    assert "hardly changes" not in describe_spread(4, deviation / 2, temperature=0.5), (
        "below 1 a small spread was asked for"
    )


def test_gallery_brings_back_the_settings_it_was_drawn_with(view):
    view.apply({"temperature": 1.0, "share": 0.0, "seed": 10, "walk": 0.5})
    view.draw.click()
    assert all(not pick.disabled for pick in view.picks)
    assert all(thumbnail.value for thumbnail in view.thumbnails)
    view.apply({"temperature": 0.2, "image": "coffee"})
    view.picks[2].click()
    assert (view.image.value, view.seed.value, view.temperature.value, view.walk.value) == ("cat", 13, 1.0, 0.0)
    assert np.array_equal(view.answer, view.sampler(13, 1.0))
    assert view.picks[2].description == "Sample 13"


def test_a_study_makes_room_for_a_move_which_ends_it(view):
    async def run():
        view.apply({"temperature": 1.0})
        view.count.value = 64
        view.measure.click()
        await until(lambda: view.progress.value > 2)
        assert not view.stop.disabled
        view.seed.value = 5
        assert view.stop.disabled
        reached = view.progress.value
        await asyncio.sleep(0.1)
        assert view.progress.value == reached < 64
        view.measure.click()
        await until(lambda: view.progress.value == 2)
        view.stop.click()
        await asyncio.sleep(0.1)
        assert view.progress.value <= 3

    asyncio.run(run())
    assert view.error.value == ""
