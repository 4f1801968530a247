"""Noise of its own for one rectangle: what changes, what stays, and what the sliders there say."""

import random

import numpy as np
import pytest

import srvae_core as sr
from srvae import directions, regions, viewer
from srvae.viewer.settings import REGIONS, Region
from viewer_helpers import changed, inside, new_view, state, wide

NO_STEPS = (0.0,) * directions.COUNT


@pytest.fixture(scope="module")
def made():
    return viewer.View({"wide": wide()}, scale=4, rest_delay=0.05)


@pytest.fixture
def view(made):
    """A view at temperature 1 that is as at first, whatever the test before left."""
    made.reset.click()
    made.model.value = "4x-D"
    made.apply({"temperature": 1.0, "seed": 3.0})
    random.seed(15)  # of the seeds that are drawn
    assert made.error.value == ""
    return made


def select(view, rect):
    """Draw a rectangle (top, left, height, width) of LR samples."""
    top, left, height, width = (view.scale * n for n in rect)
    view.picture.selection = (left, top, width, height)


def expected(view, seed, temperature, amounts=()):
    """The noise of some latents."""
    found = view.scene.directions if any(amounts) else None
    return directions.steer(view.sampler.tiles, seed, temperature, directions=found, amounts=amounts if found else ())


RECTS = [(4, 30, 8, 10), (0, 0, 20, 12), (12, 60, 8, 12)]  # inside, and at edges of the image
REACH = 7 + 12  # LR samples that the decoder's convolutions and its three back-projections together see around one
NEAR = 11  # LR samples beyond which what they see counts for less than a level


def around(rect, samples):
    """Which pixels of a wide answer lie at most so many LR samples from a rectangle, (80, 288) bool."""
    top, left, height, width = rect
    near = np.zeros((20, 72), bool)
    near[max(0, top - samples) : top + height + samples, max(0, left - samples) : left + width + samples] = True
    return near.repeat(4, 0).repeat(4, 1)


@pytest.mark.parametrize("rect", RECTS)
@pytest.mark.parametrize(("model", "temperature"), [("4x-D", 1.0), ("4x-D", 0.0), ("4x-P", 0.0)])
def test_a_re_roll_changes_the_rectangle_and_nothing_far_from_it(view, rect, model, temperature):
    if model not in sr.available_models():
        pytest.skip(f"{model} is not shipped")
    view.model.value = model
    view.apply({"temperature": temperature})
    before = view.answer
    select(view, rect)
    view.reroll.click()
    assert view.error.value == ""
    difference = np.abs(view.answer.astype(int) - before).max(2)
    assert inside(difference, rect).mean() > 1
    assert difference[~around(rect, NEAR)].max() <= 1, "what is beyond counts for less than a level"
    assert not difference[~around(rect, REACH)].any(), "to the byte"


def test_the_answer_is_that_of_the_blended_map(view):
    select(view, RECTS[0])
    view.region_seed.value = 7.5
    view.region_temperature.value = 0.6
    assert view.regions == (Region(30, 4, 10, 8, 0.6, 7.5, NO_STEPS),)
    base, there = expected(view, 3.0, 1.0), expected(view, 7.5, 0.6)
    latent_map = regions.blended(view.sampler, base, [(RECTS[0], there)], view.sampler.rect)
    expected_answer = view.sampler(latent_map=latent_map, region=view.scene.whole)
    assert np.abs(view.answer.astype(int) - expected_answer).max() <= 2, "pieces meet within a level or two"


def test_temperature_seed_and_direction_act_there_alone(view):
    select(view, RECTS[0])
    view.open_page("directions")
    assert len(view.region_direction.options) == directions.COUNT
    before = view.answer
    far = ~around(RECTS[0], REACH)
    for slider, value in ((view.region_seed, 9.0), (view.region_temperature, 0.2), (view.region_amount, 8.0)):
        answer, rest = view.answer, {n: v for n, v in view.settings.items() if n != "regions"}
        slider.value = value
        assert view.error.value == ""
        assert slider.value == value
        assert inside(np.abs(view.answer.astype(int) - answer), RECTS[0]).mean() > 0.2
        assert np.array_equal(view.answer[far], before[far])
        assert {n: v for n, v in view.settings.items() if n != "regions"} == rest, "the rest of the picture's own stay"
    assert view.regions == (Region(30, 4, 10, 8, 0.2, 9.0, (8.0, *NO_STEPS[1:])),)
    view.open_page("sample")


def test_a_region_can_be_the_deterministic_answer(view):
    select(view, (0, 0, 20, 30))
    view.region_temperature.value = 0.0
    assert view.region_temperature.value == 0.0
    assert view.regions[0].temperature == 0.0
    middle = (0, 0, 20, 8)  # far from where it meets the rest
    assert np.abs(inside(view.answer, middle).astype(int) - inside(view.sampler(0, 0.0), middle)).max() <= 1
    view.region_seed.value = 8.0
    assert view.regions[0].temperature == 0.0, "another slider leaves it"


def test_in_a_deterministic_picture_a_region_begins_at_the_temperature_of_samples(view):
    view.apply({"temperature": 0.0})
    select(view, RECTS[0])
    view.reroll.click()
    assert view.regions[0].temperature == 0.4


def test_the_same_rectangle_is_changed_and_another_added(view):
    select(view, RECTS[0])
    view.reroll.click()
    first = view.regions[0]
    view.reroll.click()
    assert len(view.regions) == 1
    assert view.regions[0].seed not in (first.seed, view.seed.value)
    select(view, RECTS[1])
    view.reroll.click()
    assert [region.rect for region in view.regions] == RECTS[:2]
    select(view, RECTS[0])
    view.reroll.click()
    assert [region.rect for region in view.regions] == [*RECTS[:2], RECTS[0]], "the later lie over the earlier"


def test_without_a_selection_what_is_visible_changes(view):
    view.apply({"zoom": 2.0, "across": 1.0, "down": 0.0})
    assert view.target == view.region == (0, 36, 10, 36)
    view.reroll.click()
    assert view.regions[0].rect == (0, 36, 10, 36)


@pytest.mark.parametrize(
    ("selection", "rect"),
    [((0, 0, 1, 1), (0, 0, 1, 1)), ((3, 3, 2, 2), (0, 0, 2, 2)), ((284, 76, 4, 4), (19, 71, 1, 1)),
     ((0, 0, 288, 80), (0, 0, 20, 72)), ((287, 79, 99, 99), (19, 71, 1, 1)), ((400, 10, 8, 8), (2, 71, 3, 1))],
)  # fmt: skip
def test_a_selection_is_whole_samples_inside_the_image(view, selection, rect):
    view.picture.selection = selection
    assert view.target == rect


def test_the_sliders_say_what_holds_in_the_rectangle(view):
    def there():
        return view.region_seed.value, view.region_temperature.value

    select(view, RECTS[0])
    assert there() == (3.0, 1.0)
    view.region_seed.value = 40.0
    view.region_temperature.value = 0.5
    regions_before = view.regions
    select(view, RECTS[1])
    assert there() == (3.0, 1.0)
    select(view, RECTS[0])
    assert there() == (40.0, 0.5)
    assert view.regions == regions_before, "looking there changes nothing"
    view.drop.click()
    assert there() == (3.0, 1.0), "what was dropped holds no more"
    view.undo.click()
    assert there() == (40.0, 0.5)
    view.apply({"regions": (), "seed": 5.0})
    assert there() == (5.0, 1.0)


def test_regions_can_be_dropped(view):
    assert view.drop.disabled
    plain = view.answer
    select(view, RECTS[0])
    view.reroll.click()
    assert not view.drop.disabled
    view.drop.click()
    assert view.regions == ()
    assert view.drop.disabled
    assert np.array_equal(view.answer, plain)


def test_a_shift_is_not_needed_where_the_button_is_down(view):
    view.select.value = True
    assert view.picture.selecting
    view.picture.selecting = False
    assert not view.select.value


def test_more_regions_than_a_file_may_hold_are_refused(view):
    some = tuple(Region(i, 0, 1, 1, 1.0, float(i)) for i in range(REGIONS))
    view.apply({"regions": some})
    before = state(view)
    select(view, RECTS[0])
    view.reroll.click()
    assert f"{REGIONS} regions at most" in view.error.value
    view.picture.selection = ()
    assert changed(before, state(view)) == []


def test_a_region_outside_the_image_is_refused(view):
    before = state(view)
    for region in (Region(70, 0, 3, 1, 1.0, 0.0), Region(0, 0, 1, 21, 1.0, 0.0)):
        with pytest.raises(ValueError, match=r"is not inside 20x72"):
            view.apply({"seed": 8.0, "regions": (region,)})
    assert changed(before, state(view)) == []


def test_another_image_or_model_has_no_regions():
    view = new_view()
    view.apply({"temperature": 1.0})
    view.picture.selection = (0, 0, 20, 20)
    view.reroll.click()
    view.image.value = "coffee"
    assert (view.regions, view.picture.selection, view.drop.disabled) == ((), (), True)


def test_the_first_use_of_a_direction_leaves_what_was_set():
    """Naming the directions must not put the sliders back."""
    view = new_view()
    view.apply({"temperature": 1.0, "seed": 3.0})
    view.picture.selection = (16, 16, 24, 24)
    view.region_amount.value = 2.0
    assert view.regions[-1].amounts[0] == 2.0
    assert view.region_amount.value == 2.0
    view.reroll.click()
    assert view.regions[-1].seed != 3.0
    assert view.regions[-1].amounts[0] == 2.0
