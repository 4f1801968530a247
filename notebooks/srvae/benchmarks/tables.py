"""Markdown tables of the CSV files in data/: those of Paper_Figures and the one of README.

display(Markdown(published_table(4, read_csv(PUBLISHED), read_csv(RESULTS))))

Cells are text from the file to the page, so that the best value is the best of the values that are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from operator import itemgetter
from pathlib import Path

import srvae_core as sr
from srvae import images
from srvae.csvfiles import DATA, PUBLISHED, RESULTS, Row, read_csv

from .evaluate import SAMPLES_PER_IMAGE, SETTINGS

TABLE_SETS = ("Set5", "Set14", "BSD100", "Urban100", "Manga109")  # the columns of the paper's table
MODELS = ("SR-VAE-D", "SR-VAE-P")
SAMPLES = "temperature 1"  # the setting of samples from the prior
README = DATA.parent / "README.md"
START_MARKER, END_MARKER = "<!-- results:start -->", "<!-- results:end -->"

Cells = dict[str, tuple[str, ...]]  # set -> (PSNR, SSIM, PI) as text


def table_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def by_key(results: Iterable[Row]) -> dict[tuple[str, str, str, str], Row]:
    """Return rows of the results by scale, method, setting and set."""
    return {(r["scale"], r["method"], r["settings"], r["set"]): r for r in results}


def formatted(row: Row | None, **digits: int) -> str:
    """Return some scores of a row with so many digits each, a dash for a blank one; "" without a row."""
    return " / ".join(f"{float(row[name]):.{n}f}" if row[name] else "–" for name, n in digits.items()) if row else ""


def paper_table(scale: int, published: list[Row], results: list[Row]) -> dict[str, Cells]:
    """Return the paper's rows and below them ours: method -> set -> (PSNR, SSIM, PI) as text; ours have no PI."""
    table: dict[str, Cells] = {}
    for r in published:
        if r["scale"] == str(scale):
            cell = (f"{float(r['psnr_y']):.2f}", f"{float(r['ssim_y']):.3f}", f"{float(r['pi']):.3f}")
            table.setdefault(r["method"], {})[r["dataset"]] = cell
    for r in sorted(results, key=itemgetter("method")):
        if r["scale"] == str(scale) and r["settings"] == "default" and r["set"] in TABLE_SETS:
            cell = (f"{float(r['psnr']):.2f}", f"{float(r['ssim']):.3f}", "")
            table.setdefault(f"{r['method']} (here)", {})[r["set"]] = cell
    return table


def best_values(table: dict[str, Cells]) -> dict[tuple[str, int], str]:
    """Return the best text of each (set, column): highest PSNR and SSIM, lowest PI."""
    best = {}
    for dataset in TABLE_SETS:
        for column, choose in enumerate((max, max, min)):  # PSNR, SSIM, PI
            cells = [row[dataset][column] for row in table.values() if dataset in row and row[dataset][column]]
            if cells:
                best[dataset, column] = choose(cells, key=float)
    return best


def published_table(scale: int, published: list[Row], results: list[Row]) -> str:
    """Return the paper's table of one scale with our rows below, best values bold."""
    table = paper_table(scale, published, results)
    best = best_values(table)

    def cell(row: Cells, dataset: str) -> str:
        values = enumerate(row.get(dataset, ()))
        return " / ".join(f"**{v}**" if v and v == best[dataset, i] else v or "–" for i, v in values)

    rows = [[method, *(cell(row, dataset) for dataset in TABLE_SETS)] for method, row in table.items()]
    return "\n".join(table_lines([f"{scale}x: PSNR in dB / SSIM / PI", *TABLE_SETS], rows))


def answers_and_samples(results: list[Row]) -> str:
    """Return a table of answers and of samples at temperature 1 on bundled photographs and the paper's sets."""
    count = {r["set"]: r["images"] for r in results}
    sets = [name for name in ("bundled", *TABLE_SETS) if name in count]
    measured, rows = by_key(results), []
    for scale, method in sorted({key[:2] for key in measured}):
        for setting, kind in (("default", " answer"), (SAMPLES, f" samples, mean of {SAMPLES_PER_IMAGE}")):
            row = [measured.get((scale, method, setting, dataset)) for dataset in sets]
            if any(row):
                cells = [formatted(r, psnr=2, niqe=2, vgg=3, lr_psnr=1, diversity=1) for r in row]
                rows.append([f"{scale}x {method}{kind if method in MODELS else ''}", *cells])
    scores = "PSNR in dB / NIQE / VGG distance / LR-PSNR in dB / diversity in %"
    return "\n".join(table_lines([scores, *(f"{name}, {count[name]} images" for name in sets)], rows))


def like_for_like(results: list[Row], printed: list[Row]) -> str:
    """Return a table of the ways from ours to the release's, beside the scores that its notebooks print."""
    measured = by_key(results)
    theirs = {(r["scale"], r["method"], r["dataset"]): r for r in printed}
    ways = [name for name in SETTINGS if not name.startswith("temperature")]
    rows = []
    # Every set has the first two ways; only sets with the others are compared.
    for scale, method, dataset in sorted({(s, m, name) for s, m, way, name in measured if way in ways[2:]}):
        cells = [formatted(measured.get((scale, method, way, dataset)), psnr=2, ssim=4, seconds=1) for way in ways]
        cells.append(formatted(theirs.get((scale, method, dataset)), psnr_y=2, ssim_y=4))
        rows.append([f"{scale}x {method}, {dataset}", *cells])
    return "\n".join(table_lines(["PSNR in dB / SSIM / seconds per megapixel", *ways, "release's notebook"], rows))


def readme_table(published: list[Row], results: list[Row]) -> str:
    """Return README's table: PSNR and NIQE on Set5 and Set14 at both scales."""
    measured = by_key(results)
    for r in published:  # without NIQE
        measured[r["scale"], r["method"], "published", r["dataset"]] = {"psnr": r["psnr_y"], "niqe": ""}
    lines = {
        "bicubic enlargement": ("Bicubic", "default"),
        **{f"{method}, published": (method, "published") for method in ("LapSRN", *MODELS)},
        **{f"**{method[-1]}, this project**": (method, "default") for method in MODELS},
        **{f"{method[-1]}'s samples at temperature 1": (method, SAMPLES) for method in MODELS},
    }
    columns = list(product(map(str, sr.SCALES), ("Set5", "Set14")))
    rows = [
        [name, *(formatted(measured.get((scale, *key, dataset)), psnr=2, niqe=2) for scale, dataset in columns)]
        for name, key in lines.items()
    ]
    head = ["PSNR in dB / NIQE", *(f"{scale}x {dataset}" for scale, dataset in columns)]
    return "\n".join(table_lines(head, rows))


def write_readme(readme: Path = README) -> None:
    """Write :func:`readme_table` between the README's markers; ValueError if it has no markers."""
    text = readme.read_text(encoding="utf-8")
    before, start, rest = text.partition(START_MARKER)
    _, end, after = rest.partition(END_MARKER)
    if not (start and end):
        raise ValueError(f"{readme} lacks the markers {START_MARKER} and {END_MARKER}")
    table = readme_table(read_csv(PUBLISHED), read_csv(RESULTS))
    with images.atomic_write(readme) as part:
        part.write_text(f"{before}{start}\n\n{table}\n\n{end}{after}", encoding="utf-8", newline="\n")
