"""From a run to files that others use: compact weights, the model card, and pieces that fit through a narrow door."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import srvae_core as sr
from srvae import images
from srvae.csvfiles import read_csv, write_csv

from .checkpoints import (
    LOG,
    RECORD,
    averaged_weights,
    read_history,
    read_record,
    save_checkpoint,
    starting_weights,
    write_record,
    writing,
)
from .config import LAMBDA
from .files import read_log, read_object, write_text
from .weights import save_model

OF_LATENTS = ("encoder", "ip", "generator", "decoder1.")  # beginnings of the names of layers that z goes through
MANIFEST = "pieces.json"
PIECE_BYTES = 15 * 2**20


# -- weights files ------------------------------------------------------------------------------------------


def model_name(file: Path) -> str:
    """The name of the model in a weights file, such as 4x-D, by the name of the file."""
    return file.stem.removeprefix("SR_VAE_")


def file_name(name: str) -> str:
    """The name of the weights file of a model such as 4x-D."""
    return f"SR_VAE_{name}.safetensors"


def export(
    run: str | Path,
    name: str,
    folder: Path = sr.WEIGHTS,
    base: str = "",
    *,
    rank: int = 16,
    temperature: float | None = None,
    card: bool = True,
) -> Path:
    """Write a run's averaged weights as the compact file SR_VAE_<name>.safetensors and renew the model card.

    Args:
        run: its folder.
        name: of the model, such as "4x-D".
        folder: where to.
        base: a model in the same folder whose equal weights are left out of the file (P keeps most of D's).
        rank: see :func:`weights.save_model`.
        temperature: the model's default temperature; None is the run's own.
        card: write README.md and ``curves/<name>.csv``: the validation figures of the run and, as far as their folders
            are there, of the runs that it started from.

    Raises:
        FileNotFoundError: no such run, no checkpoint in it yet, or no such base.
        ValueError: a name that does not fit the run's scale, weights that are not finite, or a damaged file of the run,
            which is named.
    """
    run = Path(run)
    record = read_record(run, needed=("scale", "history", "sources"))
    names = [f"{record['scale']}x-{variant}" for variant in LAMBDA]
    if name not in names:
        raise ValueError(f"the name must be {' or '.join(names)}, not {name!r}")
    net = sr.SRVAE(record["scale"], grid_generator=True)
    weights = averaged_weights(run)
    # Not strict: GridLinear's matrix is computed, not learnt; and the encoder, if the run has one, is not shipped.
    net.load_state_dict({k: weights[k] for k, _ in net.named_parameters()}, strict=False)
    folder.mkdir(parents=True, exist_ok=True)
    rows = read_log(run / LOG)
    own = record.get("temperature", 0.0) if temperature is None else temperature
    notes = {"temperature": own, "variant": name.partition("x-")[2], "history": record["history"]}
    notes |= {"sources": record["sources"], "validation": rows[-1] if rows else {}}
    path = folder / file_name(name)
    save_model(net, path, base=base, rank=rank, **notes)
    if card:
        (folder / "curves").mkdir(exist_ok=True)
        write_csv(folder / "curves" / f"{name}.csv", curve(run))
        write_card(folder)
    return path


def lay_start(source: str | Path, folder: str | Path) -> Path:
    """Lay what a model answers with at z = 0 into a run folder, in half precision: a start that is small to carry.

    What makes latents and reads them (generator, ip4 to ip6, decoder1) is left out, so that a run from there begins it
    anew. The history goes along; its latents stages are called lost.

    Args:
        source: a run's folder or a weights file.
        folder: where to; a run's ``initial``.

    Raises:
        FileNotFoundError, ValueError: the source is neither.
    """
    source, folder = Path(source), Path(folder)
    weights = starting_weights(source)
    kept = {f"model.{name}": t.half() for name, t in weights.items() if not name.startswith(OF_LATENTS)}
    history = [dict(stage) for stage in read_history(source)]
    for stage in history:
        stage["stage"] = "latents (lost)" if stage["stage"] == "latents" else stage["stage"]
    write_record(folder, {"history": history})
    with writing(folder):
        save_checkpoint(folder, kept, {"step": 0, "seconds": 0, "finished": True})
    return folder


def curve(run: Path) -> Iterator[dict[str, str]]:
    """The rows of log.csv of a run and, before them, of those that it started from, with their stage.

    A run that started from a weights file goes on from the ``curves`` beside that file.
    """
    if not (run / RECORD).is_file():
        return
    record = read_record(run, needed=("scale", "stage"))
    if record.get("initial"):
        yield from _earlier_curve(run, record["initial"])
    for row in read_log(run / LOG):
        yield {"run": run.name, "scale": str(record["scale"]), "stage": record["stage"]} | row


def _earlier_curve(run: Path, initial: str) -> Iterator[dict[str, str]]:
    """The rows of what a run started from: a run's folder, or a weights file."""
    for source in (Path(initial), run.parent / initial):
        if "stage" in read_record(source):  # what `lay_start` wrote has a record without one
            yield from curve(source)
            return
        shipped = source.parent / "curves" / f"{model_name(source)}.csv"  # `export` wrote it
        if source.is_file() and shipped.is_file():
            yield from read_csv(shipped)
            return


# -- the model card -----------------------------------------------------------------------------------------

CARD_HEAD = """\
# Weights

Written by `srvae train export`; the facts are in the metadata of each file. Commands that name
`notebooks/training.py` or `notebooks/train.py` are those of earlier versions, from which `srvae train run` has come.

generator1 is held on the LR grid, in float16. Convolutions are int8 with a scale for each output channel. The other
fully connected weights are int8 with a scale and the largest number of each row apart. The encoder is not needed to
sample and is not shipped. A model with a base holds only what differs from it. `curves/` has the validation figures of
the runs, `tried.csv` those of what was tried, `noise.csv` what the shape of the noise is worth.
"""


def write_card(folder: Path = sr.WEIGHTS) -> None:
    """Write README.md, the model card, from what the weights files say of themselves."""
    parts = [_card_of(file) for file in sorted(folder.glob("SR_VAE_*.safetensors"))]
    write_text(folder / "README.md", "\n".join([CARD_HEAD, *parts]))


def _card_of(file: Path) -> str:
    """One model's part of the card."""
    notes = sr.read_weights(file)[1]
    lines = [f"## {model_name(file)}\n", f"`{file.name}`, {file.stat().st_size / 1e6:.1f} MB.\n"]
    if "rank" in notes:  # files of version 0.1 have none
        lines.append(f"Of ip4, ip5 and ip6 a rest of rank {notes['rank']} is kept; convolutions are int8.\n")
    if "base" in notes:
        lines.append(f"What is not in the file is {notes['base']}'s.\n")
    if notes.get("temperature"):
        lines.append(f"Answers at temperature {notes['temperature']:g} unless another is asked for.\n")
    if "history" not in notes:
        return "\n".join([*lines, "Not written by an export: how it was trained is not on record.\n"])
    history = notes["history"]
    lines += ["| stage | steps | batch | minutes | machine | command |", "|---|---|---|---|---|---|"]
    for stage in history:
        lines.append("| {stage} {scale}x | {steps} | {batch} | {minutes} | {machine} | `{command}` |".format(**stage))
    sentences = {
        "The energy score's features: {} (Collaborative Distillation, MIT).": "features",
        "The VGG term's features: {} (Simonyan and Zisserman).": "vgg",
        "Targets were in part answers of: {} (VapSR, Zhou et al. 2022; self: its own self-ensemble).": "teacher",
    }
    for sentence, key in sentences.items():
        names = sorted({stage.get(key, "") for stage in history} - {""})
        lines += ["", sentence.format(", ".join(names))] if names else []
    noted = [stage for stage in history if "note" in stage]
    lines += ["", *(f"* {_run_of(stage)}, {stage['stage']}: {stage['note']}." for stage in noted), ""]
    factors = [stage["noise_factor"] for stage in history if "noise_factor" in stage]
    lines += [f"After training, ip4's weights were multiplied by {f:g}: see `calibrate_noise`." for f in factors]
    not_figures = ("step", "seconds", "waited")
    figures = ", ".join(f"{k} {v}" for k, v in notes["validation"].items() if k not in not_figures and v != "")
    lines += ["", f"On held-out patches of the training photographs: {figures}.", ""]
    lines += ["| photographs | source | licence |", "|---|---|---|"]
    lines += ["| {photographs} | {source} | {licence} |".format(**source) for source in notes["sources"]] + [""]
    return "\n".join(lines)


def _run_of(stage: dict) -> str:
    """The name of the run that a stage was; of earlier records, which have none, words in its place."""
    words = shlex.split(stage["command"])
    return f"`{words[words.index('--run') + 1]}`" if "--run" in words[:-1] else "A run"


# -- pieces -------------------------------------------------------------------------------------------------


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def split(files: list[Path], folder: Path, limit: int = PIECE_BYTES) -> list[Path]:
    """Cut files into pieces of at most ``limit`` bytes, and note in pieces.json how they belong together.

    Pieces of an earlier call that are no longer needed are removed, after the new ones stand.

    Returns:
        The pieces and pieces.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest, pieces = {}, []
    for file in files:
        data = file.read_bytes()
        parts = [data[at : at + limit] for at in range(0, max(len(data), 1), limit)]
        names = [f"{file.name}.{i}of{len(parts)}" for i in range(1, len(parts) + 1)]
        for name, part in zip(names, parts, strict=True):
            with images.atomic_write(folder / name) as target:
                target.write_bytes(part)
        manifest[file.name] = {"sha256": _digest(data), "bytes": len(data), "pieces": names}
        pieces += [folder / name for name in names]
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    for old in folder.glob("*.safetensors.*of*"):
        if old not in pieces:
            old.unlink()
    return [*pieces, folder / MANIFEST]


def _is_entry(entry: object) -> bool:
    """Whether a value from pieces.json says how a file is put together."""
    return (
        isinstance(entry, dict)
        and {"sha256", "bytes", "pieces"} <= entry.keys()
        and isinstance(entry["pieces"], list)
        and all(isinstance(piece, str) for piece in entry["pieces"])
    )


def join(folder: str | Path, target: str | Path) -> list[Path]:
    """Put the weights together again whose pieces lie in a folder, each checked against its digest first.

    The curves beside them (a CSV file named after each model) come along, and the model card is renewed.

    Raises:
        FileNotFoundError: no pieces.json, or a piece is missing.
        ValueError: a file does not come out as it was, or pieces.json is damaged.
    """
    folder, target = Path(folder), Path(target)
    if not (folder / MANIFEST).is_file():
        raise FileNotFoundError(f"{folder} has no {MANIFEST}: it holds no pieces")
    manifest = read_object(folder / MANIFEST)
    for name, entry in manifest.items():
        if not _is_entry(entry):
            raise ValueError(f"{folder / MANIFEST} is damaged: it must say sha256, bytes and pieces of {name}")
    # Names alone: pieces.json must not lead out of the folder.
    pieces = {name: [folder / Path(piece).name for piece in entry["pieces"]] for name, entry in manifest.items()}
    missing = [piece.name for parts in pieces.values() for piece in parts if not piece.is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} lacks pieces: {', '.join(missing)}")
    whole = {}
    for name, entry in manifest.items():
        data = b"".join(piece.read_bytes() for piece in pieces[name])
        if _digest(data) != entry["sha256"]:
            raise ValueError(
                f"{name}: its pieces in {folder} are damaged ({len(data)} bytes, {entry['bytes']} written)"
            )
        whole[target / Path(name).name] = data
    target.mkdir(parents=True, exist_ok=True)
    for path, data in whole.items():
        with images.atomic_write(path) as part:
            part.write_bytes(data)
        table = folder / f"{model_name(path)}.csv"
        if table.is_file():
            (target / "curves").mkdir(exist_ok=True)
            write_text(target / "curves" / table.name, table.read_text(encoding="utf-8"))
    write_card(target)
    return list(whole)
