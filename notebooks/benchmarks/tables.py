"""The README's tables, made of the CSV files in data/.

    print(tables())   # Markdown
    write_readme()    # between the README's markers

Cells stay text from the file to the page, so that what is called best is what one sees to be best.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product
from operator import itemgetter
from pathlib import Path

from csvfiles import DATA, PRINTED, PUBLISHED, Row, read_csv

import srvae_core as sr

from .answers import SAMPLES_PER_IMAGE, SETTINGS
from .results import read_results

README = DATA.parent / "README.md"
START_MARKER, END_MARKER = "<!-- results:start -->", "<!-- results:end -->"
TABLE_SETS = ("Set5", "Set14", "BSD100", "Urban100", "Manga109")  # the columns of the paper's table
HERE = " (here)"  # marks the rows that this project measured

Cells = dict[str, tuple[str, ...]]  # set -> (PSNR, SSIM, PI) as text


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


def markdown(published: list[Row], results: list[Row], printed: list[Row]) -> str:
    """The README's results: :func:`paper_lines`, :func:`gap_lines`, :func:`sample_lines` and :func:`release_lines`.

    Args:
        published: rows of :data:`csvfiles.PUBLISHED`.
        results: rows of :data:`csvfiles.RESULTS`.
        printed: rows of :data:`csvfiles.PRINTED`.
    """
    papers = [paper_lines(scale, published, results) for scale in sr.SCALES]
    note = (
        f"Rows marked “{HERE.strip(' ()')}” are this project's, at default settings. PI needs Ma's score, which "
        "cannot be had, so it is blank there; NIQE, its other half, follows."
    )
    # parts for which nothing has been measured have no lines and are left out
    parts = [*papers, [note], gap_lines(published, results), sample_lines(results), release_lines(results, printed)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def table_lines(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """A Markdown table, line by line."""
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def paper_lines(scale: int, published: list[Row], results: list[Row]) -> list[str]:
    """The paper's table of one scale with this project's rows beneath, best values bold."""
    table = paper_table(scale, published, results)
    best = best_values(table)

    def cell(row: Cells, dataset: str) -> str:
        values = enumerate(row.get(dataset, ()))
        return " / ".join(f"**{v}**" if v and v == best[dataset, i] else v or "–" for i, v in values)

    rows = [[method, *(cell(row, dataset) for dataset in TABLE_SETS)] for method, row in table.items()]
    title = f"**{scale}x**: PSNR in dB / SSIM / PI (lower is better), best values bold"
    return [title, "", *table_lines(["method", *TABLE_SETS], rows)]


def gap_lines(published: list[Row], results: list[Row]) -> list[str]:
    """How far this project's answers are from the published ones, and P's from D's, where both have a set."""
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
    return [title, "", *table_lines(["scale", "ours", "theirs", *sets], rows)] if rows else []


def _gap(mine: tuple[float, float] | None, other: tuple[float, float] | None) -> str:
    """Differences of the scores that both have, as text."""
    if not (mine and other):
        return ""
    return " / ".join(f"{x - y:+.2f}" for x, y in zip(mine, other, strict=True) if not math.isnan(x - y))


def sample_lines(results: list[Row]) -> list[str]:
    """Single answers beside samples at temperature 1, on every set that was measured."""
    measured = {(r["scale"], r["method"], r["settings"], r["set"]): r for r in results}
    # sets as in the paper's table, those that it lacks after them
    rank = {name: i for i, name in enumerate(["bundled", *TABLE_SETS])}
    sets = [name for _, name in sorted((rank.get(r["set"], len(rank)), r["set"]) for r in results)]
    sets = list(dict.fromkeys(sets))
    kinds = {"default": "answer", "files": "answer", "temperature 1": f"samples, mean of {SAMPLES_PER_IMAGE}"}
    rows = []
    for scale, method in sorted({key[:2] for key in measured}):
        for settings, words in kinds.items():
            row = [measured.get((scale, method, settings, dataset)) for dataset in sets]
            if any(row):
                name = f"{method} {words}" if method.startswith("SR-VAE") else method
                rows.append([f"{scale}x", name, *map(_scores, row)])
    title = "**Answers and samples** (temperature 1): PSNR in dB / NIQE (low is good) / LR-PSNR in dB / diversity in %"
    images = {r["set"]: r["images"] for r in results}
    return [title, "", *table_lines(["scale", "method", *(f"{s}, {images[s]} images" for s in sets)], rows)]


def _scores(row: Row | None) -> str:
    """A cell of :func:`sample_lines`."""
    digits = {"psnr": 2, "niqe": 2, "lr_psnr": 1, "diversity": 1}
    return " / ".join(f"{float(row[name]):.{n}f}" if row[name] else "–" for name, n in digits.items()) if row else ""


def release_lines(results: list[Row], printed: list[Row]) -> list[str]:
    """From this project's way to the release's, step by step, beside what the release's notebooks print."""
    measured = {(r["scale"], r["method"], r["set"], r["settings"]): r for r in results}
    theirs = {(r["scale"], r["method"], r["dataset"]): r for r in printed}
    ways = [name for name in SETTINGS if not name.startswith("temperature")]
    # the first two ways are measured on every set; only sets with the others belong here
    compared = sorted({key[:3] for key in measured if key[3] in ways[2:]})
    rows = []
    for scale, method, dataset in compared:
        cells = [_speed_and_scores(measured.get((scale, method, dataset, name))) for name in ways]
        r = theirs.get((scale, method, dataset))
        cells.append(f"{float(r['psnr_y']):.2f} / {float(r['ssim_y']):.4f}" if r else "")
        rows.append([f"{scale}x", method, dataset, *cells])
    title = (
        "**Like for like with the release**: PSNR in dB / SSIM / seconds per megapixel. The release scores unrounded "
        "output of its own tiling with self-ensemble, without back-projection (here at the model's own temperature)"
    )
    return [title, "", *table_lines(["scale", "method", "set", *ways, "release's notebook"], rows)] if rows else []


def _speed_and_scores(row: Row | None) -> str:
    """A cell of :func:`release_lines`."""
    return f"{float(row['psnr']):.2f} / {float(row['ssim']):.4f} / {float(row['seconds']):.1f}" if row else ""


def with_results(readme: str, tables: str) -> str:
    """A README's text with the tables between its markers.

    Raises:
        ValueError: it has no such markers.
    """
    # an empty start or end means that partition met no marker
    before, start, rest = readme.partition(START_MARKER)
    _, end, after = rest.partition(END_MARKER)
    if not (start and end):
        raise ValueError(f"the README lacks the markers {START_MARKER} and {END_MARKER}")
    return f"{before}{START_MARKER}\n\n{tables}\n\n{END_MARKER}{after}"


def write_readme(readme: Path = README) -> None:
    """Put the tables of data/results.csv into the README.

    Raises:
        ValueError: it has no markers for them, or a file of data/ is damaged.
        OSError: it cannot be read or written.
    """
    text = with_results(readme.read_text(encoding="utf-8"), tables())
    with sr.written_whole(readme) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def tables() -> str:
    """:func:`markdown` of the files in data; raises ValueError where one is damaged."""
    return markdown(read_csv(PUBLISHED), read_results(), read_csv(PRINTED))
