"""Scores of super-resolved images: PSNR and SSIM on Y, LR-PSNR, diversity, spread, NIQE.

    from srvae import metrics
    metrics.fidelity(answer, hr, scale=4)  # {"psnr": ..., "ssim": ...}
    metrics.niqe(answer, border=4)         # lower is better; natural photographs lie near 3

Images are (H, W), (H, W, 3) or (H, W, 4); uint8, uint16 or float in [0, 1]. Alpha is ignored. Arrays that are not
images, such as float outside [-0.5, 1.5], raise TypeError or ValueError, images of different sizes ValueError.

NIQE: A. Mittal, R. Soundararajan, A. C. Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal
Processing Letters 20(3), 2013. 7x7 Gaussian window, 96x96 blocks at two sizes, 36 features, as in the authors' MATLAB
release. Luma and border are BasicSR's, as in most super-resolution papers: Y of BT.601 rounded to 8 bits.
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

# ITU-R BT.601: Y = 16 + LUMA . RGB, with RGB in [0, 1] and Y from 16 to 235.
LUMA = np.array([65.481, 128.553, 24.966])
SSIM_WINDOW = 11  # pixels a side; images must be as large without their border


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Crop the last rows and columns so that both sides are multiples of the scale; ValueError if nothing is left."""
    h, w = sr.check_image(image).shape[:2]
    if min(h, w) < scale:
        raise ValueError(f"an original of {h}x{w} pixels is too small: {scale}x needs at least {scale}x{scale}")
    return image[: h - h % scale, : w - w % scale]


def cut_to_middle(image: np.ndarray, limit: int) -> np.ndarray:
    """Crop an image, (H, W[, C]), to its middle, at most ``limit`` pixels a side."""
    height, width = (min(n, limit) for n in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def unit(image: np.ndarray, name: str = "image") -> np.ndarray:
    """Return RGB in [0, 1], (H, W, 3) float64, neither clipped nor rounded; errors call the image ``name``."""
    return sr.as_rgb(sr.check_image(image, name)).astype(np.float64) / sr.max_value(image.dtype)


def luma(image: np.ndarray) -> np.ndarray:
    """Return Y, (H, W) float64 from 16 to 235, not rounded."""
    return 16 + unit(image) @ LUMA


# -- Fidelity, consistency, diversity, spread ---------------------------------------------------------------


def _luma_pair(a: np.ndarray, b: np.ndarray, border: int, grey_levels: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return Y of an answer and of its reference, without the border."""
    x, y = unit(a, "the first image"), unit(b, "the second image")
    if x.shape != y.shape:
        raise ValueError(f"the images differ in size: {a.shape} and {b.shape}")
    if border < 0 or 2 * border >= min(x.shape[:2]):
        raise ValueError(f"a border of {border} leaves nothing of {x.shape[0]}x{x.shape[1]} pixels")
    grey = grey_levels and np.array_equal(y[..., 0], y[..., 1])  # like the release, which compares only R and G
    pair = [255 * image[..., 0] if grey else luma(image) for image in (x, y)]
    inner = slice(border, -border or None)
    return pair[0][inner, inner], pair[1][inner, inner]


def psnr_y(a: np.ndarray, b: np.ndarray, border: int, *, grey_levels: bool = False) -> float:
    """Return the PSNR in dB of an answer a to the reference b on Y; inf if they are equal.

    Args:
        border: pixels to leave out on every side, by custom the scale.
        grey_levels: score grey references on their grey levels, as the release does, which costs a grey image 1.3 dB.
            The published bicubic rows of Set14, with two grey images, are met to 0.01 dB without it only.
    """
    x, y = _luma_pair(a, b, border, grey_levels)
    error = np.mean((x - y) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else math.inf


def ssim_y(a: np.ndarray, b: np.ndarray, border: int, *, grey_levels: bool = False) -> float:
    """Return the SSIM on Y: 11x11 Gaussian window of sigma 1.5, K1 0.01, K2 0.03. Arguments as in :func:`psnr_y`."""
    x, y = _luma_pair(a, b, border, grey_levels)
    if min(x.shape) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs {SSIM_WINDOW}x{SSIM_WINDOW} pixels, {x.shape[0]}x{x.shape[1]} are left")
    return float(
        structural_similarity(x, y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    )


def fidelity(answer: np.ndarray, hr: np.ndarray, scale: int) -> dict[str, float]:
    """Return PSNR in dB and SSIM on Y without a border of ``scale`` pixels, as in all tables and notebooks here."""
    return {"psnr": psnr_y(answer, hr, scale), "ssim": ssim_y(answer, hr, scale)}


def lr_psnr(out: np.ndarray, lr: np.ndarray, scale: int) -> float:
    """Return the PSNR in dB over RGB of the downscaled answer, (s*H, s*W[, 3]), to the LR image, (H, W[, 3])."""
    x, y = unit(out, "out"), unit(lr, "lr")
    if x.shape[:2] != (y.shape[0] * scale, y.shape[1] * scale):
        raise ValueError(f"out {out.shape} is not {scale} times lr {lr.shape}")
    down = sr.bicubic(sr.to_tensor(x), scale, up=False)[0].permute(1, 2, 0).numpy()
    error = np.mean((down - y) ** 2)
    return float(-10 * np.log10(error)) if error else math.inf


def diversity(samples: Iterable[np.ndarray], hr: np.ndarray) -> float:
    """Return the diversity of samples around the original, in percent (NTIRE 2022, on pixels).

    Squared errors are averaged over RGB and over 16x16 boxes. The diversity is 100 * (global - local) / global: global
    is the smallest mean error of a sample, local the mean of the smallest error at each pixel. It is 0 if one sample
    is the best everywhere, and 100 if at every pixel some sample is right.
    """
    target, maps = unit(hr, "hr"), []
    for sample in samples:
        answer = unit(sample, "a sample")
        if answer.shape != target.shape:
            raise ValueError(f"a sample is of shape {sample.shape}, the original of {hr.shape}")
        maps.append(cv2.blur(((answer - target) ** 2).mean(2), (16, 16)))
    if len(maps) < 2:
        raise ValueError(f"diversity needs at least two samples, not {len(maps)}")
    best = min(m.mean() for m in maps)
    return float(100 * (best - np.min(maps, 0).mean()) / best) if best else 0.0


class Spread:
    """The standard deviation at each pixel of samples that are added one at a time (Welford's algorithm)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, sample: np.ndarray) -> None:
        """Add a sample, (H, W) or (H, W, C), as :func:`srvae_core.check_image` takes it."""
        sr.check_image(sample, "a sample")
        self.count += 1
        delta = sample.astype(np.float64) - self.mean
        self.mean = self.mean + delta / self.count
        self.squares = self.squares + delta * (sample - self.mean)

    @property
    def deviation(self) -> np.ndarray:
        """The standard deviation averaged over the channels, (H, W), in the unit of the samples."""
        return np.atleast_3d(np.sqrt(self.squares / self.count)).mean(2)


# -- NIQE ---------------------------------------------------------------------------------------------------

NIQE_BLOCK = 96
NIQE_ADDRESS = "https://raw.githubusercontent.com/XPixelGroup/BasicSR/v1.4.2/basicsr/metrics/niqe_pris_params.npz"
NIQE_SHA256 = "2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296"

gamma = np.vectorize(math.gamma)
SHAPES = np.arange(0.2, 10.001, 0.001)  # the exponents of a generalised Gaussian to choose from
SHAPE_RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))


@cache
def natural_model() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the published model of natural photographs: mean (36,), covariance (36, 36), Gaussian window (7, 7).

    It is read from the file that the environment variable ``SRVAE_NIQE`` names, or downloaded once and kept. Raise
    RuntimeError if there is no such file, if it has another SHA-256, or if it cannot be downloaded.
    """
    import pooch  # here: training imports this module where pooch may be missing

    path = os.path.expanduser(os.environ.get("SRVAE_NIQE", ""))
    try:
        path = path or pooch.retrieve(NIQE_ADDRESS, f"sha256:{NIQE_SHA256}", path=pooch.os_cache("srvae"))
        if pooch.file_hash(sr.check_file(path)) != NIQE_SHA256:
            raise ValueError(f"{path} has another sha256")
    except (OSError, ValueError) as error:
        advice = f"get {NIQE_ADDRESS} and set SRVAE_NIQE to the file's path"
        raise RuntimeError(f"NIQE needs its model of natural photographs: {advice} ({error})") from error
    with np.load(path) as f:
        return f["mu_pris_param"].ravel(), f["cov_pris_param"], f["gaussian_window"]


def niqe(image: np.ndarray, border: int = 0) -> float:
    """Return the NIQE of an image without its outer ``border`` pixels; ValueError if fewer than two blocks are left."""
    mean, covariance, window = natural_model()
    y = niqe_luma(image, border)
    features = niqe_features(y, window) if niqe_fits(y.shape, 0) else np.empty((0, 36))
    features = features[~np.isnan(features).any(1)]  # without flat blocks
    if len(features) < 2:
        raise ValueError("NIQE needs two blocks of 96x96 pixels that are not flat")
    apart = mean - features.mean(0)
    spread = (covariance + np.cov(features, rowvar=False)) / 2
    return float(np.sqrt(apart @ np.linalg.pinv(spread) @ apart))


def niqe_luma(image: np.ndarray, border: int = 0) -> np.ndarray:
    """Return Y in whole numbers from 16 to 235 without a border, (H - 2 border, W - 2 border) float64."""
    y = np.rint(luma(np.clip(unit(image), 0, 1)))
    inner = slice(border, -border or None)
    return y[inner, inner]


def niqe_fits(size: tuple[int, int], border: int) -> bool:
    """Return whether an image of some height and width has two blocks without its border."""
    rows, columns = (max(0, n - 2 * border) // NIQE_BLOCK for n in size)
    return rows * columns >= 2


def niqe_features(y: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return the features of every whole block, 18 at full size and 18 at half size: (blocks, 36)."""
    rows, cols = (n // NIQE_BLOCK for n in y.shape)
    y = y[: rows * NIQE_BLOCK, : cols * NIQE_BLOCK]
    both = []
    for edge in (NIQE_BLOCK, NIQE_BLOCK // 2):
        field = normalised(y, window)
        blocks = [field[r * edge : (r + 1) * edge, c * edge : (c + 1) * edge] for c in range(cols) for r in range(rows)]
        both.append(np.array([block_features(block) for block in blocks]))
        y = sr.bicubic(torch.from_numpy(y / 255)[None, None], 2, up=False)[0, 0].numpy() * 255
    return np.concatenate(both, 1)


def normalised(y: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Subtract the local mean and divide by the local standard deviation + 1, (H, W)."""
    mean, power = (cv2.filter2D(x, -1, window, borderType=cv2.BORDER_REPLICATE) for x in (y, y * y))
    return (y - mean) / (np.sqrt(np.abs(power - mean * mean)) + 1)


def block_features(block: np.ndarray) -> list[float]:
    """Return shape and width of the values, then shape, mean, left and right width of four neighbour products."""
    shape, left, right = generalised_gaussian(block)
    features = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = generalised_gaussian(block * np.roll(block, shift, (0, 1)))
        features += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return features


def generalised_gaussian(x: np.ndarray) -> tuple[float, float, float]:
    """Return shape, left and right width of the asymmetric generalised Gaussian with the moments of x; NaN if flat."""
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
