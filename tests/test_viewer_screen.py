"""What the view shows in motion and at rest, as in a kernel, whose event loop runs."""

import asyncio
import time

import numpy as np
import pytest

import srvae_core as sr
from srvae import metrics
from srvae.viewer import pictures
from viewer_helpers import Messages, Recorder, at_rest, cat, inside, is_png, lowres, new_view, shown, until

OLD = "srvae-stale"
NEAR = 4  # grey levels by which a draft of a sample at temperature 0.6 to 1 may be off on average


@pytest.fixture
def view():
    return new_view()


def right_of(view):
    """The layer with the answer of the visible region."""
    return view.picture.right or view.picture.whole


def test_at_rest_the_page_holds_the_frame_without_loss(view):
    assert is_png(right_of(view))
    assert view.picture.exact
    assert np.array_equal(shown(view), view.frame)
    assert "PSNR" in view.metrics.value


def test_in_motion_a_draft_of_what_is_seen_at_rest_the_answer(view):
    async def moves():
        view.apply({"temperature": 1.0, "share": 0.75})
        await until(lambda: at_rest(view))
        recorder = Recorder(view)
        for seed in (1, 2, 3):
            view.seed.value = seed
            assert not view.picture.exact
            assert not is_png(right_of(view))
        drafts = [(seed, (0, 15, 16, 5), True) for seed in (1, 2, 3)]
        assert recorder.asked == drafts, "only what lies right of the border"
        assert view.picture.right_rect == (60, 0, 20, 64)
        moving = shown(view)
        await until(lambda: at_rest(view))
        assert recorder.asked[3:] == [(3, (0, 0, 16, 20), False)], "one answer at rest, whatever came before"
        assert "last move in" in view.metrics.value
        return moving

    moving, answer = asyncio.run(moves()), sr.Sampler(view.sampler.model, view.lr)(3, 1.0)
    assert np.array_equal(view.answer, answer)
    assert np.array_equal(shown(view), pictures.split(view.bicubic, answer, 0.75))
    assert np.abs(moving.astype(float) - shown(view)).mean() < 3, "JPEG and draft are near"


PIECES = [(0, 6, 8, 8), (8, 6, 8, 8), (0, 0, 8, 6), (0, 14, 8, 6), (8, 0, 8, 6), (8, 14, 8, 6)]  # from the middle


@pytest.mark.parametrize("zoom", [1, 2])
def test_a_move_need_not_wait_for_the_answer_and_metrics_at_rest(zoom):
    """Both are worked out piece by piece, and dropped when something moves."""
    view = new_view(step_edge=32)

    async def moves():
        view.apply({"temperature": 1.0, "share": 0.0, "zoom": zoom, "across": 0.0})
        await until(lambda: at_rest(view))
        recorder = Recorder(view)
        view.metrics.value = ""
        view.seed.value = 1
        await until(lambda: len(recorder.exact()) > 3)  # in the middle of the answer, or of the one that is scored
        view.seed.value = 2
        await until(lambda: view.metrics.value)
        return recorder.exact(), view.metrics.value

    exact, scores = asyncio.run(moves())
    ones, twos = ([region for seed, region in exact if seed == s] for s in (1, 2))
    assert len(ones) < len(PIECES), "what was left of it is not decoded"
    assert sorted(twos) == sorted(PIECES), "each piece once, for the picture and for the scores"
    assert zoom > 1 or twos == PIECES, "from the middle outwards"
    whole = sr.Sampler(view.sampler.model, view.lr)(2, 1.0)
    assert np.abs(view.answer.astype(int) - inside(whole, view.region)).max() <= 1
    psnr = float(scores.split("SR-VAE: PSNR ")[1].split()[0])
    assert psnr == pytest.approx(metrics.psnr_y(whole, view.original, 4), abs=0.02)


def test_scores_are_of_the_whole_answer_and_made_once(view):
    view.apply({"temperature": 1.0, "share": 0.0, "seed": 4})
    scores = view.metrics.value.split("LR-PSNR")[0]
    recorder = Recorder(view)
    view.picture.zoom = 3.0
    view.picture.across = 1.0
    view.picture.share = 0.7
    assert recorder.asked == [], "what is known is not decoded again"
    assert view.metrics.value.split("LR-PSNR")[0] == scores
    view.seed.value = 5
    assert recorder.exact()[0][1][2:] == (16, 20)
    assert view.metrics.value.split("LR-PSNR")[0] != scores


def test_asking_for_the_frame_brings_the_view_to_rest(view):
    async def move():
        view.picture.share = 0.0
        view.temperature.value, view.seed.value = 1.0, 5
        return view.picture.exact, view.frame, view.answer, view.picture.exact

    moving, frame, answer, rest = asyncio.run(move())
    assert (moving, rest) == (False, True)
    assert np.array_equal(frame, view.sampler(5, 1.0))
    assert np.array_equal(frame, answer)
    frame[:] = answer[:] = 0
    assert view.frame.any(), "they are the caller's own"
    assert view.answer.any()


def test_another_sample_on_the_left_moves_too(view):
    async def move():
        view.apply({"temperature": 1.0, "share": 0.5, "left": "another sample", "left_seed": 2})
        await until(lambda: at_rest(view))
        recorder = Recorder(view)
        view.temperature.value = 0.6
        assert recorder.asked == [(2, (0, 0, 16, 10), True), (0, (0, 10, 16, 10), True)], "each as far as it is seen"
        return shown(view)

    moving = asyncio.run(move())
    both = pictures.split(view.sampler(2, 0.6), view.sampler(0, 0.6), 0.5)
    assert np.abs(moving.astype(float) - both).mean() < NEAR
    assert np.array_equal(view.frame, both)
    assert np.array_equal(shown(view), both)


def test_a_hidden_answer_is_not_drafted(view):
    async def move():
        view.apply({"temperature": 1.0, "share": 1.0})
        await until(lambda: at_rest(view))
        recorder = Recorder(view)
        view.seed.value = 3
        assert recorder.asked == []
        await until(lambda: at_rest(view))
        assert recorder.exact() == [(3, (0, 0, 16, 20))], "its scores are shown"

    asyncio.run(move())


# Zoom, pan and border.


def test_zoom_shows_the_region_of_the_same_answer(view):
    view.apply({"temperature": 1.0, "share": 0.0})
    whole = view.answer.copy()
    view.picture.across = view.picture.down = 1.0
    view.picture.zoom = 4.0
    assert view.region == (12, 15, 4, 5)
    assert np.array_equal(view.answer, whole[48:, 60:])
    assert np.array_equal(view.frame, whole[48:, 60:])
    assert np.array_equal(shown(view), view.frame)


def test_zoomed_a_move_drafts_and_answers_the_visible_region_first():
    view = new_view(step_edge=32)

    async def move():
        view.apply({"temperature": 1.0, "share": 0.0, "zoom": 4.0, "across": 1.0, "down": 1.0})
        await until(lambda: at_rest(view))
        recorder, messages = Recorder(view), Messages(view)
        view.seed.value = 3
        assert recorder.asked == [(3, (12, 15, 4, 5), True)]
        await until(lambda: view.picture.exact)
        assert recorder.exact() == [(3, (8, 14, 8, 6))], "only the piece that is seen"
        assert messages.rects("right") == [(60, 48, 20, 16)] * 2
        assert is_png(view.picture.right)
        await until(lambda: at_rest(view))
        assert messages.layers[-1][0] == "whole", "what the scores are of is sent too"

    asyncio.run(move())


def test_the_page_is_sent_nothing_when_it_has_all(view):
    async def look():
        view.apply({"temperature": 1.0, "left": "another sample", "left_seed": 4})
        await until(lambda: at_rest(view))
        messages, recorder = Messages(view), Recorder(view)
        for name, value in (("share", 0.2), ("zoom", 2.5), ("across", 0.9), ("down", 0.1), ("share", 0.9), ("zoom", 1)):
            setattr(view.picture, name, float(value))
            assert not view.pace.is_due
        await asyncio.sleep(0.1)
        assert {name for message in messages.sent for name in message} == {"share", "zoom", "across", "down"}
        assert recorder.asked == []
        assert not view.picture.working
        assert OLD not in view.metrics._dom_classes

    asyncio.run(look())
    assert np.array_equal(shown(view), view.frame)


def test_what_the_page_lacks_comes_when_one_looks_there(view):
    """Before the whole answer is known, and where the left side was hidden."""

    async def look():
        view.apply({"temperature": 1.0, "zoom": 4.0, "across": 0.0, "share": 0.0})
        view.picture.across = 1.0
        assert np.abs(shown(view).astype(float) - inside(view.sampler(0, 1.0), view.region)).mean() < NEAR
        await until(lambda: at_rest(view))
        view.left.value = "another sample"
        await until(lambda: at_rest(view))
        assert view.picture.left == b"", "nobody sees it"
        view.picture.share = 0.5
        await until(lambda: at_rest(view))
        assert is_png(view.picture.left)

    asyncio.run(look())
    assert np.array_equal(shown(view), view.frame)
    assert np.array_equal(view.frame[:, :8], inside(view.sampler(1, 1.0), view.region)[:, :8])


def test_what_is_exact_elsewhere_is_drafted_here():
    """The exact answer of one place is there, and the whole one is not yet."""
    view = new_view(step_edge=32)

    async def look():
        view.apply({"temperature": 1.0, "zoom": 4.0, "across": 0.0, "share": 0.0})
        await until(lambda: at_rest(view))
        view.seed.value = 3
        await until(lambda: view.picture.exact)
        assert view.picture.whole == b""
        view.picture.across = 1.0
        assert not view.picture.exact
        assert view.picture.right_rect == (60, 24, 20, 16)
        await until(lambda: at_rest(view))

    asyncio.run(look())
    assert np.array_equal(shown(view), view.frame)


# Signs of work.


def test_old_numbers_are_marked_until_they_are_true(view):
    async def move():
        await until(lambda: at_rest(view))
        assert OLD not in view.metrics._dom_classes
        for change in ({"temperature": 1.0}, {"seed": 3}, {"image": "coffee"}):
            before = view.metrics.value
            view.apply(change)
            assert OLD in view.metrics._dom_classes
            assert view.picture.working
            assert view.metrics.value == before
            await until(lambda: OLD not in view.metrics._dom_classes)
            assert at_rest(view)
            assert not view.picture.working
            assert view.metrics.value != before

    asyncio.run(move())


def test_numbers_that_are_true_stay_and_are_not_computed_again(view, monkeypatch):
    """Those of a sample do not depend on where one looks, nor on what it is compared with."""
    scored, fidelity = [], metrics.fidelity

    def note(picture, *others):
        scored.append(picture)
        return fidelity(picture, *others)

    monkeypatch.setattr(metrics, "fidelity", note)

    async def look():
        view.apply({"temperature": 1.0})
        await until(lambda: at_rest(view))
        scored.clear()
        looks = (
            lambda: setattr(view.left, "value", "another sample"),
            lambda: setattr(view.picture, "zoom", 2.0),
            lambda: setattr(view.left_seed, "value", 3.0),
        )
        for act in looks:
            act()
            assert OLD not in view.metrics._dom_classes
            await until(lambda: at_rest(view))
        assert scored == []
        assert "PSNR" in view.metrics.value
        view.seed.value = 4.0
        await until(lambda: at_rest(view))
        assert len(scored) == 1

    asyncio.run(look())


def test_a_look_leaves_what_was_said(view, tmp_path):
    """An error, or where a file was saved, can still be read after the picture was moved."""
    view.path.value = str(tmp_path / "a.png")
    for act, words in ((view.measure.click, "raise the temperature"), (view.save.click, "saved ")):
        act()
        for name, value in (("zoom", 2.0), ("across", 0.1), ("share", 0.9), ("selection", (4, 4, 8, 8)), ("zoom", 1.0)):
            setattr(view.picture, name, value)
            assert words in view.error.value
    view.seed.value = 3
    assert view.error.value == "", "another sample does not"


@pytest.mark.parametrize("button", ["measure", "draw", "record"])
def test_a_look_does_not_end_the_sign_of_a_study(view, button):
    async def study():
        view.apply({"temperature": 1.0, "zoom": 4.0, "across": 0.0})
        view.count.value, view.length.value = 64, 2
        await until(lambda: at_rest(view))
        view.left.value = "another sample"
        getattr(view, button).click()
        if button == "draw":  # nine are soon done: let them take their time
            sample = view.scene.sample
            view.scene.sample = lambda *given, **named: (time.sleep(0.05), sample(*given, **named))[1]
        view.picture.zoom = 1.0
        await until(lambda: not view.pace.is_due)
        assert view.pace.is_studying
        assert view.picture.working
        assert view.picture.exact
        view.stop.click()
        assert not view.picture.working

    asyncio.run(study())


@pytest.mark.parametrize("button", ["measure", "draw", "record"])
def test_a_study_is_work_until_it_ends(view, button):
    async def study():
        view.apply({"temperature": 1.0})
        view.count.value, view.length.value = 2, 1
        await until(lambda: at_rest(view))
        getattr(view, button).click()
        await until(lambda: view.progress.value)
        assert view.picture.working
        assert view.stop.layout.display is None
        await until(lambda: view.stop.layout.display == "none")
        await until(lambda: at_rest(view))
        assert not view.picture.working

    asyncio.run(study())
    assert view.error.value == ""


def test_a_map_lies_over_the_picture_only_where_it_was_measured(view):
    view.apply({"temperature": 1.0, "share": 0.0, "zoom": 2.0, "across": 0.0})
    view.count.value = 2
    view.measure.click()
    assert view.picture.overlay
    left, top, width, height = view.picture.overlay_rect
    assert (top, left, height, width) == tuple(4 * n for n in view.region)
    laid_over = view.frame
    view.picture.across = 1.0
    assert np.array_equal(view.frame, view.answer), "nothing was measured here"
    assert view.picture.overlay_rect == (left, top, width, height)
    view.picture.across = 0.0
    assert np.array_equal(view.frame, laid_over)
    view.overlay.value = False
    assert view.picture.overlay == b""
    assert np.array_equal(view.frame, view.answer)
    view.overlay.value = True
    assert np.array_equal(view.frame, laid_over)
    view.seed.value = 3
    assert view.picture.overlay == b"", "another sample's map"


# Errors.


class Broken(Recorder):
    """A scene that fails at drafts, or at exact answers."""

    def __init__(self, view, draft):
        super().__init__(view)
        self.draft = draft

    def note(self, settings, region=None, *, draft=False):
        if draft == self.draft:
            raise ZeroDivisionError("division by zero")
        return super().note(settings, region, draft=draft)


def test_errors_of_drafts_are_shown_and_what_was_on_show_stays(view):
    before, frame = view.settings, view.frame

    async def move():
        Broken(view, draft=True)
        view.temperature.value = 1.0
        assert "division by zero" in view.error.value
        assert view.settings == before
        assert np.array_equal(shown(view), frame)
        await until(lambda: at_rest(view))
        assert np.array_equal(shown(view), frame)
        assert not view.picture.working
        assert OLD not in view.metrics._dom_classes

    asyncio.run(move())
    assert "division by zero" in view.error.value


def test_errors_at_rest_are_shown_and_the_frame_is_not_taken_for_an_exact_one(view):
    async def move():
        Broken(view, draft=False)
        view.temperature.value = 1.0
        assert view.error.value == ""
        await until(lambda: view.error.value)
        assert "division by zero" in view.error.value
        assert not view.picture.working
        assert not view.picture.exact
        assert OLD in view.metrics._dom_classes, "the numbers are still of the picture before"
        with pytest.raises(ZeroDivisionError):
            assert view.frame is None

    asyncio.run(move())


# Pictures for code.


def test_any_seed_and_region_can_be_sampled(view):
    view.apply({"temperature": 1.0, "seed": 3.5, "zoom": 2})
    assert view.sample(whole=True).shape == (64, 80, 3)
    assert view.sample().shape == (32, 40, 3)
    assert np.array_equal(view.sample(5, whole=True), view.sampler(5, 1.0))
    assert view.sample(region=(1, 2, 3, 4), draft=True).shape == (12, 16, 3)


def test_the_scenes_pictures_are_attributes(view):
    assert np.array_equal(view.original, cat())
    assert np.array_equal(view.lr, lowres())
    assert np.array_equal(view.bicubic, sr.enlarge(lowres(), 4))
    assert view.scale == 4
