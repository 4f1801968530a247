"""The long tables of Paper_Figures, made of the CSV files in data/; each function gives Markdown.

    display(Markdown(published_table(4)))
    display(Markdown(answers_and_samples()))

Cells stay text from the file to the page, so that what is called best is what one sees to be best.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product
from operator import itemgetter

import srvae_core as sr
from srvae.csvfiles import PUBLISHED, RELEASE_SCORES, Row, read_csv

from .answers import SAMPLES_PER_IMAGE, SETTINGS
from .results import read_results

TABLE_SETS = ("Set5", "Set14", "BSD100", "Urban100", "Manga109")  # the columns of the paper's table
ALL_SETS = ("bundled", *TABLE_SETS)
HERE = " (here)"  # marks the rows that this project measured
MODELS = ("SR-VAE-D", "SR-VAE-P")
SAMPLES = "temperature 1"  # the settings of samples of the prior

Cells = dict[str, tuple[str, ...]]  # set -> (PSNR, SSIM, PI) as text


def table_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, line by line."""
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def sets_of(results: Iterable[Row]) -> list[str]:
    """The sets that rows are of: as in the paper's table, the bundled photographs before and others after them."""
    rank = {name: i for i, name in enumerate(ALL_SETS)}
    return sorted({r["set"] for r in results}, key=lambda name: (rank.get(name, len(rank)), name))


def by_key(results: Iterable[Row]) -> dict[tuple[str, str, str, str], Row]:
    """Rows of the results by scale, method, settings and set."""
    return {(r["scale"], r["method"], r["settings"], r["set"]): r for r in results}


# -- The paper's table --------------------------------------------------------------------------------------


def paper_table(scale: int, published: list[Row], results: list[Row]) -> dict[str, Cells]:
    """The paper's table with this project's default rows beneath: method -> set -> (PSNR, SSIM, PI) as text.

    PI needs Ma's score, which cannot be had, so it is empty for rows measured here.
    """
    table: dict[str, Cells] = {}
    for r in published:
        if r["scale"] == str(scale):
            cell = (f"{float(r['psnr_y']):.2f}", f"{float(r['ssim_y']):.3f}", f"{float(r['pi']):.3f}")
            table.setdefault(r["method"], {})[r["dataset"]] = cell
    # a method that the paper has as well would take its place, so the rows measured here carry a mark
    for r in sorted(results, key=itemgetter("method")):
        if r["scale"] == str(scale) and r["settings"] in ("default", "files") and r["set"] in TABLE_SETS:
            cell = (f"{float(r['psnr']):.2f}", f"{float(r['ssim']):.3f}", "")
            table.setdefault(r["method"] + HERE, {})[r["set"]] = cell
    return table


def best_values(table: dict[str, Cells]) -> dict[tuple[str, int], str]:
    """The best text of each (set, column): PSNR and SSIM highest, PI lowest."""
    best = {}
    for dataset in TABLE_SETS:
        for column, choose in enumerate((max, max, min)):  # PSNR, SSIM, PI
            cells = [row[dataset][column] for row in table.values() if dataset in row and row[dataset][column]]
            if cells:
                best[dataset, column] = choose(cells, key=float)
    return best


def published_table(scale: int, published: list[Row] | None = None, results: list[Row] | None = None) -> str:
    """The paper's table of one scale with this project's rows beneath, best values bold.

    Args:
        scale: 4 or 8.
        published: rows of :data:`csvfiles.PUBLISHED`; read from there unless given.
        results: rows of :data:`csvfiles.RESULTS` likewise.

    Raises:
        ValueError: a file of data/ is damaged.
    """
    published = read_csv(PUBLISHED) if published is None else published
    table = paper_table(scale, published, read_results() if results is None else results)
    best = best_values(table)

    def cell(row: Cells, dataset: str) -> str:
        values = enumerate(row.get(dataset, ()))
        return " / ".join(f"**{v}**" if v and v == best[dataset, i] else v or "–" for i, v in values)

    rows = [[method, *(cell(row, dataset) for dataset in TABLE_SETS)] for method, row in table.items()]
    title = f"**{scale}x**: PSNR in dB / SSIM / PI (lower is better), best values bold"
    note = (
        f"Rows marked “{HERE.strip(' ()')}” are this project's, at default settings. PI needs Ma's score, which "
        "cannot be had, so it is blank there; NIQE is its other half."
    )
    return "\n".join([title, "", *table_lines(["method", *TABLE_SETS], rows), "", note])


def gains(published: list[Row] | None = None, results: list[Row] | None = None) -> str:
    """How far this project's answers are from the published ones, and P's from D's, where both have a set.

    Args and errors are those of :func:`published_table`; nothing measured gives "".
    """
    published = read_csv(PUBLISHED) if published is None else published
    results = read_results() if results is None else results
    # (scale, method, set) -> PSNR and NIQE; the paper gives no NIQE
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
        cells = [_gap(ours.get((scale, mine, name)), others.get((scale, other, name))) for name in sets]
        if any(cells):
            rows.append([f"{scale}x", mine, other + origin, *cells])
    title = (
        "**What is gained and what is missing**: PSNR in dB (and NIQE where both are measured here), ours minus theirs"
    )
    return "\n".join([title, "", *table_lines(["scale", "ours", "theirs", *sets], rows)]) if rows else ""


def _gap(mine: tuple[float, float] | None, other: tuple[float, float] | None) -> str:
    """Differences of the scores that both have, as text."""
    if not (mine and other):
        return ""
    return " / ".join(f"{x - y:+.2f}" for x, y in zip(mine, other, strict=True) if not math.isnan(x - y))


# -- Answers and samples ------------------------------------------------------------------------------------


def answers_and_samples(results: list[Row] | None = None) -> str:
    """Single answers beside samples at temperature 1, on every set that was measured.

    Args:
        results: rows of :data:`csvfiles.RESULTS`; read from there unless given.

    Raises:
        ValueError: the file is damaged.
    """
    results = read_results() if results is None else results
    measured, sets = by_key(results), sets_of(results)
    kinds = {"default": "answer", "files": "answer", SAMPLES: f"samples, mean of {SAMPLES_PER_IMAGE}"}
    rows = []
    for scale, method in sorted({key[:2] for key in measured}):
        for settings, words in kinds.items():
            row = [measured.get((scale, method, settings, dataset)) for dataset in sets]
            if any(row):
                name = f"{method} {words}" if method in MODELS else method
                rows.append([f"{scale}x", name, *map(_scores, row)])
    title = (
        "**Answers and samples** (temperature 1): PSNR in dB / NIQE (lower is better) / VGG distance (lower is nearer "
        "to the original) / LR-PSNR in dB / diversity in %"
    )
    images = {r["set"]: r["images"] for r in results}
    head = ["scale", "method", *(f"{s}, {images[s]} images" for s in sets)]
    return "\n".join([title, "", *table_lines(head, rows)])


def _scores(row: Row | None) -> str:
    """A cell of :func:`answers_and_samples`."""
    digits = {"psnr": 2, "niqe": 2, "vgg": 3, "lr_psnr": 1, "diversity": 1}
    return " / ".join(f"{float(row[name]):.{n}f}" if row[name] else "–" for name, n in digits.items()) if row else ""


# -- The release's way --------------------------------------------------------------------------------------


def like_for_like(results: list[Row] | None = None, printed: list[Row] | None = None) -> str:
    """From this project's way to the release's, step by step, beside what the release's notebooks print.

    Args:
        results: rows of :data:`csvfiles.RESULTS`; read from there unless given.
        printed: rows of :data:`csvfiles.RELEASE_SCORES` likewise.

    Returns:
        Markdown; nothing measured gives "".

    Raises:
        ValueError: a file of data/ is damaged.
    """
    measured = by_key(read_results() if results is None else results)
    printed = read_csv(RELEASE_SCORES) if printed is None else printed
    theirs = {(r["scale"], r["method"], r["dataset"]): r for r in printed}
    ways = [name for name in SETTINGS if not name.startswith("temperature")]
    # the first two ways are measured on every set; only sets with the others belong here
    compared = sorted({(scale, method, name) for scale, method, settings, name in measured if settings in ways[2:]})
    rows = []
    for scale, method, dataset in compared:
        cells = [_speed_and_scores(measured.get((scale, method, way, dataset))) for way in ways]
        r = theirs.get((scale, method, dataset))
        cells.append(f"{float(r['psnr_y']):.2f} / {float(r['ssim_y']):.4f}" if r else "")
        rows.append([f"{scale}x", method, dataset, *cells])
    title = (
        "**Like for like with the release**: PSNR in dB / SSIM / seconds per megapixel. The release scores unrounded "
        "output of its own tiling with self-ensemble, without back-projection (here at the model's own temperature)"
    )
    head = ["scale", "method", "set", *ways, "release's notebook"]
    return "\n".join([title, "", *table_lines(head, rows)]) if rows else ""


def _speed_and_scores(row: Row | None) -> str:
    """A cell of :func:`like_for_like`."""
    return f"{float(row['psnr']):.2f} / {float(row['ssim']):.4f} / {float(row['seconds']):.1f}" if row else ""
