"""The rows of the results to be: which models, at which scales, on which sets, with which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import srvae_core as sr
from srvae import csvfiles
from srvae.csvfiles import Row

from .answers import ROUNDS, SETTINGS, Request, plan
from .peers import answers_version
from .results import KEY_COLUMNS, Key
from .sets import originals_version


@dataclass(frozen=True)
class Job:
    """One row of the results to be.

    Attributes:
        method: "Bicubic", "SR-VAE-D", "SR-VAE-P" or a peer's name.
        settings: a name of :data:`benchmarks.answers.SETTINGS`, or "files" for a peer.
        version: digests of a model's weights, of a peer's files, and of a folder's originals; what there is of them.
        model: what ``load_model`` takes, or "".
        peer: folder of another method's answers, or "".
    """

    method: str
    scale: int
    dataset: str
    settings: str
    version: str
    model: str = ""
    peer: str = ""

    @property
    def key(self) -> Key:
        return self.method, str(self.scale), self.dataset, self.settings

    @property
    def head(self) -> Row:
        """The columns that tell this row from others."""
        return dict(zip(KEY_COLUMNS, self.key, strict=True)) | {"version": self.version}

    @property
    def round(self) -> int:
        return next((i for i, names in enumerate(ROUNDS) if self.settings in names), 0)

    @property
    def group(self) -> tuple[int, str, int, str]:
        """What jobs share that are computed together, image by image."""
        return self.round, self.method, self.scale, self.dataset

    @property
    def request(self) -> Request:
        """What a model is asked for; bicubic and files count as one answer, for scoring takes time."""
        return SETTINGS.get(self.settings, SETTINGS["default"])

    @property
    def work(self) -> int:
        """Tenths of a default answer to one pixel."""
        return self.request.work


@dataclass(frozen=True)
class Measured:
    """A model that is to be scored: what ``load_model`` takes, and what its rows say of it."""

    model: str
    method: str
    scale: int
    version: str


def measured_models(models: Sequence[str]) -> list[Measured]:
    """What the rows of some models say of them; each is loaded once, so that a damaged file is found at once.

    Args:
        models: names or paths for ``load_model``; a path's variant is what follows the last hyphen. One that is named
            twice counts once.

    Raises:
        FileNotFoundError, ValueError: as for ``load_model``; also if two models would give rows of one name.
    """
    measured: dict[tuple[str, int], Measured] = {}
    for model in models:
        variant = Path(model).stem.split("-")[-1]
        new = Measured(model, f"SR-VAE-{variant}", sr.load_model(model).scale, csvfiles.weights_version(model))
        first = measured.setdefault((new.method, new.scale), new)
        if first.version != new.version:
            raise ValueError(
                f"{first.model} and {model} would both be called {new.method} at {new.scale}x: "
                "rename a file, for what follows its last hyphen is its name"
            )
    return list(measured.values())


def scales_of(models: Sequence[Measured], scales: Sequence[int] = ()) -> list[int]:
    """The scales at which bicubic and peers are measured: those given, the models', or all where there is neither.

    Raises:
        ValueError: no such scale, or a model of another one than those given.
    """
    for scale in scales:
        if scale not in sr.SCALES:
            raise ValueError(f"scales are {' and '.join(map(str, sr.SCALES))}, not {scale!r}")
    for model in models:
        if scales and model.scale not in scales:
            asked = " and ".join(f"{scale}x" for scale in scales)
            raise ValueError(f"{model.model} enlarges {model.scale}x, but only {asked} was asked for")
    return sorted(set(scales) or {model.scale for model in models} or sr.SCALES)


def jobs(
    models: Sequence[Measured],
    sets: Sequence[str],
    settings: Sequence[str] = (),
    peers: Mapping[str, str] | None = None,
    scales: Sequence[int] = (),
) -> list[Job]:
    """The rows that a call of :func:`benchmarks.evaluate.evaluate` makes, round by round.

    Args:
        models: from :func:`measured_models`.
        sets: names for :func:`benchmarks.sets.image_names`.
        settings: names of :data:`benchmarks.answers.SETTINGS`; none means those of :func:`benchmarks.answers.plan`.
        peers: name -> folder of another method's answers; those to all sets and scales must be there.
        scales: see :func:`scales_of`.

    Raises:
        ValueError: as for :func:`scales_of`.
    """
    planned = []
    for dataset in dict.fromkeys(sets):
        originals = originals_version(dataset)
        for scale in scales_of(models, scales):
            planned.append(Job("Bicubic", scale, dataset, "default", originals))
            for name, folder in (peers or {}).items():
                version = answers_version(Path(folder), dataset, scale)
                planned.append(Job(name, scale, dataset, "files", version + originals, peer=folder))
        for m in models:
            for chosen in dict.fromkeys(settings or plan(dataset)):
                planned.append(Job(m.method, m.scale, dataset, chosen, m.version + originals, model=m.model))
    # sorting is stable: within a round, jobs of one group stay together
    return sorted(planned, key=attrgetter("round"))
