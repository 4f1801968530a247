"""From settings to arrays: one photograph under one model, its samples, drafts and scores. No widgets."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import cache, cached_property

import cv2
import numpy as np
from torch import Tensor

import srvae_core as sr
from srvae import csvfiles, directions, metrics, regions

from .pace import PAUSE, in_background
from .pictures import heat, split
from .settings import SINGLE, Settings, work_frame

LR_EDGE = 512  # LR pixels a side that are in work at most
STEP_EDGE = 512  # answer pixels a side that are decoded at once at rest: about as long as a move may wait
DRAFT_EDGE = 1024  # answer pixels a side of a draft at most; the rest of a larger picture follows at rest
SCORED = 2048**2  # answer pixels; larger answers are not computed as a whole, only what is seen of them
KEPT = 4  # exact answers at hand: the one on show, the one compared with, and those of the last moves


def load_weights(name: str) -> tuple[sr.SRVAE, str]:
    """Load a model, once, with the version of the weights that were read."""
    return _load_weights(name, sr.SRVAE)


@cache
def _load_weights(name: str, _: type) -> tuple[sr.SRVAE, str]:
    """The same; after a reload of the core its class is another one, and needs another model."""
    return sr.load_model(name), csvfiles.weights_version(name)


def load_model(name: str) -> sr.SRVAE:
    """Load a model by its name or path, once."""
    return load_weights(name)[0]


class Scene:
    """One photograph under one model. Each part is encoded once, when it first becomes visible.

    Args:
        photograph: (H, W, 3) uint8.
        model: the network.
        is_original: shrink the photograph first, and score the answers against it; otherwise it is the LR image.
        work: (x, y), 0 to 1, the middle of the part in work.
        edge: LR pixels a side of that part at most.
        cache: keep the features. False takes less memory, for an answer that is made once.

    Attributes:
        scale: s, 4 or 8.
        size: (height, width) of the LR photograph.
        frame: the part of it in work, (top, left, height, width).
        lr: that part, (h, w, 3) uint8. original: (s*h, s*w, 3) uint8, or None.
        rect: that part in its own coordinates, (0, 0, h, w); so are the rectangles of all methods.
        sampler: its :class:`srvae_core.Sampler`.

    Raises:
        ValueError: the photograph is too small to be shrunk.
    """

    def __init__(
        self,
        photograph: np.ndarray,
        model: sr.SRVAE,
        *,
        is_original: bool,
        work: tuple[float, float] = (0.5, 0.5),
        edge: int = LR_EDGE,
        cache: bool = True,
    ) -> None:
        self.scale = model.scale
        shrunk = self.scale if is_original else 1
        self.size = tuple(n // shrunk for n in photograph.shape[:2])
        if min(self.size) < 1:
            height, width = photograph.shape[:2]
            raise ValueError(f"{width} x {height} pixels are too few to be shrunk {self.scale} times")
        self._step = sr.tile_step(self.scale)
        self.frame = work_frame(self.size, work, edge, self._step)
        top, left, height, width = (shrunk * n for n in self.frame)
        part = np.ascontiguousarray(photograph[top : top + height, left : left + width])
        self.original = part if is_original else None
        self.lr = sr.downscale(part, self.scale) if is_original else part
        self.sampler = sr.Sampler(model, self.lr, cache=cache)
        self.rect = self.sampler.rect
        self._kept: OrderedDict[object, tuple[np.ndarray, set[sr.Rect]]] = OrderedDict()  # the latest last

    @cached_property
    def bicubic(self) -> np.ndarray:
        """The bicubic enlargement, (s*h, s*w, 3) uint8."""
        return sr.enlarge(self.lr, self.scale)

    @cached_property
    def directions(self) -> directions.Directions:
        """The directions of z that change this picture most (about a second)."""
        return directions.find(self.sampler)

    def visible(self, settings: Settings) -> sr.Rect:
        """The visible part in whole LR pixels that contain it, (top, left, height, width)."""
        sides = []
        for n, place in zip(self.rect[2:], (settings.down, settings.across), strict=True):
            seen = n / max(settings.zoom, 1)
            start = place * (n - seen)
            # rounded, because a hundredth of a pixel too many would cost a whole row
            first, stop = math.floor(round(start, 2)), math.ceil(round(start + seen, 2))
            sides.append((min(first, n - 1), min(max(stop, first + 1), n)))
        (top, bottom), (left, right) = sides
        return top, left, bottom - top, right - left

    def beside_border(self, settings: Settings, *, right: bool) -> sr.Rect | None:
        """The visible part on one side of the border, in whole LR pixels; None if it is empty."""
        top, left, height, width = self.visible(settings)
        border = settings.share * width
        first, stop = (math.floor(border), width) if right else (0, math.ceil(border))
        return (top, left + first, height, stop - first) if first < stop else None

    def check(self, settings: Settings) -> None:
        """Raise ValueError if there is nothing to compare with, or a region is not inside the photograph."""
        if settings.left == "original" and self.original is None:
            raise ValueError("this photograph has no original: open it with 'Shrink it first'")
        if settings.left == "best" and settings.best is None:
            raise ValueError("no sample was kept as the best yet")
        for region in settings.regions:
            sr.check_inside(region.rect, self.size)

    # -- Samples --------------------------------------------------------------------------------------------

    def noise(self, temperature: float, seed: float, amounts: tuple[float, ...]) -> Tensor | None:
        """The noise of the part in work, (tiles, 1024), multiplied by the temperature; None for z = 0.

        It is cut from the noise of the photograph, so that a sample stays the same when another part is in work.
        """
        if not temperature and not any(amounts):
            return None
        found = self.directions if any(amounts) else None
        grid = sr.tile_grid(self.size, self.scale)
        eps = directions.steer(
            math.prod(grid), seed, temperature, directions=found, amounts=amounts if found else ()
        ).unflatten(0, grid)
        (rows, cols), (top, left) = self.sampler.field.grid, (start // self._step for start in self.frame[:2])
        return eps[top : top + rows, left : left + cols].flatten(0, 1)

    def sample(self, settings: Settings, rect: sr.Rect | None = None, *, draft: bool = False) -> np.ndarray:
        """Decode the answer to some settings.

        Args:
            settings: only their latents count.
            rect: the part to decode; None is all that is in work.
            draft: for pictures in motion, see :class:`srvae_core.Sampler`.

        Returns:
            (s*height, s*width, 3) uint8.
        """
        eps = self.noise(settings.temperature, settings.seed, settings.amounts)
        parts = []
        for region in settings.regions:
            if (inside := regions.common(region.rect, self.frame)) is not None:
                noise = self.noise(region.temperature, region.seed, settings.amounts)
                parts.append((sr.relative_to(inside, self.frame), noise))
        if not parts:
            return self.sampler(temperature=0.0 if eps is None else 1.0, eps=eps, region=rect, draft=draft)
        seen = self.sampler.with_context(rect or self.rect, draft)
        return self.sampler(latent_map=regions.blended(self.sampler, eps, parts, seen), region=rect, draft=draft)

    def is_encoded(self, rect: sr.Rect, *, draft: bool = False) -> bool:
        """Whether a part can be decoded without encoding anything first."""
        return not self.sampler.missing(self.sampler.with_context(rect, draft))

    def draft(self, settings: Settings, rect: sr.Rect) -> tuple[sr.Rect, np.ndarray] | None:
        """Decode a draft of a part, or of its middle if it is large; None if it would have to be encoded first.

        Returns:
            the part that was decoded, and its picture; the exact one if it is at hand.
        """
        if self.knows(settings, rect):
            return rect, self.answer(settings, rect)
        limit = DRAFT_EDGE // self.scale
        sides = [(start + max(n - limit, 0) // 2, min(n, limit)) for start, n in zip(rect[:2], rect[2:], strict=True)]
        (top, height), (left, width) = sides
        middle = top, left, height, width
        return (middle, self.sample(settings, middle, draft=True)) if self.is_encoded(middle, draft=True) else None

    # -- Exact answers, of which the last few are kept ------------------------------------------------------

    def missing(self, settings: Settings, rect: sr.Rect) -> list[sr.Rect]:
        """The blocks of a part whose exact answer is not at hand, from the middle outwards."""
        known = self._exact(settings)[1]
        top, left, height, width = rect

        def distance(block: sr.Rect) -> float:
            return math.hypot(block[0] + block[2] / 2 - top - height / 2, block[1] + block[3] / 2 - left - width / 2)

        # an odd number of blocks has one in the middle, which is seen first
        every = sr.blocks(self.rect, STEP_EDGE // self.scale, odd=True)
        return sorted((b for b in every if regions.common(b, rect) and b not in known), key=distance)

    def knows(self, settings: Settings, rect: sr.Rect) -> bool:
        """Whether the exact answer of a part is at hand."""
        return settings.latents in self._kept and not self.missing(settings, rect)

    def steps(self, settings: Settings, rect: sr.Rect) -> Iterator[tuple[sr.Rect, np.ndarray]]:
        """Decode what is missing of a part's exact answer, block by block: yields each block and its picture."""
        picture, known = self._exact(settings)
        for block in self.missing(settings, rect):
            part = cut(picture, block, self.scale)
            part[:] = self.sample(settings, block)
            known.add(block)
            yield block, part

    def answer(self, settings: Settings, rect: sr.Rect | None = None) -> np.ndarray:
        """The exact answer of a part (None: all that is in work), (s*height, s*width, 3) uint8; not to be changed."""
        rect = self.rect if rect is None else rect
        for _ in self.steps(settings, rect):
            pass
        return cut(self._exact(settings)[0], rect, self.scale)

    def _exact(self, settings: Settings) -> tuple[np.ndarray, set[sr.Rect]]:
        """What is known of an exact answer: a picture, and the blocks of it that were decoded."""
        if settings.latents not in self._kept:
            height, width = self.lr.shape[:2]
            self._kept[settings.latents] = np.zeros((self.scale * height, self.scale * width, 3), np.uint8), set()
        self._kept.move_to_end(settings.latents)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[settings.latents]

    # -- What the answer is compared with, and scores -------------------------------------------------------

    def left_sample(self, settings: Settings) -> Settings | None:
        """The settings of the sample on the left side; None if bicubic or the original is there."""
        if settings.left == SINGLE:
            return settings.single
        if settings.left == "another sample":
            return replace(settings, seed=settings.left_seed)
        return settings.best if settings.left == "best" else None

    def left_picture(self, settings: Settings, rect: sr.Rect) -> np.ndarray:
        """The exact left side of a part, (s*height, s*width, 3) uint8."""
        if (sample := self.left_sample(settings)) is not None:
            return self.answer(sample, rect)
        return cut(self.bicubic if settings.left == "bicubic" else self.original, rect, self.scale)

    def view(self, settings: Settings, deviation: np.ndarray | None = None) -> np.ndarray:
        """The exact visible part in one piece: left side, border, answer; (H, W, 3) uint8.

        Args:
            settings: all of them count.
            deviation: (H, W), laid over the answer as colours.
        """
        self.check(settings)
        rect = self.visible(settings)
        right = self.answer(settings, rect)
        if deviation is not None:
            right = cv2.addWeighted(right, 0.35, heat(deviation), 0.65, 0)
        return split(self.left_picture(settings, rect), right, settings.share)

    def describe(self, settings: Settings) -> Generator[float, None, list[str]]:
        """Compute the sizes and scores of all that is in work, in steps; returns lines of text."""
        height, width = self.lr.shape[:2]
        lines = [f"{self.scale * width} x {self.scale * height} from {width} x {height} pixels"]
        if self.frame[2:] != self.size:
            lines.append("part of the photograph: drag the frame")
        if self.scale**2 * height * width > SCORED:
            return lines
        for _ in self.steps(settings, self.rect):
            yield PAUSE
        answer = self.answer(settings).copy()  # the scores are computed in a thread
        if self.original is not None and min(answer.shape[:2]) >= metrics.SSIM_WINDOW + 2 * self.scale:
            for name, picture in (("bicubic", self.bicubic), ("SR-VAE", answer)):
                scores = yield from in_background(lambda p=picture: metrics.fidelity(p, self.original, self.scale))
                lines.append(f"{name}: PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}")
        fit = yield from in_background(lambda: metrics.lr_psnr(answer, self.lr, self.scale))
        return [*lines, f"agrees with the small image: {fit:.0f} dB"]


def cut(picture: np.ndarray, rect: sr.Rect, scale: int) -> np.ndarray:
    """The part of a picture, (s*H, s*W, 3), inside a rectangle in LR pixels; a view of it."""
    top, left, height, width = (scale * n for n in rect)
    return picture[top : top + height, left : left + width]
