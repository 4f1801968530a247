"""What several test files call."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import srvae_core as sr
from srvae import release
from srvae.training.cli import main
from srvae.training.config import Config
from srvae.training.objective import Pictures
from srvae.training.patches import Patches
from srvae.training.photographs import load_photographs
from srvae.training.trainer import Trainer

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
QUICK = (
    *("--batch", 1, "--validations", 2, "--validated", 2, "--checkpoints", 3, "--warmup", 1, "--shaping", 0),
    *("--threads", 1, "--fp32", "--device", "cpu"),
)

# -- training -----------------------------------------------------------------------------------------------


def run_words(photographs: Path, run: Path, *more: object) -> list[object]:
    """The words after ``srvae train`` that train on photographs, quickly, without files that are not ours to ship."""
    return ["run", "--data", photographs, "--run", run, *QUICK, *more]


def train_here(*words: object) -> None:
    """Run a command of ``srvae train`` in this process, which spares a second import of torch.

    Raises:
        SystemExit: the command ends with an error.
    """
    threads = torch.get_num_threads()
    try:
        main(time.monotonic(), [str(word) for word in words])
    finally:
        torch.set_num_threads(threads)  # --threads is for the process


def train_command(*words: object) -> list[str]:
    """A command line of ``srvae train``, for a process of its own."""
    return [sys.executable, "-m", "srvae", "train", *map(str, words)]


def call(command: list[str], **options: object) -> subprocess.CompletedProcess:
    """Run a command line; its output is shown where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def trainer(folder: Path, **options: object) -> Trainer:
    """A run of two patches a step, on the CPU in float32."""
    fixed = {"run": str(folder / "run"), "batch": 2, "device": "cpu", "fp32": True, "vgg_weight": 0.0}
    return Trainer(Config(**fixed | options))


def pictures(net: sr.SRVAE, *, without_latents: bool = False) -> Pictures:
    """The network as training uses it, in float32."""
    return Pictures(net, fp32=True, without_latents=without_latents)


def patches(folder: Path, scale: int = 4, batch: int = 4, **options: object) -> Patches:
    """Patches of a folder's photographs."""
    return Patches(load_photographs(folder, scale), batch, **options)


# -- networks of others -------------------------------------------------------------------------------------


def caffemodel(blobs: dict[str, list[np.ndarray]], *, v1: bool = False):
    """A NetParameter message, in the present form or as Caffe wrote it before 2015 ("layers", 4-dim shapes)."""
    net = release.caffe_net_message()(name="SR-VAE")
    for name, arrays in blobs.items():
        layer = (net.layers if v1 else net.layer).add(name=name)
        for a in arrays:
            blob = layer.blobs.add(data=a.astype("<f4").tobytes())
            if v1:
                blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - a.ndim) + a.shape
            else:
                blob.shape.dim.extend(a.shape)
    return net


class VapSRBlock(nn.Module):
    """A block of VapSR as modules, from the paper's figure; names are the published files'."""

    def __init__(self) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(48, 64, 1)
        self.atten_branch = nn.Module()
        self.atten_branch.pointwise = nn.Conv2d(64, 64, 1)
        self.atten_branch.depthwise = nn.Conv2d(64, 64, 5, padding=2, groups=64)
        self.atten_branch.depthwise_dilated = nn.Conv2d(64, 64, 5, padding=6, groups=64, dilation=3)
        self.proj_2 = nn.Conv2d(64, 48, 1)
        self.pixel_norm = nn.LayerNorm(48)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.gelu(self.proj_1(x))
        a = self.atten_branch
        y = x + self.proj_2(h * a.depthwise_dilated(a.depthwise(a.pointwise(h))))
        return self.pixel_norm(y.movedim(1, -1)).movedim(-1, 1)


class VapSRNetwork(nn.Module):
    """VapSR as modules, 4x or 2x."""

    def __init__(self, scale: int, blocks: int) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(3, 48, 3, padding=1)
        self.body = nn.Sequential(*(VapSRBlock() for _ in range(blocks)))
        self.conv_body = nn.Conv2d(48, 48, 3, padding=1)
        act = nn.LeakyReLU(0.1)
        if scale == 4:
            rest = [nn.Conv2d(48, 64, 3, padding=1), nn.PixelShuffle(2), act, nn.Conv2d(16, 12, 3, padding=1)]
        else:
            rest = [nn.Conv2d(48, 56, 3, padding=1), act, nn.Conv2d(56, 12, 3, padding=1)]
        self.upsampler = nn.Sequential(*rest, nn.PixelShuffle(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.conv_first(x)
        return self.upsampler(first + self.conv_body(self.body(first)))
