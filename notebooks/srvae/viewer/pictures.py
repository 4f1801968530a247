"""Pictures for the screen: compressed, split, coloured, magnified, laid out in sheets. All are (H, W, 3) uint8 RGB."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from IPython.display import Image

import srvae_core as sr
from srvae import images

JPEG_QUALITY = 90  # of 100: one frame of 512x512 takes 1.4 ms, and a slider's step does not show the loss
FINGERPRINT_BITS = 16
CAPTIONED_EDGE = 400  # pixels a side of a picture with a caption, at least
CAPTION = 24  # pixels: height of its letters


def encode(frame: np.ndarray, form: str) -> bytes:
    """(H, W, 3) uint8 RGB as the bytes of a "jpeg" or "png" file."""
    # PNG: the least compression is six times as quick as the default, for a file a fifth larger
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if form == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    _, data = cv2.imencode(f".{form}", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()


def split(left: np.ndarray, right: np.ndarray, share: float) -> np.ndarray:
    """One frame of two pictures of the same size: left up to a share of the width, a white line, then right.

    Args:
        left: (H, W, 3) uint8.
        right: (H, W, 3) uint8.
        share: 0 to 1.

    Returns:
        (H, W, 3) uint8.
    """
    border = round(share * left.shape[1])
    frame = np.concatenate([left[:, :border], right[:, border:]], 1)
    if 0 < border < left.shape[1]:  # no line where one picture fills the frame
        frame[:, border : border + 1] = 255
    return frame


def reduced(picture: np.ndarray, limit: int) -> np.ndarray:
    """A picture, (H, W, 3) uint8, at most ``limit`` pixels a side: smaller by area, or as it is."""
    height, width = picture.shape[:2]
    shrink = limit / max(height, width)
    if shrink >= 1:
        return picture
    size = max(1, round(shrink * width)), max(1, round(shrink * height))  # of a line, too, something is left
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def as_rgb8(image: np.ndarray) -> np.ndarray:
    """An image as the view shows it: grey, RGB or RGBA of any image dtype -> (H, W, 3) uint8.

    Grey becomes three equal channels, alpha is left out and what it hides is filled, 16 bit lose the
    lower eight, float is taken as [0, 1].
    """
    image = sr.as_rgb(images.fill_transparent(sr.check_image(image)))
    if sr.max_value(image.dtype) == 65535:
        return (image >> 8).astype(np.uint8)
    if image.dtype.kind == "f":
        return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    return image


def magnify(picture: np.ndarray, factor: int) -> np.ndarray:
    """Every pixel of (H, W, 3) as factor x factor pixels."""
    return picture.repeat(factor, 0).repeat(factor, 1)


def fingerprint(frame: np.ndarray) -> str:
    """Four hex digits that another sample changes and another machine's rounding, all but surely, does not.

    Each of the 16 bits says on which side of a random plane the fine detail of the frame, (H, W, 3) uint8, lies.
    """
    detail = frame - cv2.blur(frame, (5, 5)).astype(np.float32)
    rng = np.random.default_rng(0)
    bits = 0
    for _ in range(FINGERPRINT_BITS):
        signs = 2.0 * rng.integers(0, 2, frame.shape) - 1
        # a sum far from zero keeps its sign when single pixels are rounded otherwise
        bits = 2 * bits + int((detail * signs).sum() > 0)
    return f"{bits:04x}"


def heat(values: np.ndarray, top: float | None = None) -> np.ndarray:
    """A map of numbers as colours from dark (0) to bright.

    Args:
        values: (H, W), not negative.
        top: the number that is brightest; by default the map's own maximum.

    Returns:
        (H, W, 3) uint8.
    """
    top = values.max() if top is None else top
    levels = np.clip(values / max(top, 1e-9), 0, 1)  # a map of zeros stays dark
    # OpenCV's order is blue, green, red
    coloured = cv2.applyColorMap(np.rint(255 * levels).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB)


def contact_sheet(pictures: list[np.ndarray], columns: int, gap: int = 4) -> np.ndarray:
    """Pictures of one size side by side on white: what a saved notebook shows.

    Args:
        pictures: each (H, W, 3) uint8, in reading order.
        columns: how many stand in a row.
        gap: white pixels between them.
    """
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def captioned(pictures: Mapping[str, np.ndarray], columns: int = 1) -> Image:
    """Pictures with a line of text above each, side by side on white: for a cell's output, kernel or not.

    Args:
        pictures: by their captions, in reading order; each (H, W, 3) uint8, all of one size. They are magnified by a
            whole factor to :data:`CAPTIONED_EDGE` pixels a side at least.
        columns: how many stand in a row.
    """
    titled = []
    font = PIL.ImageFont.load_default(CAPTION)
    for caption, picture in pictures.items():
        large = magnify(picture, -(-CAPTIONED_EDGE // max(picture.shape[:2])))
        strip = PIL.Image.new("RGB", (large.shape[1], CAPTION * 3 // 2), "white")
        PIL.ImageDraw.Draw(strip).text((0, CAPTION // 8), caption, "black", font)
        titled.append(np.concatenate([np.asarray(strip), large]))
    return still(contact_sheet(titled, columns, gap=8))


def still(picture: np.ndarray, zoom: int = 1) -> Image:
    """A picture for a cell's output that is still there when the notebook is read without a kernel."""
    return Image(data=encode(magnify(picture, zoom), "jpeg"), format="jpeg")
