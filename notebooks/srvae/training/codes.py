"""The LR branch's code of all photographs, computed once for a run that leaves feat1_1 ... input2 as they are.

A forward pass of a 4x patch takes 8.5 GFLOP in the features and 1.5 in the decoder. With the code in a memory-mapped
file, steps skip the features.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

import srvae_core as sr
from srvae import images

from .photographs import Photographs

CHANNELS = 64  # of input2


def photograph_codes(net: sr.SRVAE, photographs: Photographs, file: Path) -> Tensor:
    """Return the codes of photographs, (LR pixels, 64) float16, in a file that is computed unless it is there.

    Each photograph is encoded as at inference, so the code at a patch's border sees what lies beyond it.

    Args:
        net: the model, on its device; features and input1-2 must not be trained in the run.
        photographs: whose LR images are encoded, in order.
        file: where the codes are kept, 128 bytes per LR pixel.

    Raises:
        ValueError: the file has another size than the codes of these photographs.
    """
    pixels = sum(lr.shape[0] * lr.shape[1] for lr in photographs.lr)
    if not file.exists():
        with images.atomic_write(file) as part, part.open("wb") as target:
            for lr in sr.progress_bar(photographs.lr, "codes", disable=None, leave=False):
                sampler = sr.Sampler(net, lr)
                code, _ = sampler.encoded(sampler.rect)
                target.write(code[0].permute(1, 2, 0).half().cpu().contiguous().numpy().tobytes())
    if file.stat().st_size != 2 * pixels * CHANNELS:
        raise ValueError(f"{file} has another size than the codes of these photographs: remove it")
    return torch.from_file(str(file), size=pixels * CHANNELS, dtype=torch.float16).view(pixels, CHANNELS)
