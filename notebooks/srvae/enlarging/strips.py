"""An answer strip by strip, so that the memory it takes does not grow with the image's height.

Of the image, a window of rows around each strip is encoded, which holds all that has an effect on the strip: the tiles
of latents that reach into it with what surrounds these, and what the convolutions see. Windows begin where a row of
tiles does, so that the tiles are the whole image's, and so is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

import srvae_core as sr

from .picture import Picture

TILE_CONTEXT = 4  # LR samples around a tile that g(LR) sees
CACHED = 2**29  # bytes that an encoded image may take to be kept for several samples


class NoiseRows:
    """A seed's noise as :func:`srvae_core.noise` draws it for all tiles, drawn row of tiles by row of tiles.

    Args:
        seed: of the noise.
        columns: tiles in a row.

    Attributes:
        kept: the rows from the first of the last window on, each (columns, 1024).
    """

    def __init__(self, seed: int, columns: int) -> None:
        self._generator, self._columns = sr.noise_generator(seed), columns
        self._first = 0  # of those that are kept
        self.kept: list[Tensor] = []

    def window(self, first: int, count: int) -> Tensor:
        """The noise of some rows, (count * columns, 1024). Windows move downwards: what is above one is forgotten."""
        while self._first + len(self.kept) < first + count:
            self.kept.append(sr.noise(self._generator, self._columns))
        del self.kept[: first - self._first]
        self._first = first
        return torch.cat(self.kept[:count])


class Strips:
    """An image, and its answers as bands of rows from the top.

    Args:
        model: the network.
        lr: (H, W, 3) or (H, W, 4), uint8 or uint16.
        grey: answer in one channel, or two with alpha. That takes an image of three equal channels.
        samples: how many answers will be asked for. For several, an image that is small enough is encoded once.
        block: edge of what is computed at once, in pixels of the answer.
        precision: as of :class:`srvae_core.Sampler`.

    Attributes:
        picture: the form of the answers.
    """

    def __init__(
        self,
        model: sr.SRVAE,
        lr: np.ndarray,
        *,
        grey: bool = False,
        samples: int = 1,
        block: int = sr.BLOCK,
        precision: str = "auto",
    ) -> None:
        s = model.scale
        self.model, self.block, self.precision = model, block, precision
        # What a Sampler keeps of a pixel: 64 numbers of the code and three for each of the answer's, 4 bytes each,
        # and 160 of 2 bytes of the first unit.
        self.cache = samples > 1 and (4 * (64 + 3 * s * s) + 320) * lr.shape[0] * lr.shape[1] <= CACHED
        self.colours = sr.visible_colours(lr)
        self.alpha = lr[..., 3:] if lr.shape[2] == 4 else None
        self.equal = all(np.array_equal(self.colours[..., 0], self.colours[..., i]) for i in (1, 2))
        channels = (1 if grey and self.equal else 3) + (self.alpha is not None)
        self.picture = Picture(lr.shape[0] * s, lr.shape[1] * s, channels, lr.dtype)
        self.rows, self.columns = (_borders(n, s, block) for n in lr.shape[:2])
        # As LatentField lays its tiles.
        self.tile = sr.PATCH // s
        self.step = self.tile * 3 // 4
        self.grid = tuple(max(0, math.ceil((n - self.tile) / self.step)) + 1 for n in lr.shape[:2])
        self._kept: tuple[tuple[int, int], sr.Sampler] | None = None  # the last window, which samples may share

    def bands(self, seed: int, temperature: float, made: Callable[[int], object] | None = None) -> Iterator[np.ndarray]:
        """The rows of one answer, (rows, s*W, C) at a time.

        Args:
            seed, temperature: as of :class:`srvae_core.Sampler`.
            made: is told how many pixels each block had that was made.
        """
        drawing = NoiseRows(seed, self.grid[1]) if temperature else None
        for top, bottom in pairwise(self.rows):
            yield self._strip(top, bottom, drawing, temperature, made)

    def _strip(
        self,
        top: int,
        bottom: int,
        drawing: NoiseRows | None,
        temperature: float,
        made: Callable[[int], object] | None,
    ) -> np.ndarray:
        """The answer's rows for some rows of the image, block by block."""
        window, first = self._window(top, bottom)
        sampler, drawn, blocks = self._sampler(window), None, []
        if drawing:
            drawn = drawing.window(first, sampler.tiles // self.grid[1])
        for left, right in pairwise(self.columns):
            region = (top - window[0], left, bottom - top, right - left)
            blocks.append(sampler(temperature=temperature, eps=drawn, region=region))
            if made:
                made(blocks[-1].shape[0] * blocks[-1].shape[1])
        return self._as_given(np.concatenate(blocks, 1), top, bottom)

    def _window(self, top: int, bottom: int) -> tuple[tuple[int, int], int]:
        """The rows of the LR image around a strip that have an effect on it, and the first row of tiles in them."""
        height = len(self.colours)
        if self.cache:
            return (0, height), 0
        seen_from, seen_to = max(top - sr.HALO, 0), min(bottom + sr.HALO, height)
        first = max(0, (seen_from - self.tile) // self.step + 1)  # the first row of tiles that reaches into these
        last = min(self.grid[0] - 1, (seen_to - 1) // self.step)
        first = max(0, first - 1)  # what is above the first is then seen
        stop = height if last == self.grid[0] - 1 else min(height, last * self.step + self.tile + TILE_CONTEXT)
        return (first * self.step, stop), first

    def _sampler(self, window: tuple[int, int]) -> sr.Sampler:
        """The encoded rows of a window: those of the last are kept, for another sample, until others are asked for."""
        if self._kept and self._kept[0] == window:
            return self._kept[1]
        self._kept = None  # before the next takes its memory
        rows, options = self.colours[slice(*window)], {"block": self.block, "precision": self.precision}
        sampler = sr.Sampler(self.model, rows, cache=self.cache, **options)
        sampler.grey = self.equal  # grey rows of a coloured image are answered as the whole would be
        self._kept = window, sampler
        return sampler

    def _as_given(self, answer: np.ndarray, top: int, bottom: int) -> np.ndarray:
        """A strip of the answer, (rows, W, 3), in the channels of the picture."""
        if self.picture.grey:
            answer = answer[..., :1]
        if self.alpha is None:
            return answer
        s, margin = self.model.scale, 4  # more than the bicubic kernel reaches
        start = max(top - margin, 0)
        part = sr.to_tensor(np.ascontiguousarray(self.alpha[start : bottom + margin]))
        alpha = sr.to_image(sr.bicubic(part, s, up=True).clamp(0, 1), self.picture.dtype)
        return np.concatenate([answer, alpha[(top - start) * s : (bottom - start) * s]], 2)


def _borders(n: int, scale: int, block: int) -> list[int]:
    """Where the blocks of n LR samples begin and end: as a Sampler of the whole image lays them."""
    parts = math.ceil(n * scale / block)
    return [i * n // parts for i in range(parts + 1)]
