"""The window of a large image that is in work: where it lies, what is cut out, and what is said about it.

The whole image is kept. Rectangles are (top, left, height, width) in pixels of that image.
"""

from __future__ import annotations

import math

import numpy as np

import srvae_core as sr

LR_EDGE = 256  # LR samples a side that are in work at most: more of them would not slide live


def window(image: np.ndarray, edge: int, across: float = 0.5, down: float = 0.5, *, step: int = 1) -> sr.Rect:
    """The part of an image that is in work.

    Args:
        image: (H, W, ...).
        edge: pixels a side of the window at most. A side of the image that is shorter is in work whole.
        across: 0 to 1, where the window lies between the left edge and the right one; 0.5 is the middle.
        down: 0 to 1, likewise between top and bottom.
        step: the window begins at a multiple of so many pixels. For an original this is the scale, so that the LR
            samples of two windows are those of one grid.

    Raises:
        ValueError: edge or step is below 1, or across or down is outside 0 to 1.
    """
    if edge < 1 or step < 1:
        raise ValueError(f"edge and step of a window must be 1 or more, not {edge} and {step}")
    if not (0 <= across <= 1 and 0 <= down <= 1):
        raise ValueError(f"the place of a window must be two numbers from 0 to 1, not {across} and {down}")
    height, width = (min(n, edge) for n in image.shape[:2])
    top, left = _start(image.shape[0] - height, down, step), _start(image.shape[1] - width, across, step)
    return top, left, height, width


def _start(room: int, share: float, step: int) -> int:
    """Where a window begins that has so many pixels to move in."""
    return math.ceil(share * room - 0.5) // step * step  # halves go down: the middle is the one of integer division


def place_around(image: np.ndarray, edge: int, x: float, y: float) -> tuple[float, float]:
    """(across, down) of the window whose middle is at a point, or as near to it as the image's edges allow.

    Args:
        image: (H, W, ...).
        edge: as in :func:`window`.
        x: of the point, 0 (the left edge of the image) to 1.
        y: likewise, from top to bottom.
    """
    height, width = image.shape[:2]
    return _place(width, min(width, edge), x), _place(height, min(height, edge), y)


def _place(length: int, part: int, middle: float) -> float:
    """0 to 1: where a part of a side lies whose middle is at that share of the side."""
    if part == length:
        return 0.5
    return min(1.0, max(0.0, (middle * length - part / 2) / (length - part)))


def cut(image: np.ndarray, rect: sr.Rect) -> np.ndarray:
    """That part of an image, (height, width, ...), rows without a gap."""
    top, left, height, width = rect
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def shares(image: np.ndarray, rect: sr.Rect) -> tuple[float, float, float, float]:
    """A rectangle as the page draws it: (left, top, width, height), each as a share of the image's side, 0 to 1."""
    top, left, height, width = rect
    rows, columns = image.shape[:2]
    return left / columns, top / rows, width / columns, height / rows


def remark(image: np.ndarray, rect: sr.Rect) -> str:
    """What a person should know about the part in work; "" where it is the whole image."""
    height, width = image.shape[:2]
    if rect[2:] == (height, width):
        return ""
    return f"{rect[3]} x {rect[2]} of {width} x {height} pixels are in work: move the frame in the overview"
