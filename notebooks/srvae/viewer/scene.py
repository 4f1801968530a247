"""From settings to a picture, without widgets: one image under one model, its samples, drafts and scores."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Generator
from functools import cache
from itertools import pairwise, product

import cv2
import numpy as np
from torch import Tensor

import srvae_core as sr
from srvae import csvfiles, directions, metrics, regions

from .pictures import heat, split
from .settings import Latents, Settings

STEP_EDGE = 256  # pixels a side of what one step of an exact answer decodes: about as long as a move may wait
STEP_PAUSE = 0.01  # seconds between two such steps, in which a move can come
KEPT = 4  # exact answers at hand: the one on show, the one compared with, and those of the last moves

Steps = Generator[float, None, None]  # work in steps: yields the seconds after which to go on
PictureInSteps = Generator[float, None, np.ndarray]  # likewise, with a picture at the end
Show = Callable[[sr.Rect, np.ndarray], None]  # is given a piece of a picture and where it lies, in LR samples


@cache  # another image needs no second reading
def load_weights(name: str) -> tuple[sr.SRVAE, str]:
    """A model, and the version of the very weights that were read: its file may be replaced while it is in use."""
    return sr.load_model(name), csvfiles.weights_version(name)


def load_model(name: str) -> sr.SRVAE:
    """A model by its name or path, read once."""
    return load_weights(name)[0]


class Exact:
    """The exact answer to some latents, as far as it is known: pieces of a fixed grid, so that it is the same picture
    whatever was looked at first.

    Args:
        size: (h, w) of the LR image.
        scale: s, of the model.
        edge: LR samples a side of a piece.

    Attributes:
        picture: (s*h, s*w, 3) uint8, right in the pieces that are known.
    """

    def __init__(self, size: tuple[int, int], scale: int, edge: int) -> None:
        self.picture = np.zeros((scale * size[0], scale * size[1], 3), np.uint8)
        self._size, self._scale, self._edge = size, scale, edge
        self._known: set[sr.Rect] = set()

    def _borders(self, n: int) -> list[int]:
        """Where the pieces of n samples begin and end. Of many, one lies in the middle: it is complete first."""
        first = (n - self._edge) // 2 % self._edge if n > 2 * self._edge else 0
        return sorted({0, *range(first, n, self._edge), n})

    def missing(self, region: sr.Rect) -> list[sr.Rect]:
        """The pieces that a region lacks, from its middle outwards, as (top, left, height, width) in LR samples."""
        top, left, height, width = region
        y, x = top + height / 2, left + width / 2
        sides = []
        for start, size, whole in zip(region[:2], region[2:], self._size, strict=True):
            pieces = pairwise(self._borders(whole))
            sides.append([(a, b - a) for a, b in pieces if a < start + size and b > start])
        pieces = [(i, j, h, w) for (i, h), (j, w) in product(*sides)]

        def from_middle(piece: sr.Rect) -> float:
            i, j, h, w = piece
            return math.hypot(i + h / 2 - y, j + w / 2 - x)

        return sorted((piece for piece in pieces if piece not in self._known), key=from_middle)

    def put(self, piece: sr.Rect, picture: np.ndarray) -> None:
        """Take in a piece that was missing."""
        cut(self.picture, piece, self._scale)[:] = picture
        self._known.add(piece)

    def of(self, region: sr.Rect) -> np.ndarray:
        """The part of the answer that a region stands for; a view, which must not be written to."""
        return cut(self.picture, region, self._scale)


class Scene:
    """One image under one model; settings then make pictures of it.

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

    def __init__(
        self,
        image: np.ndarray,
        model: sr.SRVAE,
        *,
        is_original: bool,
        step_edge: int = STEP_EDGE,
    ) -> None:
        self.scale = model.scale
        self.original = metrics.crop_to_multiple(image, self.scale) if is_original else None
        self.lr = image if self.original is None else sr.downscale(self.original, self.scale)
        self.sampler = sr.Sampler(model, self.lr)
        self.bicubic = sr.enlarge(self.lr, self.scale)
        self.directions: directions.Directions | None = None
        self._step_edge = max(1, step_edge // self.scale)  # LR samples
        self._kept: OrderedDict[Latents, Exact] = OrderedDict()  # the latest last
        self._bicubic_scores = ""

    @property
    def whole(self) -> sr.Rect:
        """The whole image as a region: (0, 0, h, w)."""
        return 0, 0, *self.lr.shape[:2]

    def is_encoded(self, region: sr.Rect) -> bool:
        """Whether a region can be decoded without encoding anything first."""
        return not self.sampler.missing(self.sampler.with_context(region))

    # Samples.

    def region(self, settings: Settings) -> sr.Rect:
        """What is zoomed to, in whole LR samples that hold it: (top, left, height, width)."""
        sides = []
        for n, place in zip(self.lr.shape[:2], (settings.down, settings.across), strict=True):
            seen = n / settings.zoom
            start = place * (n - seen)
            # rounded, because a hundredth of a sample too many would cost a whole row
            first, stop = math.floor(round(start, 2)), math.ceil(round(start + seen, 2))
            sides.append((min(first, n - 1), min(max(stop, first + 1), n)))
        (top, bottom), (left, right) = sides
        return top, left, bottom - top, right - left

    def find_directions(self) -> directions.Directions:
        """The directions of z that change this image most; computed (about a second) when they are first wanted."""
        if self.directions is None:
            self.directions = directions.find(self.sampler)
        return self.directions

    def noise(self, temperature: float, seed: float, amounts: tuple[float, ...]) -> Tensor | None:
        """The noise of some latents, (tiles, 1024), with the temperature in it: it must not multiply the amounts.

        None is z = 0.
        """
        if not temperature and not any(amounts):
            return None
        found = self.find_directions() if any(amounts) else None
        return directions.steer(
            self.sampler.tiles, seed, temperature, directions=found, amounts=amounts if found else ()
        )

    def sample(self, settings: Settings, region: sr.Rect | None = None, *, draft: bool = False) -> np.ndarray:
        """The answer to some settings, decoded at once.

        Args:
            settings: their latents count, not what they zoom to.
            region: (top, left, height, width) in LR samples; None is the whole image.
            draft: for pictures in motion, see :class:`srvae_core.Sampler`.

        Returns:
            (s*height, s*width, 3) uint8.

        Raises:
            ValueError: a region of the latents is not inside the image.
        """
        latents = settings.latents
        eps = self.noise(latents.temperature, latents.seed, latents.amounts)
        if not latents.regions:
            return self.sampler(temperature=0.0 if eps is None else 1.0, eps=eps, region=region, draft=draft)
        parts = [(part.rect, self.noise(part.temperature, part.seed, part.amounts)) for part in latents.regions]
        seen = self.sampler.with_context(self.whole if region is None else region, draft)
        latent_map = regions.blended(self.sampler, eps, parts, seen)
        return self.sampler(latent_map=latent_map, region=region, draft=draft)

    def sample_in_steps(self, settings: Settings, region: sr.Rect) -> PictureInSteps:
        """:meth:`sample` of a region, piece by piece, with pauses in which a move can come."""
        (top, left, height, width), n, s = region, self._step_edge, self.scale
        picture = np.empty((s * height, s * width, 3), np.uint8)
        for y, x in product(range(0, height, n), range(0, width, n)):
            if y or x:
                yield STEP_PAUSE
            piece = y, x, min(n, height - y), min(n, width - x)
            cut(picture, piece, s)[:] = self.sample(settings, (top + y, left + x, *piece[2:]))
        return picture

    def beside_border(self, settings: Settings, *, right: bool) -> sr.Rect | None:
        """What is seen on one side of the border, in whole LR samples that hold it; None where that is nothing."""
        top, left, height, width = self.region(settings)
        border = settings.share * width
        first, stop = (math.floor(border), width) if right else (0, math.ceil(border))
        return (top, left + first, height, stop - first) if first < stop else None

    # Exact answers. The last few are kept, so that the border, the scores and the frame do not decode them again.

    def knows(self, settings: Settings, region: sr.Rect) -> bool:
        """Whether the exact answer in a region is at hand."""
        return settings.latents in self._kept and not self._exact(settings).missing(region)

    def answer(self, settings: Settings, region: sr.Rect | None = None) -> np.ndarray:
        """The exact answer in a region, or in what is zoomed to, decoded at once unless at hand; (H, W, 3) uint8."""
        region = self.region(settings) if region is None else region
        exact = self._exact(settings)
        for piece in exact.missing(region):
            exact.put(piece, self.sample(settings, piece))
        return exact.of(region)

    def answer_in_steps(self, settings: Settings, region: sr.Rect, show: Show | None = None) -> PictureInSteps:
        """The same from the middle outwards, with pauses in which a move can come; ``show`` sees piece after piece."""
        exact = self._exact(settings)
        for piece in exact.missing(region):
            exact.put(piece, self.sample(settings, piece))
            if show is not None:
                show(piece, exact.of(piece))
            yield STEP_PAUSE
        return exact.of(region)

    def _exact(self, settings: Settings) -> Exact:
        """What is known of the exact answer; of those not asked for in the longest time one is forgotten."""
        latents = settings.latents
        if latents not in self._kept:
            self._kept[latents] = Exact(self.whole[2:], self.scale, self._step_edge)
        self._kept.move_to_end(latents)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[latents]

    # What the answer is compared with.

    def check(self, settings: Settings) -> None:
        """See that there is what the settings name, before any work.

        Raises:
            ValueError: the left side is to be the original or the best sample, and there is none; a region does not
                lie inside the image.
        """
        height, width = self.whole[2:]
        best = () if settings.best is None else settings.best.regions
        for part in (*settings.latents.regions, *best):
            if part.left + part.width > width or part.top + part.height > height:
                raise ValueError(f"a region of {part.rect} (top, left, height, width) is not inside {height}x{width}")
        if settings.left == "original" and self.original is None:
            raise ValueError(
                "this image has no original to compare with: choose another left side, "
                "or upload an original with the tick that reduces it"
            )
        if settings.left == "best" and settings.best is None:
            raise ValueError("no sample was kept as the best yet: keep one, or choose another left side")

    def left_sample(self, settings: Settings) -> Settings | None:
        """The settings of the sample on the left side; None where no sample is there.

        Raises:
            ValueError: see :meth:`check`.
        """
        self.check(settings)
        match settings.left:
            case "z = 0":
                return settings.at_zero()
            case "another sample":
                return settings.with_seed(settings.left_seed)
            case "best":
                return settings.at(settings.best)
        return None

    def left_picture(self, settings: Settings, region: sr.Rect) -> np.ndarray:
        """What the answer is compared with, exactly, in a region; (H, W, 3) uint8. Raises as :meth:`check`."""
        sample = self.left_sample(settings)
        if sample is not None:
            return self.answer(sample, region)
        return cut(self.bicubic if settings.left == "bicubic" else self.original, region, self.scale)

    def frame(self, settings: Settings, deviation: np.ndarray | None = None) -> np.ndarray:
        """The exact picture as it is on show, in one piece: left side, border, answer.

        Args:
            settings: all of them count.
            deviation: (H, W), laid over the answer as colours; None leaves it plain.

        Returns:
            (H, W, 3) uint8, of what is zoomed to.

        Raises:
            ValueError: see :meth:`check`.
        """
        region = self.region(settings)
        right = self.answer(settings, region)
        if deviation is not None:
            right = cv2.addWeighted(right, 0.35, heat(deviation), 0.65, 0)
        if not round(settings.share * right.shape[1]):
            return right.copy()
        return split(self.left_picture(settings, region), right, settings.share)

    # Scores.

    def describe(self, settings: Settings) -> Generator[float, None, list[str]]:
        """Sizes and scores of the whole answer, however far the view is zoomed, in steps; gives lines of text."""
        answer = yield from self.answer_in_steps(settings, self.whole)
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


def cut(picture: np.ndarray, region: sr.Rect, scale: int) -> np.ndarray:
    """The part of a picture, (s*h, s*w, ...), that a region of the LR image stands for; a view."""
    top, left, height, width = (scale * n for n in region)
    return picture[top : top + height, left : left + width]
