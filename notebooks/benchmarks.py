"""Benchmarks: image sets by name, speed, memory, and the scores of data/results.csv.

python notebooks/benchmarks.py speed       # milliseconds of whole and release tiling, of a slider step
python notebooks/benchmarks.py memory      # peak memory of large answers, each in a process of its own
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
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
        raise SetMissingError(
            f"{row['dataset']}/{row['image']} cannot be downloaded from {SOURCE}{row['path']}: connect to the "
            f"internet, or set SRVAE_BENCHMARKS to a folder that holds {row['dataset']}/{row['image']} ({error})"
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
# The order is that of evaluation: what matters most comes first.
RELEASE = {"tiling": "release", "consistency": False, "as_float": True}
SETTINGS: dict[str, dict[str, object]] = {
    "default": {},
    "temperature 1": {"temperature": 1.0},
    "unrounded": {"as_float": True},
    "self-ensemble": {"self_ensemble": True},
    "release tiling": RELEASE,
    **{f"temperature {t:g}": {"temperature": t} for t in (0.5, 1.5, 0.25, 0.75, 1.25)},
    "release tiling, self-ensemble": RELEASE | {"self_ensemble": True},
}


def plan(dataset: str) -> list[str]:
    """The settings that a set is evaluated with unless told otherwise: those that take long only on small sets."""
    if dataset == "Set5":
        return [name for name in SETTINGS if name == "temperature 1" or not name.startswith("temperature")]
    if dataset == "bundled":
        return list(SETTINGS)[:-1]
    return ["default", "temperature 1", "unrounded"]


def luma(image: np.ndarray) -> np.ndarray:
    """Y of BT.601 (16 to 235) over 255, not rounded, (H, W) float64: what PSNR and SSIM are computed on.

    Grey images are converted too. The release takes them as they are (and so does ``sr.psnr_y``), but only with the
    conversion does bicubic meet the published table on Set14, which has grey images.
    """
    x = image.astype(np.float64) / (np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1)
    return (16 + x @ np.array([65.481, 128.553, 24.966])) / 255


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
    y = luma(hr)
    table = [
        {
            "psnr": sr.psnr_y(luma(a), y, scale),
            "ssim": sr.ssim_y(luma(a), y, scale),
            "niqe": _niqe(a, scale),
            "lr_psnr": sr.lr_psnr(a, lr, scale),
        }
        for a in answers
    ]
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
        hr = sr.crop_to_multiple(load_image(dataset, name), scale)
        lr = sr.downscale(hr, scale)
        start = time.perf_counter()
        answer = sr.super_resolve(lr, model, **options)
        seconds, up = time.perf_counter() - start, sr.enlarge(lr, scale)
        row = {"bicubic": sr.psnr_y(up, hr, scale), "bicubic_ssim": sr.ssim_y(up, hr, scale)}
        row |= {"psnr": sr.psnr_y(answer, hr, scale), "ssim": sr.ssim_y(answer, hr, scale)}
        rows.append({"image": name, **row, "lr_psnr": sr.lr_psnr(answer, lr, scale), "seconds": seconds})
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key != "image"}
    return [*rows, {"image": "average", **means}]


def print_rows(rows: list[dict[str, float | str]], **digits: int) -> None:
    """Print the columns named, each with so many digits: ``print_rows(rows, psnr=2, ssim=4)``."""
    print(" " * 16 + "".join(f"{name:>14}" for name in digits))
    for row in rows:
        print(f"{row['image']:16}" + "".join(f"{row[name]:14.{n}f}" for name, n in digits.items()))


# One method on one image: (lr, scale, settings) -> answers and the seconds of one.
Method = Callable[[np.ndarray, dict[str, object]], tuple[list[np.ndarray], float]]


def model_method(model: sr.SRVAE) -> Method:
    """A model as a method: one answer, or :data:`SAMPLES` of them at a temperature above zero."""

    def run(lr: np.ndarray, options: dict[str, object]) -> tuple[list[np.ndarray], float]:
        if not options.get("temperature"):
            start = time.perf_counter()
            return [sr.super_resolve(lr, model, **options)], time.perf_counter() - start
        start = time.perf_counter()
        view = sr.Sampler(model, lr)
        first = view(0, options["temperature"])
        seconds = time.perf_counter() - start
        return [first, *(view(seed, options["temperature"]) for seed in range(1, SAMPLES))], seconds

    return run


def bicubic_method(scale: int) -> Method:
    """MATLAB's bicubic enlargement as a method."""

    def run(lr: np.ndarray, _: dict[str, object]) -> tuple[list[np.ndarray], float]:
        start = time.perf_counter()
        return [sr.enlarge(lr, scale)], time.perf_counter() - start

    return run


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


def jobs(models: list[str], sets: list[str], settings: list[str], peers: dict[str, str]) -> list[Job]:
    """The rows that a call of :func:`evaluate` makes, in order; no settings means those of :func:`plan`."""
    order = ["files", *SETTINGS]
    return sorted(_jobs(models, sets, settings, peers), key=lambda job: order.index(job.settings))


def _jobs(models: list[str], sets: list[str], settings: list[str], peers: dict[str, str]) -> Iterator[Job]:
    scales = {name: sr.load_model(name).scale for name in models}
    for dataset in sets:
        for scale in sorted(set(scales.values())) or sr.SCALES:
            yield Job("Bicubic", scale, dataset, "default", version())
            for name, folder in peers.items():
                if Path(folder, dataset, f"x{scale}").is_dir():
                    yield Job(name, scale, dataset, "files", "", peer=folder)
        for model in models:
            variant = Path(model).stem.split("-")[-1]
            for chosen in settings or plan(dataset):
                yield Job(f"SR-VAE-{variant}", scales[model], dataset, chosen, version(model), model=model)


def evaluate(
    models: list[str],
    sets: list[str],
    *,
    settings: list[str] | None = None,
    peers: dict[str, str] | None = None,
    results: Path = RESULTS,
    progress: bool = True,
) -> list[Row]:
    """Score models, bicubic and peers on image sets and put the rows into the results file.

    A row that is there already for the same version is kept; single images of an interrupted row come
    from a file beside the results, so a call that is killed goes on where it was.

    Args:
        models: names or paths for ``load_model``; a path's variant is what follows the last hyphen.
        sets: names for :func:`image_names`.
        settings: names from :data:`SETTINGS`; by default those of :func:`plan`.
        peers: name -> folder of another method's answers, SET/xSCALE/IMAGE.png.
        results: the CSV file.
        progress: show a bar.

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
    partial = results.with_suffix(".partial.csv")
    done = {tuple(r[k] for k in KEY): r for r in read_csv(results)}
    todo = [j for j in jobs(models, sets, settings or [], peers or {}) if not _is_done(done.get(j.key), j)]
    with tqdm(total=sum(len(image_names(j.dataset)) for j in todo), disable=not progress, unit="image") as bar:
        for job in todo:
            bar.set_description(f"{job.method} {job.scale}x, {job.dataset}, {job.settings}")
            done[job.key] = _row(job, partial, bar)
            write_csv(results, sorted(done.values(), key=lambda r: [r["scale"], r["set"], r["method"]]), COLUMNS)
    partial.unlink(missing_ok=True)
    return list(done.values())


def _is_done(row: Row | None, job: Job) -> bool:
    """Whether the results have this row from the same weights, and with NIQE where that can be had."""
    fresh = row is not None and not job.peer and row["version"] == job.version
    return fresh and (bool(row["niqe"]) or not niqe_at_hand())


def _row(job: Job, partial: Path, bar: tqdm) -> Row:
    """Compute one row, image by image."""
    if job.model:
        run = model_method(sr.load_model(job.model))
    elif not job.peer:
        run = bicubic_method(job.scale)
    columns = (*KEY, "version", "image", "megapixels", *SCORES)
    head = dict(zip(KEY, job.key, strict=True)) | {"version": job.version}
    rows = [r for r in read_csv(partial) if {k: r[k] for k in head} == head and not job.peer]
    for name in image_names(job.dataset):
        if all(r["image"] != name for r in rows):
            hr = sr.crop_to_multiple(load_image(job.dataset, name), job.scale)
            lr = sr.downscale(hr, job.scale)
            if job.peer:
                answers, seconds = [peer_answer(Path(job.peer), job.dataset, job.scale, name)], np.nan
            else:
                answers, seconds = run(lr, SETTINGS[job.settings])
            values = score(answers, hr, lr, job.scale) | {"seconds": seconds}
            row = head | {"image": name, "megapixels": hr.shape[0] * hr.shape[1] / 1e6} | values
            rows.append({k: str(v) for k, v in row.items()})
            write_csv(partial, [*read_csv(partial), rows[-1]], columns)
        bar.update()
    return {k: "" for k in COLUMNS} | head | {"images": str(len(rows))} | _means(rows)


def _means(rows: list[Row]) -> Row:
    """Means over images as text; seconds are those of one answer's megapixel."""
    values = {name: np.array([float(r[name]) for r in rows]) for name in (*SCORES, "megapixels")}
    megapixels = values.pop("megapixels")
    values = {name: v[~np.isnan(v)] for name, v in values.items()}
    means = {name: v.mean() if len(v) else np.nan for name, v in values.items()}
    if len(values["seconds"]):
        means["seconds"] = values["seconds"].sum() / megapixels.sum()
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


def markdown(published: list[Row], results: list[Row]) -> str:
    """The README's results: for each scale the paper's table with our rows, then all that was measured here."""
    lines = []
    for scale in sr.SCALES:
        table = paper_table(scale, published, results)
        best = best_values(table)
        lines += [f"**{scale}x**: PSNR in dB / SSIM / PI (lower is better), best values bold", ""]
        lines += [f"| method | {' | '.join(TABLE_SETS)} |", "|---|" + "---|" * len(TABLE_SETS)]
        for method, row in table.items():
            cells = []
            for dataset in TABLE_SETS:
                values = enumerate(row.get(dataset, ()))
                cells.append(" / ".join(f"**{v}**" if v and v == best[dataset, i] else v or "–" for i, v in values))
            lines.append(f"| {method} | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        f"Rows marked “{HERE.strip(' ()')}” are this project's, at default settings. PI needs Ma's score, which cannot "
        "be had; NIQE, its other half, is below.",
        "",
        "| method | scale | set | images | settings | PSNR | SSIM | NIQE | LR-PSNR | diversity | s/megapixel |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    digits = {"psnr": 2, "ssim": 4, "niqe": 2, "lr_psnr": 1, "diversity": 1, "seconds": 1}
    order = ["bundled", *TABLE_SETS]
    chosen = [r for r in results if r["settings"] == "temperature 1" or not r["settings"].startswith("temperature")]
    for r in sorted(chosen, key=lambda r: (r["scale"], [*order, r["set"]].index(r["set"]), r["method"])):
        numbers = [f"{float(r[name]):.{n}f}" if r[name] else "–" for name, n in digits.items()]
        head = [r["method"], f"{r['scale']}x", r["set"], r["images"], r["settings"]]
        lines.append(f"| {' | '.join(head + numbers)} |")
    return "\n".join(lines)


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
    readme.write_text(with_results(readme.read_text(), markdown(read_csv(PUBLISHED), read_csv(RESULTS))))


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
        scale -> {"whole": ..., "release": ..., "step": ...}; step is a call of a ready ``Sampler``.
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
    return answer


def print_speed(repeats: int, size: int) -> None:
    print(f"{machine()}; answers of {size}x{size}, fastest of {repeats} turns")
    for scale, ms in speed(repeats, size).items():
        print(
            f"{scale}x: whole tiling {ms['whole']:.0f} ms, release tiling {ms['release']:.0f} ms, "
            f"ratio 1/{ms['release'] / ms['whole']:.1f} (aim: at most 1/5)\n"
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
    c.add_argument("--sets", nargs="+", default=["bundled"], help="bundled, Set5, Set14, BSD100, Urban100 or a folder")
    c.add_argument("--settings", nargs="+", help=f"some of: {', '.join(SETTINGS)}; by default those that suit the set")
    c.add_argument("--peer", action="append", default=[], metavar="NAME=FOLDER", help="answers FOLDER/SET/x4/IMAGE.png")
    c.add_argument("--results", type=Path, default=RESULTS)
    commands.add_parser("readme", help="write the results tables into README.md")
    options = parser.parse_args(arguments)
    if options.command == "evaluate":
        if wrong := [p for p in options.peer if not p.partition("=")[2]]:
            parser.error(f"--peer takes NAME=FOLDER, not {wrong[0]}")
        peers = dict(p.split("=", 1) for p in options.peer)
        try:
            evaluate(options.models, options.sets, settings=options.settings, peers=peers, results=options.results)
        except (SetMissingError, FileNotFoundError, ValueError) as error:
            sys.exit(f"error: {error}")
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
