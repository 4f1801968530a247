"""What several test files call."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from srvae import release
from srvae.csvfiles import read_csv
from srvae.training.cli import main
from srvae.training.config import Config
from srvae.training.patches import Patches
from srvae.training.photographs import load_photographs
from srvae.training.train import Run, read_checkpoint

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
QUICK = {"batch": 1, "steps": 2, "validations": 1, "validated": 1, "checkpoints": 1, "warmup": 1, "shaping": 0}

# -- training -----------------------------------------------------------------------------------------------


def quick(photographs: Path, run: Path, **options: object) -> Config:
    """The settings of a short run on a CPU in float32."""
    return Config(**QUICK | {"data": str(photographs), "run": str(run), "device": "cpu", "fp32": True} | options)


def run_words(photographs: Path, run: Path, *more: object) -> list[str]:
    """The words after ``srvae train`` for the same run."""
    words = [word for name, value in QUICK.items() for word in (f"--{name}", value)]
    return [str(w) for w in ("run", "--data", photographs, "--run", run, "--device", "cpu", "--fp32", *words, *more)]


def train_here(*words: object) -> None:
    """Run a command of ``srvae train`` in this process, which spares a second import of torch."""
    main([str(word) for word in words])


def new_run(folder: Path, **options: object) -> Run:
    """A run of two patches a step that has no photographs yet."""
    return Run(quick(folder, folder / "run", **{"batch": 2} | options))


def patches(folder: Path, scale: int = 4, batch: int = 4, **options: object) -> Patches:
    """Patches of a folder's photographs."""
    return Patches(load_photographs(folder, scale), batch, **options)


def assert_same(one: Path, other: Path) -> None:
    """The folders of two runs hold the same, tensors bit for bit, but for times and their own names."""

    def assert_equal(a: object, b: object, name: str) -> None:
        if isinstance(a, dict):
            assert a.keys() == b.keys(), name
        if isinstance(a, dict | list | tuple):
            for key in a if isinstance(a, dict) else range(max(len(a), len(b))):
                assert_equal(a[key], b[key], str(key))
        elif name not in ("run", "minutes", "command", "seconds"):
            assert torch.equal(a, b) if torch.is_tensor(a) else a == b, name

    pair = [[read_checkpoint(run), read_csv(run / "log.csv")] for run in (one, other)]
    assert_equal(*pair, "")


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
