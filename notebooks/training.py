"""Training of the SR-VAE: data, objective, loop, checkpoints, command line.

    python notebooks/training.py --data PHOTOGRAPHS --scale 4 --steps 100000 --run runs/4x-D

A run folder holds ``log.csv`` (one row per validation), ``config.json`` and ``checkpoint.safetensors``; a run
that is killed goes on from there when the same command is given again, with the same patches in the same
order. Needs torch, numpy, opencv and tqdm only (no Jupyter).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the core, where it is not installed
import srvae_core as sr  # noqa: E402

MARGIN = 4  # LR samples around a patch: bicubic interpolation reaches two


@dataclass
class Config:
    """What a run is made of; written beside its checkpoint."""

    data: str = ""
    run: str = "runs/4x-D"
    scale: int = 4
    steps: int = 100_000
    batch: int = 16
    lr: float = 4e-4
    warmup: int = 100
    decay: float = 0.3  # the last share of the steps, in which the learning rate falls to zero
    weight_decay: float = 0.0
    optimizer: str = "adam"
    ema: float = 0.999
    candidates: int = 1  # patches drawn for each one used: the one with most detail is kept
    initial: str = ""
    validate: int = 500
    checkpoint: int = 500
    seed: int = 0
    threads: int = 0
    bf16: bool = False
    minutes: float = 0.0  # stop (resumably) after that long; 0 never


# -- data ---------------------------------------------------------------------------------------------------


def load_photographs(folder: str | Path, scale: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Every photograph below a folder with its LR image: uint8 (H, W, 3), H and W multiples of 8."""
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".bmp"})
    pairs = []
    for file in tqdm(files, desc="photographs", disable=None):
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{file} is no image that OpenCV can read")
        h, w = (n // 8 * 8 for n in image.shape[:2])
        if min(h, w) < sr.PATCH:
            continue  # smaller than one patch
        hr = np.ascontiguousarray(image[:h, :w, ::-1])
        lr = to_bytes(F.interpolate(to_tensor(hr), size=(h // scale, w // scale), mode="bicubic", antialias=True))
        pairs.append((hr, lr))
    if not pairs:
        raise ValueError(f"no photograph of at least 128x128 below {folder}")
    return pairs


def to_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255


def to_bytes(x: Tensor) -> np.ndarray:
    return (x.clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0).numpy()


class Patches:
    """Batches as a function of (seed, step) alone, so that a resumed run sees what it would have seen."""

    def __init__(self, pairs: list[tuple[np.ndarray, np.ndarray]], config: Config) -> None:
        self.pairs, self.config = pairs, config
        weight = np.array([math.sqrt(hr.shape[0] * hr.shape[1]) for hr, _ in pairs])
        self.probability = weight / weight.sum()

    def window(self, rng: np.random.Generator) -> tuple[float, int, int, int]:
        """A random patch: (detail, index, y, x) with y, x in LR samples."""
        s, n = self.config.scale, sr.PATCH // self.config.scale
        i = int(rng.choice(len(self.pairs), p=self.probability))
        lr = self.pairs[i][1]
        y, x = int(rng.integers(lr.shape[0] - n + 1)), int(rng.integers(lr.shape[1] - n + 1))
        if self.config.candidates == 1:
            return 0.0, i, y, x
        crop = self.pairs[i][0][y * s : y * s + sr.PATCH, x * s : x * s + sr.PATCH, 1].astype(np.float32)
        return float(np.abs(cv2.Laplacian(crop, cv2.CV_32F)).mean()), i, y, x

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of one step: enlarged LR and HR, each (B, 3, 128, 128) in [0, 1]."""
        c, n = self.config, sr.PATCH // self.config.scale
        rng = np.random.default_rng([c.seed, step])
        ups, hrs = [], []
        for _ in range(c.batch):
            _, i, y, x = max(self.window(rng) for _ in range(c.candidates))
            hr, lr = self.pairs[i]
            top, left = max(y - MARGIN, 0), max(x - MARGIN, 0)
            lr = to_tensor(lr[top : y + n + MARGIN, left : x + n + MARGIN])
            size = (lr.shape[2] * c.scale, lr.shape[3] * c.scale)
            up = F.interpolate(lr, size=size, mode="bicubic", antialias=True)
            up = (up.clamp(0, 1) * 255).round() / 255  # as read from an 8-bit file at test
            oy, ox = (y - top) * c.scale, (x - left) * c.scale
            up = up[0, :, oy : oy + sr.PATCH, ox : ox + sr.PATCH]
            oy, ox = y * c.scale, x * c.scale
            hr = to_tensor(hr[oy : oy + sr.PATCH, ox : ox + sr.PATCH])[0]
            k = int(rng.integers(8))  # the 8 flips and rotations
            up, hr = (torch.rot90(t, k % 4, (1, 2)) for t in (up, hr))
            if k >= 4:
                up, hr = up.flip(2), hr.flip(2)
            ups.append(up)
            hrs.append(hr)
        return torch.stack(ups), torch.stack(hrs)

    def stream(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches start ... stop - 1, made ahead by a thread."""
        ready: queue.Queue = queue.Queue(maxsize=4)

        def work() -> None:
            for step in range(start, stop):
                ready.put(self(step))

        threading.Thread(target=work, daemon=True).start()
        for _ in range(start, stop):
            yield ready.get()


# -- optimiser ----------------------------------------------------------------------------------------------


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, momentum=0.95):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                g = p.grad.lerp(m, group["momentum"])
                x = g.flatten(1)
                t = x.shape[0] > x.shape[1]
                if t: x = x.T
                x = x / (x.norm() + 1e-12)
                for _ in range(5):
                    a = x @ x.T
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                if t: x = x.T
                p.add_(x.reshape(p.shape), alpha=-group["lr"] * 0.2 * max(x.shape) ** 0.5)


def learning_rate(step: int, c: Config) -> float:
    left = (c.steps - step) / max(1.0, c.decay * c.steps)
    return c.lr * min(1.0, (step + 1) / c.warmup, left)


# -- loop ---------------------------------------------------------------------------------------------------


def psnr(a: Tensor, b: Tensor) -> float:
    """PSNR on Y of patches in [0, 1], a border of 8 left out, averaged over patches."""
    w = torch.tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1) / 255
    d = ((a - b) * w).sum(1)[:, 8:-8, 8:-8]
    return float((-10 * torch.log10(d.square().mean((1, 2)))).mean())


def train(c: Config) -> None:
    if c.threads:
        torch.set_num_threads(c.threads)
    run = Path(c.run)
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(asdict(c), indent=1))
    torch.manual_seed(c.seed)
    pairs = load_photographs(c.data, c.scale)
    held, pairs = pairs[::40], [p for i, p in enumerate(pairs) if i % 40]
    data = Patches(pairs, c)
    check = Patches(held, Config(scale=c.scale, batch=24, candidates=2, seed=1))(0)
    net = sr.SRVAE(c.scale, grid_generator=True)
    with torch.no_grad():
        net.SR_res.weight.zero_()  # otherwise the random residual of the first steps teaches silence
    if c.initial:
        with safe_open(c.initial, "pt") as f:
            mine = net.state_dict()
            for k in f.keys():
                if k.startswith("ema."):
                    t = f.get_tensor(k)
                    if k[4:] in mine and mine[k[4:]].shape == t.shape:
                        mine[k[4:]].copy_(t)
    net = net.to(memory_format=torch.channels_last)
    fc = ("generator", "ip")
    named = {k: p for k, p in net.named_parameters() if not k.startswith(fc)}
    ema = {k: p.detach().clone() for k, p in net.named_parameters()}
    if c.optimizer == "muon":
        big = [p for k, p in named.items() if p.ndim == 4 and not k.startswith(("SR_res", "feat1_1"))]
        ids = {id(p) for p in big}
        opts = [Muon(big, c.lr), torch.optim.Adam([p for p in named.values() if id(p) not in ids], c.lr)]
    else:
        opts = [torch.optim.Adam(named.values(), c.lr, fused=True)]
    start = 0
    file = run / "checkpoint.safetensors"
    if file.exists():
        with safe_open(file, "pt") as f:
            start = int(f.metadata()["step"])
            sd = net.state_dict()
            for k in f.keys():
                kind, name = k.split(".", 1)
                t = f.get_tensor(k)
                if kind == "model":
                    sd[name].copy_(t)
                elif kind == "ema":
                    ema[name].copy_(t)
                else:
                    for o in opts:
                        if any(named[name] is p for g in o.param_groups for p in g["params"]):
                            o.state[named[name]][kind] = t.clone() if t.ndim == 0 else torch.empty_like(named[name]).copy_(t)
        print(f"resumed at step {start}", flush=True)
    log = run / "log.csv"
    if not log.exists():
        log.write_text("step,seconds,lr,loss,psnr,psnr_ema,bicubic\n")
    begin, losses = time.time(), []

    def zero(up):
        w = 16 if c.scale == 8 else 32
        return torch.zeros(len(up), 16 if c.scale == 8 else 4, w, w)

    def save(step):
        t = {f"model.{k}": v for k, v in net.state_dict().items()} | {f"ema.{k}": v for k, v in ema.items()}
        for o in opts:
            for k, p in named.items():
                for kind, v in o.state.get(p, {}).items():
                    t[f"{kind}.{k}"] = v
        t = {k: v.detach().contiguous() for k, v in t.items()}
        tmp = file.with_suffix(".part")
        save_file(t, tmp, {"step": str(step)})
        os.replace(tmp, file)

    def forward(up):
        return net.reconstruct(net.input_code(net.features(up)), zero(up), up)

    def validate(step):
        up, hr = check
        def score():
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=c.bf16):
                return psnr(torch.cat([forward(u.contiguous(memory_format=torch.channels_last)) for u in up.split(8)]).float(), hr)
        now = score()
        keep = {k: p.detach().clone() for k, p in net.named_parameters()}
        with torch.no_grad():
            for k, p in net.named_parameters():
                p.copy_(ema[k])
            e = score()
            for k, p in net.named_parameters():
                p.copy_(keep[k])
        row = [step, round(time.time() - begin, 1), learning_rate(step, c), round(float(np.mean(losses or [0])), 2), round(now, 3), round(e, 3), round(psnr(up, hr), 3)]
        losses.clear()
        with log.open("a", newline="") as f:
            csv.writer(f).writerow(row)
        print(*row, flush=True)

    for step, (up, hr) in zip(range(start, c.steps), data.stream(start, c.steps), strict=True):
        for o in opts:
            for g in o.param_groups:
                g["lr"] = learning_rate(step, c)
        up = up.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=c.bf16):
            out = forward(up)
        loss = (out.float() - hr).abs().sum() / c.batch
        for o in opts:
            o.zero_grad()
        loss.backward()
        for o in opts:
            o.step()
        losses.append(loss.item())
        d = min(c.ema, (1 + step) / (10 + step))
        torch._foreach_lerp_([ema[k] for k in named], [p.detach() for p in named.values()], 1 - d)
        done = step + 1
        if done % c.validate == 0:
            validate(done)
        stop = done == c.steps or (c.minutes and time.time() - begin > 60 * c.minutes)
        if done % c.checkpoint == 0 or stop:
            save(done)
        if stop:
            break


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in asdict(Config()).items():
        if isinstance(default, bool):
            parser.add_argument(f"--{name}", action="store_true")
        else:
            parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    train(Config(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
