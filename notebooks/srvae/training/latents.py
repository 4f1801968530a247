"""Initialisation of the latent branch: a place for each latent, and a generator that shapes the noise.

Trained from random weights, g(LR) stays the same for every patch, and sampling is not conditional.
:func:`shape_generator` therefore sets the release's layers in closed form: generator1 detects contrast on the LR grid,
and generator2 predicts from it, by regression, the error of bicubic interpolation at each latent's place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

import srvae_core as sr

PLACES = 16  # contrast is detected at 16x16 places, in two ways each: generator1 has 512 outputs
CONTRAST = 4.0  # generator1's outputs are this much times the contrast, in [0, 1]
NEIGHBOURHOOD = 5  # places on a side whose detectors decide the size of the noise in their middle
RIDGE = 1e-6  # keeps that regression solvable where detectors see nothing, as in plain pictures
OFFSET = 6.0  # keeps generator2's outputs above its ReLU; mvn takes it away again


def positions(scale: int) -> Tensor:
    """Return each latent's place on its map, (1024,) int64: 4x one latent at 32x32 places, 8x four at 16x16."""
    places = (sr.PATCH // scale) ** 2
    return torch.arange(sr.LATENTS) % places


def signs() -> Tensor:
    """Return +1 and -1 in turn, (1024,): with a mean near 0, mvn hardly changes the shape of g."""
    return 1.0 - 2.0 * (torch.arange(sr.LATENTS) % 2)


@torch.no_grad()
def start_latents(net: sr.SRVAE, loudness: float = 4.0) -> None:
    """Initialise ip4 ... ip6 as signed identities onto the spatial grid, and the generator as g = +-1.

    z > 0 and z < 0 go to different channels of the latent map (4x: one latent per LR pixel; 8x: four).

    Args:
        net: the model.
        loudness: standard deviation of decoder1's weights: it makes up for the prior's 0.1 and for the size of the LR
            branch's code. Raise it if samples are nearly equal after 50 steps.
    """
    n = sr.LATENTS
    for layer in (net.ip4, net.ip5, net.ip6, net.generator2):
        layer.weight.normal_(0, 1e-3)
        layer.bias.zero_()
    net.ip4.weight[:n] += torch.eye(n)
    net.ip4.weight[n:] -= torch.eye(n)
    net.ip5.weight += torch.eye(2 * n)
    net.ip6.weight[: 2 * n] += torch.eye(2 * n)
    net.generator1.weight.normal_(0, 0.02)
    net.generator2.weight.normal_(0, 0.02)
    net.generator2.bias.copy_(signs())
    net.decoder1.weight.normal_(0, loudness)
    net.decoder1.bias.zero_()
    if net.has_encoder:  # mu starts near 0, sd at the prior's 0.1
        net.ip3.weight.mul_(0.1)
        net.ip3.bias.zero_()
        net.ip3.bias[n:] = math.log(sr.PRIOR_SD)


def contrast_detectors(scale: int) -> Tensor:
    """Return two detectors at each of 16x16 places, on the LR grid with two samples around a patch.

    One compares 2x2 samples with the 4x4 around them, the other left with right: (512, 3, n + 4, n + 4), n = 128 /
    scale.
    """
    n = sr.PATCH // scale
    stride = n // PLACES
    surround = torch.full((4, 4), -1 / 16)
    surround[1:3, 1:3] += 1 / 4
    horizontal = torch.zeros(4, 4)
    horizontal[1:3, 1], horizontal[1:3, 2] = 1 / 2, -1 / 2
    rows = []
    for kernel in (surround, horizontal):
        for place in range(PLACES**2):
            y, x = (2 + stride * i for i in divmod(place, PLACES))  # in the grid, whose patch begins at 2
            grid = torch.zeros(n + 4, n + 4)
            part = kernel[: n + 5 - y, : n + 5 - x]  # at 8x the last places reach the grid's end
            grid[y - 1 : y + 3, x - 1 : x + 3] = part
            rows.append(grid.expand(3, -1, -1) / 3)  # grey
    return CONTRAST * torch.stack(rows)


def uncertainty(up: Tensor, hr: Tensor, scale: int) -> Tensor:
    """Return the error of bicubic interpolation at each latent's place, relative to the patch.

    Two (B, 3, 128, 128) -> (B, 1024): root-mean-square of hr - up, of mean square 1 over the latents.
    """
    lacking = F.avg_pool2d((hr - up).square().mean(1, keepdim=True), scale).sqrt().flatten(1)
    lacking = lacking[:, positions(scale).to(lacking.device)] + 1e-4  # never 0
    return lacking / lacking.square().mean(1, keepdim=True).sqrt()


def _neighbourhoods(seen: Tensor) -> Tensor:
    """Return the detectors around each of the 16x16 places, and the constant 1: (B, 512) -> (B, 256, 51)."""
    around = F.unfold(seen.view(-1, 2, PLACES, PLACES), NEIGHBOURHOOD, padding=NEIGHBOURHOOD // 2)
    return F.pad(around, (0, 0, 0, 1), value=1.0).transpose(1, 2)


@torch.no_grad()
def shape_generator(net: sr.SRVAE, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Set generator1 and generator2 so that g(LR) says where the picture is uncertain.

    The regression is the same at every place, from the 5x5 detectors around it. A free weight for each pair of detector
    and latent generalises less well (correlation of |g| with the truth on new patches 0.32 instead of 0.41 at 4x).

    Args:
        net: a model with ``grid_generator=True``.
        batches: enlarged LR and HR patches, each (B, 3, 128, 128); some 2,500 altogether.
    """
    # The layer gets Q^T up Q, and up = U lr U^T with U = Q P (polar form): P^-1 on both sides gives the LR samples.
    q = net.generator1.q.double().cpu()
    back = torch.linalg.inv(q.T @ sr.grid_matrix(net.scale))
    detectors = back.T @ contrast_detectors(net.scale).double() @ back
    net.generator1.weight.copy_(detectors.flatten(1))
    net.generator1.bias.zero_()

    # Least squares, summed batch by batch. Each place holds cell x cell positions of the latents' grid.
    edge = sr.PATCH // net.scale
    cell, squared, products = edge // PLACES, 0.0, 0.0
    for up, hr in batches:
        around = _neighbourhoods(F.relu(net.generator1(up))).flatten(0, 1).double()
        lacking = uncertainty(up, hr, net.scale)[:, : edge**2].view(-1, 1, edge, edge)
        wanted = F.unfold(lacking, cell, stride=cell).transpose(1, 2).flatten(0, 1).double()
        squared, products = squared + around.T @ around, products + around.T @ wanted
    penalty = RIDGE * squared.diagonal().mean() * torch.eye(len(squared), device=squared.device)
    weights = torch.linalg.solve(squared + penalty, products)  # (51, cell * cell)

    def size(seen: Tensor) -> Tensor:
        """Apply the regression, which is affine in the detectors: (B, 512) -> (B, 1024)."""
        places = (_neighbourhoods(seen).double() @ weights).transpose(1, 2)
        return F.fold(places, (edge, edge), cell, stride=cell).flatten(1)[:, positions(net.scale).to(seen.device)]

    nothing = torch.zeros(1, 2 * PLACES**2, device=squared.device)
    constant = size(nothing)[0]
    slopes = size(torch.eye(2 * PLACES**2, device=squared.device)) - constant  # (512, 1024)
    sign = signs().to(slopes)
    net.generator2.weight.copy_((sign * slopes).T)
    net.generator2.bias.copy_(OFFSET + sign * constant)
