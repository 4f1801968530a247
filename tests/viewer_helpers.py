"""What the tests of the view share: small photographs, uploads and drops, what the page draws, an event loop."""

import asyncio
import html
import re
from collections.abc import Callable
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from skimage import data

import srvae_core as sr
from srvae import viewer
from srvae.viewer import pictures


def cat() -> np.ndarray:
    """A photograph whose LR image, 16x20, is one tile."""
    return np.ascontiguousarray(data.chelsea()[32:96, 80:160])


def coffee() -> np.ndarray:
    """A smaller one, whose LR image is 12x12."""
    return np.ascontiguousarray(data.coffee()[:48, :48])


def wide() -> np.ndarray:
    """A photograph whose LR image, 20x72, has parts that are far from one another."""
    return np.ascontiguousarray(data.chelsea()[32:112, 80:368])


def long() -> np.ndarray:
    """An LR image, 24x560, of which only a part is in work at a time."""
    return np.concatenate([data.chelsea()[100:124, :420], data.coffee()[100:124, :140]], 1)


def lowres() -> np.ndarray:
    """The LR image of the cat, (16, 20, 3) uint8."""
    return sr.downscale(cat(), 4)


def new_view(**options: object) -> viewer.View:
    """A view of the cat and the coffee that comes to rest soon."""
    return viewer.View({"cat": cat(), "coffee": coffee()}, **{"scale": 4, "rest_delay": 0.02} | options)


def upload(view: viewer.View, **contents: bytes | np.ndarray) -> None:
    """Upload PNG files, or the bytes of any others, by their names without the suffix."""
    about = {"type": "image/png", "size": 1, "last_modified": datetime.now(UTC)}
    view.controls.upload.value = tuple(
        {"name": f"{name}.png", "content": memoryview(as_file(content)), **about} for name, content in contents.items()
    )


def drop(view: viewer.View, **contents: bytes | np.ndarray) -> None:
    """Drop such files on the picture."""
    names = [f"{name}.png" for name in contents]
    from_page(view, {"kind": "drop", "names": names}, *map(as_file, contents.values()))


def as_file(content: bytes | np.ndarray) -> bytes:
    """An image as the bytes of a PNG file."""
    return content if isinstance(content, bytes) else pictures.encode(content, "png")


def from_page(view: viewer.View, content: dict[str, object], *buffers: bytes) -> None:
    """Send a custom message as the page does."""
    message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": list(map(memoryview, buffers))}
    view.page.picture._handle_msg(message)


def sent_by(view: viewer.View) -> list[tuple[dict[str, object], list[bytes]]]:
    """The custom messages that the picture sends from now on."""
    messages = []
    view.page.picture.send = lambda content, buffers=(): messages.append((content, [bytes(b) for b in buffers]))
    return messages


def said(view: viewer.View) -> str:
    """The line of text that the view shows."""
    is_error = 'role="alert"' in view.controls.message.value
    return "Error: " * is_error + html.unescape(re.sub("<[^>]+>", "", view.controls.message.value))


def opened(content: bytes) -> np.ndarray:
    """A picture file as (H, W, 3) uint8."""
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def shown(view: viewer.View) -> np.ndarray:
    """What the page draws of the visible part from its layers: bottom, left | bottom, right, the last patch."""
    picture, sides = view.page.picture, []
    for names in (("left",), ("right", "patch")):
        canvas = opened(picture.bottom)
        for name in names:
            x, y, width, height = getattr(picture, f"{name}_rect")
            stale = name == "patch" and picture.laid[name] < picture.laid["right"]
            if (content := getattr(picture, name)) and not stale:
                canvas[y : y + height, x : x + width] = cv2.resize(opened(content), (width, height))
        sides.append(inside(canvas, view.scene.visible(view.settings), view.scene.scale))
    return pictures.split(*sides, picture.share)


def inside(picture: np.ndarray, rect: sr.Rect, scale: int = 4) -> np.ndarray:
    """The part of a picture inside a rectangle of the LR image."""
    top, left, height, width = (scale * n for n in rect)
    return picture[top : top + height, left : left + width]


def most(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference of two pictures, in grey levels."""
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


def at_rest(view: viewer.View) -> bool:
    """Whether the exact picture is on show, with its scores, and nothing else goes on."""
    return view.page.picture.exact and view.pace.is_idle


async def until(done: Callable[[], bool]) -> None:
    """Let the event loop run until something is so."""
    for _ in range(2000):
        if done():
            return
        await asyncio.sleep(0.005)
    pytest.fail("that never came")
