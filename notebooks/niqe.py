"""NIQE, the Natural Image Quality Evaluator: how far an image's statistics are from those of photographs.

    python -c "import niqe; print(niqe.niqe(image))"   # lower is better; natural photographs lie near 3

A. Mittal, R. Soundararajan, A. C. Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal
Processing Letters 20(3), 2013. 7x7 Gaussian window, 96x96 blocks at two sizes, 36 features, as in the authors' MATLAB
release. The conventions around it are BasicSR's, as most super-resolution papers report it: Y of BT.601 (16 to 235)
rounded to 8 bits, where the release takes MATLAB's rgb2gray, and a border left out.
"""

from __future__ import annotations

import math
import os
from functools import cache

import cv2
import numpy as np
import pooch
import torch

import srvae_core as sr

BLOCK = 96
FEATURES = 36
ADDRESS = "https://raw.githubusercontent.com/XPixelGroup/BasicSR/v1.4.2/basicsr/metrics/niqe_pris_params.npz"
SHA256 = "2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296"

gamma = np.vectorize(math.gamma)
SHAPES = np.arange(0.2, 10.001, 0.001)  # the exponents that a generalised Gaussian is looked up among
SHAPE_RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))


@cache
def natural_model() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The published model of natural photographs: mean (36,), covariance (36, 36), Gaussian window (7, 7).

    Read from the file that the environment variable ``SRVAE_NIQE`` names, otherwise downloaded once and kept.

    Raises:
        RuntimeError: it can be had neither way; the message says what to do.
        ValueError: the file is another one than BasicSR's (by its sha256).
    """
    path = os.environ.get("SRVAE_NIQE")
    try:
        if path is None:
            path = pooch.retrieve(ADDRESS, f"sha256:{SHA256}", path=pooch.os_cache("srvae"))
        digest = pooch.file_hash(path)
    except OSError as error:
        raise RuntimeError(
            f"NIQE needs its model of natural photographs, which is not shipped: get {ADDRESS} "
            f"and set SRVAE_NIQE to the file's path ({error})"
        ) from error
    if digest != SHA256:
        raise ValueError(f"{path} is not BasicSR's niqe_pris_params.npz: its sha256 is {digest}")
    with np.load(path) as f:
        return f["mu_pris_param"].ravel(), f["cov_pris_param"], f["gaussian_window"]


def niqe(image: np.ndarray, border: int = 0) -> float:
    """NIQE of an image; lower is better.

    Args:
        image: (H, W, 3) or (H, W), integer or float in [0, 1].
        border: pixels left out on every side; by custom the scale.

    Raises:
        ValueError: fewer than two blocks of 96x96 are left, so that there is no covariance.
        RuntimeError: see :func:`natural_model`.
    """
    mean, covariance, window = natural_model()
    y = luma(image, border)
    found = features(y, window) if min(y.shape) >= BLOCK else np.empty((0, FEATURES))
    found = found[~np.isnan(found).any(1)]  # flat blocks have no shape
    if len(found) < 2:
        raise ValueError(f"NIQE needs two blocks of {BLOCK}x{BLOCK} pixels that are not flat; {len(found)} found")
    apart = mean - found.mean(0)
    spread = (covariance + np.cov(found, rowvar=False)) / 2
    return float(np.sqrt(apart @ np.linalg.pinv(spread) @ apart))


def luma(image: np.ndarray, border: int = 0) -> np.ndarray:
    """Y of BT.601 as 8-bit values, 16 to 235, float64 (H - 2 border, W - 2 border); empty when the border eats all."""
    image = sr.check_image(image)
    peak = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
    x = np.clip(image.astype(np.float64) / peak, 0, 1)
    x = np.repeat(x[..., None], 3, 2) if x.ndim == 2 else x[..., :3]
    y = np.rint(16 + x @ np.array(sr.LUMA))
    return y[border : max(border, y.shape[0] - border), border : max(border, y.shape[1] - border)]


def features(y: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The 36 features of every whole 96x96 block, 18 at full size and 18 at half size: (blocks, 36)."""
    rows, cols = (n // BLOCK for n in y.shape)
    y = y[: rows * BLOCK, : cols * BLOCK]
    both = []
    for edge in (BLOCK, BLOCK // 2):
        field = normalised(y, window)
        blocks = [field[r * edge : (r + 1) * edge, c * edge : (c + 1) * edge] for c in range(cols) for r in range(rows)]
        both.append(np.array([block_features(b) for b in blocks]).reshape(len(blocks), FEATURES // 2))
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
