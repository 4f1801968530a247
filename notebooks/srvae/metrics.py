"""What answers are scored by: PSNR and SSIM on Y, consistency with the LR image, diversity, spread, NIQE.

    from srvae import metrics
    metrics.fidelity(answer, hr, scale=4)  # {"psnr": ..., "ssim": ...}: what every table and notebook shows
    metrics.niqe(answer, border=4)         # lower is better; natural photographs lie near 3

Images are (H, W), (H, W, 3) or (H, W, 4); uint8, uint16 or float in [0, 1]. Alpha is left out of every score.

NIQE: A. Mittal, R. Soundararajan, A. C. Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal
Processing Letters 20(3), 2013. 7x7 Gaussian window, 96x96 blocks at two sizes, 36 features, as in the authors' MATLAB
release. The conventions around it are BasicSR's, as most super-resolution papers report it: Y of BT.601 (16 to 235)
rounded to 8 bits, where the release takes MATLAB's rgb2gray, and a border left out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np
import torch
from skimage.metrics import structural_similarity

import srvae_core as sr

# ITU-R BT.601: Y = 16 + LUMA . RGB, RGB in [0, 1] and Y from 16 to 235.
LUMA = np.array([65.481, 128.553, 24.966])
SSIM_WINDOW = 11  # pixels a side, which an image must have without its border


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Crop the last rows and columns so that both sides are multiples of the scale, as all evaluations do.

    Raises:
        ValueError: a side is smaller than the scale, so that nothing would be left.
    """
    h, w = sr.check_image(image).shape[:2]
    if min(h, w) < scale:
        raise ValueError(f"an original of {h}x{w} pixels is too small: {scale}x needs at least {scale}x{scale}")
    return image[: h - h % scale, : w - w % scale]


# -- Likeness to the original -------------------------------------------------------------------------------


def cut_to_middle(image: np.ndarray, limit: int) -> np.ndarray:
    """Crop an image, (H, W[, C]), to its middle, at most ``limit`` pixels a side."""
    height, width = (min(n, limit) for n in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def unit(image: np.ndarray, what: str = "image") -> np.ndarray:
    """The colours of an image in [0, 1], (H, W, 3) float64, as they are: float is neither clipped nor rounded.

    Raises:
        TypeError, ValueError: it is no image; the message calls it ``what``.
    """
    return sr.as_rgb(sr.check_image(image, what)).astype(np.float64) / sr.max_value(image.dtype)


def luma(image: np.ndarray) -> np.ndarray:
    """Y of an image on the scale of 255, (H, W) float64 from 16 to 235, not rounded."""
    return 16 + unit(image) @ LUMA


def whole_number(value: int, what: str) -> int:
    """A number of pixels or a scale, as an int.

    Raises:
        TypeError: it is none; the message calls it ``what``.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{what} must be a whole number, not {value!r}")
    return int(value)


def _luma_pair(a: np.ndarray, b: np.ndarray, border: int, grey_levels: bool) -> tuple[np.ndarray, np.ndarray]:
    """Y of an answer and its reference, a border removed."""
    x, y = unit(a, "the first image"), unit(b, "the second image")
    if x.shape != y.shape:
        raise ValueError(f"the images differ in size: {a.shape} and {b.shape}")
    border = whole_number(border, "border")
    if border < 0 or 2 * border >= min(x.shape[:2]):
        raise ValueError(f"a border of {border} leaves nothing of {x.shape[0]}x{x.shape[1]} pixels")
    grey = grey_levels and np.array_equal(y[..., 0], y[..., 1])  # the release looks no further than R and G
    pair = [255 * image[..., 0] if grey else luma(image) for image in (x, y)]
    inner = slice(border, -border or None)
    return pair[0][inner, inner], pair[1][inner, inner]


def psnr_y(a: np.ndarray, b: np.ndarray, border: int, *, grey_levels: bool = False) -> float:
    """PSNR in dB of an answer a against the reference b on Y; inf where they are equal.

    Grey images are converted to Y like any others. The release takes the grey levels themselves, which costs a grey
    image 1.3 dB. The published bicubic rows of Set14, which has two, are met to 0.01 dB with the conversion and missed
    by 0.2 dB without.

    Args:
        a, b: images of one size; float ones as they are, as the release measures them.
        border: pixels left out on every side; the scale, by custom.
        grey_levels: the release's rule for a reference whose R equals its G everywhere.

    Raises:
        TypeError: no images, or a border that is no whole number.
        ValueError: no images, NaN, sizes that differ, or a border that leaves nothing.
    """
    x, y = _luma_pair(a, b, border, grey_levels)
    error = np.mean((x - y) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else math.inf


def ssim_y(a: np.ndarray, b: np.ndarray, border: int, *, grey_levels: bool = False) -> float:
    """SSIM on Y: 11x11 Gaussian window of sigma 1.5, K1 0.01, K2 0.03; arguments as for :func:`psnr_y`.

    Raises:
        ValueError: also when less than 11x11 pixels are left.
    """
    x, y = _luma_pair(a, b, border, grey_levels)
    if min(x.shape) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs {SSIM_WINDOW}x{SSIM_WINDOW} pixels, {x.shape[0]}x{x.shape[1]} are left")
    return float(
        structural_similarity(x, y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    )


def fidelity(answer: np.ndarray, hr: np.ndarray, scale: int) -> dict[str, float]:
    """PSNR in dB and SSIM on Y, a border of ``scale`` pixels left out: what every table and notebook here shows."""
    return {"psnr": psnr_y(answer, hr, scale), "ssim": ssim_y(answer, hr, scale)}


# -- Consistency, diversity, spread -------------------------------------------------------------------------


def lr_psnr(out: np.ndarray, lr: np.ndarray, scale: int) -> float:
    """PSNR in dB over RGB between the LR image and the downscaled answer: how consistent the answer is.

    Args:
        out: the answer, (s*H, s*W, 3) or grey.
        lr: (H, W, 3) or grey.
        scale: 1 or more.

    Raises:
        TypeError: no images, or a scale that is no whole number.
        ValueError: no images, NaN, or sizes that do not fit the scale.
    """
    x, y, scale = unit(out, "out"), unit(lr, "lr"), whole_number(scale, "scale")
    if x.shape[:2] != (y.shape[0] * scale, y.shape[1] * scale):
        raise ValueError(f"out {out.shape} is not {scale} times lr {lr.shape}")
    down = sr.bicubic(sr.to_tensor(x), scale, up=False)[0].permute(1, 2, 0).numpy()
    error = np.mean((down - y) ** 2)
    return float(-10 * np.log10(error)) if error else math.inf


def diversity(samples: Iterable[np.ndarray], hr: np.ndarray) -> float:
    """Diversity of samples around the original, in percent (NTIRE 2022, without a perceptual backbone).

    Squared-error maps averaged over RGB and over 16x16 boxes; 100 * (global - local) / global, where global
    is the smallest mean over samples and local the mean of the pixel-wise minimum. 0: no sample is better
    anywhere than the best one; 100: some sample is right at every place.

    Args:
        samples: two or more answers of the size of hr.
        hr: the original.

    Raises:
        TypeError: no images.
        ValueError: no images, NaN, fewer than two, or sizes that differ.
    """
    samples = list(samples)
    if len(samples) < 2:
        raise ValueError(f"diversity needs at least two samples, not {len(samples)}")
    target = unit(hr, "hr")
    maps = []
    for sample in samples:
        answer = unit(sample, "a sample")
        if answer.shape != target.shape:
            raise ValueError(f"a sample is of shape {sample.shape}, the original of {hr.shape}")
        maps.append(cv2.blur(((answer - target) ** 2).mean(2), (16, 16)))
    best = min(m.mean() for m in maps)
    return float(100 * (best - np.min(maps, 0).mean()) / best) if best else 0.0


class Spread:
    """Per-pixel standard deviation of samples that come one at a time (Welford's sums)."""

    def __init__(self) -> None:
        self.count, self.mean, self._squares = 0, np.zeros(()), np.zeros(())

    def add(self, sample: np.ndarray) -> None:
        """Take one more sample, (H, W) or (H, W, C) of any image dtype.

        Raises:
            TypeError, ValueError: it is no image, has NaN, or is of another shape than the first; it is not taken then.
        """
        sr.check_image(sample, "a sample")
        if self.count and sample.shape != self.mean.shape:
            raise ValueError(f"a sample is of shape {sample.shape}, those before it of {self.mean.shape}")
        self.count += 1
        delta = sample.astype(np.float64) - self.mean
        self.mean = self.mean + delta / self.count
        self._squares = self._squares + delta * (sample - self.mean)

    @property
    def deviation(self) -> np.ndarray:
        """(H, W) standard deviation, averaged over the channels.

        Raises:
            ValueError: before the second sample.
        """
        if self.count < 2:
            raise ValueError("a standard deviation needs two samples")
        return np.atleast_3d(np.sqrt(self._squares / self.count)).mean(2)


# -- NIQE ---------------------------------------------------------------------------------------------------

NIQE_BLOCK = 96
NIQE_FEATURES = 36
NIQE_ADDRESS = "https://raw.githubusercontent.com/XPixelGroup/BasicSR/v1.4.2/basicsr/metrics/niqe_pris_params.npz"
NIQE_SHA256 = "2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296"

gamma = np.vectorize(math.gamma)
SHAPES = np.arange(0.2, 10.001, 0.001)  # the exponents that a generalised Gaussian is looked up among
SHAPE_RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))


@cache
def natural_model() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The published model of natural photographs: mean (36,), covariance (36, 36), Gaussian window (7, 7).

    Read from the file that the environment variable ``SRVAE_NIQE`` names, otherwise downloaded once and kept.

    Raises:
        RuntimeError: it can be had neither way; the message says what to do.
        ValueError: the file of SRVAE_NIQE is another one than BasicSR's (by its sha256).
    """
    import pooch  # here, since training imports this module on machines that have nothing to download with

    path = os.environ.get("SRVAE_NIQE")
    try:
        if not path:
            path = pooch.retrieve(NIQE_ADDRESS, f"sha256:{NIQE_SHA256}", path=pooch.os_cache("srvae"))
        digest = pooch.file_hash(path)
    except (OSError, ValueError) as error:  # ValueError is pooch's word for a download of another sha256
        raise RuntimeError(
            f"NIQE needs its model of natural photographs, which is not shipped: get {NIQE_ADDRESS} "
            f"and set SRVAE_NIQE to the file's path ({error})"
        ) from error
    if digest != NIQE_SHA256:
        raise ValueError(f"{path} is not BasicSR's niqe_pris_params.npz: its sha256 is {digest}")
    with np.load(path) as f:
        return f["mu_pris_param"].ravel(), f["cov_pris_param"], f["gaussian_window"]


def niqe(image: np.ndarray, border: int = 0) -> float:
    """NIQE of an image; lower is better.

    Args:
        image: (H, W, 3) or (H, W), integer or float in [0, 1].
        border: pixels left out on every side; by custom the scale.

    Raises:
        TypeError: no image, or a border that is no whole number.
        ValueError: no image, a border below 0, or fewer than two blocks of 96x96 left, so that there is no covariance.
        RuntimeError: see :func:`natural_model`.
    """
    mean, covariance, window = natural_model()
    y = niqe_luma(image, border)
    described = niqe_features(y, window) if min(y.shape) >= NIQE_BLOCK else np.empty((0, NIQE_FEATURES))
    described = described[~np.isnan(described).any(1)]  # flat blocks have no shape
    if len(described) < 2:
        raise ValueError(
            f"NIQE needs two blocks of {NIQE_BLOCK}x{NIQE_BLOCK} pixels that are not flat; there are {len(described)}"
        )
    apart = mean - described.mean(0)
    spread = (covariance + np.cov(described, rowvar=False)) / 2
    return float(np.sqrt(apart @ np.linalg.pinv(spread) @ apart))


def niqe_luma(image: np.ndarray, border: int = 0) -> np.ndarray:
    """Y as 8-bit values, 16 to 235, float64 (H - 2 border, W - 2 border); empty when the border eats all."""
    if whole_number(border, "border") < 0:
        raise ValueError(f"a border cannot be {border} pixels wide: give 0 or more")
    y = np.rint(luma(np.clip(unit(image), 0, 1)))
    return y[border : max(border, y.shape[0] - border), border : max(border, y.shape[1] - border)]


def niqe_fits(size: tuple[int, int], border: int) -> bool:
    """Whether an image of some height and width has the two blocks that NIQE needs; they must not be flat besides."""
    rows, columns = (max(0, n - 2 * border) // NIQE_BLOCK for n in size)
    return rows * columns >= 2


def niqe_features(y: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The 36 features of every whole 96x96 block, 18 at full size and 18 at half size: (blocks, 36)."""
    rows, cols = (n // NIQE_BLOCK for n in y.shape)
    y = y[: rows * NIQE_BLOCK, : cols * NIQE_BLOCK]
    both = []
    for edge in (NIQE_BLOCK, NIQE_BLOCK // 2):
        field = normalised(y, window)
        blocks = [field[r * edge : (r + 1) * edge, c * edge : (c + 1) * edge] for c in range(cols) for r in range(rows)]
        both.append(np.array([block_features(b) for b in blocks]).reshape(len(blocks), NIQE_FEATURES // 2))
        y = sr.bicubic(torch.from_numpy(y / 255)[None, None], 2, up=False)[0, 0].numpy() * 255
    return np.concatenate(both, 1)


def normalised(y: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Local mean removed and divided by the local standard deviation + 1, (H, W)."""
    mean, power = (cv2.filter2D(x, -1, window, borderType=cv2.BORDER_REPLICATE) for x in (y, y * y))
    deviation = np.sqrt(np.abs(power - mean * mean))
    return (y - mean) / (deviation + 1)


def block_features(block: np.ndarray) -> list[float]:
    """Shape and width of the values, then shape, mean, left and right width of four neighbour products."""
    shape, left, right = generalised_gaussian(block)
    answer = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = generalised_gaussian(block * np.roll(block, shift, (0, 1)))
        answer += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return answer


def generalised_gaussian(x: np.ndarray) -> tuple[float, float, float]:
    """Shape, left and right width of the asymmetric generalised Gaussian with the moments of x; NaN if flat."""
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = (np.sqrt(np.sum(x[side] ** 2) / side.sum()) for side in (x < 0, x > 0))
        ratio = left / right
        peaked = np.mean(np.abs(x)) ** 2 / np.mean(x**2)
        peaked *= (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    if not np.isfinite(peaked):
        return np.nan, np.nan, np.nan
    shape = SHAPES[np.argmin((SHAPE_RATIOS - peaked) ** 2)]
    width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return float(shape), float(left * width), float(right * width)
