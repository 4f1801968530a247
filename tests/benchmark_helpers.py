"""What the tests of benchmarks and figures share."""

import matplotlib
from benchmarks.results import RESULT_COLUMNS
from matplotlib.figure import Figure

matplotlib.use("agg")  # no windows


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
