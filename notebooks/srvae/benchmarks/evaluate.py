"""Scores of models and of bicubic enlargement on image sets, written into data/results.csv.

rows = evaluate(["4x-D"], ["bundled", "Set5"])  # computes the rows that the file lacks
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

import srvae_core as sr
from srvae import metrics, release
from srvae.csvfiles import RESULTS, Row, check_writable, read_csv, weights_version, write_csv
from srvae.vgg import VGG19

from .sets import fetch, image_names, pair

DEFAULT_SETS = ("bundled", "Set5", "Set14")
SAMPLES_PER_IMAGE = 10
VGG_SAMPLES = 3  # of these have their VGG distance taken, which takes as long as a sample


@dataclass(frozen=True)
class Setting:
    """How a model is asked for an answer."""

    temperature: float | None = None  # None is the model's own
    as_float: bool = False  # neither clipped nor rounded to 8 bit
    self_ensemble: bool = False  # averaged over the 8 flips and rotations
    release: bool = False  # in the release's tiles, without back-projection


EVERYWHERE = ("default", "unrounded", "temperature 1")
WAYS = ("self-ensemble", "release tiling", "release tiling, self-ensemble")  # 3 to 25 times slower
WALK = {f"temperature {t:g}": Setting(temperature=t) for t in (0, 0.25, 0.5, 0.75, 1.25, 1.5)}
# data/results.csv contains these names.
SETTINGS = {
    "default": Setting(),
    "unrounded": Setting(as_float=True),
    "temperature 1": Setting(temperature=1.0),
    "self-ensemble": Setting(self_ensemble=True),
    "release tiling": Setting(release=True, as_float=True),
    **WALK,
    "release tiling, self-ensemble": Setting(release=True, as_float=True, self_ensemble=True),
}
# The bundled photographs are large enough for NIQE; the release prints its scores of Set5.
SET_SETTINGS = {"bundled": (*EVERYWHERE, *WALK), "Set5": (*EVERYWHERE, *WAYS)}


@dataclass(frozen=True)
class Method:
    """A model, or bicubic enlargement."""

    name: str
    scale: int
    version: str = ""
    model: sr.SRVAE | None = None


def named_method(model: str) -> Method:
    """Load a model by name or path; the text after the last hyphen is its variant."""
    loaded = sr.load_model(model)
    sr.super_resolve(np.zeros((32, 32, 3), np.uint8), loaded)  # the first call also allocates, which takes longer
    return Method(f"SR-VAE-{Path(model).stem.split('-')[-1]}", loaded.scale, weights_version(model), loaded)


def answer(method: Method, lr: np.ndarray, setting: Setting) -> tuple[list[np.ndarray], float]:
    """Return a method's answers to an LR image, several at temperatures above 0, and the seconds of the first."""
    model, options = method.model, {"temperature": setting.temperature, "as_float": setting.as_float}
    sampler, start = None, time.perf_counter()
    if model is None:
        first = sr.enlarge(lr, method.scale)
    elif setting.release:
        first = release.super_resolve(lr, model, self_ensemble=setting.self_ensemble, **options)
    elif setting.self_ensemble:
        first = release.self_ensemble(lr, model, **options)
    else:
        options["temperature"] = model.temperature if setting.temperature is None else setting.temperature
        sampler = sr.Sampler(model, lr)
        first = sampler(0, **options)
    seconds = time.perf_counter() - start
    more = range(1, SAMPLES_PER_IMAGE) if setting.temperature else ()
    answers = [first, *(sampler(seed, **options) for seed in more)]
    return [x.clip(*sr.FLOAT_RANGE) if setting.as_float else x for x in answers], seconds


@cache
def niqe_at_hand() -> bool:
    """Return whether NIQE's model is at hand or can be downloaded; print the reason once if not."""
    try:
        metrics.natural_model()
    except RuntimeError as error:
        print(f"NIQE is left out: {error}", file=sys.stderr)
        return False
    return True


def niqe(image: np.ndarray, border: int) -> float:
    """Return the NIQE of an image without its border; NaN if NIQE's model is missing or the image is too small."""
    try:
        return metrics.niqe(image, border) if niqe_at_hand() else np.nan
    except ValueError:
        return np.nan


def score(
    answers: Sequence[np.ndarray], hr: np.ndarray, lr: np.ndarray, scale: int, vgg: VGG19 | None = None
) -> dict[str, float]:
    """Return the mean scores of answers, (s*H, s*W, 3), to an LR image; NaN for a score that cannot be computed.

    PSNR, SSIM, NIQE and VGG distance leave out a border as wide as the scale. The VGG distance is that of the first
    :data:`VGG_SAMPLES` answers. Diversity needs two or more.
    """
    fidelity = [metrics.fidelity(image, hr, scale) for image in answers]
    return {
        "psnr": float(np.mean([row["psnr"] for row in fidelity])),
        "ssim": float(np.mean([row["ssim"] for row in fidelity])),
        "niqe": float(np.mean([niqe(image, scale) for image in answers])),
        "vgg": float(np.mean(vgg.distances(answers[:VGG_SAMPLES], hr, scale))) if vgg else np.nan,
        "lr_psnr": float(np.mean([metrics.lr_psnr(image, lr, scale) for image in answers])),
        "diversity": metrics.diversity(answers, hr) if len(answers) > 1 else np.nan,
    }


def score_set(method: Method, dataset: str, setting: Setting, vgg: VGG19 | None, names: Iterable[str]) -> Row:
    """Return the mean scores of some images of a set as text: blank without a score, seconds for a megapixel."""
    rows, pixels = [], 0
    for name in names:
        hr, lr = pair(dataset, name, method.scale)
        answers, seconds = answer(method, lr, setting)
        rows.append(score(answers, hr, lr, method.scale, vgg) | {"seconds": seconds})
        pixels += hr.shape[0] * hr.shape[1]
    means = {"images": str(len(rows))}
    for name in rows[0]:
        values = [row[name] for row in rows if not np.isnan(row[name])]
        mean = sum(values) / pixels * 1e6 if name == "seconds" else np.mean(values) if values else np.nan
        means[name] = "" if np.isnan(mean) else f"{mean:.4f}"
    return means


def evaluate(
    models: Sequence[str],
    sets: Sequence[str],
    *,
    settings: Sequence[str] = (),
    scales: Sequence[int] = (),
    results: Path = RESULTS,
    progress: bool = True,
    vgg: str | Path | None = None,
) -> list[Row]:
    """Score models and bicubic enlargement on image sets, and write each row into the results file at once.

    A row of the same weights and number of images is kept, unless it lacks a score that can be computed now. Rows of
    other weights of these models are removed.

    Args:
        models: names or paths for ``load_model``.
        sets: names for :func:`benchmarks.sets.image_names`.
        settings: names from :data:`SETTINGS`, by default those of :data:`SET_SETTINGS`.
        scales: of bicubic enlargement, by default those of the models, or all without models.
        results: the CSV file.
        progress: show a progress bar for each row.
        vgg: a VGG-19 file (see :class:`vgg.VGG19`) for the VGG distance of 8-bit answers.

    Returns:
        All rows of the results file.

    Raises:
        SetMissingError: a set cannot be read or downloaded.
        OSError, ValueError: a model, a setting or a file is missing or damaged.
    """
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise ValueError(f"there is no setting {unknown[0]!r}; there are: {', '.join(SETTINGS)}")
    network = VGG19(vgg) if vgg else None
    methods = [named_method(name) for name in models]
    scales = sorted(set(scales) or {method.scale for method in methods} or sr.SCALES)
    methods = [Method("Bicubic", scale) for scale in scales] + methods
    for dataset in sets:
        fetch(dataset)
    check_writable(results)
    versions = {(method.name, str(method.scale)): method.version for method in methods}
    rows = {(row["method"], row["scale"], row["set"], row["settings"]): row for row in read_csv(results)}
    rows = {key: row for key, row in rows.items() if row["version"] == versions.get(key[:2], row["version"])}
    for dataset, method in product(sets, methods):
        images, chosen = image_names(dataset), settings or SET_SETTINGS.get(dataset, EVERYWHERE)
        for name in chosen if method.model else ["default"]:
            distance = None if SETTINGS[name].as_float else network
            wanted = [score for score, can in (("niqe", niqe_at_hand()), ("vgg", distance)) if can]
            key = (method.name, str(method.scale), dataset, name)
            old = rows.get(key)
            if old and old["images"] == str(len(images)) and all(old[score] for score in wanted):
                continue
            bar = sr.progress_bar(images, f"{method.scale}x {method.name}, {dataset}, {name}", disable=not progress)
            head = {"method": method.name, "scale": str(method.scale), "set": dataset}
            scores = score_set(method, dataset, SETTINGS[name], distance, bar)
            rows[key] = head | scores | {"settings": name, "version": method.version}
            write_csv(results, in_order(rows.values()))
    return in_order(rows.values())


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Sort rows by scale, set, method and setting."""
    order = {name: i for i, name in enumerate(SETTINGS)}
    return sorted(rows, key=lambda r: (r["scale"], r["set"], r["method"], order.get(r["settings"], len(order))))


def enlarge_set(
    model: sr.SRVAE, dataset: str = "bundled", *, edge: int | None = None, **options: object
) -> list[dict[str, float | str]]:
    """Enlarge every image of a set and score it on Y, as the release's notebooks do.

    Args:
        model: from :func:`srvae_core.load_model`.
        dataset: a name for :func:`benchmarks.sets.image_names`.
        edge: crop each image to its middle, at most so many pixels a side, a multiple of the scale; None keeps all.
        options: for :func:`srvae_core.super_resolve`.

    Returns:
        Rows of image, bicubic, bicubic_ssim, psnr, ssim, lr_psnr and seconds; the last row is the mean.
    """
    rows: list[dict[str, float | str]] = []
    scale = model.scale
    for name in image_names(dataset):
        hr, lr = pair(dataset, name, scale)
        if edge is not None:
            hr = metrics.cut_to_middle(hr, edge)
            lr = sr.downscale(hr, scale)
        start = time.perf_counter()
        enlarged = sr.super_resolve(lr, model, **options)
        seconds = time.perf_counter() - start
        bicubic = metrics.fidelity(sr.enlarge(lr, scale), hr, scale)
        row = {"bicubic": bicubic["psnr"], "bicubic_ssim": bicubic["ssim"], **metrics.fidelity(enlarged, hr, scale)}
        rows.append({"image": name, **row, "lr_psnr": metrics.lr_psnr(enlarged, lr, scale), "seconds": seconds})
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key != "image"}
    return [*rows, {"image": "average", **means}]


def print_rows(rows: list[dict[str, float | str]], **digits: int) -> None:
    """Print some columns with so many digits each: ``print_rows(rows, psnr=2, ssim=4)``."""
    print(" " * 16 + "".join(f"{name:>14}" for name in digits))
    for row in rows:
        print(f"{row['image']:16}" + "".join(f"{row[name]:14.{n}f}" for name, n in digits.items()))
