"""A run's folder: checkpoint.safetensors, config.json, log.csv. Nothing is ever unpickled.

A checkpoint holds tensors by name: ``model.`` (the latest weights), ``ema.`` (the averaged ones of what is trained) and
``optimiser.``, with the kind of state and the parameter's name. Version 0.1 wrote the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import srvae_core as sr

from .files import write_text

# The files of a run's folder.
CHECKPOINT = "checkpoint.safetensors"
RECORD = "config.json"
LOG = "log.csv"
CLOCK = "clock"
TEACHER_ANSWERS = "taught.safetensors"

Optimisers = Iterable[torch.optim.Optimizer]


def optimiser_tensors(optimisers: Optimisers, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The state of optimisers as tensors by name."""
    states = {name: o.state[p] for name, p in parameters.items() for o in optimisers if p in o.state}
    return {f"optimiser.{kind}.{name}": t for name, state in states.items() for kind, t in state.items()}


def load_optimisers(
    optimisers: Optimisers, parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]
) -> None:
    """Give optimisers the state that :func:`optimiser_tensors` named."""
    names = {p: name for name, p in parameters.items()}
    kinds: dict[str, dict[str, Tensor]] = {}
    for key, t in tensors.items():
        if key.startswith("optimiser."):
            _, kind, name = key.split(".", 2)
            kinds.setdefault(name, {})[kind] = t
    for optimiser in optimisers:
        state = {}
        # torch numbers parameters in the order of the groups.
        moved = (p for group in optimiser.param_groups for p in group["params"])
        for number, p in enumerate(moved):
            saved = kinds.get(names[p], {})
            # Version 0.1 kept Muon's momentum as matrices; Adam's step count is a scalar and stays one.
            state[number] = {k: t.view_as(p) if t.numel() == p.numel() and t.ndim else t for k, t in saved.items()}
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def save_checkpoint(run: Path, tensors: Mapping[str, Tensor], progress: Mapping[str, object]) -> None:
    """Write a checkpoint; the one before stays until this one is whole."""
    run.mkdir(parents=True, exist_ok=True)
    with sr.written_whole(run / CHECKPOINT) as part:
        kept = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        save_file(kept, part, {k: str(v) for k, v in progress.items()})


def load_checkpoint(run: Path) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """The tensors and the progress of a run's checkpoint; None where there is none."""
    file = run / CHECKPOINT
    if not file.exists():
        return None
    with safe_open(file, "pt") as f:
        return {name: f.get_tensor(name) for name in f.keys()}, f.metadata()  # noqa: SIM118 (not a mapping)


def read_progress(run: Path) -> dict[str, str]:
    """The progress of a run's checkpoint, without its tensors; empty where there is none."""
    file = run / CHECKPOINT
    if not file.is_file():
        return {}
    with safe_open(file, "pt") as f:
        return f.metadata()


def is_finished(run: Path) -> bool:
    """Whether a run has come to its end."""
    return read_progress(run).get("finished") == "True"


def averaged_weights(run: Path) -> dict[str, Tensor]:
    """A run's weights by name: the averaged ones of what it trained, and what stood still as it was.

    Raises:
        FileNotFoundError: the run has no checkpoint yet.
    """
    if not (run / CHECKPOINT).is_file():
        raise FileNotFoundError(f"{run} has no {CHECKPOINT} yet")
    weights: dict[str, Tensor] = {}
    with safe_open(run / CHECKPOINT, "pt") as f:  # the optimisers' state, most of the file, is not read
        for kind in ("model.", "ema."):
            weights |= {k.removeprefix(kind): f.get_tensor(k) for k in f.keys() if k.startswith(kind)}  # noqa: SIM118
    return weights


def read_record(run: Path, *, needed: bool = False) -> dict:
    """A run's config.json; where there is none, empty or, if it is needed, a FileNotFoundError."""
    file = run / RECORD
    if needed and not file.is_file():
        raise FileNotFoundError(f"{run} is no run: it has no {RECORD}")
    return json.loads(file.read_text()) if file.is_file() else {}


def write_record(run: Path, record: Mapping[str, object]) -> None:
    """Write a run's config.json."""
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / RECORD, json.dumps(record, indent=1))


def read_history(source: Path) -> list[dict]:
    """The stages that made a run's weights or a weights file; empty where it does not say."""
    if source.is_dir():
        return read_record(source).get("history", [])
    return sr.read_notes(source).get("history", []) if source.suffix == ".safetensors" else []


def starting_weights(source: Path) -> dict[str, Tensor]:
    """The weights of a run folder or a weights file, by name.

    Raises:
        FileNotFoundError, ValueError: neither of them.
    """
    return averaged_weights(source) if source.is_dir() else sr.load_model(source).state_dict()
