"""What the view shows in motion and at rest, as in a kernel, whose event loop runs."""

import asyncio

import metrics
import numpy as np
import pytest
from viewer import pictures
from viewer_helpers import Recorder, cat, lowres, new_view, shown, until

import srvae_core as sr


@pytest.fixture
def view():
    return new_view()


def at_rest(view):
    """Whether a PNG is shown and its scores have come."""
    return view.picture.format == "png" and not view.pace.is_due


def test_at_rest_the_widget_holds_the_frame_without_loss(view):
    assert view.picture.format == "png"
    assert np.array_equal(shown(view), view.frame)
    assert "PSNR" in view.metrics.value


def test_in_motion_a_draft_of_what_is_seen_at_rest_the_answer(view):
    async def moves():
        view.apply({"temperature": 1.0, "share": 0.75})
        await until(lambda: at_rest(view))
        recorder = Recorder(view)
        for seed in (1, 2, 3):
            view.seed.value = seed
            assert view.picture.format == "jpeg"
        drafts = [(seed, (0, 15, 16, 5), True) for seed in (1, 2, 3)]
        assert recorder.asked == drafts, "only what lies right of the border"
        moving = shown(view)
        await until(lambda: at_rest(view))
        assert recorder.asked[3:] == [(3, (0, 0, 16, 20), False)], "one answer at rest, whatever came before"
        assert "last move in" in view.metrics.value
        return moving

    moving, answer = asyncio.run(moves()), sr.Sampler(view.sampler.model, view.lr)(3, 1.0)
    assert np.array_equal(view.answer, answer)
    assert np.array_equal(shown(view), pictures.split(view.bicubic, answer, 0.75))
    assert np.abs(moving.astype(float) - shown(view)).mean() < 3, "JPEG and draft are near"


PIECES = [(8, 8), (8, 8), (8, 4)] * 2  # of the whole answer, in LR samples


@pytest.mark.parametrize(("zoom", "region"), [(1, PIECES), (2, [(8, 8), (8, 2)])])
def test_a_move_need_not_wait_for_the_answer_and_metrics_at_rest(zoom, region):
    """Both are worked out piece by piece, and dropped when something moves."""
    view = new_view(step_edge=32)

    async def moves():
        view.apply({"temperature": 1.0, "share": 0.0, "zoom": zoom})
        await until(lambda: at_rest(view))
        recorder = Recorder(view)
        before, view.metrics.value = view.metrics.value, ""
        view.seed.value = 1
        # in the middle of the answer or, zoomed, of the whole one that the scores are of
        await until(lambda: len(recorder.exact()) > len(region) - 3 + (zoom > 1) * 3)
        view.seed.value = 2
        await until(lambda: view.metrics.value)
        exact, scores, view.metrics.value = recorder.exact(), view.metrics.value, ""
        view.across.value = 1.0
        await until(lambda: view.metrics.value)
        again = [(2, size) for size in region] if zoom > 1 else []
        assert recorder.exact()[len(exact) :] == again, "what metrics are of is kept"
        assert view.metrics.value.split("LR-PSNR")[0] == scores.split("LR-PSNR")[0]
        assert scores != before
        return exact

    exact = asyncio.run(moves())
    ones, twos = ([size for seed, size in exact if seed == s] for s in (1, 2))
    every = PIECES if zoom == 1 else [*region, *PIECES]
    assert len(ones) < len(every), "what was left of it is not decoded"
    assert twos == every
    whole = sr.Sampler(view.sampler.model, view.lr)(2, 1.0)
    top, left, h, w = (4 * n for n in view.region)
    assert np.abs(view.answer.astype(int) - whole[top : top + h, left : left + w]).max() <= 1
    psnr = float(view.metrics.value.split("SR-VAE: PSNR ")[1].split()[0])
    assert psnr == pytest.approx(metrics.psnr_y(whole, view.original, 4), abs=0.02)


def test_asking_for_the_frame_brings_the_view_to_rest(view):
    async def move():
        view.share.value = 0.0
        view.temperature.value, view.seed.value = 1.0, 5
        return view.picture.format, view.frame, view.answer, view.picture.format

    moving, frame, answer, rest = asyncio.run(move())
    assert (moving, rest) == ("jpeg", "png")
    assert np.array_equal(frame, view.sampler(5, 1.0))
    assert frame is answer


def test_another_sample_on_the_left_moves_too(view):
    async def move():
        view.apply({"temperature": 1.0, "share": 0.5, "left": "another sample", "left_seed": 2})
        view.temperature.value = 0.6
        return shown(view)

    moving = asyncio.run(move())
    both = pictures.split(view.sampler(2, 0.6), view.sampler(0, 0.6), 0.5)
    assert np.abs(moving.astype(float) - both).mean() < 3
    view.seed.value = view.seed.value  # nothing moves
    assert np.array_equal(view.frame, both)


class Broken(Recorder):
    """A sampler that fails at drafts, or at exact answers."""

    def __init__(self, view, draft):
        super().__init__(view)
        self.draft = draft

    def __call__(self, *args, **options):
        if options["draft"] == self.draft:
            raise ZeroDivisionError("division by zero")
        return super().__call__(*args, **options)


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

    asyncio.run(move())
    assert "division by zero" in view.error.value


def test_errors_at_rest_are_shown_and_the_frame_is_not_taken_for_an_exact_one(view):
    async def move():
        Broken(view, draft=False)
        view.temperature.value = 1.0
        assert view.error.value == ""
        await until(lambda: view.error.value)
        assert "division by zero" in view.error.value
        with pytest.raises(ZeroDivisionError):
            assert view.frame is None

    asyncio.run(move())


def test_zoom_decodes_the_region_only(view):
    view.share.value = 0.0
    view.temperature.value = 1.0
    whole = view.answer.copy()
    before = view.metrics.value.split("answer at rest")[0]
    view.across.value = view.down.value = 1.0
    recorder = Recorder(view)
    view.zoom.value = 4
    assert recorder.asked[0][1] == view.region == (12, 15, 4, 5)
    difference = view.frame.astype(int) - whole[48:, 60:]
    assert np.abs(difference).max() <= 1
    assert shown(view).shape == (64, 80, 3)
    assert view.metrics.value.split("answer at rest")[0] == before, "metrics are those of the whole answer"


def test_any_seed_and_region_can_be_sampled(view):
    view.apply({"temperature": 1.0, "seed": 3, "walk": 0.5, "zoom": 2})
    assert view.sample(whole=True).shape == (64, 80, 3)
    assert view.sample().shape == (32, 40, 3)
    assert np.array_equal(view.sample(5, whole=True), view.sampler(5, 1.0))
    assert view.sample(region=(1, 2, 3, 4), draft=True).shape == (12, 16, 3)


def test_the_scenes_pictures_are_attributes(view):
    assert np.array_equal(view.original, cat())
    assert np.array_equal(view.lr, lowres())
    assert np.array_equal(view.bicubic, sr.enlarge(lowres(), 4))
    assert view.scale == 4
