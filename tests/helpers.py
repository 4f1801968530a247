"""What several test files call."""

import subprocess
import sys
from pathlib import Path

from training.config import Config
from training.objective import Pictures
from training.patches import Patches
from training.photographs import load_photographs
from training.trainer import Trainer

import srvae_core as sr

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
QUICK = (
    *("--batch", 1, "--validations", 2, "--checkpoints", 3, "--warmup", 1, "--shaping", 0),
    *("--threads", 1, "--fp32", "--device", "cpu"),
)


def train_command(command: str, *words: object) -> list[str]:
    """A command line of train.py."""
    return [sys.executable, str(NOTEBOOKS / "train.py"), command, *map(str, words)]


def run_command(photographs: Path, run: Path, *more: object) -> list[str]:
    """A command line that trains on photographs, quickly, without files that are not ours to ship."""
    return train_command("run", "--data", photographs, "--run", run, *QUICK, *more)


def call(command: list[str], **options: object) -> subprocess.CompletedProcess:
    """Run a command line; its output is shown where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def trainer(folder: Path, **options: object) -> Trainer:
    """A run of two patches a step, on the CPU in float32."""
    fixed = {"run": str(folder / "run"), "batch": 2, "device": "cpu", "fp32": True, "vgg_weight": 0.0}
    return Trainer(Config(**fixed | options))


def pictures(net: sr.SRVAE, *, silent: bool = False) -> Pictures:
    """The network as training uses it, in float32."""
    return Pictures(net, fp32=True, silent=silent)


def patches(folder: Path, scale: int = 4, batch: int = 4, **options: object) -> Patches:
    """Patches of a folder's photographs."""
    return Patches(load_photographs(folder, scale), batch, **options)
