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
def test_psnr_and_ssim_on_y(pair, border):
    """Grey images are converted to Y like any others."""
    for a, b in (pair, [i[..., 0] for i in pair]):
        x, y = (luma(sr.as_rgb(i))[border : 256 - border, border : 256 - border] for i in (a, b))
        wanted = skimage.metrics.peak_signal_noise_ratio(y, x, data_range=255)
        assert metrics.psnr_y(a, b, border) == pytest.approx(wanted, abs=1e-9)
        assert metrics.ssim_y(a, b, border) == pytest.approx(gaussian_ssim(x, y), abs=1e-9)


def test_known_values():
    grey = np.full((16, 16, 3), 100, np.uint8)
    assert metrics.psnr_y(grey + 10, grey, 0, grey_levels=True) == pytest.approx(20 * math.log10(255 / 10))
    assert metrics.psnr_y(grey + 10, grey, 0) == pytest.approx(20 * math.log10(255 / (10 * 219 / 255)), abs=1e-4)
    coloured = grey + np.array([0, 1, 0], np.uint8)
    wanted = 20 * math.log10(255 / (10 * (65.481 + 128.553 + 24.966) / 255))
    assert metrics.psnr_y(coloured + 10, coloured, 0) == pytest.approx(wanted)
    assert metrics.psnr_y(grey, grey, 0) == math.inf
    assert metrics.ssim_y(grey, grey, 2) == pytest.approx(1)


def test_float_is_neither_clipped_nor_rounded(pair):
    a, b = pair
    assert metrics.psnr_y(a / 255, b, 4) == pytest.approx(metrics.psnr_y(a, b, 4), abs=1e-9)
    assert metrics.ssim_y(a / 255, b / 255, 4) == pytest.approx(metrics.ssim_y(a, b, 4), abs=1e-9)
    assert metrics.psnr_y(a.astype(np.uint16) * 257, b, 4) == pytest.approx(metrics.psnr_y(a, b, 4), abs=1e-9)
    beyond = a / 255 * 1.4 - 0.2  # reaches below 0 and above 1
    error = np.mean((luma(beyond * 255) - luma(b)) ** 2)
    assert metrics.psnr_y(beyond, b, 0) == pytest.approx(10 * math.log10(255**2 / error), abs=1e-9)
    assert metrics.psnr_y(beyond, b, 0) != pytest.approx(metrics.psnr_y(beyond.clip(0, 1), b, 0), abs=1e-3)


def test_the_releases_rule_for_grey_references(pair):
    """Where the reference has R == G everywhere, channel 0 of both: 0 to 255 and not 16 to 235."""
    psnr, ssim = (partial(f, grey_levels=True) for f in (metrics.psnr_y, metrics.ssim_y))
    a, b = (i[..., 0] for i in pair)
    wanted = skimage.metrics.peak_signal_noise_ratio(b, a, data_range=255)
    three = [np.repeat(i[..., None], 3, 2) for i in (a, b)]
    assert psnr(a, b, 0) == pytest.approx(wanted, abs=1e-9)
    assert psnr(*three, 0) == pytest.approx(wanted, abs=1e-9)
    assert ssim(*three, 0) == pytest.approx(gaussian_ssim(a.astype(float), b.astype(float)), abs=1e-9)
    tinted = three[0].copy()
    tinted[..., 1:] = 0  # the answer's other channels do not count then
    assert psnr(tinted, three[1], 0) == pytest.approx(wanted, abs=1e-9)
    one_pixel = three[1].copy()
    one_pixel[128, 128, 1] ^= 1  # no longer grey
    assert psnr(three[0], one_pixel, 0) > wanted + 1
    assert psnr(*pair, 4) == metrics.psnr_y(*pair, 4), "of colour images the rule says nothing"


def test_only_the_border_is_left_out(pair):
    a, b = (i.copy() for i in pair)
    before = metrics.psnr_y(a, b, 4), metrics.ssim_y(a, b, 4)
    for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
        a[edge] = 0
    assert (metrics.psnr_y(a, b, 4), metrics.ssim_y(a, b, 4)) == before
    a[4, 4] = 0
    assert metrics.psnr_y(a, b, 4) < before[0]


def test_lr_psnr(pair):
    a, b = pair
    lr = sr.downscale(b, 4)
    down = sr.downscale(a / 255, 4)
    wanted = skimage.metrics.peak_signal_noise_ratio(lr / 255, down, data_range=1)
    assert metrics.lr_psnr(a, lr, 4) == pytest.approx(wanted, abs=1e-3)  # single precision inside
    assert metrics.lr_psnr(b, lr, 4) > 55, "an 8-bit LR image is within rounding of the original's"
    flat = np.full((32, 32, 3), 128, np.uint8)
    assert metrics.lr_psnr(flat, flat[:8, :8] - 1, 4) == pytest.approx(20 * math.log10(255), abs=1e-3)
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
    assert 0 < metrics.diversity(samples, hr) < 100
    as_float = [s / 255 for s in samples]
    assert metrics.diversity(as_float, hr) == pytest.approx(metrics.diversity(samples, hr), rel=1e-9)


def test_diversity_at_its_extremes():
    hr = np.full((64, 96, 3), 100, np.uint8)
    assert metrics.diversity([hr + 5, hr + 5, hr + 5], hr) == pytest.approx(0), "no two differ"
    assert metrics.diversity([hr + 5, hr + 20], hr) == pytest.approx(0), "one is better everywhere"
    assert metrics.diversity([hr, hr + 20], hr) == 0.0, "one is right everywhere"
    left, right = hr.copy(), hr.copy()
    left[:, :48] += 30
    right[:, 48:] += 30
    assert 80 < metrics.diversity([left, right], hr) < 100, "each is right in one half, up to the box at their border"
    dots = [hr.copy() for _ in range(2)]
    dots[0][8::32, 8::32] += 50
    dots[1][24::32, 24::32] += 50  # far enough apart for their boxes not to meet
    assert metrics.diversity(dots, hr) == pytest.approx(100)


GREY = np.full((32, 32, 3), 100, np.uint8)
NAN, WHOLE = np.full((32, 32, 3), np.nan), "a whole number, not"


def test_what_cannot_be_scored_is_refused_in_a_sentence(pair):
    a, b = pair
    for call, error, message in (
        (lambda: metrics.psnr_y(a[:-1], b, 0), ValueError, "differ in size"),
        (lambda: metrics.psnr_y(a, b, -1), ValueError, "border of -1 leaves nothing of 256x256"),
        (lambda: metrics.ssim_y(a, b, 128), ValueError, "border of 128 leaves nothing of 256x256"),
        (lambda: metrics.fidelity(GREY[:3, :3], GREY[:3, :3], 4), ValueError, "border of 4 leaves nothing of 3x3"),
        (lambda: metrics.ssim_y(a[:10], b[:10], 0), ValueError, "SSIM needs 11x11 pixels, 10x256 are left"),
        (lambda: metrics.psnr_y(GREY, GREY, 4.0), TypeError, f"border must be {WHOLE} 4.0"),
        (lambda: metrics.ssim_y(GREY, GREY, "4"), TypeError, f"border must be {WHOLE} '4'"),
        (lambda: metrics.psnr_y(GREY, GREY, True), TypeError, f"border must be {WHOLE} True"),
        (lambda: metrics.psnr_y([[1]], b, 0), TypeError, "the first image must be a plain NumPy array, not list"),
        (lambda: metrics.ssim_y(a, b * np.nan, 0), ValueError, "the second image has NaN"),
        (lambda: metrics.fidelity(GREY, GREY > 1, 4), TypeError, "the second image must be uint8.* not bool"),
        (lambda: metrics.lr_psnr(a, b[:64, :64], 8), ValueError, r"\(256, 256, 3\) is not 8 times lr \(64, 64, 3\)"),
        (lambda: metrics.lr_psnr(GREY, GREY[:8, :8], 4.0), TypeError, f"scale must be {WHOLE} 4.0"),
        (lambda: metrics.lr_psnr(GREY, GREY[:8, :8], 0), ValueError, "is not 0 times lr"),
        (lambda: metrics.lr_psnr(NAN, GREY[:8, :8], 4), ValueError, "out has NaN"),
        (lambda: metrics.diversity([a], b), ValueError, "at least two samples, not 1"),
        (lambda: metrics.diversity([a, a[:-1]], b), ValueError, "a sample is of shape"),
        (lambda: metrics.diversity([a[:1, :1], a[:1, :1]], b), ValueError, "a sample is of shape"),
        (lambda: metrics.diversity([GREY, NAN], GREY), ValueError, "a sample has NaN"),
        (lambda: metrics.diversity([GREY, GREY], NAN), ValueError, "hr has NaN"),
        (lambda: metrics.niqe_luma(GREY, 4.0), TypeError, f"border must be {WHOLE} 4.0"),
        (lambda: metrics.niqe_luma(GREY, -4), ValueError, "a border cannot be -4 pixels wide"),
        (lambda: metrics.niqe_luma(NAN), ValueError, "image has NaN"),
    ):
        with pytest.raises(error, match=message):
            call()


def test_numbers_alpha_and_layouts_in_memory_change_no_score(pair):
    a, b = pair
    scores = {"psnr": metrics.psnr_y(a, b, 4), "ssim": metrics.ssim_y(a, b, 4)}
    turned = np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1]  # negative strides
    locked, alpha = a.copy(), RNG.integers(0, 256, a.shape[:2], dtype=np.uint8)
    locked.flags.writeable = False
    for same in (a, turned, locked, np.asfortranarray(a), np.dstack([a, alpha])):
        assert metrics.fidelity(same, b, np.int64(4)) == scores
    assert metrics.lr_psnr(a, sr.downscale(b, 4), np.uint8(4)) == metrics.lr_psnr(a, sr.downscale(b, 4), 4)
    assert metrics.diversity(iter([a, b]), b) == metrics.diversity([a, b], b)


def test_niqe_fits_where_two_blocks_do():
    sizes = [(96, 191), (96, 192), (192, 96), (103, 199), (104, 200), (5, 5)]
    assert [metrics.niqe_fits(size, 0) for size in sizes] == [False, True, True, True, True, False]
    assert [metrics.niqe_fits(size, 4) for size in sizes] == [False, False, False, False, True, False]


def test_spread_is_the_standard_deviation_of_samples_of_one_kind():
    samples = np.random.default_rng(0).integers(0, 256, (7, 5, 6, 3), np.uint8)
    spread = metrics.Spread()
    spread.add(samples[0])
    with pytest.raises(ValueError, match="two samples"):
        _ = spread.deviation
    for wrong, error, message in (
        (samples[0, :1], ValueError, r"a sample is of shape \(1, 6, 3\), those before it of \(5, 6, 3\)"),
        (samples[0, ..., 0], ValueError, "those before it of"),
        (samples[0] * np.nan, ValueError, "a sample has NaN"),
        (samples[0].tolist(), TypeError, "a sample must be a plain NumPy array, not list"),
    ):
        with pytest.raises(error, match=message):
            spread.add(wrong)
    for sample in samples[1:]:
        spread.add(sample)
    assert spread.count == 7
    assert np.allclose(spread.deviation, samples.astype(float).std(0).mean(2))
    grey = metrics.Spread()
    for sample in samples[..., 0]:
        grey.add(sample)
    assert np.allclose(grey.deviation, samples[..., 0].astype(float).std(0))
