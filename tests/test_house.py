"""The house stays one that a newcomer finds the way in: imports run one way, and no room grows without end."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
# A room may use those of lower floors, and a package's modules each other.
FLOORS = {
    "srvae_images": 0,
    "srvae_core": 1,
    "metrics": 2,
    "release": 2,
    "directions": 2,
    "regions": 2,
    "csvfiles": 2,
    "vgg": 3,
    "benchmarks": 4,
    "training": 4,
    "enlarging": 4,
    "viewer": 5,
    "figures": 6,
}
FLOORS |= dict.fromkeys(("evaluate", "train", "draw", "enlarge"), 7)
FILES = [ROOT / "srvae_images.py", ROOT / "srvae_core.py", *sorted(NOTEBOOKS.rglob("*.py"))]
LARGEST = {"srvae_core.py": 1225}  # lines; the others have 500
FLAT = {"release_layers"}  # functions that are one table


def name_of(file: Path) -> str:
    """What a file is called in the project."""
    return str(file.relative_to(ROOT))


def room_of(file: Path) -> str:
    """The room that a file belongs to: a module, or a package of modules."""
    return file.stem if file.parent in (ROOT, NOTEBOOKS) else file.parent.name


def imports(tree: ast.AST) -> list[tuple[str, list[str]]]:
    """What a file imports from elsewhere: (module, names)."""
    statements = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            statements += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            statements.append(("." * node.level + (node.module or ""), [alias.name for alias in node.names]))
    return statements


def test_every_room_has_a_floor():
    assert {room_of(file) for file in FILES} == FLOORS.keys()


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_run_down(file):
    floor = FLOORS[room_of(file)]
    for module, names in imports(ast.parse(file.read_text())):
        room = module.split(".")[0]
        if room in FLOORS:
            assert FLOORS[room] < floor, f"{name_of(file)} imports {module}"
        if room in FLOORS or module.startswith("."):
            private = [name for name in names if name.startswith("_")]
            assert not private, f"{name_of(file)} imports {private} from {module}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_nothing_grows_without_end(file):
    text = file.read_text()
    assert len(text.splitlines()) <= LARGEST.get(name_of(file), 500)
    for node in ast.walk(ast.parse(text)):
        lines = getattr(node, "end_lineno", 0) - getattr(node, "lineno", 0) + 1
        if isinstance(node, ast.ClassDef):
            assert lines <= 250, node.name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in FLAT:
            assert lines <= 60, node.name


def test_tests_import_no_test():
    for file in sorted((ROOT / "tests").glob("*.py")):
        modules = [module for module, _ in imports(ast.parse(file.read_text()))]
        assert not [module for module in modules if module.startswith("test_")], file.name


def test_training_needs_little_but_torch():
    """It runs where torch, OpenCV, Pillow, scikit-image, safetensors and accelerate are, and no Jupyter."""
    lacking = ("jupyterlab", "ipywidgets", "IPython", "anywidget", "matplotlib", "pooch", "tifffile", "imagecodecs")
    code = f"import sys; sys.modules |= dict.fromkeys({lacking}); import training.cli"
    done = subprocess.run([sys.executable, "-c", code], cwd=NOTEBOOKS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
