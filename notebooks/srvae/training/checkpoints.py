"""A run's folder: checkpoint.safetensors, config.json, log.csv. Nothing is ever unpickled.

A checkpoint holds tensors by name: ``model.`` (the latest weights), ``ema.`` (the averaged ones of what is trained),
``optimiser.``, with the kind of state and the parameter's name, ``tally.`` (the sums of the terms since the log's last
row), and ``discriminator.`` where there is one. Version 0.1 wrote the same, but for the last two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

import srvae_core as sr
from srvae import images

from .files import opened_tensors, read_object, read_tensors, reason, write_text

# The files of a run's folder.
CHECKPOINT = "checkpoint.safetensors"
RECORD = "config.json"
LOG = "log.csv"
CLOCK = "clock"
TEACHER_ANSWERS = "taught.safetensors"
DISCRIMINATOR = "discriminator."  # beginning of the names of its tensors in a checkpoint

Optimisers = Iterable[torch.optim.Optimizer]


def optimiser_tensors(optimisers: Optimisers, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The state of optimisers as tensors by name."""
    states = {name: o.state[p] for name, p in parameters.items() for o in optimisers if p in o.state}
    return {f"optimiser.{kind}.{name}": t for name, state in states.items() for kind, t in state.items()}


def load_optimisers(
    optimisers: Optimisers, parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]
) -> None:
    """Give optimisers the state that :func:`optimiser_tensors` named.

    Raises:
        ValueError: a tensor is not of its parameter's size.
    """
    names = {p: name for name, p in parameters.items()}
    kinds: dict[str, dict[str, Tensor]] = {}
    for key, t in tensors.items():
        if key.startswith("optimiser."):
            kind, _, name = key.removeprefix("optimiser.").partition(".")
            kinds.setdefault(name, {})[kind] = t
    for optimiser in optimisers:
        state = {}
        # torch numbers parameters in the order of the groups.
        moved = (p for group in optimiser.param_groups for p in group["params"])
        for number, p in enumerate(moved):
            saved = kinds.get(names[p], {})
            for kind, t in saved.items():
                if t.ndim and t.numel() != p.numel():
                    raise ValueError(f"{kind} of {names[p]} is {tuple(t.shape)}, should be {tuple(p.shape)}")
            # Version 0.1 kept Muon's momentum as matrices; Adam's step count is a scalar and stays one. Copies, since a
            # tensor that was read maps its file into memory, and Windows replaces no file that somebody maps.
            state[number] = {k: (t.view_as(p) if t.ndim else t).clone() for k, t in saved.items()}
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def copy_tensors(targets: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into those of the same names.

    Raises:
        ValueError: one is missing or of another shape; nothing has been copied then.
    """
    for name, target in targets.items():
        if name not in tensors:
            raise ValueError(f"it lacks {name}")
        if tensors[name].shape != target.shape:  # `copy_` would repeat a smaller one
            raise ValueError(f"{name} is {tuple(tensors[name].shape)}, should be {tuple(target.shape)}")
    for name, target in targets.items():
        target.copy_(tensors[name])


def save_checkpoint(run: Path, tensors: Mapping[str, Tensor], progress: Mapping[str, object]) -> None:
    """Write a checkpoint; the one before stays until this one is whole."""
    run.mkdir(parents=True, exist_ok=True)
    with images.atomic_write(run / CHECKPOINT) as part:
        kept = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        save_file(kept, part, {k: str(v) for k, v in progress.items()})


def load_checkpoint(run: Path) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """The tensors and the progress of a run's checkpoint; None where there is none.

    Raises:
        ValueError: the file is damaged, or no checkpoint.
    """
    file = run / CHECKPOINT
    if not file.exists():
        return None
    with opened_tensors(file) as f:
        progress = _checked_progress(file, f.metadata())
    return read_tensors(file), progress


def read_progress(run: Path) -> dict[str, str]:
    """The progress of a run's checkpoint, without its tensors; empty where there is none.

    Raises:
        ValueError: the file is damaged, or no checkpoint.
    """
    file = run / CHECKPOINT
    if not file.is_file():
        return {}
    with opened_tensors(file) as f:
        return _checked_progress(file, f.metadata())


def _checked_progress(file: Path, metadata: dict[str, str] | None) -> dict[str, str]:
    """The metadata of a checkpoint; ValueError where they do not say how far it is."""
    progress = metadata or {}
    try:
        numbers = int(progress["step"]), float(progress["seconds"]), float(progress.get("noise_factor", 1))
        if not all(0 <= n < math.inf for n in numbers):
            raise ValueError(f"{numbers} are not all finite and at least 0")
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file} is no checkpoint of a run: it does not say how far the run has come") from error
    return progress


def kept(run: Path) -> str:
    """What of a run is on disk, in words."""
    progress = read_progress(run)
    return f"the checkpoint of step {progress['step']} in {run} is kept" if progress else "there is no checkpoint yet"


@contextmanager
def writing(run: Path) -> Iterator[None]:
    """Write into a run's folder.

    Raises:
        OSError: that failed, the disk may be full; the message says what is kept.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        what = f"{run} cannot be written ({reason(error)}); {kept(run)}"
        raise OSError(f"{what}. Make room for it, then give the command again") from error


def is_finished(run: Path) -> bool:
    """Whether a run has come to its end."""
    return read_progress(run).get("finished") == "True"


def averaged_weights(run: Path) -> dict[str, Tensor]:
    """A run's weights by name: the averaged ones of what it trained, and what stood still as it was.

    Raises:
        FileNotFoundError: the run has no checkpoint yet.
        ValueError: its checkpoint is damaged.
    """
    if not (run / CHECKPOINT).is_file():
        raise FileNotFoundError(f"{run} has no {CHECKPOINT} yet")
    weights: dict[str, Tensor] = {}
    with opened_tensors(run / CHECKPOINT) as f:  # the optimisers' state, most of the file, is not read
        for kind in ("model.", "ema."):
            weights |= {k.removeprefix(kind): f.get_tensor(k) for k in f.keys() if k.startswith(kind)}  # noqa: SIM118
    return weights


def read_discriminator(source: Path) -> dict[str, Tensor]:
    """The discriminator of a run by the names in its checkpoint; empty where it has none, or the source is no run."""
    if not (source / CHECKPOINT).is_file():
        return {}
    with opened_tensors(source / CHECKPOINT) as f:
        return {k: f.get_tensor(k) for k in f.keys() if k.startswith(DISCRIMINATOR)}  # noqa: SIM118


def read_record(run: Path, *, needed: Iterable[str] | None = None) -> dict:
    """A run's config.json; empty where there is none.

    Args:
        run: its folder.
        needed: what the record must say; None is nothing, not even that it is there.

    Raises:
        FileNotFoundError: there is none, and it is needed.
        ValueError: it is damaged, or does not say what is needed.
    """
    file = run / RECORD
    if not file.is_file():
        if needed is None:
            return {}
        raise FileNotFoundError(f"{run} is no run: it has no {RECORD}")
    record = read_object(file)
    history = record.get("history", [])
    lacking = [key for key in needed or () if record.get(key) is None or (key == "history" and not history)]
    if lacking:
        raise ValueError(f"{file} is no record of a whole run: it lacks {', '.join(lacking)}")
    if not (isinstance(history, list) and all(isinstance(stage, dict) and "stage" in stage for stage in history)):
        raise ValueError(f"{file} is damaged: its history must be a list of stages")
    return record


def write_record(run: Path, record: Mapping[str, object]) -> None:
    """Write a run's config.json."""
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / RECORD, json.dumps(record, indent=1))


def read_history(source: Path) -> list[dict]:
    """The stages that made a run's weights or a weights file; empty where it does not say."""
    if source.is_dir():
        return read_record(source).get("history", [])
    return sr.read_weights(source)[1].get("history", []) if source.suffix == ".safetensors" else []


def starting_weights(source: Path) -> dict[str, Tensor]:
    """The weights of a run folder or a weights file, by name.

    Raises:
        FileNotFoundError, ValueError: neither of them.
    """
    return averaged_weights(source) if source.is_dir() else sr.load_model(source).state_dict()
