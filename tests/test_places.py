"""Where the project runs: other systems and Pythons, odd paths, read-only checkouts, no home, a base URL."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import warnings
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from helpers import NOTEBOOKS, QUICK
from viewer import browser

import srvae_core as sr

ROOT = NOTEBOOKS.parent
FILES = [ROOT / "srvae_core.py", *sorted(NOTEBOOKS.rglob("*.py"))]
TESTS = sorted((ROOT / "tests").glob("*.py"))
COMMANDS = sorted(file.stem for file in FILES if "__main__" in file.read_text("utf-8") and file.parent == NOTEBOOKS)
OLDEST = (3, 11)  # the Python of pyproject.toml's requires-python
HERE = Path(__file__).parent


def module_of(file: Path) -> str:
    """What a file is imported as, with notebooks/ and the root on the path."""
    parts = file.relative_to(NOTEBOOKS if NOTEBOOKS in file.parents else ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [module_of(file) for file in FILES]


# -- the oldest Python --------------------------------------------------------------------------------------


def test_syntax_is_that_of_the_oldest_python():
    lowest = re.search(r'requires-python = ">=(\d+)\.(\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert tuple(map(int, lowest.groups())) == OLDEST
    for file in [*FILES, *TESTS]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as an escape in a string that will not stay one
            compile(file.read_text("utf-8"), file, "exec")
        ast.parse(file.read_text("utf-8"), file, feature_version=OLDEST)
    version = f"py{OLDEST[0]}{OLDEST[1]}"
    # whatever is selected, ruff names what the target does not know, in notebooks' cells as well
    ruff = [sys.executable, "-m", "ruff", "check", "--quiet", "--select", "E9", "--target-version", version, str(ROOT)]
    done = subprocess.run(ruff, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# -- Windows ------------------------------------------------------------------------------------------------

WITHOUT_UNIX = """
import argparse, builtins, importlib, os, runpy, signal, sys, warnings
from contextlib import redirect_stdout
from io import StringIO

root, others, modules, commands = (sys.argv[1], *(argument.split() for argument in sys.argv[2:]))
for name in others:  # what other people wrote may use what there is; here it is loaded before it is taken away
    try:
        importlib.import_module(name)
    except ImportError:
        pass
plain = builtins.__import__
UNIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}


def without_unix(name, namespace=None, *rest, **more):
    if str((namespace or {}).get("__file__", "")).startswith(root) and name.partition(".")[0] in UNIX:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return plain(name, namespace, *rest, **more)


builtins.__import__ = without_unix
for module, names in {
    os: "fork forkpty getuid geteuid getgid getegid getpgid killpg setsid sysconf uname wait statvfs nice mkfifo chown",
    signal: "SIGKILL SIGALRM SIGHUP SIGUSR1 SIGUSR2 SIGPIPE SIGCHLD alarm setitimer pause sigwait pthread_sigmask",
}.items():
    for name in names.split():
        delattr(module, name)
for name in modules:
    pattern = name.replace(".", "[.]") + "$"
    warnings.filterwarnings("error", module=pattern)  # nor does anything of ours use what is to go
    importlib.import_module(name)
for name in commands:
    sys.argv, said = [name, "--help"], StringIO()
    try:
        with redirect_stdout(said):
            runpy.run_path(os.path.join(root, "notebooks", name + ".py"), run_name="__main__")
    except SystemExit as end:
        assert not end.code, (name, end.code)
    assert "usage: " + name in said.getvalue(), name
print(*modules)
"""


def imported_from_others() -> set[str]:
    """Names of all modules that the project imports at the top of a file and that are not its own."""
    own = {module.partition(".")[0] for module in MODULES}
    names = set()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module)
    return {name for name in names if name.partition(".")[0] not in own}


def in_a_process(code: str, *arguments: str, **options: object) -> str:
    """What Python code prints, run in a process of its own; its errors are shown where it fails."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_nothing_at_import_needs_unix():
    """Every module is imported, and every command says what it does, with nothing that Windows lacks."""
    assert {"draw", "evaluate", "train"} <= set(COMMANDS)
    words = (sorted(imported_from_others()), [m for m in MODULES if m not in COMMANDS], COMMANDS)
    path = os.pathsep.join((str(ROOT), str(NOTEBOOKS)))
    said = in_a_process(
        WITHOUT_UNIX, str(ROOT), *map(" ".join, words), env=os.environ | {"PYTHONPATH": path}, cwd=ROOT.anchor
    )
    assert said.split()[-1] == [m for m in MODULES if m not in COMMANDS][-1]


def opens_text_without_encoding(call: ast.Call) -> bool:
    """Whether a call reads or writes text in whatever encoding the system happens to have."""
    function, given = call.func, {word.arg: word.value for word in call.keywords}
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    if name == "read_text":
        return not call.args and "encoding" not in given
    if name == "write_text":
        return len(call.args) < 2 and "encoding" not in given
    if name not in ("open", "fdopen") or (name == "open" and ast.unparse(function).endswith("Image.open")):
        return False
    place = 1 if isinstance(function, ast.Name) or name == "fdopen" else 0  # a path's `open` begins with the mode
    mode = call.args[place] if len(call.args) > place else given.get("mode", ast.Constant("r"))
    return "b" not in str(getattr(mode, "value", "")) and "encoding" not in given


def test_text_files_name_their_encoding():
    """Where nothing is said, Windows takes the code page of the country."""
    found = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and opens_text_without_encoding(node):
                found.append(f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


# -- a checkout that cannot be written to, in a folder with an odd name, without a home ---------------------

RUNS_HERE = """
import os, sys
sys.path[:0] = sys.argv[1:3]
import numpy as np
import srvae_core as sr
assert sr.__file__.startswith(sys.argv[1]), sr.__file__
model = sr.load_model("4x-D")
lr = sr.read_image(sys.argv[3])
answer = sr.super_resolve(lr, model)
sr.write_image(sys.argv[4], answer)
assert np.array_equal(sr.read_image(sys.argv[4]), answer)

import viewer
from figures.network import network
os.chdir(sys.argv[2])  # where a notebook's kernel starts
view = viewer.View({"cat": sr.enlarge(lr, 4)}, scale=4)
view.show()
view.apply({"temperature": 1.0, "seed": 3})
assert view.error.value == "", view.error.value
network(4).savefig(sys.argv[4])
print("done")
"""


def files_in(folder: Path) -> dict[str, int]:
    """The files of a folder and when they were last written."""
    return {str(file): file.stat().st_mtime_ns for file in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A copy of the project that nobody can write to, in a folder with spaces and Cyrillic letters."""
    root = tmp_path_factory.mktemp("places") / "Моя папка (1)" / "проект"
    for name in ("notebooks", "data"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(ROOT / "srvae_core.py", root)
    places = [root, *root.rglob("*")]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    before = files_in(root)
    yield root
    after = files_in(root)
    for place in places:
        place.chmod(0o755 if place.is_dir() else 0o644)
    assert after == before, "nothing was written into the checkout"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, photographs):
    """Two small photographs with odd names, in a folder of their own."""
    folder = tmp_path_factory.mktemp("photographs") / "Фото № 1"
    folder.mkdir()
    for name, odd in (("chelsea", "кошка #2.v1.png"), ("coffee", "coffee (copy) [1].png")):
        sr.write_image(folder / odd, np.ascontiguousarray(photographs[name][:130, :140]))
    return folder


def bare_environment(**more: str) -> dict[str, str]:
    """An environment with neither a home nor a user, and the plainest of languages."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"OMP_NUM_THREADS": "1", "LC_ALL": "C", "TZ": "Pacific/Chatham", **more}


def who_cannot_write(folder: Path) -> list[str]:
    """Words before a command that make a folder without write permission one for root, too; skips where none do."""
    probe = "import sys, pathlib; pathlib.Path(sys.argv[1], 'probe').touch()"
    drop = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    for words in ([], drop if shutil.which("setpriv") else []):
        if subprocess.run([*words, sys.executable, "-c", probe, folder], capture_output=True).returncode:
            return words
        (folder / "probe").unlink()
    pytest.skip("whoever runs this may write anywhere")


def run_elsewhere(elsewhere: Path, *words: object, cwd: Path, **more: str) -> str:
    """What a Python command says that is run beside a checkout, without rights to write to it."""
    command = [*who_cannot_write(elsewhere), sys.executable, *map(str, words)]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", cwd=cwd, env=bare_environment(**more)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_read_only_checkout_without_a_home(elsewhere, pictures, tmp_path):
    """Load, enlarge, write, a notebook's view, a figure."""
    answer = tmp_path / "Ответ.png"
    places = (elsewhere, elsewhere / "notebooks", min(pictures.iterdir()), answer)
    assert "done" in run_elsewhere(elsewhere, "-c", RUNS_HERE, *places, cwd=tmp_path)
    assert answer.stat().st_size > 0


@pytest.mark.slow
def test_a_step_of_training_beside_a_read_only_checkout(elsewhere, pictures, tmp_path):
    home = tmp_path / "home"  # one is named, but it is not there
    run = tmp_path / "прогон 1"
    words = ("run", "--data", pictures, "--run", run, *QUICK, "--steps", 1)
    run_elsewhere(elsewhere, elsewhere / "notebooks" / "train.py", *words, cwd=tmp_path, HOME=str(home))
    assert list(run.rglob("*.safetensors"))
    assert not home.exists()


@pytest.mark.slow
@pytest.mark.skipif("enlarge" not in COMMANDS, reason="there is no such command")
def test_a_folder_is_enlarged_beside_a_read_only_checkout(elsewhere, pictures, tmp_path):
    command = (elsewhere / "notebooks" / "enlarge.py", pictures.name, "--to", tmp_path / "Ответы (4x)")
    run_elsewhere(elsewhere, *command, cwd=pictures.parent)  # a relative path
    answers = {file.name: file for file in (tmp_path / "Ответы (4x)").rglob("*.*")}
    assert answers.keys() == {file.name for file in pictures.iterdir()}
    for file in pictures.iterdir():
        assert sr.read_image(answers[file.name]).shape == (520, 560, 3)


# -- JupyterLab behind a base URL ---------------------------------------------------------------------------

BASE = "/x/y/"


def there_is_a_browser() -> bool:
    """Whether a page can be opened here."""
    try:
        browser.chromium()
    except browser.NoBrowserError:
        return False
    return True


TWO_VIEWS = """import viewer
from benchmarks.sets import bundled
photograph = viewer.cut_to_middle(bundled("chelsea"), 96)
one, two = (viewer.View({"cat": photograph}, scale=4, rest_delay=0.1) for _ in range(2))
for view in (one, two):
    view.apply({"temperature": 1.0, "share": 0.0})
    view.show()"""


@pytest.mark.slow
@pytest.mark.skipif(not there_is_a_browser(), reason="there is no Chromium, or no playwright to drive it")
def test_behind_a_base_url_with_two_views(monkeypatch, tmp_path):
    """Lab opens a notebook of the project there, and two views of one page do not disturb each other."""
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "jupyter_server_config.json").write_text(f'{{"ServerApp": {{"base_url": "{BASE}"}}}}', "utf-8")
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(settings))
    plain = browser.answers

    def answers_below(process: subprocess.Popen[bytes], address: str) -> bool:
        return plain(process, address.replace("/api/", f"{BASE}api/"))

    monkeypatch.setattr(browser, "answers", answers_below)
    folder = tmp_path / "Мои тетради"
    folder.mkdir()
    shutil.copy(NOTEBOOKS / "SR_VAE_4x.ipynb", folder)
    browser.write_notebook(folder / "views.ipynb", TWO_VIEWS)
    with browser.server(folder) as address, browser.page(address % f"{BASE[1:]}lab/tree/views.ipynb") as page:
        assert urlsplit(page.url).path.startswith(BASE)
        run_all(page)
        pictures = page.locator(browser.PICTURE)
        pictures.nth(1).wait_for()
        browser.at_rest(page)
        before = [pictures.nth(i).get_attribute("data-frames") for i in range(2)]
        browser.slider(page, "Latent sample").nth(1).press("ArrowRight")
        page.wait_for_function(
            "([selector, old]) => document.querySelectorAll(selector)[1].dataset.frames !== old",
            arg=[browser.PICTURE, before[1]],
        )
        browser.at_rest(page, number=1)
        assert pictures.nth(0).get_attribute("data-frames") == before[0], "the other view stands still"
        page.goto(address % f"{BASE[1:]}lab/tree/SR_VAE_4x.ipynb")
        page.get_by_role("heading", name=title_of(folder / "SR_VAE_4x.ipynb")).wait_for()


def run_all(page: object) -> None:
    """Run all cells, once more where Lab was too busy to take the order, which a cell shows by having no number."""
    page.set_default_timeout(30_000)
    for _ in range(2):
        with suppress(Exception):  # playwright, which may not be installed, has a class of its own
            return browser.run_all(page)
        assert not page.locator(".jp-OutputArea-child").count(), page.locator(".jp-OutputArea").all_inner_texts()
    page.set_default_timeout(60_000)
    return browser.run_all(page)


def title_of(notebook: Path) -> str:
    """The words of a notebook's heading."""
    return json.loads(notebook.read_text("utf-8"))["cells"][0]["source"][0].removeprefix("# ").strip()


# -- what is promised ---------------------------------------------------------------------------------------


def test_every_test_that_the_promises_name_is_there():
    text = (HERE / "README.md").read_text("utf-8")
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", text)
    assert len(named) > 40
    assert len(text.splitlines()) <= 120
    for file, test in named:
        assert (HERE / file).is_file(), file
        functions = [node.name for node in ast.parse((HERE / file).read_text("utf-8")).body if hasattr(node, "name")]
        assert not test or test in functions, f"{file}::{test}"
    constants = set(re.findall(r"`sr\.([A-Z_]+)`", text))
    assert [name for name in sorted(constants) if not hasattr(sr, name)] == []
