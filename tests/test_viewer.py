"""The view without a browser: setting a widget's value does what dragging it does."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import directions
import numpy as np
import pytest
import viewer
from training.weights import save_model
from viewer_helpers import cat, lowres, new_view, shown, until

import srvae_core as sr


@pytest.fixture
def view():
    return new_view()


def test_sliders_show_what_the_sampler_answers(view):
    view.share.value = 0.0
    before = view.frame.copy()
    view.temperature.value = 1.0
    view.seed.value = 7
    expected = sr.Sampler(viewer.load_model(view.model.value), view.lr)(7, 1.0)
    assert np.array_equal(view.frame, expected)
    assert np.array_equal(shown(view), expected)
    assert not np.array_equal(view.frame, before)


def test_border_divides_bicubic_and_answer(view):
    view.share.value = 0.25
    x = view.frame.shape[1] // 4
    assert np.array_equal(view.frame[:, : x - 1], sr.enlarge(view.lr, 4)[:, : x - 1])
    assert np.array_equal(view.frame[:, x + 1 :], view.answer[:, x + 1 :])
    view.left.value = "original"
    assert np.array_equal(view.frame[:, : x - 1], view.original[:, : x - 1])


def test_dice_give_another_sample(view):
    before, seed = view.answer.copy(), view.seed.value
    view.dice.click()
    assert view.seed.value != seed
    assert view.temperature.value == 1.0
    assert not np.array_equal(view.answer, before)


def test_another_image_is_encoded(view):
    view.image.value = "coffee"
    assert view.frame.shape == (48, 48, 3)
    assert np.array_equal(view.answer, sr.super_resolve(view.lr, viewer.load_model(view.model.value)))


def test_wrong_scale_no_photograph_and_unknown_settings(view):
    with pytest.raises(ValueError, match="photograph"):
        viewer.View({}, scale=4)
    with pytest.raises(ValueError, match="scale 3"):
        viewer.View({"cat": cat()}, scale=3)
    with pytest.raises(ValueError, match="no such settings: colour"):
        view.apply({"colour": 1})


def test_walk_ends_at_the_other_sample(view):
    view.apply({"temperature": 1.0, "seed": 3, "to_seed": 5, "share": 0.0, "walk": 0.5})
    middle = view.answer
    view.walk.value = 1.0
    assert np.abs(view.answer.astype(int) - view.sampler(5, 1.0)).max() <= 1
    assert not np.array_equal(middle, view.answer)


def test_left_side_can_be_another_sample_or_zero(view):
    view.apply({"temperature": 1.0, "left": "another sample", "left_seed": 4, "share": 1.0})
    assert np.array_equal(view.frame, view.sampler(4, 1.0))
    view.left.value = "z = 0"
    assert np.array_equal(view.frame, view.sampler(0, 0.0))
    view.temperature.value = 0.5
    view.left.value = "another sample"
    assert np.array_equal(view.frame, view.sampler(4, 0.5)), "the left side follows the settings"


def test_direction_sliders_move_along_the_images_directions(view):
    view.apply({"temperature": 0.0, "share": 0.0})
    zero = view.answer
    view.open_page("directions")
    effects = [float(slider.description.split("±")[1].split()[0]) for slider in view.amounts]
    assert effects == sorted(effects, reverse=True)
    view.amounts[1].value = 5.0
    eps = directions.steer(view.sampler.tiles, 0, 0.0, directions=view.scene.directions, amounts=[0, 5.0])
    assert np.array_equal(view.answer, view.sampler(temperature=1.0, eps=eps))
    assert not np.array_equal(view.answer, zero)
    view.reset.click()
    assert view.amounts[1].value == 0
    assert np.array_equal(view.answer, zero)


def test_another_image_has_directions_of_its_own(view):
    view.pages.selected_index = viewer.PAGES.index("directions")
    view.amounts[0].value, first = 2.0, view.scene.directions
    view.image.value = "coffee"
    assert view.amounts[0].value == 0
    assert view.scene.directions is not None
    assert view.scene.directions is not first
    view.open_page("sample")
    view.image.value = "cat"
    assert view.scene.directions is None
    assert view.amounts[0].description == "Direction 1"


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


def seen(view):
    """What a person sees of a view, and what it would save."""
    return view.settings, view.error.value, view.picture.value, view.picture.format, view.image.options


def test_two_views_at_once_do_not_know_each_other(tmp_path):
    """Of the same photographs, in one kernel: settings, images, scenes, errors and saved files are each one's own."""
    one, other = new_view(), new_view()
    one.apply({"temperature": 1.0, "seed": 3, "share": 0.0})
    sr.write_image(tmp_path / "mine.png", lowres())
    before, kept = seen(other), other.scene
    one.folder.value = str(tmp_path)
    one.apply({"image": "coffee", "model": "8x-D", "direction 1": 3.0, "zoom": 2})
    one.left.value = "original"
    one.image.value = "cat"
    one.draw.click()
    with pytest.raises(ValueError, match="temperature is 9"):
        one.apply({"temperature": 9})
    assert seen(other) == before
    assert other.scene is kept
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
        assert np.array_equal(sr.read_image(tmp_path / name), view.sample(whole=True))
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
        await until(lambda: one.stop.disabled)
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
