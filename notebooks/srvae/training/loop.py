"""The loop around a run's steps: patches, validations, checkpoints, and how it begins and ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from accelerate.utils import broadcast
from torch import Tensor
from tqdm import tqdm

import srvae_core as sr
from srvae.csvfiles import check_writable

from . import checkpoints
from .checkpoints import CLOCK, LOG, TEACHER_ANSWERS
from .config import Config
from .files import append_row, claimed, forget_rows, log_row
from .latents import shape_generator
from .patches import VALIDATED, Batch, Patches, held_out_patches
from .photographs import Photographs, check_source, load_photographs
from .schedule import Clock, Schedule
from .teachers import SelfEnsemble, TaughtPatches, teacher_of
from .trainer import Trainer
from .validation import FACTORS

SHAPING_BATCH = 50  # patches at once that start the generator


def train(config: Config, photographs: Photographs | None = None, started: float | None = None) -> Trainer:
    """Run, or go on with, the run that a configuration describes.

    Args:
        config: its settings.
        photographs: of ``config.data``, where they are in memory already.
        started: ``time.monotonic()`` when the program started: minutes count from there. None is now.

    Raises:
        NotFiniteError: the loss or the weights are no finite numbers any more; the last good checkpoint is kept.
        ValueError: settings that cannot be meant, or that the run was not begun with; unusable photographs; a damaged
            file in the run's folder, which is named; another process that is training in it.
        FileNotFoundError: a file or folder that is named is not there.
        OSError: the run's folder cannot be written, the disk may be full; the last good checkpoint is kept.
    """
    config.check()
    if photographs is None:
        check_source(config.data)
    trainer = Trainer(config)
    with claimed(trainer.run) if trainer.process == 0 else nullcontext():
        _go_on(trainer, photographs, started or time.monotonic())
    return trainer


def _go_on(trainer: Trainer, photographs: Photographs | None, started: float) -> None:
    """All that is left of a run, whose folder is this process's."""
    config, main = trainer.config, trainer.process == 0
    clock = Clock(trainer.run / CLOCK if main and config.minutes else None, started)
    teacher = teacher_of(config, trainer.pictures)  # the first weights', before anything is resumed
    seconds = trainer.resume()
    clock.resume(seconds or 0.0)  # its file may be ahead of a run that was killed before its first checkpoint
    if seconds is None and config.minutes is not None and clock.before >= 60 * config.minutes:
        raise ValueError(
            f"the minutes of {config.run} were used up before its first checkpoint: remove it, or give more"
        )
    if seconds is not None and main:
        print(f"resumed at step {trainer.step}", flush=True)
    if main:
        with checkpoints.writing(trainer.run):
            forget_rows(trainer.run / LOG, -1 if seconds is None else trainer.step)
    with clock.ticking():
        if photographs is None:
            photographs = load_photographs(config.data, config.scale)
        _check_same_photographs(trainer, photographs)
        Loop(trainer, photographs, teacher, Schedule(config, clock)).go()


def _check_same_photographs(trainer: Trainer, photographs: Photographs) -> None:
    """ValueError if the run was begun on other photographs; version 0.1 did not note which."""
    digest = checkpoints.read_record(trainer.run).get("photographs")
    if trainer.step and digest and digest != photographs.digest:
        raise ValueError(
            f"{trainer.run} holds a run that was begun on other photographs than those of data {trainer.config.data}. "
            "Give the same again to go on with it, or name another folder with --run"
        )


class Loop:
    """The steps of a run with their validations and checkpoints.

    Args:
        trainer: the run.
        photographs: all of them, those held out too.
        teacher: answers batches; None where originals alone are the targets.
        schedule: what is due when.
    """

    def __init__(
        self,
        trainer: Trainer,
        photographs: Photographs,
        teacher: SelfEnsemble | Callable[[Batch], Tensor] | None,
        schedule: Schedule,
    ) -> None:
        self.trainer, self.config, self.schedule = trainer, trainer.config, schedule
        self.main = trainer.process == 0
        self.facts = {"sources": photographs.sources, "photographs": photographs.digest}
        held_out, config = held_out_patches(photographs), self.config
        if trainer.vgg:  # on all of them, whatever a validation looks at: the unit must not depend on that
            trainer.vgg.calibrate(*(t.to(trainer.device) for t in held_out[:2]))
        self.held_out = Batch(*(t[: config.validated] for t in held_out[:2]))
        self.untaught = self.patches = Patches(
            photographs.for_training,
            config.batch,
            candidates=config.candidates,
            seed=config.seed,
            share=(trainer.process, trainer.processes),
            device=trainer.device,
            margin=teacher.margin if teacher else 0,
        )
        if config.shapes_noise and trainer.step == 0 and (trainer.new_latents or config.reshape):
            self._shape_generator()
        if teacher:
            kept = trainer.run / TEACHER_ANSWERS if config.pool else None
            with checkpoints.writing(trainer.run):
                self.patches = TaughtPatches(
                    self.untaught, teacher, config.teacher_share, config.pool, kept, beside=config.has_energy_score
                )

    def _other_patches(self, batch: int) -> Patches:
        """Patches of the same photographs as no step of the run sees, the same for all processes."""
        return self.untaught.like(batch=batch, seed=self.config.seed + 1, share=(0, 1), candidates=2, margin=0)

    def _shape_generator(self) -> None:
        """Start g(LR) by what the training photographs say (see :func:`latents.shape_generator`)."""
        trainer, drawn = self.trainer, self._other_patches(SHAPING_BATCH)
        shape_generator(trainer.net, (drawn(step)[:2] for step in range(-(-self.config.shaping // SHAPING_BATCH))))

    def go(self) -> None:
        """All steps that are left."""
        trainer, schedule, config = self.trainer, self.schedule, self.config
        timed = config.minutes is not None
        if timed:
            self._rehearse_end()
        share = self._share()
        if share >= 1 and trainer.step:  # nothing is left but, where it was killed at that point, the end itself
            return None if trainer.finished else self._finish()
        trainer.finished = False  # it goes on for longer than it was first meant to
        last = 10**9 if timed else config.steps  # in minutes the clock ends the loop
        bar = tqdm(initial=trainer.step, total=None if timed else last, disable=None if self.main else True)
        for batch in self.patches.stream(trainer.step, last, config.workers):
            trainer.train_step(batch, schedule.learning_rate(trainer.step, share))
            bar.update()
            before, share = share, self._share()
            if share >= 1:
                break
            if schedule.due(config.validations, before, share):
                self._validate()
            if schedule.due(config.checkpoints, before, share):
                trainer.save(schedule.clock.seconds, self.facts)
        self._finish()

    def _share(self) -> float:
        """The share of the run that is done; in minutes all processes follow the first one's clock."""
        share = self.schedule.share(self.trainer.step)
        if self.config.minutes is None or self.trainer.processes == 1:
            return share
        return float(broadcast(torch.tensor(share, dtype=torch.float64, device=self.trainer.device)))

    @property
    def _calibrates(self) -> bool:
        """Whether the run moves convolutions that were trained with noise, without it."""
        return self.config.stage == "answer" and not self.trainer.pictures.without_latents

    def _finish(self) -> None:
        """What ends a run: noise that fits the convolutions, a validation, a checkpoint."""
        self._check()
        if self._calibrates:
            self.trainer.calibrate_noise(self._other_patches(self.config.validated)(0))
        self._validate()
        self.trainer.finished = True
        self.trainer.save(self.schedule.clock.seconds, self.facts)

    def _check(self) -> None:
        """NotFiniteError in the place of figures of what is none."""
        self.trainer.check_losses()
        self.trainer.check_weights()

    def _validate(self) -> None:
        """A row of the log."""
        self._check()
        trainer, seconds = self.trainer, self.schedule.clock.seconds
        row = {"step": trainer.step, "seconds": round(seconds), "waited": round(self.patches.waited, 1)}
        row |= trainer.tally.means()
        if self.main:
            row |= trainer.validate(self.held_out)
            with checkpoints.writing(trainer.run):
                log_row(trainer.run / LOG, row)

    def _rehearse_end(self) -> None:
        """Do once what ends a run in minutes, so that the time for it can be kept; says where the run begins, too."""
        if self.trainer.device.type == "cuda":
            self.trainer.validate(self.held_out)  # kernels are loaded and chosen at first use
        begin = time.monotonic()
        if self.trainer.step == 0:
            self._validate()
        else:
            self.trainer.validate(self.held_out)
        reserve = time.monotonic() - begin
        if self._calibrates:
            patches = self._other_patches(self.config.validated)(0)
            if self.trainer.device.type == "cuda":  # as above: what the first use costs must not be counted 13 times
                self.trainer.calibrate_noise(patches, [1.0])
            begin = time.monotonic()
            self.trainer.calibrate_noise(patches, [1.0])  # a factor of 1 changes nothing
            reserve += (time.monotonic() - begin) * len(FACTORS)
        self.schedule.reserve = reserve


def judge_run(run: str | Path, table: Path, data: str | None = None, count: int = VALIDATED) -> None:
    """Add a row to a CSV file: a run's averaged weights on the held-out patches, without back-projection.

    Judged at z = 0, at the prior, and at what the release's deploy nets draw, sd ~ N(0, 1) in the place of 0.1.

    Args:
        run: its folder.
        table: the CSV file.
        data: photographs; None is the run's own.
        count: held-out patches to look at, up to 24.

    Raises:
        FileNotFoundError: no run, no checkpoint in it yet, no photographs, or no folder for the table.
        ValueError: the run's record is damaged.
    """
    run = Path(run)
    check_writable(table)
    record = checkpoints.read_record(run, needed=("history", *(("data",) if data is None else ())))
    config = Config.from_record(record, run / checkpoints.RECORD)
    config.run, config.initial, config.vgg_weight, config.teacher, config.pool = str(run), str(run), 0.0, (), None
    config.features = config.device = config.compile = None  # another machine may lack them
    trainer = Trainer(config)
    held_out = held_out_patches(load_photographs(data or record["data"], config.scale), count)
    sampled = not trainer.pictures.without_latents
    draws = {"": 0.0} | ({"_prior": sr.PRIOR_SD, "_deploy": 1.0} if sampled else {})
    row = {"run": run.name, "scale": config.scale, "latents": config.latents if sampled else "none"}
    row |= {"steps": record["history"][-1].get("steps", "")}
    append_row(table, row | trainer.judge(held_out, draws, consistency=False))
