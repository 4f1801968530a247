"""The settings of a training run, and their checks."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import srvae_core as sr

# Objective of a stage (see `objective`), and the part that it trains unless `train` names another.
Stage = Literal["answer", "prior", "adversarial", "sample", "release"]
STAGE_PART = {
    "answer": "convolutions",
    "prior": "latents",
    "adversarial": "decoder",
    "sample": "all",
    "release": "all",
}
DECODER = ("decoder", "conv", "relu", "local", "SR_res")
PART_LAYERS = {  # how the names of a part's layers begin
    "convolutions": ("feat", "input", *DECODER),
    "latents": ("generator", "ip4", "ip5", "ip6", *DECODER),
    "decoder": DECODER,
    "all": ("",),
}
SEED_LIMIT = 2**32 - 1


def setting(default: Any, group: str, text: str, *, free: bool = False) -> Any:
    """Declare a field of :class:`Config`: default, group and text for ``--help``.

    ``free`` settings may change when a run is resumed.
    """
    return field(default=default, metadata={"group": group, "help": text, "free": free})


@dataclass(frozen=True)
class Config:
    """The settings of a run. "" stands for no file."""

    data: str = setting("", "run", "folder of photographs (with subfolders) or a pack", free=True)
    run: str = setting("", "run", "folder of the run: checkpoint.pt and log.csv", free=True)
    initial: str = setting("", "run", "weights file or run folder to start from")
    scale: int = setting(4, "run", "4 or 8")
    stage: Stage = setting("answer", "run", "answer (z = 0), prior (energy score), adversarial, sample, release (VAE)")
    seed: int = setting(0, "run", "seed of weights, patches and noise")
    device: str = setting("auto", "run", "auto, cpu, cuda, cuda:1, mps ...", free=True)
    fp32: bool = setting(False, "run", "compute in float32 even where bfloat16 is faster", free=True)
    compile: bool = setting(True, "run", "run a step as a CUDA graph, on CUDA", free=True)

    steps: int = setting(20_000, "length", "largest number of steps; --minutes may end the run earlier", free=True)
    minutes: float = setting(
        math.inf, "length", "largest number of minutes, without the loading of photographs", free=True
    )
    stop: float = setting(1.0, "length", "stop at this share of the length; the run can be resumed", free=True)
    batch: int = setting(16, "length", "patches per step, of all processes")
    validations: int = setting(20, "length", "number of validations, each a row of log.csv", free=True)
    validated: int = setting(24, "length", "held-out patches per validation, up to 24", free=True)
    checkpoints: int = setting(20, "length", "number of checkpoints", free=True)

    train: Literal["stage", "convolutions", "latents", "decoder", "all"] = setting(
        "stage",
        "learning",
        "layers that learn; latents includes the decoder; decoder uses codes computed once; stage: its default",
    )
    optimiser: Literal["muon", "adam", "relative"] = setting(
        "muon",
        "learning",
        "muon (and Adam for parameters other than kernels), adam as in the release, or relative: Adam with rates "
        "relative to the spread of a layer's weights",
    )
    lr: float = setting(2e-3, "learning", "peak learning rate")
    warmup: int = setting(20, "learning", "steps of rising learning rate")
    decay: float = setting(0.5, "learning", "last share of the run, in which the learning rate falls to 0")
    ema: float = setting(0.99, "learning", "decay of the averaged weights")
    fillers: bool = setting(False, "learning", "initialise SR_res and the latent branch by the release's fillers")

    candidates: int = setting(2, "patches", "patches drawn for each one used, the most detailed of them")
    teacher: tuple[str, ...] = setting((), "patches", "VapSR weights: 4x, or 4x and 2x at scale 8")
    teacher_share: float = setting(0.85, "patches", "share of the teacher's answer in the target")
    workers: int = setting(2, "patches", "threads that prepare patches", free=True)

    energy: float = setting(400.0, "objective", "prior: weight of the energy score of samples")
    repulsion: float = setting(0.3, "objective", "adversarial: weight of the distance of two samples in the score")
    adversary: float = setting(1.0, "objective", "adversarial: length of the critic's gradient over the score's")
    answer_weight: float = setting(0.0, "objective", "adversarial: weight of the L1 term of the answer at z = 0")
    critic_lr: float = setting(4e-4, "objective", "adversarial: learning rate of the critic")
    outliers: float = setting(0.0, "objective", "prior: weight of pixels of samples that are far off")
    kl_weight: float = setting(1.0, "objective", "sample, release: weight of the KL term")
    shaping: int = setting(2_500, "objective", "patches that shape the noise of new latents; 0: even noise")
    loudness: float = setting(4.0, "objective", "standard deviation of decoder1's first weights, of new latents")
    features: str = setting("", "objective", "VGG-19 file for the energy score, as a rule a distilled one")
    deep: bool = setting(False, "objective", "the energy score compares relu4_1, too")
    vgg: str = setting("", "objective", "VGG-19 file of the VGG term, .caffemodel or .safetensors")
    vgg_weight: float = setting(1.0, "objective", "lambda of the VGG term: 1 for D, 10 for P")
    fixed_vgg: bool = setting(False, "objective", "the VGG term sees full patches, as in the release")

    def check(self) -> None:
        """Raise ValueError, naming the setting, or FileNotFoundError, naming the file, if the run cannot begin."""
        if self.scale not in sr.SCALES:
            raise ValueError(f"scale must be 4 or 8, not {self.scale}")
        for name, hint in get_type_hints(Config).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                raise ValueError(f"{name} must be one of {', '.join(get_args(hint))}, not {getattr(self, name)!r}")
        if not self.data or not self.run:
            raise ValueError("name the photographs (--data FOLDER) and the folder of the run (--run FOLDER)")
        counts = ("steps", "batch", "validations", "validated", "checkpoints", "warmup", "candidates", "workers")
        self._check_range(counts, 1, math.inf)
        self._check_range(("minutes",), 1e-6, math.inf)
        self._check_range(("seed",), 0, SEED_LIMIT)
        self._check_range(("stop", "decay", "ema", "teacher_share"), 0, 1)
        amounts = ("lr", "energy", "repulsion", "adversary", "answer_weight", "critic_lr", "outliers", "kl_weight")
        amounts += ("shaping", "loudness", "vgg_weight")
        self._check_range(amounts, 0, 1e9)
        if self.stage in ("prior", "adversarial", "sample") and not self.initial:
            raise ValueError(f"stage {self.stage} starts from trained weights: name them with --initial")
        if self.train == "decoder" and self.has_encoder:
            raise ValueError(
                f"stage {self.stage} needs the features: --train decoder is for answer, prior and adversarial"
            )
        if self.teacher and self.stage not in ("answer", "prior"):
            raise ValueError(f"a teacher has no effect in stage {self.stage}: leave --teacher out")
        for path in filter(None, (self.data, self.initial, self.features, self.vgg, *self.teacher)):
            if not Path(path).exists():
                raise FileNotFoundError(f"there is no file or folder {path}")

    def _check_range(self, names: Iterable[str], least: float, most: float) -> None:
        for name in names:
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from {least:g} to {most:g}, not {getattr(self, name)}")

    @property
    def has_encoder(self) -> bool:
        """Whether the objective needs the encoder."""
        return self.stage in ("sample", "release")

    @property
    def shapes_noise(self) -> bool:
        """Whether the generator has a shape from photographs, which training leaves unchanged."""
        return self.stage != "answer" and self.shaping > 0 and not self.fillers and self.initial != ""

    def trains(self, name: str) -> bool:
        """Return whether the run trains a parameter."""
        if self.shapes_noise and name.startswith("generator"):
            # One step of Adam would drown the little contrast that generator1 finds in much brightness.
            return False
        if self.stage == "answer" and name == "decoder1.weight":
            return False  # its input is the same latent map in each patch, from which Muon would learn noise
        return name.startswith(PART_LAYERS[self.part])

    @property
    def part(self) -> str:
        """The part of the network that the run trains."""
        return STAGE_PART[self.stage] if self.train == "stage" else self.train

    def command(self) -> str:
        """Return the command line of these settings, with paths shortened to file names."""
        words = ["srvae", "train", "run"]
        for f in fields(self):
            value = getattr(self, f.name)
            if value == f.default:
                continue
            if isinstance(value, bool):
                words.append(f"--{'' if value else 'no-'}{f.name.replace('_', '-')}")
                continue
            values = value if isinstance(value, tuple) else (value,)
            words += [
                f"--{f.name.replace('_', '-')}",
                *(Path(v).name if isinstance(v, str) else str(v) for v in values),
            ]
        return shlex.join(words)

    def check_resumes(self, earlier: dict[str, Any]) -> None:
        """Raise ValueError if a run that was begun with the settings ``earlier`` cannot be resumed with these."""
        earlier = asdict(Config()) | earlier  # settings that are newer than the run had their defaults
        now, fixed = asdict(self), [f.name for f in fields(self) if not f.metadata["free"]]
        changed = [f"{name} ({earlier[name]!r}, now {now[name]!r})" for name in fixed if earlier[name] != now[name]]
        if changed:
            raise ValueError(
                f"{self.run} was begun with other settings: {'; '.join(changed)}. "
                "Give the same settings to resume it, or another folder with --run"
            )
