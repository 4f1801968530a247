"""Other methods' answers, which lie in files: FOLDER/SET/xSCALE/IMAGE.png, such as EDSR/Set5/x4/img_001.png.

IMAGE is a name of :func:`benchmarks.sets.image_names` or the original's file name. Any ending that can be read will do,
and so will IMAGE_SOMETHING.png, as other projects write it. Each image has one answer, of the original's size after its
sides are cut to multiples of the scale; what else lies in the folder is nobody's answer and not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from srvae import images

from .sets import Size, cropped, digest_of, image_files, image_names

# What this project's own rows and panels are called; a peer of such a name would take their place.
OWN_NAMES = ("bicubic", "sample", "hr")
OWN_PREFIX = "sr-vae"


def named_peers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name -> folder of other methods.

    Raises:
        ValueError: two of one name, the name of a method of this project, or one that no table can hold.
        FileNotFoundError: no such folder.
    """
    peers: dict[str, str] = {}
    for name, folder in pairs:
        if name in peers:
            raise ValueError(f"two peers are called {name}: give each a name of its own")
        if name.lower() in OWN_NAMES or name.lower().startswith(OWN_PREFIX):
            raise ValueError(f"a peer cannot be called {name}, which is a name of this project's own: choose another")
        if not name.strip() or not name.isprintable() or "|" in name:
            raise ValueError(f"a peer cannot be called {name!r}: take a name of one line without |")
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"there is no folder {folder}, in which the answers of {name} are to lie")
        peers[name] = folder
    return peers


def answers_folder(folder: Path, dataset: str, scale: int) -> Path:
    """Where a peer's answers to a set lie."""
    return folder / dataset / f"x{scale}"


def _candidates(place: Path, names: Iterable[str]) -> dict[str, list[Path]]:
    """Each image's files: of its name, or of a name that goes on with "_" and is no other image's."""
    found: dict[str, list[Path]] = {name: [] for name in names}
    for path in image_files(place):
        owners = [name for name in found if name in (path.name, path.stem) or path.stem.startswith(f"{name}_")]
        if owners:  # a_b.png is the answer to a_b where there is such an image, otherwise to a
            found[max(owners, key=len)].append(path)
    return found


def find_answers(folder: Path, dataset: str, scale: int) -> tuple[dict[str, Path], dict[str, str]]:
    """A peer's files by image, and by image what is wrong where there is not one file.

    Raises:
        SetMissingError: there is no such set.
    """
    place, names = answers_folder(folder, dataset, scale), image_names(dataset)
    expected = {name: name if Path(name).suffix.lower() in images.SUFFIXES else f"{name}.png" for name in names}
    if not place.is_dir():
        return {}, dict.fromkeys(names, f"there is no folder {place} with {', '.join(expected.values())}")
    files, wrong = {}, {}
    for name, paths in _candidates(place, names).items():
        if len(paths) == 1:
            files[name] = paths[0]
        elif paths:
            listed = " and ".join(path.name for path in paths)
            wrong[name] = f"{place} must hold one answer to {name}, not {listed}"
        else:
            wrong[name] = f"{place / expected[name]} is missing"
    return files, wrong


def wrong_answers(folder: Path, dataset: str, scale: int, sizes: Mapping[str, Size]) -> list[str]:
    """What is wrong with a peer's answers to some images of a set, a phrase for each file; every file is read.

    Args:
        folder: the peer's.
        sizes: height and width of the originals by image (see :func:`benchmarks.sets.image_sizes`).
    """
    files, unfound = find_answers(folder, dataset, scale)
    # a folder that is missing is named once
    wrong = list(dict.fromkeys(phrase for name, phrase in unfound.items() if name in sizes))
    for name in [name for name in files if name in sizes]:
        try:
            height, width = images.read(files[name]).shape[:2]
        except (ValueError, OSError) as error:
            wrong.append(str(error))
            continue
        rows, columns = cropped(sizes[name], scale)
        if (height, width) != (rows, columns):
            wrong.append(f"{files[name]} has {height}x{width} pixels, not {rows}x{columns}")
    return wrong


def answers_version(folder: Path, dataset: str, scale: int) -> str:
    """The beginning of the sha256 of all answers: other files give other rows."""
    files, _ = find_answers(folder, dataset, scale)
    return digest_of(files)


def peer_answer(folder: Path, dataset: str, scale: int, name: str) -> np.ndarray:
    """Another method's answer to an image, (s*H, s*W, 3).

    Raises:
        FileNotFoundError: there is none, or more than one.
        ValueError: it is no image.
    """
    files, wrong = find_answers(folder, dataset, scale)
    if name not in files:
        raise FileNotFoundError(wrong.get(name, f"the set {dataset!r} has no image {name!r}"))
    return images.read(files[name])[..., :3]
