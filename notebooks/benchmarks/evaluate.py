"""Scores of models, bicubic and other methods on image sets, into data/results.csv.

    rows = evaluate(["4x-D"], ["bundled", "Set5"])  # what is there already is kept, what was interrupted goes on

The tables of the README and the figures read that file and nothing else.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import metrics
import numpy as np
from csvfiles import RESULTS, Row, check_writable, only_writer
from tqdm import tqdm

import srvae_core as sr

from .answers import SETTINGS, Answers
from .jobs import Job, jobs, measured_models, scales_of
from .peers import named_peers, peer_answer, wrong_answers
from .results import RESULT_COLUMNS, SCORE_COLUMNS, ImageRows, Key, in_order, key_of, read_results, write_results
from .sets import Size, cropped, fetch, image_sizes, pair

DEFAULT_SETS = ("bundled", "Set5", "Set14")  # evaluated unless told otherwise


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


def smallest_original(scale: int) -> int:
    """The shortest side in pixels, cut to a multiple of the scale, that can be scored: SSIM needs its window."""
    return -(-(metrics.SSIM_WINDOW + 2 * scale) // scale) * scale


def check_originals(sizes: Mapping[str, Mapping[str, Size]], scales: Iterable[int]) -> None:
    """Make sure that every original can be scored.

    Args:
        sizes: set -> image -> height and width.
        scales: at which it is to be.

    Raises:
        ValueError: some are too small; the message names each.
    """
    scale = max(scales)
    least = smallest_original(scale)
    small = [
        f"{name} of {dataset} has {height}x{width}"
        for dataset, images in sizes.items()
        for name, (height, width) in images.items()
        if min(height, width) < least
    ]
    if small:
        raise ValueError(f"at {scale}x an original needs {least}x{least} pixels to be scored: {'; '.join(small)}")


def enlarge_set(model: sr.SRVAE, dataset: str = "bundled", **options: object) -> list[dict[str, float | str]]:
    """What the release's notebooks do: enlarge every image of a set and score it on Y; in float32, as in the tables.

    Args:
        model: from :func:`srvae_core.load_model`.
        dataset: a name of :func:`benchmarks.sets.image_names`.
        options: for :func:`srvae_core.super_resolve`.

    Returns:
        One row per image: image, bicubic, bicubic_ssim, psnr, ssim, lr_psnr, seconds; the averages last.

    Raises:
        SetMissingError: the set cannot be had.
        ValueError: an original cannot be read or is too small, before anything is computed.
    """
    rows: list[dict[str, float | str]] = []
    scale = model.scale
    sizes = image_sizes(dataset)
    check_originals({dataset: sizes}, [scale])
    for name in sizes:
        hr, lr = pair(dataset, name, scale)
        start = time.perf_counter()
        answer = sr.super_resolve(lr, model, precision="float32", **options)
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


# -- Evaluation ---------------------------------------------------------------------------------------------


def evaluate(
    models: Sequence[str],
    sets: Sequence[str],
    *,
    settings: Sequence[str] = (),
    peers: Mapping[str, str] | None = None,
    scales: Sequence[int] = (),
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
        settings: names from :data:`benchmarks.answers.SETTINGS`; by default those of :func:`benchmarks.answers.plan`.
        peers: name -> folder of another method's answers (see :mod:`benchmarks.peers`), to all sets at all scales.
        scales: at which bicubic and peers are measured; by default the models', or all if there is no model.
        results: the CSV file.
        progress: show a bar, whose remaining time counts pixels and what the settings take.
        niqe: whether to take NIQE; None takes it where its model is at hand.
        answers: makes the answers of a model to an LR image, in the place of :class:`benchmarks.answers.Answers`.

    Returns:
        All rows of the results file.

    Raises:
        SetMissingError: a set cannot be had.
        FileNotFoundError, ValueError: no such model, settings or scale; originals or answers of a peer that are
            missing, damaged or of a wrong size, each of which is named; a damaged results file.
        csvfiles.InUseError, OSError: another process writes the results file, or it cannot be written.
        Nothing has been computed then, unless a disk fills up or a file vanishes meanwhile.
    """
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise ValueError(f"no settings {unknown[0]!r}; there are: {', '.join(SETTINGS)}")
    peers = named_peers((peers or {}).items())
    measured = measured_models(models)
    scales = scales_of(measured, scales)
    check_writable(results)
    with only_writer(results):
        rows, images = read_results(results), ImageRows(results)
        sizes = _checked_sizes(sets, scales, peers, progress)
        with_niqe = niqe_at_hand() if niqe is None else niqe  # asked once, so that all rows are alike
        wanted = jobs(measured, sets, settings, peers, scales)
        done = _fill(results, _kept_rows(rows, wanted), wanted, _Scoring(images, sizes, with_niqe, answers), progress)
    return in_order(done.values())


def _fill(results: Path, done: dict[Key, Row], wanted: list[Job], scoring: _Scoring, progress: bool) -> dict[Key, Row]:
    """Compute the rows that are not done, and write the results after each group."""
    todo = [job for job in wanted if not scoring.is_done(done.get(job.key), job)]
    scoring.images.forget(job.head for job in wanted if job not in todo)
    total = sum(_pixels(scoring.sizes[job.dataset].values(), job.scale) * job.work for job in todo)
    layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
    with tqdm(total=total, disable=not progress, bar_format=layout) as bar:
        for _, group in groupby(todo, key=attrgetter("group")):
            made = {job.key: row for job, row in scoring.rows(list(group), bar)}
            done |= made
            # After each group: the figures read this file. A call that is killed loses no more than an image.
            write_results(results, done.values())
            scoring.images.forget(made.values())
    return done


def _checked_sizes(
    sets: Sequence[str], scales: Sequence[int], peers: Mapping[str, str], progress: bool
) -> dict[str, dict[str, Size]]:
    """Set -> image -> height and width, once all originals and all peers' answers are known to be fit."""
    for dataset in sets:
        fetch(dataset, progress)
    sizes = {dataset: image_sizes(dataset) for dataset in sets}
    check_originals(sizes, scales)
    _check_answers(peers, sizes, scales)
    return sizes


def _check_answers(peers: Mapping[str, str], sizes: Mapping[str, Mapping[str, Size]], scales: Sequence[int]) -> None:
    """Raise ValueError, naming every file, where peers' answers are missing, damaged or of a wrong size."""
    wrong = [
        phrase
        for folder in peers.values()
        for dataset, images in sizes.items()
        for scale in scales
        for phrase in wrong_answers(Path(folder), dataset, scale, images)
    ]
    if wrong:
        asked = f"{', '.join(sizes)} at {' and '.join(f'{scale}x' for scale in scales)}"
        raise ValueError(
            f"a peer needs an answer FOLDER/SET/xSCALE/IMAGE.png to every image of {asked} "
            f"(--sets and --scales choose these): {'; '.join(wrong)}"
        )


def _kept_rows(rows: list[Row], wanted: list[Job]) -> dict[Key, Row]:
    """Rows of the results by key, without those that other weights of a wanted model gave."""
    versions = {(job.method, str(job.scale)): job.version for job in wanted if job.model}
    kept = (row for row in rows if versions.get((row["method"], row["scale"]), row["version"]) == row["version"])
    return {key_of(row): row for row in kept}


def _pixels(sizes: Iterable[Size], scale: int) -> int:
    """How many pixels some originals have, cut to a multiple of the scale."""
    return sum(height * width for height, width in (cropped(size, scale) for size in sizes))


@dataclass(frozen=True)
class _Scoring:
    """Computes rows image by image, each of which goes into the file of single images at once."""

    images: ImageRows
    sizes: Mapping[str, Mapping[str, Size]]  # set -> image -> height and width
    with_niqe: bool
    answers: Callable[[sr.SRVAE, np.ndarray], Answers]

    def is_done(self, row: Row | None, job: Job) -> bool:
        """Whether the results have this row from the same weights or files, of all images, with NIQE if that can be."""
        sizes = self.sizes[job.dataset]
        if row is None or (row["version"], row["images"]) != (job.version, str(len(sizes))):
            return False
        fit = any(metrics.niqe_fits(cropped(size, job.scale), job.scale) for size in sizes.values())
        return row["niqe"] != "" or not (fit and self.with_niqe)

    def rows(self, group: list[Job], bar: tqdm) -> Iterator[tuple[Job, Row]]:
        """The rows of one method on one set; yields them when all images are done."""
        first, model = group[0], None
        image_rows: dict[Job, list[Row]] = {job: [] for job in group}
        for number, (name, size) in enumerate(self.sizes[first.dataset].items(), 1):
            pixels = _pixels([size], first.scale)
            for job in group:  # what an interrupted call left
                kept = self.images.find(job.head, name, pixels / 1e6, with_niqe=self.with_niqe)
                if kept:
                    image_rows[job].append(kept)
                    bar.update(pixels * job.work)
            lacking = [job for job in group if len(image_rows[job]) < number]
            if lacking:
                model = model or _ready_model(first.model)
                hr, lr = pair(first.dataset, name, first.scale)
                answers_of = self.answers(model, lr) if model else None
            for job in lacking:
                bar.set_description(f"{job.method} {job.scale}x, {job.dataset}, {job.settings}")
                image_rows[job].append(self._scored(job, name, hr, lr, answers_of))
                bar.update(pixels * job.work)
        for job, rows in image_rows.items():
            yield job, dict.fromkeys(RESULT_COLUMNS, "") | job.head | {"images": str(len(rows))} | _means(rows)

    def _scored(self, job: Job, name: str, hr: np.ndarray, lr: np.ndarray, answers_of: Answers | None) -> Row:
        """The row of one image, computed, and put into the file of single images."""
        answers, seconds = _answers(job, name, lr, answers_of)
        values = score(answers, hr, lr, job.scale, niqe=self.with_niqe) | {"seconds": seconds}
        if not self.with_niqe:
            values["niqe"] = ""  # not asked for, which is something else than NaN: asked for, but not to be had
        row = job.head | {"image": name, "megapixels": hr[..., 0].size / 1e6} | values
        row = {column: str(value) for column, value in row.items()}
        self.images.add(row)
        return row


def _ready_model(name: str) -> sr.SRVAE | None:
    """A model that has answered once, since the first call also allocates, which is no part of the seconds."""
    if not name:
        return None
    model = sr.load_model(name)
    sr.super_resolve(np.zeros((32, 32, 3), np.uint8), model, precision="float32")
    return model


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
    values = {name: np.array([float(row[name] or "nan") for row in rows]) for name in (*SCORE_COLUMNS, "megapixels")}
    area = values.pop("megapixels").sum()
    # images too small for NIQE have none; the mean is over the others
    values = {name: v[~np.isnan(v)] for name, v in values.items()}
    means = {name: v.mean() if len(v) else np.nan for name, v in values.items()}
    if len(values["seconds"]):
        means["seconds"] = values["seconds"].sum() / area
    return {name: "" if np.isnan(v) else f"{v:.4f}" for name, v in means.items()}
