"""What is done to z besides drawing it: directions, and walks between seeds.

Latents are handled as eps, before z = temperature * 0.1 * g(LR) * eps: there every axis has the prior's standard
deviation as its unit, so a step of 1 along any direction is one standard deviation of the prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import srvae_core as sr

COUNT = 8
ITERATIONS = 1
SPARE = 2  # vectors iterated beside those asked for, which makes the last of these converge sooner


@dataclass(frozen=True)
class Directions:
    """Orthogonal directions of z that change the picture most, strongest first.

    Attributes:
        vectors: (count, 1024) orthonormal, in units of the prior's standard deviation; the same for every tile.
        effects: (count,) grey levels (root mean square, of 255) by which one unit moves the picture.
    """

    vectors: Tensor
    effects: np.ndarray


@dataclass(frozen=True)
class Window:
    """A part of one tile: what the directions are measured on."""

    tile: int
    inner: tuple[slice, slice]  # rows and columns of the tile
    outer: tuple[slice, slice]  # rows and columns of the LR image


def windows(sampler: sr.Sampler) -> list[Window]:
    """Windows in the four most detailed tiles, in a different quarter of each, three eighths of a tile wide.

    Only tiles that lie in the image whole are taken, unless the image is smaller than a tile.
    """
    field, lr = sampler.field, sampler.pixels
    edges = [min(field.tile * 3 // 8, n) for n in field.size]
    detail = {}
    for tile in range(field.tiles):
        top, left = (field.step * i for i in divmod(tile, field.grid[1]))
        if all(o == 0 or o + field.tile <= n for o, n in zip((top, left), field.size, strict=True)):
            part = lr[..., top : top + field.tile, left : left + field.tile]
            detail[tile] = float(part.std((2, 3), correction=0).mean())
    best = sorted(detail, key=detail.__getitem__, reverse=True)[:4]
    chosen = []
    for quarter in range(4):
        tile = best[quarter % len(best)]
        origin = [field.step * i for i in divmod(tile, field.grid[1])]
        starts = [
            min(o + i * field.tile // 2, n - e)
            for o, i, n, e in zip(origin, divmod(quarter, 2), field.size, edges, strict=True)
        ]
        inner = tuple(slice(s - o, s - o + e) for s, o, e in zip(starts, origin, edges, strict=True))
        chosen.append(Window(tile, inner, tuple(slice(s, s + e) for s, e in zip(starts, edges, strict=True))))
    return chosen


def find(sampler: sr.Sampler, count: int = COUNT, *, iterations: int = ITERATIONS) -> Directions:
    """The directions of z that change this image most: right singular vectors of the decoder's Jacobian.

    Subspace iteration: the Jacobian J of eps -> picture is never built, J v and J^T u come from forward and
    reverse differentiation. So that this takes about a second, the picture is reduced to four windows (see
    :func:`windows`), and all tiles share a direction. Back-projection onto the LR image is part of J. The start
    is fixed, and so is the sign (a vector's largest number is positive): the same image gives the same directions.

    Args:
        sampler: with its cache.
        count: how many directions, 1 to 1022.
        iterations: of J^T J, 0 or more.

    Raises:
        TypeError: no sampler, or a count or iterations that are no whole numbers.
        ValueError: the sampler has no cache, or count or iterations are out of range.
    """
    if not isinstance(sampler, sr.Sampler):
        raise TypeError(f"directions need a Sampler with its cache, Sampler(model, lr), not {type(sampler).__name__}")
    if sampler.code is None:
        raise ValueError("directions need a Sampler with its cache: Sampler(model, lr)")
    for name, value in (("count", count), ("iterations", iterations)):
        if not isinstance(value, int | np.integer):
            raise TypeError(f"{name} must be a whole number, not {value!r}")
    if iterations < 0:
        raise ValueError(f"iterations must be 0 or more, not {iterations}")
    if not 1 <= count <= sr.LATENTS - SPARE:
        raise ValueError(f"count must be 1 to {sr.LATENTS - SPARE}, not {count!r}")
    picture = picture_of_steps(sampler)
    # all vectors at once as a batch, which is quicker than vmap
    origin = torch.zeros(count + SPARE, sr.LATENTS, device=sampler.pixels.device)
    flat, pull = torch.func.vjp(picture, origin)

    def push(vectors: Tensor) -> Tensor:
        """J times each of some vectors: forward differentiation."""
        return torch.func.jvp(picture, (origin,), (vectors,))[1]

    start = torch.randn(origin.T.shape, generator=torch.Generator().manual_seed(0)).to(origin)
    basis = torch.linalg.qr(start).Q
    for _ in range(iterations):
        basis = torch.linalg.qr(pull(push(basis.T))[0].T).Q
    _, sizes, mixing = torch.linalg.svd(push(basis.T).T, full_matrices=False)  # J basis = U S mixing
    vectors = (mixing @ basis.T)[:count]
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    effects = 255 * sizes[:count] / math.sqrt(flat.shape[1])
    return Directions((vectors * largest.sign()).cpu(), effects.cpu().numpy())


def picture_of_steps(sampler: sr.Sampler) -> Callable[[Tensor], Tensor]:
    """The windows' pixels as a function of steps along the latents, which is what :func:`find` differentiates.

    The function takes n steps, (n, 1024), in standard deviations of the prior, each taken by every tile from its noise,
    and returns (n, pixels).
    """
    parts = _Parts(sampler)
    model, consistency = sampler.model, sampler.consistency

    def picture(steps: Tensor) -> Tensor:
        n = len(steps)
        z = sr.PRIOR_SD * parts.g[:, None] * (parts.eps[:, None] + steps)  # (windows, n, 1024)
        maps = model.latent_map(z.flatten(0, 1)).unflatten(0, (-1, n))
        maps = torch.cat([m[(..., *inner)] for m, inner in zip(maps, parts.inner, strict=True)])
        lr, code, up = (x.repeat_interleave(n, 0) for x in (parts.lr, parts.code, parts.up))
        answer = model.reconstruct(code, maps, up)
        answer = sr.consistent(answer, lr, model.scale) if consistency else answer
        return answer.unflatten(0, (-1, n)).transpose(0, 1).flatten(1)

    return picture


class _Parts:
    """What the decoder reads in the windows: LR, code, enlarged LR, g and noise, a row for each window."""

    def __init__(self, sampler: sr.Sampler) -> None:
        chosen, scale = windows(sampler), sampler.model.scale
        tiles = [window.tile for window in chosen]
        self.inner = [window.inner for window in chosen]
        self.lr, self.code = (self._cut(x, chosen, 1) for x in (sampler.pixels, sampler.code))
        self.up = self._cut(sampler.up, chosen, scale)
        self.g = sampler.field.g[tiles].clone()
        self.eps = sr.noise(0, sampler.tiles)[tiles].to(self.g.device)

    @staticmethod
    def _cut(x: Tensor, chosen: list[Window], scale: int) -> Tensor:
        """The windows of a map; a clone, because what inference mode made cannot be differentiated."""
        places = [tuple(slice(scale * i.start, scale * i.stop) for i in window.outer) for window in chosen]
        return torch.cat([x[(..., *place)] for place in places]).clone()


def steer(
    tiles: int,
    seed: int,
    temperature: float,
    *,
    to_seed: int | None = None,
    walk: float = 0.0,
    directions: Directions | None = None,
    amounts: Sequence[float] = (),
) -> Tensor:
    """The eps, (tiles, 1024), of some settings, for ``sampler(temperature=1, eps=...)``.

    Args:
        tiles: of the image, ``sampler.tiles``.
        seed: of the noise.
        temperature: multiplies the noise, but not the steps along the directions.
        to_seed: the seed at the end of a walk.
        walk: 0 to 1, the way from seed to to_seed, along the arc that keeps the noise's variance.
        directions: from :func:`find`.
        amounts: steps along the directions in standard deviations of the prior, at most as many as there are.

    Raises:
        ValueError: walk is outside 0 to 1, temperature below 0 or infinite, an amount no finite number, or there are
            more amounts than directions.
    """
    sr.noise_generator(seed, temperature)  # which refuses a temperature that there is not
    if not 0 <= walk <= 1:
        raise ValueError(f"walk must be 0 to 1, not {walk!r}")
    eps = sr.noise(seed, tiles)
    if to_seed is not None:
        angle = walk * math.pi / 2
        eps = math.cos(angle) * eps + math.sin(angle) * sr.noise(to_seed, tiles)
    eps = temperature * eps
    if len(amounts) > (0 if directions is None else len(directions.vectors)):
        raise ValueError(f"{len(amounts)} amounts for fewer directions")
    if not np.isfinite(np.asarray(amounts, float)).all():
        raise ValueError(f"amounts must be finite numbers, not {list(amounts)}")
    for amount, vector in zip(amounts, () if directions is None else directions.vectors, strict=False):
        eps = eps + amount * vector
    return eps
