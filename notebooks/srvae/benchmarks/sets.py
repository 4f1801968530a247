"""Image sets by name: scikit-image's photographs, sets to download, folders of the user's.

    hr, lr = pair("Set5", "img_001", 4)  # downloads the image unless it is at hand

"bundled" names photographs from scikit-image's package. The sets of data/registry.csv are downloaded once and kept, or
read from a folder below the one that SRVAE_BENCHMARKS names. Any other name is such a folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pooch
from skimage import data as photographs

import srvae_core as sr
from srvae import images, metrics
from srvae.csvfiles import REGISTRY, Row, read_csv

# A fixed commit of a repository with the four sets, so that the files match the registry.
SOURCE = "https://raw.githubusercontent.com/jbhuang0604/SelfExSR/8f6dd8c1d20cb7e8792a7177b4f6fd677633f598/"
RETRIES = 3  # of a failed download, after pauses that grow
BUNDLED = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left")  # colour photographs of everyday things


class SetMissingError(RuntimeError):
    """An image set can neither be read nor downloaded; the message says what to do."""


def bundled(name: str) -> np.ndarray:
    """Return one of scikit-image's photographs, (H, W, 3) uint8; ValueError if :data:`BUNDLED` lacks the name."""
    if name not in BUNDLED:
        raise ValueError(f"there is no bundled photograph {name!r}; there are: {', '.join(BUNDLED)}")
    # The motorcycle is a stereo pair.
    return photographs.stereo_motorcycle()[0] if name == "motorcycle_left" else getattr(photographs, name)()


def registry(dataset: str) -> dict[str, Row]:
    """Return the rows of data/registry.csv of a set by image name; empty if the set cannot be downloaded."""
    return {Path(row["image"]).stem: row for row in read_csv(REGISTRY) if row["dataset"] == dataset}


def local_files(dataset: str) -> dict[str, Path]:
    """Return the images of a folder below the one that SRVAE_BENCHMARKS names, by their names without suffix."""
    root = os.path.expanduser(os.environ.get("SRVAE_BENCHMARKS", ""))
    if not root:
        return {}
    if not Path(root).is_dir():
        raise SetMissingError(f"SRVAE_BENCHMARKS must name a folder of image sets; there is no folder {root}")
    folder = Path(root) / dataset
    files = images.find_images(folder) if folder.is_dir() else []
    by_name = {path.stem: path for path in files}
    if len(by_name) < len(files):
        raise ValueError(f"{folder} has two images whose names differ in the suffix only: rename one of them")
    return by_name


def download(row: Row) -> Path:
    """Return the file of a row of the registry, from the cache or downloaded, with its SHA-256 checked."""
    known = {row["path"]: f"sha256:{row['sha256']}"}
    store = pooch.create(pooch.os_cache("srvae"), SOURCE, registry=known, env="SRVAE_CACHE", retry_if_failed=RETRIES)
    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(store.fetch(row["path"]))
    except (OSError, ValueError) as error:  # pooch raises ValueError for a wrong SHA-256
        name = f"{row['dataset']}/{row['image']}"
        raise SetMissingError(
            f"{name} cannot be downloaded from {SOURCE}{row['path']}: connect to the internet, or set "
            f"SRVAE_BENCHMARKS to a folder that contains {name} ({str(error)[:80]})"
        ) from error


def image_file(dataset: str, name: str) -> Path:
    """Return the file of an original; download it if its set is in the registry and no local folder has it."""
    files = local_files(dataset)
    if name in files:
        return files[name]
    rows = registry(dataset)
    if name not in rows:
        raise KeyError(f"the set {dataset!r} has no image {name!r}")
    return download(rows[name])


def image_names(dataset: str) -> list[str]:
    """Return the names of a set's images, in order: file names without suffix."""
    names = list(BUNDLED) if dataset == "bundled" else list(registry(dataset) or local_files(dataset))
    if not names:
        raise SetMissingError(
            f"there is no image set {dataset!r}: put its images into a folder {dataset} and set SRVAE_BENCHMARKS to "
            "the folder above it; bundled, Set5, Set14, BSD100 and Urban100 need no folder"
        )
    return names


def fetch(dataset: str) -> None:
    """Download the images of a set that are not at hand; SetMissingError if that fails."""
    for name in sr.progress_bar(image_names(dataset), f"looking for {dataset}", delay=2, leave=False):
        if dataset != "bundled":
            image_file(dataset, name)


def load_image(dataset: str, name: str) -> np.ndarray:
    """Return an original without alpha, (H, W, 3)."""
    return bundled(name) if dataset == "bundled" else images.read(image_file(dataset, name))[..., :3]


def pair(dataset: str, name: str, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an original, cropped to a multiple of the scale, and its LR image: (s*H, s*W, 3) and (H, W, 3).

    Raises:
        SetMissingError: the original can neither be read nor downloaded.
        ValueError: it is damaged, or too small for SSIM without a border as wide as the scale.
    """
    image = load_image(dataset, name)
    height, width = image.shape[:2]
    least = -(-(metrics.SSIM_WINDOW + 2 * scale) // scale) * scale
    if min(height, width) < least:
        raise ValueError(f"{name} of {dataset} has {height}x{width} pixels; {scale}x needs at least {least}x{least}")
    hr = metrics.crop_to_multiple(image, scale)
    return hr, sr.downscale(hr, scale)
