"""Directions of z that change the picture visibly, and noise between two seeds.

Latents are handled as eps, before z = temperature * 0.1 * g(LR) * eps: there the prior has a standard deviation of 1
along every axis, so it is the unit of steps along a direction.
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

# A tile, rows and columns of a part of it, and the same rows and columns of the LR image.
Window = tuple[int, tuple[slice, ...], tuple[slice, ...]]

COUNT = 8
SPARE = 8  # vectors iterated in addition, so that the last directions converge sooner
# Standard deviations, in LR samples, of the Gaussians that model what an eye sees of luma and of colour.
LUMA_BLUR, COLOUR_BLUR = 0.5, 1.0
YCC = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))  # JPEG's, from RGB
# How far windows are equalised: at 0 the window that changes most gets all directions, at 0.5 some are too faint.
EVENNESS = 0.35
BRIGHTER = 0.1  # the least mean change of luma, as a share of its RMS, that counts as a change of brightness


@dataclass(frozen=True)
class Directions:
    """Orthogonal directions of z, the most visible first; positive steps brighten the picture, or else add detail."""

    vectors: Tensor  # (count, 1024) orthonormal, the same for every tile
    effects: np.ndarray  # (count,) RMS change of the picture for a step of 1, in grey levels of 255
    visible: np.ndarray  # (count,) RMS of its visible part, see what_one_sees
    places: tuple[sr.Rect, ...]  # the window that each direction changes most, in LR samples


def windows(sampler: sr.Sampler) -> list[Window]:
    """Return four windows, three eighths of a tile wide, in different quarters of the most detailed whole tiles."""
    field = sampler.field
    edges = [min(field.tile * 3 // 8, n) for n in field.size]
    origins = [tuple(field.step * i for i in divmod(tile, field.grid[1])) for tile in range(field.tiles)]
    detail = {}
    for tile, (top, left) in enumerate(origins):
        part = sampler.pixels[..., top : top + field.tile, left : left + field.tile]
        if part.shape[2:] == tuple(min(field.tile, n) for n in field.size):
            detail[tile] = float(part.std((2, 3), correction=0).mean())
    best = sorted(detail, key=detail.__getitem__, reverse=True)[:4]
    chosen = []
    for quarter in range(4):
        tile, outer = best[quarter % len(best)], ()
        for origin, half, n, edge in zip(origins[tile], divmod(quarter, 2), field.size, edges, strict=True):
            start = min(origin + half * field.tile // 2, n - edge)
            outer += (slice(start, start + edge),)
        inner = tuple(slice(i.start - o, i.stop - o) for i, o in zip(outer, origins[tile], strict=True))
        chosen.append((tile, inner, outer))
    return chosen


def find(sampler: sr.Sampler, count: int = COUNT, *, iterations: int = 1) -> Directions:
    """Find the directions of z that change an image most visibly: right singular vectors of W J.

    J is the Jacobian of eps -> picture on four windows, with a step shared by all tiles and back-projection included;
    W is :func:`what_one_sees`, without which speckle would come first. Subspace iteration needs only J v and (W J)^T u,
    by forward and reverse differentiation, and takes about a second. The subspace is chosen with the windows equalised
    (:data:`EVENNESS`), then rotated into the singular vectors of W J itself. Start and signs are fixed, so the same
    image gives the same directions.
    """
    picture, scale = picture_of_steps(sampler), sampler.model.scale
    origin = sampler.pixels.new_zeros(1, sr.LATENTS)
    pull = torch.func.vjp(lambda step: what_one_sees(picture(step), scale), origin)[1]
    # vmap shares among all vectors whatever does not depend on them.
    push_all = torch.func.vmap(lambda vector: torch.func.jvp(picture, (origin,), (vector[None],))[1][0])  # J v
    pull_all = torch.func.vmap(lambda change: pull(change[None])[0][0])  # (W J)^T u
    start = torch.randn(sr.LATENTS, count + SPARE, generator=sr.noise_generator(0), dtype=torch.float32, device="cpu")
    basis = torch.linalg.qr(start.to(origin)).Q
    changes = push_all(basis.T)  # (count + SPARE, windows, 3, height, width)
    energy = what_one_sees(changes, scale).square().mean((0, 2, 3, 4))[:, None, None, None]
    gain = (energy.mean() / energy.clamp(min=1e-12)) ** EVENNESS  # (windows, 1, 1, 1)
    for _ in range(iterations):
        basis = torch.linalg.qr(pull_all(gain.square() * what_one_sees(changes, scale)).T).Q
        changes = push_all(basis.T)
    seen = what_one_sees(changes, scale)
    chosen = _main_axes(gain * seen)[:count]
    mixing = _main_axes(torch.tensordot(chosen, seen, 1)) @ chosen
    changes, seen = (255 * torch.tensordot(mixing, x, 1) for x in (changes, seen))
    places = [(y.start, x.start, y.stop - y.start, x.stop - x.start) for _, _, (y, x) in windows(sampler)]
    return Directions(
        vectors=(_signs(changes, picture(origin), scale)[:, None] * (mixing @ basis.T)).cpu(),
        effects=changes.flatten(1).square().mean(1).sqrt().cpu().numpy(),
        visible=seen.flatten(1).square().mean(1).sqrt().cpu().numpy(),
        places=tuple(places[i] for i in seen.square().sum((2, 3, 4)).argmax(1).tolist()),
    )


def picture_of_steps(sampler: sr.Sampler) -> Callable[[Tensor], Tensor]:
    """Return a function from steps of eps, (n, 1024), to unrounded pictures, (n, windows, 3, height, width) in [0, 1].

    Steps start at the noise of seed 0.
    """
    model, chosen = sampler.model, windows(sampler)
    tiles = [tile for tile, _, _ in chosen]

    def cut(x: Tensor, scale: int) -> Tensor:
        places = [tuple(slice(scale * i.start, scale * i.stop) for i in outer) for _, _, outer in chosen]
        return torch.cat([x[(..., *place)] for place in places]).clone()  # tensors of inference mode have no gradients

    code, up = sampler.encoded(sampler.rect)
    parts = cut(sampler.pixels, 1), cut(code, 1), cut(up, model.scale)
    g = sampler.field.g[tiles].clone()
    eps = sr.noise(0, sampler.tiles)[tiles].to(g.device)

    def picture(steps: Tensor) -> Tensor:
        n = len(steps)
        z = sr.PRIOR_SD * g[:, None] * (eps[:, None] + steps)  # (windows, n, 1024)
        maps = model.latent_map(z.flatten(0, 1)).unflatten(0, (-1, n))
        maps = torch.cat([m[(..., *inner)] for m, (_, inner, _) in zip(maps, chosen, strict=True)])
        lr, code, up = (x.repeat_interleave(n, 0) for x in parts)
        answer = model.reconstruct(code, maps, up)
        answer = sr.consistent(answer, lr, model.scale) if sampler.consistency else answer
        return answer.unflatten(0, (-1, n)).transpose(0, 1)

    return picture


def what_one_sees(change: Tensor, scale: int) -> Tensor:
    """Return the visible part of a change of RGB, (..., 3, height, width): luma and two colour differences, blurred."""
    mixed = torch.einsum("ij,...jhw->...ihw", torch.tensor(YCC, dtype=change.dtype, device=change.device), change)
    luma, colour = mixed.split((1, 2), -3)
    return torch.cat([_blurred(luma, LUMA_BLUR * scale), _blurred(colour, COLOUR_BLUR * scale)], -3)


def _main_axes(changes: Tensor) -> Tensor:
    """Return the principal axes of n changes, (n, ...), as rows of (n, n)."""
    return torch.linalg.svd(changes.flatten(1).T, full_matrices=False).Vh


def _blurred(x: Tensor, sigma: float) -> Tensor:
    """Convolve (..., height, width) with a Gaussian of sigma pixels."""
    reach = math.ceil(3 * sigma)
    kernel = torch.from_numpy(cv2.getGaussianKernel(2 * reach + 1, sigma)).to(x)  # (2 reach + 1, 1)
    maps = F.conv2d(x.flatten(0, -3)[:, None], kernel[None, None], padding=(reach, 0))
    return F.conv2d(maps, kernel.T[None, None], padding=(0, reach)).reshape(x.shape)


def _signs(changes: Tensor, picture: Tensor, scale: int) -> Tensor:
    """Return for each change, (count, windows, 3, h, w), the sign that brightens the picture, or else adds detail."""
    luma = torch.einsum("j,nkjhw->nkhw", torch.tensor(YCC[0], dtype=changes.dtype, device=changes.device), changes)
    brighter = luma.mean((1, 2, 3))
    fine = picture - _blurred(picture, LUMA_BLUR * scale)
    finer = changes - _blurred(changes, LUMA_BLUR * scale)
    detail = (finer * fine).flatten(1).sum(1)  # half the derivative of the energy of fine detail
    clear = brighter.abs() > BRIGHTER * luma.square().mean((1, 2, 3)).sqrt()
    return torch.where(torch.where(clear, brighter, detail) < 0, -1.0, 1.0)


_noise = lru_cache(4)(sr.noise)  # a slider moves between two seeds, and large images take a while


def noise_at(seed: float, tiles: int) -> Tensor:
    """Return the noise of a seed, (tiles, 1024): at 12.25 it is cos(pi / 8) noise(12) + sin(pi / 8) noise(13)."""
    whole = math.floor(seed)
    eps = _noise(whole, tiles).clone()
    if angle := (float(seed) - whole) * math.pi / 2:
        eps = math.cos(angle) * eps + math.sin(angle) * _noise(whole + 1, tiles)
    return eps


def steer(
    tiles: int, seed: float, temperature: float, *, directions: Directions | None = None, amounts: Sequence[float] = ()
) -> Tensor:
    """Return the eps of some settings, (tiles, 1024), for ``sampler(temperature=1, eps=...)``.

    The temperature multiplies the noise of :func:`noise_at`, but not the amounts, which are steps along the first
    directions in standard deviations of the prior.
    """
    sr.noise_generator(0, temperature)  # raises ValueError for a temperature out of range
    eps = temperature * noise_at(seed, tiles)
    for i, amount in enumerate(amounts):
        eps = eps + amount * directions.vectors[i]
    return eps
