"""Teachers: stronger answers that become a part of the target.

A good answer is easier to learn from than an original, whose chance details no answer can know. Two kinds teach, by one
mechanism: the self-ensemble of the weights that a run starts from, and VapSR (Zhou et al., *Efficient Image
Super-Resolution Using Vast-Receptive-Field Attention*, ECCV workshops 2022), a small network of much higher PSNR whose
weights its authors published. Those files are not ours to ship; only what they answer is used.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

import srvae_core as sr
from srvae import images, release

from .compiling import Mode, quickened
from .config import Config
from .files import opened_tensors, read_tensors
from .objective import Pictures
from .patches import Batch, Patches

CONTEXT = {4: 8, 8: 6}  # LR samples around a patch that a network needs to see; the middle of its answer is kept
BETWEEN = 8  # samples around a patch that the next network gets to see of the answer of the one before
POOL_BATCH = 16

Teacher = Callable[[Batch], Tensor]  # a batch -> answers (B, 3, 128, 128)


class VapSR:
    """One network of VapSR, 2x or 4x, from its weights by the authors' names.

    Args:
        file: .safetensors.
        device: where to keep it.
        dtype: what it computes in.

    Raises:
        ValueError: tensors are missing or of another shape.
    """

    CHANNELS, WIDE = 48, 64  # between and inside the blocks

    def __init__(
        self, file: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.dtype = dtype
        self.weights = {name: t.to(device, dtype) for name, t in read_tensors(Path(file)).items()}
        self.blocks = len({name.split(".")[1] for name in self.weights if name.startswith("body.")})
        self.scale = 4 if "upsampler.3.weight" in self.weights else 2
        for layer, shape in self._shapes().items():
            for name, wanted in {f"{layer}.weight": shape, f"{layer}.bias": shape[:1]}.items():
                t = self.weights.get(name)
                if t is None or t.shape != wanted or not t.is_floating_point():
                    found = "nothing" if t is None else tuple(t.shape)
                    raise ValueError(f"{file} holds no VapSR network: {name} must be {wanted}, not {found}")

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all layers' weights."""
        narrow, wide = self.CHANNELS, self.WIDE
        shapes = {"conv_first": (narrow, 3, 3, 3), "conv_body": (narrow, narrow, 3, 3)}
        for name in (f"body.{number}" for number in range(self.blocks)):
            branch = f"{name}.atten_branch"
            shapes |= {f"{name}.proj_1": (wide, narrow, 1, 1), f"{name}.proj_2": (narrow, wide, 1, 1)}
            shapes |= {f"{branch}.pointwise": (wide, wide, 1, 1), f"{name}.pixel_norm": (narrow,)}
            shapes |= {f"{branch}.{kind}": (wide, 1, 5, 5) for kind in ("depthwise", "depthwise_dilated")}
        if self.scale == 4:
            return shapes | {"upsampler.0": (64, narrow, 3, 3), "upsampler.3": (12, 16, 3, 3)}
        return shapes | {"upsampler.0": (56, narrow, 3, 3), "upsampler.2": (12, 56, 3, 3)}

    def _conv(self, x: Tensor, name: str, padding: int = 0, dilation: int = 1, groups: int = 1) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.conv2d(x, weight, bias, padding=padding, dilation=dilation, groups=groups)

    def _block(self, x: Tensor, number: int) -> Tensor:
        """Attention over 17x17 pixels: a 5x5 and a dilated 5x5 convolution of each channel."""
        name, wide = f"body.{number}", self.WIDE
        h = F.gelu(self._conv(x, f"{name}.proj_1"))
        a = self._conv(h, f"{name}.atten_branch.pointwise")
        a = self._conv(a, f"{name}.atten_branch.depthwise", padding=2, groups=wide)
        a = self._conv(a, f"{name}.atten_branch.depthwise_dilated", padding=6, dilation=3, groups=wide)
        h = self._conv(h * a, f"{name}.proj_2") + x
        weight, bias = self.weights[f"{name}.pixel_norm.weight"], self.weights[f"{name}.pixel_norm.bias"]
        return F.layer_norm(h.permute(0, 2, 3, 1), weight.shape, weight, bias, 1e-5).permute(0, 3, 1, 2)

    @torch.no_grad()
    def __call__(self, lr: Tensor) -> Tensor:
        """LR images in [0, 1], (B, 3, h, w) float32 -> (B, 3, s*h, s*w) float32, not clipped."""
        first = h = self._conv(lr.to(self.dtype), "conv_first", padding=1)  # is added again after the last block
        for number in range(self.blocks):
            h = self._block(h, number)
        h = self._conv(self._conv(h, "conv_body", padding=1) + first, "upsampler.0", padding=1)
        if self.scale == 2:
            return F.pixel_shuffle(self._conv(F.leaky_relu(h, 0.1), "upsampler.2", padding=1), 2).float()
        h = F.leaky_relu(F.pixel_shuffle(h, 2), 0.1)
        return F.pixel_shuffle(self._conv(h, "upsampler.3", padding=1), 2).float()


def cut_border(t: Tensor, width: int) -> Tensor:
    """The middle of (..., H, W), without a border of ``width`` places on each side."""
    return t[..., width : t.shape[-2] - width, width : t.shape[-1] - width]


class Networks:
    """Trained networks one after the other, 4x or (4x, then 2x) 8x.

    Args:
        files: their weights.
        scale: what they enlarge by together.
        device: where they run.
        compile: how they run (see :mod:`training.compiling`).

    Raises:
        ValueError: no VapSR networks, or of another scale together.
    """

    def __init__(
        self,
        files: Sequence[str | Path],
        scale: int,
        device: torch.device | str = "cpu",
        compile: Mode | None = "off",
    ) -> None:
        device = torch.device(device)
        # Depthwise convolutions take as long as their tensors take to be read. Half precision halves that on a GPU and
        # moves answers by a tenth of a grey level; a CPU computes in it slowly.
        dtype = torch.float16 if device.type == "cuda" else torch.float32
        self.networks, self.scale, self.margin = [VapSR(f, device, dtype) for f in files], scale, CONTEXT[scale]
        self.run = SameSize(self._run, compile, device)
        factors = [network.scale for network in self.networks]
        if np.prod(factors) != scale:
            shown = " and ".join(f"{f}x" for f in factors)
            raise ValueError(f"the teacher enlarges {shown}, and {scale}x is wanted: 8x takes a 4x and a 2x network")

    def _run(self, y: Tensor) -> dict[str, Tensor]:
        # On CUDA all networks together run as one CUDA graph (see `SameSize`): they are hundreds of short kernels.
        margin = self.margin
        for network in self.networks:
            # What the first network needs around a patch is four times as much for the second one, twice its work.
            y, margin = cut_border(y, max(0, margin - BETWEEN)), min(margin, BETWEEN)
            y, margin = network(y.clamp(0, 1)), margin * network.scale
        return {"answer": cut_border(y, margin)}

    def __call__(self, batch: Batch) -> Tensor:
        return self.run(batch.context)["answer"]


class SelfEnsemble:
    """The mean answer of a network over the flips and rotations of its input, as it is now.

    Args:
        pictures: the network.
        compile: how it runs (see :mod:`training.compiling`).
    """

    margin = 0

    def __init__(self, pictures: Pictures, compile: Mode | None = "off") -> None:
        net = copy.deepcopy(pictures.net).requires_grad_(False)
        self.pictures = Pictures(net, fp32=not pictures.bfloat16, without_latents=pictures.without_latents)
        self.run = SameSize(self._run, compile, pictures.device)

    def _run(self, up: Tensor, hr: Tensor) -> dict[str, Tensor]:
        return {"answer": self.pictures.self_ensemble(up, hr)}

    def __call__(self, batch: Batch) -> Tensor:
        return self.run(*(t.contiguous(memory_format=torch.channels_last) for t in batch[:2]))["answer"]


class SameSize:
    """A quickened function for inputs of the first call's size; others, as a pool's last piece, run it as it is."""

    def __init__(self, function: Callable[..., dict[str, Tensor]], compile: Mode | None, device: torch.device) -> None:
        self.function, self.quick, self.size = function, quickened(function, compile, device), None

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        self.size = self.size or inputs[0].shape
        return (self.quick if inputs[0].shape == self.size else self.function)(*inputs)


def teacher_of(config: Config, pictures: Pictures) -> Networks | SelfEnsemble | None:
    """The teacher that a configuration names; ``pictures`` is the network as it starts."""
    if not config.teacher:
        return None
    if config.teacher == ("self",):
        return SelfEnsemble(pictures, config.compile)
    return Networks(config.teacher, config.scale, pictures.device, config.compile)


class TaughtPatches(Patches):
    """Patches whose targets are partly a teacher's answers: fresh ones in every step, or those of a pool.

    Answering a pool once pays on a CPU where the teacher is slow. Each batch then turns patches of the pool.

    Args:
        patches: where they come from; its margin must be the teacher's.
        teacher: answers batches.
        share: of the teacher in the target; the rest is the original.
        pool: how many patches; None is a fresh batch in every step.
        file: keeps what the teacher answered to the pool, for when the run is killed.
        beside: the taught target is ``Batch.answer``, and ``Batch.hr`` stays the original, from which samples learn.
    """

    def __init__(
        self,
        patches: Patches,
        teacher: Teacher,
        share: float,
        pool: int | None = None,
        file: Path | None = None,
        *,
        beside: bool = False,
    ) -> None:
        # The same photographs, not a copy of them: they may fill a GPU's memory.
        self.__dict__.update(patches.__dict__)
        self.teacher, self.taught_share, self.pool, self.beside = teacher, share, None, beside
        if pool is not None:
            self.pool = patches.like(batch=pool, share=(0, 1)).windows(0)
            self.answers = self._answers(file)

    def _answers(self, file: Path | None) -> Tensor:
        """The teacher's answers to the pool, (pool, 3, 128, 128), from the file if it is there."""
        digest = hashlib.sha256(self.pool.tobytes() + self.photographs.digest.encode()).hexdigest()[:16]
        if file and file.is_file():
            with opened_tensors(file) as f:
                notes, answers = f.metadata() or {}, f.get_tensor("taught")
            # Version 0.1 did not note which patches they are of.
            shape = (len(self.pool), 3, sr.PATCH, sr.PATCH)
            if answers.shape != shape or notes.get("patches", digest) != digest:
                raise ValueError(f"{file} holds answers to other patches: remove it to have the teacher asked anew")
            return answers
        pieces = [self.pool[at : at + POOL_BATCH] for at in range(0, len(self.pool), POOL_BATCH)]
        # Half precision is a tenth of a grey level, and 10,000 patches are one gigabyte then.
        answers = torch.cat([self.teacher(self.cut(p)).cpu().half() for p in tqdm(pieces, "teacher", disable=None)])
        if file and self.share[0] == 0:
            with images.atomic_write(file) as part:
                save_file({"taught": answers.contiguous()}, part, {"patches": digest})
        return answers

    def _chosen(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """This process's part of a step: numbers in the pool and how each is turned."""
        rng = np.random.default_rng([self.seed, step])
        process, processes = self.share
        chosen = np.array_split(rng.choice(len(self.pool), self.batch, replace=False), processes)[process]
        turns = np.array_split(rng.integers(8, size=self.batch), processes)[process]
        return chosen, turns

    def prepare(self, step: int) -> Batch | np.ndarray | None:
        if self.pool is None:
            return super().prepare(step)
        return self._from_pool(step) if self.device.type == "cpu" else None

    def finish(self, prepared: Batch | np.ndarray | None, step: int) -> Batch:
        if self.pool is not None:
            return prepared or self._from_pool(step)
        batch = super().finish(prepared, step)
        return self._mixed(batch, self.teacher(batch))

    def _from_pool(self, step: int) -> Batch:
        chosen, turns = self._chosen(step)
        batch = self._mixed(self.cut(self.pool[chosen]), self.answers[chosen])

        def turned(t: Tensor | None) -> Tensor | None:
            return None if t is None else torch.cat([release.turn(t[i : i + 1], int(k)) for i, k in enumerate(turns)])

        return Batch(turned(batch.up), turned(batch.hr), None, turned(batch.answer))

    def _mixed(self, batch: Batch, answers: Tensor) -> Batch:
        """The batch with a target between original and answer."""
        target = torch.lerp(batch.hr, answers.to(batch.hr), self.taught_share)
        return Batch(batch.up, batch.hr, None, target) if self.beside else Batch(batch.up, target)
