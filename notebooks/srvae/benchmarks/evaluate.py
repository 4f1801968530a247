"""Scores of models, bicubic and other methods on image sets, into data/results.csv.

    rows = evaluate(["4x-D"], ["bundled", "Set5"])  # what is there already is kept, what was interrupted goes on

The tables of the README and the figures read that file and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np
from tqdm import tqdm

import srvae_core as sr
from srvae import metrics
from srvae.csvfiles import RESULTS, Row, check_writable
from srvae.vgg import distance_network

from .answers import SETTINGS, Answers
from .jobs import Job, jobs, measured_models, scales_of
from .peers import named_peers, wrong_answers
from .results import ImageRows, Key, in_order, key_of, read_results, write_results
from .scoring import Scoring, niqe_at_hand, pixels_of, smallest_original
from .sets import Size, fetch, image_sizes, pair

DEFAULT_SETS = ("bundled", "Set5", "Set14")  # evaluated unless told otherwise


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


def enlarge_set(
    model: sr.SRVAE, dataset: str = "bundled", *, edge: int | None = None, **options: object
) -> list[dict[str, float | str]]:
    """What the release's notebooks do: enlarge every image of a set and score it on Y; in float32, as in the tables.

    Args:
        model: from :func:`srvae_core.load_model`.
        dataset: a name of :func:`benchmarks.sets.image_names`.
        edge: take the middle of each image, at most so many pixels a side, a multiple of the scale; None takes all.
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
        if edge is not None:
            hr = metrics.cut_to_middle(hr, edge)
            lr = sr.downscale(hr, scale)
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
    vgg: str | Path | None = None,
    answers: Callable[[sr.SRVAE, np.ndarray], Answers] = Answers,
) -> list[Row]:
    """Score models, bicubic and peers on image sets and put the rows into the results file.

    A row that is there already for the same version is kept. Single images of an interrupted row come from a file
    beside the results, so a call that is killed goes on where it was. Rows of a model evaluated here leave the file
    if they come from other weights than its present ones. A row that lacks NIQE or the VGG distance, where that can be
    had now, is completed: its answers are computed again, and its seconds stay.

    Args:
        models: names or paths for ``load_model``; a path's variant is what follows the last hyphen.
        sets: names for :func:`benchmarks.sets.image_names`.
        settings: names from :data:`benchmarks.answers.SETTINGS`; by default those of :func:`benchmarks.answers.plan`.
        peers: name -> folder of another method's answers (see :mod:`benchmarks.peers`), to all sets at all scales.
        scales: at which bicubic and peers are measured; by default the models', or all if there is no model.
        results: the CSV file.
        progress: show a bar, whose remaining time counts pixels and what the settings take.
        niqe: whether to take NIQE; None takes it where its model is at hand.
        vgg: a VGG-19 file (see :class:`vgg.VGG19`) for the VGG distance of 8-bit answers; None leaves it out. Another
            file gives other distances, so all rows of a results file should be of one.
        answers: makes the answers of a model to an LR image, in the place of :class:`benchmarks.answers.Answers`.

    Returns:
        All rows of the results file.

    Raises:
        SetMissingError: a set cannot be had.
        FileNotFoundError, ValueError: no such model, settings or scale; originals or answers of a peer that are
            missing, damaged or of a wrong size, each of which is named; a damaged results file.
        OSError: the results file cannot be written.
        Nothing has been computed then, unless a disk fills up or a file vanishes meanwhile.
    """
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise ValueError(f"no settings {unknown[0]!r}; there are: {', '.join(SETTINGS)}")
    peers = named_peers((peers or {}).items())
    measured = measured_models(models)
    scales = scales_of(measured, scales)
    network = distance_network(vgg) if vgg else None
    check_writable(results)
    rows, images = read_results(results), ImageRows(results)
    sizes = _checked_sizes(sets, scales, peers, progress)
    with_niqe = niqe_at_hand() if niqe is None else niqe  # asked once, so that all rows are alike
    wanted = jobs(measured, sets, settings, peers, scales)
    scoring = Scoring(images, sizes, with_niqe, network, answers)
    done = _fill(results, _kept_rows(rows, wanted), wanted, scoring, progress)
    return in_order(done.values())


def _fill(results: Path, done: dict[Key, Row], wanted: list[Job], scoring: Scoring, progress: bool) -> dict[Key, Row]:
    """Compute the rows that are not done, and write the results after each group."""
    todo = [job for job in wanted if not scoring.is_done(done.get(job.key), job)]
    scoring.images.forget(job.head for job in wanted if job not in todo)
    total = sum(pixels_of(scoring.sizes[job.dataset].values(), job.scale) * job.work for job in todo)
    layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
    with tqdm(total=total, disable=not progress, bar_format=layout) as bar:
        for _, group in groupby(todo, key=attrgetter("group")):
            made = {job.key: _completed(done.get(job.key), row) for job, row in scoring.rows(list(group), bar)}
            done |= made
            # After each group: the figures read this file. A call that is killed loses no more than an image.
            write_results(results, done.values())
            scoring.images.forget(made.values())
    return done


def _completed(before: Row | None, row: Row) -> Row:
    """A new row; of the same answers' earlier one it keeps the seconds, so that times of one run stay together.

    It also keeps what this call cannot take again, for want of a file.
    """
    if before is None or any(before[name] != row[name] for name in ("version", "images")):
        return row
    return {name: value or before[name] for name, value in row.items()} | {"seconds": before["seconds"]}


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
