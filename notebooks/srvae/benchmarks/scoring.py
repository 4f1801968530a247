"""Rows of the results, computed: the scores of answers, image by image, and their means.

score([answer], hr, lr, 4)["psnr"]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

import srvae_core as sr
from srvae import csvfiles, metrics
from srvae.csvfiles import Row
from srvae.vgg import VGG19

from .answers import VGG_SAMPLES, Answers
from .jobs import Job
from .peers import peer_answer
from .results import RESULT_COLUMNS, SCORE_COLUMNS, ImageRows
from .sets import Size, cropped, pair


def score(
    answers: Sequence[np.ndarray],
    hr: np.ndarray,
    lr: np.ndarray,
    scale: int,
    *,
    niqe: bool | None = None,
    vgg: VGG19 | None = None,
) -> dict[str, float]:
    """Mean scores of one or more answers to one LR image; NaN for what cannot be had.

    Args:
        answers: (s*H, s*W, 3) uint8, or float in [0, 1] neither clipped nor rounded.
        hr: the original, (s*H, s*W, 3).
        lr: (H, W, 3).
        scale: 4 or 8; PSNR, SSIM, NIQE and the VGG distance leave out a border of as many pixels.
        niqe: whether to take NIQE; None takes it where its model is at hand.
        vgg: for the VGG distance, of the first :data:`benchmarks.answers.VGG_SAMPLES` answers; None leaves it out.

    Returns:
        psnr and lr_psnr in dB, ssim, niqe and vgg (lower is better), diversity in percent (of two or more answers).
    """
    with_niqe = niqe_at_hand() if niqe is None else niqe
    rows = [
        metrics.fidelity(answer, hr, scale)
        | {"niqe": _niqe(answer, scale) if with_niqe else np.nan, "lr_psnr": metrics.lr_psnr(answer, lr, scale)}
        for answer in answers
    ]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    means["vgg"] = float(np.mean(vgg.distances(answers[:VGG_SAMPLES], hr, scale))) if vgg else np.nan
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


def pixels_of(sizes: Iterable[Size], scale: int) -> int:
    """How many pixels some originals have, cut to a multiple of the scale."""
    return sum(height * width for height, width in (cropped(size, scale) for size in sizes))


@dataclass(frozen=True)
class Scoring:
    """Computes rows image by image, each of which goes into the file of single images at once."""

    images: ImageRows
    sizes: Mapping[str, Mapping[str, Size]]  # set -> image -> height and width
    with_niqe: bool
    vgg: VGG19 | None
    answers: Callable[[sr.SRVAE, np.ndarray], Answers]

    def asked(self, job: Job) -> list[str]:
        """The scores of a row that not every call takes; the VGG distance is that of 8-bit answers."""
        wanted = {"niqe": self.with_niqe, "vgg": self.vgg is not None and not job.request.as_float}
        return [name for name, it_is in wanted.items() if it_is]

    def is_done(self, row: Row | None, job: Job) -> bool:
        """Whether the results have this row from the same weights or files, of all images, with what can be had."""
        sizes = self.sizes[job.dataset]
        if row is None or (row["version"], row["images"]) != (job.version, str(len(sizes))):
            return False
        fit = any(metrics.niqe_fits(cropped(size, job.scale), job.scale) for size in sizes.values())
        return all(row[name] != "" for name in self.asked(job) if fit or name != "niqe")

    def rows(self, group: list[Job], bar: tqdm) -> Iterator[tuple[Job, Row]]:
        """The rows of one method on one set; yields them when all images are done."""
        first, model = group[0], None
        image_rows: dict[Job, list[Row]] = {job: [] for job in group}
        for number, (name, size) in enumerate(self.sizes[first.dataset].items(), 1):
            pixels = pixels_of([size], first.scale)
            for job in group:  # what an interrupted call left
                kept = self.images.find(job.head, name, pixels / 1e6, self.asked(job))
                if kept:
                    image_rows[job].append(kept)
                    bar.update(pixels * job.work)
            lacking = [job for job in group if len(image_rows[job]) < number]
            if lacking:
                model = model or _ready_model(first)
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
        asked = self.asked(job)
        vgg = self.vgg if "vgg" in asked else None
        values = score(answers, hr, lr, job.scale, niqe="niqe" in asked, vgg=vgg) | {"seconds": seconds}
        # not asked for is blank, which is something else than NaN: asked for, but not to be had
        values |= {name: "" for name in ("niqe", "vgg") if name not in asked}
        row = job.head | {"image": name, "megapixels": hr[..., 0].size / 1e6} | values
        row = {column: str(value) for column, value in row.items()}
        self.images.add(row)
        return row


def _ready_model(job: Job) -> sr.SRVAE | None:
    """A job's model, which has answered once, since the first call also allocates, which is no part of the seconds.

    Raises:
        ValueError: its weights are no longer those that its rows are of.
    """
    if not job.model:
        return None
    model = sr.load_model(job.model)
    if not job.version.startswith(csvfiles.weights_version(job.model)):
        raise ValueError(f"the weights of {job.model} were replaced meanwhile: give the command again")
    sr.super_resolve(np.zeros((32, 32, 3), np.uint8), model)
    return model


def _answers(job: Job, name: str, lr: np.ndarray, answers_of: Answers | None) -> tuple[list[np.ndarray], float]:
    """A job's answers to one image, and the seconds of one: NaN for a peer's, whose time is not known."""
    if answers_of:
        return answers_of(job.request)
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
