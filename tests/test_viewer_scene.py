"""A scene without widgets: plain settings in, pictures out."""

from dataclasses import replace

import directions
import metrics
import numpy as np
import pytest
import viewer
from viewer_helpers import cat, lowres, settings

import srvae_core as sr


@pytest.fixture(scope="module")
def scene():
    return viewer.Scene(cat(), viewer.load_model("4x-D"), is_original=True)


def through(steps):
    """What a generator returns at its end, and how often it paused."""
    pauses = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, pauses
        pauses += 1


def test_an_original_is_reduced_and_an_lr_image_is_not(scene):
    assert np.array_equal(scene.lr, lowres())
    assert np.array_equal(scene.bicubic, sr.enlarge(scene.lr, 4))
    assert scene.scale == 4
    uneven = viewer.Scene(cat()[:61, :79], scene.sampler.model, is_original=True)
    assert uneven.original.shape == (60, 76, 3)
    plain = viewer.Scene(lowres(), scene.sampler.model, is_original=False)
    assert plain.original is None
    assert np.array_equal(plain.answer(settings()), scene.answer(settings()))


def test_settings_are_read_by_name():
    values = {"direction 1": 0.5, "direction 2": -1.0}
    plain = settings(seed=3, walk=0.5)
    values |= {name: value for name, value in vars(plain).items() if name != "amounts"}
    read = viewer.Settings.of(values)
    assert read == replace(plain, amounts=(0.5, -1.0))
    assert read.with_seed(7) == replace(read, seed=7, walk=0.0)
    assert read.with_seed(7).latents != read.latents
    assert replace(read, zoom=4).latents == read.latents
    assert settings(to_seed=5).latents == settings(to_seed=6).latents, "without a walk its end does not count"


def test_region_stays_inside(scene):
    for zoom in range(1, 9):
        for across, down in ((0, 1), (1, 0), (0.33, 0.66)):
            top, left, h, w = scene.region(settings(zoom=zoom, across=across, down=down))
            assert min(top, left) >= 0
            assert top + h <= scene.lr.shape[0]
            assert left + w <= scene.lr.shape[1]
            assert min(h, w) >= 1


def test_samples_are_the_samplers(scene):
    assert np.array_equal(scene.sample(settings(seed=3, temperature=0.7)), scene.sampler(3, 0.7))
    eps = directions.steer(scene.sampler.tiles, 3, 0.7, to_seed=5, walk=0.25)
    walked = scene.sample(settings(seed=3, temperature=0.7, to_seed=5, walk=0.25))
    assert np.array_equal(walked, scene.sampler(temperature=1.0, eps=eps))
    pushed = scene.sample(settings(temperature=0.0, amounts=(0.0, 5.0)))
    eps = directions.steer(scene.sampler.tiles, 0, 0.0, directions=scene.directions, amounts=[0, 5.0])
    assert np.array_equal(pushed, scene.sampler(temperature=1.0, eps=eps))
    assert scene.find_directions() is scene.directions


def test_steps_make_the_same_picture():
    """With pauses between the pieces, and a grey level where they meet."""
    scene = viewer.Scene(cat(), viewer.load_model("4x-D"), is_original=True, step_edge=32)
    picture, pauses = through(scene.sample_in_steps(settings(), scene.sampler.rect))
    assert pauses == 2 * 3 - 1
    assert np.abs(picture.astype(int) - scene.sampler(0, 1.0)).max() <= 1


def test_what_is_on_show_is_not_the_first_to_go(scene):
    """However many left sides come and go, the answer beside them is not decoded again."""
    now = settings(seed=21, left="another sample")
    answer = scene.answer(now)
    for left_seed in range(30, 36):
        scene.frame(replace(now, left_seed=left_seed))
        assert scene.kept_answer(now) is answer


def test_exact_answers_are_kept(scene):
    now = settings(seed=11)
    assert scene.kept_answer(now) is None
    answer = scene.answer(now)
    assert scene.kept_answer(replace(now, share=0.5)) is answer, "the border does not change it"
    assert through(scene.answer_in_steps(now)) == (answer, 0)
    for seed in range(20, 25):
        scene.answer(settings(seed=seed))
    assert scene.kept_answer(now) is None, "only the last few are kept"


def test_left_sides(scene):
    answer = scene.answer(settings(share=1.0))
    sides = {
        "bicubic": scene.bicubic,
        "original": scene.original,
        "z = 0": scene.sampler(0, 0.0),
        "another sample": scene.sampler(4, 1.0),
    }
    for left, expected in sides.items():
        frame = scene.frame(settings(share=1.0, left=left, left_seed=4))
        assert np.array_equal(frame, expected), left
    half = scene.frame(settings(share=0.5))
    assert np.array_equal(half[:, 41:], answer[:, 41:])
    assert np.array_equal(half[:, :39], scene.bicubic[:, :39])


def test_the_left_side_is_of_the_region_too(scene):
    zoomed = settings(zoom=2, across=1.0, down=0.0, share=1.0, left="original")
    assert np.array_equal(scene.frame(zoomed), scene.original[:32, 40:])


def test_a_draft_is_near_the_answer_in_its_columns_and_black_elsewhere(scene):
    draft = scene.draft(settings(seed=2), 40, 80)
    assert np.abs(draft[:, 40:].astype(float) - scene.sampler(2, 1.0)[:, 40:]).mean() < 1
    assert not draft[:, :40].any()
    assert not scene.draft(settings(), 80, 80).any()


def test_descriptions_are_of_the_whole_answer(scene):
    lines, _ = through(scene.describe(settings(zoom=4)))
    scores = metrics.fidelity(scene.answer(settings()), scene.original, 4)
    assert lines[0] == "80 x 64 from 20 x 16 pixels"
    assert lines[2] == f"SR-VAE: PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}"
    assert lines[3].startswith("LR-PSNR")
    plain = viewer.Scene(lowres(), scene.sampler.model, is_original=False)
    assert len(through(plain.describe(settings()))[0]) == 2


def test_images_too_small_to_score_are_not_scored(scene):
    small = viewer.Scene(cat()[:16, :16], scene.sampler.model, is_original=True)
    assert len(through(small.describe(settings()))[0]) == 2
