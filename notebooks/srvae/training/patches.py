"""Random pairs of patches, cut where the network is: on a GPU all photographs lie in its memory.

Each batch is a function of (seed, step) alone, so a resumed run sees what it would have seen. On every device the same
index arithmetic cuts them, and the LR patch is enlarged as ``srvae_core.enlarge`` does it, bit for bit.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

import srvae_core as sr
from srvae import release

from .compiling import to_device
from .photographs import Photographs

REACH = 2  # LR samples on either side of a patch that bicubic interpolation reaches
VALIDATED = 24  # patches that every run is judged by


class Batch(NamedTuple):
    """Pairs of patches, float32 in [0, 1], turned alike.

    ``up``: enlarged LR, (B, 3, 128, 128). ``hr``: what is to come out, (B, 3, 128, 128). ``context``: the LR patches
    with some samples around them, (B, 3, 128 / scale + 2 margin, the same), where a teacher needs them.
    ``answer``: what z = 0 is to learn, (B, 3, 128, 128), where that is not ``hr``, from which samples learn.
    """

    up: Tensor
    hr: Tensor
    context: Tensor | None = None
    answer: Tensor | None = None


def matlab_enlarge(lr: Tensor, matrix: Tensor) -> Tensor:
    """LR patches with two samples around them -> their bicubic enlargement, two matrix products with MATLAB's rounding.

    (B, 3, n + 4, n + 4) whole numbers from 0 to 255, n = 128 / scale -> (B, 3, 128, 128), the same. ``matrix`` is the
    core's ``grid_matrix`` of the scale, (128, n + 4).

    Weights are multiples of 2^-13 and samples have 8 bits, so no sum is rounded in double precision, in whatever
    order it is made: the result is that of ``srvae_core.enlarge`` on every device. (Where a device has no doubles,
    their 22 bits still fit into single precision.)
    """
    rows = (matrix @ lr.to(matrix.dtype)).clamp_(0, 255).add_(0.5).floor_()  # after each pass, as MATLAB
    return (rows @ matrix.T).clamp_(0, 255).add_(0.5).floor_()


class Patches:
    """Batches of 128x128 patches on the LR grid, each turned or mirrored at random. LR has 8 bits, as at test.

    Args:
        photographs: where from.
        batch: patches in a step's batch, over all processes.
        candidates: patches drawn for each one used; that of the most detail is.
        seed: together with the step it decides everything.
        share: (this process, processes): each cuts its own part of every batch.
        device: where the photographs lie and the patches are cut.
        margin: LR samples around each patch in ``Batch.context``; 0 leaves it out.
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
    ) -> None:
        self.photographs, self.scale = photographs, photographs.scale
        self.batch, self.candidates, self.seed, self.share, self.margin = batch, candidates, seed, share, margin
        self.device = torch.device(device)
        self.waited = 0.0  # seconds that a reader of `stream` had to wait
        self.edge = sr.PATCH // self.scale  # of a patch, in LR samples
        weight = np.sqrt([hr.shape[0] * hr.shape[1] for hr in photographs.hr])  # between per photograph and per pixel
        probability = np.cumsum(weight / weight.sum())
        self.cumulative = probability / probability[-1]
        self.hr, self.lr = self._flat(photographs.hr), self._flat(photographs.lr)  # (pixels, 3) uint8 each
        table = [
            np.cumsum([0, *(a.shape[0] * a.shape[1] for a in arrays[:-1])])
            for arrays in (photographs.hr, photographs.lr)
        ]
        sizes = np.array([lr.shape[:2] for lr in photographs.lr])
        # Of each photograph: first pixel in hr, first in lr, rows and columns of lr.
        self.table = torch.from_numpy(np.column_stack([*table, sizes])).to(self.device)
        precision = torch.float32 if self.device.type == "mps" else torch.float64
        self.matrix = sr.grid_matrix(self.scale).to(self.device, precision)
        self.peak = torch.tensor(255.0, device=self.device)
        self.turns = {
            n: self._turned_places(n) for n in {sr.PATCH, *([self.edge + 2 * margin] if margin else [])}
        }  # fmt: skip

    def _flat(self, images: list[np.ndarray]) -> Tensor:
        return torch.cat([torch.from_numpy(image).to(self.device).view(-1, 3) for image in images])

    def _turned_places(self, n: int) -> Tensor:
        """Which place of an (n, n) patch goes to each place of its k-th turn: (8, n * n)."""
        places = torch.arange(n * n).view(1, 1, n, n)
        return torch.stack([release.turn(places, k).flatten() for k in range(8)]).to(self.device)

    def like(self, **changes: object) -> Patches:
        """Patches of the same photographs, which stay where they are, with other settings."""
        other = copy.copy(self)
        other.__dict__.update(changes)
        return other

    # -- choosing: on the CPU, where NumPy's generator is --

    def _window(self, rng: np.random.Generator) -> tuple[float, int, int, int]:
        """A random patch: (detail, photograph, y, x), y and x in LR samples."""
        i = int(self.cumulative.searchsorted(rng.random(), side="right"))  # what `rng.choice` does, without its checks
        height, width = self.photographs.lr[i].shape[:2]
        y, x = int(rng.integers(height - self.edge + 1)), int(rng.integers(width - self.edge + 1))
        if self.candidates == 1:
            return 0.0, i, y, x
        top, left = y * self.scale, x * self.scale
        green = self.photographs.hr[i][top : top + sr.PATCH, left : left + sr.PATCH, 1].astype(np.float32)
        return float(np.abs(cv2.Laplacian(green, cv2.CV_32F)).mean()), i, y, x

    def windows(self, step: int) -> np.ndarray:
        """This process's patches of one step: (B, 4) int64 of photograph, y, x (in LR samples) and turn (0 to 7)."""
        rng = np.random.default_rng([self.seed, step])
        rows = []
        for _ in range(self.batch):
            _, i, y, x = max(self._window(rng) for _ in range(self.candidates))
            rows.append((i, y, x, int(rng.integers(8))))
        process, processes = self.share
        mine = [row for number, row in enumerate(rows) if number * processes // self.batch == process]
        return np.array(mine, dtype=np.int64)

    # -- cutting: where the photographs are --

    def cut(self, windows: np.ndarray) -> Batch:
        """The patches of :meth:`windows`."""
        photograph, y, x, turn = to_device(torch.from_numpy(windows), self.device).unbind(1)
        hr_start, lr_start, height, width = self.table[photograph].unbind(1)
        s, n = self.scale, self.edge

        def gather(flat: Tensor, start: Tensor, row: Tensor, column: Tensor, columns: Tensor) -> Tensor:
            """Pixels at rows x columns of each photograph: (B, 3, rows, columns) uint8."""
            at = start[:, None, None] + row[:, :, None] * columns[:, None, None] + column[:, None, :]
            return flat[at].permute(0, 3, 1, 2)

        def lr_patch(margin: int) -> Tensor:
            reach = torch.arange(-margin, n + margin, device=self.device)
            # Beyond a photograph's border stands its last sample, as in MATLAB.
            row = torch.minimum((y[:, None] + reach).clamp_(min=0), height[:, None] - 1)
            column = torch.minimum((x[:, None] + reach).clamp_(min=0), width[:, None] - 1)
            return gather(self.lr, lr_start, row, column, width)

        pixels = torch.arange(sr.PATCH, device=self.device)
        row, column = s * y[:, None] + pixels, s * x[:, None] + pixels
        hr = self._turned(gather(self.hr, hr_start, row, column, s * width), turn)
        up = self._turned(matlab_enlarge(lr_patch(REACH), self.matrix), turn)
        context = self._turned(lr_patch(self.margin), turn) if self.margin else None
        return Batch(up, hr, context)

    def _turned(self, patches: Tensor, turn: Tensor) -> Tensor:
        """The patches, (B, 3, n, n) in 0 to 255, each turned in its own way, as float32 in [0, 1]."""
        n = patches.shape[-1]
        places = self.turns[n][turn][:, None].expand(-1, 3, -1)
        # By a tensor: CUDA divides by a plain number with its rounded inverse.
        return patches.flatten(2).gather(2, places).view_as(patches).float() / self.peak

    # -- ahead of the training --

    def prepare(self, step: int) -> Batch | np.ndarray:
        """What threads can do ahead of a step: on the CPU all of it, else the choice alone."""
        windows = self.windows(step)
        return self.cut(windows) if self.device.type == "cpu" else windows

    def finish(self, prepared: Batch | np.ndarray, step: int) -> Batch:
        """The batch of what :meth:`prepare` made for a step."""
        return self.cut(prepared) if isinstance(prepared, np.ndarray) else prepared

    def __call__(self, step: int) -> Batch:
        """The batch of one step."""
        return self.finish(self.prepare(step), step)

    def stream(self, start: int, stop: int, workers: int = 1) -> Iterator[Batch]:
        """The batches of the steps start ... stop - 1, made ahead by threads; `waited` adds up what that lacked."""
        ahead: deque = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            for step in range(start, stop):
                for next_step in range(step + len(ahead), min(stop, step + 2 * workers)):
                    ahead.append(pool.submit(self.prepare, next_step))
                begin = time.perf_counter()
                prepared = ahead.popleft().result()
                self.waited += time.perf_counter() - begin
                yield self.finish(prepared, step)
        finally:
            pool.shutdown(cancel_futures=True)  # a run that ends by its clock leaves batches unread


def held_out_patches(photographs: Photographs, count: int = VALIDATED, margin: int = 0) -> Batch:
    """What every run is judged by: patches of the photographs that are kept out of training.

    Args:
        photographs: all of them, the others too.
        count: how many; each number of patches begins with the same ones.
        margin: LR samples around each in ``Batch.context``.
    """
    batch = Patches(photographs.held_out, VALIDATED, candidates=2, seed=1, margin=margin)(0)
    return Batch(*(None if t is None else t[:count] for t in batch))
