"""What the view is made of, without widgets: settings, a scene's arrays, the pace of work, pictures for the screen."""

import asyncio
import json
import math
from dataclasses import replace

import numpy as np
import pytest

import srvae_core as sr
from srvae import directions, metrics, regions, viewer
from srvae.viewer import Scene, Settings, pictures
from srvae.viewer.pace import Pace
from srvae.viewer.scene import DRAFT_EDGE
from srvae.viewer.settings import REGIONS, Region, from_json, with_region, work_frame
from viewer_helpers import cat, inside, long, lowres, most, opened, until, wide

PLAIN = Settings("cat", "4x-D", temperature=1.0, seed=2.0, share=0.0)
REGION = Region((1, 2, 6, 7), 0.5, 6.25)


@pytest.fixture(scope="module")
def scene():
    return Scene(cat(), viewer.load_model("4x-D"), is_original=True)


def window(x):
    """The scene of a part of the long photograph."""
    return Scene(long(), viewer.load_model("4x-D"), is_original=False, work=(x, 0.5))


REFUSED = {"image": [1, None], "model": [4, ("4x-D",)], "temperature": [2.1, -0.1, math.nan, "1", True, None]}
REFUSED |= {"seed": [1000, -1, math.inf], "left_seed": [-0.5], "left": ["z = 0", None], "share": [1.1], "zoom": [17]}
REFUSED |= {"across": [2], "down": [-0.1], "amount": [(10.5,), ("1",), (0.0,) * 9], "work": [(0.5,), (0, 2)]}
REFUSED |= {"best": [3, {}], "region": [(REGION,) * (REGIONS + 1), (REGION.rect,)]}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_cannot_be_shown_are_refused_by_name(name):
    field = {"amount": "amounts", "region": "regions"}.get(name, name)
    for value in REFUSED[name]:
        with pytest.raises(ValueError, match=name):
            replace(PLAIN, **{field: value})


@pytest.mark.parametrize("rect", [(0, 0, 0, 4), (-1, 0, 2, 2), (0, 0, 2), (0.0, 0, 1, 1), (0, 0, True, 1)])
def test_regions_are_whole_pixels(rect):
    with pytest.raises(ValueError, match="a region is"):
        Region(rect, 0.5, 1.0)


def test_a_list_of_regions_is_as_good_as_a_tuple():
    assert {replace(PLAIN, regions=[REGION]).latents} == {replace(PLAIN, regions=(REGION,)).latents}


def test_settings_come_back_from_json():
    best = replace(PLAIN, seed=3.05, amounts=(0.5, -1), regions=(REGION,))
    settings = replace(best, best=best, left="best", zoom=2.5, work=(0.25, 1))
    values = json.loads(json.dumps(settings.as_json()))
    assert from_json(values) == settings
    region = values["regions"][0]
    wrong = [None, [], values | {"walk": 1}, {"image": "cat"}, values | {"regions": 1}, values | {"amounts": 1.5}]
    wrong += [values | {"best": {"seed": 1}}, values | {"seed": "3"}, values | {"work": None}]
    wrong += [values | {"regions": [region | change]} for change in ({"x": 1}, {"rect": 5})]
    for damaged in wrong:
        with pytest.raises(ValueError, match=r"another version, or damaged|are damaged|must be a number"):
            from_json(damaged)


def test_latents_are_what_the_answer_depends_on():
    for look in ({"zoom": 4.0}, {"share": 1.0}, {"left": "original"}, {"left_seed": 7.0}, {"best": PLAIN}):
        assert replace(PLAIN, **look).latents == PLAIN.latents
    for other in ({"seed": 3.0}, {"temperature": 0.5}, {"amounts": (1.0,)}, {"regions": (REGION,)}):
        assert replace(PLAIN, **other).latents != PLAIN.latents
    assert replace(PLAIN.single, seed=9.0).latents == PLAIN.single.latents
    twice = with_region(with_region(PLAIN, REGION.rect, 0.1, 1.0), REGION.rect, 0.2, 2.0)
    assert twice.regions == (Region(REGION.rect, 0.2, 2.0),), "the same rectangle is changed"


@pytest.mark.parametrize("step", [12, 24])
def test_the_part_in_work_is_aligned_inside_and_reaches_every_edge(step):
    for n in (1, 23, 95, 96, 97, 119, 120, 300, 301):
        for share in np.linspace(0, 1, 41):
            frame = work_frame((n, 400), (1 - share, share), 96, step)
            for start, side, whole, middle in ((*frame[::2], n, share), (*frame[1::2], 400, 1 - share)):
                assert start % step == 0
                assert min(whole, 96) <= side < 96 + step
                assert 0 <= start <= start + side <= whole
                assert start == 0 or start + side == whole or abs(start + side / 2 - middle * whole) <= step
                assert middle > 0 or start == 0
                assert middle < 1 or start + side == whole


def test_a_scene_shrinks_an_original_and_nothing_else(scene):
    assert np.array_equal(scene.lr, lowres())
    assert np.array_equal(scene.bicubic, sr.enlarge(lowres(), 4))
    assert Scene(lowres(), scene.sampler.model, is_original=False).original is None
    assert Scene(cat()[:61, :79], scene.sampler.model, is_original=True).original.shape == (60, 76, 3)
    with pytest.raises(ValueError, match="79 x 3 pixels are too few"):
        Scene(cat()[:3, :79], scene.sampler.model, is_original=True)


def test_what_is_visible_holds_the_part_and_stays_inside(scene):
    for zoom in (0.0, 1.0, 1.01, 2.75, 16.0):
        for across, down in ((0, 1), (1, 0), (0.33, 0.66)):
            top, left, height, width = scene.visible(replace(PLAIN, zoom=zoom, across=across, down=down))
            for start, side, whole in ((top, height, 16), (left, width, 20)):
                assert 0 <= start <= start + side <= whole
                assert -0.02 <= side - whole / max(zoom, 1) < 2
    for share, left, right in ((0, None, (0, 20)), (0.52, (0, 11), (10, 10)), (1, (0, 20), None)):
        for is_right, columns in ((False, left), (True, right)):
            rect = scene.beside_border(replace(PLAIN, share=share), right=is_right)
            assert rect == (columns and (0, columns[0], 16, columns[1]))


def test_samples_are_the_samplers(scene):
    assert np.array_equal(scene.sample(PLAIN), scene.sampler(2, 1.0))
    assert np.array_equal(scene.sample(PLAIN.single), scene.sampler(0, 0.0))
    eps = directions.steer(scene.sampler.tiles, 2.25, 0.7)
    between = scene.sample(replace(PLAIN, seed=2.25, temperature=0.7))
    assert np.array_equal(between, scene.sampler(temperature=1.0, eps=eps))
    parts = [(REGION.rect, directions.steer(scene.sampler.tiles, REGION.seed, REGION.temperature))]
    base = directions.steer(scene.sampler.tiles, 2.0, 1.0)
    latent_map = regions.blended(scene.sampler, base, parts, None)
    assert np.array_equal(scene.sample(replace(PLAIN, regions=(REGION,))), scene.sampler(latent_map=latent_map))


def test_answers_are_decoded_once_in_blocks_from_the_middle():
    scene = Scene(np.tile(wide(), (1, 2, 1)), viewer.load_model("4x-D"), is_original=True)
    every, part = scene.missing(PLAIN, scene.rect), (0, 0, 20, 10)
    assert (len(every), every[0]) == (3, (0, 48, 20, 48))
    assert not scene.knows(PLAIN, part)
    first = scene.answer(PLAIN, part).copy()
    assert scene.knows(replace(PLAIN, share=0.7, zoom=3.0), part)
    steps, answer = list(scene.steps(PLAIN, scene.rect)), scene.answer(PLAIN)
    assert [block for block, _ in steps] == [block for block in every if block[1]], "what was missing"
    assert all(np.array_equal(picture, inside(answer, block)) for block, picture in [*steps, (part, first)])
    assert most(answer, scene.sampler(2, 1.0)) <= 1
    for seed in range(10, 15):
        scene.missing(replace(PLAIN, seed=seed), part)
    assert not scene.knows(PLAIN, part), "only the last few are kept"


def test_drafts_are_near_the_answer_bounded_and_wait_for_nothing():
    scene, middle = window(0.5), (0, 128, 24, DRAFT_EDGE // 4)
    assert scene.draft(PLAIN, scene.rect) is None, "it was not encoded"
    scene.sampler.encoded(scene.sampler.with_context(middle))
    rect, draft = scene.draft(PLAIN, scene.rect)
    assert rect == middle
    assert np.abs(draft.astype(float) - scene.answer(PLAIN, middle)).mean() < 1
    assert np.array_equal(scene.draft(PLAIN, middle)[1], scene.answer(PLAIN, middle)), "the exact one if it is at hand"


def test_another_part_in_work_shows_the_same_sample():
    one, other = window(0.5), window(1.0)
    assert (one.frame, other.frame) == ((0, 24, 24, 512), (0, 48, 24, 512))
    noise = sr.noise(2, math.prod(sr.tile_grid((24, 560), 4)))
    for scene, first in ((one, 1), (other, 2)):
        assert np.array_equal(scene.noise(1.0, 2, ()), noise[first : first + scene.sampler.tiles])
    region = Region((4, 256, 12, 40), 1.0, 9.0)
    for settings in (PLAIN, replace(PLAIN, regions=(region,))):
        pair = [scene.sample(settings, (0, 250 - scene.frame[1], 24, 60)) for scene in (one, other)]
        assert most(*pair) <= 1
    assert most(pair[0], one.sample(PLAIN, (0, 226, 24, 60))) > 10, "the region is there"
    outside = replace(PLAIN, regions=(replace(region, rect=(0, 0, 24, 20)),))
    assert np.array_equal(other.sample(outside), other.sample(PLAIN))
    with pytest.raises(ValueError, match="is not inside"):
        one.check(replace(PLAIN, regions=(replace(region, rect=(0, 550, 24, 20)),)))


def test_the_exact_view_is_split_at_the_border(scene):
    settings = replace(PLAIN, share=0.5, left="original", zoom=2.0, across=1.0, down=0.0)
    frame, answer = scene.view(settings), scene.answer(PLAIN)
    assert np.array_equal(frame, pictures.split(cat()[:32, 40:], answer[:32, 40:], 0.5))
    mapped = scene.view(settings, np.linspace(0, 9, 32 * 40).reshape(32, 40))
    assert np.array_equal(mapped[:, :20], frame[:, :20])
    assert most(mapped[:, 21:], frame[:, 21:]) > 50
    plain = Scene(lowres(), scene.sampler.model, is_original=False)
    for left, words in (("original", "has no original"), ("best", "no sample was kept")):
        with pytest.raises(ValueError, match=words):
            plain.view(replace(PLAIN, left=left))


def test_descriptions_are_of_the_whole_answer(scene):
    def lines_of(scene):
        def run():
            found.append((yield from scene.describe(replace(PLAIN, zoom=4.0))))

        found = []
        list(run())
        return found[0]

    lines = lines_of(scene)
    scores = metrics.fidelity(scene.answer(PLAIN), scene.original, 4)
    assert lines[0] == "80 x 64 from 20 x 16 pixels"
    assert lines[2] == f"SR-VAE: PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}"
    assert lines[3].startswith("agrees with the small image")
    assert len(lines_of(Scene(lowres(), scene.sampler.model, is_original=False))) == 2
    assert len(lines_of(Scene(cat()[:16, :16], scene.sampler.model, is_original=True))) == 2, "too small"
    assert lines_of(window(0.0))[1].startswith("part of the photograph")


def test_one_thing_at_a_time():
    """What is due is replaced by what is newer, studies wait for one another, errors are shown."""
    steps, errors, running = [], [], []
    pace = Pace(errors.append, running.append)

    def work(name, count=3):
        for i in range(count):
            steps.append((name, i))
            yield 0.0
        if name == "wrong":
            raise ValueError(name)

    async def act():
        pace.later(0, work("old", 10**9))
        await until(lambda: steps)
        pace.later(0, work("new"))
        for name in ("first", "wrong", "last"):
            pace.start(work(name))
        await until(lambda: pace.is_idle)
        assert [step for step in steps if step[0] == "new"] == [("new", i) for i in range(3)]
        expected = [(name, i) for name in ("first", "wrong", "last") for i in range(3)]
        assert [step for step in steps if step[0] not in ("old", "new")] == expected
        assert ([str(error) for error in errors], running[-1]) == (["wrong"], False)
        for name in ("endless", "never"):
            pace.start(work(name, 10**9))
        await until(lambda: ("endless", 2) in steps)
        assert running[-1]
        pace.stop()
        count = len(steps)
        await asyncio.sleep(0.001)
        assert (len(steps), pace.is_idle, running[-1]) == (count, True, False)

    asyncio.run(act())
    pace.start(work("script"))
    assert steps[-3:] == [("script", i) for i in range(3)], "without a loop all steps are taken at once"


def test_pictures_for_the_screen(scene):
    assert pictures.as_rgb8(np.full((1, 1, 4), 0x1234, np.uint16)).tolist() == [[[0x12] * 3]]
    assert np.array_equal(pictures.as_rgb8(np.full((2, 3), 0.5)), np.full((2, 3, 3), 128, np.uint8))
    halves = np.repeat([[[0] * 3, [100] * 3], [[0] * 3, [200] * 3]], 40, 1).astype(np.uint8)
    assert np.array_equal(pictures.reduced(halves, 2), [[[0] * 3, [150] * 3]])
    assert pictures.reduced(halves, 80) is halves
    ramp = pictures.heat(np.array([[0.0, 1.0, 2.0]]))
    assert (np.diff(ramp.astype(int).sum(2)[0]) > 0).all()
    assert np.array_equal(pictures.heat(np.zeros((1, 1))), ramp[:, :1])
    assert np.array_equal(pictures.heat(np.ones((1, 1)), top=2.0), ramp[:, 1:2])
    black, grey = np.zeros((2, 10, 3), np.uint8), np.full((2, 10, 3), 9, np.uint8)
    assert pictures.split(black, grey, 0.5)[0, :, 0].tolist() == [0] * 5 + [255] + [9] * 4
    assert [pictures.split(black, grey, share).max() for share in (0, 1)] == [9, 0]
    titled = opened(pictures.captioned({"a": black, "b": grey}).data)
    assert titled.shape == (2 * (80 + 36) + 8, 400, 3), "magnified, with a line of text above each"
    prints = {pictures.fingerprint(scene.sampler(seed, 1.0)) for seed in range(5)}
    assert len(prints) >= 4
    answer = scene.sampler(0, 1.0)
    rounded = answer + (np.random.default_rng(0).random(answer.shape) < 1e-4).astype(np.uint8) * (answer < 255)
    assert pictures.fingerprint(rounded) in prints
