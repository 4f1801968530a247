"""Random pairs of patches, cut on the training device: on a GPU all photographs lie in its memory.

Each batch is a function of (seed, step), so a resumed run sees the batches that it would have seen. The LR patch is
enlarged as by ``srvae_core.enlarge``, bit for bit, on every device.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

import srvae_core as sr
from srvae import release

from .photographs import Photographs

REACH = 2  # LR samples on either side of a patch that bicubic interpolation reads
VALIDATED = 24  # held-out patches

# A batch: tensors by name, float32, turned alike, in [0, 1]. "up": enlarged LR, "hr": the original, (B, 3, 128, 128).
# "context": LR patches with a margin, for a teacher. "code": the LR branch's code, (B, 64, h, w), if it is kept.
Batch = dict[str, Tensor]


def to_device(t: Tensor, device: torch.device) -> Tensor:
    """Move a small tensor without waiting for the GPU's queue."""
    return t.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else t.to(device)


def matlab_enlarge(lr: Tensor, matrix: Tensor) -> Tensor:
    """Enlarge LR patches by two matrix products, with MATLAB's rounding after each.

    Weights are multiples of 2^-13 and samples have 8 bits, so double precision rounds no sum, in any order of addition.
    (Single precision, for devices without doubles, still holds their 22 bits.)

    Args:
        lr: (B, 3, n + 4, n + 4) integers from 0 to 255, n = 128 / scale.
        matrix: the core's ``grid_matrix`` of the scale, (128, n + 4).

    Returns:
        (B, 3, 128, 128) integers from 0 to 255.
    """
    rows = (matrix @ lr.to(matrix.dtype)).clamp_(0, 255).add_(0.5).floor_()
    return (rows @ matrix.T).clamp_(0, 255).add_(0.5).floor_()


class Patches:
    """Batches of 128x128 patches on the LR grid, each turned or mirrored at random. LR has 8 bits, as at inference.

    Args:
        photographs: where to cut.
        batch: patches per step, over all processes.
        candidates: patches drawn for each one used, the most detailed of them.
        seed: decides every batch, together with the step.
        share: (this process, processes): each process cuts its own part of every batch.
        device: where the photographs lie and the patches are cut.
        margin: LR samples around each patch in "context"; 0 leaves "context" out.
        codes: (LR pixels, 64) float16, the codes of all photographs in order (see :mod:`training.codes`). Patches are
            not turned then, since the code of a turned patch is another one.
    """

    def __init__(
        self,
        photographs: Photographs,
        batch: int,
        *,
        candidates: int = 1,
        seed: int = 0,
        share: tuple[int, int] = (0, 1),
        device: torch.device | str = "cpu",
        margin: int = 0,
        codes: Tensor | None = None,
    ) -> None:
        self.photographs, self.scale = photographs, photographs.scale
        self.batch, self.candidates, self.seed, self.share = batch, candidates, seed, share
        self.margin, self.codes = margin, codes
        self.device = torch.device(device)
        self.edge = sr.PATCH // self.scale  # of a patch, in LR samples
        weight = np.sqrt([hr.shape[0] * hr.shape[1] for hr in photographs.hr])  # between per photograph and per pixel
        probability = np.cumsum(weight / weight.sum())
        self.cumulative = probability / probability[-1]
        self.hr, self.lr = (  # (pixels, 3) uint8
            torch.cat([torch.from_numpy(image).to(self.device).view(-1, 3) for image in group])
            for group in (photographs.hr, photographs.lr)
        )
        starts = [
            np.cumsum([0, *(image.shape[0] * image.shape[1] for image in group[:-1])])
            for group in (photographs.hr, photographs.lr)
        ]
        sizes = np.array([lr.shape[:2] for lr in photographs.lr])
        # Of each photograph: first pixel in hr, first pixel in lr, rows and columns of lr.
        self.table = torch.from_numpy(np.column_stack([*starts, sizes])).to(self.device)
        precision = torch.float32 if self.device.type == "mps" else torch.float64
        self.matrix = sr.grid_matrix(self.scale).to(self.device, precision)
        self.turns = {n: _turned_places(n).to(self.device) for n in (sr.PATCH, self.edge + 2 * margin)}

    def like(self, **changes: Any) -> Patches:
        """Return patches of the same photographs, which are not copied, with other settings."""
        other = copy.copy(self)
        other.__dict__.update(changes)
        return other

    # -- choosing windows, on the CPU --

    def _window(self, rng: np.random.Generator) -> tuple[float, int, int, int]:
        """Draw a window: (detail, photograph, y, x), y and x in LR samples."""
        i = int(self.cumulative.searchsorted(rng.random(), side="right"))
        height, width = self.photographs.lr[i].shape[:2]
        y, x = int(rng.integers(height - self.edge + 1)), int(rng.integers(width - self.edge + 1))
        if self.candidates == 1:
            return 0.0, i, y, x
        top, left = y * self.scale, x * self.scale
        green = self.photographs.hr[i][top : top + sr.PATCH, left : left + sr.PATCH, 1].astype(np.float32)
        return float(np.abs(cv2.Laplacian(green, cv2.CV_32F)).mean()), i, y, x

    def windows(self, step: int) -> np.ndarray:
        """Choose this process's patches of a step: (B, 4) int64 of photograph, y, x (LR samples) and turn (0 to 7)."""
        rng = np.random.default_rng([self.seed, step])
        rows = []
        for _ in range(self.batch):
            _, i, y, x = max(self._window(rng) for _ in range(self.candidates))
            turn = int(rng.integers(8))
            rows.append((i, y, x, turn if self.codes is None else 0))
        process, processes = self.share
        mine = [row for number, row in enumerate(rows) if number * processes // self.batch == process]
        return np.array(mine, dtype=np.int64)

    # -- cutting, where the photographs lie --

    def cut(self, windows: np.ndarray) -> Batch:
        """Cut the patches of :meth:`windows`."""
        photograph, y, x, turn = to_device(torch.from_numpy(windows), self.device).unbind(1)
        hr_start, lr_start, height, width = self.table[photograph].unbind(1)
        s, n = self.scale, self.edge

        def gather(flat: Tensor, start: Tensor, row: Tensor, column: Tensor, columns: Tensor) -> Tensor:
            """Take pixels at rows x columns of each photograph: (B, channels, rows, columns)."""
            at = start[:, None, None] + row[:, :, None] * columns[:, None, None] + column[:, None, :]
            return flat[at].permute(0, 3, 1, 2)

        def lr_patch(flat: Tensor, margin: int) -> Tensor:
            reach = torch.arange(-margin, n + margin, device=self.device)
            # Beyond a photograph's border its last sample is repeated, as in MATLAB.
            row = torch.minimum((y[:, None] + reach).clamp_(min=0), height[:, None] - 1)
            column = torch.minimum((x[:, None] + reach).clamp_(min=0), width[:, None] - 1)
            return gather(flat, lr_start, row, column, width)

        pixels = torch.arange(sr.PATCH, device=self.device)
        row, column = s * y[:, None] + pixels, s * x[:, None] + pixels
        batch = {
            "up": self._turned(matlab_enlarge(lr_patch(self.lr, REACH), self.matrix), turn),
            "hr": self._turned(gather(self.hr, hr_start, row, column, s * width), turn),
        }
        if self.margin:
            batch["context"] = self._turned(lr_patch(self.lr, self.margin), turn)
        if self.codes is not None:
            batch["code"] = lr_patch(self.codes, 0).float()
        return batch

    def _turned(self, patches: Tensor, turn: Tensor) -> Tensor:
        """Turn each patch, (B, 3, n, n) in 0 to 255, in its own way; float32 in [0, 1]."""
        places = self.turns[patches.shape[-1]][turn][:, None].expand(-1, 3, -1)
        turned = patches.flatten(2).gather(2, places).view_as(patches).float()
        return turned / turned.new_full((), 255)  # by a tensor: CUDA multiplies by the rounded inverse of a number

    # -- ahead of the training --

    def _prepare(self, step: int) -> Batch | np.ndarray:
        """Do what threads can do ahead of a step: on a CPU all of it, otherwise the choice of windows."""
        windows = self.windows(step)
        return self.cut(windows) if self.device.type == "cpu" else windows

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step."""
        return self.cut(self.windows(step))

    def stream(self, start: int, workers: int = 1) -> Iterator[Batch]:
        """Yield the batches of the steps from ``start`` on, prepared ahead by threads."""
        ahead: deque = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            for step in count(start):
                for next_step in range(step + len(ahead), step + 2 * workers):
                    ahead.append(pool.submit(self._prepare, next_step))
                prepared = ahead.popleft().result()
                yield self.cut(prepared) if isinstance(prepared, np.ndarray) else prepared
        finally:
            pool.shutdown(cancel_futures=True)


def _turned_places(n: int) -> Tensor:
    """Return which place of an (n, n) patch goes to each place of its k-th turn: (8, n * n)."""
    places = torch.arange(n * n, device="cpu").view(1, 1, n, n)
    return torch.stack([release.turn(places, k).flatten() for k in range(8)])


def held_out_patches(photographs: Photographs, count: int = VALIDATED) -> Batch:
    """Return ``count`` patches of the held-out photographs; smaller counts give the first of the same patches."""
    batch = Patches(photographs.held_out, VALIDATED, candidates=2, seed=1)(0)
    return {name: t[:count] for name, t in batch.items()}
