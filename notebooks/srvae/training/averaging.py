"""The mean of the weights of several stages of one training.

Weights that go on from one another often lie in one basin, whose middle may be better than what is trained (Wortsman
et al., *Model soups*, 2022). Before a discriminator samples go back and forth, each time with other marks; the mean of
the weights has fewer of them. Its answer of z = 0 is no better than that of the best.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import torch

import srvae_core as sr

from . import checkpoints
from .checkpoints import LOG
from .config import PART_LAYERS, Part
from .files import claimed, log_row
from .objective import Pictures
from .patches import VALIDATED, held_out_patches
from .photographs import Photographs, load_photographs
from .validation import judge


def average(
    sources: Sequence[str | Path],
    folder: str | Path,
    data: str | Path | Photographs,
    count: int = VALIDATED,
    part: Part = "all",
) -> Path:
    """Write the mean of some models' weights as a finished run, with a row of its figures in the log.

    The discriminator of the last source goes along, where it has one.

    Args:
        sources: run folders or weights files, in the order in which one went on from the other.
        folder: of the run to write.
        data: photographs, a folder or a pack, whose held-out patches it is judged by.
        count: held-out patches to look at, up to 24.
        part: the layers that are averaged, as ``Config.train`` names them; all others are those of the first source. A
            P whose latents are made as its D makes them has a file without those layers.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: a source is neither a run nor a weights file, or no photographs are there.
        ValueError: fewer than two sources, sources of different scales or of different trainings, no such part, a
            folder that holds a run already, or a damaged file, which is named.
    """
    folder, sources = Path(folder), [Path(source) for source in sources]
    if len(sources) < 2:
        raise ValueError(f"a mean is of two models or more, not of {len(sources)}")
    if part not in PART_LAYERS:
        raise ValueError(f"the part must be one of {', '.join(PART_LAYERS)}, not {part!r}")
    if (folder / checkpoints.CHECKPOINT).exists():
        raise ValueError(f"{folder} holds a run already: name another folder")
    weights = [checkpoints.starting_weights(source) for source in sources]
    histories = [checkpoints.read_history(source) for source in sources]
    _check_one_training(sources, histories)
    scale = histories[-1][-1]["scale"]
    net = sr.SRVAE(scale, grid_generator=True)
    for source, tensors in zip(sources, weights, strict=True):
        lacking = [n for n, p in net.named_parameters() if n not in tensors or tensors[n].shape != p.shape]
        if lacking:
            raise ValueError(f"{source} holds no whole {scale}x model: {lacking[0]} is not there, or of another shape")
    with torch.no_grad():
        for name, p in net.named_parameters():
            averaged = weights if name.startswith(PART_LAYERS[part]) else weights[:1]
            p.copy_(torch.stack([tensors[name].float() for tensors in averaged]).mean(0))
    photographs = data if isinstance(data, Photographs) else load_photographs(data, scale)
    figures = judge(Pictures(net, fp32=True), held_out_patches(photographs, count), {"": 0.0, "_sample": sr.PRIOR_SD})
    stage = {"command": _command(sources, folder, data, part), "stage": "mean", "scale": scale, "steps": 0, "batch": 0}
    record = {"scale": scale, "stage": "latents", "initial": str(sources[-1]), "sources": photographs.sources}
    record["history"] = [*histories[-1], stage | {"minutes": 0, "machine": "any"}]
    with claimed(folder), checkpoints.writing(folder):
        checkpoints.write_record(folder, record)
        log_row(folder / LOG, {"step": 0, "seconds": 0} | figures)
        tensors = {f"model.{name}": p for name, p in net.named_parameters()}
        tensors |= checkpoints.read_discriminator(sources[-1])
        checkpoints.save_checkpoint(folder, tensors, {"step": 0, "seconds": 0, "finished": True})
    return folder


def _check_one_training(sources: Sequence[Path], histories: Sequence[list[dict]]) -> None:
    """ValueError unless each source went on from the one before; the mean of other weights is noise."""
    for source, history in zip(sources, histories, strict=True):
        if not history:
            raise ValueError(f"{source} does not say how it was trained, so nothing says that it fits the others")
    commands = [[stage["command"] for stage in history] for history in histories]
    for number in range(1, len(sources)):
        before, after = commands[number - 1], commands[number]
        if after[: len(before)] != before:
            raise ValueError(f"{sources[number]} did not go on from {sources[number - 1]}: their mean would be noise")


def _command(sources: Sequence[Path], folder: Path, data: str | Path | Photographs, part: Part) -> str:
    """The command line, paths shortened to names."""
    named = [] if isinstance(data, Photographs) else ["--data", Path(data).name]
    named += [] if part == "all" else ["--part", part]
    return shlex.join(["srvae", "train", "average", folder.name, *(s.name for s in sources), *named])
