"""Optimisers and the learning rate: Muon for convolutions with Adam for the rest, or the release's Adam."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .config import Config

ADVERSARIAL_BETAS = (0.5, 0.99)  # of Adam
OWN_RATE = ("SR_res", "feat1_1")  # first and last kernels, which Adam trains: Muon is for maps between hidden features


def learning_rate(config: Config, step: int, progress: float) -> float:
    """Return the share of the peak learning rate: a short rise, a plateau, a straight fall to 0 at the end.

    Args:
        config: ``warmup`` and ``decay``.
        step: number of the step, from 0.
        progress: share of the run that is done, from 0 to 1.
    """
    return min(1.0, (step + 1) / config.warmup, (1 - progress) / max(config.decay, 1e-6))


def set_learning_rate(optimisers: Iterable[torch.optim.Optimizer], share: float) -> None:
    """Set all learning rates to a share of their peaks."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = share * group["peak"]


class Muon(torch.optim.Optimizer):
    """Momentum with its singular values set to about one (Jordan et al., 2024), for kernels as matrices.

    It does what torch.optim.Muon does with ``adjust_lr_fn="match_rms_adamw"`` and no weight decay; only the arithmetic
    differs. On a GPU the iteration runs in bfloat16 on all matrices of one shape at once. On a CPU, which may lack
    instructions for bfloat16, it runs in float32 on the small Gram matrix alone: torch's own took 44 of the 47 seconds
    of an 8x step there.

    Args:
        params: kernels, each with a gradient in every step.
        lr: learning rate.
    """

    COEFFICIENTS, STEPS, MOMENTUM = (3.4445, -4.775, 2.0315), 5, 0.95

    def __init__(self, params: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        """Move all parameters by their gradients."""
        for group in self.param_groups:
            params = group["params"]
            for p in params:
                if not self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p)
            # Nesterov's momentum. All parameters move in one launch each, which counts on a GPU.
            gradients = [p.grad for p in params]
            momenta = [self.state[p]["momentum_buffer"] for p in params]
            torch._foreach_lerp_(momenta, gradients, 1 - self.MOMENTUM)
            ahead = torch._foreach_lerp(gradients, momenta, self.MOMENTUM)
            shapes = defaultdict(list)
            for p, update in zip(params, ahead, strict=True):
                shapes[update.flatten(1).shape].append((p, update.flatten(1)))
            for (rows, columns), alike in shapes.items():
                updates = self.orthogonal(torch.stack([update for _, update in alike]))
                moved = [update.view_as(p) for (p, _), update in zip(alike, updates, strict=True)]
                size = 0.2 * math.sqrt(max(rows, columns))  # gives the update the root-mean-square of Adam's
                torch._foreach_add_([p for p, _ in alike], moved, alpha=-group["lr"] * size)

    @classmethod
    def orthogonal(cls, matrices: Tensor) -> Tensor:
        """Move each singular value of float32 matrices, (..., M, N), to 1 +- 0.3 (Newton-Schulz)."""
        if matrices.shape[-2] > matrices.shape[-1]:
            return cls.orthogonal(matrices.mT).mT
        matrices = matrices / matrices.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # no singular value above 1
        if matrices.is_cuda:
            return cls.iterate(matrices.bfloat16()).to(matrices)
        return cls._gram_factor(matrices @ matrices.mT) @ matrices

    @classmethod
    def iterate(cls, x: Tensor) -> Tensor:
        """Repeat X <- (a + b X X^T + c (X X^T)^2) X for X of (B, M, N)."""
        a, b, c = cls.COEFFICIENTS
        for _ in range(cls.STEPS):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        return x

    @classmethod
    def _gram_factor(cls, gram: Tensor) -> Tensor:
        """Return all iterations as one matrix to multiply X by, from G = X X^T, (..., M, M).

        Each iteration multiplies X by P = a + b G + c G^2, and so G by P on both sides. All are polynomials of the
        first G and commute, which saves a product in the first iteration and two in the last.
        """
        a, b, c = cls.COEFFICIENTS
        identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        factor = None
        for step in range(cls.STEPS):
            polynomial = a * identity + b * gram + c * gram @ gram
            factor = polynomial if factor is None else polynomial @ factor
            if step + 1 < cls.STEPS:
                gram = polynomial @ gram @ polynomial
                gram = (gram + gram.mT) / 2  # a Gram matrix is symmetric; rounding errors would add up
        return factor


def adam_settings(name: str, config: Config) -> dict[str, float]:
    """Return Adam's learning rate and weight decay for a parameter: beside Muon, or as in the release."""
    if config.optimiser == "muon":
        share = 1.0
        if config.stage != "answer":
            # Large fully connected layers move far by small steps of each weight, and forget where things are.
            share = 0.2 if name.startswith("generator") else 0.03 if name.startswith("ip") else 1.0
        return {"lr": config.lr * 0.3 * share}
    if name.startswith(("ip", "generator")) and name.endswith("bias"):
        return {"lr": 2 * config.lr, "weight_decay": 0.0}
    return {"lr": config.lr, "weight_decay": 1e-4}


def relative_adam(parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """Build Adam for adversarial training, with a rate of ``lr`` times the standard deviation of a parameter's values.

    decoder1's weights may be hundreds of times as large as others. Short memory suits a critic that changes.
    """
    groups = []
    for p in parameters:
        peak = lr * float(p.detach().std() if p.numel() > 1 else p.detach().abs())
        groups.append({"params": [p], "lr": peak, "peak": peak})
    return torch.optim.Adam(groups, betas=ADVERSARIAL_BETAS, fused=True)


def build_optimisers(parameters: dict[str, nn.Parameter], config: Config) -> list[torch.optim.Optimizer]:
    """Build Adam and, if kernels are trained with ``muon``, Muon; groups keep their peak learning rate as "peak"."""
    if config.optimiser == "relative":
        return [relative_adam(parameters.values(), config.lr)]
    muon = config.optimiser == "muon"
    kernels = [p for name, p in parameters.items() if muon and p.ndim == 4 and not name.startswith(OWN_RATE)]
    groups: dict[tuple, list[nn.Parameter]] = defaultdict(list)  # as few as possible: each is a launch of its own
    for name, p in parameters.items():
        if not any(p is kernel for kernel in kernels):
            groups[tuple(adam_settings(name, config).items())].append(p)
    rest = [{"params": params} | dict(settings) for settings, params in groups.items()]
    optimisers: list[torch.optim.Optimizer] = [torch.optim.Adam(rest, fused=True)]
    if kernels:
        optimisers.append(Muon(kernels, config.lr))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers
