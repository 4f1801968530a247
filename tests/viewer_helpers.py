"""What the tests of the view share: photographs, uploads, a sampler that notes its calls, waiting for an event loop."""

import asyncio
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
import viewer
from skimage import data

import srvae_core as sr


def cat() -> np.ndarray:
    """A photograph whose LR image, 16x20, is one tile."""
    return np.ascontiguousarray(data.chelsea()[32:96, 80:160])


def coffee() -> np.ndarray:
    """Another one."""
    return np.ascontiguousarray(data.coffee()[:48, :48])


def new_view(**options: object) -> viewer.View:
    """A view of both that comes to rest soon."""
    return viewer.View({"cat": cat(), "coffee": coffee()}, scale=4, **{"rest_delay": 0.05} | options)


def shown(view: viewer.View) -> np.ndarray:
    """What the picture's widget holds, (H, W, 3) uint8."""
    image = cv2.imdecode(np.frombuffer(view.picture.value, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def upload(view: viewer.View, *named: str | bytes) -> None:
    """Upload files: a name, the content, a name, the content ..."""
    about = {"type": "image/png", "size": 1, "last_modified": datetime.now(UTC)}
    pairs = zip(named[::2], named[1::2], strict=True)
    view.upload.value = tuple({"name": name, "content": memoryview(content), **about} for name, content in pairs)


class Recorder:
    """Takes the place of a scene's sampler and notes what it is asked for: (seed, region, draft)."""

    def __init__(self, view: viewer.View) -> None:
        self.sampler, self.asked = view.scene.sampler, []
        view.scene.sampler = self

    def __call__(self, seed: int = 0, temperature: float = 1.0, **options: object) -> np.ndarray:
        self.asked.append((seed, options["region"], options["draft"]))
        return self.sampler(seed, temperature, **options)

    def __getattr__(self, name: str) -> object:
        return getattr(self.sampler, name)

    def exact(self) -> list[tuple[int, tuple[int, int]]]:
        """Seed and size, in LR samples, of what was decoded exactly."""
        return [(seed, region[2:]) for seed, region, draft in self.asked if not draft]


def settings(**changes: object) -> viewer.Settings:
    """Settings of a scene: temperature 1 and no left side, but for the changes."""
    values = {"image": "cat", "model": "4x-D", "temperature": 1.0, "seed": 0, "to_seed": 1, "walk": 0.0}
    values |= {"left": "bicubic", "left_seed": 1, "share": 0.0, "zoom": 1, "across": 0.5, "down": 0.5}
    return viewer.Settings(**values | changes)


async def until(done) -> None:
    """Let the event loop run until something is so."""
    for _ in range(2000):
        if done():
            return
        await asyncio.sleep(0.005)
    pytest.fail("that never came")


def lowres() -> np.ndarray:
    """The LR image of the cat, (16, 20, 3) uint8."""
    return sr.downscale(cat(), 4)
