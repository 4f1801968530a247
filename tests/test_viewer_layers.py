"""What the page is sent: layers and their places, no more of them than are missing, and what is said about them."""

import asyncio

import numpy as np
import pytest

import srvae_core as sr
from srvae import viewer
from srvae.viewer.layers import common, contains, described
from srvae.viewer.settings import Region
from viewer_helpers import Messages, Recorder, at_rest, inside, is_png, new_view, opened, settings, shown, until, wide


@pytest.fixture
def view():
    return new_view()


def test_a_new_image_comes_as_bicubic_first_and_takes_all_else_away(view):
    async def choose():
        view.apply({"temperature": 1.0, "left": "original"})
        await until(lambda: at_rest(view))
        messages = Messages(view)
        view.image.value = "coffee"
        first = messages.sent[[bool(message.get("bottom")) for message in messages.sent].index(True)]
        assert first["size"] == (48, 48)
        assert not first["exact"]
        assert np.array_equal(opened(first["bottom"]), view.bicubic)
        assert all(first.get(name, b"") == b"" for name in ("left", "whole", "right", "patch", "overlay"))
        assert np.array_equal(shown(view)[:, 30:], view.bicubic[:, 30:]), "there is no draft before it is encoded"
        await until(lambda: at_rest(view))

    asyncio.run(choose())
    assert np.array_equal(shown(view), view.frame)


def test_pieces_of_an_image_that_has_no_draft_come_from_the_middle_outwards():
    view = viewer.View({"cat": wide(), "wide": wide()}, scale=4, rest_delay=0.05, step_edge=32)

    async def choose():
        await until(lambda: at_rest(view))
        messages, recorder = Messages(view), Recorder(view)
        view.image.value = "wide"
        recorder = Recorder(view)
        await until(lambda: view.picture.exact)
        patches = messages.rects("patch")
        assert patches == [(4 * left, 4 * top, 4 * w, 4 * h) for _, (top, left, h, w) in recorder.exact()]
        assert sum(w * h for _, _, w, h in patches) == 288 * 80, "each piece once"
        distances = [abs(left + w / 2 - 144) for left, _, w, _ in patches]
        assert distances[0] <= 16
        assert distances[-1] >= 112
        assert distances == sorted(distances) or max(np.diff(sorted(distances))) <= 32
        first = [name for name, _ in messages.layers]
        assert first.index("patch") < first.index("whole"), "the pieces are seen before the whole"

    asyncio.run(choose())
    assert np.array_equal(shown(view), view.frame)


def test_where_there_is_a_draft_no_pieces_are_sent():
    view = new_view(step_edge=32)

    async def move():
        view.apply({"temperature": 1.0})
        await until(lambda: at_rest(view))
        messages = Messages(view)
        view.seed.value = 2
        await until(lambda: at_rest(view))
        assert [name for name, _ in messages.layers] == ["right", "whole"]

    asyncio.run(move())


def test_a_draft_of_another_region_is_a_patch_of_it_alone():
    view = viewer.View({"wide": wide()}, scale=4, rest_delay=0.05)

    async def edit():
        view.apply({"temperature": 1.0, "share": 0.0})
        await until(lambda: at_rest(view))
        before = shown(view)
        view.picture.selection = (160, 8, 48, 40)
        messages, recorder = Messages(view), Recorder(view)
        view.reroll.click()
        assert recorder.asked == [(0, (2, 40, 10, 12), True)]
        assert messages.layers == [("patch", (160, 8, 48, 40))]
        assert not is_png(view.picture.patch)
        assert not view.picture.exact
        now = shown(view)
        there = inside(np.abs(now.astype(int) - before), (2, 40, 10, 12))
        assert there.mean() > 2
        now[8:48, 160:208] = before[8:48, 160:208]
        assert np.array_equal(now, before), "the rest of the picture stays in the page"
        await until(lambda: at_rest(view))
        assert messages.layers[1:] == [("whole", (0, 0, 288, 80))]

    asyncio.run(edit())
    assert np.array_equal(shown(view), view.frame)


def test_of_another_region_only_what_is_seen_is_drafted():
    view = viewer.View({"wide": wide()}, scale=4, rest_delay=0.05)

    async def edit():
        view.apply({"temperature": 1.0, "share": 0.5})
        await until(lambda: at_rest(view))
        recorder, messages = Recorder(view), Messages(view)
        view.picture.selection = (120, 0, 48, 80)
        view.reroll.click()
        assert recorder.asked == [(0, (0, 36, 20, 6), True)], "right of the border"
        view.picture.selection = (0, 0, 48, 80)
        view.reroll.click()
        assert len(recorder.asked) == 1, "all of it is hidden"
        await until(lambda: at_rest(view))
        assert messages.rects("whole") == [(0, 0, 288, 80)]

    asyncio.run(edit())
    view.picture.share = 0.0
    assert np.array_equal(shown(view), view.frame)


def test_the_left_side_is_sent_once_and_taken_away_for_bicubic(view):
    view.apply({"temperature": 1.0, "left": "original"})
    assert np.array_equal(opened(view.picture.left), view.original)
    messages = Messages(view)
    view.seed.value = 4
    assert messages.rects("left") == [], "the original is that of every sample"
    view.left.value = "z = 0"
    view.seed.value = 5
    assert messages.rects("left") == [(0, 0, 80, 64)]
    view.left.value = "bicubic"
    assert view.picture.left == b""
    assert np.array_equal(shown(view), view.frame)


def test_labels_say_what_is_shown(view):
    assert (view.picture.left_label, view.picture.right_label) == ("bicubic", "4x-D, z = 0")
    assert view.picture.name == "cat, enlarged 4 times"
    view.apply({"temperature": 0.4, "seed": 12.05, "left": "another sample", "left_seed": 3})
    assert view.picture.left_label == "sample 3, T 0.4"
    assert view.picture.right_label == "4x-D, sample 12.05, T 0.4"
    view.keep.click()
    view.left.value = "best"
    view.seed.value = 1
    assert view.picture.left_label == "best: sample 12.05, T 0.4"
    view.left.value = "z = 0"
    assert view.picture.left_label == "z = 0"


def test_a_sample_in_a_few_words():
    region = Region(0, 0, 4, 4, 1.0, 2.0)
    assert described(settings(seed=12.0, temperature=0.4)) == "sample 12, T 0.4"
    assert described(settings(seed=12.0, temperature=0.0)) == "z = 0"
    assert described(settings(temperature=0.0, amounts=(0.0, 1.0))) == "z = 0, steered"
    assert described(settings(regions=(region,), amounts=(1.0,))) == "sample 0, T 1, steered, by regions"


def test_rectangles():
    assert common((0, 0, 4, 4), (2, 3, 9, 9)) == (2, 3, 2, 1)
    assert common((0, 0, 4, 4), (4, 0, 4, 4)) is None
    assert contains((0, 0, 4, 4), (1, 1, 3, 3))
    assert not contains((0, 0, 4, 4), (1, 1, 4, 3))


def test_a_still_stands_above_the_view(view, monkeypatch):
    displayed = []
    monkeypatch.setattr("srvae.viewer.view.display", lambda *what: displayed.append(what))
    view.apply({"temperature": 1.0, "seed": 2})
    view.show()
    (still,) = displayed[0]
    picture, frame = opened(still.data), view.frame
    times = picture.shape[1] // frame.shape[1]
    assert picture.shape[1] >= 400
    height = times * frame.shape[0]
    assert np.abs(picture[-height:][::times, ::times].astype(int) - frame).mean() < 3
    assert picture[:-height].min() < 100 < picture[:-height].mean(), "dark letters on white"
    assert displayed[1][0] is view.widget
    assert "Box(" not in repr(view.widget)
    assert view.undo.disabled, "what was put in before is no step to go back"


def test_an_8x_answer_has_rectangles_of_its_own_pixels():
    if not (eight := sr.available_models(8)):
        pytest.skip("no 8x model is shipped")
    view = viewer.View({"wide": wide()}, scale=8, models=eight, rest_delay=0.05)

    async def edit():
        view.apply({"temperature": 1.0, "share": 0.0})
        await until(lambda: at_rest(view))
        view.picture.selection = (83, 9, 60, 60)
        view.reroll.click()
        assert view.regions[0].rect == (1, 10, 8, 8), "whole LR samples that hold it"
        assert view.picture.patch_rect == (80, 8, 64, 64)

    asyncio.run(edit())


# What the page must not take for something else.


def of_parts(**options):
    """A view of an image that is decoded, and encoded, in several parts."""
    return viewer.View({"wide": wide()}, scale=4, rest_delay=0.05, **options)


def test_where_nothing_can_be_drafted_the_old_answer_goes():
    """A place that is not encoded yet: its bicubic picture stands below the new sample's name."""
    view = of_parts(step_edge=32)

    async def look():
        view.apply({"temperature": 1.0, "share": 0.0, "zoom": 8.0, "across": 0.0})
        await until(lambda: at_rest(view))
        view.scene.is_encoded = lambda region: False
        messages = Messages(view)
        view.seed.value = 7
        assert "sample 7" in view.picture.right_label
        assert not view.picture.exact
        assert view.picture.right == view.picture.whole == b""
        first = next(message for message in messages.sent if "right_label" in message)
        assert {"whole", "exact"} <= first.keys(), "in one message with the label"
        assert np.array_equal(shown(view), inside(view.bicubic, view.region))
        await until(lambda: at_rest(view))

    asyncio.run(look())
    assert np.array_equal(shown(view), view.frame)


def test_the_whole_answer_of_a_sample_before_is_not_shown_as_exact():
    """The rectangle reaches beyond what is visible; panning then must not show the noise before."""
    view = of_parts(step_edge=32)

    async def edit():
        view.apply({"temperature": 1.0, "share": 0.0, "zoom": 4.0, "across": 0.0, "down": 0.0})
        await until(lambda: at_rest(view))
        noise_before = opened(view.picture.whole).astype(int)
        view.picture.selection = (0, 0, 160, 80)
        view.reroll.click()
        await until(lambda: view.picture.exact)
        assert view.picture.whole == b""
        view.picture.across = 0.4
        assert not view.picture.exact
        await until(lambda: at_rest(view))
        assert np.array_equal(shown(view), view.frame)
        return noise_before

    noise_before = asyncio.run(edit())
    whole = opened(view.picture.whole)
    # By another view, which has seen no other sample: of the same pieces, since the dice's noise is now and then such
    # that a value of the image decoded at once falls to the other side of a half.
    assert np.array_equal(whole, of_parts(step_edge=32).scene.answer(view.present, view.scene.whole))
    assert np.abs(whole - noise_before).max() > 20


@pytest.mark.parametrize("hidden", [True, False])
def test_the_left_picture_before_is_not_below_the_name_of_another(view, hidden):
    async def choose():
        view.apply({"temperature": 1.0, "left": "original"})
        await until(lambda: at_rest(view))
        assert view.picture.left
        if hidden:
            view.picture.share = 0.0
        else:
            view.scene.is_encoded = lambda region: False
        messages = Messages(view)
        view.left.value = "another sample"
        first = next(message for message in messages.sent if "left_label" in message)
        assert first["left"] == b"", "in one message with the label"
        assert view.picture.left == b""
        await until(lambda: at_rest(view))

    asyncio.run(choose())
    assert np.array_equal(shown(view), view.frame)


@pytest.mark.parametrize(("pixels", "zoom", "width"), [(0, 1, 288), (400, 1, 288), (72, 1, 72), (72, 2, 72)])
def test_drafts_have_no_more_pixels_than_the_screen_shows(pixels, zoom, width):
    view = of_parts()

    async def move():
        view.apply({"temperature": 1.0, "share": 0.0, "zoom": zoom})
        await until(lambda: at_rest(view))
        view.picture.shown = (pixels, pixels // 3)
        view.seed.value = 3
        assert opened(view.picture.right).shape[1] == width
        assert view.picture.right_rect[2] == 288 // zoom
        await until(lambda: at_rest(view))
        assert opened(view.picture.whole).shape == (80, 288, 3), "at rest nothing is left out"

    asyncio.run(move())
