"""Other noise in a part of the picture: rectangles of the latent map drawn anew, blended at their edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

import srvae_core as sr

BLEND = 6  # LR samples along a rectangle's edge over which its noise takes the place of what was there


def blended(
    sampler: sr.Sampler, base_eps: Tensor | None, parts: Sequence[tuple[sr.Rect, Tensor | None]], seen: sr.Rect | None
) -> Tensor:
    """The latent map of one noise, with other noise inside some rectangles: for ``sampler(latent_map=...)``.

    A map is what z = 0 gives plus what the noise changes. Along the edge of a rectangle, inside it, the changes of the
    two noises are mixed by the cosine and the sine of an angle that runs from 0 to a right angle, so that the variance
    stays if the noises are independent. If they are alike (the same seed at another temperature), the angle between
    them takes the place of the right one, so that it stays, too. Where the rectangle meets the image's border there is
    nothing to mix with.

    Args:
        sampler: of the image.
        base_eps: (tiles, 1024) noise with the temperature in it, as :func:`directions.steer` gives it; None is z = 0.
        parts: rectangles (top, left, height, width), in LR samples, each with the noise inside it, likewise (tiles,
            1024) or None. Later ones lie over earlier ones.
        seen: the rectangle in which the map has to be right, as ``sampler.with_context(region, draft)`` gives it; None
            is the image. Rectangles outside it cost nothing.

    Returns:
        (1, C, h, w) float32. Outside the rectangles it is the base's own map, to the bit.

    Raises:
        ValueError: a rectangle is not inside the image, or a noise is of another shape.
    """
    whole, seen = sampler.rect, sampler.rect if seen is None else seen
    for rect, eps in parts:
        sr.check_inside(rect, whole[2:])
        _check_noise(eps, sampler.tiles)
    _check_noise(base_eps, sampler.tiles)
    with torch.inference_mode():
        result = sampler.pixels.new_zeros(1, sampler.field.zero.shape[1], *whole[2:])
        sr.crop(result, seen)[:] = _map(sampler, base_eps, seen)
        for i, (rect, eps) in enumerate(parts):
            if (cut := common(rect, seen)) is None:
                continue
            old, zero, new = sr.crop(result, cut), sampler.field.map(None, cut), _map(sampler, eps, cut)
            angle = sr.crop(angles(rect, whole)[None, None], sr.relative_to(cut, rect)).to(old.device)
            of_old, of_new = _shares(angle, _likeness(_under(rect, base_eps, parts[:i]), eps))
            old[:] = zero + of_old * (old - zero) + of_new * (new - zero)
    return result


def _under(rect: sr.Rect, base_eps: Tensor | None, parts: Sequence[tuple[sr.Rect, Tensor | None]]) -> Tensor | None:
    """The noise that a rectangle lies on: that of the latest part which holds it whole, or the base's."""
    return next((eps for outer, eps in reversed(parts) if common(rect, outer) == tuple(rect)), base_eps)


def _likeness(a: Tensor | None, b: Tensor | None) -> float:
    """The correlation of two noises, 0 to 1: the same on every part of the picture, whatever is seen of it."""
    if a is None or b is None:
        return 0.0
    return max(0.0, float(torch.cosine_similarity(a.flatten().double(), b.flatten().double(), dim=0)))


def _shares(angle: Tensor, likeness: float) -> tuple[Tensor, Tensor]:
    """What the old and the new change are multiplied by: cosine and sine of the angle if they are not alike."""
    full, part = math.acos(min(1.0, likeness)), angle / (math.pi / 2)
    if full < 1e-3:  # one and the same noise: the arc is too short to be told from its chord
        return 1 - part, part
    return torch.sin((1 - part) * full) / math.sin(full), torch.sin(part * full) / math.sin(full)


def angles(rect: sr.Rect, whole: sr.Rect) -> Tensor:
    """The angle by which a rectangle's noise takes the place of what was there: (height, width) float32, 0 to pi / 2.

    It rises over the outermost samples of the rectangle: :data:`BLEND` of them, in a small one a quarter of a side. At
    a side that lies on the border of the image, ``whole``, it is a right angle from the first sample on.
    """
    rows, columns = (
        _rise(n, at_start=start == 0, at_end=start + n == limit)
        for start, n, limit in zip(rect[:2], rect[2:], whole[2:], strict=True)
    )
    return math.pi / 2 * rows[:, None] * columns


def common(a: sr.Rect, b: sr.Rect) -> sr.Rect | None:
    """The rectangle that lies in two others; None where they have nothing in common."""
    top, left = max(a[0], b[0]), max(a[1], b[1])
    bottom, right = min(a[0] + a[2], b[0] + b[2]), min(a[1] + a[3], b[1] + b[3])
    return (top, left, bottom - top, right - left) if top < bottom and left < right else None


def _rise(n: int, *, at_start: bool, at_end: bool) -> Tensor:
    """From 0 to 1 at either end of n samples, (n,) float32; an end on the image's border begins with 1."""
    width = min(BLEND, n / 4)
    up = ((torch.arange(n, dtype=torch.float32, device="cpu") + 0.5) / width).clamp(max=1)
    ones = torch.ones_like(up)
    return (ones if at_start else up) * (ones if at_end else up.flip(0))


def _map(sampler: sr.Sampler, eps: Tensor | None, rect: sr.Rect) -> Tensor:
    """The latent map in a rectangle of a noise that has its temperature in it."""
    return sampler.field.map(None if eps is None else sampler.field.z(eps, 1.0), rect)


def _check_noise(eps: Tensor | None, tiles: int) -> None:
    if eps is not None and tuple(eps.shape) != (tiles, sr.LATENTS):
        raise ValueError(f"noise must be of shape {(tiles, sr.LATENTS)} for this image, not {tuple(eps.shape)}")
