"""A scene without widgets: plain settings in, pictures out."""

import math
from dataclasses import replace

import numpy as np
import pytest

import srvae_core as sr
from srvae import directions, metrics, regions, viewer
from srvae.viewer.settings import DIRECTIONS, Latents, Region
from viewer_helpers import cat, inside, lowres, settings, wide


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
    region = Region(1, 2, 3, 4, 0.5, 9.0, (0.0, 1.0))
    plain = settings(seed=3.5, amounts=(0.5, -1.0), regions=(region,), best=Latents(0.3, 1.0), work_across=0.25)
    amounts = plain.amounts + (0.0,) * (len(DIRECTIONS) - 2)
    values = {name: value for name, value in vars(plain).items() if name != "latents"}
    values |= {"temperature": plain.temperature, "seed": plain.seed, "regions": plain.latents.regions}
    read = viewer.Settings.of(values | dict(zip(DIRECTIONS, amounts, strict=True)))
    assert read == plain.at(replace(plain.latents, amounts=amounts))
    assert read.with_seed(7).latents == replace(read.latents, seed=7)
    assert read.at_zero().latents == Latents(0.0, 0.0)
    for look in ({"zoom": 4.0}, {"share": 1.0}, {"left": "original"}, {"best": None}):
        assert replace(read, **look).latents == read.latents, "they do not change the sample"


def test_region_stays_inside(scene):
    for zoom in (1.0, 1.01, 1.5, 2.75, 5.0, 16.0):
        for across, down in ((0, 1), (1, 0), (0.33, 0.66)):
            top, left, h, w = scene.region(settings(zoom=zoom, across=across, down=down))
            assert min(top, left) >= 0
            assert top + h <= scene.lr.shape[0]
            assert left + w <= scene.lr.shape[1]
            assert min(h, w) >= 1


def test_samples_are_the_samplers(scene):
    assert np.array_equal(scene.sample(settings(seed=3, temperature=0.7)), scene.sampler(3, 0.7))
    assert np.array_equal(scene.sample(settings(seed=3, temperature=0.0)), scene.sampler(0, 0.0))
    eps = directions.steer(scene.sampler.tiles, 3.25, 0.7)
    between = scene.sample(settings(seed=3.25, temperature=0.7))
    assert np.array_equal(between, scene.sampler(temperature=1.0, eps=eps))
    pushed = scene.sample(settings(temperature=0.0, amounts=(0.0, 5.0)))
    eps = directions.steer(scene.sampler.tiles, 0, 0.0, directions=scene.directions, amounts=[0, 5.0])
    assert np.array_equal(pushed, scene.sampler(temperature=1.0, eps=eps))
    assert scene.find_directions() is scene.directions


def test_regions_are_blended_in_their_order(scene):
    below, above = Region(0, 0, 20, 16, 0.0, 0.0), Region(4, 2, 10, 9, 0.7, 6.5)
    picture = scene.sample(settings(regions=(below, above)))
    noises = [directions.steer(scene.sampler.tiles, seed, t) for seed, t in ((0, 1.0), (6.5, 0.7))]
    parts = [(below.rect, None), (above.rect, noises[1])]
    latent_map = regions.blended(scene.sampler, noises[0], parts, scene.sampler.rect)
    assert np.array_equal(picture, scene.sampler(latent_map=latent_map))
    assert not np.array_equal(picture, scene.sample(settings(regions=(above, below))))
    part = scene.sample(settings(regions=(below, above)), (2, 3, 8, 9))
    assert np.abs(part.astype(int) - picture[8:40, 12:48]).max() <= 1, "only what is seen is blended"


def test_steps_make_the_same_picture():
    """With pauses between the pieces, and a grey level where they meet."""
    scene = viewer.Scene(cat(), viewer.load_model("4x-D"), is_original=True, step_edge=32)
    picture, pauses = through(scene.sample_in_steps(settings(), scene.sampler.rect))
    assert pauses == 2 * 3 - 1
    assert np.abs(picture.astype(int) - scene.sampler(0, 1.0)).max() <= 1


# Exact answers.


ORDERS = [
    [(0, 0, 16, 20)],
    [(5, 7, 3, 4), (0, 0, 16, 20)],
    [(12, 15, 4, 5), (0, 0, 9, 9), (3, 3, 10, 10), (0, 0, 16, 20)],
]


def test_exact_answers_are_the_same_bytes_whatever_was_looked_at_first():
    for edge in (32, 24):
        pictures = []
        for order in ORDERS:
            scene = viewer.Scene(cat(), viewer.load_model("4x-D"), is_original=True, step_edge=edge)
            for region in order:
                part = scene.answer(settings(seed=2), region).copy()
            pictures.append(part)
            for region in order:
                assert np.array_equal(scene.answer(settings(seed=2), region), inside(part, region))
        assert all(np.array_equal(picture, pictures[0]) for picture in pictures)
        assert np.abs(pictures[0].astype(int) - scene.sampler(2, 1.0)).max() <= 1


def test_what_is_known_is_not_decoded_again():
    scene = viewer.Scene(cat(), viewer.load_model("4x-D"), is_original=True, step_edge=32)
    now, region = settings(seed=11), (1, 1, 6, 7)
    assert not scene.knows(now, region)
    scene.answer(now, region)
    assert scene.knows(now, region)
    assert scene.knows(replace(now, share=0.5, zoom=3.0), (0, 0, 8, 14)), "the pieces that hold it; not the border"
    assert not scene.knows(now, (0, 0, 8, 15))
    assert not scene.knows(now, (0, 0, 9, 14))
    assert not scene.knows(now.with_seed(12), region)
    answer, pauses = through(scene.answer_in_steps(now, scene.whole))
    assert pauses == 4, "of six pieces two were there"
    assert through(scene.answer_in_steps(now, scene.whole))[1] == 0
    assert np.shares_memory(scene.answer(now, scene.whole), answer)


def test_pieces_come_from_the_middle_outwards_and_are_shown():
    scene = viewer.Scene(wide(), viewer.load_model("4x-D"), is_original=True, step_edge=32)
    pieces = []
    answer, _ = through(scene.answer_in_steps(settings(), scene.whole, lambda *piece: pieces.append(piece)))
    away = [math.hypot(top + h / 2 - 10, left + w / 2 - 36) for (top, left, h, w), _ in pieces]
    assert away == sorted(away)
    assert away[0] == 0, "one lies in the middle"
    assert len(pieces) == 3 * 9
    for rect, picture in pieces:
        assert np.array_equal(picture, inside(answer, rect))


def test_what_is_on_show_is_not_the_first_to_go(scene):
    """However many left sides come and go, the answer beside them is not decoded again."""
    now = settings(seed=21, left="another sample")
    scene.answer(now)
    for left_seed in range(30, 36):
        scene.frame(replace(now, left_seed=left_seed))
        assert scene.knows(now, scene.whole)
    for seed in range(20, 25):
        scene.answer(settings(seed=seed))
    assert not scene.knows(settings(seed=20), scene.whole), "only the last few are kept"


# Both sides.


def test_left_sides(scene):
    answer = scene.answer(settings(share=1.0))
    sides = {
        "bicubic": scene.bicubic,
        "original": scene.original,
        "z = 0": scene.sampler(0, 0.0),
        "another sample": scene.sampler(4, 1.0),
        "best": scene.sampler(9, 0.4),
    }
    for left, expected in sides.items():
        frame = scene.frame(settings(share=1.0, left=left, left_seed=4, best=Latents(0.4, 9.0)))
        assert np.array_equal(frame, expected), left
    half = scene.frame(settings(share=0.5))
    assert np.array_equal(half[:, 41:], answer[:, 41:])
    assert np.array_equal(half[:, :39], scene.bicubic[:, :39])


def test_the_left_side_is_of_the_region_too(scene):
    zoomed = settings(zoom=2, across=1.0, down=0.0, share=1.0, left="original")
    assert np.array_equal(scene.frame(zoomed), scene.original[:32, 40:])


def test_a_left_side_that_is_not_there_is_refused(scene):
    with pytest.raises(ValueError, match="no sample was kept as the best yet"):
        scene.frame(settings(share=1.0, left="best"))
    plain = viewer.Scene(lowres(), scene.sampler.model, is_original=False)
    with pytest.raises(ValueError, match="no original to compare with"):
        plain.check(settings(left="original"))


def test_a_region_of_any_sample_must_be_inside(scene):
    outside = Region(15, 0, 6, 2, 1.0, 1.0)
    for wrong in (settings(regions=(outside,)), settings(best=Latents(1.0, 0.0, (), (outside,)))):
        with pytest.raises(ValueError, match=r"\(0, 15, 2, 6\) \(top, left, height, width\) is not inside 16x20"):
            scene.check(wrong)


@pytest.mark.parametrize(
    ("share", "left", "right"),
    [(0, None, (0, 20)), (0.5, (0, 10), (10, 10)), (0.52, (0, 11), (10, 10)), (1, (0, 20), None)],
)
def test_what_lies_beside_the_border(scene, share, left, right):
    for side, columns in ((False, left), (True, right)):
        rect = scene.beside_border(settings(share=share), right=side)
        assert rect == (columns and (0, columns[0], 16, columns[1]))


def test_a_draft_is_near_the_answer(scene):
    draft = scene.sample(settings(seed=2), (0, 10, 16, 10), draft=True)
    assert np.abs(draft.astype(float) - scene.sampler(2, 1.0)[:, 40:]).mean() < 1


# Scores.


def test_descriptions_are_of_the_whole_answer(scene):
    lines, _ = through(scene.describe(settings(zoom=4.0)))
    scores = metrics.fidelity(scene.answer(settings()), scene.original, 4)
    assert lines[0] == "80 x 64 from 20 x 16 pixels"
    assert lines[2] == f"SR-VAE: PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}"
    assert lines[3].startswith("LR-PSNR")
    plain = viewer.Scene(lowres(), scene.sampler.model, is_original=False)
    assert len(through(plain.describe(settings()))[0]) == 2


def test_images_too_small_to_score_are_not_scored(scene):
    small = viewer.Scene(cat()[:16, :16], scene.sampler.model, is_original=True)
    assert len(through(small.describe(settings()))[0]) == 2
