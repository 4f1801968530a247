"""Scores on held-out patches: the columns of log.csv."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import srvae_core as sr
from srvae import metrics

from .objective import PatchModel, kl_divergence
from .patches import Batch

SAMPLES = 6  # of each patch
AT_ONCE = 8  # patches
ACTIVE = 0.01  # nats above which a latent counts as active


def _images(patches: Tensor) -> list[np.ndarray]:
    """(B, 3, H, W) -> B arrays (H, W, 3)."""
    return [patch.permute(1, 2, 0).numpy() for patch in patches]


def mean_psnr(pictures: Tensor, originals: Tensor, border: int) -> float:
    """Return the PSNR on Y in dB, averaged over patches, of two (B, 3, H, W) in [0, 1] without a border."""
    pairs = zip(_images(pictures), _images(originals), strict=True)
    return float(np.mean([metrics.psnr_y(a, b, border) for a, b in pairs]))


def mean_diversity(samples: list[Tensor], originals: Tensor) -> float:
    """Return ``metrics.diversity`` of samples of the same patches, each (B, 3, H, W), averaged over the patches."""
    by_patch = zip(*(_images(s) for s in samples), strict=True)
    return float(np.mean([metrics.diversity(s, o) for s, o in zip(by_patch, _images(originals), strict=True)]))


@torch.no_grad()
def judge(model: PatchModel, held_out: Batch, draws: dict[str, float], *, consistency: bool = True) -> dict[str, float]:
    """Score a network on held-out patches.

    Args:
        model: the network.
        held_out: patches of :func:`training.patches.held_out_patches`.
        draws: standard deviations of z / g(LR) by name: 0 is the answer, 0.1 the prior and 1 the draw of the release's
            deploy nets.
        consistency: back-project each picture once.

    Returns:
        By the draw's name: PSNR on Y in dB (of the first sample) and, unless it is 0, the mean standard deviation of
        six samples in grey levels (spread) and their diversity in percent. With an encoder: KL in nats per patch, and
        the number of active latents.
    """
    answers: dict[str, list[list[Tensor]]] = {name: [] for name in draws}
    kls, net, device = [], model.net, model.device
    for up, hr in zip(*(held_out[name].to(device).split(AT_ONCE) for name in ("up", "hr")), strict=True):
        up = up.contiguous(memory_format=torch.channels_last)
        code = model.code(up)
        if net.has_encoder:
            with model.autocast():
                mu, logsd = net.encode(up, hr)
            kls.append(kl_divergence(mu.float(), logsd.float()))
        lr = model.downscale(hr) if consistency else None
        for name, spread in draws.items():
            latents = [None]
            if spread:  # the same noise for every run, so that their scores are comparable
                noise = [sr.noise(seed, len(up)).to(device) for seed in range(SAMPLES)]
                g = spread * net.generator(up)
                latents = [g * eps for eps in noise]
            pictures = (model.answer(code, z, up, lr).cpu() for z in latents)
            answers[name].append([picture.clamp(*sr.FLOAT_RANGE) for picture in pictures])  # which metrics take
    up, hr = held_out["up"].cpu(), held_out["hr"].cpu()
    scores = {"psnr_bicubic": mean_psnr(up, hr, model.scale)}
    for name, parts in answers.items():
        drawn = [torch.cat(sample) for sample in zip(*parts, strict=True)]
        scores[f"psnr{name}"] = mean_psnr(drawn[0], hr, model.scale)
        if len(drawn) > 1:
            scores[f"spread{name}"] = float(torch.stack(drawn).std(0).mean() * 255)
            scores[f"diversity{name}"] = mean_diversity(drawn, hr)
    if kls:
        kl = torch.cat(kls).mean(0)
        scores |= {"kl": float(kl.sum()), "active": float((kl > ACTIVE).sum())}
    return {name: round(value, 3) for name, value in scores.items()}
