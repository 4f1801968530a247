"""The interactive view without a browser, from a change to its picture: a widget that is set does what a drag does."""

import asyncio
from unittest.mock import Mock

import ipywidgets as widgets
import numpy as np
import pytest
import torch

import srvae_core as sr
from srvae import directions, metrics, viewer
from srvae.viewer import Scene, Settings
from srvae.viewer.controls import OLD
from srvae.viewer.settings import SINGLE, Region
from viewer_helpers import at_rest, cat, inside, lowres, most, new_view, opened, said, shown, until, upload, wide

REACH = 19  # LR pixels that the decoder's layers and its consistency steps together see around one
PNG, JPEG = b"\x89PNG", b"\xff\xd8"


@pytest.fixture
def view():
    made = new_view()
    yield made
    made.close()


@pytest.fixture(scope="module")
def sampler():
    return sr.Sampler(viewer.load_model("4x-D"), lowres())


@pytest.fixture
def quick_directions(monkeypatch):
    """The vectors of any eight directions, in the place of those that take seconds to be found."""
    vectors = torch.linalg.qr(torch.randn(1024, 8, generator=torch.Generator().manual_seed(0)))[0].T
    found = directions.Directions(vectors, np.ones(8), np.ones(8), ((0, 0, 1, 1),) * 8)
    monkeypatch.setattr(directions, "find", lambda sampler: found)
    return vectors


def test_the_sliders_show_what_the_sampler_answers(view, sampler):
    view.page.picture.share = 0.0
    view.controls.temperature.value = 0.7
    view.controls.seed.value = 7
    assert most(view.answer, sampler(7, 0.7)) <= 1
    assert most(view.answer, sampler(6, 0.7)) > 10
    assert np.array_equal(shown(view), view.answer), "without loss"
    assert view.page.picture.right_label == "4x-D, sample 7, temperature 0.7"
    view.apply(zoom=2.0, across=1.0, down=0.0)
    assert np.array_equal(shown(view), view.answer)
    assert most(view.answer, sampler(7, 0.7)[:32, 40:]) <= 1


@pytest.mark.parametrize("left", ["bicubic", "original", SINGLE, "another sample", "best"])
def test_at_rest_the_page_shows_both_sides_exactly(view, sampler, left):
    view.apply(temperature=0.4, seed=9.0)
    view.controls.keep.click()
    view.apply(temperature=1.0, seed=3.0, left_seed=4.0, left=left, share=0.5)
    sides = {"bicubic": sr.enlarge(lowres(), 4), "original": cat(), SINGLE: sampler(0, 0.0)}
    sides |= {"another sample": sampler(4, 1.0), "best": sampler(9, 0.4)}
    assert np.array_equal(shown(view), view.frame)
    assert most(shown(view)[:, :40], sides[left][:, :40]) <= 1
    assert (shown(view)[:, 40] == 255).all(), "the border"
    assert most(shown(view)[:, 41:], sampler(3, 1.0)[:, 41:]) <= 1
    label = {"another sample": "sample 4, temperature 1", "best": "best: sample 9, temperature 0.4"}.get(left, left)
    assert view.page.picture.left_label == label


def test_buttons_and_play_walk_from_sample_to_sample(view):
    for seed, before, after in ((12.5, 12, 13), (0, 0, 1), (999, 998, 999)):
        for button, expected in ((view.controls.previous, before), (view.controls.next, after)):
            view.apply(temperature=0.5, seed=seed)
            button.click()
            assert view.settings.seed == view.controls.number.value == expected
            assert view.controls.seed.value == min(expected, view.controls.seed.max)
    for temperature, after in ((0.0, 0.2), (0.7, 0.7)):  # the single answer has no other sample
        view.apply(temperature=temperature, seed=999)
        view.controls.random.click()
        assert view.settings.seed != 999
        assert view.settings.seed.is_integer()
        assert view.settings.temperature == after
    view.apply(seed=3.0)
    assert view.controls.play.value == 60
    view.controls.play.value = 61
    assert view.settings.seed == view.controls.seed.value == 3.05


def test_reset_brings_back_all_but_photograph_and_model(view):
    first, changes = view.settings, {"temperature": 1.5, "seed": 3.5, "left": "another sample", "share": 0.1, "zoom": 3}
    view.apply(**changes)
    view.controls.keep.click()
    view.controls.reroll.click()
    view.controls.reset.click()
    assert view.settings == first
    view.apply(image="coffee", **changes)
    view.controls.reset.click()
    assert view.settings == Settings("coffee", "4x-D")


@pytest.mark.parametrize("name", ["nine", "map", "play"])
def test_at_temperature_0_there_is_one_answer_and_that_is_said(view, name):
    view.controls.play.set_trait("playing", True) if name == "play" else getattr(view.controls, name).click()
    assert said(view) == "Error: At temperature 0 there is only one answer: raise the temperature."
    assert not view.controls.play.playing
    view.controls.temperature.value = 0.3
    view.controls.play.playing = True
    assert (view.controls.play.playing, said(view)) == (True, "")


def test_what_the_page_echoes_is_no_move(view):
    view.apply(temperature=0.35, seed=3.123, left_seed=2.0, zoom=1.7)
    assert view.controls.seed.value == 3.1, "the slider has steps of a twentieth"
    controls, picture, moves, apply = view.controls, view.page.picture, [], view.apply
    view.apply = lambda **changes: (moves.append(changes), apply(**changes))
    for control, value in ((controls.temperature, 0.35), (controls.seed, 3.1), (controls.left_seed, 2.0)):
        for noise in (0, 1e-9, -1e-9):
            control.set_state({"value": value + noise})
    controls.number.set_state({"value": 3.123})
    picture.set_state({"zoom": 1.7, "share": 0.5, "work": [0.5, 0.5]})
    assert (moves, view.settings.seed) == ([], 3.123)
    controls.seed.set_state({"value": 3.15})
    assert moves == [{"gesture": controls.seed, "seed": 3.15}]


def test_a_sample_beyond_the_slider_leaves_it_at_its_end(view):
    control, view.controls.temperature.value = view.controls.seed, 0.5
    for seed in (700, 3.0, 999):
        view.controls.number.value = seed
        assert (view.settings.seed, control.value) == (seed, min(seed, control.max))
    control.set_state({"value": control.max})  # what the page sends back
    assert view.settings.seed == 999
    control.value = 24.95
    assert view.settings.seed == view.controls.number.value == 24.95


def test_another_model_brings_its_temperature_if_none_was_set():
    own = {name: viewer.load_model(name).temperature for name in ("4x-D", "4x-P")}
    assert own["4x-D"] != own["4x-P"]
    view = new_view(models=list(own))
    for name in ("4x-P", "4x-D", "4x-P"):
        view.controls.model.value = name
        assert view.controls.temperature.value == view.settings.temperature == own[name]
    view.controls.temperature.value = 0.9
    view.controls.model.value = "4x-D"
    assert view.settings.temperature == 0.9


def test_only_what_is_there_is_offered_to_compare_with(view):
    assert view.controls.left.options == ("bicubic", "original", SINGLE, "another sample")
    view.controls.keep.click()
    assert view.controls.left.options[-1] == "best"
    view.controls.left.value = "best"
    view.controls.model.value = "4x-P"
    assert view.settings.left == view.controls.left.value == "bicubic", "another model has another best sample"
    view.controls.left.value = "original"
    upload(view, lr=lowres())
    assert view.controls.left.options == ("bicubic", SINGLE, "another sample")
    assert view.settings.left == view.controls.left.value == "bicubic"
    view.controls.image.value = "cat"
    assert "original" in view.controls.left.options


def test_a_view_that_is_shown_starts_from_there(view, monkeypatch):
    displayed = []
    monkeypatch.setattr("srvae.viewer.view.display", displayed.append)
    view.apply(temperature=0.6, seed=4.0)
    view.show()
    assert displayed[0].data.startswith(JPEG), "a still picture for who reads the notebook without a kernel"
    assert displayed[1] is view.controls.widget
    assert view.controls.undo.disabled
    view.controls.seed.value = 8
    view.controls.reset.click()
    assert view.settings.seed == 4


def test_closing_closes_every_widget(quick_directions):
    instances, before = widgets.widget._instances, len(widgets.widget._instances)
    for i in range(10):
        view = new_view(directions=i == 0)
        assert len(instances) > before
        view.close()
        assert len(instances) == before, "otherwise kernel and page would keep every view"


def test_undo_brings_back_the_same_bytes_wherever_one_looks(view):
    states = [(view.settings, view.frame)]
    for change in ({"temperature": 0.8}, {"seed": 4.0}, {"left": "original"}, None, {"image": "coffee"}):
        view.apply(**change) if change else view.controls.reroll.click()
        states.append((view.settings, view.frame))
    for button, expected in ((view.controls.undo, states[-2::-1]), (view.controls.redo, states[1:])):
        for settings, frame in expected:
            button.click()
            assert view.settings == settings
            assert np.array_equal(view.frame, frame)
            assert np.array_equal(shown(view), frame)
        assert button.disabled
    view.apply(zoom=2.0, share=0.25)
    view.controls.undo.click()
    view.controls.undo.click()
    assert view.settings == states[3][0], "to look is no step, and another photograph is looked at anew"
    view.apply(zoom=2.0)
    view.controls.undo.click()
    assert (view.settings.left, view.settings.zoom) == ("bicubic", 2.0)
    view.controls.seed.value = 5
    assert view.controls.redo.disabled


MOVES = {"seed": 9.0, "temperature": 1.3, "image": "coffee", "model": "4x-P", "left": "another sample"}
MOVES |= {"region_seed": 8.0, "reroll": None, "random": None}


def move(view, name):
    control = getattr(view.controls, name)
    control.click() if MOVES[name] is None else setattr(control, "value", MOVES[name])


@pytest.mark.parametrize("in_kernel", [False, True])
def test_a_sample_that_cannot_be_decoded_leaves_everything_as_it_was(view, monkeypatch, in_kernel):
    view.apply(temperature=0.6, seed=4.0)
    there, before, frame, decode = view.scene, view.settings, view.frame, Scene.sample

    def sample(scene, settings, *args, **options):
        same = scene.size == there.size and scene.sampler.model is there.sampler.model
        if not same or settings.latents != before.latents:
            raise MemoryError("no room")
        return decode(scene, settings, *args, **options)

    def values():
        return [getattr(b.widget, b.trait) for b in view.controls.bindings]

    async def act(name):
        move(view, name)
        await until(lambda: said(view) and at_rest(view))

    values_before = values()
    monkeypatch.setattr(Scene, "sample", sample)
    for name in MOVES:
        asyncio.run(act(name)) if in_kernel else move(view, name)
        assert said(view) == "Error: no room", name
        assert (view.settings, values()) == (before, values_before), name
        assert np.array_equal(shown(view), frame), name
        assert not view.page.picture.working, name
        view.controls.say("")
    monkeypatch.undo()
    move(view, "seed")
    assert (said(view), view.settings.seed) == ("", 9)


def test_scores_that_fail_leave_the_exact_picture(view, monkeypatch):
    monkeypatch.setattr(metrics, "lr_psnr", Mock(side_effect=ValueError("no scores")))
    view.apply(temperature=0.5, seed=2.0)
    assert (said(view), view.settings.seed) == ("Error: no scores", 2)
    assert np.array_equal(shown(view), view.frame)
    assert OLD in view.controls.scores._dom_classes, "they are of the picture before"


def test_a_view_whose_first_picture_cannot_be_made_says_why(monkeypatch):
    monkeypatch.setattr(Scene, "sample", Mock(side_effect=MemoryError("no room")))
    assert said(new_view()) == "Error: no room"


@pytest.mark.parametrize("rect", [(4, 30, 8, 10), (0, 0, 20, 12)])
def test_a_region_changes_itself_and_nothing_far_from_it(rect):
    view = viewer.View({"wide": wide()}, scale=4)
    view.apply(temperature=1.0, seed=3.0, share=0.0)
    before, (top, left, height, width) = view.answer, rect
    view.page.picture.selection = (4 * left, 4 * top, 4 * width, 4 * height)
    view.controls.reroll.click()
    (region,) = view.settings.regions
    assert (region.rect, region.temperature) == (rect, 1.0)
    change = np.abs(view.answer.astype(int) - before).max(2)
    assert inside(change, rect).mean() > 5
    assert not change[:, : max(0, 4 * (left - REACH))].any()
    assert not change[:, 4 * (left + width + REACH) :].any()
    assert np.array_equal(shown(view), view.answer)
    view.controls.clear.click()
    assert np.array_equal(view.answer, before)


def test_the_sliders_of_a_region_change_the_last_region(view):
    view.apply(temperature=0.5, seed=6.0)
    view.page.picture.selection = (8, 4, 30, 30)
    assert (view.controls.region_temperature.value, view.controls.region_seed.value) == (0.5, 6)
    view.controls.region_temperature.value = 1.2
    view.controls.region_seed.value = 8
    assert view.settings.regions == (Region((1, 2, 8, 8), 1.2, 8.0),), "whole LR pixels that hold the selection"
    view.page.picture.selection = (40, 4, 8, 8)
    view.controls.region_seed.value = 9
    assert [r.seed for r in view.settings.regions] == [8, 9]
    view.controls.image.value = "coffee"
    assert (view.settings.regions, view.controls.clear.disabled, view.page.picture.selection) == ((), True, ())


def test_nine_samples_are_drawn_and_one_is_taken(view, sampler):
    view.apply(temperature=0.9, seed=995.5, share=0.0)
    view.controls.nine.click()
    names = [pick.description for pick in view.controls.picks]
    assert names == [f"Sample {seed}" for seed in (996, 997, 998, 999, 0, 1, 2, 3, 4)]
    for seed, thumbnail in ((996, view.controls.thumbnails[0]), (4, view.controls.thumbnails[8])):
        assert np.abs(opened(thumbnail.value).astype(float) - sampler(seed, 0.9)).mean() < 6, "a draft as JPEG"
    view.controls.temperature.value = 0.1
    view.controls.picks[6].click()
    assert (view.settings.seed, view.settings.temperature, view.settings.share) == (2, 0.9, 0)
    assert most(view.answer, sampler(2, 0.9)) <= 1


def test_a_map_of_uncertainty_lies_over_the_sample_it_was_made_of(view, sampler):
    view.apply(temperature=0.8, seed=5.0, share=0.0)
    plain, view.controls.count.value = view.frame, 3
    view.controls.map.click()
    expected = np.std([sampler(seed, 0.8).astype(float) for seed in range(3)], axis=0).mean(2)
    text = view.controls.scale
    assert np.abs(view.map.deviation - expected).max() <= 1
    assert f"{view.map.deviation.max():.1f} grey levels<br>on average {expected.mean():.1f}" in text.value
    assert "diversity" in text.value
    assert view.page.picture.overlay.startswith(JPEG)
    assert most(view.frame, plain) > 20
    view.controls.overlay.value = False
    assert (view.page.picture.overlay, text.value) == (b"", "")
    assert np.array_equal(view.frame, plain)
    view.controls.overlay.value = True
    assert view.page.picture.overlay.startswith(JPEG)
    view.controls.seed.value = 6
    assert (view.page.picture.overlay, text.value, view.map) == (b"", "", None)


def test_studies_wait_for_one_another(view):
    view.apply(temperature=0.8)
    view.controls.count.value, done = 3, []
    view.controls.show_progress = lambda i, of, what: done.append((what, i))

    async def act():
        for button in (view.controls.nine, view.controls.map, view.controls.nine):
            button.click()
        assert view.controls.running.layout.visibility == "visible"
        await until(lambda: view.pace.is_idle)

    asyncio.run(act())
    nine, of_map = ("Drawing nine samples", range(1, 10)), ("Mapping uncertainty", range(1, 4))
    assert done == [(what, i) for what, steps in (nine, of_map, nine) for i in steps]
    assert view.controls.running.layout.visibility == "hidden"


def test_a_map_stops_when_the_sample_changes_and_at_the_button(view):
    async def act():
        view.apply(temperature=0.8)
        view.controls.count.value = 64
        for button, text in (("next", "The map was stopped: the sample has changed."), ("stop", "Stopped.")):
            view.controls.map.click()
            await until(lambda: view.page.picture.overlay)
            getattr(view.controls, button).click()
            await until(lambda: at_rest(view))
            assert said(view) == text
            assert view.controls.running.layout.visibility == "hidden"
            assert bool(view.page.picture.overlay) == (button == "stop"), "what was measured stays"
        assert view.controls.progress.value < 64

    asyncio.run(act())


def test_directions_steer_the_answer(quick_directions, sampler):
    view = new_view(directions=True)
    assert len(view.controls.amounts) == directions.COUNT == 8
    assert view.controls.pages.titles[view.controls.pages.selected_index] == "Directions"
    assert all(most(*(opened(preview.value) for preview in pair)) > 5 for pair in view.controls.previews)
    view.controls.amounts[2].value = 6.0
    assert view.settings.amounts == (0, 0, 6, 0, 0, 0, 0, 0)
    steered = sampler(temperature=1.0, eps=6 * quick_directions[2].expand(sampler.tiles, -1))
    assert most(view.answer, steered) <= 1
    assert most(steered, sampler(0, 0.0)) > 5
    view.controls.zero.click()
    assert view.controls.amounts[2].value == 0
    assert most(view.answer, sampler(0, 0.0)) <= 1


def test_in_a_kernel_a_draft_comes_at_once_then_the_exact_picture_then_scores():
    async def act():
        view = new_view()
        picture, scores = view.page.picture, view.controls.scores
        assert opened(picture.bottom).shape == (64, 80, 3), "the bicubic picture is there at once"
        assert (picture.right, picture.exact, picture.working) == (b"", False, True)
        await until(lambda: at_rest(view))
        first = scores.value
        view.controls.temperature.value = 0.8
        assert picture.right.startswith(JPEG)
        assert (picture.exact, picture.working, scores.value, OLD in scores._dom_classes) == (False, True, first, True)
        await until(lambda: picture.exact)
        assert picture.right.startswith(PNG)
        assert (picture.working, scores.value, OLD in scores._dom_classes) == (True, first, True)
        await until(lambda: at_rest(view))
        assert (picture.working, scores.value == first, OLD in scores._dom_classes) == (False, False, False)
        assert "PSNR" in scores.value
        assert np.array_equal(shown(view), view.frame)

    asyncio.run(act())


def test_one_drag_is_one_step_of_undo(view):
    async def act():
        view.apply(temperature=0.8)
        await until(lambda: at_rest(view))
        for drag in ((1.0, 2.0, 3.0), (4.0, 5.0)):
            for seed in drag:
                view.controls.seed.value = seed
            assert view.page.picture.right.startswith(JPEG)
            await until(lambda: at_rest(view))
        for seed in (3, 0):
            view.controls.undo.click()
            assert (view.settings.seed, view.settings.temperature) == (seed, 0.8)
        await until(lambda: at_rest(view))

    asyncio.run(act())
    assert np.array_equal(shown(view), view.frame)


def test_a_message_of_the_page_that_moves_the_picture_is_not_answered(view):
    """What the kernel sent back would undo what the hand did meanwhile."""
    picture, sent = view.page.picture, []
    picture.send_state = lambda key=None: sent.extend([key] if isinstance(key, str) else key)
    picture.set_state({"zoom": 3.0, "across": 0.2, "down": 0.9})
    assert (view.settings.zoom, view.settings.across, view.settings.down) == (3.0, 0.2, 0.9)
    assert not {"zoom", "across", "down", "share"} & set(sent)
