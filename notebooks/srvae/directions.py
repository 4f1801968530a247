"""What is done to z besides drawing it: directions, and the line of seeds.

Latents are handled as eps, before z = temperature * 0.1 * g(LR) * eps: there every axis has the prior's standard
deviation as its unit, so a step of 1 along any direction is one standard deviation of the prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import srvae_core as sr

REVISION = 2  # of the way in which they are found: another one gives other directions
COUNT = 8
ITERATIONS = 1
SEED_LIMIT = 2**53
SPARE = 8  # vectors iterated beside those asked for, which makes the last of these converge sooner
# What an eye makes of a change at arm's length: standard deviations of a Gaussian, in LR samples, for luma and for
# colour, which is seen less sharply. At 4x that is 2 and 4 pixels of the answer, at 8x 4 and 8.
LUMA_BLUR, COLOUR_BLUR = 0.5, 1.0
# JPEG's luma and two colour differences from RGB.
YCC = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))
# How far windows are evened out when directions are chosen: 0 not at all, 0.5 wholly. Not at all, the window where most
# moves has all the directions; wholly, some of them are too faint to be seen.
EVENNESS = 0.35
BRIGHTER = 0.1  # a mean change of luma below this share of the whole change is no change of brightness


@dataclass(frozen=True)
class Directions:
    """Orthogonal directions of z that change the picture most visibly, most visible first.

    Attributes:
        vectors: (count, 1024) orthonormal, in units of the prior's standard deviation; the same for every tile. The
            positive way makes the picture brighter or, where it hardly does either, more detailed.
        effects: (count,) grey levels (root mean square, of 255) by which one unit moves the picture.
        visible: (count,) the same of what is left when fine speckle is taken out, see :func:`what_one_sees`.
        places: for each direction the rectangle, (top, left, height, width) in LR samples, where that is most, of the
            :func:`windows` that it was measured in.
    """

    vectors: Tensor
    effects: np.ndarray
    visible: np.ndarray
    places: tuple[sr.Rect, ...]


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
    """The directions of z that change this image most visibly: right singular vectors of the decoder's Jacobian.

    J is the Jacobian of eps -> picture, W what an eye makes of the picture's change (:func:`what_one_sees`). The
    singular vectors of W J are those of most coherent change; those of J alone are mostly of speckle. They are chosen
    with the windows evened out (:data:`EVENNESS`), and then turned so that they are ordered by W J itself. Subspace
    iteration: J is never built, J v and J^T u come from forward and reverse differentiation. So that this takes about a
    second, the picture is reduced to four windows (see :func:`windows`), and all tiles share a direction.
    Back-projection onto the LR image is part of J. The start is fixed, and so is the sign: the same image gives the
    same directions.

    Args:
        sampler: of the image.
        count: how many directions, 1 to 1016.
        iterations: of (W J)^T W J, 0 or more.

    Raises:
        TypeError: no sampler, or a count or iterations that are no whole numbers.
        ValueError: count or iterations are out of range.
    """
    _check(sampler, count, iterations)
    picture, scale = picture_of_steps(sampler), sampler.model.scale
    origin = torch.zeros(1, sr.LATENTS, device=sampler.pixels.device)
    pull = torch.func.vjp(lambda step: what_one_sees(picture(step), scale), origin)[1]

    def push(vector: Tensor) -> Tensor:
        """J v: forward differentiation."""
        return torch.func.jvp(picture, (origin,), (vector[None],))[1][0]

    def pull_back(change: Tensor) -> Tensor:
        """(W J)^T u: reverse differentiation."""
        return pull(change[None])[0][0]

    # Every vector starts from the same point, so what does not depend on the vector is computed once for all.
    push_all, pull_all = torch.func.vmap(push), torch.func.vmap(pull_back)
    start = torch.randn(sr.LATENTS, count + SPARE, generator=torch.Generator().manual_seed(0)).to(origin)
    basis = torch.linalg.qr(start).Q
    changes = push_all(basis.T)  # (count + SPARE, windows, 3, height, width)
    gain = _evened(what_one_sees(changes, scale))
    for _ in range(iterations):
        basis = torch.linalg.qr(pull_all(gain.square() * what_one_sees(changes, scale)).T).Q
        changes = push_all(basis.T)
    seen = what_one_sees(changes, scale)
    chosen = _main_axes(gain * seen)[:count]
    mixing = _main_axes(torch.tensordot(chosen, seen, 1)) @ chosen
    changes, seen = (255 * torch.tensordot(mixing, x, 1) for x in (changes, seen))
    parts = [
        tuple((rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start))
        for rows, columns in (window.outer for window in windows(sampler))
    ]
    return Directions(
        vectors=(_signs(changes, picture(origin), scale)[:, None] * (mixing @ basis.T)).cpu(),
        effects=changes.flatten(1).square().mean(1).sqrt().cpu().numpy(),
        visible=seen.flatten(1).square().mean(1).sqrt().cpu().numpy(),
        places=tuple(parts[i] for i in seen.square().sum((2, 3, 4)).argmax(1).tolist()),
    )


def what_one_sees(change: Tensor, scale: int) -> Tensor:
    """A change of a picture without its speckle: W of :func:`find`, a linear map.

    Args:
        change: (..., 3, height, width) RGB, of any range.
        scale: 4 or 8, pixels for each LR sample.

    Returns:
        (..., 3, height, width): luma and two colour differences, low-passed. Beyond the edge nothing changes.
    """
    mixed = torch.einsum("ij,...jhw->...ihw", torch.tensor(YCC, device=change.device), change)
    luma, colour = mixed[..., :1, :, :], mixed[..., 1:, :, :]
    return torch.cat([_blurred(luma, LUMA_BLUR * scale), _blurred(colour, COLOUR_BLUR * scale)], -3)


def _main_axes(changes: Tensor) -> Tensor:
    """Orthonormal mixtures of n changes, (n, ...), that are largest one after another: rows of (n, n)."""
    return torch.linalg.svd(changes.flatten(1).T, full_matrices=False).Vh


def _evened(seen: Tensor) -> Tensor:
    """What each window's changes are multiplied by, so that they count more alike.

    From the changes that any steps make, (n, windows, 3, height, width) -> (windows, 1, 1, 1).
    """
    energy = seen.square().mean((0, 2, 3, 4))[:, None, None, None]
    return (energy.mean() / energy.clamp(min=1e-12)) ** EVENNESS


def _blurred(x: Tensor, sigma: float) -> Tensor:
    """(..., height, width) after a Gaussian of that standard deviation in pixels."""
    reach = math.ceil(3 * sigma)
    kernel = torch.from_numpy(cv2.getGaussianKernel(2 * reach + 1, sigma)).to(x)  # (2 reach + 1, 1)
    maps = F.conv2d(x.flatten(0, -3)[:, None], kernel[None, None], padding=(reach, 0))
    return F.conv2d(maps, kernel.T[None, None], padding=(0, reach)).reshape(x.shape)


def _signs(changes: Tensor, picture: Tensor, scale: int) -> Tensor:
    """1 for each change that makes the picture brighter, or else more detailed, and -1 for each that does the opposite.

    (count, windows, 3, height, width) and (1, windows, 3, height, width) -> (count,).
    """
    luma = torch.einsum("j,nkjhw->nkhw", torch.tensor(YCC[0], device=changes.device), changes)
    brighter = luma.mean((1, 2, 3))
    fine = picture - _blurred(picture, LUMA_BLUR * scale)
    # half the derivative of the fine detail's energy along the change
    detail = ((changes - _blurred(changes, LUMA_BLUR * scale)) * fine).flatten(1).sum(1)
    clear = brighter.abs() > BRIGHTER * luma.square().mean((1, 2, 3)).sqrt()
    return torch.where(torch.where(clear, brighter, detail) < 0, -1.0, 1.0)


def _check(sampler: sr.Sampler, count: int, iterations: int) -> None:
    if not isinstance(sampler, sr.Sampler):
        raise TypeError(f"directions need a Sampler, Sampler(model, lr), not {type(sampler).__name__}")
    for name, value in (("count", count), ("iterations", iterations)):
        if not isinstance(value, int | np.integer):
            raise TypeError(f"{name} must be a whole number, not {value!r}")
    if iterations < 0:
        raise ValueError(f"iterations must be 0 or more, not {iterations}")
    if not 1 <= count <= sr.LATENTS - SPARE:
        raise ValueError(f"count must be 1 to {sr.LATENTS - SPARE}, not {count!r}")


def picture_of_steps(sampler: sr.Sampler) -> Callable[[Tensor], Tensor]:
    """The windows' pixels as a function of steps along the latents, which is what :func:`find` differentiates.

    The function takes n steps, (n, 1024), in standard deviations of the prior, each taken by every tile from its noise,
    and returns the windows in [0, 1], neither clipped nor rounded, (n, windows, 3, height, width).
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
        return answer.unflatten(0, (-1, n)).transpose(0, 1)

    return picture


class _Parts:
    """What the decoder reads in the windows: LR, code, enlarged LR, g and noise, a row for each window."""

    def __init__(self, sampler: sr.Sampler) -> None:
        chosen, scale = windows(sampler), sampler.model.scale
        tiles = [window.tile for window in chosen]
        self.inner = [window.inner for window in chosen]
        code, up = sampler.encoded(sampler.rect)
        self.lr, self.code = (self._cut(x, chosen, 1) for x in (sampler.pixels, code))
        self.up = self._cut(up, chosen, scale)
        self.g = sampler.field.g[tiles].clone()
        self.eps = sr.noise(0, sampler.tiles)[tiles].to(self.g.device)

    @staticmethod
    def _cut(x: Tensor, chosen: list[Window], scale: int) -> Tensor:
        """The windows of a map; a clone, because what inference mode made cannot be differentiated."""
        places = [tuple(slice(scale * i.start, scale * i.stop) for i in window.outer) for window in chosen]
        return torch.cat([x[(..., *place)] for place in places]).clone()


def noise_at(seed: float, tiles: int) -> Tensor:
    """The noise of a seed on the line of seeds, (tiles, 1024).

    At a whole number it is :func:`srvae_core.noise` of that seed. Between two whole numbers it runs along the arc from
    the one's noise to the other's, which keeps the variance: at 12.25 it is cos(pi / 8) noise(12) + sin(pi / 8)
    noise(13).

    Raises:
        ValueError: the seed is no number of at least 0 and below 2**53 (beyond which floats miss whole numbers).
    """
    if not isinstance(seed, int | float | np.number) or not 0 <= seed < SEED_LIMIT:
        raise ValueError(f"seed must be a number of at least 0 and below 2**53, not {seed!r}")
    whole = math.floor(seed)
    eps = _noise(whole, tiles).clone()
    if angle := (float(seed) - whole) * math.pi / 2:
        eps = math.cos(angle) * eps + math.sin(angle) * _noise(whole + 1, tiles)
    return eps


@lru_cache(4)  # a slider moves between two samples, and the noise of a large photograph takes a while
def _noise(seed: int, tiles: int) -> Tensor:
    return sr.noise(seed, tiles)


def steer(
    tiles: int,
    seed: float,
    temperature: float,
    *,
    directions: Directions | None = None,
    amounts: Sequence[float] = (),
) -> Tensor:
    """The eps, (tiles, 1024), of some settings, for ``sampler(temperature=1, eps=...)``.

    Args:
        tiles: of the image, ``sampler.tiles``.
        seed: of the noise, see :func:`noise_at`.
        temperature: multiplies the noise, but not the steps along the directions.
        directions: from :func:`find`.
        amounts: steps along the directions in standard deviations of the prior, at most as many as there are.

    Raises:
        ValueError: the seed is below 0, 2**53 or more, or no number, the temperature below 0 or infinite, an amount no
            finite number, or there are more amounts than directions.
    """
    sr.noise_generator(0, temperature)  # which refuses a temperature that there is not
    eps = temperature * noise_at(seed, tiles)
    if len(amounts) > (0 if directions is None else len(directions.vectors)):
        raise ValueError(f"{len(amounts)} amounts for fewer directions")
    if not np.isfinite(np.asarray(amounts, float)).all():
        raise ValueError(f"amounts must be finite numbers, not {list(amounts)}")
    for amount, vector in zip(amounts, () if directions is None else directions.vectors, strict=False):
        eps = eps + amount * vector
    return eps
