"""The README's results: what the numbers say, and a table of one screen.

print(summary())  # Markdown
write_readme()    # between the README's markers
"""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import srvae_core as sr
from srvae import images
from srvae.csvfiles import DATA, Row

from .tables import MODELS, SAMPLES, table_lines
from .words import DIGITS, PAPER, SHOWN_SETS, Scores, samples_words, scores, verdict

README = DATA.parent / "README.md"
START_MARKER, END_MARKER = "<!-- results:start -->", "<!-- results:end -->"
COLUMNS = list(product(sr.SCALES, SHOWN_SETS))
# What a line is called -> method and settings.
LINES = {
    "bicubic enlargement": ("Bicubic", "default"),
    "LapSRN, published": (f"{PAPER}LapSRN", "default"),
    **{f"{method}, published": (f"{PAPER}{method}", "default") for method in MODELS},
    **{f"**{method[-1]}, this project**": (method, "default") for method in MODELS},
    **{f"{method[-1]}'s samples at temperature 1": (method, SAMPLES) for method in MODELS},
}


def summary(published: list[Row] | None = None, results: list[Row] | None = None) -> str:
    """What the README shows of the results, as Markdown.

    Args:
        published: rows of :data:`csvfiles.PUBLISHED`; read from there unless given.
        results: rows of :data:`csvfiles.RESULTS` likewise.

    Raises:
        ValueError: a file of data/ is damaged.
    """
    known = scores(published, results)
    parts = [verdict(known.published, known.results), short_table(known), samples_words(known.results)]
    return "\n\n".join(part for part in parts if part)


def short_table(known: Scores) -> str:
    """The table of one screen: PSNR and NIQE of :data:`LINES` on Set5 and Set14 at both scales."""
    rows = [[name, *(_cell(known, kind, *column) for column in COLUMNS)] for name, kind in LINES.items()]
    head = ["PSNR in dB / NIQE", *(f"{scale}x {dataset}" for scale, dataset in COLUMNS)]
    return "\n".join(table_lines(head, rows))


def _cell(known: Scores, kind: tuple[str, str], scale: int, dataset: str) -> str:
    """The scores of one method on one set; the paper gives no NIQE."""
    method, settings = kind
    values = {score: known.of(scale, method, dataset, score, settings) for score in ("psnr", "niqe")}
    texts = ["–" if math.isnan(value) else f"{value:.{DIGITS[score]}f}" for score, value in values.items()]
    return " / ".join(texts)


def with_results(readme: str, results: str) -> str:
    """A README's text with the results between its markers.

    Raises:
        ValueError: it has no such markers.
    """
    # an empty start or end means that partition met no marker
    before, start, rest = readme.partition(START_MARKER)
    _, end, after = rest.partition(END_MARKER)
    if not (start and end):
        raise ValueError(f"the README lacks the markers {START_MARKER} and {END_MARKER}")
    return f"{before}{START_MARKER}\n\n{results}\n\n{END_MARKER}{after}"


def write_readme(readme: Path = README) -> None:
    """Put the results of data/ into the README.

    Raises:
        ValueError: it has no markers for them, or a file of data/ is damaged.
        OSError: it cannot be read or written.
    """
    text = with_results(readme.read_text(encoding="utf-8"), summary())
    with images.atomic_write(readme) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
