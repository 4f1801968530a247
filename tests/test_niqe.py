"""NIQE, computed another way: explicit sums, MATLAB's imresize as a matrix, the shape as a root."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from srvae import metrics

EDGE = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
WINDOW = np.outer(EDGE, EDGE) / EDGE.sum() ** 2  # 7x7, a Gaussian of standard deviation 7/6


def independent_features(y: np.ndarray) -> np.ndarray:
    """The 36 features of each 96x96 block of y."""
    rows, cols = y.shape[0] // 96, y.shape[1] // 96
    y = y[: 96 * rows, : 96 * cols]
    features = {(r, c): [] for c in range(cols) for r in range(rows)}
    for size in (96, 48):
        h, w = y.shape
        padded = np.pad(y, 3, mode="edge")
        shifted = [(WINDOW[i, j], padded[i : i + h, j : j + w]) for i in range(7) for j in range(7)]
        mean = sum(g * x for g, x in shifted)
        variance = sum(g * (x - mean) ** 2 for g, x in shifted)
        field = (y - mean) / (np.sqrt(np.maximum(variance, 0)) + 1)
        for (r, c), values in features.items():
            block = field[r * size : (r + 1) * size, c * size : (c + 1) * size]
            shape, left, right = independent_gaussian(block)
            values += [shape, (left + right) / 2]
            for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
                product = [
                    [block[i, j] * block[(i - down) % size, (j - across) % size] for j in range(size)]
                    for i in range(size)
                ]
                shape, left, right = independent_gaussian(np.array(product))
                values += [shape, (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape), left, right]
        y = halving(h) @ y @ halving(w).T
    return np.array(list(features.values()))


def halving(n: int) -> np.ndarray:
    """MATLAB's imresize(x, 0.5) of one axis as a matrix (n / 2, n): Keys' kernel widened to twice its size."""
    matrix = np.zeros((n // 2, n))
    for i in range(n // 2):
        centre = 2 * i + 0.5
        for j in range(math.floor(centre) - 4, math.floor(centre) + 6):
            x = abs(centre - j) / 2
            k = 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0
            matrix[i, min(max(j, 0), n - 1)] += k / 2
    return matrix / matrix.sum(1, keepdims=True)


def independent_gaussian(x: np.ndarray) -> tuple[float, float, float]:
    left = math.sqrt(np.mean([v * v for v in x.flat if v < 0]))
    right = math.sqrt(np.mean([v * v for v in x.flat if v > 0]))
    r = left / right
    wanted = np.abs(x).mean() ** 2 / (x**2).mean() * (r**3 + 1) * (r + 1) / (r**2 + 1) ** 2

    def excess(shape: float) -> float:
        return math.gamma(2 / shape) ** 2 / (math.gamma(1 / shape) * math.gamma(3 / shape)) - wanted

    shape = brentq(excess, 0.1, 20)
    width = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    return shape, left * width, right * width


@pytest.fixture(scope="module")
def reference(crops):
    """The features of (192, 200) pixels of the motorcycle: 2 blocks by 2."""
    return independent_features(metrics.niqe_luma(crops["motorcycle"][:192, :200]))


def test_niqe_features_equal_those_computed_another_way(crops, reference):
    features = metrics.niqe_features(metrics.niqe_luma(crops["motorcycle"][:192, :200]), WINDOW)
    # The published code looks the shape up in steps of 0.001, the reference solves for it.
    assert features.shape == (4, 36)
    np.testing.assert_allclose(features, reference, rtol=2e-3, atol=1e-3)


def test_niqe_equals_the_score_computed_another_way(crops, reference, natural_model):
    mean, covariance, _ = natural_model
    apart = mean - reference.mean(0)
    centred = reference - reference.mean(0)
    spread = (covariance + centred.T @ centred / (len(reference) - 1)) / 2
    score = math.sqrt(apart @ np.linalg.solve(spread, apart))
    assert metrics.niqe(crops["motorcycle"][:192, :200]) == pytest.approx(score, abs=0.02)


def test_niqe_leaves_a_border_out_and_refuses_small_and_flat_images(crops, natural_model):
    image = crops["coffee"]
    assert metrics.niqe(image, 8) == pytest.approx(metrics.niqe(image[8:-8, 8:-8]), abs=1e-9)
    for small, border in ((image[:96, :96], 0), (image[:20, :20], 12), (np.zeros((200, 200, 3), np.uint8), 0)):
        with pytest.raises(ValueError, match="NIQE needs two blocks"):
            metrics.niqe(small, border)


@pytest.mark.parametrize("name", ["other.npz", "absent.npz"])
def test_niqe_refuses_another_file(tmp_path, monkeypatch, name):
    (tmp_path / "other.npz").write_bytes(b"no model")
    monkeypatch.setenv("SRVAE_NIQE", str(tmp_path / name))
    metrics.natural_model.cache_clear()
    with pytest.raises(RuntimeError, match=f"set SRVAE_NIQE .*{name}"):
        metrics.natural_model()
