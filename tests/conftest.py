"""What several test files share: photographs, benchmark folders, models; and the order in which the files begin."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

import srvae_core as sr
from srvae import images, metrics
from srvae.benchmarks.evaluate import niqe_at_hand

# Tests that run at once share the cores: more threads than those only wait for each other.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if WORKERS > 1:
    THREADS = max(1, (os.cpu_count() or 1) // WORKERS)
    torch.set_num_threads(THREADS)
    os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))  # of the kernels and commands that tests start

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"  # what is not ours to ship; tests that need it skip without
BENCHMARKS = SHARED / "benchmarks"


@pytest.fixture(scope="session")
def photographs() -> dict[str, np.ndarray]:
    """The photographs that scikit-image bundles, (H, W, 3) uint8."""
    return {
        "astronaut": skimage.data.astronaut(),
        "chelsea": skimage.data.chelsea(),
        "coffee": skimage.data.coffee(),
        "rocket": skimage.data.rocket(),
        "motorcycle": skimage.data.stereo_motorcycle()[0],
    }


@pytest.fixture(scope="session")
def photograph_folder(photographs, tmp_path_factory) -> Path:
    """A folder of three small photographs to train on."""
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "chelsea", "coffee"):
        images.write(folder / f"{name}.png", np.ascontiguousarray(photographs[name][:181, :230]))
    return folder


@pytest.fixture(scope="session")
def crops(photographs) -> dict[str, np.ndarray]:
    """The middle 256x256 pixels of each photograph: quick, and still several tiles."""
    middle = {}
    for name, image in photographs.items():
        y, x = (n // 2 - 128 for n in image.shape[:2])
        middle[name] = np.ascontiguousarray(image[y : y + 256, x : x + 256])
    return middle


@pytest.fixture(scope="session")
def benchmark_set():
    """A function name -> images of a benchmark folder beside the checkout; skips where there is none."""

    def read_set(name: str) -> list[np.ndarray]:
        files = sorted((BENCHMARKS / name).glob("*.png"))
        if not files:
            pytest.skip(f"no benchmark images in {BENCHMARKS / name}")
        return [images.read(f) for f in files]

    return read_set


@pytest.fixture(scope="session")
def shipped():
    """A function name -> shipped model, each loaded once."""
    return cache(sr.load_model)


@pytest.fixture(scope="session")
def random_model():
    """A function scale -> model with the release's initial values, but latents that change the picture."""

    @cache
    def build(scale: int) -> sr.SRVAE:
        torch.manual_seed(scale)
        model = sr.SRVAE(scale, grid_generator=True)
        with torch.no_grad():
            for name in ("ip4", "ip5", "ip6"):  # std 0.01 lets next to nothing through
                model.get_submodule(name).weight *= 4
            last = model.get_submodule("SR_res")
            last.weight *= 0.1
        return model.eval().requires_grad_(False)

    return build


@pytest.fixture
def natural_model(monkeypatch):
    """NIQE's model, read from the folder beside the checkout; skips where there is none."""
    path = SHARED / "perceptual" / "niqe_pris_params.npz"
    if not path.exists():
        pytest.skip(f"no {path}")
    monkeypatch.setenv("SRVAE_NIQE", str(path))
    remembering = (metrics.natural_model, niqe_at_hand)  # what they saw first
    for function in remembering:
        function.cache_clear()
    yield metrics.natural_model()
    for function in remembering:
        function.cache_clear()


# Known shortfalls of the shipped weights, reported as xfailed until mended: test -> what falls short.
SHORTFALLS = {
    # The release averages overlapping tiles, which smooths the detail of P's answers and so raises their PSNR.
    "test_whole_tiling_is_no_worse_than_the_releases[4x-P]": "0.038 dB below the release's tiles on the astronaut",
    "test_whole_tiling_is_no_worse_than_the_releases[8x-P]": "0.105 dB below the release's tiles on the astronaut",
}


# Files that take longest, in the order in which they begin: with several workers none is left to run alone at the end.
LONGEST = (
    "test_browser.py",
    "test_slider_touch.py",
    "test_train.py",
    "test_release.py",
    "test_recipe.py",
    "Training.ipynb",
    "test_inference.py",
    "test_strangers.py",
)


def place_in_order(item: pytest.Item) -> int:
    """The number of a test's file in the order above; the other files follow in their own."""
    name = item.path.name
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def pytest_collection_modifyitems(items):
    items.sort(key=place_in_order)  # tests of one file keep their order
    for item in items:
        if item.name in SHORTFALLS:
            item.add_marker(pytest.mark.xfail(reason=SHORTFALLS[item.name], strict=True))
