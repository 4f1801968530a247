"""What the numbers of data/results.csv say, in sentences that are made of them and so cannot outlive them.

print(verdict())        # how good the answers are, against bicubic enlargement and the paper
print(samples_words())  # whose samples at temperature 1 are better
print(nearer_words())   # what looks nearer to the original than bicubic enlargement
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import srvae_core as sr
from srvae.csvfiles import PUBLISHED, Row, read_csv

from .results import read_results
from .tables import MODELS, SAMPLES, by_key, sets_of

SHOWN_SETS = ("Set5", "Set14")  # that the README shows
DIGITS = {"psnr": 2, "ssim": 3, "niqe": 2, "vgg": 3}  # as tables show them
BETTER = {"psnr": ("higher PSNR", 1), "niqe": ("lower NIQE", -1)}  # words, and the sign of a difference that is good
PAPER = "published "  # before the name of a method whose numbers are the paper's


@dataclass(frozen=True)
class Scores:
    """Scores rounded as tables show them: who subtracts two of these finds the difference that the words name."""

    published: list[Row]
    results: list[Row]

    def of(self, scale: int, method: str, dataset: str, score: str = "psnr", settings: str = "default") -> float:
        """One score; NaN where it is not known. A method that begins with :data:`PAPER` is the paper's."""
        if method.startswith(PAPER):
            names = {"psnr": "psnr_y", "ssim": "ssim_y"}
            key = (str(scale), method.removeprefix(PAPER), dataset)
            rows = (r for r in self.published if (r["scale"], r["method"], r["dataset"]) == key)
            value = next(rows, {}).get(names.get(score, ""), "")
        else:
            value = by_key(self.results).get((str(scale), method, settings, dataset), {}).get(score, "")
        return round(float(value or "nan"), DIGITS[score])

    def over(self, scale: int, mine: str, other: str, score: str = "psnr", settings: str = "default") -> list[float]:
        """By how much one method's score exceeds another's on each of :data:`SHOWN_SETS`; [] where one is not known."""
        pairs = [[self.of(scale, m, name, score, settings) for m in (mine, other)] for name in SHOWN_SETS]
        differences = [round(a - b, DIGITS[score]) for a, b in pairs]
        return [] if any(map(math.isnan, differences)) else differences


def scores(published: list[Row] | None = None, results: list[Row] | None = None) -> Scores:
    """The scores of some rows; of the files in data/ unless given.

    Raises:
        ValueError: a file is damaged.
    """
    return Scores(
        read_csv(PUBLISHED) if published is None else published, read_results() if results is None else results
    )


def listed(words: Sequence[str]) -> str:
    """Words in a row: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def apart(differences: Sequence[float], up: str, down: str, unit: str = "") -> str:
    """Differences in words: "0.30 and 0.20 dB above", "0.10 dB above and 0.20 dB below", "level with"."""
    words = [up if d > 0 else down if d < 0 else "level with" for d in differences]
    numbers = [f"{abs(d):.2f}" for d in differences]
    if len(set(words)) == 1:
        return words[0] if words[0] == "level with" else f"{listed(numbers)}{unit} {words[0]}"
    return listed(
        [word if not d else f"{n}{unit} {word}" for d, n, word in zip(differences, numbers, words, strict=True)]
    )


# -- How good the answers are -------------------------------------------------------------------------------


def verdict(published: list[Row] | None = None, results: list[Row] | None = None) -> str:
    """How good the answers are on :data:`SHOWN_SETS`: Markdown, a point for D and one for P at each scale.

    Args:
        published: rows of :data:`csvfiles.PUBLISHED`; read from there unless given.
        results: rows of :data:`csvfiles.RESULTS` likewise.

    Returns:
        What is not measured is left out; nothing measured gives "".

    Raises:
        ValueError: a file of data/ is damaged.
    """
    known = scores(published, results)
    points = []
    for scale in sr.SCALES:
        others = {"Bicubic": "bicubic enlargement", f"{PAPER}LapSRN": "the published LapSRN"}
        others[f"{PAPER}SR-VAE-D"] = "the published SR-VAE-D"
        gaps = {words: known.over(scale, "SR-VAE-D", other) for other, words in others.items()}
        parts = [f"{apart(gap, 'above', 'below', ' dB')} {words}" for words, gap in gaps.items() if gap]
        if parts:
            points.append(f"* **D at {scale}x** is {listed(parts)}.")
        psnr, niqe = (known.over(scale, "SR-VAE-P", "SR-VAE-D", score) for score in ("psnr", "niqe"))
        if psnr:
            naturalness = f"; its NIQE is {apart(niqe, 'higher', 'lower')} than D's" if niqe and any(niqe) else ""
            paper = known.over(scale, "SR-VAE-P", f"{PAPER}SR-VAE-P")
            parts = [f"{apart(psnr, 'above', 'below', ' dB')} D"]
            parts += [f"{apart(paper, 'above', 'below', ' dB')} the published SR-VAE-P"] if paper else []
            points.append(f"* **P at {scale}x** is {listed(parts)}{naturalness}.")
    if not points:
        return ""
    head = (
        f"Measured on {listed(SHOWN_SETS)} by PSNR (higher is better) and NIQE (how natural a picture looks, "
        "without its original; lower is better):"
    )
    return "\n".join([head, "", *points])


# -- Samples ------------------------------------------------------------------------------------------------


def samples_words(results: list[Row] | None = None) -> str:
    """Whose samples at temperature 1 have the better PSNR and NIQE on :data:`SHOWN_SETS`, D's or P's, at each scale.

    Args:
        results: rows of :data:`csvfiles.RESULTS`; read from there unless given.

    Returns:
        What is not measured is left out; nothing measured gives "".

    Raises:
        ValueError: the file is damaged.
    """
    known = scores([], results)
    sets = [name for name in sets_of(known.results) if name in SHOWN_SETS]
    sentences = []
    for scale in sr.SCALES:
        won: dict[tuple[str, tuple[str, ...]], list[str]] = {}  # who, on which sets -> in what
        for score, (words, _) in BETTER.items():
            winners = {name: better_samples(known, scale, name, score) for name in sets}
            for who in filter(None, dict.fromkeys(winners.values())):
                where = tuple(name for name in sets if winners[name] == who)
                won.setdefault((who, where), []).append(f"the {words}")
        parts = [
            f"{who}'s samples have {listed(words)} on {'both sets' if len(where) == len(SHOWN_SETS) else listed(where)}"
            for (who, where), words in won.items()
        ]
        if parts:
            sentences.append(f"At {scale}x and temperature 1, {'; '.join(parts)}.")
    return " ".join(sentences)


def better_samples(known: Scores, scale: int, dataset: str, score: str) -> str:
    """The model, D or P, whose samples at temperature 1 have the better score on a set; "" where none has."""
    d, p = (known.of(scale, method, dataset, score, SAMPLES) for method in MODELS)
    ahead = BETTER[score][1] * (d - p)
    return "D" if ahead > 0 else "P" if ahead < 0 else ""


def distances(results: list[Row] | None, scale: int) -> tuple[dict[str, float], int]:
    """Mean VGG distances to the original by what is looked at, and over how many images.

    Only sets count for which all of them are measured.

    Returns:
        {"bicubic enlargement": ..., "D's answer": ..., ...}, rounded to 3 digits; empty without any.

    Raises:
        ValueError: the results file is damaged.
    """
    measured = by_key(read_results() if results is None else results)
    kinds = {"bicubic enlargement": ("Bicubic", "default")}
    kinds |= {f"{m[-1]}'s answer": (m, "default") for m in MODELS}
    kinds |= {f"{m[-1]}'s samples at temperature 1": (m, SAMPLES) for m in MODELS}
    rows = {
        name: {words: measured.get((str(scale), *kind, name), {"vgg": ""}) for words, kind in kinds.items()}
        for name in sets_of(measured.values())
    }
    whole = [of_set for of_set in rows.values() if all(row["vgg"] for row in of_set.values())]
    images = [int(of_set["bicubic enlargement"]["images"]) for of_set in whole]
    if not whole:
        return {}, 0
    return {
        words: round(weighted_mean([float(of_set[words]["vgg"]) for of_set in whole], images), DIGITS["vgg"])
        for words in kinds
    }, sum(images)


def weighted_mean(values: Iterable[float], weights: Sequence[int]) -> float:
    """The mean of values that stand for so many images each."""
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)


def nearer_words(results: list[Row] | None = None) -> str:
    """Which of answers and samples look nearer to the original than bicubic enlargement, by the VGG distance.

    Args, returns and errors are those of :func:`samples_words`.
    """
    sentences = []
    for scale in sr.SCALES:
        means, images = distances(results, scale)
        if not means:
            continue
        bicubic = means.pop("bicubic enlargement")
        groups: dict[str, list[str]] = {"nearer": [], "as near": [], "no nearer, but farther away": []}
        for words, value in means.items():
            kind = "nearer" if value < bicubic else "as near" if value == bicubic else "no nearer, but farther away"
            groups[kind].append(f"{words} ({value:.3f})")
        parts = [
            f"{listed(words)} {'is' if len(words) == 1 and 'answer' in words[0] else 'are'} {kind}"
            for kind, words in groups.items()
            if words
        ]
        sentences.append(
            f"At {scale}x bicubic enlargement is {bicubic:.3f} away, the mean over {images} images: {'; '.join(parts)}."
        )
    return (
        " ".join(["The VGG distance says how far a picture looks from its original.", *sentences]) if sentences else ""
    )
