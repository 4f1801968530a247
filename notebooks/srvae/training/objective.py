"""What a stage minimises: the deterministic answer, the paper's objective, or an energy score of prior samples.

L1 and VGG terms are sums over a patch, KL one over its latents, all averaged over the batch (the release sums over the
batch too, which no optimiser here notices). Whatever is random in a step is drawn first, by :meth:`Objective.draw`, so
that the rest is a function of tensors alone, which torch can compile.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import srvae_core as sr
from srvae import release

from .compiling import to_device
from .config import Config
from .discriminator import Discriminator, adversarial_terms
from .perceptual import VGG, Distances, energy_score

VGG_SHIFT = 16  # pixels by which the window that the VGG term sees moves at random: the reach of conv5_4's cells

LARGEST = 3.0  # errors of the answer by which a sample's pixel may be off
LEAST_UNIT = 2 / 255  # of that error: in plain places rounding alone makes some
WEAVE = 400.0  # weight of repetition: where texture is woven, this term is then about as large as VGG's
REPEATED = 4  # LR samples a side over which a texture is looked at for repetition
AROUND = 17  # pixels of the window that this error is averaged over: what hair may be off by is a speck on a cheek

Terms = dict[str, Tensor]


def kl_divergence(mu: Tensor, logsd: Tensor) -> Tensor:
    """KL( N(mu, sd^2) || N(0, 0.1^2) ) of each latent in nats: 50 mu^2 + 50 sd^2 - log(10 sd) - 1/2."""
    precision = 1 / sr.PRIOR_SD**2
    return 0.5 * precision * (mu.square() + (2 * logsd).exp()) - logsd + math.log(sr.PRIOR_SD) - 0.5


def outliers(samples: Tensor, hr: Tensor, answer: Tensor) -> Tensor:
    """How far single pixels of samples lie beyond what is plausible.

    An energy score hardly sees rare outliers: of a pixel that one sample in a hundred gets badly wrong, E|Y - HR| grows
    by as much as E|Y - Y'| / 2 does. So samples came to have single pixels of loud colours.

    Args:
        samples: (B, 3, H, W) in [0, 1], one of each patch.
        hr: the originals, of the same shape.
        answer: the answers of z = 0, of the same shape. Their root-mean-square error around a pixel is its unit.

    Returns:
        The mean of (|Y - HR| - LARGEST)^2 over all pixels where that is positive, in these units; a scalar.
    """
    square = (answer - hr).square().mean(1, keepdim=True)
    around = F.avg_pool2d(square, AROUND, 1, AROUND // 2, count_include_pad=False)
    unit = around.sqrt().clamp(min=LEAST_UNIT)
    distance = ((samples - hr).square().mean(1, keepdim=True) + 1e-8).sqrt()
    return (distance / unit - LARGEST).relu().square().mean()


def repetition(texture: Tensor, scale: int) -> Tensor:
    """How much of a texture comes again from LR sample to LR sample, as no photograph's does: a grid, or a weave.

    A decoder has the same filters at each LR sample. VGG's deep features hardly tell where in their cells something
    lies, so the texture that pleases them soonest is the same few pixels at each sample.

    Args:
        texture: (B, 3, 128, 128), what is added to a smooth picture.
        scale: 4 or 8, pixels from one LR sample to the next.

    Returns:
        The power of the mean of REPEATED x REPEATED neighbouring LR samples' pixels, each less the mean of all, as a
        multiple of what it would be were they independent, and averaged over the batch: a scalar, near 1 for
        photographs, at most REPEATED^2.
    """
    batch, channels, height, width = texture.shape
    rows, columns = height // (scale * REPEATED), width // (scale * REPEATED)
    cells = texture.view(batch, channels, rows, REPEATED, scale, columns, REPEATED, scale)
    mean = cells.mean((3, 6))  # (B, 3, rows, scale, columns, scale)
    mean = mean - mean.mean((3, 5), keepdim=True)
    power = texture.square().mean((1, 2, 3)) + 1e-9
    return REPEATED**2 * (mean.square().mean((1, 2, 3, 4, 5)) / power).mean()


def cpu_has_bfloat16() -> bool:
    """Whether the CPU convolves in bfloat16 faster than in float32: with AMX or AMD's AVX512-BF16, not Intel's."""
    can = torch.cpu.get_capabilities()
    return can.get("amx_bf16", False) or (can.get("avx512_bf16", False) and not can.get("avx512_fp16", False))


class Pictures:
    """The network as training uses it: codes and answers of patches, in bfloat16 where the hardware has it.

    Args:
        net: the model, on its device.
        fp32: no bfloat16.
        without_latents: z = 0 gives a latent map of zeros, as in a net whose latent branch was never trained; ip4-ip6
            are then left out.
    """

    def __init__(self, net: sr.SRVAE, *, fp32: bool = False, without_latents: bool = False) -> None:
        self.net, self.without_latents, self.scale = net, without_latents, net.scale
        self.device = net.feat1_1.weight.device
        # A CPU without these instructions would need several times float32's time.
        self.bfloat16 = not fp32 and (self.device.type != "cpu" or cpu_has_bfloat16())
        # Both ways of bicubic interpolation of whole patches, as matrices: (128, 128 / scale) and its counterpart. On a
        # GPU they are far quicker than `interpolate`, whose backward pass adds atomically, in any order.
        low, high = torch.eye(sr.PATCH // self.scale), torch.eye(sr.PATCH)
        self.up_matrix = self._one_axis(low, up=True).to(self.device)
        self.down_matrix = self._one_axis(high, up=False).to(self.device)

    def _one_axis(self, impulses: Tensor, *, up: bool) -> Tensor:
        """The matrix of ``srvae_core.bicubic`` along one axis: what it makes of unit impulses."""
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
        """What the network's parts run in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def code(self, up: Tensor) -> Tensor:
        """The LR branch's code of enlarged patches, (B, 64, h, w)."""
        with self.autocast():
            return self.net.input_code(self.net.features(up)).float()

    def answer(self, code: Tensor, z: Tensor | None, up: Tensor, lr: Tensor | None) -> Tensor:
        """The picture of latents, as at inference.

        Args:
            code: of :meth:`code`, (B, 64, h, w).
            z: latents, (B, 1024); None is zero.
            up: enlarged LR patches, (B, 3, 128, 128) in [0, 1].
            lr: LR patches that the picture is back-projected to once; None leaves that out.

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
        y = y.float()  # bfloat16 has 8 bits, and what is back-projected is smaller than a grey level
        return y if lr is None else y + self.enlarge(lr - self.downscale(y))

    def shaped(self, up: Tensor, eps: Tensor) -> Tensor:
        """Prior latents z = 0.1 g(LR) eps: (B, 3, 128, 128), (B, 1024) -> (B, 1024)."""
        return sr.PRIOR_SD * self.net.generator(up) * eps

    @torch.no_grad()
    def self_ensemble(self, up: Tensor, hr: Tensor) -> Tensor:
        """The mean answer over flips and rotations of patches, each (B, 3, 128, 128), back-projected."""
        lr, total = self.downscale(hr), torch.zeros_like(hr)
        for k in range(8):
            turned = release.turn(up, k)
            total += release.unturn(self.answer(self.code(turned), None, turned, release.turn(lr, k)), k)
        return total / 8


class Objective:
    """The terms that one stage minimises, by name; their sum is what counts.

    Args:
        config: the run's settings.
        pictures: the network.
        vgg: the VGG term; None leaves it out.
        distances: of the energy score.
        share: (this process, processes).
        mean: the mean of a tensor over all processes, where there are several.
    """

    halves = 0  # how often a step draws noise for every patch
    taught_beside = False  # whether the answer has a target of its own, among what is drawn by the name "taught"

    @property
    def names(self) -> tuple[str, ...]:
        """What :meth:`draw` gives, in its order."""
        at = ("at",) if self.vgg and not self.config.fixed_vgg else ()
        return (("eps",) if self.halves else ()) + at

    def __init__(
        self,
        config: Config,
        pictures: Pictures,
        vgg: VGG | None,
        distances: Distances,
        share: tuple[int, int] = (0, 1),
        mean: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.config, self.pictures, self.net = config, pictures, pictures.net
        self.vgg, self.distances, self.share, self.mean = vgg, distances, share, mean
        self.discriminator: Discriminator | None = None
        if config.has_energy_score and config.adversarial:
            self.discriminator = Discriminator(distances).to(pictures.device)
        self.features_move = any(
            p.requires_grad for k, p in self.net.named_parameters() if k.startswith(("feat", "input"))
        )

    def draw(self, step: int) -> Terms:
        """The random numbers of one step, a function of (seed, step): ``eps`` (noise) and ``at`` (VGG's window)."""
        drawn, device = {}, self.pictures.device
        if self.halves:
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
            eps = sr.noise(generator, self.halves * self.config.batch)
            process, processes = self.share
            mine = [half.chunk(processes)[process] for half in eps.chunk(self.halves)]
            drawn["eps"] = to_device(torch.cat(mine), device)
        if self.vgg and not self.config.fixed_vgg:
            at = np.random.default_rng([self.config.seed, step, 2]).integers(VGG_SHIFT, size=2)
            drawn["at"] = to_device(torch.from_numpy(at), device)
        return drawn

    def __call__(self, up: Tensor, hr: Tensor, drawn: Terms) -> Terms:
        """The terms for enlarged LR and HR patches, each (B, 3, 128, 128)."""
        raise NotImplementedError

    def code(self, up: Tensor) -> Tensor:
        """The LR branch's code of enlarged patches; no gradients are kept where its layers stand still."""
        with torch.set_grad_enabled(self.features_move):
            return self.pictures.code(up)

    @staticmethod
    def l1(y: Tensor, hr: Tensor) -> Tensor:
        """Sum of absolute differences per patch, averaged over the batch: two (B, 3, H, W) in [0, 1] -> scalar."""
        return (y - hr).abs().sum() / len(hr)

    def perceptual(self, y: Tensor, hr: Tensor, drawn: Terms) -> Terms:
        """The VGG term by name, where the run has one."""
        if not self.vgg:
            return {}
        if "at" in drawn:
            # Poolings see a picture in cells of 4 pixels (conv3_4), and what their average hides costs nothing: where
            # the cells lie must vary, or the answers learn a grid.
            window = torch.arange(sr.PATCH - VGG_SHIFT, device=y.device)
            rows, columns = drawn["at"][0] + window, drawn["at"][1] + window
            y, hr = (t.index_select(2, rows).index_select(3, columns) for t in (y, hr))
        with self.pictures.autocast():
            return {"vgg": self.config.lam * self.vgg(y, hr)}


class AnswerObjective(Objective):
    """L1 (and VGG) of the answer of z = 0; after a latents stage it is back-projected, as at inference."""

    def __call__(self, up: Tensor, hr: Tensor, drawn: Terms) -> Terms:
        lr = None if self.pictures.without_latents else self.pictures.downscale(hr)
        y = self.pictures.answer(self.code(up), None, up, lr)
        return {"answer": self.l1(y, hr)} | self.perceptual(y, hr, drawn)


class PosteriorObjective(Objective):
    """The paper's: L1, VGG and KL through the encoder.

    With a true sample, z = mu + sd g(LR) eps, and z = 0 trained besides (``--latents sample``); or to the letter of the
    release, z = mu + sd g(LR), in which nothing is drawn (``--latents release``).
    """

    @property
    def halves(self) -> int:
        return 0 if self.config.latents == "release" else 1

    def __call__(self, up: Tensor, hr: Tensor, drawn: Terms) -> Terms:
        with torch.set_grad_enabled(self.features_move), self.pictures.autocast():
            features = self.net.features(up)
            code = self.net.input_code(features).float()
        with self.pictures.autocast():
            mu, logsd = (t.float() for t in self.net.encode_features(features, self.net.features(hr)))
        scaled = self.net.generator(up) * logsd.exp()
        z = mu + (scaled * drawn["eps"] if "eps" in drawn else scaled)
        y = self.pictures.answer(code, z, up, None)
        terms = {"l1": self.l1(y, hr)} | self.perceptual(y, hr, drawn)
        terms["kl"] = self.config.kl_weight * kl_divergence(mu, logsd).sum() / len(hr)
        if self.config.latents == "sample":
            terms["answer"] = self.l1(self.pictures.answer(code, None, up, None), hr)
        return terms


class PriorObjective(Objective):
    """L1 of the answer of z = 0, and an energy score of two prior samples of each patch.

    A teacher, where there is one, is for the answer alone: samples are to be spread as originals are. Where the model
    answers by mild samples (``temperature``), the paper's L1 and VGG terms look at those; else VGG looks at z = 0.
    """

    halves = 2

    @property
    def mild(self) -> bool:
        """Whether the VGG term looks at mild samples."""
        return bool(self.vgg and self.config.temperature)

    @property
    def taught_beside(self) -> bool:
        return bool(self.config.teacher)

    @property
    def names(self) -> tuple[str, ...]:
        return super().names + (("mild",) if self.mild else ()) + (("taught",) if self.taught_beside else ())

    def draw(self, step: int) -> Terms:
        drawn = super().draw(step)
        if self.mild:
            # Drawn anew from the step's seed, as one half, so that runs of version 0.1 go on with the same noise.
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
            process, processes = self.share
            eps = sr.noise(generator, self.config.batch).chunk(processes)[process]
            drawn["mild"] = to_device(eps, self.pictures.device)
        return drawn

    def __call__(self, up: Tensor, hr: Tensor, drawn: Terms) -> Terms:
        pictures, batch = self.pictures, len(up)
        code, lr = self.code(up), pictures.downscale(hr)
        zero = pictures.answer(code, None, up, lr)
        # Both samples of all patches go through the decoder as one batch.
        g = self.net.generator(up)
        twice = [torch.cat([t, t]) for t in (code, g, up, lr)]
        z = sr.PRIOR_SD * twice[1] * drawn["eps"]
        first, second = pictures.answer(twice[0], z, twice[2], twice[3]).split(batch)
        score = energy_score(self.distances, first, second, hr, zero.detach(), self.mean)
        terms = {"answer": self.l1(zero, drawn.get("taught", hr)), "energy": self.config.energy * score}
        if self.config.outliers:
            both = outliers(first, hr, zero.detach()) + outliers(second, hr, zero.detach())
            terms["outliers"] = self.config.outliers * both / 2
        looked_at, samples = zero, [first, second]
        if self.mild:
            looked_at = pictures.answer(code, self.config.temperature * sr.PRIOR_SD * g * drawn["mild"], up, lr)
            samples.append(looked_at)
            terms |= self.mild_terms(looked_at, zero.detach(), hr)
        terms |= self.perceptual(looked_at, hr, drawn)
        if self.discriminator:
            with pictures.autocast():
                lost, told = adversarial_terms(self.discriminator, self.distances, samples, hr, zero.detach())
            terms |= {"adversarial": self.config.adversarial * lost, "discriminator": told}
        return terms

    def mild_terms(self, mild: Tensor, answer: Tensor, hr: Tensor) -> Terms:
        """What keeps mild samples from the faults that VGG's deep features do not see, each (B, 3, 128, 128).

        The paper's L1 of the picture that its VGG term sees; a weave, beyond what photographs have of it; and, where
        the run has that term for samples, single pixels that are far off.
        """
        woven = repetition(mild - answer, self.pictures.scale)
        terms = {"mild": self.l1(mild, hr), "repetition": WEAVE * (woven - 1).relu()}
        if self.config.outliers:
            terms["specks"] = self.config.outliers * outliers(mild, hr, answer)
        return terms


def objective_of(config: Config) -> type[Objective]:
    """The objective of a stage."""
    if config.stage == "answer":
        return AnswerObjective
    return PriorObjective if config.latents == "prior" else PosteriorObjective
