"""README and the other Markdown: short, in step with the code, without broken links or misspelt words."""

import functools
import inspect
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import metrics
import mistune
import pytest
import release
import yaml
from bs4 import BeautifulSoup
from prose import COMMANDS, GUIDE, README, ROOT, name_of, text_of

import srvae_core as sr

MARKDOWN = sorted(
    path for folder in (".", "notebooks", "data", "data/weights", "tests") for path in ROOT.glob(f"{folder}/*.md")
)
DOCUMENTS = [*MARKDOWN, *sorted((ROOT / "notebooks").glob("*.ipynb"))]
HOSTS = {"github.com", "keepachangelog.com", "semver.org"}  # where links lead that no test follows
ACTIVATION = ". .venv/bin/activate"
GENERATED = re.compile("<!-- results:start -->.*?<!-- results:end -->", re.DOTALL)
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)

to_html = mistune.create_markdown(escape=False, plugins=["table", "url"])


@functools.cache
def page_of(path: Path) -> BeautifulSoup:
    """A document as a reader's browser has it."""
    return BeautifulSoup(to_html(text_of(path)), "html.parser")


def links_of(page: BeautifulSoup) -> list[str]:
    """Where links and pictures lead."""
    return [tag["href"] for tag in page.find_all("a", href=True)] + [tag["src"] for tag in page.find_all("img")]


def anchors_of(path: Path) -> set[str]:
    """What links into a document may name: its headings, as GitHub writes them (a notebook's: as Jupyter does)."""
    headings = [tag.get_text() for tag in page_of(path).find_all(re.compile("^h[1-6]$"))]
    if path.suffix == ".ipynb":
        return {heading.replace(" ", "-") for heading in headings}
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def fault_of(link: str, source: Path) -> str:
    """What is wrong with a link of a document; "" where nothing is. Nothing outside is asked."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        if parts.scheme != "https":
            return "no https"
        return (
            ""
            if parts.hostname in HOSTS and not re.search(r"\s", link)
            else f"a host that {Path(__file__).name} does not list"
        )
    target = (source.parent / unquote(parts.path)).resolve() if parts.path else source
    if ROOT not in target.parents or not target.exists():
        return "no such file in the project"
    if parts.fragment and parts.fragment not in anchors_of(target):
        return "no such heading"
    return ""


def codes_of(path: Path) -> list[str]:
    """The pieces of code within a document's text, fenced ones left out."""
    return [tag.get_text() for tag in page_of(path).find_all("code") if tag.parent.name != "pre"]


def commands_of(path: Path) -> list[str]:
    """The lines of a document that call one of the project's commands, without their comments."""
    lines = re.findall(r"python (notebooks/\w+\.py[^\n`#]*)", text_of(path))
    return [line.strip() for line in lines]


# -- links and spelling -------------------------------------------------------------------------------------


def test_the_documents_are_found():
    names = {name_of(path) for path in DOCUMENTS}
    assert names >= {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "notebooks/README.md", "tests/README.md"}
    assert names >= {"data/weights/README.md", "notebooks/Training.ipynb"}
    assert len(links_of(page_of(README))) > 15


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path):
    faults = {link: fault_of(link, path) for link in links_of(page_of(path))}
    assert {link: fault for link, fault in faults.items() if fault} == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a](nowhere.md)", "no such file"),
        ("[a](CONTRIBUTING.md#nothing)", "no such heading"),
        ("[a](../../etc/passwd)", "no such file"),
        ('<img src="nowhere.png">', "no such file"),
        ("| a |\n|---|\n| ![b](nowhere.png) |", "no such file"),
        ("http://github.com/a", "no https"),
        ("<https://elsewhere.example/a>", "a host"),
        ("[a](CONTRIBUTING.md#how-to-run) [b](notebooks/Training.ipynb#One-batch)", ""),
    ],
)
def test_broken_links_are_found(text, fault):
    links = links_of(BeautifulSoup(to_html(text), "html.parser"))
    assert links
    assert all(
        fault_of(link, README).startswith(fault) and bool(fault_of(link, README)) == bool(fault) for link in links
    )


MISSPELT = ("teh", "Recieved")  # codespell:ignore


@pytest.mark.parametrize("word", MISSPELT)
@pytest.mark.parametrize(
    ("name", "text"), [("a.md", "{}"), ("a.py", '"""{} it."""'), ("a.ipynb", '{{"source": ["{}"]}}')]
)
def test_misspelt_words_are_found(name, text, word, tmp_path):
    """`make lint` runs codespell over everything; these settings let such words through in no kind of file."""
    (tmp_path / name).write_text(text.format(word), "utf-8")
    assert "$(BIN)/codespell\n" in (ROOT / "Makefile").read_text("utf-8")
    codespell = [sys.executable, "-m", "codespell_lib", "--toml", ROOT / "pyproject.toml", tmp_path]
    done = subprocess.run(codespell, capture_output=True, text=True)
    assert (done.returncode, "==>" in done.stdout) == (65, True), done.stdout + done.stderr


# -- what the documents say of the project ------------------------------------------------------------------


def test_readme_is_read_in_a_minute():
    """The generated table and code are looked at; the rest is read."""
    text = text_of(README)
    assert len(GENERATED.findall(text)) == 1
    assert len(FENCED.sub("", GENERATED.sub("", text)).split()) < 1300
    assert len(text_of(GUIDE).split()) < 750, "CONTRIBUTING is one page"


def test_one_version():
    version = sr.__version__
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == version
    assert re.findall(r"^## \[(.+?)\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)[0] == version
    assert tuple(map(int, sr.ANSWERS_SINCE.split("."))) <= tuple(map(int, version.split(".")))


def test_citation_names_software_and_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation.keys() >= {"cff-version", "message", "title", "authors", "preferred-citation"}
    paper = citation["preferred-citation"]
    bibtex = re.search(r"^```bibtex\n(.*?)^```", text_of(README), re.DOTALL | re.MULTILINE).group(1)
    assert f"title   = {{{paper['title']}}}" in bibtex
    assert f"pages = {{{paper['start']}--{paper['end']}}}, year = {{{paper['year']}}}" in bibtex
    assert all(f"{a['family-names']}, {a['given-names']}" in bibtex for a in paper["authors"])


@pytest.mark.parametrize(
    "path", [path for path in MARKDOWN if commands_of(path) and path.parent.name != "weights"], ids=name_of
)
def test_commands_say_which_environment_they_need(path):
    text = text_of(path)
    assert ACTIVATION in text[: text.index("python notebooks/")]


def test_files_that_are_named_are_there():
    """In code within the text; names that begin with "photo" and the like are the reader's own."""
    places = (ROOT, ROOT / "notebooks", ROOT / "tests")
    named = set()
    for path in (README, GUIDE, COMMANDS, ROOT / "tests" / "README.md"):
        paths = [
            code for code in codes_of(path) if re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?|[a-z]\w+\.(py|csv|toml|cff)", code)
        ]
        named |= {name for name in paths if not re.match(r"\.\.|photo|FOLDER|\.venv", name)}
    assert len(named) > 10
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []


@pytest.mark.parametrize("path", [README, GUIDE], ids=name_of)
def test_make_has_what_is_named(path):
    phony = re.search(r"\.PHONY: (.+)", (ROOT / "Makefile").read_text("utf-8")).group(1).split()
    named = re.findall(r"(?:^|`)make ([a-z]+)", text_of(path), re.MULTILINE)
    assert named
    assert set(named) <= set(phony)


@functools.cache
def help_of(*words: str) -> str:
    """What a command of notebooks/ says of itself; fails where there is no such command."""
    done = subprocess.run([sys.executable, *words, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_commands_and_their_options_are_there():
    """Each command, each of its commands, each option, and each figure by name."""
    lines = {line for path in DOCUMENTS if path.parent.name != "weights" for line in commands_of(path)}
    assert len(lines) > 10
    for line in sorted(lines):
        file, *words = line.split()
        first = words[0] if words and words[0].isalpha() and file.endswith(("evaluate.py", "train.py")) else None
        said = help_of(file, first) if first else help_of(file)
        assert [flag for flag in re.findall(r"--[a-z][a-z-]+", line) if flag not in said] == [], line
        if file.endswith("draw.py"):
            assert [word for word in words if re.fullmatch(r"[a-z_0-9]+", word) and word not in said] == [], line


@pytest.mark.slow
def test_the_releases_ways_are_there():
    """Flags of README's table of deviations are those of `train.py run`, its arguments those of functions."""
    table = next(t for t in page_of(README).find_all("table") if "its way" in t.get_text())
    ways = [code.get_text() for row in table.find_all("tr")[1:] for code in row.find_all("td")[-1].find_all("code")]
    functions = (sr.super_resolve, release.super_resolve, metrics.psnr_y, sr.SRVAE)
    known = {name for function in functions for name in inspect.signature(function).parameters}
    arguments = {name for way in ways for name in re.findall(r"\b([a-z_]+)=", way)}
    flags = {flag for way in ways for flag in re.findall(r"--[a-z-]+", way)}
    assert arguments
    assert arguments <= known
    assert flags
    assert [flag for flag in sorted(flags) if flag not in help_of("notebooks/train.py", "run")] == []


def test_five_lines_of_python_run(tmp_path, monkeypatch, crops):
    code = re.search(r"^```python\n(.*?)^```", text_of(README), re.DOTALL | re.MULTILINE).group(1)
    assert len([line for line in code.splitlines() if line]) == 5
    sr.write_image(tmp_path / "photo.png", crops["chelsea"][:32, :40])
    monkeypatch.chdir(tmp_path)
    exec(compile(code, README, "exec"), {})
    answer, sample = (sr.read_image(tmp_path / f"{name}.png") for name in ("answer", "sample"))
    assert answer.shape == sample.shape == (128, 160, 3)
    assert (answer != sample).any()
