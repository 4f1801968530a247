"""Figures on held-out patches: what a log says of a run, and what a run's noise is set by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

import srvae_core as sr
from srvae import metrics

from .latents import shape_generator, signs
from .objective import Pictures, kl_divergence
from .patches import Batch
from .perceptual import VGG, Distances, energy_score

SAMPLES = 6  # of each patch
AT_ONCE = 8  # patches
ACTIVE = 0.01  # nats above which a latent counts as carrying something
FACTORS = [2 ** (i / 4) for i in range(-2, 11)]  # of ip4's weights, from 0.7 to 5.7


def _images(patches: Tensor) -> list[np.ndarray]:
    """(B, 3, H, W) -> B arrays (H, W, 3), as they are."""
    return [patch.permute(1, 2, 0).numpy() for patch in patches]


def mean_psnr(pictures: Tensor, originals: Tensor, border: int) -> float:
    """PSNR on Y in dB, averaged over patches: two (B, 3, H, W) in [0, 1]; ``border`` pixels are left out."""
    pairs = zip(_images(pictures), _images(originals), strict=True)
    return float(np.mean([metrics.psnr_y(a, b, border) for a, b in pairs]))


def mean_diversity(samples: list[Tensor], originals: Tensor) -> float:
    """``metrics.diversity`` of samples of the same patches, each (B, 3, H, W), averaged over the patches."""
    by_patch = zip(*(_images(s) for s in samples), strict=True)
    return float(np.mean([metrics.diversity(s, o) for s, o in zip(by_patch, _images(originals), strict=True)]))


@torch.no_grad()
def judge(
    pictures: Pictures,
    held_out: Batch,
    draws: dict[str, float],
    *,
    consistency: bool = True,
    posterior: bool = False,
) -> dict[str, float]:
    """Figures of a network on held-out patches.

    Args:
        pictures: the network.
        held_out: patches, (B, 3, 128, 128) in [0, 1].
        draws: latents by name: z = spread * g(LR) * eps, so 0 is the answer, 0.1 the prior and 1 what the release's
            deploy nets draw.
        consistency: back-project each picture once, as at inference.
        posterior: ask the encoder, too.

    Returns:
        By the draw's name: PSNR on Y in dB (of the first sample) and, where something is drawn, the mean standard
        deviation of six samples in grey levels (spread) and their diversity in percent. Of the posterior: KL in nats
        per patch, and the number of latents that carry more than 0.01 nats.
    """
    answers: dict[str, list[list[Tensor]]] = {name: [] for name in draws}
    kls, net, device = [], pictures.net, pictures.device
    for up, hr in zip(held_out.up.to(device).split(AT_ONCE), held_out.hr.to(device).split(AT_ONCE), strict=True):
        up = up.contiguous(memory_format=torch.channels_last)
        code = pictures.code(up)
        if posterior:
            with pictures.autocast():
                mu, logsd = net.encode(up, hr)
            kls.append(kl_divergence(mu.float(), logsd.float()))
        lr = pictures.downscale(hr) if consistency else None
        for name, spread in draws.items():
            latents = [None]
            if spread:  # the same noise for every run, so that their figures compare
                noise = [sr.noise(seed, len(up)).to(device) for seed in range(SAMPLES)]
                latents = [spread / sr.PRIOR_SD * pictures.shaped(up, eps) for eps in noise]
            answers[name].append([pictures.answer(code, z, up, lr).cpu() for z in latents])
    up, hr = held_out.up.cpu(), held_out.hr.cpu()
    figures = {"psnr_bicubic": mean_psnr(up, hr, pictures.scale)}
    for name, parts in answers.items():
        drawn = [torch.cat(sample) for sample in zip(*parts, strict=True)]
        figures[f"psnr{name}"] = mean_psnr(drawn[0], hr, pictures.scale)
        if len(drawn) > 1:
            figures[f"spread{name}"] = float(torch.stack(drawn).std(0).mean() * 255)
            figures[f"diversity{name}"] = mean_diversity(drawn, hr)
    if kls:
        kl = torch.cat(kls).mean(0)
        figures |= {"kl": float(kl.sum()), "active": float((kl > ACTIVE).sum())}
    return {name: round(value, 3) for name, value in figures.items()}


@torch.no_grad()
def noise_factor(
    pictures: Pictures, distances: Distances, held_out: Batch, factors: Sequence[float] = FACTORS
) -> float:
    """The one of some factors of ip4's weights at which prior samples of patches have the least energy score.

    Convolutions that learn the answer alone come to make less of z. One factor makes up for it, and z = 0 stays as it
    is. (Scaling g would not do: it is normalised.)
    """
    up, hr = (t.to(pictures.device).contiguous(memory_format=torch.channels_last) for t in held_out[:2])
    lr, code = pictures.downscale(hr), pictures.code(up)
    zero = pictures.answer(code, None, up, lr)
    latents = [pictures.shaped(up, sr.noise(seed, len(up)).to(pictures.device)) for seed in range(2)]

    def score(factor: float) -> float:
        # ip4 acts on z alone, so a factor of its weights is a factor of z.
        samples = [pictures.answer(code, factor * z, up, lr) for z in latents]
        return float(energy_score(distances, *samples, hr, zero))

    return min(factors, key=score)


@torch.no_grad()
def sampling_figures(
    pictures: Pictures, held_out: Batch, distances: Distances, vgg: VGG | None = None, *, unshaped: bool = False
) -> dict[str, float]:
    """How good a model's prior samples are, and how much its noise depends on the picture.

    Args:
        pictures, held_out: as for :func:`judge`.
        distances: of the energy score.
        vgg: for the perceptual distance, where there is one.
        unshaped: the same noise with g = +-1 in the place of the model's.

    Returns:
        energy (score, lower is better), spread (grey levels), psnr (dB), vgg (distance of samples, lower is better)
        and correlation, that of |g| between different patches: 1 means that the noise knows nothing of them.
    """
    device = pictures.device
    up, hr = (t.to(device).contiguous(memory_format=torch.channels_last) for t in held_out[:2])
    g = pictures.net.generator(up)
    if unshaped:
        g = signs().to(g).expand_as(g)
    lr, code = pictures.downscale(hr), pictures.code(up)
    zero = pictures.answer(code, None, up, lr)
    noise = [sr.noise(seed, len(up)).to(device) for seed in range(SAMPLES)]
    samples = [pictures.answer(code, sr.PRIOR_SD * g * eps, up, lr) for eps in noise]
    pairs = list(zip(samples[::2], samples[1::2], strict=True))  # independent ones: each sample is in one pair
    figures = {
        "energy": float(np.mean([float(energy_score(distances, a, b, hr, zero)) for a, b in pairs])),
        "spread": float(torch.stack(samples).std(0).mean() * 255),
        "psnr": float(np.mean([mean_psnr(s.cpu(), hr.cpu(), pictures.scale) for s in samples])),
    }
    if vgg:
        figures["vgg"] = float(torch.stack([vgg.distance(s.clamp(0, 1), hr).mean() for s in samples]).mean())
    if not unshaped:
        figures["correlation"] = correlation_between(g.abs())
    return figures


def compare_noise(
    model: sr.SRVAE, held_out: Batch, shaping: Iterable[tuple[Tensor, Tensor]], distances: Distances, vgg: VGG | None
) -> list[dict[str, object]]:
    """:func:`sampling_figures` of a model by its own g, by the same noise with g = +-1, and by a newly shaped g.

    The model's generator is shaped in the end.
    """
    pictures = Pictures(model, fp32=True)
    rows = [{"g": "own"} | sampling_figures(pictures, held_out, distances, vgg)]
    rows.append({"g": "+-1"} | sampling_figures(pictures, held_out, distances, vgg, unshaped=True))
    shape_generator(model, shaping)
    rows.append({"g": "shaped"} | sampling_figures(pictures, held_out, distances, vgg))
    return [{k: v if isinstance(v, str) else round(v, 4) for k, v in row.items()} for row in rows]


def correlation_between(rows: Tensor) -> float:
    """The mean correlation between different rows of (B, N)."""
    if len(rows) < 2:
        return float("nan")
    matrix = torch.corrcoef(rows.float())
    return float((matrix.sum() - matrix.trace()) / (len(rows) * (len(rows) - 1)))
