"""One run: the network and what moves it, a step, and its checkpoints."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

import srvae_core as sr

from . import checkpoints
from .compiling import quickened
from .config import Config
from .latents import start_latents
from .objective import Pictures, objective_of
from .optimiser import build_optimisers, set_learning_rate
from .patches import Batch
from .perceptual import VGG, Distances
from .validation import FACTORS, judge, noise_factor

STEPS = "steps"  # in a checkpoint's tally, beside the names of terms
CHECKED_EVERY = 20  # steps between two looks at a GPU's losses; a look waits until it has caught up


class NotFiniteError(ArithmeticError):
    """Training ran into NaN or infinity."""


class Tally:
    """What the terms of the steps were, added up on the device.

    Reading a number back would wait for everything that a GPU still has to do, so none is read before it is asked for.
    """

    def __init__(self, device: torch.device) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = 0
        self.first_bad = torch.full((), -1, device=device)

    def add(self, terms: dict[str, Tensor], step: int) -> None:
        """The terms of a step."""
        for name, t in terms.items():
            self.sums[name] = self.sums[name] + t if name in self.sums else t.clone()
        self.steps += 1
        bad = ~torch.isfinite(torch.stack(list(terms.values()))).all()
        self.first_bad = torch.where(bad & (self.first_bad < 0), step, self.first_bad)

    def means(self) -> dict[str, float]:
        """The mean of each term since this was asked last."""
        means = {name: round(float(t) / self.steps, 2) for name, t in self.sums.items()}
        self.sums, self.steps = {}, 0
        return means

    def tensors(self) -> dict[str, Tensor]:
        """The sums as a checkpoint keeps them, by name, and of how many steps they are."""
        return self.sums | {STEPS: torch.tensor(self.steps)}

    def resume(self, tensors: dict[str, Tensor]) -> None:
        """Go on from :meth:`tensors`; empty where the checkpoint is older than that."""
        self.steps = int(tensors.get(STEPS, 0))
        self.sums = {name: t.to(self.first_bad.device, copy=True) for name, t in tensors.items() if name != STEPS}

    def trouble(self) -> str:
        """Which step's terms were no finite numbers first; empty where all were."""
        step = int(self.first_bad)
        terms = ", ".join(f"{name} {float(t):g} in all" for name, t in self.sums.items()) if step >= 0 else ""
        return f"the loss of step {step} is not finite ({terms})" if step >= 0 else ""


class Trainer:
    """One run: network, averaged weights, objective, optimisers, and how to go on from a checkpoint.

    Convolutions learn by Muon, which from the same start needed a fraction of Adam's steps; all else by Adam.

    Args:
        config: the run's settings.

    Raises:
        ValueError, FileNotFoundError: settings that cannot be meant, or files that are not there.
    """

    def __init__(self, config: Config) -> None:
        config.check()
        self.config, self.run = config, Path(config.run)
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)  # before the network: its first weights are random
        self._join_processes()
        self.net, self.history, self.new_latents = starting_network(config)
        self.net.to(self.device)
        for name, p in self.net.named_parameters():
            p.requires_grad_(config.trains(name))
        self.parameters = {name: p for name, p in self.net.named_parameters() if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.pictures = Pictures(self.net, fp32=config.fp32, without_latents=self._lacks_latents())
        self.vgg, self.distances = self._perceptual_files()
        # The energy score divides by a mean over the batch, of which each process has only a part.
        mean = self.mean if self.processes > 1 else None
        share = (self.process, self.processes)
        self.objective = objective_of(config)(config, self.pictures, self.vgg, self.distances, share, mean)
        discriminator = self.objective.discriminator
        named = discriminator.named_parameters() if discriminator else ()
        self.opponents = {f"{checkpoints.DISCRIMINATOR}{name}": p for name, p in named}  # what no picture is made with
        start_discriminator(self.opponents, config.initial)
        self.run_gradients = quickened(
            self.compute_gradients, config.compile if self.processes == 1 else "off", self.device
        )
        self.optimisers = build_optimisers(self.parameters, config, list(self.opponents.values()))
        self.step, self.noise_factor, self.finished = 0, 1.0, False
        self.tally = Tally(self.device)

    def _join_processes(self) -> None:
        """Processes and device: one process without a launcher."""
        self.accelerator = Accelerator(cpu=self.config.device == "cpu")
        self.processes, self.process = self.accelerator.num_processes, self.accelerator.process_index
        if self.config.batch % self.processes:
            raise ValueError(f"{self.processes} processes cannot share batches of {self.config.batch}")
        chosen = self.config.device if self.processes == 1 else None
        self.device = checked_device(chosen) if chosen else self.accelerator.device
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # sizes never change: let cuDNN try which kernels are quickest

    def _lacks_latents(self) -> bool:
        """Without biases in ip4-ip6, as before the latents stage, z = 0 gives a latent map of zeros."""
        biased = any(self.net.get_submodule(name).bias.any() for name in ("ip4", "ip5", "ip6"))
        return self.config.stage == "answer" and not biased

    def _perceptual_files(self) -> tuple[VGG | None, Distances]:
        """The VGG term and the energy score's distances, with a line for what they lack."""
        config = self.config
        if config.has_energy_score and not config.features:
            print("no --features file: the energy score sees pixels and windows only", flush=True)
        if config.lam > 0 and not config.vgg_file:
            print("no --vgg file: the objective lacks its VGG term", flush=True)
        vgg = VGG(config.vgg_file, self.device) if config.vgg_file else None
        return vgg, Distances(config.features, self.device, deep=config.deep)

    def compute_gradients(self, up: Tensor, hr: Tensor, *drawn: Tensor) -> dict[str, Tensor]:
        """The terms of one batch; their gradients are left in the parameters."""
        for p in self.learning.values():
            p.grad = None  # rather than zeros: backward then writes, and need not add
        terms = self.objective(up, hr, dict(zip(self.objective.names, drawn, strict=True)))
        torch.stack(list(terms.values())).sum().backward()
        return {name: t.detach() for name, t in terms.items()}

    def gradients(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of a batch, whose gradients are left in the parameters, with this step's noise."""
        up, hr = (t.to(self.device, memory_format=torch.channels_last) for t in batch[:2])
        drawn = self.objective.draw(self.step)
        if self.objective.taught_beside:
            drawn["taught"] = batch.answer.to(self.device, memory_format=torch.channels_last)
        return self.run_gradients(up, hr, *drawn.values())

    @property
    def learning(self) -> dict[str, nn.Parameter]:
        """All that optimisers move, by name: the network's parameters and the discriminator's."""
        return self.parameters | self.opponents

    # -- one step --

    def mean(self, t: Tensor) -> Tensor:
        """The mean over all processes."""
        return self.accelerator.reduce(t, "mean") if self.processes > 1 else t

    def train_step(self, batch: Batch, rate: float = 1.0) -> None:
        """Move the weights by one batch, at a share of the peak learning rates.

        What the terms were is told by ``tally``.
        """
        terms = self.gradients(batch)
        if self.processes > 1:
            for p in self.learning.values():
                p.grad = self.mean(p.grad)
            terms = {name: self.mean(t) for name, t in terms.items()}
        set_learning_rate(self.optimisers, rate)
        for optimiser in self.optimisers:
            optimiser.step()
        # In its first steps the average must forget the start quickly: the decay rises from 0.1 to its own value.
        weight = 1 - min(self.config.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in self.parameters.values()], weight)
        self.step += 1
        self.tally.add(terms, self.step)
        if self.device.type == "cpu" or self.step % CHECKED_EVERY == 0:
            self.check_losses()

    def check_losses(self) -> None:
        """Raises NotFiniteError if a step's loss was no finite number."""
        if trouble := self.tally.trouble():
            raise NotFiniteError(self._stopped(trouble))

    def check_weights(self) -> None:
        """Raises NotFiniteError if a weight is no finite number."""
        values = [*self.learning.values(), *self.average.values()]
        norms = torch.stack(torch._foreach_norm([t.detach() for t in values]))
        if not torch.isfinite(norms).all():
            names = [name for name, p in self.learning.items() if not torch.isfinite(p).all()]
            raise NotFiniteError(
                self._stopped(f"after step {self.step} there are weights that are not finite: {names[:3]}")
            )

    def _stopped(self, what: str) -> str:
        return f"{what}; {checkpoints.kept(self.run)}. A smaller --lr, or --fp32, may help"

    # -- checkpoints --

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the run's future depends on, by name."""
        tensors = {f"model.{name}": p for name, p in self.net.named_parameters()}
        tensors |= {f"ema.{name}": p for name, p in self.average.items()}
        tensors |= {f"tally.{name}": t for name, t in self.tally.tensors().items()}
        return tensors | self.opponents | checkpoints.optimiser_tensors(self.optimisers, self.learning)

    def save(self, seconds: float, facts: dict[str, object] | None = None) -> None:
        """Write checkpoint and record.

        Raises:
            NotFiniteError: it would be a bad checkpoint; the one before is kept.
            OSError: it cannot be written, the disk may be full; the one before is kept.
        """
        self.check_losses()
        self.check_weights()
        if self.process:
            return  # all processes hold the same
        record = self.config.record() | {"history": [*self.history, self.stage_record(seconds)]}
        progress = {"step": self.step, "seconds": seconds, "noise_factor": self.noise_factor}
        progress["finished"] = self.finished
        # The record first: a checkpoint is of use only to who knows what it is one of.
        with checkpoints.writing(self.run):
            checkpoints.write_record(self.run, record | (facts or {}))
            checkpoints.save_checkpoint(self.run, self.tensors(), progress)

    @torch.no_grad()
    def resume(self) -> float | None:
        """Go on from the run folder's checkpoint.

        Returns:
            The seconds that the run had taken by then; None where there is no checkpoint.

        Raises:
            ValueError: the run was begun with other settings (see :meth:`Config.check_goes_on`), or its checkpoint or
                record is damaged.
            FileNotFoundError: there is a checkpoint, but no record.
        """
        loaded = checkpoints.load_checkpoint(self.run)
        if loaded is None:
            return None
        record = checkpoints.read_record(self.run, needed=())
        self.config.check_goes_on(Config.from_record(record, self.run / checkpoints.RECORD))
        tensors, progress = loaded
        mine = {f"model.{name}": p for name, p in self.net.named_parameters()}
        mine |= {f"ema.{name}": p for name, p in self.average.items()} | self.opponents
        try:
            checkpoints.copy_tensors(mine, tensors)
            checkpoints.load_optimisers(self.optimisers, self.learning, tensors)
        except ValueError as error:
            raise ValueError(f"{self.run / checkpoints.CHECKPOINT} is not of this run: {error}") from error
        self.tally.resume({k.removeprefix("tally."): t for k, t in tensors.items() if k.startswith("tally.")})
        self.step = int(progress["step"])
        self.noise_factor = float(progress.get("noise_factor", 1))  # earlier checkpoints have none
        # Version 0.1 did not say: its last checkpoint is that of its last step.
        self.finished = progress.get("finished", str(self.step >= self.config.steps)) == "True"
        return float(progress["seconds"])

    def stage_record(self, seconds: float) -> dict[str, object]:
        """How this run made its weights, for the history that weights files carry."""
        machine = torch.cuda.get_device_name() if self.device.type == "cuda" else f"{os.cpu_count()} CPU cores"
        config = self.config
        record = {
            "command": config.command(),
            "stage": config.stage,
            "scale": config.scale,
            "steps": self.step,
            "batch": config.batch,
            "minutes": round(seconds / 60, 1),
            "machine": f"{machine} ({platform.machine()}), torch {torch.__version__}",
            "features": Path(config.features).stem if config.has_energy_score and config.features else "",
            "vgg": self.vgg.description if self.vgg else "",
        }
        if config.teacher:
            record["teacher"] = ", ".join(Path(t).stem for t in config.teacher)
        if self.noise_factor != 1:
            record["noise_factor"] = round(self.noise_factor, 3)
        return record

    # -- looking at the averaged weights --

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """The averaged weights in the place of the latest."""
        mine = {name: p.detach().clone() for name, p in self.parameters.items()}
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(self.average[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, p in self.parameters.items():
                    p.copy_(mine[name])

    def judge(self, held_out: Batch, draws: dict[str, float], *, consistency: bool = True) -> dict[str, float]:
        """:func:`validation.judge` of the averaged weights."""
        with self.averaged_weights():
            posterior = self.config.has_encoder
            return judge(self.pictures, held_out, draws, consistency=consistency, posterior=posterior)

    def validate(self, held_out: Batch) -> dict[str, float]:
        """:meth:`judge` at z = 0 and, where there are latents, at the prior."""
        return self.judge(held_out, {"": 0.0} | ({} if self.pictures.without_latents else {"_sample": sr.PRIOR_SD}))

    @torch.no_grad()
    def calibrate_noise(self, patches: Batch, factors: Sequence[float] = FACTORS) -> None:
        """Scale ip4's weights so that prior samples have the least energy score (see :func:`noise_factor`)."""
        with self.averaged_weights():
            factor = noise_factor(self.pictures, self.distances, patches, factors)
        self.net.ip4.weight.mul_(factor)
        if "ip4.weight" in self.average:
            self.average["ip4.weight"].mul_(factor)
        self.noise_factor *= factor


def checked_device(name: str) -> torch.device:
    """A device by its name; ValueError for one that this machine lacks."""
    try:
        return torch.zeros((), device=name).device
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for a device
        raise ValueError(f"device must be cpu, or a cuda or mps device of this machine, not {name!r}") from error


@torch.no_grad()
def start_discriminator(opponents: dict[str, nn.Parameter], source: str | None) -> None:
    """Go on with the discriminator of the run that this one starts from: a new one takes a hundred steps to be of use.

    Args:
        opponents: its parameters by their names in a checkpoint; empty for a run without one.
        source: what the run starts from. What has no discriminator, or other heads for want of features, leaves it new.
    """
    earlier = checkpoints.read_discriminator(Path(source)) if source else {}
    if earlier and {k: t.shape for k, t in earlier.items()} == {k: p.shape for k, p in opponents.items()}:
        checkpoints.copy_tensors(opponents, earlier)


def starting_network(config: Config) -> tuple[sr.SRVAE, list[dict], bool]:
    """The network that a run starts with. Parts of another shape or scale than the initial weights start anew.

    Args:
        config: the run's settings.

    Returns:
        The network on the CPU; the stages that made its weights, oldest first; and whether its latent branch is new.

    Raises:
        FileNotFoundError, ValueError: ``initial`` is neither a run nor a weights file.
    """
    net = sr.SRVAE(config.scale, encoder=config.has_encoder, grid_generator=True)
    if not config.fillers:
        with torch.no_grad():
            net.SR_res.weight.zero_()  # a random residual would teach the decoder to ignore z
    if not config.initial:
        return net, [], False
    source = Path(config.initial)
    weights, mine = checkpoints.starting_weights(source), net.state_dict()
    fitting = {name: t for name, t in weights.items() if name in mine and mine[name].shape == t.shape}
    net.load_state_dict(mine | fitting)
    history = checkpoints.read_history(source)
    answered = bool(history) and not any(stage["stage"] == "latents" for stage in history)
    new_latents = config.stage == "latents" and answered and not config.fillers
    if new_latents:
        start_latents(net, config.loudness)
    return net, history, new_latents
