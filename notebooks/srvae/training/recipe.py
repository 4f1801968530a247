"""The recipe of a scale: a list of stages, each a run, and the weights files that come of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import srvae_core as sr
from srvae.csvfiles import write_csv

from .config import Config
from .export import export
from .objective import PatchModel
from .patches import VALIDATED, held_out_patches
from .photographs import load_photographs
from .train import train
from .validation import judge

UNLIMITED = 10**9  # steps: minutes end the stages
P_TEMPERATURE = 0.6  # at which P answers


def stages(scale: int, features: str, teacher: tuple[str, ...], initial: str) -> list[dict[str, Any]]:
    """Return the stages in order: settings of :class:`Config`, with a name and a share of the time.

    answer: the convolutions learn z = 0. D: all layers learn to sample, while the teacher goes on teaching z = 0 (with
    the features fixed, samples were worse; an answer stage after this one spoilt them). P: the decoder learns to make
    samples that a critic takes for originals.
    """
    answer: dict[str, Any] = {"name": "answer", "share": 0.4, "teacher": teacher}
    if initial:
        answer |= {"lr": 1.5e-3, "decay": 0.7}  # large steps soon spoil good weights
    loudness = 80.0 if scale == 8 else 4.0  # the LR branch's code is larger at 8x
    d = {"name": "D", "share": 0.45, "stage": "prior", "features": features, "deep": bool(features), "outliers": 400.0}
    d |= {"train": "all", "lr": 1.5e-3, "loudness": loudness, "teacher": teacher}
    p = {"name": "P", "share": 0.15, "stage": "adversarial", "optimiser": "relative", "warmup": 100}
    p |= {"features": features, "repulsion": 0.2, "answer_weight": 1.0}
    if scale == 8:
        p |= {"repulsion": 0.22, "answer_weight": 0.2, "adversary": 2.0}
    return [answer, d, p]


def run_recipe(
    data: str,
    out: str,
    minutes: float,
    *,
    scale: int = 4,
    initial: str = "",
    features: str = "",
    teacher: Sequence[str] = (),
    batch: int = 16,
    device: str = "auto",
    rehearse: bool = False,
) -> Path:
    """Train D and P of a scale within some minutes, each stage a share of them, and write weights, curves and a table.

    Given again after it was killed, it resumes.

    Args:
        data, initial, features, teacher, batch, device: see :class:`Config`.
        out: folder for weights, curves, table.csv and, below runs/, the runs.
        minutes: for all stages together.
        scale: 4 or 8.
        rehearse: take two steps of two patches in each stage, to see that all files are there and all stages work.

    Returns:
        The table: scores on held-out patches of the weights files, at z = 0 and at temperature 1.

    Raises:
        NotFiniteError, ValueError, FileNotFoundError, OSError: as for :func:`train.train`.
    """
    teacher = tuple(teacher)
    common: dict[str, Any] = {"data": data, "scale": scale, "batch": batch, "device": device, "ema": 0.999}
    common |= {"steps": UNLIMITED, "validations": 5, "checkpoints": 5}
    if rehearse:
        minutes = math.inf
        common |= {"steps": 2, "batch": 2, "validations": 1, "validated": 2, "shaping": 100}
    files = {"features": features, "teacher": teacher, "initial": initial}
    Config(**common | files | {"run": out, "minutes": minutes}).check()  # of all stages, before the first one begins
    configs, start = {}, initial
    for stage in stages(scale, features, teacher, initial):
        name = stage.pop("name")
        run = f"{out}/runs/{name}"
        configs[name] = Config(
            **common | {"minutes": minutes * stage.pop("share"), "run": run, "initial": start} | stage
        )
        start = run
    photographs = load_photographs(data, scale)
    rows, held_out = [], held_out_patches(photographs, 2 if rehearse else VALIDATED)
    table = Path(out) / "table.csv"
    for name, config in configs.items():
        train(config, photographs)
        variant = "P" if name == "P" else "D"
        default = {"base": f"{scale}x-D", "temperature": P_TEMPERATURE} if variant == "P" else {}
        file = export(config.run, f"{scale}x-{variant}", Path(out), **default)
        model = PatchModel(sr.load_model(file), fp32=True)
        rows.append({"model": file.stem, "after": name} | judge(model, held_out, {"": 0.0, "_sample": sr.PRIOR_SD}))
        write_csv(table, rows)
        print(rows[-1], flush=True)
    return table
