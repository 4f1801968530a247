"""Scores of models, bicubic and other methods on image sets, into data/results.csv.

    rows = evaluate(["4x-D"], ["bundled", "Set5"])  # what is there already is kept, what was interrupted goes on

The tables of the README and the figures read that file and nothing else.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import metrics
import numpy as np
import release
from csvfiles import RESULTS, Row, read_csv, write_csv
from tqdm import tqdm

import srvae_core as sr

from .sets import fetch, image_names, load_image, pair

KEY_COLUMNS = ("method", "scale", "set", "settings")  # tell one row from another
SCORE_COLUMNS = ("psnr", "ssim", "niqe", "lr_psnr", "diversity", "seconds")
RESULT_COLUMNS = ("method", "scale", "set", "images", *SCORE_COLUMNS, "settings", "version")
IMAGE_COLUMNS = (*KEY_COLUMNS, "version", "image", "megapixels", *SCORE_COLUMNS)  # of the file of single images
SAMPLES_PER_IMAGE = 10  # where the temperature is given and not zero
DEFAULT_SETS = ("bundled", "Set5", "Set14")  # evaluated unless told otherwise


# -- Settings: what a model is asked for --------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """How a model is asked for its answer.

    Attributes:
        temperature: of the latents; None is the model's own.
        as_float: score float32 that is neither clipped nor rounded, in the place of 8-bit output.
        self_ensemble: average over the 8 flips and rotations.
        release: the release's way, 128x128 tiles at stride 64 without back-projection.
    """

    temperature: float | None = None
    as_float: bool = False
    self_ensemble: bool = False
    release: bool = False

    @property
    def samples(self) -> int:
        """How many answers an image gets: several where they are random draws."""
        return SAMPLES_PER_IMAGE if self.temperature else 1

    @property
    def work(self) -> int:
        """About how much computing this is, in tenths of an answer at default settings; for the progress bar."""
        turns = 8 if self.self_ensemble else 1
        # encoding takes seven tenths of an answer, decoding three; overlapping tiles take as long as 2.5 answers
        return turns * (25 if self.release else 7 + 3 * self.samples)


WALK_TEMPERATURES = (0, 0.25, 0.5, 0.75, 1.25, 1.5)  # those besides 1, for the walk from distortion to perception
# The names stand in data/results.csv, so they stay as they are.
SETTINGS: dict[str, Request] = {
    "default": Request(),
    "unrounded": Request(as_float=True),
    "temperature 1": Request(temperature=1.0),
    "self-ensemble": Request(self_ensemble=True),
    "release tiling": Request(release=True, as_float=True),
    **{f"temperature {t:g}": Request(temperature=t) for t in WALK_TEMPERATURES},
    "release tiling, self-ensemble": Request(release=True, as_float=True, self_ensemble=True),
}
# Evaluation goes round by round, what matters most first. Settings of one round share what they can.
ROUNDS = (
    ("default", "unrounded", "temperature 1"),
    ("self-ensemble", "release tiling"),
    tuple(f"temperature {t:g}" for t in WALK_TEMPERATURES),
    ("release tiling, self-ensemble",),
)


def plan(dataset: str) -> list[str]:
    """The settings that a set is evaluated with unless told otherwise.

    Every set gets what the tables show: the answer, the same unrounded, and samples at temperature 1. The walk over
    temperatures is taken on the bundled photographs, which are large enough for NIQE. Self-ensemble and the
    release's way are 8 to 20 times slower. They are taken on Set5, for which the release prints its figures.
    """
    rounds = {"bundled": (0, 2), "Set5": (0, 1, 3)}.get(dataset, (0,))
    return [name for i in rounds for name in ROUNDS[i]]


class Answers:
    """A model's answers to one LR image with different settings; the image is encoded once for those that share it.

    Args:
        model: from :func:`srvae_core.load_model`.
        lr: (H, W, 3) uint8, uint16 or float in [0, 1].

    Attributes:
        sampler: the encoded image; None until an answer needs it.
    """

    def __init__(self, model: sr.SRVAE, lr: np.ndarray) -> None:
        self.model, self.lr = model, lr
        self.sampler: sr.Sampler | None = None
        self._encoding_seconds = 0.0

    def __call__(self, request: Request) -> tuple[list[np.ndarray], float]:
        """As many answers as the request wants, with the seeds 0, 1, ...

        Returns:
            The answers, (s*H, s*W, 3) of the LR image's dtype or float32, and the seconds of one answer from
            nothing: encoding, and decoding the first.
        """
        start = time.perf_counter()
        options = {"temperature": request.temperature, "as_float": request.as_float}
        if request.release or request.self_ensemble:  # these encode something else: tiles, turned images
            super_resolve = release.super_resolve if request.release else sr.super_resolve
            answer = super_resolve(self.lr, self.model, self_ensemble=request.self_ensemble, **options)
            return [answer], time.perf_counter() - start
        if self.sampler is None:
            self.sampler = sr.Sampler(self.model, self.lr)
            self._encoding_seconds = time.perf_counter() - start
            start = time.perf_counter()
        if request.temperature is None:
            options["temperature"] = self.model.temperature
        first = self.sampler(0, **options)
        seconds = self._encoding_seconds + time.perf_counter() - start
        return [first, *(self.sampler(seed, **options) for seed in range(1, request.samples))], seconds


def peer_answer(folder: Path, dataset: str, scale: int, name: str) -> np.ndarray:
    """Another method's answer, (s*H, s*W, 3): the one file FOLDER/SET/xSCALE/NAME*.

    Raises:
        FileNotFoundError: there is none, or several.
    """
    place = folder / dataset / f"x{scale}"
    files = [path for path in sorted(place.glob(f"{name}*")) if path.suffix.lower() in sr.IMAGE_SUFFIXES]
    # img_1.png is meant where img_1.png and img_10.png are there
    chosen = [path for path in files if path.stem == name] or files
    if len(chosen) != 1:
        raise FileNotFoundError(f"{place} must hold one image whose name begins with {name}; it holds {len(files)}")
    return sr.read_image(chosen[0])[..., :3]


# -- Scores -------------------------------------------------------------------------------------------------


def score(
    answers: Sequence[np.ndarray], hr: np.ndarray, lr: np.ndarray, scale: int, *, niqe: bool | None = None
) -> dict[str, float]:
    """Mean scores of one or more answers to one LR image; NaN for what cannot be had.

    Args:
        answers: (s*H, s*W, 3) uint8, or float in [0, 1] neither clipped nor rounded.
        hr: the original, (s*H, s*W, 3).
        lr: (H, W, 3).
        scale: 4 or 8; PSNR, SSIM and NIQE leave out a border of as many pixels.
        niqe: whether to take NIQE; None takes it where its model is at hand.

    Returns:
        psnr and lr_psnr in dB, ssim, niqe (lower is better), diversity in percent (of two or more answers).
    """
    with_niqe = niqe_at_hand() if niqe is None else niqe
    rows = [
        metrics.fidelity(answer, hr, scale)
        | {"niqe": _niqe(answer, scale) if with_niqe else np.nan, "lr_psnr": metrics.lr_psnr(answer, lr, scale)}
        for answer in answers
    ]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return means | {"diversity": metrics.diversity(answers, hr) if len(answers) > 1 else np.nan}


@cache
def niqe_at_hand() -> bool:
    """Whether NIQE's model of natural photographs is at hand or can be downloaded; says so once if not."""
    try:
        metrics.natural_model()
    except RuntimeError as error:
        print(f"NIQE is left out: {error}", file=sys.stderr)
        return False
    return True


def _niqe(image: np.ndarray, border: int) -> float:
    try:
        return metrics.niqe(image, border)
    except ValueError:  # too small for two blocks
        return np.nan


def enlarge_set(model: sr.SRVAE, dataset: str = "bundled", **options: object) -> list[dict[str, float | str]]:
    """What the release's notebooks do: enlarge every image of a set and score it on Y.

    Args:
        model: from :func:`srvae_core.load_model`.
        dataset: a name of :func:`benchmarks.sets.image_names`.
        options: for :func:`srvae_core.super_resolve`.

    Returns:
        One row per image: image, bicubic, bicubic_ssim, psnr, ssim, lr_psnr, seconds; the averages last.
    """
    rows: list[dict[str, float | str]] = []
    scale = model.scale
    for name in image_names(dataset):
        hr, lr = pair(dataset, name, scale)
        start = time.perf_counter()
        answer = sr.super_resolve(lr, model, **options)
        seconds = time.perf_counter() - start
        bicubic = metrics.fidelity(sr.enlarge(lr, scale), hr, scale)
        row = {"bicubic": bicubic["psnr"], "bicubic_ssim": bicubic["ssim"], **metrics.fidelity(answer, hr, scale)}
        rows.append({"image": name, **row, "lr_psnr": metrics.lr_psnr(answer, lr, scale), "seconds": seconds})
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key != "image"}
    return [*rows, {"image": "average", **means}]


def print_rows(rows: list[dict[str, float | str]], **digits: int) -> None:
    """Print the columns named, each with so many digits: ``print_rows(rows, psnr=2, ssim=4)``."""
    print(" " * 16 + "".join(f"{name:>14}" for name in digits))
    for row in rows:
        print(f"{row['image']:16}" + "".join(f"{row[name]:14.{n}f}" for name, n in digits.items()))


# -- Jobs: the rows to be -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One row of the results to be.

    Attributes:
        method: "Bicubic", "SR-VAE-D", "SR-VAE-P" or a peer's name.
        settings: a name of :data:`SETTINGS`, or "files" for a peer.
        version: of this project, with the weights' for a model; empty for a peer.
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
    def key(self) -> tuple[str, ...]:
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
    def work(self) -> int:
        """Tenths of a default answer to one pixel; bicubic and files count as one answer, for scoring takes time."""
        return SETTINGS.get(self.settings, SETTINGS["default"]).work


def jobs(
    models: Sequence[str],
    sets: Sequence[str],
    settings: Sequence[str] = (),
    peers: Mapping[str, str] | None = None,
) -> list[Job]:
    """The rows that a call of :func:`evaluate` makes, round by round; no settings means those of :func:`plan`."""
    scales = {model: sr.load_model(model).scale for model in models}
    versions = {model: sr.weights_version(model) for model in models}
    planned = []
    for dataset in sets:
        # Bicubic and peers are measured at the models' scales; where no model is given, at all scales.
        for scale in sorted(set(scales.values())) or sr.SCALES:
            planned.append(Job("Bicubic", scale, dataset, "default", sr.__version__))
            for name, folder in (peers or {}).items():
                if Path(folder, dataset, f"x{scale}").is_dir():
                    planned.append(Job(name, scale, dataset, "files", "", peer=folder))
        for model in models:
            method = f"SR-VAE-{Path(model).stem.split('-')[-1]}"
            for chosen in settings or plan(dataset):
                planned.append(Job(method, scales[model], dataset, chosen, versions[model], model=model))
    # sorting is stable: within a round, jobs of one group stay together
    return sorted(planned, key=attrgetter("round"))


@cache
def pixels(dataset: str, scale: int) -> int:
    """The size of a set, its images cut to a multiple of the scale."""
    sides = (load_image(dataset, name).shape[:2] for name in image_names(dataset))
    return sum((h - h % scale) * (w - w % scale) for h, w in sides)


# -- Evaluation ---------------------------------------------------------------------------------------------


def evaluate(
    models: Sequence[str],
    sets: Sequence[str],
    *,
    settings: Sequence[str] = (),
    peers: Mapping[str, str] | None = None,
    results: Path = RESULTS,
    progress: bool = True,
    niqe: bool | None = None,
    answers: Callable[[sr.SRVAE, np.ndarray], Answers] = Answers,
) -> list[Row]:
    """Score models, bicubic and peers on image sets and put the rows into the results file.

    A row that is there already for the same version is kept. Single images of an interrupted row come from a file
    beside the results, so a call that is killed goes on where it was. Rows of a model evaluated here leave the file
    if they come from other weights than its present ones.

    Args:
        models: names or paths for ``load_model``; a path's variant is what follows the last hyphen.
        sets: names for :func:`benchmarks.sets.image_names`.
        settings: names from :data:`SETTINGS`; by default those of :func:`plan`.
        peers: name -> folder of another method's answers, SET/xSCALE/IMAGE.png.
        results: the CSV file.
        progress: show a bar, whose remaining time counts pixels and what the settings take.
        niqe: whether to take NIQE; None takes it where its model is at hand.
        answers: makes the answers of a model to an LR image, in the place of :class:`Answers`.

    Returns:
        All rows of the results file.

    Raises:
        SetMissingError: a set cannot be had; nothing has been computed then.
        ValueError: no such settings.
    """
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise ValueError(f"no settings {unknown[0]!r}; there are: {', '.join(SETTINGS)}")
    for dataset in sets:  # before anything is computed, for that may take hours
        fetch(dataset, progress)
    with_niqe = niqe_at_hand() if niqe is None else niqe  # asked once, so that all rows are alike
    wanted = jobs(models, sets, settings, peers)
    done = _kept_rows(read_csv(results), wanted)
    todo = [job for job in wanted if not _is_done(done.get(job.key), job, with_niqe)]
    scoring = _Scoring(results.with_suffix(".partial.csv"), with_niqe, answers)
    total = sum(pixels(job.dataset, job.scale) * job.work for job in todo)
    layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
    with tqdm(total=total, disable=not progress, bar_format=layout) as bar:
        for _, group in groupby(todo, key=attrgetter("group")):
            done |= {job.key: row for job, row in scoring.rows(list(group), bar)}
            # After each group: the figures read this file. A call that is killed loses no more than an image.
            write_csv(results, sorted(done.values(), key=_row_order), RESULT_COLUMNS)
    scoring.partial.unlink(missing_ok=True)
    return list(done.values())


def _kept_rows(rows: list[Row], wanted: list[Job]) -> dict[tuple[str, ...], Row]:
    """Rows of the results by key, without those that other weights of a wanted model gave."""
    versions = {(job.method, str(job.scale)): job.version for job in wanted if job.model}
    kept = (row for row in rows if versions.get((row["method"], row["scale"]), row["version"]) == row["version"])
    return {tuple(row[name] for name in KEY_COLUMNS): row for row in kept}


def _row_order(row: Row) -> tuple:
    """Rows of the results: by scale, set, method, and settings as in :data:`SETTINGS`."""
    order = {name: i for i, name in enumerate(SETTINGS)}
    return row["scale"], row["set"], row["method"], order.get(row["settings"], len(order))


def _is_done(row: Row | None, job: Job, with_niqe: bool) -> bool:
    """Whether the results have this row from the same weights, and with NIQE where that can be had."""
    fresh = row is not None and not job.peer and row["version"] == job.version
    return fresh and (bool(row["niqe"]) or not with_niqe)


@dataclass(frozen=True)
class _Scoring:
    """Computes rows image by image, each of which goes into the file of single images at once."""

    partial: Path
    with_niqe: bool
    answers: Callable[[sr.SRVAE, np.ndarray], Answers]

    def rows(self, group: list[Job], bar: tqdm) -> Iterator[tuple[Job, Row]]:
        """The rows of one method on one set; yields them when all images are done."""
        first = group[0]
        model = sr.load_model(first.model) if first.model else None
        if model:  # the first call also allocates, which is no part of the seconds
            sr.super_resolve(np.zeros((32, 32, 3), np.uint8), model)
        # a peer's files may have changed, and nothing about them says so
        kept = [] if first.peer else read_csv(self.partial)
        image_rows: dict[Job, list[Row]] = {job: [] for job in group}
        for name in image_names(first.dataset):
            hr, lr = pair(first.dataset, name, first.scale)
            answers_of = self.answers(model, lr) if model else None
            for job in group:
                bar.set_description(f"{job.method} {job.scale}x, {job.dataset}, {job.settings}")
                head = job.head | {"image": name}
                row = next((r for r in kept if head.items() <= r.items()), None)
                if row is None:
                    answers, seconds = _answers(job, name, lr, answers_of)
                    values = score(answers, hr, lr, job.scale, niqe=self.with_niqe) | {"seconds": seconds}
                    row = {k: str(v) for k, v in (head | {"megapixels": hr[..., 0].size / 1e6} | values).items()}
                    write_csv(self.partial, [*read_csv(self.partial), row], IMAGE_COLUMNS)
                image_rows[job].append(row)
                bar.update(hr[..., 0].size * job.work)
        for job, rows in image_rows.items():
            yield job, dict.fromkeys(RESULT_COLUMNS, "") | job.head | {"images": str(len(rows))} | _means(rows)


def _answers(job: Job, name: str, lr: np.ndarray, answers_of: Answers | None) -> tuple[list[np.ndarray], float]:
    """A job's answers to one image, and the seconds of one: NaN for a peer's, whose time is not known."""
    if answers_of:
        return answers_of(SETTINGS[job.settings])
    if job.peer:
        return [peer_answer(Path(job.peer), job.dataset, job.scale, name)], np.nan
    start = time.perf_counter()
    answer = sr.enlarge(lr, job.scale)
    return [answer], time.perf_counter() - start


def _means(rows: list[Row]) -> Row:
    """Means over images as text; seconds are those of one answer's megapixel."""
    values = {name: np.array([float(row[name]) for row in rows]) for name in (*SCORE_COLUMNS, "megapixels")}
    area = values.pop("megapixels").sum()
    # images too small for NIQE have none; the mean is over the others
    values = {name: v[~np.isnan(v)] for name, v in values.items()}
    means = {name: v.mean() if len(v) else np.nan for name, v in values.items()}
    if len(values["seconds"]):
        means["seconds"] = values["seconds"].sum() / area
    return {name: "" if np.isnan(v) else f"{v:.4f}" for name, v in means.items()}
