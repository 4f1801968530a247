"""A whole scale within given minutes: answer, latents, P, and what came of it.

Every stage is a run of its own in the work folder and has its share of the time. After each stage the weights so far
are written to the output folder, in pieces, so a recipe that is stopped leaves its latest weights. Killed and given
again, it goes on where it was, with what is left of its minutes.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

import srvae_core as sr
from srvae.csvfiles import read_csv, write_csv

from .checkpoints import CHECKPOINT, CLOCK, LOG, RECORD, is_finished, read_record
from .config import Config
from .export import MANIFEST, export, file_name, model_name, split
from .files import check_folder, claimed, read_log, read_seconds
from .loop import train
from .objective import Pictures
from .patches import VALIDATED, Batch, held_out_patches
from .perceptual import VGG, Distances
from .photographs import Photographs, check_source, load_photographs
from .schedule import Clock
from .teachers import CONTEXT, Networks
from .trainer import NotFiniteError
from .validation import judge, mean_psnr, sampling_figures

KEPT_BACK = 0.06  # share of the time for evaluation, and for writing files
LEAST_KEPT_BACK = 6.0  # seconds
LOUDNESS = {4: 4.0, 8: 80.0}  # of new latents: the LR branch's code at 8x is larger
OUTLIERS = 400.0  # as the energy score: without it samples had loud single pixels
TABLE = "table.csv"
REHEARSED = 2  # held-out patches that a rehearsal looks at: the correlation between patches needs two
SINGLE_STEP = 1e-3  # minutes, over as soon as they begin: a run ends after one step


@dataclass
class Recipe:
    """What to train and from what; the flags of ``srvae train recipe`` explain each."""

    data: str | None
    out: str
    minutes: float | None
    scale: int = 4
    work: str | None = None
    initial: str | None = None
    features: str | None = None
    vgg: str | None = None
    teacher: tuple[str, ...] = ()
    seed: int = 0
    batch: int = 16
    device: str | None = None
    compile: str | None = None
    original: float = 0.0
    rehearse: bool = False

    def check(self) -> None:
        """Raises ValueError for settings that cannot be meant, FileNotFoundError for files that are not there."""
        if not self.data:
            raise ValueError("say what to train on: --data FOLDER or PACK")
        if self.minutes is None or not self.minutes > 0:
            raise ValueError(f"minutes must be more than 0, not {self.minutes}")
        if not 0 <= self.original < 1:
            raise ValueError(f"original is a share of the time, from 0 to less than 1, not {self.original}")
        check_source(self.data)
        before = self.initial  # what the first stage starts from; the others have the stage before
        for stage in stages_of(self):  # a wrong path must show now, not hours later
            start = None if stage.from_nothing else before
            before = before or str(self.folder)
            config_for(self, stage, start, self.minutes).check()
        if self.vgg and "conv3_4" not in VGG(self.vgg).names:
            raise ValueError(f"{self.vgg} ends before conv3_4, and the figures need features up to there")
        Distances(self.features, deep=bool(self.features))
        if self.networks:
            Networks(self.networks, self.scale)

    @property
    def networks(self) -> tuple[str, ...]:
        """The files of the teacher's networks; none where the model's own self-ensemble teaches."""
        return () if self.teacher == ("self",) else self.teacher

    @property
    def folder(self) -> Path:
        """Where the runs are kept."""
        return Path(self.work or f"runs/{'rehearsal' if self.rehearse else 'recipe'}-{self.scale}x")

    @property
    def weights(self) -> Path:
        """Where the weights files are made."""
        return self.folder / "weights"

    def file(self, variant: str) -> Path:
        """The weights file of a variant, such as D."""
        return self.weights / file_name(f"{self.scale}x-{variant}")


@dataclass(frozen=True)
class Stage:
    """One stage of the recipe: a name, its share of the time, and what differs from a run's usual settings."""

    name: str
    share: float
    settings: dict[str, Any] = field(default_factory=dict)
    from_nothing: bool = False  # a trial beside the others: it starts anew, and no stage goes on from it


def stages_of(recipe: Recipe) -> list[Stage]:
    """The stages, in order."""
    taught = {"teacher": recipe.teacher} if recipe.teacher else {}
    gentle = {"lr": 1.5e-3, "decay": 0.7} if recipe.initial else {}  # good weights are soon lost by large steps
    sampled = {"stage": "latents", "deep": bool(recipe.features), "outliers": OUTLIERS}
    moving = sampled | {"train": "all", "vgg_weight": 0.0} | (taught or {"teacher": ("self",)})
    stages = [
        Stage("answer", 0.45, {"vgg_weight": 0.0} | taught | gentle),
        # All layers move: with the features standing still samples were worse, and z = 0 lost more. The teacher goes on
        # teaching z = 0: an answer stage after this one won back what z = 0 had lost, but spoilt the samples, since
        # convolutions that see z = 0 alone forget what to do with other latents.
        Stage("latents", 0.52, moving | {"lr": 1.5e-3, "loudness": LOUDNESS[recipe.scale]}),
        # A short stage. After some hundred patches the VGG term has sharpened mild samples; after thirty thousand,
        # before `repetition` was a term, it had woven a pattern into them. On z = 0, where nothing is drawn, it leaves
        # a grid of the LR lattice.
        Stage(
            "P", 0.03,
            sampled | {"variant": "P", "train": "decoder", "lr": 1e-3, "vgg": recipe.vgg, "temperature": 0.25},
        ),
    ]  # fmt: skip
    if recipe.original:
        release = {"stage": "latents", "latents": "release", "optimiser": "adam", "lr": 1e-4, "warmup": 1, "decay": 0.0}
        release |= {"fillers": True, "fixed_vgg": True, "candidates": 1, "vgg": recipe.vgg}
        release["checkpoints"] = 1  # with the encoder they are large
        rest = 1 - recipe.original
        stages = [replace(s, share=s.share * rest) for s in stages]
        stages.append(Stage("original", recipe.original, release, from_nothing=True))
    return stages


def config_for(recipe: Recipe, stage: Stage, initial: str | None, minutes: float) -> Config:
    """The settings of one stage's run."""
    common: dict[str, Any] = {
        "data": recipe.data,
        "run": str(recipe.folder / stage.name),
        "scale": recipe.scale,
        "seed": recipe.seed,
        "batch": recipe.batch,
        "minutes": minutes,
        "ema": 0.999,
        "validations": 5,
        "checkpoints": 5,
        "features": recipe.features,
        "device": recipe.device,
        "compile": recipe.compile,
        "initial": initial,
    }
    if recipe.rehearse:
        common |= {"batch": 2, "ema": 0.9, "validations": 1, "validated": REHEARSED, "shaping": 100, "warmup": 2}
    return Config(**common | stage.settings)


def run_recipe(recipe: Recipe, started: float | None = None) -> Path:
    """Train, evaluate, and leave weights, curves and a table in ``recipe.out``.

    A stage that runs into NaN is given up; those after it go on from the one before.

    Args:
        recipe: what to do.
        started: ``time.monotonic()`` when the program started; None is now.

    Returns:
        The table: a row per model and way of answering, and the teacher's and the bicubic image's for comparison.

    Raises:
        ValueError, OSError: as :func:`loop.train`; or the work folder holds a recipe of other settings.
    """
    recipe.check()
    with claimed(recipe.folder), claimed(recipe.weights):
        check_folder(Path(recipe.out))
        clock = Clock(recipe.folder / CLOCK, started or time.monotonic())
        clock.resume(0.0)
        if clock.before:
            print(f"goes on with the recipe in {recipe.folder}, of which {clock.before:.0f} s are done", flush=True)
        with clock.ticking():
            photographs = load_photographs(recipe.data, recipe.scale)
            print(f"{len(photographs)} photographs ready after {time.monotonic() - clock.started:.1f} s", flush=True)
            train_stages(recipe, photographs, clock)
            deliver(recipe)
            if not recipe.file("D").is_file():
                raise ValueError(f"{recipe.minutes:g} minutes are too few: no stage of D has been trained")
            return evaluate(recipe, photographs, clock)


def train_stages(recipe: Recipe, photographs: Photographs, clock: Clock) -> None:
    """What is left of the stages, one after the other."""
    stages, initial, delivering = stages_of(recipe), recipe.initial, 0.0
    for number, stage in enumerate(stages):
        run = recipe.folder / stage.name
        start = None if stage.from_nothing else initial
        if is_finished(run):
            config = config_for(recipe, stage, start, 1.0)
            config.check_goes_on(Config.from_record(read_record(run, needed=()), run / RECORD))
            initial = initial if stage.from_nothing else str(run)
            continue
        minutes = minutes_for(recipe, stages[number:], run, clock, delivering)
        if minutes is None:
            print(f"{stage.name}: left out, since no time is left for it", flush=True)
            continue
        print(f"{stage.name}: until minute {minutes:.2f} of its own", flush=True)
        try:
            train(config_for(recipe, stage, start, minutes), photographs, time.monotonic())
        except NotFiniteError as error:
            print(f"{stage.name}: given up: {error}", flush=True)
            continue
        initial = initial if stage.from_nothing else str(run)  # where the next stage starts
        begin = time.monotonic()
        deliver(recipe)
        delivering = time.monotonic() - begin
        gc.collect()  # of the stage that has ended, before the next one fills a GPU's memory


def minutes_for(recipe: Recipe, left: list[Stage], run: Path, clock: Clock, delivering: float = 0.0) -> float | None:
    """The length of a stage: what it has had already, and its share of what is left for stages; None if nothing is.

    ``delivering`` is what writing the weights took last, in seconds: it comes after every stage and once more at the
    end, and evaluating the two models takes about as long again for each.
    """
    total = 60 * recipe.minutes
    had = read_seconds(run / CLOCK)
    kept_back = max(LEAST_KEPT_BACK, KEPT_BACK * total, delivering * (len(left) + 3))
    remaining = total - clock.seconds - kept_back
    if remaining > 0:
        return (had + remaining * left[0].share / sum(stage.share for stage in left)) / 60
    if (run / CHECKPOINT).is_file() or recipe.rehearse:
        # What there is is brought to its end; a rehearsal takes a step of every stage, also of one that was killed
        # before its first checkpoint.
        return had / 60 + SINGLE_STEP
    return None


def deliver(recipe: Recipe) -> list[Path]:
    """Lay the weights so far into the output folder, in pieces, with their curves."""
    folder, out, (d, p) = recipe.weights, Path(recipe.out), (f"{recipe.scale}x-{variant}" for variant in "DP")
    newest = next((s for s in ("latents", "answer") if is_finished(recipe.folder / s)), None)
    if newest is None:
        return []
    files = [export(recipe.folder / newest, d, folder)]
    if is_finished(recipe.folder / "P"):
        files.append(export(recipe.folder / "P", p, folder, base=d))
    pieces = split(files, out)
    for name in (d, p):
        rows = read_csv(folder / "curves" / f"{name}.csv")
        if rows:
            write_csv(out / f"{name}.csv", rows)
    return pieces


# -- what came of it ----------------------------------------------------------------------------------------


def evaluate(recipe: Recipe, photographs: Photographs, clock: Clock) -> Path:
    """Figures on held-out patches of the compact files as anyone loads them, computed in single precision."""
    torch.backends.cudnn.allow_tf32 = False
    held_out = held_out_patches(photographs, REHEARSED if recipe.rehearse else VALIDATED)
    device = torch.device(recipe.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    vgg = VGG(recipe.vgg, device) if recipe.vgg else None
    distances = Distances(recipe.features, device)
    rows = [{"model": "bicubic", "z": "", "psnr": round(mean_psnr(held_out.up, held_out.hr, recipe.scale), 3)}]
    if recipe.networks:
        rows.append(teacher_row(recipe, photographs, len(held_out.up), device))
    for variant in "DP":
        file = recipe.file(variant)
        rows += model_rows(file, held_out, distances, vgg, device) if file.is_file() else []
    if is_finished(recipe.folder / "original"):
        rows.append(original_row(recipe))
    path = Path(recipe.out) / TABLE
    write_csv(path, rows)
    for row in rows:
        print(" ".join(f"{k} {v}" for k, v in row.items() if v != ""), flush=True)
    files = sorted(p for p in Path(recipe.out).iterdir() if p.is_file())
    largest = max(p.stat().st_size for p in files) / 2**20
    print(f"{len(files)} files in {recipe.out}, the largest {largest:.1f} MiB; join them by their {MANIFEST}: "
          f"srvae train join {recipe.out} FOLDER", flush=True)  # fmt: skip
    print(f"done after {clock.seconds / 60:.2f} of {recipe.minutes:g} minutes", flush=True)
    return path


def model_rows(
    file: Path, held_out: Batch, distances: Distances, vgg: VGG | None, device: torch.device
) -> list[dict[str, object]]:
    """The rows of one weights file: at z = 0, at its own temperature if it has one, and at the prior."""
    model = sr.load_model(file, device=device)
    pictures = Pictures(model, fp32=True)
    history = sr.read_weights(file)[1]["history"]
    seen = {"patches": sum(stage["steps"] * stage["batch"] for stage in history)}
    temperatures = {0.0: "0", 1.0: "prior"}
    if model.temperature:
        temperatures = {0.0: "0", model.temperature: f"temperature {model.temperature:g}", 1.0: "prior"}
    rows = []
    for temperature, words in temperatures.items():
        figures = judge(pictures, held_out, {"": temperature * sr.PRIOR_SD})
        figures.pop("psnr_bicubic")
        row: dict[str, object] = {"model": model_name(file), "z": words} | figures | seen
        if temperature == 1.0:
            sampled = sampling_figures(pictures, held_out, distances, vgg)
            row |= {k: round(v, 4) for k, v in sampled.items() if k not in figures}
        rows.append(row)
    return rows


def teacher_row(recipe: Recipe, photographs: Photographs, count: int, device: torch.device) -> dict[str, object]:
    """What the teacher itself reaches on the held-out patches."""
    teacher = Networks(recipe.networks, recipe.scale, device)
    held_out = held_out_patches(photographs, count, margin=CONTEXT[recipe.scale])
    answers = teacher(held_out._replace(context=held_out.context.to(device))).cpu()
    return {"model": "teacher", "z": "", "psnr": round(mean_psnr(answers, held_out.hr, recipe.scale), 3)}


def original_row(recipe: Recipe) -> dict[str, object]:
    """The last validation of the run by the paper's own objective: does it give samples that differ?"""
    run = recipe.folder / "original"
    last, history = read_log(run / LOG)[-1], read_record(run)["history"][-1]
    kept = {k.removesuffix("_sample"): last.get(k, "") for k in ("spread_sample", "diversity_sample", "kl", "active")}
    row = {"model": "original objective", "z": "prior", "psnr": last["psnr_sample"]} | kept
    return row | {"patches": history["steps"] * history["batch"]}
