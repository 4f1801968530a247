"""Imports run one way, so that each module can be read without those that use it."""

import ast
import subprocess
import sys
from pathlib import Path

SRVAE = Path(__file__).resolve().parents[1] / "notebooks" / "srvae"
# A module or package imports those of lower floors only; the modules of one package may import each other.
FLOORS = {"metrics": 1, "release": 1, "directions": 1, "regions": 1, "csvfiles": 2, "vgg": 2, "images": 1}
FLOORS |= {"colours": 0, "commands": 0}
FLOORS |= {
    "benchmarks": 3,
    "training": 3,
    "viewer": 4,
    "figures": 5,
    "enlarge": 5,
    "cli": 6,
    "__init__": 0,
    "__main__": 7,
}


def imported_rooms(file: Path) -> set[str]:
    """The modules and packages of srvae that a file imports anywhere in it."""
    rooms, depth = set(), len(file.relative_to(SRVAE).parts)  # so many dots lead to srvae itself
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            path = (node.module or "").split(".")
            path = path[1:] if path[0] == "srvae" else path if node.level == depth else None
            if path is not None:
                rooms |= {path[0]} if path and path[0] else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("srvae.")}
    return rooms


def test_imports_run_one_way():
    for file in SRVAE.rglob("*.py"):
        room = file.relative_to(SRVAE).parts[0].removesuffix(".py")
        upwards = [name for name in imported_rooms(file) - {room} if FLOORS[name] >= FLOORS[room]]
        assert not upwards, f"{file.relative_to(SRVAE)} imports {upwards}"


def test_training_needs_little_but_torch():
    """It runs where torch, OpenCV, Pillow, scikit-image, safetensors and accelerate are, and no Jupyter."""
    lacking = ("jupyterlab", "ipywidgets", "IPython", "anywidget", "matplotlib", "pooch", "google.protobuf")
    code = f"import sys; sys.modules |= dict.fromkeys({lacking}); import srvae.training.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
