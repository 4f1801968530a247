"""Training: :func:`train` is the loop of a run, :class:`Run` its network, optimisers and checkpoint.

    train(Config(data="photographs", run="runs/answer", scale=4, steps=20_000))

What a step minimises is in :mod:`training.objective`, the learning rate in :mod:`training.optimiser`.
"""

from __future__ import annotations

import errno
import os
import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock
import torch
from torch import Tensor

import srvae_core as sr
from srvae import images
from srvae.commands import join_launcher
from srvae.csvfiles import read_csv, write_csv

from .codes import photograph_codes
from .config import Config
from .graph import cuda_graph
from .latents import shape_generator, start_latents
from .objective import Objective, PatchModel
from .optimiser import ADVERSARIAL_BETAS, build_optimisers, learning_rate, set_learning_rate
from .patches import Batch, Patches, held_out_patches
from .photographs import Photographs, load_photographs
from .teacher import Teacher
from .validation import judge

CHECKPOINT, LOG, CODES = "checkpoint.pt", "log.csv", "codes.f16"  # the files of a run's folder
LATENT_LAYERS = ("ip4", "ip5", "ip6")
SHAPING_BATCH = 50  # patches at once that shape the generator
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)  # of folders whose file system has none
CHECKED_EVERY = 20  # steps between two checks for NaN on a GPU: each waits until the GPU has caught up


class NotFiniteError(ArithmeticError):
    """The loss or the weights became NaN or infinite."""


def train(config: Config, photographs: Photographs | None = None) -> Run:
    """Train until the end of a run, or until ``config.stop``; resume the run if its folder holds a checkpoint.

    Args:
        config: its settings.
        photographs: those of ``config.data``, if they are loaded already.

    Raises:
        NotFiniteError: the loss or the weights are not finite; the last checkpoint is kept.
        ValueError: invalid settings, other settings than the run was begun with, unusable photographs, a damaged
            checkpoint, or another process that trains in the folder.
        FileNotFoundError: a file or folder that the settings name does not exist.
        OSError: the folder cannot be written, or the disk is full; the last checkpoint is kept.
    """
    config.check()
    run = Run(config)
    with locked(run.folder) if run.is_main else nullcontext():
        run.resume()
        run.load_data(photographs or load_photographs(config.data, config.scale))
        progress = before = run.progress()
        if before >= config.stop and run.step and not run.summed:
            return run  # the log has the last step's row
        batches = run.patches.stream(run.step, config.workers)
        bar = sr.progress_bar(total=100, unit="%", disable=None if run.is_main else True)
        while progress < config.stop:
            run.train_step(next(batches), learning_rate(config, run.step, progress))
            before, progress = progress, run.progress()
            bar.update(100 * (progress - before))
            if progress < config.stop and is_due(config.validations, before, progress):
                run.validate()
            if progress < config.stop and is_due(config.checkpoints, before, progress):
                run.save()
        batches.close()
        bar.close()
        run.validate()
        run.save()
    if run.launched:
        run.launched.wait_for_everyone()
    return run


def is_due(count: int, before: float, now: float) -> bool:
    """Return whether one of ``count`` evenly spread events lies between two values of a run's progress."""
    # 1e-9: rounding may leave step / steps just below a multiple of 1 / count.
    return int(now * count + 1e-9) > int(before * count + 1e-9)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, which is created if necessary; the system releases it when the process ends.

    A network folder may have no locks: then a warning names it.

    Raises:
        ValueError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise ValueError(f"another process is training in {folder}: wait for it, or name another folder") from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warnings.warn(f"{folder} cannot be locked ({error.strerror}): start no second run in it", stacklevel=3)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def usual_defaults() -> Iterator[None]:
    """Build float32 tensors and layers on the CPU, whatever torch's defaults are; also a decorator."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)


class Run:
    """The state of a run: network, averaged weights, optimisers, and what a checkpoint adds to them.

    Args:
        config: the settings of the run.
    """

    @usual_defaults()
    def __init__(self, config: Config) -> None:
        self.config, self.folder = config, Path(config.run)
        torch.manual_seed(config.seed)  # before the network, whose first weights are random
        self.launched = join_launcher(cpu=config.device == "cpu")  # under `accelerate launch` several processes
        self.share = (self.launched.process_index, self.launched.num_processes) if self.launched else (0, 1)
        self.processes, self.is_main = self.share[1], self.share[0] == 0
        if config.batch % self.processes:
            raise ValueError(f"{self.processes} processes cannot share batches of {config.batch}")
        self.device = self.launched.device if self.processes > 1 else sr.check_device(config.device)
        torch.backends.cudnn.benchmark = True  # sizes never change, so cuDNN may time its kernels

        self.net, self.history, self.has_new_latents = first_network(config)
        self.net.to(self.device)
        for name, p in self.net.named_parameters():
            p.requires_grad_(config.trains(name))
        self.parameters = {name: p for name, p in self.net.named_parameters() if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        without_latents = config.stage == "answer" and lacks_latents(self.net)
        self.model = PatchModel(self.net, fp32=config.fp32, without_latents=without_latents)
        self.objective = Objective(config, self.model, self.share, self.mean)
        graph = config.compile and self.device.type == "cuda" and self.processes == 1
        self.gradients = cuda_graph(self.compute_gradients) if graph else self.compute_gradients
        self.teacher = Teacher(config.teacher, config.scale, self.device, graph) if config.teacher else None
        self.optimisers = build_optimisers(self.parameters, config)
        self.critic, self.critic_optimiser = self.objective.critic, None
        self.learning = list(self.parameters.values())
        if self.critic:  # its learning rate is constant
            self.learning += self.critic.parameters()
            rates = {"lr": config.critic_lr, "betas": ADVERSARIAL_BETAS}
            self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), **rates, fused=True)

        self.step = 0
        self.seconds, self.resumed_at = 0.0, time.monotonic()  # training time before the last start; when that was
        self.photographs_digest, self.sources = "", []
        self.sums: dict[str, Tensor] = {}  # of the terms since the last row of the log, on the device
        self.summed = 0
        self.first_bad_step = torch.full((), -1, device=self.device)

    # -- data --

    @usual_defaults()
    def load_data(self, photographs: Photographs) -> None:
        """Prepare patches for training and validation; set what depends on them, in a new run.

        Raises:
            ValueError: the run was begun on other photographs.
        """
        config = self.config
        if self.photographs_digest not in ("", photographs.digest):
            raise ValueError(f"{config.run} was begun on other photographs than those of {config.data}")
        self.photographs_digest, self.sources = photographs.digest, photographs.sources
        held_out = held_out_patches(photographs)
        if self.objective.vgg:
            self.objective.vgg.calibrate(*(t.to(self.device) for t in held_out.values()))
        self.held_out = {name: t[: config.validated] for name, t in held_out.items()}
        for_training = photographs.for_training
        self.patches = Patches(
            for_training,
            config.batch,
            candidates=config.candidates,
            seed=config.seed,
            share=self.share,
            device=self.device,
            margin=self.teacher.margin if self.teacher else 0,
        )
        if config.shapes_noise and self.has_new_latents and self.step == 0:
            drawn = self.other_patches(SHAPING_BATCH)
            batches = (drawn(step) for step in range(-(-config.shaping // SHAPING_BATCH)))
            shape_generator(self.net, ((batch["up"], batch["hr"]) for batch in batches))
        if config.part == "decoder":
            if self.is_main and self.step == 0:  # those of a run that was killed before its first checkpoint
                (self.folder / CODES).unlink(missing_ok=True)
            with self.launched.main_process_first() if self.launched else nullcontext():
                codes = photograph_codes(self.net, for_training, self.folder / CODES)
            self.patches.codes = codes if self.device.type == "cpu" else codes.to(self.device)
        self.resumed_at = time.monotonic()

    def other_patches(self, batch: int) -> Patches:
        """Return patches of the training photographs from another seed, the same in all processes."""
        seed = self.config.seed + 1
        return self.patches.like(batch=batch, seed=seed, share=(0, 1), candidates=2, margin=0, codes=None)

    # -- a step --

    @torch.enable_grad()
    def compute_gradients(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the terms of a batch, and their gradients into the parameters."""
        for p in self.learning:
            p.grad = None  # not zeros: backward then writes instead of adding
        terms = self.objective(batch)
        torch.stack(list(terms.values())).sum().backward()
        return {name: t.detach() for name, t in terms.items()}

    def train_step(self, batch: Batch, rate: float = 1.0) -> None:
        """Move the weights by one batch, at a share of the peak learning rates.

        Raises:
            NotFiniteError: a term is not finite. (A GPU is asked every 20 steps.)
        """
        if self.teacher:
            answer = self.teacher(batch.pop("context"))
            batch["taught"] = torch.lerp(batch["hr"], answer.to(batch["hr"]), self.config.teacher_share)
        batch = {name: t.to(self.device, memory_format=torch.channels_last) for name, t in batch.items()}
        terms = self.gradients(batch | self.objective.draw(self.step))
        if self.processes > 1:
            for p in self.learning:
                p.grad = None if p.grad is None else self.mean(p.grad)
            terms = {name: self.mean(t) for name, t in terms.items()}
        set_learning_rate(self.optimisers, rate)
        for optimiser in filter(None, [*self.optimisers, self.critic_optimiser]):
            optimiser.step()
        # The first steps' average must forget the start quickly: its decay rises from 0.1.
        weight = 1 - min(self.config.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in self.parameters.values()], weight)
        self.step += 1

        self.sums = {name: self.sums.get(name, 0) + t for name, t in terms.items()}
        self.summed += 1
        bad = ~torch.isfinite(torch.stack(list(terms.values()))).all()
        self.first_bad_step = torch.where(bad & (self.first_bad_step < 0), self.step, self.first_bad_step)
        if self.device.type == "cpu" or self.step % CHECKED_EVERY == 0:
            self.check_finite()

    def mean(self, t: Tensor) -> Tensor:
        """Average a tensor over all processes."""
        if self.processes > 1:
            t = t.clone()
            torch.distributed.all_reduce(t)
            t /= self.processes
        return t

    def check_finite(self) -> None:
        """Raise NotFiniteError if a loss so far was not finite."""
        if (step := int(self.first_bad_step)) >= 0:
            raise NotFiniteError(
                f"the loss of step {step} is not finite; {self.folder} keeps its last checkpoint. "
                "A smaller --lr or --fp32 may help"
            )

    # -- progress and validation --

    @property
    def total_seconds(self) -> float:
        """Seconds of training, validation and checkpoints, over all starts."""
        return self.seconds + time.monotonic() - self.resumed_at

    def progress(self) -> float:
        """Return the share of the run that is done, by steps or by minutes; all processes follow the first's clock."""
        share = min(1.0, max(self.step / self.config.steps, self.total_seconds / 60 / self.config.minutes))
        if self.processes == 1:
            return share
        shared = torch.tensor(share, dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Put the averaged weights in the place of the latest."""
        latest = {name: p.detach().clone() for name, p in self.parameters.items()}
        copy_into(self.parameters, self.average)
        try:
            yield
        finally:
            copy_into(self.parameters, latest)

    def validate(self) -> None:
        """Add a row to log.csv: mean terms since the last row, and scores of the averaged weights."""
        self.check_finite()
        row: dict[str, Any] = {"step": self.step, "minutes": round(self.total_seconds / 60, 2)}
        row |= {name: round(float(t) / self.summed, 2) for name, t in self.sums.items()}
        self.sums, self.summed = {}, 0
        if self.is_main:
            draws = {"": 0.0} | ({} if self.model.without_latents else {"_sample": sr.PRIOR_SD})
            with self.averaged_weights():
                row |= judge(self.model, self.held_out, draws)
            earlier = [r for r in read_csv(self.folder / LOG) if int(r["step"]) < self.step]
            write_csv(self.folder / LOG, [*earlier, row])
            print(row, flush=True)

    # -- checkpoints --

    def save(self) -> None:
        """Write the checkpoint; the one before stays until it is complete.

        Raises:
            NotFiniteError: a loss or a weight is not finite.
            OSError: the disk is full.
        """
        self.check_finite()
        norms = torch.stack(torch._foreach_norm([p.detach() for p in self.parameters.values()]))
        if not torch.isfinite(norms).all():
            raise NotFiniteError(f"the weights of step {self.step} are not finite. A smaller --lr or --fp32 may help")
        if not self.is_main:
            return
        machine = torch.cuda.get_device_name() if self.device.type == "cuda" else f"{os.cpu_count()} CPU cores"
        stage = {"command": self.config.command(), "stage": self.config.stage, "scale": self.config.scale}
        stage |= {"steps": self.step, "batch": self.config.batch, "minutes": round(self.total_seconds / 60, 1)}
        stage |= {"machine": f"{machine} ({platform.machine()}), torch {torch.__version__}"}
        state = {
            "config": asdict(self.config),
            "history": [*self.history, stage],
            "sources": self.sources,
            "photographs": self.photographs_digest,
            "step": self.step,
            "seconds": self.total_seconds,
            "weights": {name: p.detach() for name, p in self.net.named_parameters()},
            "average": self.average,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "sums": self.sums,
            "summed": self.summed,
        }
        if self.critic:
            state["critic"] = self.critic.state_dict()
            state["critic_optimiser"] = self.critic_optimiser.state_dict()
        with images.atomic_write(self.folder / CHECKPOINT) as part, part.open("wb") as file:
            try:
                torch.save(state, file)
            except RuntimeError as error:  # torch hides the OSError of a full disk
                raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None

    @torch.no_grad()
    def resume(self) -> None:
        """Load the folder's checkpoint, if there is one.

        Raises:
            ValueError: the run was begun with other settings, or the checkpoint is damaged.
        """
        if not (self.folder / CHECKPOINT).exists():
            return
        state = read_checkpoint(self.folder)
        self.config.check_resumes(state["config"])
        copy_into(dict(self.net.named_parameters()), state["weights"])
        copy_into(self.average, state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        if self.critic:
            self.critic.load_state_dict(state["critic"])
            self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.photographs_digest = state["photographs"]
        self.sums = {name: t.to(self.device) for name, t in state["sums"].items()}
        self.summed = state["summed"]
        if self.is_main:
            print(f"resumed at step {self.step}", flush=True)


def copy_into(targets: dict[str, Tensor], sources: dict[str, Tensor]) -> None:
    """Copy tensors into those of the same names."""
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(sources[name])


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """Read the checkpoint of a run's folder, onto the CPU.

    Raises:
        FileNotFoundError: the folder has none.
        ValueError: it is damaged.
    """
    file = folder / CHECKPOINT
    if not file.is_file():
        raise FileNotFoundError(f"{folder} has no {CHECKPOINT}")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for damaged files
        raise ValueError(f"{file} is damaged ({type(error).__name__}): remove it to begin anew") from error


def averaged(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a checkpoint by name: averaged ones of trained layers, and the others."""
    return state["weights"] | state["average"]


def lacks_latents(net: sr.SRVAE) -> bool:
    """Return whether the latent branch was never trained: without biases, z = 0 gives a latent map of zeros."""
    return not any(net.get_submodule(name).bias.any() for name in LATENT_LAYERS)


def first_network(config: Config) -> tuple[sr.SRVAE, list[dict], bool]:
    """Build the network that a run starts from; weights of another shape than ``initial``'s start anew.

    Returns:
        The network on the CPU; the stages that made its weights, oldest first; whether its latent branch is new.
    """
    net = sr.SRVAE(config.scale, encoder=config.has_encoder, grid_generator=True)
    if not config.fillers:
        torch.nn.init.zeros_(net.SR_res.weight)  # a random residual would teach the decoder to ignore z
    if not config.initial:
        return net, [], False
    source = Path(config.initial)
    if source.is_dir():
        state = read_checkpoint(source)
        weights, history = averaged(state), state["history"]
    else:
        weights, history = sr.load_model(source).state_dict(), sr.read_weights(source)[1].get("history", [])
    mine = net.state_dict()
    net.load_state_dict(mine | {k: t for k, t in weights.items() if k in mine and mine[k].shape == t.shape})
    new_latents = config.stage != "answer" and not config.fillers and lacks_latents(net)
    if new_latents:
        if not config.trains("ip4.bias"):
            raise ValueError(f"{config.initial} has no trained latents: --train latents or all begins them")
        start_latents(net, config.loudness)
    return net, history, new_latents
