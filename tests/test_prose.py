"""README and the other documents: links, the version, commands and the five lines of Python are right."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import skimage.io

import srvae_core as sr
from srvae import cli

ROOT = Path(__file__).resolve().parents[1]
MARKDOWN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
MARKDOWN += [ROOT / folder / "README.md" for folder in ("notebooks", "tests", "data/weights")]
DOCUMENTS = [*MARKDOWN, *sorted((ROOT / "notebooks").glob("*.ipynb"))]


def text_of(path: Path) -> str:
    """A document's Markdown: the file, or the Markdown cells of a notebook."""
    if path.suffix == ".md":
        return path.read_text("utf-8")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def anchors_of(path: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text_of(path))
    for link in filter(None, (a or b for a, b in links)):
        if link.startswith(("https://", "data:", "attachment:")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{path.name} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{path.name} links to {link}"


def test_one_version():
    version = sr.__version__
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE).group(1) == version
    assert re.findall(r"^## \[(.+?)\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)[0] == version


def help_of(words: list[str], capsys) -> str:
    """What a command of srvae prints for --help."""
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--help"])
    assert ended.value.code == 0, words
    return capsys.readouterr().out


def test_commands_and_their_options_exist(capsys):
    lines = set()
    for path in DOCUMENTS:
        if path.parent.name != "weights":  # the model card tells what earlier versions ran
            lines |= set(re.findall(r"\bsrvae ((?:enlarge|evaluate|train|draw)(?![\w:])[^\n`#]*)", text_of(path)))
    assert len(lines) > 10
    for line in sorted(lines):
        command, *words = shlex.split(line)
        sub = [words[0]] if command in ("evaluate", "train") and words and words[0].isalpha() else []
        said = help_of([command, *sub], capsys)
        assert [flag for flag in re.findall(r"--[a-z][a-z-]+", line) if flag not in said] == [], line


def test_five_lines_of_python_run(tmp_path, monkeypatch, crops):
    code = re.search(r"^```python\n(.*?)^```", text_of(ROOT / "README.md"), re.DOTALL | re.MULTILINE).group(1)
    skimage.io.imsave(tmp_path / "photo.png", np.ascontiguousarray(crops["chelsea"][:32, :40]))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    answer, sample = (skimage.io.imread(tmp_path / f"{name}.png") for name in ("answer", "sample"))
    assert answer.shape == sample.shape == (128, 160, 3)
    assert (answer != sample).any()
