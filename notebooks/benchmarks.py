"""Benchmarks: image sets by name, speed, memory, and the scores of data/results.csv.

python notebooks/benchmarks.py evaluate    # all that README and figures need, into data/results.csv; resumes
python notebooks/benchmarks.py readme      # the tables of data/results.csv, into README.md
python notebooks/benchmarks.py speed       # milliseconds of whole and release tiling, of a slider step
python notebooks/benchmarks.py memory      # peak memory of large answers, each in a process of its own

Evaluation takes the bundled photographs, Set5 and Set14, with the settings of `plan`. Benchmark images are
downloaded, or read from the folder that the environment variable SRVAE_BENCHMARKS names; NIQE's model of natural
photographs likewise, or from the file SRVAE_NIQE.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby, product
from pathlib import Path

import numpy as np
import pooch
import torch
from skimage import data as photographs
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the core, where it is not installed
import niqe  # noqa: E402

import srvae_core as sr  # noqa: E402

RESULTS = ROOT / "data" / "results.csv"
PUBLISHED = ROOT / "data" / "published_table.csv"
PRINTED = ROOT / "data" / "release_notebooks.csv"  # what the release's two notebooks print
REGISTRY = ROOT / "data" / "registry.csv"
README = ROOT / "README.md"

Row = dict[str, str]  # of a CSV file

# ---------------------------------------------------------------------------------------------------------
# Image sets by name
# ---------------------------------------------------------------------------------------------------------

SOURCE = "https://raw.githubusercontent.com/jbhuang0604/SelfExSR/8f6dd8c1d20cb7e8792a7177b4f6fd677633f598/"
BUNDLED = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


class SetMissingError(RuntimeError):
    """An image set can neither be read nor downloaded; the message says what to do."""


def bundled(name: str) -> np.ndarray:
    """One of scikit-image's photographs that come with its package, (H, W, 3) uint8."""
    if name not in BUNDLED:
        raise ValueError(f"{name!r} is none of the bundled photographs ({', '.join(BUNDLED)})")
    return photographs.stereo_motorcycle()[0] if name == "motorcycle_left" else getattr(photographs, name)()


def registry() -> dict[str, list[Row]]:
    """The downloadable sets: name -> rows of data/registry.csv (image, path, sha256)."""
    sets: dict[str, list[Row]] = {}
    for row in read_csv(REGISTRY):
        sets.setdefault(row["dataset"], []).append(row)
    return sets


def benchmark_image(dataset: str, image: str) -> np.ndarray:
    """One original of a set in the registry, (H, W, 3): the local folder's file or a download.

    Raises:
        KeyError: the registry has no such image.
        SetMissingError: it can be had neither way.
    """
    row = next((r for r in registry().get(dataset, []) if r["image"] == image), None)
    if row is None:
        raise KeyError(f"data/registry.csv has no image {image!r} of a set {dataset!r}")
    return sr.read_image(_local(dataset, image) or _download(row))[..., :3]


def image_names(dataset: str) -> list[str]:
    """The images of a set, in order, without their endings.

    Raises:
        SetMissingError: the name is neither "bundled", nor in the registry, nor a folder of SRVAE_BENCHMARKS.
    """
    if dataset == "bundled":
        return list(BUNDLED)
    if dataset in registry():
        return [Path(row["image"]).stem for row in registry()[dataset]]
    folder = Path(os.environ.get("SRVAE_BENCHMARKS", "")) / dataset
    names = sorted(p.stem for p in folder.glob("*") if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if "SRVAE_BENCHMARKS" not in os.environ or not names:
        known = ", ".join(["bundled", *registry()])
        raise SetMissingError(
            f"no image set {dataset!r}: known are {known}; for any other, put its images into a folder "
            f"{dataset} and set SRVAE_BENCHMARKS to the folder around it"
        )
    return names


def load_image(dataset: str, name: str) -> np.ndarray:
    """One original of any set, (H, W, 3), by the names of :func:`image_names`."""
    if dataset == "bundled":
        return bundled(name)
    if dataset in registry():
        return benchmark_image(dataset, f"{name}.png")
    folder = Path(os.environ["SRVAE_BENCHMARKS"]) / dataset
    return sr.read_image(next(p for p in sorted(folder.glob(f"{name}.*")) if p.suffix.lower() in SUFFIXES))[..., :3]


def pair(dataset: str, name: str, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """An original of any set, cut to a multiple of the scale, and its LR image, each (H, W, 3)."""
    hr = sr.crop_to_multiple(load_image(dataset, name), scale)
    return hr, sr.downscale(hr, scale)


def fetch(dataset: str, progress: bool = True) -> None:
    """Make sure that every image of a set is at hand, downloading what is not.

    Raises:
        SetMissingError: something can be had neither way.
    """
    names = image_names(dataset)
    if dataset in registry():
        missing = [r for r in registry()[dataset] if not _local(dataset, r["image"])]
        for row in tqdm(missing, f"{dataset}, {len(names)} images", disable=not progress or not missing, unit="file"):
            _download(row)


def at_hand(sets: Sequence[str]) -> list[str]:
    """Those of the sets that can be read or downloaded; says of the others what to do."""
    found = []
    for dataset in sets:
        try:
            fetch(dataset)
        except SetMissingError as error:
            print(f"{dataset} is left out: {error}", file=sys.stderr)
        else:
            found.append(dataset)
    return found


def _local(dataset: str, image: str) -> Path | None:
    folder = os.environ.get("SRVAE_BENCHMARKS")
    path = Path(folder or "", dataset, image)
    return path if folder and path.is_file() else None


def _download(row: Row) -> Path:
    """Download a file of the registry unless it is in the cache (SRVAE_CACHE or the user's); checks its sha256."""
    store = pooch.create(
        pooch.os_cache("srvae"),
        SOURCE,
        registry={row["path"]: f"sha256:{row['sha256']}"},
        env="SRVAE_CACHE",
        retry_if_failed=3,
    )
    pooch.get_logger().setLevel("ERROR")  # the progress bar says enough
    try:
        return Path(store.fetch(row["path"]))
    except (OSError, ValueError) as error:  # no network or no such file; another file than the registry's
        name = f"{row['dataset']}/{row['image']}"
        raise SetMissingError(
            f"{name} cannot be downloaded from {SOURCE}{row['path']}: connect to the internet, or set "
            f"SRVAE_BENCHMARKS to a folder that holds {name} ({str(error)[:80]})"
        ) from error


def read_csv(path: Path) -> list[Row]:
    """Rows of a CSV file by column name; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


def write_csv(path: Path, rows: Iterable[Row], columns: tuple[str, ...]) -> None:
    """Write rows beside the target and rename, so that a reader never meets half a file."""
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="") as f:
        writer = csv.DictWriter(f, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(part, path)


# ---------------------------------------------------------------------------------------------------------
# Scores
# ---------------------------------------------------------------------------------------------------------

KEY = ("method", "scale", "set", "settings")
SCORES = ("psnr", "ssim", "niqe", "lr_psnr", "diversity", "seconds")
COLUMNS = ("method", "scale", "set", "images", *SCORES, "settings", "version")
SAMPLES = 10  # drawn per image where the temperature is not zero

# What `super_resolve` is called with. The release neither makes its answers consistent nor rounds them.
RELEASE = {"tiling": "release", "consistency": False, "as_float": True}
WALK = (0, 0.25, 0.5, 0.75, 1.25, 1.5)  # temperatures, besides 1; "default" is the model's own
SETTINGS: dict[str, dict[str, object]] = {
    "default": {},
    "unrounded": {"as_float": True},
    "temperature 1": {"temperature": 1.0},
    "self-ensemble": {"self_ensemble": True},
    "release tiling": RELEASE,
    **{f"temperature {t:g}": {"temperature": t} for t in WALK},
    "release tiling, self-ensemble": RELEASE | {"self_ensemble": True},
}
# Evaluation goes stage by stage, what matters most first. Settings of one stage share what they can.
STAGES = (
    ("default", "unrounded", "temperature 1"),
    ("self-ensemble", "release tiling"),
    tuple(f"temperature {t:g}" for t in WALK),
    ("release tiling, self-ensemble",),
)
SETS = ("bundled", "Set5", "Set14")  # evaluated unless told otherwise


def plan(dataset: str) -> list[str]:
    """The settings that a set is evaluated with unless told otherwise.

    Every set gets the answer, the same unrounded, and samples at temperature 1: what the tables show. The temperature
    walk is taken on the bundled photographs, which are large enough for NIQE; self-ensemble and the
    release's way, 8 to 20 times slower, on Set5, for which the release prints its figures.
    """
    stages = {"bundled": (0, 2), "Set5": (0, 1, 3)}.get(dataset, (0,))
    return [name for i in stages for name in STAGES[i]]


def work(settings: str) -> int:
    """About how much computing the settings take, in tenths of an answer at default settings; for the progress bar."""
    options = SETTINGS.get(settings, {})
    answers = SAMPLES if options.get("temperature") else 1
    turns = 8 if options.get("self_ensemble") else 1
    return turns * (25 if options.get("tiling") == "release" else 7 + 3 * answers)


def fidelity(answer: np.ndarray, hr: np.ndarray, scale: int) -> dict[str, float]:
    """PSNR in dB and SSIM on Y, a border of ``scale`` pixels left out: what every table and notebook here shows.

    Grey images are converted to Y like any others. The release (and ``sr.psnr_y`` given RGB) takes the grey levels
    themselves, which costs a grey image 1.3 dB; the published bicubic rows of Set14, which has two, are met to
    0.01 dB with the conversion and missed by 0.2 dB without.

    Args:
        answer: (H, W, 3) uint8, or float in [0, 1] neither clipped nor rounded.
        hr: the original, (H, W, 3).
        scale: 4 or 8.
    """
    pair = luma(answer), luma(hr)  # two-dimensional, so taken as they are
    return {"psnr": sr.psnr_y(*pair, scale), "ssim": sr.ssim_y(*pair, scale)}


def luma(image: np.ndarray) -> np.ndarray:
    """Y of BT.601 (16 to 235) over 255, not rounded, (H, W) float64."""
    x = image.astype(np.float64) / (np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1)
    return (16 + x @ np.array(sr.LUMA)) / 255


def score(answers: list[np.ndarray], hr: np.ndarray, lr: np.ndarray, scale: int) -> dict[str, float]:
    """Mean scores of one or more answers to one LR image; NaN for what cannot be had.

    Args:
        answers: (s*H, s*W, 3) uint8, or float in [0, 1] neither clipped nor rounded.
        hr: the original, (s*H, s*W, 3).
        lr: (H, W, 3).
        scale: 4 or 8; PSNR, SSIM and NIQE leave out a border of as many pixels.

    Returns:
        psnr and lr_psnr in dB, ssim, niqe (lower is better), diversity in percent (of two or more answers).
    """
    table = [fidelity(a, hr, scale) | {"niqe": _niqe(a, scale), "lr_psnr": sr.lr_psnr(a, lr, scale)} for a in answers]
    means = {name: float(np.mean([row[name] for row in table])) for name in table[0]}
    return means | {"diversity": sr.diversity(answers, hr) if len(answers) > 1 else np.nan}


@cache
def niqe_at_hand() -> bool:
    """Whether NIQE's model of natural photographs is at hand or can be downloaded; says so once if not."""
    try:
        niqe.natural_model()
    except RuntimeError as error:
        print(f"NIQE is left out: {error}", file=sys.stderr)
        return False
    return True


def _niqe(image: np.ndarray, border: int) -> float:
    try:
        return niqe.niqe(image, border) if niqe_at_hand() else np.nan
    except ValueError:  # too small for two blocks
        return np.nan


def enlarge_set(model: sr.SRVAE, dataset: str = "bundled", **options: object) -> list[dict[str, float | str]]:
    """What the release's notebooks do: enlarge every image of a set and score it on Y.

    Args:
        model: from :func:`srvae_core.load_model`.
        dataset: a name of :func:`image_names`.
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
        seconds, up = time.perf_counter() - start, sr.enlarge(lr, scale)
        bicubic = fidelity(up, hr, scale)
        row = {"bicubic": bicubic["psnr"], "bicubic_ssim": bicubic["ssim"], **fidelity(answer, hr, scale)}
        rows.append({"image": name, **row, "lr_psnr": sr.lr_psnr(answer, lr, scale), "seconds": seconds})
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key != "image"}
    return [*rows, {"image": "average", **means}]


def print_rows(rows: list[dict[str, float | str]], **digits: int) -> None:
    """Print the columns named, each with so many digits: ``print_rows(rows, psnr=2, ssim=4)``."""
    print(" " * 16 + "".join(f"{name:>14}" for name in digits))
    for row in rows:
        print(f"{row['image']:16}" + "".join(f"{row[name]:14.{n}f}" for name, n in digits.items()))


class Answers:
    """A model's answers to one LR image with different settings; the image is encoded once for those that share it.

    The seconds are those of one answer from nothing: encoding, and decoding the first.
    """

    def __init__(self, model: sr.SRVAE, lr: np.ndarray) -> None:
        self.model, self.lr = model, lr
        self._view: sr.Sampler | None = None
        self._encoding = 0.0  # seconds

    def __call__(
        self, *, temperature: float | None = None, as_float: bool = False, **others: object
    ) -> tuple[list[np.ndarray], float]:
        """One answer, or :data:`SAMPLES` of them at a given temperature above zero; and the seconds of one."""
        start = time.perf_counter()
        if others:  # the release's tiling and self-ensemble encode something else
            answer = sr.super_resolve(self.lr, self.model, temperature=temperature, as_float=as_float, **others)
            return [answer], time.perf_counter() - start
        if self._view is None:
            self._view = sr.Sampler(self.model, self.lr)
            self._encoding = time.perf_counter() - start
            start = time.perf_counter()
        own = self.model.temperature if temperature is None else temperature
        first = self._view(0, own, as_float=as_float)
        seconds = self._encoding + time.perf_counter() - start
        more = range(1, SAMPLES) if temperature else ()
        return [first, *(self._view(seed, temperature, as_float=as_float) for seed in more)], seconds


def peer_answer(folder: Path, dataset: str, scale: int, name: str) -> np.ndarray:
    """Another method's answer: the one file FOLDER/SET/xSCALE/NAME*.

    Raises:
        FileNotFoundError: there is none, or several.
    """
    found = [p for p in sorted((folder / dataset / f"x{scale}").glob(f"{name}*")) if p.suffix.lower() in SUFFIXES]
    exact = [p for p in found if p.stem == name]
    if len(exact or found) != 1:
        raise FileNotFoundError(
            f"{folder / dataset / f'x{scale}'} must hold one image whose name begins with {name}; it holds {len(found)}"
        )
    return sr.read_image((exact or found)[0])[..., :3]


def version(model: str | None = None) -> str:
    """The version column: this package's, and for a model the beginning of its weights' sha256."""
    if model is None:
        return sr.__version__
    path = Path(model) if Path(model).is_file() else sr.WEIGHTS / f"SR_VAE_{model}.safetensors"
    return f"{sr.__version__}+{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Job:
    """One row of the results to be."""

    method: str
    scale: int
    dataset: str
    settings: str
    version: str
    model: str = ""  # what `load_model` takes
    peer: str = ""  # folder of another method's answers

    @property
    def key(self) -> tuple[str, ...]:
        return self.method, str(self.scale), self.dataset, self.settings

    @property
    def head(self) -> Row:
        """The columns that tell this row from others."""
        return dict(zip(KEY, self.key, strict=True)) | {"version": self.version}

    @property
    def stage(self) -> int:
        return next((i for i, names in enumerate(STAGES) if self.settings in names), 0)


def jobs(models: list[str], sets: Sequence[str], settings: list[str], peers: dict[str, str]) -> list[Job]:
    """The rows that a call of :func:`evaluate` makes, in order; no settings means those of :func:`plan`."""
    return sorted(_jobs(models, sets, settings, peers), key=lambda job: job.stage)


def _jobs(models: list[str], sets: Sequence[str], settings: list[str], peers: dict[str, str]) -> Iterator[Job]:
    scales = {name: sr.load_model(name).scale for name in models}
    versions = {name: version(name) for name in models}
    for dataset in sets:
        for scale in sorted(set(scales.values())) or sr.SCALES:
            yield Job("Bicubic", scale, dataset, "default", version())
            for name, folder in peers.items():
                if Path(folder, dataset, f"x{scale}").is_dir():
                    yield Job(name, scale, dataset, "files", "", peer=folder)
        for model in models:
            method = f"SR-VAE-{Path(model).stem.split('-')[-1]}"
            for chosen in settings or plan(dataset):
                yield Job(method, scales[model], dataset, chosen, versions[model], model=model)


def evaluate(
    models: list[str],
    sets: Sequence[str],
    *,
    settings: list[str] | None = None,
    peers: dict[str, str] | None = None,
    results: Path = RESULTS,
    progress: bool = True,
) -> list[Row]:
    """Score models, bicubic and peers on image sets and put the rows into the results file.

    A row that is there already for the same version is kept; single images of an interrupted row come
    from a file beside the results, so a call that is killed goes on where it was. Rows of a model evaluated here that
    come from other weights than its present ones leave the file.

    Args:
        models: names or paths for ``load_model``; a path's variant is what follows the last hyphen.
        sets: names for :func:`image_names`.
        settings: names from :data:`SETTINGS`; by default those of :func:`plan`.
        peers: name -> folder of another method's answers, SET/xSCALE/IMAGE.png.
        results: the CSV file.
        progress: show a bar, whose remaining time counts pixels and what the settings take.

    Returns:
        All rows of the results file.

    Raises:
        SetMissingError: a set cannot be had; nothing has been computed then.
        ValueError: no such settings.
    """
    unknown = [name for name in settings or [] if name not in SETTINGS]
    if unknown:
        raise ValueError(f"no settings {unknown[0]!r}; there are: {', '.join(SETTINGS)}")
    for dataset in sets:
        fetch(dataset, progress)
    wanted = jobs(models, sets, settings or [], peers or {})
    versions = {(j.method, str(j.scale)): j.version for j in wanted if j.model}
    old = [r for r in read_csv(results) if versions.get((r["method"], r["scale"]), r["version"]) == r["version"]]
    done = {tuple(r[k] for k in KEY): r for r in old}
    todo = [j for j in wanted if not _is_done(done.get(j.key), j)]
    total = sum(pixels(j.dataset, j.scale) * work(j.settings) for j in todo)
    partial = results.with_suffix(".partial.csv")
    layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
    with tqdm(total=total, disable=not progress, bar_format=layout) as bar:
        for _, group in groupby(todo, key=lambda j: (j.stage, j.method, j.scale, j.dataset)):
            for job, row in _rows(list(group), partial, bar):
                done[job.key] = row
            write_csv(results, sorted(done.values(), key=_row_order), COLUMNS)
    partial.unlink(missing_ok=True)
    return list(done.values())


def _row_order(row: Row) -> tuple:
    """Rows of the results: by scale, set, method, and settings as in :data:`SETTINGS`."""
    order = {name: i for i, name in enumerate(SETTINGS)}
    return row["scale"], row["set"], row["method"], order.get(row["settings"], len(order))


def _is_done(row: Row | None, job: Job) -> bool:
    """Whether the results have this row from the same weights, and with NIQE where that can be had."""
    fresh = row is not None and not job.peer and row["version"] == job.version
    return fresh and (bool(row["niqe"]) or not niqe_at_hand())


@cache
def pixels(dataset: str, scale: int) -> int:
    """The size of a set, its images cut to a multiple of the scale."""
    sides = (load_image(dataset, name).shape[:2] for name in image_names(dataset))
    return sum((h - h % scale) * (w - w % scale) for h, w in sides)


def _rows(group: list[Job], partial: Path, bar: tqdm) -> Iterator[tuple[Job, Row]]:
    """Compute the rows of one method on one set, image by image; yields each when all images are done."""
    job = group[0]
    model = sr.load_model(job.model) if job.model else None
    if model:  # the first call also allocates
        sr.super_resolve(np.zeros((32, 32, 3), np.uint8), model)
    kept = [] if job.peer else read_csv(partial)
    found: dict[Job, list[Row]] = {job: [] for job in group}
    for name in image_names(job.dataset):
        hr, lr = pair(job.dataset, name, job.scale)
        answers_of = Answers(model, lr) if model else None
        for job in group:
            bar.set_description(f"{job.method} {job.scale}x, {job.dataset}, {job.settings}")
            head = job.head | {"image": name}
            row = next((r for r in kept if head.items() <= r.items()), None)
            if row is None:
                if answers_of:
                    answers, seconds = answers_of(**SETTINGS[job.settings])
                elif job.peer:
                    answers, seconds = [peer_answer(Path(job.peer), job.dataset, job.scale, name)], np.nan
                else:
                    start = time.perf_counter()
                    answers, seconds = [sr.enlarge(lr, job.scale)], time.perf_counter() - start
                values = score(answers, hr, lr, job.scale) | {"seconds": seconds}
                row = {k: str(v) for k, v in (head | {"megapixels": hr[..., 0].size / 1e6} | values).items()}
                write_csv(partial, [*read_csv(partial), row], (*KEY, "version", "image", "megapixels", *SCORES))
            found[job].append(row)
            bar.update(hr[..., 0].size * work(job.settings))
    for job, rows in found.items():
        yield job, dict.fromkeys(COLUMNS, "") | job.head | {"images": str(len(rows))} | _means(rows)


def _means(rows: list[Row]) -> Row:
    """Means over images as text; seconds are those of one answer's megapixel."""
    values = {name: np.array([float(r[name]) for r in rows]) for name in (*SCORES, "megapixels")}
    area = values.pop("megapixels").sum()
    values = {name: v[~np.isnan(v)] for name, v in values.items()}
    means = {name: v.mean() if len(v) else np.nan for name, v in values.items()}
    if len(values["seconds"]):
        means["seconds"] = values["seconds"].sum() / area
    return {name: "" if np.isnan(v) else f"{v:.4f}" for name, v in means.items()}


# ---------------------------------------------------------------------------------------------------------
# Tables for the README
# ---------------------------------------------------------------------------------------------------------

START, END = "<!-- results:start -->", "<!-- results:end -->"
TABLE_SETS = ("Set5", "Set14", "BSD100", "Urban100", "Manga109")
HERE = " (here)"  # marks the rows that this project measured


def paper_table(scale: int, published: list[Row], results: list[Row]) -> dict[str, dict[str, tuple[str, str, str]]]:
    """The paper's table with this project's default rows beneath: method -> set -> (PSNR, SSIM, PI) as text.

    PI needs Ma's score, which cannot be had, so it is empty for rows measured here.
    """
    table: dict[str, dict[str, tuple[str, str, str]]] = {}
    for r in published:
        if r["scale"] == str(scale):
            cell = (f"{float(r['psnr_y']):.2f}", f"{float(r['ssim_y']):.3f}", f"{float(r['pi']):.3f}")
            table.setdefault(r["method"], {})[r["dataset"]] = cell
    for r in sorted(results, key=lambda r: r["method"]):
        if r["scale"] == str(scale) and r["settings"] in ("default", "files") and r["set"] in TABLE_SETS:
            cell = (f"{float(r['psnr']):.2f}", f"{float(r['ssim']):.3f}", "")
            table.setdefault(r["method"] + HERE, {})[r["set"]] = cell
    return table


def best_values(table: dict[str, dict[str, tuple[str, ...]]]) -> dict[tuple[str, int], str]:
    """The best text of each (set, column): PSNR and SSIM highest, PI lowest."""
    best = {}
    for dataset in TABLE_SETS:
        for column, choose in enumerate((max, max, min)):
            cells = [row[dataset][column] for row in table.values() if dataset in row and row[dataset][column]]
            if cells:
                best[dataset, column] = choose(cells, key=float)
    return best


def markdown(published: list[Row], results: list[Row], printed: list[Row]) -> str:
    """The README's results: :func:`paper_lines`, :func:`gap_lines`, :func:`sample_lines` and :func:`release_lines`.

    Args:
        published: rows of :data:`PUBLISHED`.
        results: rows of :data:`RESULTS`.
        printed: rows of :data:`PRINTED`.
    """
    papers = [paper_lines(scale, published, results) for scale in sr.SCALES]
    note = (
        f"Rows marked “{HERE.strip(' ()')}” are this project's, at default settings. PI needs Ma's score, which "
        "cannot be had, so it is blank there; NIQE, its other half, follows."
    )
    parts = [*papers, [note], gap_lines(published, results), sample_lines(results), release_lines(results, printed)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def table_lines(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """A Markdown table, line by line."""
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def paper_lines(scale: int, published: list[Row], results: list[Row]) -> list[str]:
    """The paper's table of one scale with this project's rows beneath, best values bold."""
    table = paper_table(scale, published, results)
    best = best_values(table)

    def cell(row: dict[str, tuple[str, ...]], dataset: str) -> str:
        values = enumerate(row.get(dataset, ()))
        return " / ".join(f"**{v}**" if v and v == best[dataset, i] else v or "–" for i, v in values)

    rows = [[method, *(cell(row, dataset) for dataset in TABLE_SETS)] for method, row in table.items()]
    title = f"**{scale}x**: PSNR in dB / SSIM / PI (lower is better), best values bold"
    return [title, "", *table_lines(["method", *TABLE_SETS], rows)]


def gap_lines(published: list[Row], results: list[Row]) -> list[str]:
    """How far this project's answers are from the published ones, and P's from D's, where both have a set."""
    theirs = {(r["scale"], r["method"], r["dataset"]): (float(r["psnr_y"]), math.nan) for r in published}
    ours = {
        (r["scale"], r["method"], r["set"]): (float(r["psnr"]), float(r["niqe"] or "nan"))
        for r in results
        if r["settings"] == "default"
    }
    pairs = [
        ("SR-VAE-D", "LapSRN", theirs, ", published"),
        ("SR-VAE-D", "SR-VAE-D", theirs, ", published"),
        ("SR-VAE-P", "SR-VAE-P", theirs, ", published"),
        ("SR-VAE-P", "SR-VAE-D", ours, HERE),
    ]
    sets = [dataset for dataset in TABLE_SETS if any(key[2] == dataset for key in ours)]
    rows = []
    for scale, (mine, other, others, origin) in product(map(str, sr.SCALES), pairs):
        cells = []
        for dataset in sets:
            a, b = ours.get((scale, mine, dataset)), others.get((scale, other, dataset))
            gaps = [f"{x - y:+.2f}" for x, y in zip(a, b, strict=True) if not math.isnan(x - y)] if a and b else []
            cells.append(" / ".join(gaps))
        if any(cells):
            rows.append([f"{scale}x", mine, other + origin, *cells])
    title = (
        "**What is gained and what is missing**: PSNR in dB (and NIQE where both are measured here), ours minus theirs"
    )
    return [title, "", *table_lines(["scale", "ours", "theirs", *sets], rows)] if rows else []


def sample_lines(results: list[Row]) -> list[str]:
    """Single answers beside samples at temperature 1, on every set that was measured."""
    found = {(r["scale"], r["method"], r["settings"], r["set"]): r for r in results}
    order = ["bundled", *TABLE_SETS]
    sets = sorted({r["set"] for r in results}, key=lambda s: (order.index(s) if s in order else len(order), s))
    kinds = {"default": "answer", "files": "answer", "temperature 1": f"samples, mean of {SAMPLES}"}
    rows = []
    for scale, method in sorted({key[:2] for key in found}):
        for settings, words in kinds.items():
            row = [found.get((scale, method, settings, dataset)) for dataset in sets]
            if any(row):
                name = f"{method} {words}" if method.startswith("SR-VAE") else method
                rows.append([f"{scale}x", name, *map(_scores, row)])
    title = "**Answers and samples** (temperature 1): PSNR in dB / NIQE (low is good) / LR-PSNR in dB / diversity in %"
    images = {r["set"]: r["images"] for r in results}
    return [title, "", *table_lines(["scale", "method", *(f"{s}, {images[s]} images" for s in sets)], rows)]


def _scores(row: Row | None) -> str:
    digits = {"psnr": 2, "niqe": 2, "lr_psnr": 1, "diversity": 1}
    return " / ".join(f"{float(row[name]):.{n}f}" if row[name] else "–" for name, n in digits.items()) if row else ""


def release_lines(results: list[Row], printed: list[Row]) -> list[str]:
    """From this project's way to the release's, step by step, beside what the release's notebooks print."""
    found = {(r["scale"], r["method"], r["set"], r["settings"]): r for r in results}
    theirs = {(r["scale"], r["method"], r["dataset"]): r for r in printed}
    ways = [name for name in SETTINGS if not name.startswith("temperature")]
    rows = []
    for scale, method, dataset in sorted({key[:3] for key in found if key[3] in ways[2:]}):
        row = [found.get((scale, method, dataset, name)) for name in ways]
        cells = [
            f"{float(r['psnr']):.2f} / {float(r['ssim']):.4f} / {float(r['seconds']):.1f}" if r else "" for r in row
        ]
        r = theirs.get((scale, method, dataset))
        cells.append(f"{float(r['psnr_y']):.2f} / {float(r['ssim_y']):.4f}" if r else "")
        rows.append([f"{scale}x", method, dataset, *cells])
    title = (
        "**Like for like with the release**: PSNR in dB / SSIM / seconds per megapixel. The release scores unrounded "
        "output of its own tiling with self-ensemble, without back-projection (here at the model's own temperature)"
    )
    return [title, "", *table_lines(["scale", "method", "set", *ways, "release's notebook"], rows)] if rows else []


def with_results(readme: str, tables: str) -> str:
    """A README's text with the tables between its markers.

    Raises:
        ValueError: it has no such markers.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"the README lacks the markers {START} and {END}")
    return f"{before}{START}\n\n{tables}\n\n{END}{after}"


def write_readme(readme: Path = README) -> None:
    """Put the tables of data/results.csv into the README."""
    readme.write_text(with_results(readme.read_text(), tables()))


def tables() -> str:
    """:func:`markdown` of the files in data."""
    return markdown(read_csv(PUBLISHED), read_csv(RESULTS), read_csv(PRINTED))


# ---------------------------------------------------------------------------------------------------------
# Speed and memory
# ---------------------------------------------------------------------------------------------------------


def machine() -> str:
    """What timings are from: the CPU's name, the threads that torch uses, its version."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def timed(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def speed(repeats: int = 3, size: int = 512) -> dict[int, dict[str, float]]:
    """Milliseconds of what a user waits for, for an answer of size x size at each scale.

    The things compared take turns, so that other load on the machine falls on all of them alike.

    Args:
        repeats: how often each is timed; the fastest counts, since other load only adds.
        size: edge of the answer in pixels, at most 512 and a multiple of 8.

    Returns:
        scale -> {"whole": ..., "release": ..., "step": ..., "rule": ...}; step is a call of a ready ``Sampler``, rule
        the release's whole rule, its tiles for each of the 8 flips and rotations, timed once.
    """
    hr = np.ascontiguousarray(photographs.astronaut()[:size, :size])
    answer = {}
    for scale in sr.SCALES:
        names = [name for name in sr.available_models() if name.startswith(f"{scale}x")]
        model = sr.load_model(names[0]) if names else sr.SRVAE(scale, grid_generator=True).eval()
        lr = sr.downscale(hr, scale)
        view = sr.Sampler(model, lr)
        what = {
            "whole": lambda m=model, x=lr: sr.super_resolve(x, m, temperature=1.0),
            "release": lambda m=model, x=lr: sr.super_resolve(x, m, temperature=1.0, tiling="release"),
            "step": lambda v=view: v(seed=1, temperature=1.0),
        }
        what["step"](), what["whole"]()  # the first calls also allocate
        rounds = [{name: timed(call) for name, call in what.items()} for _ in range(repeats)]
        answer[scale] = {name: 1000 * min(r[name] for r in rounds) for name in what}
        rule = timed(
            lambda m=model, x=lr: sr.super_resolve(x, m, temperature=1.0, tiling="release", self_ensemble=True)
        )
        answer[scale]["rule"] = 1000 * rule
    return answer


def print_speed(repeats: int, size: int) -> None:
    print(f"{machine()}; answers of {size}x{size}, fastest of {repeats} turns")
    for scale, ms in speed(repeats, size).items():
        print(
            f"{scale}x: whole tiling {ms['whole']:.0f} ms\n"
            f"    the release's rule (tiles, overlaps, 8 transforms) {ms['rule']:.0f} ms, "
            f"ratio 1/{ms['rule'] / ms['whole']:.1f} (aim: at most 1/5)\n"
            f"    its tiles and overlaps alone {ms['release']:.0f} ms, ratio 1/{ms['release'] / ms['whole']:.1f}\n"
            f"    slider step {ms['step']:.0f} ms, full enlargement {ms['whole']:.0f} ms, "
            f"ratio 1/{ms['whole'] / ms['step']:.1f} (aim: at most 1/4)"
        )


def peak_memory(size: int) -> float:
    """Peak resident memory of this process in GiB after enlarging size x size four times.

    Only meaningful in a process that did nothing else before (see :func:`memory`).
    """
    name = next((n for n in sr.available_models() if n.startswith("4x")), None)
    model = sr.load_model(name) if name else sr.SRVAE(4, grid_generator=True).eval()
    photo = photographs.astronaut()
    tiles = -(-size // len(photo))
    lr = np.tile(photo, (tiles, tiles, 1))[:size, :size]
    sr.super_resolve(lr, model, temperature=1.0, progress=sys.stderr.isatty())
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def memory(size: int) -> float:
    """:func:`peak_memory` of a fresh process, so that nothing else counts."""
    command = [sys.executable, __file__, "memory", "--inside", str(size)]
    return float(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout)


def print_memory(sizes: list[int]) -> None:
    for size in sizes:
        seconds = time.perf_counter()
        peak = memory(size)
        seconds = time.perf_counter() - seconds
        print(f"{size}x{size} -> {4 * size}x{4 * size}: peak memory {peak:.2f} GiB ({seconds:.0f} s)", flush=True)


# ---------------------------------------------------------------------------------------------------------
# Command line
# ---------------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    c = commands.add_parser("speed", help="milliseconds of both tilings and of a slider step")
    c.add_argument("--repeats", type=int, default=3)
    c.add_argument("--size", type=int, default=512, help="edge of the answer in pixels (at most 512)")
    c = commands.add_parser("memory", help="peak memory of 4x enlargements")
    c.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048], help="edges of the LR image")
    c.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    c = commands.add_parser("evaluate", help="scores of models on image sets, into data/results.csv")
    c.add_argument("--models", nargs="*", default=sr.available_models(), help="names or weights files")
    c.add_argument(
        "--sets",
        nargs="+",
        help=f"bundled, Set5, Set14, BSD100, Urban100 or a folder; by default what is at hand of {', '.join(SETS)}",
    )
    c.add_argument("--settings", nargs="+", help=f"some of: {'; '.join(SETTINGS)}; by default those that suit the set")
    c.add_argument("--peer", action="append", default=[], metavar="NAME=FOLDER", help="answers FOLDER/SET/x4/IMAGE.png")
    c.add_argument("--results", type=Path, default=RESULTS)
    commands.add_parser("readme", help="write the results tables into README.md")
    options = parser.parse_args(arguments)
    if options.command == "evaluate":
        if wrong := [p for p in options.peer if not p.partition("=")[2]]:
            parser.error(f"--peer takes NAME=FOLDER, not {wrong[0]}")
        peers = dict(p.split("=", 1) for p in options.peer)
        try:
            sets = options.sets or at_hand(SETS)
            rows = evaluate(options.models, sets, settings=options.settings, peers=peers, results=options.results)
        except (SetMissingError, FileNotFoundError, ValueError) as error:
            sys.exit(f"error: {error}")
        print(f"{len(rows)} rows in {options.results}")
    elif options.command == "readme":
        write_readme()
    elif options.command == "speed":
        print_speed(options.repeats, options.size)
    elif options.inside:
        print(peak_memory(options.inside))
    else:
        print_memory(options.sizes)


if __name__ == "__main__":
    main()
