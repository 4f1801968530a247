"""PSNR, SSIM, LR-PSNR, diversity and spread against computations written another way."""

import math
from functools import partial

import numpy as np
import pytest
import scipy.signal
import skimage.metrics

import srvae_core as sr
from srvae import metrics

RNG = np.random.default_rng(1)


@pytest.fixture(scope="module")
def pair(crops):
    """(answer, reference), (256, 256, 3) uint8."""
    hr = crops["chelsea"]
    return sr.enlarge(sr.downscale(hr, 4), 4), hr


def luma(image: np.ndarray) -> np.ndarray:
    """MATLAB's rgb2ycbcr, channel 0, unrounded: 16 to 235."""
    r, g, b = (image[..., i].astype(np.float64) for i in range(3))
    return 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255


def gaussian_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """SSIM as its authors' script has it: 11x11 Gaussian, only whole windows."""
    g = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(g, g) / g.sum() ** 2
    mean = partial(scipy.signal.convolve2d, in2=window, mode="valid")
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))


@pytest.mark.parametrize("border", [0, 4, 8])
def test_psnr_and_ssim_are_taken_on_y_of_colour_and_grey_images(pair, border):
    for a, b in (pair, [i[..., 0] for i in pair]):
        x, y = (luma(sr.as_rgb(i))[border : 256 - border, border : 256 - border] for i in (a, b))
        wanted = skimage.metrics.peak_signal_noise_ratio(y, x, data_range=255)
        assert metrics.psnr_y(a, b, border) == pytest.approx(wanted, abs=1e-9)
        assert metrics.ssim_y(a, b, border) == pytest.approx(gaussian_ssim(x, y), abs=1e-9)


def test_psnr_of_equal_images_is_infinite_and_ssim_1(pair):
    _, image = pair
    assert metrics.fidelity(image, image, 4) == {"psnr": math.inf, "ssim": pytest.approx(1)}


def test_float_is_neither_clipped_nor_rounded(pair):
    a, b = pair
    assert metrics.psnr_y(a / 255, b, 4) == pytest.approx(metrics.psnr_y(a, b, 4), abs=1e-9)
    assert metrics.ssim_y(a / 255, b / 255, 4) == pytest.approx(metrics.ssim_y(a, b, 4), abs=1e-9)
    assert metrics.psnr_y(a.astype(np.uint16) * 257, b, 4) == pytest.approx(metrics.psnr_y(a, b, 4), abs=1e-9)
    beyond = a / 255 * 1.4 - 0.2  # reaches below 0 and above 1
    error = np.mean((luma(beyond * 255) - luma(b)) ** 2)
    assert metrics.psnr_y(beyond, b, 0) == pytest.approx(10 * math.log10(255**2 / error), abs=1e-9)


def test_grey_levels_score_channel_0_of_grey_references(pair):
    psnr, ssim = (partial(f, grey_levels=True) for f in (metrics.psnr_y, metrics.ssim_y))
    a, b = (i[..., 0] for i in pair)
    wanted = skimage.metrics.peak_signal_noise_ratio(b, a, data_range=255)
    three = [np.repeat(i[..., None], 3, 2) for i in (a, b)]
    assert psnr(*three, 0) == pytest.approx(wanted, abs=1e-9)
    assert ssim(*three, 0) == pytest.approx(gaussian_ssim(a.astype(float), b.astype(float)), abs=1e-9)
    one_pixel = three[1].copy()
    one_pixel[128, 128, 1] ^= 1  # no longer grey
    assert psnr(three[0], one_pixel, 0) > wanted + 1
    assert psnr(*pair, 4) == metrics.psnr_y(*pair, 4), "colour images are scored on Y"


def test_only_the_border_is_left_out(pair):
    a, b = (i.copy() for i in pair)
    before = metrics.psnr_y(a, b, 4), metrics.ssim_y(a, b, 4)
    for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
        a[edge] = 0
    assert (metrics.psnr_y(a, b, 4), metrics.ssim_y(a, b, 4)) == before
    a[4, 4] = 0
    assert metrics.psnr_y(a, b, 4) < before[0]


def test_lr_psnr_compares_the_downscaled_answer(pair):
    a, b = pair
    lr = sr.downscale(b, 4)
    down = sr.downscale(a / 255, 4)
    wanted = skimage.metrics.peak_signal_noise_ratio(lr / 255, down, data_range=1)
    assert metrics.lr_psnr(a, lr, 4) == pytest.approx(wanted, abs=1e-3)  # single precision inside
    assert metrics.lr_psnr(b, lr, 4) > 55, "an 8-bit LR image is within rounding of the original's"
    assert metrics.lr_psnr(np.zeros((32, 32), np.uint8), np.zeros((8, 8), np.uint8), 4) == math.inf


def naive_diversity(samples: list[np.ndarray], hr: np.ndarray) -> float:
    """Loops in the place of filters; a 16x16 box reaches from 8 pixels before to 7 after, mirrored at the border."""
    maps = []
    for sample in samples:
        error = ((sample.astype(float) - hr) ** 2).mean(2)
        wide = np.pad(error, ((8, 7), (8, 7)), mode="reflect")
        box = np.zeros_like(error)
        for y in range(error.shape[0]):
            for x in range(error.shape[1]):
                box[y, x] = wide[y : y + 16, x : x + 16].mean()
        maps.append(box)
    best = min(m.mean() for m in maps)
    return 100 * (best - np.minimum.reduce(maps).mean()) / best


def test_diversity_against_loops(crops):
    hr = crops["astronaut"][:40, :56]
    samples = [hr + RNG.normal(0, 1 + 9 * RNG.random((40, 1, 1)), hr.shape) for _ in range(3)]
    samples = [s.clip(0, 255).astype(np.uint8) for s in samples]
    assert metrics.diversity(samples, hr) == pytest.approx(naive_diversity(samples, hr), rel=1e-9)


def test_diversity_is_0_for_one_best_sample_and_100_where_each_place_has_a_right_one():
    hr = np.full((64, 96, 3), 100, np.uint8)
    assert metrics.diversity([hr + 5, hr + 5, hr + 5], hr) == pytest.approx(0), "no two differ"
    assert metrics.diversity([hr + 5, hr + 20], hr) == pytest.approx(0), "one is better everywhere"
    dots = [hr.copy() for _ in range(2)]
    dots[0][8::32, 8::32] += 50
    dots[1][24::32, 24::32] += 50  # far enough apart for their boxes not to meet
    assert metrics.diversity(dots, hr) == pytest.approx(100)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: metrics.psnr_y(a[:-1], b, 0), "differ in size"),
        (lambda a, b: metrics.psnr_y(a, b, -1), "border of -1 leaves nothing of 256x256"),
        (lambda a, b: metrics.ssim_y(a[:10], b[:10], 0), "SSIM needs 11x11 pixels, 10x256 are left"),
        (lambda a, b: metrics.ssim_y(a, b * np.nan, 0), "the second image has NaN"),
        (lambda a, b: metrics.lr_psnr(a, b[:64, :64], 8), r"\(256, 256, 3\) is not 8 times lr \(64, 64, 3\)"),
        (lambda a, b: metrics.diversity([a], b), "at least two samples, not 1"),
        (lambda a, b: metrics.diversity([a, a[:-1]], b), "a sample is of shape"),
    ],
)
def test_images_that_do_not_fit_are_refused(pair, call, message):
    with pytest.raises(ValueError, match=message):
        call(*pair)


def test_niqe_fits_images_of_two_blocks():
    sizes = [(96, 191), (96, 192), (192, 96), (103, 199), (104, 200), (5, 5)]
    assert [metrics.niqe_fits(size, 0) for size in sizes] == [False, True, True, True, True, False]
    assert [metrics.niqe_fits(size, 4) for size in sizes] == [False, False, False, False, True, False]


@pytest.mark.parametrize("shape", [(7, 5, 6, 3), (7, 5, 6)])
def test_spread_is_the_standard_deviation(shape):
    samples, spread = RNG.integers(0, 256, shape, np.uint8), metrics.Spread()
    for sample in samples:
        spread.add(sample)
    np.testing.assert_allclose(spread.deviation, np.atleast_3d(samples.std(0)).mean(2))
