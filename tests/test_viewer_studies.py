"""Many samples: their spread, nine of them to choose from, and walks from one to the next."""

import asyncio
import io
import itertools
import threading

import numpy as np
import PIL.Image
import pytest

from srvae.viewer import studies
from srvae.viewer.controls import Controls
from srvae.viewer.pictures import magnify
from srvae.viewer.settings import Latents, Settings
from srvae.viewer.studies import describe_spread, draw_gallery, play, record_film
from viewer_helpers import at_rest, new_view, until

REGION = (1, 2, 10, 12)
OLD = "srvae-stale"


class FakeScene:
    """Takes the place of a scene: answers of one colour, which the seed is read off; notes the seeds."""

    def __init__(self, edge: int = 40) -> None:
        self.edge, self.seeds = edge, []

    def region(self, _: object) -> tuple[int, int, int, int]:
        return REGION

    def sample(self, of: object, region: object, *, draft: bool) -> np.ndarray:
        assert region == REGION
        assert draft
        self.seeds.append(of.seed)
        return np.full((self.edge, self.edge, 3), round(60 * (of.seed % 4)), np.uint8)


def settings(seed: float = 0.0, temperature: float = 1.0) -> Settings:
    """Settings of a sample."""
    return Settings("cat", "4x-D", Latents(temperature, seed), "bicubic", 1.0, 0.0, 1.0, 0.5, 0.5)


@pytest.fixture
def controls():
    made = Controls(["cat"], ["4x-D"])
    made.temperature.value = 1.0
    return made


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
    view.apply({"temperature": 1.0, "share": 0.0, "seed": 10.5})
    view.draw.click()
    assert all(not pick.disabled for pick in view.picks)
    assert all(thumbnail.value for thumbnail in view.thumbnails)
    view.apply({"temperature": 0.2, "image": "coffee"})
    view.picks[2].click()
    assert (view.image.value, view.seed.value, view.temperature.value) == ("cat", 13, 1.0)
    assert np.array_equal(view.answer, view.sampler(13, 1.0))
    assert view.picks[2].description == "Sample 13"


def test_a_study_makes_room_for_a_move_which_ends_it(view):
    async def run():
        view.apply({"temperature": 1.0})
        view.count.value = 64
        view.measure.click()
        await until(lambda: view.progress.value > 2)
        assert view.stop.layout.display is None
        view.seed.value = 5
        assert view.stop.layout.display == "none"
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


def test_the_gallery_is_of_the_next_whole_samples(controls):
    for seed, first in ((0, 1), (12, 13), (12.6, 13), (997.5, 998)):
        scene, gallery = FakeScene(), [{}] * 9
        list(draw_gallery(controls, scene, settings(seed=seed), gallery))
        expected = [(first + i) % 1000 for i in range(9)]
        assert scene.seeds == expected
        assert [about["seed"] for about in gallery] == expected
        assert [pick.tooltip for pick in controls.picks] == [f"Take sample {n}" for n in expected]


def test_thumbnails_are_small(controls):
    list(draw_gallery(controls, FakeScene(600), settings(), [{}] * 9))
    assert PIL.Image.open(io.BytesIO(controls.thumbnails[8].value)).size == (256, 256)


def test_a_film_walks_there_and_back(controls):
    scene, kept = FakeScene(600), {}
    controls.length.value = 2
    list(record_film(controls, scene, settings(seed=12), "gif", lambda film, name: kept.update({name: film})))
    assert scene.seeds == pytest.approx(np.linspace(12, 14, 41)), "frames of the way back are those of the way there"
    assert controls.progress.value == controls.progress.max == 42
    picture = PIL.Image.open(io.BytesIO(kept.pop("samples-12-to-14.gif")))
    assert not kept
    assert picture.size == (512, 512)
    levels = []
    for i in range(picture.n_frames):
        picture.seek(i)
        levels.append(int(np.asarray(picture.convert("RGB")).mean()))
        assert picture.info["duration"] == 50
    assert levels == pytest.approx([*range(0, 120, 3), *range(120, 0, -3)], abs=2)


def test_a_film_near_the_last_seed_walks_to_smaller_ones(controls):
    scene, names = FakeScene(), []
    controls.length.value = 1
    list(record_film(controls, scene, settings(seed=998.5), "webp", lambda _, name: names.append(name)))
    assert (min(scene.seeds), max(scene.seeds)) == (997.5, 998.5)
    assert names == ["samples-998.5-to-997.5.webp"]


def test_moves_can_come_while_a_film_is_made(controls, monkeypatch):
    """The work of many seconds is done beside the steps, and nobody waits for it once it is not wanted."""
    begun, go_on, ended, kept = threading.Event(), threading.Event(), [], []

    def slow(frames: list[np.ndarray], *_: object, **__: object) -> bytes:
        begun.set()
        go_on.wait(20)
        ended.append(len(frames))
        return b"film"

    monkeypatch.setattr(studies, "film", slow)
    controls.length.value = 1
    steps = record_film(controls, FakeScene(), settings(), "webp", lambda *film: kept.append(film))
    list(itertools.islice(steps, 21 + 3))
    assert begun.wait(20)
    steps.close()
    assert not ended, "that would have held the view up"
    go_on.set()
    assert not kept
    steps = record_film(controls, FakeScene(), settings(), "webp", lambda *film: kept.append(film))
    list(steps)
    assert kept == [(b"film", "samples-0-to-1.webp")]


@pytest.mark.parametrize(("start", "expected"), [(4.9, [4.95, 5, 5.05]), (998.93, [998.98, 998.93, 998.88])])
def test_playing_walks_and_turns_round(controls, start, expected):
    controls.seed.value = start
    shown = []
    list(itertools.islice(play(controls, lambda: shown.append(controls.seed.value)), 3))
    assert shown == expected


def test_playing_goes_on_from_where_one_slides_to(controls):
    steps = play(controls, lambda: None)
    next(steps)
    controls.seed.value = 100
    next(steps)
    assert controls.seed.value == 100.05


def test_without_noise_there_is_nothing_to_walk_along(controls):
    controls.temperature.value = 0
    for steps in (play(controls, print), record_film(controls, FakeScene(), settings(temperature=0), "gif", print)):
        with pytest.raises(ValueError, match="raise the temperature"):
            next(steps)


def test_playing_goes_on_until_it_is_stopped(view):
    async def run():
        view.apply({"temperature": 1.0, "seed": 3})
        view.play.value = True
        await until(lambda: view.seed.value > 3.15)
        assert view.play.value, "its own moves do not end it"
        view.play.value = False
        await until(lambda: not view.pace.is_due)
        reached = view.seed.value
        await asyncio.sleep(0.2)
        assert view.seed.value == reached
        assert np.array_equal(view.answer, view.scene.sample(view.present))

    asyncio.run(run())
    assert view.error.value == ""


def test_the_browser_gets_the_film(view, monkeypatch):
    sent = []
    monkeypatch.setattr(view.picture, "download", lambda *file: sent.append(file))
    view.apply({"temperature": 1.0, "zoom": 2, "seed": 5})
    view.length.value = 1
    view.record.click()
    assert view.error.value == ""
    ((name, content, form),) = sent
    assert (name, form) == ("samples-5-to-6.webp", "image/webp")
    picture = PIL.Image.open(io.BytesIO(content))
    assert picture.n_frames == 40
    expected = view.scene.sample(view.present, view.region, draft=True)
    expected = magnify(expected, 6)  # to 240 pixels: a film of 40 would be seen by nobody
    assert picture.size == expected.shape[1::-1] == (240, 192)
    assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - expected).mean() < 6


def test_a_thumbnail_brings_its_sample_and_leaves_the_rest(view):
    """Where one looks, what one compares with, and above all the best of the nine that was kept."""
    view.apply({"temperature": 1.0, "seed": 10.0, "direction 2": 1.5})
    view.draw.click()
    view.picks[4].click()
    view.keep.click()
    best = view.best
    assert best.seed == 15
    left = {"left": "best", "left_seed": 8.0, "share": 0.3, "zoom": 2.0, "across": 0.9, "down": 0.1}
    view.apply(left | {"temperature": 0.3, "direction 2": 0.0})
    view.picks[6].click()
    assert view.error.value == ""
    assert view.best == best
    assert {name: view.settings[name] for name in left} == left
    assert (view.seed.value, view.temperature.value, view.amounts[1].value) == (17, 1.0, 1.5)


def test_a_map_belongs_to_where_it_was_measured_although_one_looks_elsewhere_meanwhile(view):
    async def measure():
        view.apply({"temperature": 1.0, "share": 0.0})
        await until(lambda: at_rest(view))
        view.count.value = 6
        view.measure.click()
        await until(lambda: view.progress.value >= 3)
        view.picture.zoom = 4.0
        await until(lambda: not view.pace.is_studying)
        await until(lambda: at_rest(view))
        assert view.progress.value == 6
        assert view.picture.overlay_rect == (0, 0, 80, 64)
        assert view.deviation.shape == (64, 80)
        assert np.array_equal(view.frame, view.answer), "of this region alone nothing was measured"
        view.picture.zoom = 1.0
        assert not np.array_equal(view.frame, view.answer)

    asyncio.run(measure())
    assert view.error.value == ""


def test_a_film_is_what_was_asked_for_when_it_began(view, monkeypatch):
    sent = []
    monkeypatch.setattr(view.picture, "download", lambda *file: sent.append(file))

    async def record():
        view.apply({"temperature": 1.0})
        view.length.value = 1
        view.record.click()
        await until(lambda: view.progress.value > 2)
        view.form.value = "gif"
        await until(lambda: not view.pace.is_studying)

    asyncio.run(record())
    ((name, content, form),) = sent
    assert (name, form) == ("samples-0-to-1.webp", "image/webp")
    assert PIL.Image.open(io.BytesIO(content)).format == "WEBP"


def test_a_spread_of_other_settings_is_marked_and_of_another_image_goes(view):
    view.apply({"temperature": 1.0})
    view.count.value = 2
    for _ in range(2):
        view.measure.click()
        view.draw.click()
        assert view.spread.value.startswith("2 samples")
        assert OLD not in view.spread._dom_classes
        view.temperature.value -= 0.2
        assert view.spread.value.startswith("2 samples")
        assert OLD in view.spread._dom_classes
    view.image.value = "coffee"
    assert view.spread.value == ""
    assert not any(thumbnail.value for thumbnail in view.thumbnails)
    assert all(pick.disabled for pick in view.picks)
    view.measure.click()
    assert OLD not in view.spread._dom_classes
