"""The loss of each stage, as named terms; a step minimises their sum.

===========  =====================================================================================
answer       L1 (and VGG) of the deterministic answer, z = 0
prior        L1 of the answer, and an energy score of two samples of the prior: what trains sampling
adversarial  an energy score of two samples that repel each other less, a critic of patches, and L1 of the answer
sample       the paper's objective: L1, VGG and KL through the encoder, z = mu + sd g(LR) eps
release      the same as in the release, z = mu + sd g(LR): no noise is drawn
===========  =====================================================================================

L1 and VGG terms are sums over a patch, the KL term over its latents, all averaged over the batch. To add a term, add an
entry to the dictionary that a stage's method returns (:meth:`Objective.answer` and so on); its name becomes a column
of log.csv.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import srvae_core as sr

from .config import Config
from .critic import Critic
from .patches import Batch, to_device
from .perceptual import Distances, VGGTerm, energy_score

Terms = dict[str, Tensor]

VGG_SHIFT = 16  # pixels by which the window of the VGG term moves at random: a cell of conv5_4
LARGEST = 3.0  # a pixel of a sample is an outlier if it is off by more than this many errors of the answer
LEAST_UNIT = 2 / 255  # of that error: in plain places there is only rounding
AROUND = 17  # pixels of the window that this error is averaged over: a hair's error would be a speck on a cheek


class PatchModel:
    """The network on patches: codes and answers, in bfloat16 where the hardware is fast at it.

    Args:
        net: the model, on its device.
        fp32: compute in float32.
        without_latents: leave ip4-ip6 out, since z = 0 gives a latent map of zeros in a network whose latent branch was
            never trained.
    """

    def __init__(self, net: sr.SRVAE, *, fp32: bool = False, without_latents: bool = False) -> None:
        self.net, self.without_latents, self.scale = net, without_latents, net.scale
        self.device = net.feat1_1.weight.device
        self.bfloat16 = not fp32 and (self.device.type != "cpu" or cpu_has_bfloat16())
        # Bicubic interpolation of a patch as matrices. On a GPU they are far quicker than `interpolate`, and their
        # backward pass adds in a fixed order.
        low, high = (torch.eye(n, dtype=torch.float32, device="cpu") for n in (sr.PATCH // self.scale, sr.PATCH))
        self.up_matrix = self._bicubic_matrix(low, up=True).to(self.device)  # (128, 128 / scale)
        self.down_matrix = self._bicubic_matrix(high, up=False).to(self.device)

    def _bicubic_matrix(self, impulses: Tensor, *, up: bool) -> Tensor:
        """Return the matrix of ``srvae_core.bicubic`` along one axis: its answers to unit impulses."""
        n = len(impulses)
        stretched = impulses[:, None, :, None].expand(n, 1, n, self.scale)  # (impulse, 1, position, anything)
        made = sr.bicubic(stretched.double(), self.scale, up=up)
        return made[:, 0, :, 0].T.float().contiguous()

    def enlarge(self, lr: Tensor) -> Tensor:
        """(B, 3, 128 / scale, 128 / scale) -> (B, 3, 128, 128), not rounded."""
        return self.up_matrix @ lr @ self.up_matrix.T

    def downscale(self, hr: Tensor) -> Tensor:
        """(B, 3, 128, 128) -> (B, 3, 128 / scale, 128 / scale), not rounded."""
        return self.down_matrix @ hr @ self.down_matrix.T

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def code(self, up: Tensor) -> Tensor:
        """Return the LR branch's code of enlarged patches, (B, 64, h, w)."""
        with self.autocast():
            return self.net.input_code(self.net.features(up)).float()

    def answer(self, code: Tensor, z: Tensor | None, up: Tensor, lr: Tensor | None) -> Tensor:
        """Decode patches.

        Args:
            code: (B, 64, h, w).
            z: latents, (B, 1024); None is z = 0.
            up: enlarged LR patches, (B, 3, 128, 128) in [0, 1].
            lr: LR patches to back-project the answer onto once (inference: three times); None leaves that out.

        Returns:
            (B, 3, 128, 128) float32, not clipped.
        """
        with self.autocast():
            if z is None and self.without_latents:
                size = (16, 16, 16) if self.scale == 8 else (4, 32, 32)
                latent_map = code.new_zeros(len(up), *size)
            else:
                latent_map = self.net.latent_map(code.new_zeros(len(up), sr.LATENTS) if z is None else z)
            y = self.net.reconstruct(code, latent_map, up)
        y = y.float()  # back-projection corrects by less than bfloat16 resolves
        return y if lr is None else y + self.enlarge(lr - self.downscale(y))


def cpu_has_bfloat16() -> bool:
    """Return whether the CPU convolves faster in bfloat16: with AMX or AMD's AVX512-BF16, not with Intel's."""
    can = torch.cpu.get_capabilities()
    return can.get("amx_bf16", False) or (can.get("avx512_bf16", False) and not can.get("avx512_fp16", False))


class Objective:
    """The loss of a run's stage.

    Random numbers of a step are drawn by :meth:`draw`, so that the rest is a function of tensors, which a CUDA graph
    can hold.

    Args:
        config: the settings of the run.
        model: the network.
        share: (this process, processes).
        mean: averages a tensor over all processes.
    """

    def __init__(
        self, config: Config, model: PatchModel, share: tuple[int, int], mean: Callable[[Tensor], Tensor]
    ) -> None:
        self.config, self.model, self.net, self.share, self.mean = config, model, model.net, share, mean
        self.vgg = VGGTerm(config.vgg, model.device) if config.vgg and config.vgg_weight else None
        self.distances = Distances(config.features, model.device, deep=config.deep)
        learning = [name for name, p in self.net.named_parameters() if p.requires_grad]
        self.trains_code = any(name.startswith(("feat", "input")) for name in learning)
        self.critic = Critic().to(model.device) if config.stage == "adversarial" else None
        stages = {"answer": self.answer, "prior": self.prior, "adversarial": self.adversarial}
        self.terms = stages.get(config.stage, self.posterior)

    def draw(self, step: int) -> Terms:
        """Draw the random tensors of one step, a function of (seed, step)."""
        config, drawn = self.config, {}

        def noise(per_patch: int) -> Tensor:
            """Return this process's part of the noise, (per_patch * B, 1024)."""
            generator = torch.Generator("cpu").manual_seed(config.seed * 1_000_003 + step)
            process, processes = self.share
            parts = sr.noise(generator, per_patch * config.batch).chunk(per_patch)
            return to_device(torch.cat([part.chunk(processes)[process] for part in parts]), self.model.device)

        if config.stage in ("prior", "sample", "adversarial"):
            drawn["eps"] = noise(1 if config.stage == "sample" else 2)
        if self.vgg and not config.fixed_vgg:
            at = np.random.default_rng([config.seed, step, 2]).integers(VGG_SHIFT, size=2)
            drawn["vgg_at"] = to_device(torch.from_numpy(at), self.model.device)
        return drawn

    def __call__(self, batch: Batch) -> Terms:
        """Return the terms of a batch: ``Patches``' tensors, the teacher's "taught" targets, and :meth:`draw`'s."""
        return self.terms(batch)

    # -- the stages --

    def answer(self, batch: Batch) -> Terms:
        """L1 and VGG of the answer at z = 0, back-projected if the network has latents, as at inference."""
        up, target = batch["up"], batch.get("taught", batch["hr"])
        lr = None if self.model.without_latents else self.model.downscale(target)
        y = self.model.answer(self._code(batch), None, up, lr)
        return {"answer": l1(y, target)} | self._vgg_term(y, target, batch)

    def prior(self, batch: Batch) -> Terms:
        """L1 of the answer at z = 0, and the energy score of two prior samples of each patch.

        A teacher teaches the answer alone: samples are to be spread as originals are. So does the VGG term.
        """
        config, model, up, hr = self.config, self.model, batch["up"], batch["hr"]
        code, g, lr = self._code(batch), self.net.generator(up), model.downscale(hr)
        zero = model.answer(code, None, up, lr)
        twice = [torch.cat([t, t]) for t in (code, g, up, lr)]  # both samples go through the decoder as one batch
        z = sr.PRIOR_SD * twice[1] * batch["eps"]
        first, second = model.answer(twice[0], z, twice[2], twice[3]).split(len(up))
        score = energy_score(self.distances, first, second, hr, zero.detach(), self.mean)
        terms = {"answer": l1(zero, batch.get("taught", hr)), "energy": config.energy * score}
        if config.outliers:
            both = outliers(first, hr, zero.detach()) + outliers(second, hr, zero.detach())
            terms["outliers"] = config.outliers * both / 2
        return terms | self._vgg_term(zero, hr, batch)

    def adversarial(self, batch: Batch) -> Terms:
        """Energy score of two prior samples of each patch, and a critic's verdict on both, as strong as the score.

        Both losses have gradients of the same length at SR_res, times ``adversary``. Pixels of the samples repel each
        other by ``repulsion`` in the place of the score's 1/2: with 1/2 their noise must be as loud as the answer's
        error, and specks stay. Features only attract. Without the L1 term of the answer at z = 0, weighted by
        ``answer_weight``, that answer loses PSNR; a quarter of the batch is enough.
        """
        config, model, up, hr = self.config, self.model, batch["up"], batch["hr"]
        twice = [torch.cat([t, t]) for t in (self._code(batch), self.net.generator(up), up, model.downscale(hr))]
        code, g, both_up, lr = twice
        samples = model.answer(code, sr.PRIOR_SD * g * batch["eps"], both_up, lr)
        first, second = samples.split(len(up))
        weights = {"repulsion": config.repulsion, "deep_repulsion": 0.0}
        score = energy_score(self.distances, first, second, hr, up, self.mean, **weights)
        with model.autocast():
            adversary = self.critic.adversary(samples, up)
            loss, accuracy = self.critic.loss(hr, samples, up)
        lengths = [
            torch.autograd.grad(t, self.net.SR_res.weight, retain_graph=True)[0].norm() for t in (score, adversary)
        ]
        weight = self.mean(lengths[0] / (lengths[1] + 1e-12))
        terms = {
            "energy": config.energy * score,
            "adversary": config.energy * config.adversary * weight * adversary,
            "critic": loss,
            "accuracy": accuracy,
        }
        if config.answer_weight:
            n = -(-len(up) // 4)
            zero = model.answer(code[:n], None, up[:n], lr[:n])
            terms["answer"] = config.answer_weight * l1(zero, hr[:n])
        return terms

    def posterior(self, batch: Batch) -> Terms:
        """L1, VGG and KL through the encoder, as in the paper; ``sample`` trains the answer at z = 0, too."""
        up, hr, net = batch["up"], batch["hr"], self.net
        with torch.set_grad_enabled(self.trains_code), self.model.autocast():
            features = net.features(up)
            code = net.input_code(features).float()
        with self.model.autocast():
            mu, logsd = (t.float() for t in net.encode_features(features, net.features(hr)))
        scaled = net.generator(up) * logsd.exp()
        z = mu + (scaled * batch["eps"] if "eps" in batch else scaled)
        y = self.model.answer(code, z, up, None)
        terms = {"l1": l1(y, hr)} | self._vgg_term(y, hr, batch)
        terms["kl"] = self.config.kl_weight * kl_divergence(mu, logsd).sum() / len(hr)
        if self.config.stage == "sample":
            terms["answer"] = l1(self.model.answer(code, None, up, None), hr)
        return terms

    # -- their parts --

    def _code(self, batch: Batch) -> Tensor:
        """Return the code of a batch, without gradients if its layers do not learn."""
        if "code" in batch:
            return batch["code"]
        with torch.set_grad_enabled(self.trains_code):
            return self.model.code(batch["up"])

    def _vgg_term(self, y: Tensor, hr: Tensor, batch: Batch) -> Terms:
        if not self.vgg:
            return {}
        if "vgg_at" in batch:
            # Average pooling hides differences inside its cells. The cells must move, or the answers learn a grid.
            window = torch.arange(sr.PATCH - VGG_SHIFT, device=y.device)
            rows, columns = batch["vgg_at"][0] + window, batch["vgg_at"][1] + window
            y, hr = (t.index_select(2, rows).index_select(3, columns) for t in (y, hr))
        with self.model.autocast():
            return {"vgg": self.config.vgg_weight * self.vgg(y, hr)}


def l1(y: Tensor, hr: Tensor) -> Tensor:
    """Return the sum of absolute differences per patch, averaged over the batch."""
    return (y - hr).abs().sum() / len(hr)


def kl_divergence(mu: Tensor, logsd: Tensor) -> Tensor:
    """Return KL( N(mu, sd^2) || N(0, 0.1^2) ) of each latent in nats: 50 mu^2 + 50 sd^2 - log(10 sd) - 1/2."""
    precision = 1 / sr.PRIOR_SD**2
    return 0.5 * precision * (mu.square() + (2 * logsd).exp()) - logsd + math.log(sr.PRIOR_SD) - 0.5


def outliers(samples: Tensor, hr: Tensor, answer: Tensor) -> Tensor:
    """Return how far single pixels of samples lie beyond what is plausible.

    The energy score hardly sees rare outliers: if one sample in a hundred gets a pixel badly wrong, E|Y - HR| grows by
    as much as E|Y - Y'| / 2 does.

    Args:
        samples: (B, 3, H, W) in [0, 1], one of each patch.
        hr, answer: the originals and the answers at z = 0, of the same shape.

    Returns:
        The mean of (|Y - HR| - LARGEST)^2 where that is positive, in units of the answer's root-mean-square error
        around the pixel; a scalar.
    """
    square = (answer - hr).square().mean(1, keepdim=True)
    around = F.avg_pool2d(square, AROUND, 1, AROUND // 2, count_include_pad=False)
    unit = around.sqrt().clamp(min=LEAST_UNIT)
    distance = ((samples - hr).square().mean(1, keepdim=True) + 1e-8).sqrt()
    return (distance / unit - LARGEST).relu().square().mean()
