"""From settings to a picture, without widgets: one image under one model, its samples, drafts and scores."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from dataclasses import replace
from functools import cache
from itertools import product

import cv2
import directions
import metrics
import numpy as np

import srvae_core as sr

from .pictures import heat, split
from .settings import Settings

STEP_EDGE = 256  # pixels a side of what one step of an exact answer decodes: about as long as a move may wait
STEP_PAUSE = 0.01  # seconds between two such steps, in which a move can come
KEPT = 3  # exact pictures at hand: the answer, the left side, and the whole answer that the scores are of

Steps = Generator[float, None, None]  # work in steps: yields the seconds after which to go on
PictureInSteps = Generator[float, None, np.ndarray]  # likewise, with a picture at the end

load_model = cache(sr.load_model)  # another image needs no second reading of 20 to 40 MB


class Scene:
    """One image under one model, encoded once; settings then make pictures of it.

    Args:
        image: (H, W, 3) uint8.
        model: the network.
        is_original: reduce the image first and compare the answers with it; otherwise it is an LR image.
        step_edge: pixels a side of what one step of an exact answer decodes.

    Attributes:
        sampler: :class:`srvae_core.Sampler` of the LR image.
        original: (s*h, s*w, 3) uint8, or None where the image is an LR image.
        lr: (h, w, 3) uint8.
        scale: s, 4 or 8.
        bicubic: the enlarged LR image, (s*h, s*w, 3) uint8.
        directions: of this image, from :meth:`find_directions`; None before.

    Raises:
        TypeError, ValueError: the image is none, or too small for the scale.
    """

    def __init__(self, image: np.ndarray, model: sr.SRVAE, *, is_original: bool, step_edge: int = STEP_EDGE) -> None:
        self.scale = model.scale
        self.original = sr.crop_to_multiple(image, self.scale) if is_original else None
        self.lr = image if self.original is None else sr.downscale(self.original, self.scale)
        self.sampler = sr.Sampler(model, self.lr)
        self.bicubic = sr.enlarge(self.lr, self.scale)
        self.directions: directions.Directions | None = None
        self._step_edge = max(1, step_edge // self.scale)  # LR samples
        self._kept: OrderedDict[tuple[object, ...], np.ndarray] = OrderedDict()  # exact pictures, the latest last
        self._bicubic_scores = ""

    # Samples.

    def region(self, settings: Settings) -> sr.Rect:
        """What is zoomed to: (top, left, height, width) in LR samples."""
        height, width = self.lr.shape[:2]
        h, w = (max(1, round(n / settings.zoom)) for n in (height, width))
        return round(settings.down * (height - h)), round(settings.across * (width - w)), h, w

    def find_directions(self) -> directions.Directions:
        """The directions of z that change this image most; computed (about a second) when they are first wanted."""
        if self.directions is None:
            self.directions = directions.find(self.sampler)
        return self.directions

    def sample(self, settings: Settings, region: sr.Rect | None = None, *, draft: bool = False) -> np.ndarray:
        """The answer to some settings, decoded at once.

        Args:
            settings: their latents count, not what they zoom to.
            region: (top, left, height, width) in LR samples; None is the whole image.
            draft: for pictures in motion, see :class:`srvae_core.Sampler`.

        Returns:
            (s*height, s*width, 3) uint8.
        """
        moved = any(settings.amounts)
        if not settings.walk and not moved:
            return self.sampler(settings.seed, settings.temperature, region=region, draft=draft)
        eps = directions.steer(
            self.sampler.tiles,
            settings.seed,
            settings.temperature,
            to_seed=settings.to_seed,
            walk=settings.walk,
            directions=self.find_directions() if moved else None,
            amounts=settings.amounts if moved else (),
        )
        # the temperature is in eps already: it does not multiply the steps along the directions
        return self.sampler(temperature=1.0, eps=eps, region=region, draft=draft)

    def sample_in_steps(self, settings: Settings, region: sr.Rect) -> PictureInSteps:
        """:meth:`sample` of a region, piece by piece, with pauses in which a move can come."""
        (top, left, height, width), n, s = region, self._step_edge, self.scale
        picture = np.empty((s * height, s * width, 3), np.uint8)
        for y, x in product(range(0, height, n), range(0, width, n)):
            if y or x:
                yield STEP_PAUSE
            h, w = min(n, height - y), min(n, width - x)
            piece = self.sample(settings, (top + y, left + x, h, w))
            picture[s * y : s * (y + h), s * x : s * (x + w)] = piece
        return picture

    def draft(self, settings: Settings, start: int, stop: int) -> np.ndarray:
        """What is zoomed to, decoded roughly and in the columns start to stop only; black elsewhere."""
        top, left, h, w = self.region(settings)
        first, last = start // self.scale, -(-stop // self.scale)  # whole LR samples that hold those columns
        picture = np.zeros((h * self.scale, w * self.scale, 3), np.uint8)
        if first < last:
            part = self.sample(settings, (top, left + first, h, last - first), draft=True)
            picture[:, first * self.scale : last * self.scale] = part
        return picture

    # Exact answers. The last few are kept, so that the border, the scores and the frame do not decode them again.

    def kept_answer(self, settings: Settings) -> np.ndarray | None:
        """The exact picture of what is zoomed to, if it is at hand."""
        key = self._key(settings)
        if key in self._kept:
            self._kept.move_to_end(key)  # what is shown again is not what has to go first
        return self._kept.get(key)

    def answer(self, settings: Settings) -> np.ndarray:
        """The exact picture of what is zoomed to, decoded at once unless it is at hand; (H, W, 3) uint8."""
        picture = self.kept_answer(settings)
        return self._keep(settings, self.sample(settings, self.region(settings)) if picture is None else picture)

    def answer_in_steps(self, settings: Settings) -> PictureInSteps:
        """The same with pauses in which a move can come."""
        picture = self.kept_answer(settings)
        if picture is None:
            picture = yield from self.sample_in_steps(settings, self.region(settings))
        return self._keep(settings, picture)

    def _key(self, settings: Settings) -> tuple[object, ...]:
        return self.region(settings), settings.latents

    def _keep(self, settings: Settings, picture: np.ndarray) -> np.ndarray:
        key = self._key(settings)
        self._kept[key] = picture
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return picture

    # The frame: left side, border, answer.

    def frame(self, settings: Settings, deviation: np.ndarray | None = None) -> np.ndarray:
        """The picture on show, exact where the exact answer is at hand and else a draft of what is seen of it.

        Args:
            settings: all of them count.
            deviation: (H, W), laid over the answer as colours; None leaves it plain.

        Returns:
            (H, W, 3) uint8.

        Raises:
            ValueError: the left side is to be the original, and there is none.
        """
        width = self.scale * self.region(settings)[3]
        border = round(settings.share * width)
        exact = self.kept_answer(settings)
        right = self.draft(settings, border, width) if exact is None else exact
        if deviation is not None:
            right = cv2.addWeighted(right, 0.35, heat(deviation), 0.65, 0)
        if not border:
            return right
        return split(self._left_side(settings, border, moving=exact is None), right, settings.share)

    def _left_side(self, settings: Settings, stop: int, *, moving: bool) -> np.ndarray:
        """What the answer is compared with, right in the columns up to stop at least."""
        match settings.left:
            case "original" if self.original is None:
                raise ValueError("an uploaded image has no original to compare with: choose another left side")
            case "original":
                return self._cut(self.original, settings)
            case "bicubic":
                return self._cut(self.bicubic, settings)
            case "z = 0":  # does not follow the sliders, so that one exact picture serves all their moves
                return self.answer(settings.at_zero())
            case _:
                other = settings.with_seed(settings.left_seed)
                return self.draft(other, 0, stop) if moving else self.answer(other)

    def _cut(self, picture: np.ndarray, settings: Settings) -> np.ndarray:
        top, left, h, w = (self.scale * n for n in self.region(settings))
        return picture[top : top + h, left : left + w]

    # Scores.

    def describe(self, settings: Settings) -> Generator[float, None, list[str]]:
        """Sizes and scores of the whole answer, however far the view is zoomed, in steps; gives lines of text."""
        answer = yield from self.answer_in_steps(replace(settings, zoom=1))
        h, w = answer.shape[:2]
        lines = [f"{w} x {h} from {self.lr.shape[1]} x {self.lr.shape[0]} pixels"]
        if self.original is not None and min(h, w) >= metrics.SSIM_WINDOW + 2 * self.scale:  # a border is left out
            if not self._bicubic_scores:
                self._bicubic_scores = self._scores(self.bicubic)
                yield STEP_PAUSE
            lines += [f"bicubic: {self._bicubic_scores}", f"SR-VAE: {self._scores(answer)}"]
            yield STEP_PAUSE
        lines.append(f"LR-PSNR {metrics.lr_psnr(answer, self.lr, self.scale):.1f} dB")
        return lines

    def _scores(self, picture: np.ndarray) -> str:
        scores = metrics.fidelity(picture, self.original, self.scale)
        return f"PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}"
