"""The settings of a run: what they mean, what cannot be meant, and how earlier versions wrote them."""

from __future__ import annotations

import math
import shlex
import types
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import srvae_core as sr

from .compiling import Mode

Stage = Literal["answer", "latents"]
Variant = Literal["D", "P"]
Latents = Literal["prior", "sample", "release"]
Part = Literal["convolutions", "latents", "decoder", "all"]

LAMBDA = {"D": 1.0, "P": 10.0}  # the release's weights of the VGG term, all that D and P differ in
PART_LAYERS = {  # what --train names: beginnings of layer names
    "convolutions": ("feat", "input", "decoder", "conv", "relu", "local", "SR_res"),
    "latents": ("generator", "ip4", "ip5", "ip6", "decoder", "conv", "relu", "local", "SR_res"),
    "decoder": ("input", "decoder", "conv", "relu", "local", "SR_res"),
    "all": ("",),
}
SHARES = ("decay", "ema")  # settings from 0 to 1
# Settings from 0 on.
AMOUNTS = ("lr", "energy", "outliers", "adversarial", "kl_weight", "temperature", "shaping", "loudness", "vgg_weight")
SEED_LIMIT = 2**32 - 1  # the noise of step n has the seed 1,000,003 * seed + n, of 64 bit
# Files that are not ours to ship: who has them can name them once, and the command line takes them from there.
VARIABLES = {"features": "SRVAE_FEATURES", "vgg": "SRVAE_VGG"}


def setting(
    group: str, help: str, default: Any = None, *, fixed: bool = False, path: bool = False, machine: bool = False
) -> Any:
    """A field of :class:`Config`.

    Args:
        group: heading in ``--help``.
        fixed: decides what is trained, so a run cannot go on with another value.
        path: a file or folder, of which records keep the name alone in the command.
        machine: says how this machine is used; no part of the command in the records.
    """
    return field(
        default=default, metadata={"group": group, "help": help, "fixed": fixed, "path": path, "machine": machine}
    )


@dataclass
class Config:
    """What a run is made of; config.json holds it. None is "left out": the text says what happens then."""

    # Where from and where to.
    data: str | None = setting("run", "folder of photographs, searched with its subfolders, or a pack", path=True)
    run: str | None = setting("run", "folder of the run", path=True)
    initial: str | None = setting("run", "run folder or weights file to start from", fixed=True, path=True)
    scale: int = setting("run", "4 or 8", 4, fixed=True)
    stage: Stage = setting("run", "answer (z = 0 alone) or latents", "answer", fixed=True)
    variant: Variant = setting("run", "D (distortion) or P (perception)", "D", fixed=True)
    seed: int = setting("run", "of patches and noise", 0, fixed=True)

    # How long.
    steps: int = setting("length", "steps of the whole run", 20_000)
    minutes: float | None = setting("length", "minutes of wall clock, start included, in the place of --steps")
    batch: int = setting("length", "patches per step", 16, fixed=True)
    validations: int = setting("length", "validations, evenly spread; each adds a row to log.csv", 20)
    validated: int = setting("length", "held-out patches that a validation looks at, up to 24", 24)
    checkpoints: int = setting("length", "checkpoints, evenly spread", 20)

    # How the weights move.
    train: Part | None = setting("learning", "what moves; left out, the stage's choice", fixed=True)
    optimiser: Literal["muon", "adam"] = setting(
        "learning", "muon, or adam with the release's decay and bias rates", "muon", fixed=True
    )
    lr: float = setting("learning", "peak learning rate of Muon; the other parameters have 0.3 of it", 2e-3)
    warmup: int = setting("learning", "steps of rising learning rate", 20)
    decay: float = setting("learning", "last share of the run, with falling learning rate", 0.5)
    ema: float = setting("learning", "decay of the averaged weights", 0.99)
    fillers: bool = setting("learning", "start SR_res and the latents by the release's fillers", False, fixed=True)

    # What is learnt from.
    candidates: int = setting("patches", "patches drawn for each one used; the most detailed is", 2, fixed=True)
    teacher: tuple[str, ...] = setting(
        "patches", "self (the first weights' self-ensemble), or a teacher's weights; two follow each other (8x)",
        (), fixed=True, path=True,
    )  # fmt: skip
    teacher_share: float = setting("patches", "share of the teacher's answer in the target", 0.85, fixed=True)
    pool: int | None = setting(
        "patches", "patches that the teacher answers once and for all; left out, fresh ones in every step", fixed=True
    )
    workers: int = setting("patches", "threads that choose and cut patches ahead", 2, machine=True)

    # The latents stage.
    latents: Latents = setting("latents", "how z is trained: prior, sample or release", "prior", fixed=True)
    energy: float = setting("latents", "weight of the energy score of prior samples (prior)", 400.0, fixed=True)
    outliers: float = setting("latents", "weight of what single pixels of samples are off (prior)", 0.0, fixed=True)
    adversarial: float = setting(
        "latents", "weight of what a discriminator tells samples from originals by (prior)", 0.0, fixed=True
    )
    kl_weight: float = setting("latents", "weight of the KL term (sample, release)", 1.0, fixed=True)
    temperature: float = setting(
        "latents", "of the model's answers: the VGG term looks at samples of it (prior)", 0.0, fixed=True
    )
    shaping: int = setting(
        "latents", "patches by which new latents' generator starts, where pictures are uncertain; 0: alike everywhere",
        2_500, fixed=True,
    )  # fmt: skip
    reshape: bool = setting("latents", "start the generator of trained latents so, too", False)
    loudness: float = setting("latents", "first standard deviation of decoder1's weights, if latents are new", 4.0)
    features: str | None = setting(
        "latents", "distilled VGG-19 for the energy score [$SRVAE_FEATURES]", fixed=True, path=True
    )
    deep: bool = setting("latents", "the energy score compares relu4_1 of that file, too", False, fixed=True)

    # The VGG term.
    vgg: str | None = setting("VGG term", "VGG-19, .caffemodel or .safetensors [$SRVAE_VGG]", fixed=True, path=True)
    vgg_weight: float | None = setting("VGG term", "lambda; left out, the variant's: D 1, P 10", fixed=True)
    fixed_vgg: bool = setting("VGG term", "it looks at whole patches, as in the release", False, fixed=True)

    # The machine.
    device: str | None = setting("machine", "cuda, mps or cpu; left out, the best there is", machine=True)
    threads: int | None = setting("machine", "CPU threads; left out, torch's choice", machine=True)
    fp32: bool = setting("machine", "no bfloat16 autocast, where the hardware has it", False)
    compile: Mode | None = setting(
        "machine", "how a step runs: off, graph (a CUDA graph), or a mode of torch.compile; left out, graph on CUDA",
        machine=True,
    )  # fmt: skip

    def check(self) -> None:
        """Raises ValueError, which names the setting, for one that cannot be meant; FileNotFoundError for a file."""
        if self.scale not in sr.SCALES:
            raise ValueError(f"scale must be 4 or 8, not {self.scale}")
        for name, choices in self.choices().items():
            value = getattr(self, name)
            if value not in choices:
                known = ", ".join(c for c in choices if c is not None)
                raise ValueError(f"{name} must be one of {known}, not {value!r}")
        if not self.run:
            raise ValueError("say where the run is kept: --run FOLDER")
        if Path(self.run).exists() and not Path(self.run).is_dir():
            raise ValueError(f"{self.run} is a file: name a folder with --run")
        counts = ("steps", "batch", "validations", "validated", "checkpoints", "candidates", "warmup", "workers")
        for name in (*counts, *(("threads",) if self.threads is not None else ())):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, not {self.seed}")
        if self.seed > SEED_LIMIT:
            raise ValueError(f"seed must be at most {SEED_LIMIT}, not {self.seed}")
        for name in (*SHARES, *AMOUNTS):
            value, most = getattr(self, name), 1 if name in SHARES else math.inf
            if value is not None and (not 0 <= value <= most or math.isinf(value)):
                upwards = "from 0 to 1" if name in SHARES else "a finite number of at least 0"
                raise ValueError(f"{name} must be {upwards}, not {value}")
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes must be more than 0, not {self.minutes}")
        if self.stage == "latents" and self.latents != "release" and not self.initial:
            raise ValueError("the latents stage starts from a trained answer: --initial RUN")
        self._check_teacher()
        for name, file in {"vgg": self.vgg_file, "features": self.features}.items():
            if file and not Path(file).is_file():
                raise FileNotFoundError(f"{name}: there is no file {file}")

    def _check_teacher(self) -> None:
        if not self.teacher:
            if self.pool is not None:
                raise ValueError("a pool is what a teacher answers: name one with --teacher")
            return
        if self.stage != "answer" and not self.has_energy_score:
            raise ValueError(f"a teacher teaches answers, and --latents {self.latents} has none of its own")
        if not 0 < self.teacher_share <= 1:
            raise ValueError(f"teacher_share must be more than 0 and at most 1, not {self.teacher_share}")
        if self.teacher == ("self",):
            if not self.initial:
                raise ValueError("--teacher self: name the weights whose self-ensemble teaches with --initial")
        elif "self" in self.teacher:
            raise ValueError("--teacher takes self or weights files, not both")
        for file in self.teacher:
            if file != "self" and not Path(file).is_file():
                raise FileNotFoundError(f"teacher: there is no file {file}")
        if self.pool is not None and self.pool < self.batch:
            raise ValueError(f"a pool of {self.pool} patches does not fill a batch of {self.batch}")

    @property
    def lam(self) -> float:
        """Lambda, the weight of the VGG term."""
        return LAMBDA[self.variant] if self.vgg_weight is None else self.vgg_weight

    @property
    def has_encoder(self) -> bool:
        """Whether the objective goes through the encoder."""
        return self.stage == "latents" and self.latents != "prior"

    @property
    def has_energy_score(self) -> bool:
        """Whether the objective is an energy score of prior samples."""
        return self.stage == "latents" and self.latents == "prior"

    @property
    def vgg_file(self) -> str | None:
        """The file of the VGG term; None where lambda is 0 or no file is named."""
        return self.vgg if self.lam > 0 else None

    @property
    def shapes_noise(self) -> bool:
        """Whether the generator starts by where pictures are uncertain, and stands still."""
        return self.stage == "latents" and self.shaping > 0 and not self.fillers

    def trains(self, name: str) -> bool:
        """Whether a parameter is among those that the run trains."""
        if self.shapes_noise and name.startswith("generator"):
            # Adam moves each weight alike, and generator1 finds little contrast in much brightness, so that one step
            # drowns it. generator2, moving alone, was on its way back to the same noise everywhere after 90 steps.
            return False
        if self.stage == "answer" and name == "decoder1.weight":
            return False  # it sees one and the same latent map, from which Muon would learn noise
        default = "convolutions" if self.stage == "answer" else "all" if self.has_encoder else "latents"
        return name.startswith(PART_LAYERS[self.train or default])

    def command(self) -> str:
        """The command line that gives this configuration, paths shortened to names."""
        words = ["srvae", "train", "run"]
        for f in fields(self):
            value = getattr(self, f.name)
            if value == f.default or f.metadata["machine"]:
                continue
            flag = f"--{f.name.replace('_', '-')}"
            if isinstance(value, bool):
                words.append(flag if value else f"--no-{f.name.replace('_', '-')}")
                continue
            values = value if isinstance(value, tuple) else (value,)
            words += [flag, *(Path(v).name if f.metadata["path"] else str(v) for v in values)]
        return shlex.join(words)

    @classmethod
    def choices(cls) -> dict[str, tuple]:
        """The values of the fields that have a few, by name; None among them where it may be left out."""
        choices: dict[str, tuple] = {}
        for name, hint in get_type_hints(cls).items():
            parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
            literals = [value for part in parts if get_origin(part) is Literal for value in get_args(part)]
            if literals:
                choices[name] = (*literals, *((None,) if types.NoneType in parts else ()))
        return choices

    @classmethod
    def from_record(cls, record: dict[str, Any], source: str | Path = "the record") -> Config:
        """The configuration that a config.json holds, also one that version 0.1 wrote.

        Args:
            record: what it holds.
            source: what messages call it.

        Raises:
            ValueError: a value is of no kind that the setting can be of; or a run by the PSNR itself, which is no
                longer offered.
        """
        if record.get("loss", "l1") != "l1":
            raise ValueError(f"{source} is of a run with --loss psnr, which brought nothing and is no longer offered")
        try:
            old = _of_version_0_1(record) if "validate" in record else record
        except (KeyError, TypeError, ZeroDivisionError) as error:
            raise ValueError(f"{source} is no whole record of version 0.1: {error!r}") from error
        values = {f.name: old[f.name] for f in fields(cls) if f.name in old}
        values |= {name: None for name, value in values.items() if value == ""}
        values["threads"] = values.get("threads") or None
        for name, hint in get_type_hints(cls).items():
            if name in values and not _fits(values[name], hint):
                raise ValueError(f"{source} is damaged: {name} cannot be {values[name]!r}")
        return cls(**values | {"teacher": tuple(values.get("teacher", ()))})

    def record(self) -> dict[str, Any]:
        """For config.json, from which :meth:`from_record` makes it again."""
        return asdict(self)

    def check_goes_on(self, earlier: Config) -> None:
        """Refuse to go on with a run by other settings than it was begun with.

        Files may have moved, so of paths only the names count.

        Raises:
            ValueError: names the settings that differ, with both values.
        """
        differing = []
        for f in fields(self):
            if not f.metadata["fixed"]:
                continue
            before, now = (_comparable(c, f.name) for c in (earlier, self))
            if before != now:
                differing.append(f"{f.name} ({_shown(before)}, now {_shown(now)})")
        if differing:
            raise ValueError(
                f"{self.run} holds a run that was begun with other settings: {'; '.join(differing)}. "
                "Give those again to go on with it, or name another folder with --run"
            )


def _comparable(config: Config, name: str) -> Any:
    """A setting as far as it changes what is trained."""
    if name == "vgg_weight":
        return config.lam
    if name == "vgg":
        value = config.vgg_file
    elif name == "features":
        value = config.features if config.has_energy_score else None
    elif name == "shaping":
        value = config.shapes_noise
    else:
        value = getattr(config, name)
    if name in ("initial", "vgg", "features"):
        return Path(value).name if value else None
    if name == "teacher":
        return tuple(Path(v).name for v in value)
    return value


def _of_version_0_1(record: dict[str, Any]) -> dict[str, Any]:
    """A record of version 0.1, which had sentinels in the place of None and intervals in that of numbers, as of now."""
    old = dict(record)
    old["validations"] = max(1, round(old["steps"] / old["validate"]))
    old["checkpoints"] = max(1, round(old["steps"] / old["checkpoint"]))
    old["shaping"] = 0  # its latents started alike everywhere
    old["pool"] = old["pool"] if old.get("ensemble") else None
    if old.get("ensemble"):
        old |= {"teacher": ["self"], "teacher_share": old["ensemble"]}
    if old["vgg_weight"] < 0:
        old["vgg_weight"] = None
    for name in ("vgg", "features"):  # a file that was not there was passed over
        old[name] = old[name] if Path(old[name]).is_file() else None
    return old


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value from a JSON file can be of a field's type."""
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:  # of words, a list in JSON
        return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    return isinstance(value, int | float if hint is float else hint)


def _shown(value: Any) -> str:
    """A setting in a message."""
    if value is None or value == ():
        return "none"
    return " ".join(value) if isinstance(value, tuple) else str(value)
