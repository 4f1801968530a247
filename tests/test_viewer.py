"""The view without a browser: setting a widget's value does what dragging it does."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import srvae_core as sr
from srvae import directions, images, viewer
from srvae.training.weights import save_model
from srvae.viewer.settings import DIRECTIONS
from viewer_helpers import at_rest, cat, lowres, new_view, shown, until


@pytest.fixture
def view():
    return new_view()


# Which sample.


def test_sliders_show_what_the_sampler_answers(view):
    view.picture.share = 0.0
    before = view.frame.copy()
    view.temperature.value = 1.0
    view.seed.value = 7
    expected = sr.Sampler(viewer.load_model(view.model.value), view.lr)(7, 1.0)
    assert np.array_equal(view.frame, expected)
    assert np.array_equal(shown(view), expected)
    assert not np.array_equal(view.frame, before)


def test_between_two_seeds_the_noise_runs_along_the_arc(view):
    view.temperature.value = 0.8
    ends = []
    for seed in (12, 13):
        view.seed.value = seed
        ends.append(view.answer)
        assert np.array_equal(view.answer, view.sampler(seed, 0.8)), "whole seeds are the samples themselves"
    view.seed.value = 12.25
    noise = [0.8 * sr.noise(seed, view.sampler.tiles) for seed in (12, 13)]
    eps = np.cos(np.pi / 8) * noise[0] + np.sin(np.pi / 8) * noise[1]
    expected = view.sampler(temperature=1.0, eps=eps).astype(int)
    assert np.abs(view.answer - expected).max() <= 1, "the angle is rounded here and there"
    assert all(np.abs(view.answer.astype(int) - end).max() > 5 for end in ends)


@pytest.mark.parametrize(("temperature", "after"), [(0.0, 0.4), (0.7, 0.7), (1.0, 1.0), (1.05, 0.4), (2.0, 0.4)])
def test_dice_give_another_whole_sample_and_leave_a_temperature_from_0_to_1(view, temperature, after):
    view.apply({"temperature": temperature, "seed": 3.5})
    before = view.answer
    view.dice.click()
    assert view.seed.value != 3.5
    assert view.seed.value.is_integer()
    assert view.temperature.value == after
    assert not np.array_equal(view.answer, before)
    assert np.array_equal(view.answer, view.sampler(int(view.seed.value), after))


@pytest.mark.parametrize(
    ("seed", "previous", "following"), [(12, 11, 13), (12.5, 12, 13), (0, 0, 1), (999, 998, 999), (0.05, 0, 1)]
)
def test_the_sample_before_and_the_next(view, seed, previous, following):
    for button, expected in ((view.previous, previous), (view.next, following)):
        view.apply({"temperature": 1.0, "seed": seed})
        button.click()
        assert (view.seed.value, view.error.value) == (expected, "")
        assert np.array_equal(view.answer, view.sampler(expected, 1.0))


def test_reset_brings_back_everything_but_the_image_and_the_model(view):
    view.image.value = "coffee"
    first = view.settings
    view.apply({"temperature": 1.7, "seed": 3.5, "left": "another sample", "left_seed": 7.0, "direction 2": 1.5})
    view.apply({"share": 0.1, "zoom": 3.0, "across": 0.2, "down": 0.9})
    view.keep.click()
    view.picture.selection = (0, 0, 20, 20)
    view.reroll.click()
    assert all(view.settings[name] != value for name, value in first.items() if name in CHANGED)
    view.reset.click()
    assert view.error.value == ""
    assert view.settings == first
    assert view.picture.selection == ()
    assert view.drop.disabled
    assert np.array_equal(view.answer, sr.super_resolve(view.lr, viewer.load_model(view.model.value)))


CHANGED = ("temperature", "seed", "left", "left_seed", "direction 2", "share", "zoom", "across", "down")
CHANGED += ("best", "regions")


# What it is compared with.


def test_border_divides_bicubic_and_answer(view):
    view.picture.share = 0.25
    x = view.frame.shape[1] // 4
    assert np.array_equal(view.frame[:, : x - 1], sr.enlarge(view.lr, 4)[:, : x - 1])
    assert np.array_equal(view.frame[:, x + 1 :], view.answer[:, x + 1 :])
    view.left.value = "original"
    assert np.array_equal(view.frame[:, : x - 1], view.original[:, : x - 1])


def test_left_side_can_be_another_sample_or_zero(view):
    view.apply({"temperature": 1.0, "left": "another sample", "left_seed": 4, "share": 1.0})
    assert np.array_equal(view.frame, view.sampler(4, 1.0))
    view.left.value = "z = 0"
    assert np.array_equal(view.frame, view.sampler(0, 0.0))
    view.temperature.value = 0.5
    view.left.value = "another sample"
    assert np.array_equal(view.frame, view.sampler(4, 0.5)), "the left side follows the settings"


def test_the_best_sample_is_kept_and_compared_with(view):
    view.left.value = "best"
    assert "no sample was kept" in view.error.value
    assert view.left.value == "bicubic"
    view.apply({"temperature": 1.0, "seed": 4, "share": 1.0})
    view.keep.click()
    assert "kept" in view.error.value
    assert 'role="alert"' not in view.error.value
    view.apply({"temperature": 0.3, "seed": 9, "left": "best"})
    assert np.array_equal(view.frame, view.sampler(4, 1.0)), "it is as it was kept, whatever moves now"
    assert np.array_equal(shown(view), view.frame)
    view.keep.click()
    assert np.array_equal(view.frame, view.sampler(9, 0.3))
    view.image.value = "coffee"
    assert (view.best, view.left.value) == (None, "bicubic"), "another image has another best one"


# Directions.


def test_direction_sliders_move_along_the_images_directions(view):
    view.apply({"temperature": 0.0, "share": 0.0})
    zero = view.answer
    view.open_page("directions")
    names = [slider.description for slider in view.amounts]
    assert len(set(names)) == len(DIRECTIONS)
    assert not set(names) & {name.capitalize() for name in DIRECTIONS}, "they say what they change"
    assert [name for name, _ in view.region_direction.options] == names
    assert all(image.value for image in (*view.befores, *view.afters))
    view.amounts[1].value = 5.0
    eps = directions.steer(view.sampler.tiles, 0, 0.0, directions=view.scene.directions, amounts=[0, 5.0])
    assert np.array_equal(view.answer, view.sampler(temperature=1.0, eps=eps))
    assert not np.array_equal(view.answer, zero)
    view.amounts[2].value = -3.0
    view.zeros[1].click()
    assert [view.amounts[i].value for i in (1, 2)] == [0.0, -3.0], "one at a time"
    view.reset_directions.click()
    assert not any(slider.value for slider in view.amounts)
    assert np.array_equal(view.answer, zero)


def test_another_image_has_directions_of_its_own(view):
    view.open_page("directions")
    view.amounts[0].value, first = 2.0, view.scene.directions
    before = view.befores[0].value
    view.image.value = "coffee"
    assert view.amounts[0].value == 0
    assert view.scene.directions is not None
    assert view.scene.directions is not first
    assert view.befores[0].value != before
    view.open_page("sample")
    view.image.value = "cat"
    assert view.scene.directions is None
    assert view.amounts[0].description == "Direction 1"


# Images and models.


def test_another_image_is_encoded_and_seen_whole(view):
    view.apply({"zoom": 3.0, "across": 1.0, "down": 0.0})
    view.image.value = "coffee"
    assert (view.picture.zoom, view.picture.across, view.picture.down) == (1.0, 0.5, 0.5)
    assert view.frame.shape == (48, 48, 3)
    assert view.picture.size == (48, 48)
    assert np.array_equal(view.answer, sr.super_resolve(view.lr, viewer.load_model(view.model.value)))


def test_another_model_leaves_the_view_where_one_looks(view):
    if not (eight := sr.available_models(8)):
        pytest.skip("no 8x model is shipped")
    view.apply({"zoom": 2.0, "across": 1.0})
    view.model.value = eight[0]
    assert (view.picture.zoom, view.picture.across) == (2.0, 1.0)


def test_wrong_scale_no_photograph_and_unknown_settings(view):
    with pytest.raises(ValueError, match="photograph"):
        viewer.View({}, scale=4)
    with pytest.raises(ValueError, match="scale 3"):
        viewer.View({"cat": cat()}, scale=3)
    for name in ("colour", "walk", "to_seed"):
        with pytest.raises(ValueError, match=f"no such settings: {name}"):
            view.apply({name: 1})


def test_models_of_the_scale_come_first(view):
    assert view.model.options[0].startswith("4x")
    assert set(view.model.options) == set(sr.available_models())
    eight = sr.available_models(8)
    if not eight:
        pytest.skip("no 8x model is shipped")
    view.model.value = eight[0]
    assert view.scale == 8
    assert view.frame.shape == (64, 80, 3)


def test_variants_are_offered_where_they_are_shipped(tmp_path, monkeypatch):
    for name in ("4x-D", "4x-Q"):  # a name that no other test loads: models stay loaded
        (tmp_path / f"SR_VAE_{name}.safetensors").symlink_to(sr.WEIGHTS / "SR_VAE_4x-D.safetensors")
    monkeypatch.setattr(sr, "WEIGHTS", tmp_path)
    other = viewer.View({"cat": cat()}, scale=4)
    assert other.model.options == ("4x-D", "4x-Q")
    other.model.value = "4x-Q"
    assert other.error.value == ""
    with pytest.raises(ValueError, match="scale 8"):
        viewer.View({"cat": cat()}, scale=8)


def test_a_model_brings_its_own_temperature_unless_it_was_moved(tmp_path):
    other = str(tmp_path / "mild.safetensors")
    save_model(viewer.load_model("4x-D"), other, temperature=0.25)
    view = viewer.View({"cat": cat()}, scale=4, models=["4x-D", other])
    view.model.value = other
    assert view.temperature.value == 0.25
    assert np.array_equal(view.answer, sr.super_resolve(view.lr, viewer.load_model(other)))
    view.model.value = "4x-D"
    assert view.temperature.value == 0
    view.temperature.value = 0.6
    view.model.value = other
    assert view.temperature.value == 0.6
    view.reset.click()
    assert view.temperature.value == 0.25


# Play.


def test_play_walks_and_stops_at_rest_with_the_exact_picture(view):
    async def run():
        view.apply({"temperature": 1.0, "seed": 5.0, "share": 0.0})
        await until(lambda: at_rest(view))
        view.play.value = True
        await until(lambda: view.seed.value > 5.1)
        assert not view.picture.exact
        assert view.picture.working
        assert "srvae-stale" in view.metrics._dom_classes
        view.play.value = False
        await until(lambda: at_rest(view))
        view.play.value = True
        await until(lambda: view.stop.layout.display is None)
        seed = view.seed.value
        await until(lambda: view.seed.value != seed)
        view.stop.click()
        assert not view.play.value
        await until(lambda: at_rest(view))
        seed = view.seed.value
        await asyncio.sleep(0.15)
        assert view.seed.value == seed
        assert not view.picture.working
        assert "srvae-stale" not in view.metrics._dom_classes

    asyncio.run(run())
    assert view.error.value == ""
    expected = view.sampler(temperature=1.0, eps=directions.steer(view.sampler.tiles, view.seed.value, 1.0))
    assert np.array_equal(shown(view), view.frame)
    assert np.array_equal(view.frame, expected)


def test_playing_ends_where_anything_else_begins(view):
    async def run():
        view.apply({"temperature": 1.0, "seed": 5.0})
        view.play.value = True
        await until(lambda: view.seed.value > 5)
        view.image.value = "coffee"
        assert not view.play.value
        await until(lambda: at_rest(view))
        view.temperature.value = 0.0
        view.play.value = True
        await until(lambda: view.error.value)
        assert "raise the temperature" in view.error.value
        assert not view.play.value
        await until(lambda: at_rest(view))
        assert not view.picture.working

    asyncio.run(run())


def test_without_an_event_loop_nothing_plays(view):
    view.apply({"temperature": 1.0})
    before = view.settings
    view.play.value = True
    assert not view.play.value
    assert view.settings == before


# Two views at once, in one kernel.


def seen(view):
    """What a person sees of a view, and what it would save."""
    layers = [getattr(view.picture, name) for name in ("bottom", "left", "whole", "right", "overlay")]
    return view.settings, view.error.value, layers, view.picture.exact, view.image.options


def test_two_views_at_once_do_not_know_each_other(tmp_path):
    """Of the same photographs: settings, images, scenes, errors and saved files are each one's own."""
    one, other = new_view(), new_view()
    one.apply({"temperature": 1.0, "seed": 3, "share": 0.0})
    images.write(tmp_path / "mine.png", lowres())
    before, kept = seen(other), other.scene
    one.folder.value = str(tmp_path)
    one.apply({"image": "coffee", "model": "8x-D", "zoom": 2})
    one.reroll.click()
    one.keep.click()
    one.left.value = "best"
    one.image.value = "cat"
    one.undo.click()
    one.draw.click()
    with pytest.raises(ValueError, match="temperature is 9"):
        one.apply({"temperature": 9})
    assert seen(other) == before
    assert other.scene is kept
    assert other.undo.disabled
    assert all(pick.disabled for pick in other.picks)
    before = seen(one)
    other.apply({"image": "coffee", "seed": 8, "temperature": 0.5})
    other.left.value = "another sample"
    other.folder.value = str(tmp_path / "none")
    assert "there is no folder" in other.error.value
    assert seen(one) == before
    for view, name in ((one, "one.png"), (other, "other.png")):
        view.path.value = str(tmp_path / name)
        view.save.click()
    for view, name in ((one, "one.png"), (other, "other.png")):
        assert np.array_equal(images.read(tmp_path / name), view.sample(whole=True))
        settings, frame = view.settings, view.frame.copy()
        view.apply({"seed": 99})
        view.load.click()
        assert (view.error.value, view.settings) == ("", settings)
        assert np.array_equal(view.frame, frame)


def test_two_views_at_once_move_measure_and_rest_side_by_side():
    one, other = new_view(), new_view()

    async def run():
        one.apply({"temperature": 1.0, "share": 0.0})
        one.count.value = 6
        one.measure.click()
        for seed in range(1, 9):
            other.apply({"seed": seed, "temperature": 1.0, "share": 0.0})
            await asyncio.sleep(0.01)
        await until(lambda: one.stop.layout.display == "none")
        await until(lambda: not one.pace.is_due and not other.pace.is_due)

    asyncio.run(run())
    assert (one.error.value, other.error.value) == ("", "")
    expected = np.std([one.sampler(seed, 1.0).astype(float) for seed in range(6)], 0).mean(2)
    assert np.allclose(one.deviation, expected), "moves of the other did not end it"
    assert other.deviation is None
    assert (one.seed.value, other.seed.value) == (0, 8)
    assert np.array_equal(shown(other), other.sampler(8, 1.0))


def test_two_views_in_two_threads_answer_for_themselves():
    """JupyterLab hands messages of widgets to another thread than the cells."""
    one, other = new_view(), new_view()
    for view in (one, other):
        view.apply({"temperature": 1.0, "share": 0.0})

    def move(view, seeds):
        frames = {}
        for seed in seeds:
            view.seed.value = seed
            frames[seed] = view.frame.copy()
        return frames

    with ThreadPoolExecutor() as threads:
        first, second = threads.map(move, (one, other), (range(1, 9), range(11, 19)))
    for frames in (first, second):
        for seed, frame in frames.items():
            assert np.array_equal(frame, one.sampler(seed, 1.0)), seed
