"""Training of the SR-VAE: photographs, objective, loop, checkpoints, export, command line.

Two stages, each a run of its own::

    python notebooks/training.py --data PHOTOGRAPHS --scale 4 --stage answer --run runs/4x-answer
    python notebooks/training.py --data PHOTOGRAPHS --scale 4 --stage latents --initial runs/4x-answer --run runs/4x
    python notebooks/training.py --run runs/4x --export 4x-D

``answer`` trains all convolutions for the deterministic answer, z = 0. ``latents`` then trains the generator,
ip4-ip6, the decoder and the reconstruction so that z drawn from the prior gives pictures that could be the original,
while z = 0 stays the best single answer. A run folder holds config.json, log.csv (a row per validation) and
checkpoint.safetensors; a run that is killed goes on from its checkpoint when the same command is given
again, with the same patches and the same noise. Needs no Jupyter.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import queue
import shlex
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the core, where it is not installed
import srvae_core as sr  # noqa: E402

MARGIN = 4  # LR samples around a patch: bicubic interpolation reaches two
HELD_OUT = 40  # every 40th photograph is kept for validation
STAGES = ("answer", "latents")
FEATURES = ROOT.parent / "shared" / "perceptual" / "vgg19_distilled_to_conv5_1.safetensors"


@dataclass
class Config:
    """What a run is made of; config.json holds it."""

    data: str = field(default="", metadata={"help": "folder of photographs, searched with its subfolders"})
    run: str = field(default="", metadata={"help": "folder of the run"})
    scale: int = field(default=4, metadata={"help": "4 or 8"})
    stage: str = field(default="answer", metadata={"help": "answer or latents"})
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
    features: str = field(default=str(FEATURES), metadata={"help": "distilled VGG-19 for the energy score"})
    validate: int = field(default=500, metadata={"help": "steps between validations"})
    checkpoint: int = field(default=500, metadata={"help": "steps between checkpoints"})
    seed: int = 0
    threads: int = field(default=0, metadata={"help": "CPU threads; 0 leaves torch's choice"})
    device: str = field(default="", metadata={"help": "cuda, mps or cpu; chosen if left out"})
    fp32: bool = field(default=False, metadata={"help": "no bfloat16 autocast"})

    def check(self) -> None:
        """Raises ValueError for settings that cannot be meant."""
        if self.stage not in STAGES:
            raise ValueError(f"stage must be one of {', '.join(STAGES)}, not {self.stage!r}")
        if self.scale not in sr.SCALES:
            raise ValueError(f"scale must be 4 or 8, not {self.scale}")
        if not self.run:
            raise ValueError("say where the run is kept: --run FOLDER")
        for name in ("steps", "batch", "validate", "checkpoint", "candidates", "warmup"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.stage == "latents" and not self.initial:
            raise ValueError("the latents stage starts from a trained answer: --initial RUN")


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
        self, pairs: list[tuple[np.ndarray, np.ndarray]], scale: int, batch: int, candidates: int = 1, seed: int = 0
    ) -> None:
        self.pairs, self.scale, self.batch, self.candidates, self.seed = pairs, scale, batch, candidates, seed
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
        ups, hrs = [], []
        for _ in range(self.batch):
            _, i, y, x = max(self.window(rng) for _ in range(self.candidates))
            hr, lr = self.pairs[i]
            top, left = max(y - MARGIN, 0), max(x - MARGIN, 0)
            up = sr.enlarge(np.ascontiguousarray(lr[top : y + n + MARGIN, left : x + n + MARGIN]), s)
            up = up[(y - top) * s :, (x - left) * s :][: sr.PATCH, : sr.PATCH]
            hr = hr[y * s :, x * s :][: sr.PATCH, : sr.PATCH]
            k = int(rng.integers(8))
            ups.append(sr.turn(sr.to_tensor(up), k))
            hrs.append(sr.turn(sr.to_tensor(hr), k))
        return torch.cat(ups), torch.cat(hrs)

    def stream(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the steps start ... stop - 1, made ahead by a thread."""
        ready: queue.Queue = queue.Queue(maxsize=4)

        def work() -> None:
            for step in range(start, stop):
                try:
                    ready.put(self(step))
                except Exception as error:  # handed over: an exception in a thread would be lost
                    ready.put(error)

        threading.Thread(target=work, daemon=True).start()
        for _ in range(start, stop):
            batch = ready.get()
            if isinstance(batch, Exception):
                raise batch
            yield batch


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


def energy_score(distances: Distances, y1: Tensor, y2: Tensor, hr: Tensor, answer: Tensor) -> Tensor:
    """The energy score of two samples per patch: E|Y - HR| - E|Y - Y'| / 2, summed over the distances.

    A proper scoring rule (Gneiting and Raftery, 2007): it is least, in expectation, when samples are spread as
    the originals are, so silence does not pay. Each distance is in units of that of the z = 0 answer, so
    that a sampler which always gives this answer scores 1 per distance.
    """
    with torch.no_grad():
        target = distances.describe(hr)
        unit = distances.between(distances.describe(answer), target)
    a, b = distances.describe(y1), distances.describe(y2)
    parts = zip(*(distances.between(*p) for p in ((a, target), (b, target), (a, b))), unit, strict=True)
    return torch.stack([((da + db) / 2 - ab / 2) / u for da, db, ab, u in parts]).sum()


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


# -- loop ---------------------------------------------------------------------------------------------------


def trained_parts(name: str, stage: str) -> float:
    """The learning rate of a parameter in units of the stage's, 0 where it stands still."""
    fully_connected = name.startswith(("generator", "ip"))
    if stage == "answer":
        return 0.0 if fully_connected else 1.0
    if name.startswith(("feat", "input")):
        return 0.0
    return {"g": 0.2, "i": 0.03}[name[0]] if fully_connected else 1.0


def averaged(run: Path) -> dict[str, Tensor]:
    """A run's weights by name: the averaged ones of what it trained, and what stood still as it was."""
    with safe_open(run / "checkpoint.safetensors", "pt") as f:
        names = list(f.keys())
        kinds = {kind: [k for k in names if k.startswith(kind)] for kind in ("model.", "ema.")}
        return {k.removeprefix(kind): f.get_tensor(k) for kind, found in kinds.items() for k in found}


def read_record(run: Path) -> dict:
    """A run's config.json; empty where there is none."""
    file = run / "config.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def write_text(path: Path, text: str) -> None:
    """Write beside the target, then rename: nobody meets half a file."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)


class Trainer:
    """One run: network, averaged weights, optimisers, and how to go on from a checkpoint.

    Convolutions learn by Muon (momentum whose singular values are set to one; torch.optim.Muon on the kernels
    as matrices), which from the same start needed a fraction of Adam's steps; all else by Adam.
    """

    def __init__(self, config: Config) -> None:
        config.check()
        self.config, c = config, config
        if c.threads:
            torch.set_num_threads(c.threads)
        torch.manual_seed(c.seed)
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        self.device = torch.device(c.device or accelerator or "cpu")
        self.net = sr.SRVAE(c.scale, grid_generator=True)
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
        if c.stage == "latents" and not self.distances.weights:
            print("no feature file: the energy score sees pixels and windows only")
        shares = {k: trained_parts(k, c.stage) for k, _ in self.net.named_parameters()}
        for k, p in self.net.named_parameters():
            p.requires_grad_(shares[k] > 0)
        self.parameters = {k: p for k, p in self.net.named_parameters() if p.requires_grad}
        self.average = {k: p.detach().clone() for k, p in self.parameters.items()}
        kernels = {k: p for k, p in self.parameters.items() if p.ndim == 4 and not k.startswith(("SR_res", "feat1_1"))}
        self.flat = {k: nn.Parameter(p.detach().flatten(1)) for k, p in kernels.items()}  # views of the kernels
        rest = [
            {"params": [p], "lr": c.lr * 0.3 * shares[k], "name": k}
            for k, p in self.parameters.items()
            if k not in self.flat
        ]
        self.optimisers = [
            torch.optim.Muon(self.flat.values(), c.lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            torch.optim.Adam(rest, fused=True),
        ]
        for group in (g for o in self.optimisers for g in o.param_groups):
            group["peak"] = group["lr"]
        self.step, self.seconds = 0, 0.0
        self.run = Path(c.run)

    # Checkpoints: safetensors only, so nothing is ever unpickled.

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the run's future depends on, by name."""
        found = {f"model.{k}": p for k, p in self.net.named_parameters()}
        found |= {f"ema.{k}": p for k, p in self.average.items()}
        for name, p in [*self.flat.items(), *((g["name"], g["params"][0]) for g in self.optimisers[1].param_groups)]:
            for optimiser in self.optimisers:
                found |= {f"optimiser.{k}.{name}": v for k, v in optimiser.state.get(p, {}).items()}
        return found

    def save(self) -> None:
        part = self.run / "checkpoint.part"
        progress = {"step": str(self.step), "seconds": str(self.seconds)}
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
            self.step, self.seconds = int(f.metadata()["step"]), float(f.metadata()["seconds"])
            for k, t in self.tensors().items():
                t.copy_(f.get_tensor(k))
        return True

    def start_from(self, source: Path) -> None:
        """Start from a run's averaged weights or a weights file; parts of another shape or scale start anew."""
        found = averaged(source) if source.is_dir() else sr.load_model(source).state_dict()
        mine = self.net.state_dict()
        self.net.load_state_dict(mine | {k: t for k, t in found.items() if k in mine and mine[k].shape == t.shape})
        before = read_record(source)
        self.history = before.get("history", [])
        if self.config.stage == "latents" and before.get("stage") == "answer":
            start_latents(self.net, self.config.loudness)

    def record(self) -> None:
        """Write config.json: the settings and how the weights came about."""
        machine = torch.cuda.get_device_name() if self.device.type == "cuda" else f"{os.cpu_count()} CPU cores"
        now = {
            "command": "python notebooks/training.py " + shlex.join(self.command()),
            "stage": self.config.stage,
            "scale": self.config.scale,
            "steps": self.step,
            "batch": self.config.batch,
            "minutes": round(self.seconds / 60, 1),
            "machine": f"{machine} ({platform.machine()}), torch {torch.__version__}",
            "features": Path(self.config.features).stem
            if self.config.stage == "latents" and self.distances.weights
            else "",
        }
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
                value = Path(value).name if f.name in ("data", "run", "initial", "features") else value
                words += [f"--{f.name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        return words

    # One step.

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=not self.config.fp32)

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

    def losses(self, up: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """The terms of the objective for one batch, by name; their sum is minimised.

        L1 terms are sums over a patch, averaged over the batch (the release sums over the batch too, which
        neither optimiser notices).
        """
        c, batch = self.config, len(up)
        if c.stage == "answer":
            with self.autocast():
                code = self.net.input_code(self.net.features(up))
            return {"answer": (self.answer(code, None, up, None) - hr).abs().sum() / batch}
        with torch.no_grad(), self.autocast():
            code = self.net.input_code(self.net.features(up)).float()
        g = self.net.generator(up)
        lr = sr.bicubic(hr, c.scale, up=False)
        generator = torch.Generator().manual_seed(c.seed * 1_000_003 + self.step)
        zero = self.answer(code, None, up, lr)
        twice = [torch.cat([t, t]) for t in (code, g, up, lr)]
        z = sr.PRIOR_SD * twice[1] * sr.noise(generator, 2 * batch).to(self.device)
        y1, y2 = self.answer(twice[0], z, twice[2], twice[3]).chunk(2)
        return {
            "answer": (zero - hr).abs().sum() / batch,
            "energy": c.energy * energy_score(self.distances, y1, y2, hr, zero.detach()),
        }

    def learning_rate(self) -> float:
        """Share of the peak: a short rise, a plateau, and a straight fall to zero over the last part."""
        c = self.config
        return min(1.0, (self.step + 1) / c.warmup, (c.steps - self.step) / max(1.0, c.decay * c.steps))

    def train_step(self, up: Tensor, hr: Tensor) -> dict[str, float]:
        up, hr = (t.to(self.device, memory_format=torch.channels_last) for t in (up, hr))
        terms = self.losses(up, hr)
        for p in self.parameters.values():
            p.grad = None
        torch.stack(list(terms.values())).sum().backward()
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

    @torch.no_grad()
    def validate(self, up: Tensor, hr: Tensor) -> dict[str, float]:
        """Figures of the averaged weights on held-out patches: PSNR on Y of z = 0, diversity of samples."""
        mine = {k: p.clone() for k, p in self.parameters.items()}
        for k, p in self.parameters.items():
            p.copy_(self.average[k])
        answers, samples = [], []
        for u, h in zip(up.to(self.device).split(8), hr.to(self.device).split(8), strict=True):
            u = u.contiguous(memory_format=torch.channels_last)
            with self.autocast():
                code = self.net.input_code(self.net.features(u)).float()
            lr = sr.bicubic(h, self.config.scale, up=False)
            answers.append(self.answer(code, None, u, lr).cpu())
            if self.config.stage == "latents":
                g = self.net.generator(u)
                draws = [sr.noise(seed, len(u)).to(self.device) for seed in range(6)]
                samples.append([self.answer(code, sr.PRIOR_SD * g * e, u, lr).cpu() for e in draws])
        for k, p in self.parameters.items():
            p.copy_(mine[k])
        images = lambda t: [x.permute(1, 2, 0).numpy() for x in t]  # noqa: E731
        originals = images(hr)
        border = self.config.scale
        psnr = lambda t: float(np.mean([sr.psnr_y(a, b, border) for a, b in zip(images(t), originals, strict=True)]))  # noqa: E731
        found = {"psnr_bicubic": psnr(up), "psnr": psnr(torch.cat(answers))}
        if samples:
            drawn = [torch.cat(s) for s in zip(*samples, strict=True)]
            spread = torch.stack(drawn).std(0).mean() * 255
            each = zip(zip(*(images(d) for d in drawn), strict=True), originals, strict=True)
            found |= {
                "psnr_sample": psnr(drawn[0]),
                "spread": float(spread),
                "diversity": float(np.mean([sr.diversity(s, o) for s, o in each])),
            }
        return {k: round(v, 3) for k, v in found.items()}


def train(config: Config) -> Trainer:
    """Run, or go on with, the run that a configuration describes."""
    trainer = Trainer(config)
    trainer.run.mkdir(parents=True, exist_ok=True)
    if trainer.resume():
        print(f"resumed at step {trainer.step}", flush=True)
    photographs = load_photographs(config.data, config.scale)
    kept = [p for i, p in enumerate(photographs) if i % HELD_OUT]
    held_out = Patches(photographs[::HELD_OUT], config.scale, batch=24, candidates=2, seed=1)(0)
    patches = Patches(kept, config.scale, config.batch, config.candidates, config.seed)
    log, sums, begin = trainer.run / "log.csv", Counter(), time.time() - trainer.seconds
    bar = tqdm(initial=trainer.step, total=config.steps, disable=None)
    for up, hr in patches.stream(trainer.step, config.steps):
        sums.update(trainer.train_step(up, hr))
        bar.update()
        trainer.seconds = time.time() - begin
        last = trainer.step == config.steps
        if trainer.step % config.validate == 0 or last:
            count = (trainer.step - 1) % config.validate + 1
            row = {"step": trainer.step, "seconds": round(trainer.seconds)}
            row |= {k: round(v / count, 2) for k, v in sums.items()} | trainer.validate(*held_out)
            sums.clear()
            new = not log.exists()
            with log.open("a", newline="") as f:
                writer = csv.DictWriter(f, row)
                if new:
                    writer.writeheader()
                writer.writerow(row)
            print(row, flush=True)
        if trainer.step % config.checkpoint == 0 or last:
            trainer.save()
            trainer.record()
    return trainer


# -- export -------------------------------------------------------------------------------------------------


def export(run: str | Path, name: str, folder: Path = sr.WEIGHTS) -> Path:
    """Write a run's averaged weights as the compact file SR_VAE_<name>.safetensors and renew the model card."""
    run = Path(run)
    config = read_record(run)
    if not config:
        raise FileNotFoundError(f"{run} is no run: it has no config.json")
    scale, _, variant = name.partition("-")
    if scale != f"{config['scale']}x" or variant not in ("D", "P"):
        raise ValueError(f"the name must be {config['scale']}x-D or {config['scale']}x-P, not {name!r}")
    net = sr.SRVAE(config["scale"], grid_generator=True)
    net.load_state_dict(averaged(run))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"SR_VAE_{name}.safetensors"
    with (run / "log.csv").open(newline="") as f:
        validation = list(csv.DictReader(f))[-1]
    notes = {"variant": variant, "history": config["history"], "sources": config["sources"], "validation": validation}
    sr.save_model(net, path, **notes)
    write_card(folder)
    return path


def write_card(folder: Path = sr.WEIGHTS) -> None:
    """Write README.md, the model card, from what the weights files say of themselves."""
    lines = [
        "# Weights\n",
        "Written by `python notebooks/training.py --export`; the facts are in the metadata of each file.",
        "",
        "generator1 is held on the LR grid, fully connected weights are int8 with a scale and the largest number of",
        "each row apart, convolutions float16. The encoder is not needed to sample and is not shipped.\n",
    ]
    for file in sorted(folder.glob("SR_VAE_*.safetensors")):
        with safe_open(file, "pt") as f:
            notes = {k: json.loads(v) for k, v in f.metadata().items()}
        lines += [f"## {file.stem.removeprefix('SR_VAE_')}\n", f"`{file.name}`, {file.stat().st_size / 1e6:.1f} MB.\n"]
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
        figures = ", ".join(f"{k} {v}" for k, v in notes["validation"].items() if k not in ("step", "seconds"))
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
    options = vars(parser.parse_args())
    name = options.pop("export")
    try:
        if name:
            print(export(options["run"], name))
        else:
            train(Config(**options))
    except (ValueError, FileNotFoundError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
