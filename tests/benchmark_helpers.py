"""What the tests of benchmarks, NIQE and figures share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import metrics
import pytest
from benchmarks.evaluate import RESULT_COLUMNS, niqe_at_hand
from conftest import SHARED
from matplotlib.figure import Figure

matplotlib.use("agg")  # no windows


@contextmanager
def niqe_model(
    monkeypatch: pytest.MonkeyPatch, path: Path = SHARED / "perceptual" / "niqe_pris_params.npz"
) -> Iterator:
    """NIQE's model read from a file, by default from the folder beside the checkout; skips where there is none."""
    if not path.exists():
        pytest.skip(f"no {path}")
    monkeypatch.setenv("SRVAE_NIQE", str(path))
    # both remember what they saw first
    metrics.natural_model.cache_clear()
    niqe_at_hand.cache_clear()
    yield metrics.natural_model()
    metrics.natural_model.cache_clear()
    niqe_at_hand.cache_clear()


def results_row(method: str, settings: str, scale: int = 4, dataset: str = "bundled", **values: str) -> dict[str, str]:
    """A row of data/results.csv."""
    head = {"method": method, "scale": str(scale), "set": dataset, "settings": settings}
    return dict.fromkeys(RESULT_COLUMNS, "") | head | values


def texts(fig: Figure) -> list[str]:
    """All words of a figure that are no titles."""
    return [t.get_text() for ax in fig.axes for t in ax.texts]


def titles(fig: Figure) -> list[str]:
    return [ax.get_title() for ax in fig.axes]


def overlapping(fig: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that cover each other."""
    fig.draw_without_rendering()  # lays out
    boxes = [(t.get_text(), t.get_window_extent()) for ax in fig.axes for t in [*ax.texts, ax.title] if t.get_text()]
    boxes = [(text, b.shrunk(0.9, 0.9)) for text, b in boxes]
    return [(p, q) for i, (p, a) in enumerate(boxes) for q, b in boxes[i + 1 :] if a.overlaps(b)]
