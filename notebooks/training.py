"""Training of the SR-VAE: photographs, objective, loop, checkpoints, export, command line.

Two stages, each a run of its own, for D; one more for P, which keeps D's layers but for the LR branch and the decoder::

    python notebooks/training.py --data PHOTOGRAPHS --scale 4 --stage answer --run runs/4x-answer
    python notebooks/training.py --data PHOTOGRAPHS --scale 4 --stage latents --initial runs/4x-answer --run runs/4x
    python notebooks/training.py --data PHOTOGRAPHS --scale 4 --variant P --stage latents --train decoder \\
        --temperature 0.25 --initial runs/4x --run runs/4x-P
    python notebooks/training.py --run runs/4x --export 4x-D
    python notebooks/training.py --run runs/4x-P --export 4x-P --base 4x-D

``answer`` trains the convolutions for the deterministic answer, z = 0; with ``--ensemble`` it goes on from trained
weights and learns from their own self-ensemble. ``latents`` then trains so that z drawn from the
prior gives pictures that could be the original, while z = 0 stays the best single answer; ``--latents`` says how:

* ``prior`` (default): two prior samples of each patch, judged by an energy score. No encoder.
* ``sample``: the paper's objective with a true sample, z = mu + sd g(LR) eps, through the encoder.
* ``release``: the release's objective to the letter, z = mu + sd g(LR), in which nothing is drawn.

The release's way altogether: ``--stage latents --latents release --optimiser adam --lr 1e-4 --warmup 1 --decay 0
--fillers --fixed-vgg --candidates 1 --fp32``, with ``--vgg`` naming a full VGG-19.

A run folder holds config.json, log.csv (a row per validation) and checkpoint.safetensors; a run that is killed goes on
from its checkpoint when the same command is given again, with the same patches and the same noise. Several GPUs or
processes share each batch under ``accelerate launch notebooks/training.py ...``. Needs no Jupyter.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import platform
import shlex
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the core, where it is not installed
import srvae_core as sr  # noqa: E402

SPREAD, CODE = ("psnr", "spread", "diversity"), ("kl", "active")  # what `judge` says of samples and of an encoder
MARGIN = 4  # LR samples around a patch: bicubic interpolation reaches two
HELD_OUT = 40  # every 40th photograph is kept for validation
STAGES = ("answer", "latents")
LATENTS = ("prior", "sample", "release")
LOSSES = ("l1", "psnr")
VGG_SHIFT = 16  # pixels by which the window that the VGG term sees moves at random: the reach of conv5_4's cells
LAMBDA = {"D": 1.0, "P": 10.0}  # the release's weights of the VGG term, all that D and P differ in
PARTS = {  # what --train names: beginnings of layer names
    "convolutions": ("feat", "input", "decoder", "conv", "relu", "local", "SR_res"),
    "latents": ("generator", "ip4", "ip5", "ip6", "decoder", "conv", "relu", "local", "SR_res"),
    "decoder": ("input", "decoder", "conv", "relu", "local", "SR_res"),
    "all": ("",),
}
PERCEPTUAL = ROOT.parent / "shared" / "perceptual"
FEATURES = PERCEPTUAL / "vgg19_distilled_to_conv5_1.safetensors"
VGG_FILE = PERCEPTUAL / "vgg19_normalised_to_conv3_4.safetensors"


@dataclass
class Config:
    """What a run is made of; config.json holds it."""

    data: str = field(default="", metadata={"help": "folder of photographs, searched with its subfolders"})
    run: str = field(default="", metadata={"help": "folder of the run"})
    scale: int = field(default=4, metadata={"help": "4 or 8"})
    stage: str = field(default="answer", metadata={"help": "answer or latents"})
    variant: str = field(default="D", metadata={"help": "D (distortion) or P (perception)"})
    latents: str = field(default="prior", metadata={"help": "prior, sample or release (latents)"})
    train: str = field(default="", metadata={"help": f"what moves: {', '.join(PARTS)}; left out, the stage's choice"})
    initial: str = field(default="", metadata={"help": "run folder or weights file to start from"})
    steps: int = field(default=20_000, metadata={"help": "steps of the whole run"})
    batch: int = field(default=16, metadata={"help": "patches per step"})
    lr: float = field(
        default=2e-3, metadata={"help": "peak learning rate of Muon; the other parameters have 0.3 of it"}
    )
    warmup: int = field(default=20, metadata={"help": "steps of rising learning rate"})
    decay: float = field(default=0.5, metadata={"help": "last share of the steps, with falling learning rate"})
    ema: float = field(default=0.99, metadata={"help": "decay of the averaged weights"})
    candidates: int = field(default=2, metadata={"help": "patches drawn for each one used; the most detailed is"})
    energy: float = field(default=400.0, metadata={"help": "weight of the energy score of prior samples (latents)"})
    loudness: float = field(default=4.0, metadata={"help": "first standard deviation of decoder1's weights (latents)"})
    loss: str = field(default="l1", metadata={"help": "what answers lose by: l1 or psnr (answer)"})
    ensemble: float = field(
        default=0.0, metadata={"help": "share of the first weights' self-ensemble in the answer's target (answer)"}
    )
    pool: int = field(default=1024, metadata={"help": "patches that the self-ensemble is made for (--ensemble)"})
    vgg_weight: float = field(default=-1.0, metadata={"help": "lambda of the VGG term; -1 is the variant's: D 1, P 10"})
    temperature: float = field(
        default=0.0, metadata={"help": "of the model's answers: the VGG term looks at samples of it (prior)"}
    )
    kl_weight: float = field(default=1.0, metadata={"help": "weight of the KL term (sample, release)"})
    fixed_vgg: bool = field(default=False, metadata={"help": "the VGG term looks at whole patches, as in the release"})
    optimiser: str = field(default="muon", metadata={"help": "muon, or adam with the release's decay and bias rates"})
    fillers: bool = field(default=False, metadata={"help": "start SR_res and the latents by the release's fillers"})
    vgg: str = field(default=str(VGG_FILE), metadata={"help": "VGG-19 for the VGG term: .caffemodel or .safetensors"})
    features: str = field(default=str(FEATURES), metadata={"help": "distilled VGG-19 for the energy score"})
    validate: int = field(default=500, metadata={"help": "steps between validations"})
    checkpoint: int = field(default=500, metadata={"help": "steps between checkpoints"})
    seed: int = 0
    workers: int = field(default=2, metadata={"help": "threads that cut patches ahead"})
    threads: int = field(default=0, metadata={"help": "CPU threads; 0 leaves torch's choice"})
    device: str = field(default="", metadata={"help": "cuda, mps or cpu; chosen if left out"})
    fp32: bool = field(default=False, metadata={"help": "no bfloat16 autocast, where the hardware has it"})

    def check(self) -> None:
        """Raises ValueError for settings that cannot be meant."""
        if self.scale not in sr.SCALES:
            raise ValueError(f"scale must be 4 or 8, not {self.scale}")
        for name, choices in {
            "stage": STAGES,
            "variant": LAMBDA,
            "latents": LATENTS,
            "loss": LOSSES,
            "train": ("", *PARTS),
            "optimiser": ("muon", "adam"),
        }.items():
            if getattr(self, name) not in choices:
                known = ", ".join(filter(None, choices))
                raise ValueError(f"{name} must be one of {known}, not {getattr(self, name)!r}")
        if not self.run:
            raise ValueError("say where the run is kept: --run FOLDER")
        if self.loss != "l1" and self.stage != "answer":
            raise ValueError(f"loss {self.loss}: the answer stage's choice, and this is the {self.stage} stage")
        if self.ensemble and (self.stage != "answer" or not self.initial or not 0 < self.ensemble <= 1):
            raise ValueError(
                f"ensemble {self.ensemble}: a share up to 1, in the answer stage, with --initial naming the teacher"
            )
        if self.ensemble and self.pool < self.batch:
            raise ValueError(f"a pool of {self.pool} patches does not fill a batch of {self.batch}")
        for name in ("steps", "batch", "validate", "checkpoint", "candidates", "warmup"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.stage == "latents" and self.latents != "release" and not self.initial:
            raise ValueError("the latents stage starts from a trained answer: --initial RUN")

    @property
    def lam(self) -> float:
        """Lambda, the weight of the VGG term."""
        return LAMBDA[self.variant] if self.vgg_weight < 0 else self.vgg_weight

    @property
    def encoder(self) -> bool:
        """Whether the objective goes through the encoder."""
        return self.stage == "latents" and self.latents != "prior"

    def trains(self, name: str) -> bool:
        """Whether a parameter is among those that the run trains."""
        if self.stage == "answer" and name == "decoder1.weight":
            return False  # it sees one and the same latent map, from which Muon would learn noise
        default = "convolutions" if self.stage == "answer" else "all" if self.encoder else "latents"
        return name.startswith(PARTS[self.train or default])


# -- photographs --------------------------------------------------------------------------------------------


def load_photographs(folder: str | Path, scale: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Every photograph below a folder with its LR image, uint8 (H, W, 3), sides cut to multiples of 8.

    Photographs smaller than one patch are left out.

    Raises:
        ValueError: no usable photograph there, or a file that is no image.
    """
    endings = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
    pairs = []
    for file in tqdm(sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in endings), disable=None):
        hr = np.ascontiguousarray(sr.crop_to_multiple(sr.read_image(file), 8)[..., :3])
        if hr.dtype == np.uint16:
            hr = (hr >> 8).astype(np.uint8)
        if min(hr.shape[:2]) >= sr.PATCH:
            pairs.append((hr, sr.downscale(hr, scale)))
    if len(pairs) < 2:
        raise ValueError(f"less than two photographs of at least {sr.PATCH}x{sr.PATCH} pixels below {folder}")
    return pairs


class Patches:
    """Random pairs of 128x128 patches, each batch a function of (seed, step) alone.

    So a resumed run sees what it would have seen. Patches lie on the LR grid; LR is 8 bit, as at test.
    """

    def __init__(
        self,
        pairs: list[tuple[np.ndarray, np.ndarray]],
        scale: int,
        batch: int,
        candidates: int = 1,
        seed: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.pairs, self.scale, self.batch, self.candidates, self.seed = pairs, scale, batch, candidates, seed
        self.share = share  # (this process, processes): each makes its own part of every batch
        self.waited = 0.0  # seconds that a reader of `stream` had to wait
        weight = np.sqrt([hr.shape[0] * hr.shape[1] for hr, _ in pairs])  # between per photograph and per pixel
        self.probability = weight / weight.sum()

    def window(self, rng: np.random.Generator) -> tuple[float, int, int, int]:
        """A random patch: (detail, photograph, y, x), y and x in LR samples."""
        s, n = self.scale, sr.PATCH // self.scale
        i = int(rng.choice(len(self.pairs), p=self.probability))
        hr, lr = self.pairs[i]
        y, x = int(rng.integers(lr.shape[0] - n + 1)), int(rng.integers(lr.shape[1] - n + 1))
        if self.candidates == 1:
            return 0.0, i, y, x
        green = hr[y * s : y * s + sr.PATCH, x * s : x * s + sr.PATCH, 1].astype(np.float32)
        return float(np.abs(cv2.Laplacian(green, cv2.CV_32F)).mean()), i, y, x

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of one step: the enlarged LR and the HR patches, each (B, 3, 128, 128) in [0, 1]."""
        s, n = self.scale, sr.PATCH // self.scale
        rng = np.random.default_rng([self.seed, step])
        process, processes = self.share
        ups, hrs = [], []
        for number in range(self.batch):
            _, i, y, x = max(self.window(rng) for _ in range(self.candidates))
            k = int(rng.integers(8))
            if number * processes // self.batch != process:
                continue
            hr, lr = self.pairs[i]
            top, left = max(y - MARGIN, 0), max(x - MARGIN, 0)
            up = sr.enlarge(np.ascontiguousarray(lr[top : y + n + MARGIN, left : x + n + MARGIN]), s)
            up = up[(y - top) * s :, (x - left) * s :][: sr.PATCH, : sr.PATCH]
            hr = hr[y * s :, x * s :][: sr.PATCH, : sr.PATCH]
            ups.append(sr.turn(sr.to_tensor(up), k))
            hrs.append(sr.turn(sr.to_tensor(hr), k))
        return torch.cat(ups), torch.cat(hrs)

    def stream(self, start: int, stop: int, workers: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the steps start ... stop - 1, made ahead by threads; `waited` adds up what that lacked."""
        with ThreadPoolExecutor(workers) as pool:
            ahead = deque(pool.submit(self, step) for step in range(start, min(start + 2 * workers, stop)))
            for step in range(start + len(ahead), stop + len(ahead)):
                begin = time.perf_counter()
                batch = ahead.popleft().result()
                self.waited += time.perf_counter() - begin
                if step < stop:
                    ahead.append(pool.submit(self, step))
                yield batch


class Taught(Patches):
    """A pool of patches whose targets are partly what the first weights' self-ensemble makes of them.

    The mean over the eight flips and rotations is a better answer than each, and one without the originals' chance
    details: learning it takes far fewer steps than averaging those details away. Each batch turns patches of the pool,
    as a self-ensemble turns with its input.

    Args:
        patches: where the pool is drawn from.
        pool: how many patches.
        teacher: makes the self-ensemble's answer, (B, 3, 128, 128), of enlarged LR patches and their originals.
        share: of the self-ensemble in the target; the rest is the original.
        file: keeps what the teacher made, for when the run is killed.
    """

    def __init__(
        self, patches: Patches, pool: int, teacher: Callable[[Tensor, Tensor], Tensor], share: float, file: Path
    ) -> None:
        p = patches
        super().__init__(p.pairs, p.scale, p.batch, p.candidates, p.seed, p.share)
        self.up, hr = Patches(p.pairs, p.scale, pool, p.candidates, p.seed)(0)
        if not file.is_file():
            pieces = list(zip(self.up.split(8), hr.split(8), strict=True))
            taught = torch.cat([teacher(*piece).cpu() for piece in tqdm(pieces, "self-ensemble", disable=None)])
            if self.share[0] == 0:
                save_file({"taught": taught.contiguous()}, file.with_suffix(".part"))
                os.replace(file.with_suffix(".part"), file)
        else:
            taught = load_file(file)["taught"]
        self.target = torch.lerp(hr, taught, share)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of one step: the enlarged LR patches and their targets, each (B, 3, 128, 128) in [0, 1]."""
        rng = np.random.default_rng([self.seed, step])
        process, processes = self.share
        chosen = np.array_split(rng.choice(len(self.up), self.batch, replace=False), processes)[process]
        turns = np.array_split(rng.integers(8, size=self.batch), processes)[process]
        turned = lambda t: torch.cat([sr.turn(t[i : i + 1], int(k)) for i, k in zip(chosen, turns, strict=True)])  # noqa: E731
        return turned(self.up), turned(self.target)


def held_out_patches(photographs: list[tuple[np.ndarray, np.ndarray]], scale: int) -> tuple[Tensor, Tensor]:
    """What every run is judged by: 24 pairs of patches of the photographs that are kept out of training."""
    return Patches(photographs[::HELD_OUT], scale, batch=24, candidates=2, seed=1)(0)


# -- objective ----------------------------------------------------------------------------------------------


class Distances:
    """How far apart two pictures are, as a list of distances of different reach.

    Root-mean-square differences per place, averaged over places: of pixels, of 8x8 windows and, where a file
    is given, of the features relu1_1, relu2_1 and relu3_1 of a distilled VGG-19 with its poolings
    changed to average, the release's "modified VGG".
    """

    def __init__(self, features: str | Path = "", device: str | torch.device = "cpu") -> None:
        self.weights: dict[str, Tensor] = {}
        if features:
            with safe_open(features, "pt") as f:
                self.weights = {k: f.get_tensor(k).to(device) for k in f.keys()}  # noqa: SIM118

    def describe(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> descriptions, each (B, numbers, places)."""
        found = [x.flatten(2), F.unfold(x, 8, stride=4)]
        if self.weights:
            h = self.conv(x, "conv0", padding=0)  # RGB in [0, 1] to what VGG-19 was trained on
            for name in ("conv11", "conv12", "pool", "conv21", "conv22", "pool", "conv31"):
                h = F.avg_pool2d(h, 2) if name == "pool" else F.relu(self.conv(h, name))
                if name.endswith("1"):
                    found.append(h.flatten(2))
        return [t.float() for t in found]

    def conv(self, x: Tensor, name: str, padding: int = 1) -> Tensor:
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], padding=padding)

    @staticmethod
    def between(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        return [((p - q).square().mean(1) + 1e-8).sqrt().mean() for p, q in zip(a, b, strict=True)]


def psnr_loss(y: Tensor, hr: Tensor) -> Tensor:
    """Minus the mean PSNR in dB of patches, each (B, 3, 128, 128): that on Y, and a quarter of that over RGB.

    As papers average it: every patch counts alike, the plain as the detailed. After HINet (Chen et al., 2021), which is
    trained so; the part over RGB holds the colours, which the score does not see.
    """
    error, luma = y - hr, torch.tensor(sr.LUMA, device=y.device).view(1, 3, 1, 1) / 255
    on_y, on_rgb = (error * luma).sum(1).square().mean((1, 2)), error.square().mean((1, 2, 3))
    return 10 * ((on_y + 1e-5).log10() + (on_rgb + 1e-5).log10() / 4).mean()  # 50 dB is enough


def energy_score(
    distances: Distances,
    y1: Tensor,
    y2: Tensor,
    hr: Tensor,
    answer: Tensor,
    mean: Callable[[Tensor], Tensor] = lambda t: t,
) -> Tensor:
    """The energy score of two samples per patch: E|Y - HR| - E|Y - Y'| / 2, summed over the distances.

    A proper scoring rule (Gneiting and Raftery, 2007): it is least, in expectation, when samples are spread as
    the originals are, so silence does not pay. Each distance is in units of that of the z = 0 answer, so
    that a sampler which always gives this answer scores 1 per distance; ``mean`` averages units over processes.
    """
    with torch.no_grad():
        target = distances.describe(hr)
        unit = mean(torch.stack(distances.between(distances.describe(answer), target)))
    a, b = distances.describe(y1), distances.describe(y2)
    parts = zip(*(distances.between(*p) for p in ((a, target), (b, target), (a, b))), unit, strict=True)
    return torch.stack([((da + db) / 2 - ab / 2) / u for da, db, ab, u in parts]).sum()


class VGG:
    """The release's "modified VGG" term: L1 between VGG-19 features before their ReLU, poolings averaged.

    Args:
        file: a full VGG-19, as the authors' ``VGG_ILSVRC_19_layers.caffemodel`` or as .safetensors with torchvision's
            names (features.0.weight ...), then conv5_4 is compared; or a .safetensors file of fewer layers with
            Caffe's names and a ``colour`` layer, then its last layer is.
        device: where to keep it.

    The Caffe file gives the release's term itself, the sum of |difference| / 256. Features of any other file have
    other sizes, so :meth:`calibrate` chooses the unit then: with P's lambda, 10, the term of the bicubic image weighs
    as much as its L1 term, with D's a tenth of that.

    Raises:
        ValueError: no VGG-19 file.
    """

    POOLED = ("conv1_2", "conv2_2", "conv3_4", "conv4_4")

    def __init__(self, file: str | Path, device: str | torch.device = "cpu") -> None:
        file = Path(file)
        names = [f"conv{b}_{i}" for b, n in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, n + 1)]
        layers = self.read(file, names)
        self.names = [n for n in names if n in layers]
        if "colour" not in layers or not self.names or self.names != names[: len(self.names)]:
            raise ValueError(
                f"{file} holds no VGG-19: conv1_1, conv1_2, ... and, with Caffe's names, colour are needed"
            )
        self.unit = 1 / 256 if file.suffix == ".caffemodel" else None
        self.description = f"{file.name}, {self.names[-1]}"
        self.layers = {n: [t.float().to(device) for t in layers[n]] for n in ("colour", *self.names)}

    @staticmethod
    def read(file: Path, names: list[str]) -> dict[str, list[Tensor]]:
        """Weights and biases by Caffe's names; colour turns RGB in [0, 1] into what the first layer was trained on."""
        if file.suffix == ".caffemodel":
            bgr = torch.eye(3).flip(0)[:, :, None, None] * 255
            found = {k: [t[0], t[1].flatten()] for k, t in sr.read_caffemodel(file).items() if k in names}
            return found | {"colour": [bgr, torch.tensor([-103.939, -116.779, -123.68])]}
        if file.suffix != ".safetensors":
            raise ValueError(
                f"{file}: VGG-19 is read from .caffemodel or .safetensors files; nothing is unpickled, so save the "
                "tensors of a .pth file with safetensors.torch.save_file first"
            )
        tensors = load_file(file)
        pair = lambda name: [tensors[f"{name}.weight"], tensors[f"{name}.bias"]]  # noqa: E731
        if "features.0.weight" not in tensors:
            return {n: pair(n) for n in ("colour", *names) if f"{n}.weight" in tensors and f"{n}.bias" in tensors}
        numbers = [i for i in range(36) if f"features.{i}.weight" in tensors]  # between ReLUs and poolings
        mean, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        found = {n: pair(f"features.{i}") for n, i in zip(names, numbers, strict=False)}
        return found | {"colour": [torch.diag(1 / sd)[:, :, None, None], -mean / sd]}

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> the last layer's output before its ReLU."""
        x = F.conv2d(x, *self.layers["colour"])
        for i, name in enumerate(self.names):
            x = F.conv2d(F.relu(x) if i else x, *self.layers[name], padding=1)
            if name in self.POOLED and name != self.names[-1]:
                x = F.avg_pool2d(F.relu(x), 2)  # the next ReLU changes nothing
        return x

    def difference(self, x: Tensor, y: Tensor) -> Tensor:
        """Sum of absolute differences of x from y per patch, averaged over the batch, in the features' own size."""
        with torch.no_grad():
            wanted = self.features(y).float()
        return (self.features(x).float() - wanted).abs().sum() / len(x)

    @torch.no_grad()
    def calibrate(self, up: Tensor, hr: Tensor) -> None:
        """Choose the unit from enlarged LR and HR patches, each (B, 3, 128, 128); the Caffe file keeps its own."""
        if self.unit is None:
            l1 = (up - hr).abs().sum() / len(up)
            self.unit = float(l1 / self.difference(up, hr)) / LAMBDA["P"]

    def __call__(self, x: Tensor, hr: Tensor) -> Tensor:
        """The term for pictures x of hr, in units that lambda multiplies."""
        return self.unit * self.difference(x, hr)


def kl_divergence(mu: Tensor, logsd: Tensor) -> Tensor:
    """KL( N(mu, sd^2) || N(0, 0.1^2) ) of each latent in nats: 50 mu^2 + 50 sd^2 - log(10 sd) - 1/2."""
    precision = 1 / sr.PRIOR_SD**2
    return 0.5 * precision * (mu.square() + (2 * logsd).exp()) - logsd + math.log(sr.PRIOR_SD) - 0.5


@torch.no_grad()
def start_latents(net: sr.SRVAE, loudness: float = 4.0) -> None:
    """Give each latent a place: ip4 ... ip6 as signed identities onto the spatial grid.

    z > 0 and z < 0 go to different channels of the latent map (4x: one latent per LR pixel; 8x: four). The
    generator starts as g = +-1 everywhere. decoder1 must make up for the prior's 0.1 and be heard beside the LR
    branch's code, whose size differs between runs: where samples hardly differ after 50 steps, raise loudness.
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
    net.generator2.bias.copy_(1.0 - 2.0 * (torch.arange(n) % 2))
    net.decoder1.weight.normal_(0, loudness)
    net.decoder1.bias.zero_()
    if net.has_encoder:  # mu starts near 0, sd at the prior's 0.1
        net.ip3.weight.mul_(0.1)
        net.ip3.bias.zero_()
        net.ip3.bias[n:] = math.log(sr.PRIOR_SD)


# -- loop ---------------------------------------------------------------------------------------------------


def adam_settings(name: str, config: Config) -> dict[str, float]:
    """Adam's learning rate and weight decay for a parameter: beside Muon, or the release's."""
    latents = config.stage == "latents"
    if config.optimiser == "muon":
        share = 0.2 if latents and name.startswith("generator") else 0.03 if latents and name.startswith("ip") else 1.0
        return {"lr": config.lr * 0.3 * share}
    if name.startswith(("ip", "generator")) and name.endswith("bias"):
        return {"lr": 2 * config.lr, "weight_decay": 0.0}
    return {"lr": config.lr, "weight_decay": 1e-4}


def averaged(run: Path) -> dict[str, Tensor]:
    """A run's weights by name: the averaged ones of what it trained, and what stood still as it was."""
    with safe_open(run / "checkpoint.safetensors", "pt") as f:
        names = list(f.keys())
        kinds = {kind: [k for k in names if k.startswith(kind)] for kind in ("model.", "ema.")}
        return {k.removeprefix(kind): f.get_tensor(k) for kind, found in kinds.items() for k in found}


def read_record(run: Path, *, needed: bool = False) -> dict:
    """A run's config.json; where there is none, empty or, if it is needed, a FileNotFoundError."""
    file = run / "config.json"
    if needed and not file.is_file():
        raise FileNotFoundError(f"{run} is no run: it has no config.json")
    return json.loads(file.read_text()) if file.is_file() else {}


def read_history(source: Path) -> list[dict]:
    """The stages that made a run's weights or a weights file; empty where it does not say."""
    if source.is_dir():
        return read_record(source).get("history", [])
    return read_notes(source).get("history", []) if source.suffix == ".safetensors" else []


def read_notes(file: Path) -> dict:
    """What a weights file says of itself."""
    with safe_open(file, "pt") as f:
        return {k: json.loads(v) for k, v in (f.metadata() or {}).items()}


def write_text(path: Path, text: str) -> None:
    """Write beside the target, then rename: nobody meets half a file."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)


class Muon(torch.optim.Optimizer):
    """Momentum with its singular values set to about one (Jordan et al., 2024), for kernels as matrices.

    What torch.optim.Muon does with ``adjust_lr_fn="match_rms_adamw"`` and no weight decay, but for the arithmetic:
    torch iterates on the whole matrix in bfloat16, which took 44 of the 47 seconds of a step of 8x on a CPU that has
    no instructions for it. Here the iteration runs in float32 on the small Gram matrix alone.
    """

    COEFFICIENTS, STEPS, MOMENTUM = (3.4445, -4.775, 2.0315), 5, 0.95

    def __init__(self, params: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                momentum = state["momentum_buffer"].lerp_(p.grad, 1 - self.MOMENTUM)
                update = self.orthogonal(p.grad.lerp(momentum, self.MOMENTUM))
                p.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(p.shape)))

    @classmethod
    def orthogonal(cls, matrix: Tensor) -> Tensor:
        """The matrix, float32 (M, N), with each singular value moved to 1 +- 0.3 (Newton-Schulz).

        Each step multiplies X by a polynomial in X X^T, so all steps together are one (M, M) matrix times the input.
        """
        if matrix.shape[0] > matrix.shape[1]:
            return cls.orthogonal(matrix.T).T
        a, b, c = cls.COEFFICIENTS
        matrix = matrix / matrix.norm().clamp(min=1e-7)  # no singular value above 1
        gram = matrix @ matrix.T
        factor = torch.eye(len(gram), device=gram.device)
        for _ in range(cls.STEPS):
            now = factor @ gram @ factor.T
            factor = (b * now + c * now @ now) @ factor + a * factor
        return factor @ matrix


class Trainer:
    """One run: network, averaged weights, optimisers, and how to go on from a checkpoint.

    Convolutions learn by Muon, which from the same start needed a fraction of Adam's steps; all else by Adam.
    """

    def __init__(self, config: Config) -> None:
        config.check()
        self.config, c = config, config
        if c.threads:
            torch.set_num_threads(c.threads)
        torch.manual_seed(c.seed)
        self.accelerator = Accelerator(cpu=c.device == "cpu")  # processes and device; one process without a launcher
        self.processes, self.process = self.accelerator.num_processes, self.accelerator.process_index
        if c.batch % self.processes:
            raise ValueError(f"{self.processes} processes cannot share batches of {c.batch}")
        self.device = torch.device(c.device) if c.device and self.processes == 1 else self.accelerator.device
        self.net = sr.SRVAE(c.scale, encoder=c.encoder, grid_generator=True)
        if not c.fillers:
            with torch.no_grad():
                self.net.SR_res.weight.zero_()  # the random residual of the first steps would teach silence
        self.history: list[dict] = []  # of the runs before this one
        if c.initial:
            self.start_from(Path(c.initial))
        # Without biases in ip4-ip6, as before the latents stage, z = 0 gives a latent map of zeros.
        self.silent = c.stage == "answer" and not any(
            self.net.get_submodule(n).bias.any() for n in ("ip4", "ip5", "ip6")
        )
        self.net.to(self.device)
        self.distances = Distances(c.features if Path(c.features).is_file() else "", self.device)
        self.scored = c.stage == "latents" and c.latents == "prior"
        if self.scored and not self.distances.weights:
            print("no feature file: the energy score sees pixels and windows only")
        self.vgg: VGG | None = None
        if c.lam > 0 and Path(c.vgg).is_file():
            self.vgg = VGG(c.vgg, self.device)
        elif c.lam > 0:
            print(f"no VGG-19 file ({c.vgg}): the objective lacks its VGG term")
        for k, p in self.net.named_parameters():
            p.requires_grad_(c.trains(k))
        self.parameters = {k: p for k, p in self.net.named_parameters() if p.requires_grad}
        self.average = {k: p.detach().clone() for k, p in self.parameters.items()}
        muon = c.optimiser == "muon"
        kernels = {
            k: p for k, p in self.parameters.items() if muon and p.ndim == 4 and not k.startswith(("SR_res", "feat1_1"))
        }
        self.flat = {k: nn.Parameter(p.detach().flatten(1)) for k, p in kernels.items()}  # views of the kernels
        rest = [
            {"params": [p], "name": k} | adam_settings(k, c) for k, p in self.parameters.items() if k not in self.flat
        ]
        self.optimisers: list[torch.optim.Optimizer] = [torch.optim.Adam(rest, fused=True)]
        if self.flat:
            flat = self.flat.values()
            self.optimisers.append(Muon(flat, c.lr))
        for group in (g for o in self.optimisers for g in o.param_groups):
            group["peak"] = group["lr"]
        self.step, self.seconds, self.noise_factor = 0, 0.0, 1.0
        self.run = Path(c.run)

    # Checkpoints: safetensors only, so nothing is ever unpickled.

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the run's future depends on, by name."""
        found = {f"model.{k}": p for k, p in self.net.named_parameters()}
        found |= {f"ema.{k}": p for k, p in self.average.items()}
        for name, p in [*self.flat.items(), *((g["name"], g["params"][0]) for g in self.optimisers[0].param_groups)]:
            for optimiser in self.optimisers:
                found |= {f"optimiser.{k}.{name}": v for k, v in optimiser.state.get(p, {}).items()}
        return found

    def save(self) -> None:
        if self.process:
            return  # all processes hold the same
        part = self.run / "checkpoint.part"
        progress = {k: str(getattr(self, k)) for k in ("step", "seconds", "noise_factor")}
        save_file({k: v.detach().cpu().contiguous() for k, v in self.tensors().items()}, part, progress)
        os.replace(part, self.run / "checkpoint.safetensors")

    @torch.no_grad()
    def resume(self) -> bool:
        """Go on from the run folder's checkpoint; False where there is none."""
        file = self.run / "checkpoint.safetensors"
        if not file.exists():
            return False
        for optimiser in self.optimisers:  # one step of nothing makes the state that is then overwritten
            for group in optimiser.param_groups:
                group["lr"] = 0.0
                for p in group["params"]:
                    p.grad = torch.zeros_like(p)
            optimiser.step()
        with safe_open(file, "pt") as f:
            progress = f.metadata()
            self.step, self.seconds = int(progress["step"]), float(progress["seconds"])
            self.noise_factor = float(progress.get("noise_factor", 1))  # earlier checkpoints have none
            for k, t in self.tensors().items():
                t.copy_(f.get_tensor(k))
        return True

    def start_from(self, source: Path) -> None:
        """Start from a run's averaged weights or a weights file; parts of another shape or scale start anew."""
        found = averaged(source) if source.is_dir() else sr.load_model(source).state_dict()
        mine = self.net.state_dict()
        self.net.load_state_dict(mine | {k: t for k, t in found.items() if k in mine and mine[k].shape == t.shape})
        self.history = read_history(source)
        answered = bool(self.history) and not any(run["stage"] == "latents" for run in self.history)
        if self.config.stage == "latents" and answered and not self.config.fillers:
            start_latents(self.net, self.config.loudness)

    def record(self) -> None:
        """Write config.json: the settings and how the weights came about."""
        if self.process:
            return
        machine = torch.cuda.get_device_name() if self.device.type == "cuda" else f"{os.cpu_count()} CPU cores"
        now = {
            "command": "python notebooks/training.py " + shlex.join(self.command()),
            "stage": self.config.stage,
            "scale": self.config.scale,
            "steps": self.step,
            "batch": self.config.batch,
            "minutes": round(self.seconds / 60, 1),
            "machine": f"{machine} ({platform.machine()}), torch {torch.__version__}",
            "features": Path(self.config.features).stem if self.scored and self.distances.weights else "",
            "vgg": self.vgg.description if self.vgg else "",
        }
        if self.noise_factor != 1:
            now["noise_factor"] = round(self.noise_factor, 3)
        sources: list[dict] = []
        if (Path(self.config.data) / "sources.csv").is_file():
            with (Path(self.config.data) / "sources.csv").open(newline="") as f:
                counts = Counter((row["source"], row["licence"]) for row in csv.DictReader(f))
            sources = [{"photographs": n, "source": s, "licence": x} for (s, x), n in counts.items()]
        record = asdict(self.config) | {"history": [*self.history, now], "sources": sources}
        write_text(self.run / "config.json", json.dumps(record, indent=1))

    def command(self) -> list[str]:
        """The command line that gives this configuration, paths shortened to names."""
        words = []
        for f in fields(Config):
            value = getattr(self.config, f.name)
            if value != f.default and f.name not in ("threads", "device"):
                value = Path(value).name if f.name in ("data", "run", "initial", "features", "vgg") else value
                words += [f"--{f.name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        return words

    # One step.

    def autocast(self) -> torch.autocast:
        """bfloat16 where the hardware has it: a CPU that emulates it would need several times float32's time."""
        native = self.device.type != "cpu" or sr.has_bfloat16()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=native and not self.config.fp32)

    def code(self, up: Tensor) -> Tensor:
        """The LR branch's code of enlarged patches."""
        with self.autocast():
            return self.net.input_code(self.net.features(up)).float()

    def answer(self, code: Tensor, z: Tensor | None, up: Tensor, lr: Tensor | None) -> Tensor:
        """The picture of z (None: zero), back-projected once where lr is given, as at inference."""
        with self.autocast():
            if z is None and self.silent:
                size = (16, 16, 16) if self.config.scale == 8 else (4, 32, 32)
                latent_map = code.new_zeros(len(up), *size)
            else:
                latent_map = self.net.latent_map(code.new_zeros(len(up), sr.LATENTS) if z is None else z)
            y = self.net.reconstruct(code, latent_map, up)
        y = y.float()
        if lr is None:
            return y
        return y + sr.bicubic(lr - sr.bicubic(y, self.config.scale, up=False), self.config.scale, up=True)

    def mean(self, t: Tensor) -> Tensor:
        """The mean over all processes."""
        return self.accelerator.reduce(t, "mean") if self.processes > 1 else t

    def noise(self, halves: int) -> Tensor:
        """This process's part of the step's noise, eps ~ N(0, 1): (halves * patches, 1024)."""
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.step)
        eps = sr.noise(generator, halves * self.config.batch)
        mine = [half.chunk(self.processes)[self.process] for half in eps.chunk(halves)]
        return torch.cat(mine).to(self.device)

    def losses(self, up: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """The terms of the objective for one batch, by name; their sum is minimised.

        L1 and VGG terms are sums over a patch, KL one over its latents, all averaged over the batch (the release sums
        over the batch too, which no optimiser here notices).
        """
        c, batch = self.config, len(up)
        l1 = lambda y: (y - hr).abs().sum() / batch  # noqa: E731
        moving = any(k.startswith(("feat", "input")) for k in self.parameters)
        with torch.set_grad_enabled(moving), self.autocast():
            features = self.net.features(up)
            code = self.net.input_code(features)
        if c.stage == "answer":  # after a latents stage it is back-projected, as at inference and in that stage
            y = self.answer(code, None, up, None if self.silent else sr.bicubic(hr, c.scale, up=False))
            return {"answer": l1(y) if c.loss == "l1" else psnr_loss(y, hr)} | self.perceptual(y, hr)
        code = code.float()
        if c.encoder:
            with self.autocast():
                mu, logsd = (t.float() for t in self.net.encode_features(features, self.net.features(hr)))
            z = self.net.generator(up) * logsd.exp()
            z = mu + (z if c.latents == "release" else z * self.noise(1))
            y = self.answer(code, z, up, None)
            terms = {"l1": l1(y)} | self.perceptual(y, hr)
            terms["kl"] = c.kl_weight * kl_divergence(mu, logsd).sum() / batch
            if c.latents == "sample":
                terms["answer"] = l1(self.answer(code, None, up, None))
            return terms
        lr = sr.bicubic(hr, c.scale, up=False)
        zero = self.answer(code, None, up, lr)
        twice = [torch.cat([t, t]) for t in (code, self.net.generator(up), up, lr)]
        y1, y2 = self.answer(twice[0], sr.PRIOR_SD * twice[1] * self.noise(2), twice[2], twice[3]).chunk(2)
        score = energy_score(self.distances, y1, y2, hr, zero.detach(), self.mean)
        terms = {"answer": l1(zero), "energy": c.energy * score}
        if not self.vgg or not c.temperature:
            return terms | self.perceptual(zero, hr)
        mild = c.temperature * sr.PRIOR_SD * twice[1][:batch] * self.noise(1)
        return terms | self.perceptual(self.answer(code, mild, up, lr), hr)

    def perceptual(self, y: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """The VGG term by name, where the run has one."""
        if not self.vgg:
            return {}
        if not self.config.fixed_vgg:
            # Poolings see a picture in cells of 4 pixels (conv3_4), and what their average hides costs nothing: where
            # the cells lie must vary, or the answers learn a grid.
            top, left = np.random.default_rng([self.config.seed, self.step, 2]).integers(VGG_SHIFT, size=2)
            edge = sr.PATCH - VGG_SHIFT
            y, hr = (t[..., top : top + edge, left : left + edge] for t in (y, hr))
        with self.autocast():
            return {"vgg": self.config.lam * self.vgg(y, hr)}

    def learning_rate(self) -> float:
        """Share of the peak: a short rise, a plateau, and a straight fall to zero over the last part."""
        c = self.config
        return min(1.0, (self.step + 1) / c.warmup, (c.steps - self.step) / max(1.0, c.decay * c.steps))

    @torch.no_grad()
    def self_ensemble(self, up: Tensor, hr: Tensor) -> Tensor:
        """The mean answer over flips and rotations of patches, each (B, 3, 128, 128), back-projected."""
        up, hr = (t.to(self.device, memory_format=torch.channels_last) for t in (up, hr))
        lr, total = sr.bicubic(hr, self.config.scale, up=False), torch.zeros_like(hr)
        for k in range(8):
            turned = sr.turn(up, k)
            total += sr.unturn(self.answer(self.code(turned), None, turned, sr.turn(lr, k)), k)
        return total / 8

    def train_step(self, up: Tensor, hr: Tensor) -> dict[str, float]:
        up, hr = (t.to(self.device, memory_format=torch.channels_last) for t in (up, hr))
        terms = self.losses(up, hr)
        for p in self.parameters.values():
            p.grad = None
        torch.stack(list(terms.values())).sum().backward()
        if self.processes > 1:
            for p in self.parameters.values():
                p.grad = self.mean(p.grad)
            terms = {k: self.mean(t.detach()) for k, t in terms.items()}
        for k, p in self.flat.items():
            p.grad = self.parameters[k].grad.flatten(1)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * self.learning_rate()
            optimiser.step()
        share = 1 - min(self.config.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in self.parameters.values()], share)
        self.step += 1
        return {k: float(v.detach()) for k, v in terms.items()}

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """The averaged weights in the place of the latest."""
        mine = {k: p.clone() for k, p in self.parameters.items()}
        for k, p in self.parameters.items():
            p.copy_(self.average[k])
        try:
            yield
        finally:
            for k, p in self.parameters.items():
                p.copy_(mine[k])

    @torch.no_grad()
    def calibrate_noise(self, up: Tensor, hr: Tensor) -> float:
        """Scale ip4's weights so that prior samples of patches, each (B, 3, 128, 128), have the least energy score.

        Convolutions that learn the answer alone come to make less of z. One factor makes up for it, and z = 0 stays
        as it is. Returns the factor.
        """
        up, hr = (t.to(self.device, memory_format=torch.channels_last) for t in (up, hr))
        lr = sr.bicubic(hr, self.config.scale, up=False)
        with self.averaged_weights():
            code, g = self.code(up), self.net.generator(up)
            zero = self.answer(code, None, up, lr)

            def score(factor: float) -> float:
                z = [factor * sr.PRIOR_SD * g * sr.noise(seed, len(up)).to(self.device) for seed in range(2)]
                samples = [self.answer(code, t, up, lr) for t in z]
                return float(energy_score(self.distances, *samples, hr, zero))

            factor = min((2 ** (i / 4) for i in range(-2, 11)), key=score)
        self.net.ip4.weight.mul_(factor)  # not g: it is normalised
        return factor

    @torch.no_grad()
    def judge(self, up: Tensor, hr: Tensor, draws: dict[str, float], consistency: bool = True) -> dict[str, float]:
        """Figures of the averaged weights on patches, each (B, 3, 128, 128).

        Args:
            draws: latents by name: z = spread * g(LR) * eps, so 0 is the answer, 0.1 the prior and 1 what the release's
                deploy nets draw.
            consistency: back-project each picture once, as at inference.

        Returns:
            PSNR on Y in dB and, where something is drawn, the mean standard deviation of six samples in grey levels
            (spread) and their diversity, by the draw's name; with an encoder also the KL in nats per patch and the
            number of latents that carry more than 0.01 nats.
        """
        pictures: dict[str, list[list[Tensor]]] = {name: [] for name in draws}
        kls = []
        with self.averaged_weights():
            for u, h in zip(up.to(self.device).split(8), hr.to(self.device).split(8), strict=True):
                u = u.contiguous(memory_format=torch.channels_last)
                with self.autocast():
                    features = self.net.features(u)
                    code = self.net.input_code(features).float()
                    if self.config.encoder:
                        mu, logsd = self.net.encode_features(features, self.net.features(h))
                        kls.append(kl_divergence(mu.float(), logsd.float()))
                lr = sr.bicubic(h, self.config.scale, up=False) if consistency else None
                for name, spread in draws.items():
                    z = [None]
                    if spread:
                        g = self.net.generator(u)
                        z = [spread * g * sr.noise(seed, len(u)).to(self.device) for seed in range(6)]
                    pictures[name].append([self.answer(code, t, u, lr).cpu() for t in z])
        images = lambda t: [x.permute(1, 2, 0).numpy() for x in t]  # noqa: E731
        originals, border = images(hr), self.config.scale
        psnr = lambda t: float(np.mean([sr.psnr_y(a, b, border) for a, b in zip(images(t), originals, strict=True)]))  # noqa: E731
        found = {"psnr_bicubic": psnr(up)}
        for name, parts in pictures.items():
            drawn = [torch.cat(s) for s in zip(*parts, strict=True)]
            found[f"psnr{name}"] = psnr(drawn[0])
            if len(drawn) > 1:
                each = zip(zip(*(images(d) for d in drawn), strict=True), originals, strict=True)
                found[f"spread{name}"] = float(torch.stack(drawn).std(0).mean() * 255)
                found[f"diversity{name}"] = float(np.mean([sr.diversity(s, o) for s, o in each]))
        if kls:
            kl = torch.cat(kls).mean(0)
            found |= {"kl": float(kl.sum()), "active": float((kl > 0.01).sum())}
        return {k: round(v, 3) for k, v in found.items()}

    def validate(self, up: Tensor, hr: Tensor) -> dict[str, float]:
        """:meth:`judge` at z = 0 and, where there are latents, at the prior."""
        draws = {"": 0.0} | ({} if self.silent else {"_sample": sr.PRIOR_SD})
        return self.judge(up, hr, draws)


def train(config: Config) -> Trainer:
    """Run, or go on with, the run that a configuration describes."""
    trainer = Trainer(config)
    trainer.run.mkdir(parents=True, exist_ok=True)
    if trainer.resume() and trainer.process == 0:
        print(f"resumed at step {trainer.step}", flush=True)
    if trainer.process == 0:
        forget_rows(trainer.run / "log.csv", trainer.step)
    photographs = load_photographs(config.data, config.scale)
    kept = [p for i, p in enumerate(photographs) if i % HELD_OUT]
    held_out = held_out_patches(photographs, config.scale)
    share = (trainer.process, trainer.processes)
    patches = Patches(kept, config.scale, config.batch, config.candidates, config.seed, share)
    if config.ensemble:
        file = trainer.run / "taught.safetensors"
        teacher = trainer if file.is_file() or not trainer.step else Trainer(config)  # as it was before any step
        patches = Taught(patches, config.pool, teacher.self_ensemble, config.ensemble, file)
    if trainer.vgg:
        trainer.vgg.calibrate(*(t.to(trainer.device) for t in held_out))
    log, sums, begin = trainer.run / "log.csv", Counter(), time.time() - trainer.seconds
    bar = tqdm(initial=trainer.step, total=config.steps, disable=True if trainer.process else None)
    for up, hr in patches.stream(trainer.step, config.steps, config.workers):
        sums.update(trainer.train_step(up, hr))
        bar.update()
        trainer.seconds = time.time() - begin
        last = trainer.step == config.steps
        if last and config.ensemble and not trainer.silent:
            some = Patches(kept, config.scale, min(24, config.pool), candidates=2, seed=config.seed + 1)(0)
            trainer.noise_factor *= trainer.calibrate_noise(*some)
        if trainer.step % config.validate == 0 or last:
            count = (trainer.step - 1) % config.validate + 1
            row = {"step": trainer.step, "seconds": round(trainer.seconds), "waited": round(patches.waited, 1)}
            row |= {k: round(v / count, 2) for k, v in sums.items()}
            sums.clear()
            if trainer.process == 0:
                append_row(log, row | trainer.validate(*held_out))
        if trainer.step % config.checkpoint == 0 or last:
            trainer.save()
            trainer.record()
    return trainer


def forget_rows(log: Path, step: int) -> None:
    """Drop a log's rows after a step: a run that goes on from there writes them again."""
    if log.exists():
        header, *rows = log.read_text().splitlines(keepends=True)
        write_text(log, "".join([header, *(r for r in rows if int(r.partition(",")[0]) <= step)]))


def append_row(log: Path, row: dict[str, float]) -> None:
    """Print a row and add it to a CSV file."""
    new = not log.exists()
    with log.open("a", newline="") as f:
        writer = csv.DictWriter(f, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(row, flush=True)


def judge_run(run: str | Path, table: Path, data: str = "") -> None:
    """Add a row to a CSV file: a run's averaged weights on the held-out patches, without back-projection.

    Judged at z = 0, at the prior, and at what the release's deploy nets draw, sd ~ N(0, 1) in the place of 0.1.
    """
    record = read_record(Path(run), needed=True)
    settings = {f.name: record[f.name] for f in fields(Config) if f.name in record}
    trainer = Trainer(
        Config(**settings | {"run": str(run), "initial": str(run), "data": data or record["data"], "vgg_weight": 0.0})
    )
    patches = held_out_patches(load_photographs(trainer.config.data, trainer.config.scale), trainer.config.scale)
    sampled = not trainer.silent
    draws = {"": 0.0, "_prior": sr.PRIOR_SD, "_deploy": 1.0} if sampled else {"": 0.0}
    latents = trainer.config.latents if sampled else "none"
    done = record["history"][-1]["steps"]
    row = {"run": Path(run).name, "scale": trainer.config.scale, "latents": latents, "steps": done}
    blank = dict.fromkeys(
        ("psnr_bicubic", "psnr", *(f"{k}{d}" for d in ("_prior", "_deploy") for k in SPREAD), *CODE), ""
    )
    append_row(table, row | blank | trainer.judge(*patches, draws, consistency=False))


# -- export -------------------------------------------------------------------------------------------------


def export(run: str | Path, name: str, folder: Path = sr.WEIGHTS, base: str = "") -> Path:
    """Write a run's averaged weights as the compact file SR_VAE_<name>.safetensors and renew the model card.

    Args:
        base: a model in the same folder whose equal weights are left out of the file (P keeps most of D's).

    The validation figures of the run and of the runs that it started from, as far as their folders are there, go
    to ``curves/<name>.csv`` beside.
    """
    run = Path(run)
    config = read_record(run, needed=True)
    variant = variant_of(name, config["scale"])
    net = sr.SRVAE(config["scale"], grid_generator=True)
    found = averaged(run)
    net.load_state_dict({k: found[k] for k, _ in net.named_parameters()}, strict=False)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"SR_VAE_{name}.safetensors"
    with (run / "log.csv").open(newline="") as f:
        validation = list(csv.DictReader(f))[-1]
    notes = {"temperature": config.get("temperature", 0.0)}
    notes |= {"variant": variant, "history": config["history"], "sources": config["sources"], "validation": validation}
    sr.save_model(net, path, base=base, **notes)
    rows = list(curve(run))
    columns = list(dict.fromkeys(k for row in rows for k in row))
    (folder / "curves").mkdir(exist_ok=True)
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)  # a run's rows leave blank what only others measured
    write_text(folder / "curves" / f"{name}.csv", table.getvalue())
    write_card(folder)
    return path


def variant_of(name: str, scale: int) -> str:
    """The variant in the name of a model of that scale; a ValueError for any other name."""
    if name not in (names := {f"{scale}x-{variant}": variant for variant in LAMBDA}):
        raise ValueError(f"the name must be {' or '.join(names)}, not {name!r}")
    return names[name]


def reissue(file: str | Path, name: str, folder: Path = sr.WEIGHTS, base: str = "", temperature: float = 0.0) -> Path:
    """Write a weights file again as SR_VAE_<name>.safetensors, over another base or with another temperature.

    For a P that stays what it was when its D is trained further. What the file says of itself goes along; at
    temperature 0 its own temperature does, too.

    Raises:
        FileNotFoundError, ValueError: no readable weights file, no name of its scale, or no such base.
    """
    file, path = Path(file), folder / f"SR_VAE_{name}.safetensors"
    model = sr.load_model(file)
    variant_of(name, model.scale)
    own = {"format", "scale", "residual", "grid_generator", "base", "base_digest"}  # what `save_model` says itself
    notes = {k: v for k, v in read_notes(file).items() if k not in own}
    sr.save_model(model, path, base=base, **notes | {"temperature": temperature or model.temperature})
    write_card(folder)
    return path


def curve(run: Path) -> Iterator[dict[str, str]]:
    """The rows of log.csv of a run and, before them, of those that it started from, with their stage.

    A run that started from a weights file goes on from the ``curves`` beside that file.
    """
    record = read_record(run)
    if not record:
        return
    if record.get("initial"):
        for source in (Path(record["initial"]), run.parent / record["initial"]):
            if (source / "config.json").is_file():
                yield from curve(source)
                break
            shipped = source.parent / "curves" / f"{source.stem.removeprefix('SR_VAE_')}.csv"  # `export` wrote it
            if source.is_file() and shipped.is_file():
                with shipped.open(newline="") as f:
                    yield from csv.DictReader(f)
                break
    with (run / "log.csv").open(newline="") as f:
        for row in csv.DictReader(f):
            yield {"run": run.name, "scale": str(record["scale"]), "stage": record["stage"]} | row


def write_card(folder: Path = sr.WEIGHTS) -> None:
    """Write README.md, the model card, from what the weights files say of themselves."""
    lines = [
        "# Weights\n",
        "Written by `python notebooks/training.py --export`; the facts are in the metadata of each file.",
        "",
        "generator1 is held on the LR grid, fully connected weights are int8 with a scale and the largest number of",
        "each row apart, convolutions float16. The encoder is not needed to sample and is not shipped. A model with a",
        "base holds only what differs from it. `curves/` has the validation figures of the runs.\n",
    ]
    for file in sorted(folder.glob("SR_VAE_*.safetensors")):
        notes = read_notes(file)
        lines += [f"## {file.stem.removeprefix('SR_VAE_')}\n", f"`{file.name}`, {file.stat().st_size / 1e6:.1f} MB.\n"]
        if "base" in notes:
            lines.append(f"What is not in the file is {notes['base']}'s.\n")
        if notes.get("temperature"):
            lines.append(f"Answers at temperature {notes['temperature']:g} unless another is asked for.\n")
        if "history" not in notes:
            lines.append("Not written by an export: how it was trained is not on record.\n")
            continue
        lines += ["| stage | steps | batch | minutes | machine | command |", "|---|---|---|---|---|---|"]
        for h in notes["history"]:
            lines.append("| {stage} {scale}x | {steps} | {batch} | {minutes} | {machine} | `{command}` |".format(**h))
        features = {h["features"] for h in notes["history"]} - {""}
        if features:
            lines += [
                "",
                f"The energy score's features: {', '.join(sorted(features))} (Collaborative Distillation, MIT).",
            ]
        vgg = {h.get("vgg", "") for h in notes["history"]} - {""}
        if vgg:
            lines += ["", f"The VGG term's features: {', '.join(sorted(vgg))} (Simonyan and Zisserman)."]
        lines += ["", *(f"Note on the {h['stage']} stage: {h['note']}" for h in notes["history"] if "note" in h)]
        factors = [h["noise_factor"] for h in notes["history"] if "noise_factor" in h]
        lines += [f"After training, ip4's weights were multiplied by {f:g}: see `calibrate_noise`." for f in factors]
        aside = ("step", "seconds", "waited")
        figures = ", ".join(f"{k} {v}" for k, v in notes["validation"].items() if k not in aside)
        lines += ["", f"On held-out patches of the training photographs: {figures}.", ""]
        lines += ["| photographs | source | licence |", "|---|---|---|"]
        lines += ["| {photographs} | {source} | {licence} |".format(**s) for s in notes["sources"]] + [""]
    write_text(folder / "README.md", "\n".join(lines))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for f in fields(Config):
        flag, text = "--" + f.name.replace("_", "-"), f.metadata.get("help", "")
        if isinstance(f.default, bool):
            parser.add_argument(flag, action="store_true", help=text)
        else:
            parser.add_argument(flag, type=type(f.default), default=f.default, help=f"{text} [{f.default}]")
    parser.add_argument("--export", default="", metavar="NAME", help="do not train: ship the run's weights as NAME")
    parser.add_argument(
        "--judge", default="", metavar="FILE", help="do not train: add the run's figures at three draws of z to a CSV"
    )
    parser.add_argument(
        "--reissue", default="", metavar="FILE", help="with --export and --base: ship a weights file instead of a run"
    )
    parser.add_argument("--base", default="", metavar="NAME", help="with --export: leave out what equals this model")
    options = vars(parser.parse_args())
    name, base, judged, file = (options.pop(k) for k in ("export", "base", "judge", "reissue"))
    try:
        if file and not name:
            raise ValueError("--reissue needs the model's name: --export NAME")
        if file:
            print(reissue(file, name, base=base, temperature=options["temperature"]))
        elif name:
            print(export(options["run"], name, base=base))
        elif judged:
            judge_run(options["run"], Path(judged), options["data"])
        else:
            train(Config(**options))
    except (ValueError, FileNotFoundError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
