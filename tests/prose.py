"""The project's documents, as several test files read them."""

import functools
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README, GUIDE, COMMANDS = ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "notebooks" / "README.md"
TRAINING = ROOT / "notebooks" / "Training.ipynb"


def name_of(path: Path) -> str:
    """What a document is called in the project and in the names of tests."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def text_of(path: Path) -> str:
    """A document's Markdown: a file, or the Markdown cells of a notebook."""
    if path.suffix == ".md":
        return path.read_text("utf-8")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def says(sentence: str, path: Path = README) -> None:
    """Fail unless a document still says this: a promise that no reader finds needs no test."""
    assert sentence in " ".join(text_of(path).split()), f"{name_of(path)} no longer says: {sentence}"
