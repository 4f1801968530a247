"""Image sets by name: scikit-image's photographs, sets that can be downloaded, folders of one's own.

    hr, lr = pair("Set5", "img_001", 4)  # downloads Set5's first image unless it is at hand

The name "bundled" is scikit-image's photographs, which come with its package. The names of data/registry.csv are sets
that are downloaded once and kept. Any other name is a folder below the one that SRVAE_BENCHMARKS names, which is also
looked into before anything is downloaded.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch
from skimage import data as photographs
from tqdm import tqdm

import srvae_core as sr
from srvae import images, metrics
from srvae.csvfiles import REGISTRY, Row, read_csv

# One commit of a repository that holds the four sets, so that the files stay what the registry says.
SOURCE = "https://raw.githubusercontent.com/jbhuang0604/SelfExSR/8f6dd8c1d20cb7e8792a7177b4f6fd677633f598/"
# Colour photographs of everyday things that scikit-image's package holds.
BUNDLED = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left")

Size = tuple[int, int]  # height and width in pixels


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
        return images.read(local_file(dataset, image) or self.download(row))[..., :3]  # without alpha

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


def benchmarks_folder() -> Path | None:
    """The folder that SRVAE_BENCHMARKS names; None without the variable.

    Raises:
        SetMissingError: there is no such folder.
    """
    named = os.environ.get("SRVAE_BENCHMARKS")
    if named and not Path(named).is_dir():
        raise SetMissingError(f"SRVAE_BENCHMARKS must name a folder of image sets; there is no folder {named}")
    return Path(named) if named else None


def local_file(dataset: str, image: str) -> Path | None:
    """The file FOLDER/SET/IMAGE where SRVAE_BENCHMARKS names FOLDER; None if it is not there."""
    folder = benchmarks_folder()
    path = folder / dataset / image if folder else None
    return path if path and path.is_file() else None


def image_files(folder: Path) -> list[Path]:
    """The image files that lie in a folder, in order, known by their endings; hidden ones and folders are none."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in images.SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def folder_images(dataset: str) -> dict[str, Path]:
    """Name -> file of a set that is a folder below SRVAE_BENCHMARKS; none without the variable or the folder.

    The name is the file's without its ending. Where that could mean another file as well, as with a.png beside a.bmp,
    it is the whole file name.

    Raises:
        SetMissingError: SRVAE_BENCHMARKS names no folder, or the set lies outside it.
    """
    around = benchmarks_folder()
    if around is None:
        return {}
    if not dataset or Path(dataset).is_absolute() or ".." in Path(dataset).parts:
        raise SetMissingError(f"a set is the name of a folder below the one of SRVAE_BENCHMARKS, not {dataset!r}")
    files = image_files(around / dataset) if (around / dataset).is_dir() else []
    stems, whole = Counter(path.stem for path in files), {path.name for path in files}
    named = {path.stem if stems[path.stem] == 1 and path.stem not in whole else path.name: path for path in files}
    return dict(sorted(named.items()))


def originals_version(dataset: str, registry: Registry = SHIPPED_REGISTRY) -> str:
    """The beginning of the sha256 of a folder's originals, with a + before it: other pictures give other rows.

    It is empty for the other sets, whose pictures are known.
    """
    if dataset == "bundled" or dataset in registry.sets():
        return ""
    return f"+{digest_of(folder_images(dataset))}"


def digest_of(files: Mapping[str, Path]) -> str:
    """The beginning of the sha256 of files and what they are called: versions tell files apart by it."""
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:8]


def image_names(dataset: str, registry: Registry = SHIPPED_REGISTRY) -> list[str]:
    """The images of a set, in order: their file names without endings, unless two would be called the same.

    Raises:
        SetMissingError: the name is neither "bundled", nor in the registry, nor a folder of SRVAE_BENCHMARKS.
    """
    if dataset == "bundled":
        return list(BUNDLED)
    sets = registry.sets()
    if dataset in sets:
        return [Path(row["image"]).stem for row in sets[dataset]]
    names = list(folder_images(dataset))
    if not names:
        known = ", ".join(["bundled", *sets])
        raise SetMissingError(
            f"no image set {dataset!r}: known are {known}; for any other, put its images into a folder "
            f"{dataset} and set SRVAE_BENCHMARKS to the folder around it"
        )
    return names


def load_image(dataset: str, name: str, registry: Registry = SHIPPED_REGISTRY) -> np.ndarray:
    """One original of any set, (H, W, 3), by the names of :func:`image_names`.

    Raises:
        ValueError, KeyError: the set has no such image, or its file cannot be read; the message names the file.
        SetMissingError: the image cannot be had.
    """
    if dataset == "bundled":
        return bundled(name)
    if dataset in registry.sets():
        return registry.image(dataset, f"{name}.png")
    files = folder_images(dataset)
    if name not in files:
        raise KeyError(f"the folder of the set {dataset!r} holds no image {name!r}")
    return images.read(files[name])[..., :3]


def image_sizes(dataset: str, registry: Registry = SHIPPED_REGISTRY) -> dict[str, Size]:
    """Height and width of every original of a set; all are read, since a header alone does not tell a damaged file.

    Raises:
        SetMissingError: the set or an image of it cannot be had.
        ValueError: files cannot be read; the message names each.
    """
    sizes, wrong = {}, []
    for name in image_names(dataset, registry):
        try:
            sizes[name] = load_image(dataset, name, registry).shape[:2]
        except (ValueError, OSError) as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError(f"the set {dataset!r} has files that cannot be read: {'; '.join(wrong)}")
    return sizes


def cropped(size: Size, scale: int) -> Size:
    """Height and width after :func:`srvae.metrics.crop_to_multiple`."""
    return size[0] - size[0] % scale, size[1] - size[1] % scale


def pair(dataset: str, name: str, scale: int, registry: Registry = SHIPPED_REGISTRY) -> tuple[np.ndarray, np.ndarray]:
    """An original of any set, cut to a multiple of the scale, and its LR image.

    Returns:
        (s*H, s*W, 3) and (H, W, 3), of the file's dtype.

    Raises:
        ValueError, KeyError, SetMissingError: as for :func:`load_image`; also if a side is smaller than the scale.
    """
    image = load_image(dataset, name, registry)
    if min(image.shape[:2]) < scale:
        height, width = image.shape[:2]
        raise ValueError(f"{name} of {dataset} has {height}x{width} pixels, of which {scale}x makes no LR image")
    hr = metrics.crop_to_multiple(image, scale)
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
