"""Pictures that several test files draw, and how far two of them are apart."""

import numpy as np

RNG = np.random.default_rng(5)


def levels(a: np.ndarray, b: np.ndarray) -> int:
    """The largest difference of two integer images in grey levels."""
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    """A smooth and an edgy half, (height, width, channels) uint8."""
    y, x = np.mgrid[:height, :width]
    waves = 128 + 90 * np.sin(x[..., None] / (3 + np.arange(channels)) + y[..., None] / 5)
    waves[:, width // 2 :] += RNG.integers(-35, 36, (height, width - width // 2, channels))
    return waves.clip(0, 255).astype(np.uint8)
