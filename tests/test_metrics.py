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
    a, b = pair
    x, y = (luma(i)[border : 256 - border, border : 256 - border] for i in (a, b))
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


def test_grey_images_are_converted_like_any_others(pair):
    """Levels of Y are 219 apart where grey levels are 255: a grey image's PSNR is 1.3 dB higher on Y."""
    a, b = (i[..., 0] for i in pair)
    x, y = (luma(np.repeat(i[..., None], 3, 2)) for i in (a, b))
    wanted = skimage.metrics.peak_signal_noise_ratio(y, x, data_range=255)
    assert metrics.psnr_y(a, b, 0) == pytest.approx(wanted, abs=1e-9)
    assert metrics.ssim_y(a, b, 0) == pytest.approx(gaussian_ssim(x, y), abs=1e-9)
    assert metrics.psnr_y(a, b, 0) - metrics.psnr_y(a, b, 0, grey_levels=True) == pytest.approx(
        20 * math.log10(255 / 219), abs=1e-6
    )


def test_fidelity_is_the_one_psnr(pair):
    a, b = pair
    assert metrics.fidelity(a, b, 4) == {"psnr": metrics.psnr_y(a, b, 4), "ssim": metrics.ssim_y(a, b, 4)}


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


def test_alpha_is_left_out(pair):
    a, b = pair
    four = np.dstack([a, RNG.integers(0, 256, a.shape[:2], dtype=np.uint8)])
    assert metrics.psnr_y(four, b, 4) == metrics.psnr_y(a, b, 4)


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


def test_clear_errors(pair):
    a, b = pair
    for metric in (metrics.psnr_y, metrics.ssim_y):
        with pytest.raises(ValueError, match="differ in size"):
            metric(a[:-1], b, 0)
        for border in (-1, 128, 200):
            with pytest.raises(ValueError, match=f"border of {border} leaves nothing of 256x256"):
                metric(a, b, border)
        with pytest.raises(TypeError, match="the first image must be a NumPy array, not list"):
            metric([[1]], b, 0)
        with pytest.raises(ValueError, match="the second image has NaN"):
            metric(a, b * np.nan, 0)
    with pytest.raises(ValueError, match="SSIM needs 11x11 pixels, 10x256 are left"):
        metrics.ssim_y(a[:10], b[:10], 0)
    with pytest.raises(ValueError, match=r"out \(256, 256, 3\) is not 8 times lr \(64, 64, 3\)"):
        metrics.lr_psnr(a, b[:64, :64], 8)
    with pytest.raises(ValueError, match="at least two samples, not 1"):
        metrics.diversity([a], b)
    with pytest.raises(ValueError, match="sample"):
        metrics.diversity([a, a[:-1]], b)
    with pytest.raises(ValueError, match="sample"):
        metrics.diversity([a[:1, :1], a[:1, :1]], b)


NAN = np.full((32, 32, 3), np.nan)
GREY = np.full((32, 32, 3), 100, np.uint8)
REFUSED = [
    (lambda: metrics.psnr_y(GREY, GREY, 4.0), TypeError, "border must be a whole number, not 4.0"),
    (lambda: metrics.ssim_y(GREY, GREY, "4"), TypeError, "border must be a whole number, not '4'"),
    (lambda: metrics.psnr_y(GREY, GREY, True), TypeError, "border must be a whole number, not True"),
    (lambda: metrics.fidelity(GREY.astype(np.int64), GREY, 4), TypeError, "the first image must be uint8.* not int64"),
    (lambda: metrics.fidelity(GREY, GREY > 1, 4), TypeError, "the second image must be uint8.* not bool"),
    (lambda: metrics.fidelity(GREY[:3, :3], GREY[:3, :3], 4), ValueError, "border of 4 leaves nothing of 3x3"),
    (lambda: metrics.lr_psnr(GREY, GREY[:8, :8], 4.0), TypeError, "scale must be a whole number, not 4.0"),
    (lambda: metrics.lr_psnr(GREY, GREY[:8, :8], 0), ValueError, "is not 0 times lr"),
    (lambda: metrics.lr_psnr(NAN, GREY[:8, :8], 4), ValueError, "out has NaN"),
    (lambda: metrics.lr_psnr(GREY, GREY[:8, :8].tolist(), 4), TypeError, "lr must be a NumPy array, not list"),
    (lambda: metrics.diversity([GREY, NAN], GREY), ValueError, "a sample has NaN"),
    (lambda: metrics.diversity([GREY, GREY.astype(int)], GREY), TypeError, "a sample must be uint8.* not int64"),
    (lambda: metrics.diversity(GREY, GREY), ValueError, "a sample is of shape"),
    (lambda: metrics.diversity([GREY, GREY], NAN), ValueError, "hr has NaN"),
    (lambda: metrics.niqe_luma(GREY, 4.0), TypeError, "border must be a whole number, not 4.0"),
    (lambda: metrics.niqe_luma(GREY, -4), ValueError, "a border cannot be -4 pixels wide"),
    (lambda: metrics.niqe_luma(NAN), ValueError, "image has NaN"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_what_cannot_be_scored_is_refused_in_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_whole_numbers_of_any_kind_are_taken(pair):
    a, b = pair
    assert metrics.fidelity(a, b, np.int64(4)) == metrics.fidelity(a, b, 4)
    assert metrics.lr_psnr(a, sr.downscale(b, 4), np.uint8(4)) == metrics.lr_psnr(a, sr.downscale(b, 4), 4)
    assert metrics.diversity(iter([a, b]), b) == metrics.diversity([a, b], b)


def test_layouts_in_memory_change_no_score(pair):
    a, b = pair
    scores = metrics.fidelity(a, b, 4)
    turned = np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1]  # negative strides
    locked = a.copy()
    locked.flags.writeable = False
    for same in (turned, locked, np.asfortranarray(a)):
        assert metrics.fidelity(same, b, 4) == scores


def test_niqe_fits_where_two_blocks_do():
    sizes = [(96, 191), (96, 192), (192, 96), (103, 199), (104, 200), (5, 5)]
    assert [metrics.niqe_fits(size, 0) for size in sizes] == [False, True, True, True, True, False]
    assert [metrics.niqe_fits(size, 4) for size in sizes] == [False, False, False, False, True, False]


def test_spread_takes_only_samples_of_one_kind():
    spread = metrics.Spread()
    spread.add(GREY)
    for wrong, error, message in (
        (GREY[:1, :1], ValueError, r"a sample is of shape \(1, 1, 3\), those before it of \(32, 32, 3\)"),
        (GREY[..., 0], ValueError, "those before it of"),
        (NAN, ValueError, "a sample has NaN"),
        (GREY.tolist(), TypeError, "a sample must be a NumPy array, not list"),
    ):
        with pytest.raises(error, match=message):
            spread.add(wrong)
    assert spread.count == 1
    spread.add(GREY + 10)
    assert np.allclose(spread.deviation, 5)
    grey = metrics.Spread()
    for level in (0, 10):
        grey.add(np.full((4, 5), level, np.uint8))
    assert np.allclose(grey.deviation, np.full((4, 5), 5))


def test_spread_is_the_standard_deviation():
    samples = np.random.default_rng(0).integers(0, 256, (7, 5, 6, 3), np.uint8)
    spread = metrics.Spread()
    spread.add(samples[0])
    with pytest.raises(ValueError, match="two samples"):
        _ = spread.deviation
    for sample in samples[1:]:
        spread.add(sample)
    assert spread.count == 7
    assert np.allclose(spread.deviation, samples.astype(float).std(0).mean(2))
