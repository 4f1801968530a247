"""An answer by strips is the answer of the whole image, and takes the memory of a strip."""

import numpy as np
import pytest

import srvae_core as sr
from pictures import levels, picture
from srvae.enlarging.strips import NoiseRows, Strips

BLOCK = 128  # small, so that small images have several strips and columns


def whole(model: sr.SRVAE, lr: np.ndarray, seed: int, temperature: float) -> np.ndarray:
    """The answer to an image in one piece, of blocks as the strips have."""
    return sr.like_given(sr.Sampler(model, lr, cache=False, block=BLOCK)(seed, temperature), lr, model.scale)


def by_strips(model: sr.SRVAE, lr: np.ndarray, seed: int, temperature: float, **options: object) -> np.ndarray:
    strips = Strips(model, lr, block=BLOCK, **options)
    answer = np.concatenate(list(strips.bands(seed, temperature)))
    assert answer.shape == (strips.picture.height, strips.picture.width, strips.picture.channels)
    return answer


@pytest.mark.parametrize(
    ("scale", "height", "width"), [(4, 110, 6), (4, 10, 40), pytest.param(8, 64, 4, marks=pytest.mark.slow)]
)
def test_strips_are_the_whole(scale, height, width, random_model):
    model, lr = random_model(scale), picture(height, width)
    strips = Strips(model, lr, block=BLOCK)
    assert len(strips.rows) > 2 or len(strips.columns) > 2
    calm = by_strips(model, lr, 0, 0.0)
    np.testing.assert_array_equal(calm, whole(model, lr, 0, 0.0))
    # Matrix products of few rows and of many differ in the last bits of float32, so one level in places.
    # So much noise that what reaches into a strip from far away is seen.
    drawn, expected = by_strips(model, lr, 5, 40.0), whole(model, lr, 5, 40.0)
    assert levels(drawn, expected) <= 1
    assert (drawn != expected).mean() < 2e-4
    assert levels(drawn, calm) > 3  # noise was drawn, and the right one


def test_noise_by_rows_is_the_whole_noise():
    """To the bit, whatever rows a window leaves out; and no more is kept than a window has."""
    whole = sr.noise(5, 7 * 3)
    rows = NoiseRows(5, 3)
    for first, count in ((0, 2), (1, 2), (1, 3), (5, 2)):
        np.testing.assert_array_equal(rows.window(first, count), whole[3 * first : 3 * (first + count)])
        assert len(rows.kept) == count


def test_sixteen_bit(random_model):
    lr = picture(40, 6).astype(np.uint16) * 257
    np.testing.assert_array_equal(by_strips(random_model(4), lr, 0, 0.0), whole(random_model(4), lr, 0, 0.0))


def test_alpha_and_what_it_hides(random_model):
    model, lr = random_model(4), picture(70, 8, 4)
    lr[25:46, :, 3] = 0  # nearly a whole strip, which takes its colours from others
    np.testing.assert_array_equal(by_strips(model, lr, 0, 0.0), whole(model, lr, 0, 0.0))


def test_grey(random_model):
    model, grey = random_model(4), np.repeat(picture(40, 6, 1), 3, 2)
    expected = whole(model, grey, 0, 0.0)
    np.testing.assert_array_equal(by_strips(model, grey, 0, 0.0), expected)  # a colour file's grey stays in colour
    np.testing.assert_array_equal(by_strips(model, grey, 0, 0.0, grey=True), expected[..., :1])
    see_through = np.concatenate([grey, picture(40, 6, 1)], 2)
    np.testing.assert_array_equal(
        by_strips(model, see_through, 0, 0.0, grey=True), whole(model, see_through, 0, 0.0)[..., 2:]
    )


def test_grey_rows_of_a_coloured_image(random_model):
    lr = picture(70, 6)
    lr[:60] = lr[:60, :, :1]
    np.testing.assert_array_equal(by_strips(random_model(4), lr, 0, 0.0), whole(random_model(4), lr, 0, 0.0))
    assert by_strips(random_model(4), lr, 0, 0.0, grey=True).shape[2] == 3  # a file that says grey and is not


def test_samples_share_one_encoding(random_model, monkeypatch):
    model, lr = random_model(4), picture(40, 6)
    alone = [by_strips(model, lr, seed, 1.0) for seed in (1, 2)]
    encoded = []
    encode = sr.SRVAE.features
    monkeypatch.setattr(sr.SRVAE, "features", lambda net, up: encoded.append(up.shape) or encode(net, up))
    strips = Strips(model, lr, samples=2, block=BLOCK)
    first = np.concatenate(list(strips.bands(1, 1.0)))
    once = len(encoded)
    second = np.concatenate(list(strips.bands(2, 1.0)))
    assert len(encoded) == once > 0
    assert max(levels(first, alone[0]), levels(second, alone[1])) <= 1
    monkeypatch.setattr("srvae.enlarging.strips.CACHED", 0)  # an image too large to keep
    assert levels(np.concatenate(list(Strips(model, lr, samples=2, block=BLOCK).bands(2, 1.0))), alone[1]) <= 1
    assert len(encoded) > once


def test_windows_do_not_grow_with_the_image(random_model, monkeypatch):
    seen = []

    class Watched(sr.Sampler):
        def __init__(self, model, lr, **options):
            seen.append(lr.shape[0])
            super().__init__(model, lr, **options)

    monkeypatch.setattr(sr, "Sampler", Watched)
    for height in (150, 300):
        seen.clear()
        next(Strips(random_model(4), np.zeros((height, 4, 3), np.uint8), block=BLOCK).bands(0, 0.0))
        assert seen[0] < 140


def test_every_block_is_counted(random_model):
    made = []
    strips = Strips(random_model(4), picture(40, 33), block=BLOCK)
    list(strips.bands(0, 0.0, made.append))
    assert sum(made) == 40 * 33 * 16
    assert len(made) == (len(strips.rows) - 1) * (len(strips.columns) - 1) == 4
