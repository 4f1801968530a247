"""Values of sliders, and the slider of seeds: ten of them at a time, and all of them within reach."""

import asyncio

import pytest
from traitlets import TraitError

from srvae.viewer.settings import SEEDS, Numbers
from srvae.viewer.sliders import WINDOW, RealSlider, SeedSlider, integer, real
from viewer_helpers import at_rest, new_view, until


@pytest.fixture
def slider():
    return SeedSlider("Seed")


def test_it_shows_ten_seeds_in_steps_of_a_twentieth(slider):
    assert (slider.min, slider.max, slider.step, slider.value) == (0, WINDOW, 0.05, 0)
    slider.value = 9.95
    assert (slider.min, slider.max) == (0, 10), "what it shows stays where it is"


@pytest.mark.parametrize(
    ("value", "low"), [(500, 495), (10.05, 5), (999, 989), (996.5, 989), (12.35, 7), (994, 989), (3.0, 0)]
)
def test_set_beyond_its_ends_it_moves_on(slider, value, low):
    slider.value = value
    assert (slider.value, slider.min, slider.max) == (value, low, low + WINDOW)
    slider.make_room()
    assert (slider.value, slider.min, slider.max) == (value, low, low + WINDOW)
    slider.value = 0
    slider.make_room()
    assert (slider.value, slider.min) == (0, 0)


def test_there_are_no_seeds_beyond_the_first_and_the_last(slider):
    slider.value = 5000
    assert slider.value == SEEDS
    slider.value = -3
    assert slider.value == 0


def test_steps_add_up_to_whole_seeds(slider):
    for _ in range(60):
        slider.value += 0.05
    assert slider.value == 3.0


def test_at_its_end_it_makes_room_and_elsewhere_it_does_not(slider):
    slider.value = 9.0
    slider.make_room()
    assert (slider.min, slider.max) == (0, 10)
    slider.value = 10.0
    slider.make_room()
    assert (slider.value, slider.min, slider.max) == (10, 5, 15)
    slider.value = 5.0
    slider.make_room()
    assert (slider.value, slider.min, slider.max) == (5, 0, 10)
    slider.value = 999
    slider.make_room()
    assert (slider.value, slider.min, slider.max) == (999, 989, 999)


def test_one_value_reaches_whoever_listens(slider):
    """The ends move along with it: no value between the old and the new one is ever shown."""
    heard = []
    slider.observe(lambda change: heard.append(change["new"]), "value")
    slider.value = 700
    slider.value = 3
    assert heard == [700, 3]


def test_in_the_view_there_is_room_once_it_rests():
    view = new_view()

    async def drag():
        for value in (4.0, 8.0, 10.0):
            view.seed.value = value
            assert view.seed.max == 10, "not under one's hand"
        await until(lambda: at_rest(view))
        assert (view.seed.value, view.seed.min, view.seed.max) == (10, 5, 15)

    view.apply({"temperature": 1.0})
    asyncio.run(drag())
    view.apply({"seed": 700.5, "left": "another sample", "left_seed": 300})
    assert view.error.value == ""
    assert (view.seed.value, view.left_seed.value) == (700.5, 300)
    assert view.seed.min <= 700.5 <= view.seed.max


@pytest.mark.parametrize("name", ["seed", "left_seed", "region_seed"])
def test_every_slider_of_seeds_in_the_view_has_room_once_it_rests(name):
    view, slider = new_view(), None

    async def slide():
        nonlocal slider
        view.apply({"temperature": 1.0, "left": "another sample"})
        slider = getattr(view, name)
        slider.value = 10.0
        assert slider.max == 10
        await until(lambda: view.picture.exact)
        assert (slider.value, slider.min, slider.max) == (10, 5, 15), "the scores need not have come"

    asyncio.run(slide())


def test_any_seed_can_be_typed():
    view = new_view()
    view.apply({"temperature": 1.0})
    view.number.value = 512.35
    assert view.seed.value == 512.35
    assert view.seed.min <= 512.35 <= view.seed.max
    assert view.picture.right_label.endswith("sample 512.35, T 1")
    view.seed.value = 7
    assert view.number.value == 7
    view.number.value = 5000
    assert view.seed.value == view.number.value == SEEDS
    assert view.error.value == ""


def test_a_seed_beyond_the_last_that_is_typed_at_the_last_is_no_move():
    view, heard = new_view(), []
    view.apply({"temperature": 1.0, "seed": SEEDS})
    view.apply = heard.append
    view.number.set_state({"value": 5000.0})  # as the page does
    assert (view.number.value, heard) == (SEEDS, [])
    view.number.set_state({"value": 30.0})
    assert heard == [{"seed": 30.0}]


def test_values_stay_between_the_ends():
    slider = RealSlider(value=7, min=0, max=2)
    assert slider.value == 2
    slider.value = -0.1
    assert slider.value == 0
    slider.value = 1.5
    slider.max = 1
    assert slider.value == 1
    slider.max, slider.min = 4, 3
    assert slider.value == 3


def test_whole_numbers_stay_whole():
    slider = integer(Numbers(2, 64, whole=True), 16, "Samples")
    for value, expected in ((3.0, 3), (100, 64), (-5, 2)):
        slider.value = value
        assert (type(slider.value), slider.value) == (int, expected)
    assert (slider.min, slider.max, slider.step, slider.readout_format) == (2, 64, 1, ".0f")


@pytest.mark.parametrize(
    "wrong", [{"value": float("nan")}, {"value": "much"}, {"readout_format": "d"}, {"readout_format": ".2f%"}]
)
def test_what_cannot_be_shown_is_refused(wrong):
    with pytest.raises(TraitError, match=r"not NaN|expected a float|is \".0f\" to \".9f\", not"):
        RealSlider(**wrong)


def test_values_have_four_digits():
    """Steps of 0.05 add up to 0.6000000000000001, which would be another temperature than 0.6."""
    slider, heard = real("temperature", 0.0, 0.05, "Temperature"), []
    slider.observe(heard.append, "value")
    slider.value = 0.6000000000000001
    slider.value = 0.6
    assert [change["new"] for change in heard] == [0.6]
