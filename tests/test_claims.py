"""What documents say of scores in words: each such sentence is generated, or held by a test.

Sentences about README's models are in test_readme_models.py; what ``benchmarks.words`` makes of numbers, in
test_tables.py. The rest stands in :data:`CLAIMS`. A sentence that none of these knows fails here and is named.
"""

import ast
import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.results import read_results
from benchmarks.summary import END_MARKER, START_MARKER
from csvfiles import PUBLISHED, read_csv
from figures.results import LARGEST_LOSS
from prose import COMMANDS, GUIDE, README, ROOT, TRAINING, name_of, says, text_of

import srvae_core as sr

NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
DOCUMENTS = [README, GUIDE, COMMANDS, *NOTEBOOKS.values()]
MODELS = ("SR-VAE-D", "SR-VAE-P")
ELSEWHERE = {4: 23.14, 8: 20.74}  # dB of bicubic enlargement on Urban100, as LapSRN and EDSR print it
# Sentences that define, or say what is measured; they compare nothing.
PLAIN = (
    "Tests of files that are not ours to ship",
    "New weights are shipped when the PSNR on held-out patches gains at least 0.03 dB",  # a rule
    "the PSNR at z = 0, and the standard deviation in grey levels (`spread`) of six samples from the prior",
    "D trained on by the score itself, minus the PSNR of each patch",
    "Energy score and VGG distance (features of VGG-19, as LPIPS has them) are better when lower",
    "PSNR is taken on Y (ITU-R BT.601, 16 to 235)",
    "The paper gives PI, the mean of NIQE and 10 minus Ma's score",
    "A single answer has no diversity, so it is 0 at 0",
    "Diversity says in percent how much nearer to the original the best of ten samples is",
)


@functools.cache
def measured() -> dict[tuple[str, str, str, str], dict[str, float]]:
    """Scores by scale, method, settings and set."""
    rows = read_results()
    numbers = [n for n in rows[0] if n not in ("method", "scale", "set", "settings", "version")]
    return {
        (r["scale"], r["method"], r["settings"], r["set"]): {n: float(r[n] or "nan") for n in numbers} for r in rows
    }


def pairs(settings: str) -> list[tuple[tuple[str, str], dict[str, float], dict[str, float]]]:
    """(scale, set), and the scores of D and of P there, wherever both are measured with these settings."""
    places = sorted(
        {(scale, dataset) for scale, method, s, dataset in measured() if (method, s) == (MODELS[1], settings)}
    )
    assert len(places) >= 2
    return [(p, *(measured()[p[0], method, settings, p[1]] for method in MODELS)) for p in places]


def d_has_the_psnr_and_p_the_looks() -> None:
    for place, d, p in pairs("default"):
        assert d["psnr"] > p["psnr"], place
        assert p["niqe"] < d["niqe"], place


def spread_rises_and_psnr_falls() -> None:
    for scale in map(str, sr.SCALES):
        for method in MODELS:
            walk = [measured()[scale, method, f"temperature {t}", "bundled"] for t in ("0.25", "0.5", "0.75", "1")]
            psnr, diversity = ([scores[name] for scores in walk] for name in ("psnr", "diversity"))
            assert psnr == sorted(psnr, reverse=True), (scale, method)
            assert diversity == sorted(diversity), (scale, method)


def bicubic_takes_hardly_any_time() -> None:
    for scale, _, _, dataset in measured():
        bicubic, d = (measured()[scale, m, "default", dataset]["seconds"] for m in ("Bicubic", MODELS[0]))
        assert bicubic < d / 50, (scale, dataset)


def published_bicubic_rows_of_urban100_are_half_a_decibel_high() -> None:
    rows = {
        int(r["scale"]): float(r["psnr_y"])
        for r in read_csv(PUBLISHED)
        if (r["method"], r["dataset"]) == ("Bicubic", "Urban100")
    }
    assert rows.keys() == ELSEWHERE.keys()
    for scale, psnr in rows.items():
        assert psnr - ELSEWHERE[scale] == pytest.approx(0.5, abs=0.05)


def the_sample_may_lose_one_decibel() -> None:
    assert LARGEST_LOSS == 1  # test_figure_results.py holds the choice itself


def a_heavier_vgg_term_costs_psnr() -> None:
    rows = {(r["run"], r["scale"]): float(r["psnr"]) for r in read_csv(sr.WEIGHTS / "curves" / "tried.csv")}
    assert rows["4x-P15", "4"] < rows["4x-P12", "4"]
    assert rows["8x-P15", "8"] < rows["8x-P13", "8"]


# document, sentence, and what must be so
CLAIMS: list[tuple[Path, str, Callable[[], None]]] = [
    *(
        (
            NOTEBOOKS[f"SR_VAE_{scale}x"],
            "D is trained for fidelity (PSNR) and P for looks",
            d_has_the_psnr_and_p_the_looks,
        )
        for scale in sr.SCALES
    ),
    (
        README,
        "**P** gives up some of it for a more natural look, as NIQE judges it",
        d_has_the_psnr_and_p_the_looks,
    ),
    (
        NOTEBOOKS["Latent_Sampling"],
        "what each temperature gives in spread and costs in PSNR",
        spread_rises_and_psnr_falls,
    ),
    (
        NOTEBOOKS["Paper_Figures"],
        "of all measured samples that lose at most 1 dB of PSNR to D's answer, the one with the lowest NIQE",
        the_sample_may_lose_one_decibel,
    ),
    (TRAINING, "z = 0 lost PSNR at both scales", a_heavier_vgg_term_costs_psnr),
    (NOTEBOOKS["Paper_Figures"], "Bicubic enlargement takes hardly any time", bicubic_takes_hardly_any_time),
    (
        COMMANDS,
        "The published bicubic rows of Urban100 lie about 0.5 dB above those that other papers report",
        published_bicubic_rows_of_urban100_are_half_a_decibel_high,
    ),
]


@pytest.mark.parametrize(("document", "sentence", "holds"), CLAIMS, ids=[f"{name_of(p)}: {s}" for p, s, _ in CLAIMS])
def test_a_claim_is_what_the_numbers_say(document, sentence, holds):
    says(sentence, document)
    holds()


# -- no sentence without a test -----------------------------------------------------------------------------

SCORE = re.compile(r"\b(PSNR|NIQE|SSIM|dB|VGG distance|[Dd]iversity)\b")
COMPARING = re.compile(
    r"\b(better|best|worse|worst|higher|highest|lower|lowest|above|below|more|most|less|least|fewer|nearer|nearest|farther"
    r"|falls?|rises?|gains?|los[et]s?|costs?|beats?|moved|ahead|behind)\b|(?<![\w-])\d+(?![\w-])"
)


def sentences(text: str) -> list[str]:
    """The sentences of a Markdown text, without code, and without what is generated."""
    text = re.sub(f"{START_MARKER}.*{END_MARKER}", "", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```|^    .*$", "", text, flags=re.DOTALL | re.MULTILINE) if "```" in text else text
    blocks = re.split(r"\n\s*\n|\n(?=[*#|-])", text)
    return [s for block in blocks for s in re.split(r"(?<=[.:;?!])\s+", " ".join(block.split()))]


def comparing(text: str) -> list[str]:
    """Those sentences that speak of a score and compare, or give a number."""
    return [s for s in sentences(text) if SCORE.search(s) and COMPARING.search(s)]


@functools.cache
def held() -> list[str]:
    """What tests say that documents say: the words that they hand to ``says``, and those of this file."""
    words = [sentence for _, sentence, _ in CLAIMS] + list(PLAIN)
    for file in sorted((ROOT / "tests").glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "says"
                and isinstance(node.args[0], ast.Constant)
            ):
                words.append(node.args[0].value)
    return words


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_no_sentence_about_scores_is_without_a_test(document):
    """Say it by ``benchmarks.words``, or add it to CLAIMS; what only defines goes into PLAIN."""
    unheld = [
        s for s in comparing(text_of(document)) if not any(words in s or s.rstrip(".;:") in words for words in held())
    ]
    assert not unheld


def test_plain_sentences_are_still_there():
    everything = " ".join(" ".join(text_of(document).split()) for document in DOCUMENTS)
    assert not [words for words in PLAIN if words not in everything]


def test_sentences_that_compare_scores_are_found():
    text = (
        f"P has lower NIQE. It is nice.\n\n| x | PSNR falls by 2 |\n{START_MARKER} 3 dB {END_MARKER}\n\nPSNR is on Y."
    )
    assert comparing(text) == ["P has lower NIQE.", "| x | PSNR falls by 2 |"]
    assert TRAINING in DOCUMENTS
