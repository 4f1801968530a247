"""Image sets by name: scikit-image's photographs, sets that can be downloaded, folders of one's own.

    hr, lr = pair("Set5", "img_001", 4)  # downloads Set5's first image unless it is at hand

The name "bundled" is scikit-image's photographs, which come with its package. The names of data/registry.csv are sets
that are downloaded once and kept. Any other name is a folder below the one that SRVAE_BENCHMARKS names, which is also
looked into before anything is downloaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch
from csvfiles import REGISTRY, Row, read_csv
from skimage import data as photographs
from tqdm import tqdm

import srvae_core as sr

# One commit of a repository that holds the four sets, so that the files stay what the registry says.
SOURCE = "https://raw.githubusercontent.com/jbhuang0604/SelfExSR/8f6dd8c1d20cb7e8792a7177b4f6fd677633f598/"
# Colour photographs of everyday things that scikit-image's package holds.
BUNDLED = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left")


class SetMissingError(RuntimeError):
    """An image set can neither be read nor downloaded; the message says what to do."""


@dataclass(frozen=True)
class Registry:
    """The downloadable sets and where their files are.

    Attributes:
        path: a CSV file with the columns dataset, image, path, sha256.
        source: the address that a row's path follows.
        retries: how often a failed download is tried again, after a pause that grows.
    """

    path: Path = REGISTRY
    source: str = SOURCE
    retries: int = 3

    def sets(self) -> dict[str, list[Row]]:
        """Name of a set -> its rows, in the file's order."""
        sets: dict[str, list[Row]] = {}
        for row in read_csv(self.path):
            sets.setdefault(row["dataset"], []).append(row)
        return sets

    def image(self, dataset: str, image: str) -> np.ndarray:
        """One original, (H, W, 3): the local folder's file or a download.

        Args:
            dataset: a set of the registry.
            image: a file name with its ending.

        Raises:
            KeyError: the registry has no such image.
            SetMissingError: it can be had neither way.
        """
        row = next((r for r in self.sets().get(dataset, []) if r["image"] == image), None)
        if row is None:
            raise KeyError(f"{self.path.name} has no image {image!r} of a set {dataset!r}")
        return sr.read_image(local_file(dataset, image) or self.download(row))[..., :3]  # without alpha

    def download(self, row: Row) -> Path:
        """The file of a row: from the cache (SRVAE_CACHE or the user's), otherwise downloaded; its sha256 is checked.

        Raises:
            SetMissingError: no network, no such file, or another file than the registry's.
        """
        # a store of this one file: the registry is small, and so is the message when a file is missing
        store = pooch.create(
            pooch.os_cache("srvae"),
            self.source,
            registry={row["path"]: f"sha256:{row['sha256']}"},
            env="SRVAE_CACHE",
            retry_if_failed=self.retries,
        )
        pooch.get_logger().setLevel("ERROR")  # the progress bar says enough
        try:
            return Path(store.fetch(row["path"]))
        except (OSError, ValueError) as error:  # ValueError is pooch's word for a wrong sha256
            name = f"{row['dataset']}/{row['image']}"
            raise SetMissingError(
                f"{name} cannot be downloaded from {self.source}{row['path']}: connect to the internet, or set "
                f"SRVAE_BENCHMARKS to a folder that holds {name} ({str(error)[:80]})"
            ) from error


SHIPPED_REGISTRY = Registry()


def bundled(name: str) -> np.ndarray:
    """One of scikit-image's photographs that come with its package, (H, W, 3) uint8.

    Raises:
        ValueError: the name is none of :data:`BUNDLED`.
    """
    if name not in BUNDLED:
        raise ValueError(f"{name!r} is none of the bundled photographs ({', '.join(BUNDLED)})")
    # the motorcycle is a stereo pair with its disparity; the left picture is taken
    return photographs.stereo_motorcycle()[0] if name == "motorcycle_left" else getattr(photographs, name)()


def local_file(dataset: str, image: str) -> Path | None:
    """The file FOLDER/SET/IMAGE where SRVAE_BENCHMARKS names FOLDER; None if it is not there."""
    folder = os.environ.get("SRVAE_BENCHMARKS")
    path = Path(folder or "", dataset, image)
    return path if folder and path.is_file() else None


def image_names(dataset: str, registry: Registry = SHIPPED_REGISTRY) -> list[str]:
    """The images of a set, in order, without their endings.

    Raises:
        SetMissingError: the name is neither "bundled", nor in the registry, nor a folder of SRVAE_BENCHMARKS.
    """
    if dataset == "bundled":
        return list(BUNDLED)
    sets = registry.sets()
    if dataset in sets:
        return [Path(row["image"]).stem for row in sets[dataset]]
    names = sorted(path.stem for path in _folder_images(dataset))
    if not names:
        known = ", ".join(["bundled", *sets])
        raise SetMissingError(
            f"no image set {dataset!r}: known are {known}; for any other, put its images into a folder "
            f"{dataset} and set SRVAE_BENCHMARKS to the folder around it"
        )
    return names


def _folder_images(dataset: str) -> list[Path]:
    """The image files of a folder below SRVAE_BENCHMARKS, in order; none without the variable or the folder."""
    if "SRVAE_BENCHMARKS" not in os.environ:
        return []
    folder = Path(os.environ["SRVAE_BENCHMARKS"]) / dataset
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in sr.IMAGE_SUFFIXES)


def load_image(dataset: str, name: str, registry: Registry = SHIPPED_REGISTRY) -> np.ndarray:
    """One original of any set, (H, W, 3), by the names of :func:`image_names`.

    Raises:
        ValueError, KeyError: the set has no such image.
        SetMissingError: the image cannot be had.
    """
    if dataset == "bundled":
        return bundled(name)
    if dataset in registry.sets():
        return registry.image(dataset, f"{name}.png")
    path = next((path for path in _folder_images(dataset) if path.stem == name), None)
    if path is None:
        raise KeyError(f"the folder of the set {dataset!r} holds no image {name!r}")
    return sr.read_image(path)[..., :3]


def pair(dataset: str, name: str, scale: int, registry: Registry = SHIPPED_REGISTRY) -> tuple[np.ndarray, np.ndarray]:
    """An original of any set, cut to a multiple of the scale, and its LR image.

    Returns:
        (s*H, s*W, 3) and (H, W, 3), of the file's dtype.
    """
    hr = sr.crop_to_multiple(load_image(dataset, name, registry), scale)
    return hr, sr.downscale(hr, scale)


def fetch(dataset: str, progress: bool = True, registry: Registry = SHIPPED_REGISTRY) -> None:
    """Make sure that every image of a set is at hand, downloading what is not.

    Raises:
        SetMissingError: something can be had neither way.
    """
    names = image_names(dataset, registry)
    rows = registry.sets().get(dataset, [])  # none: the set is bundled or a folder, so its files are there
    missing = [row for row in rows if not local_file(dataset, row["image"])]
    hidden = not progress or not missing
    for row in tqdm(missing, f"{dataset}, {len(names)} images", disable=hidden, unit="file"):
        registry.download(row)


def at_hand(sets: Sequence[str], registry: Registry = SHIPPED_REGISTRY) -> list[str]:
    """Those of the sets that can be read or downloaded; standard error says of the others what to do."""
    usable = []
    for dataset in sets:
        try:
            fetch(dataset, registry=registry)
        except SetMissingError as error:
            print(f"{dataset} is left out: {error}", file=sys.stderr)
        else:
            usable.append(dataset)
    return usable
