"""Files of the view: the images in its chooser, and PNGs that carry the settings that made them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import reprlib
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

import srvae_core as sr
from srvae import directions, images

from .pictures import as_rgb8, encode
from .settings import DIRECTIONS, SEED, SETTINGS, SHARE, Value, checked, plain

KEYWORD = "srvae"  # of the PNG text chunk with the settings
TEXT_LIMIT = 2**22  # characters of that text; the largest LR image that goes along takes a twelfth of them
_LISTENING = threading.Lock()  # Python collects warnings for the whole process


# -- Images to choose from ----------------------------------------------------------------------------------


class Reading(NamedTuple):
    """An image that was read, (H, W, 3) uint8, and what a person should know about how, in sentences."""

    image: np.ndarray
    remarks: tuple[str, ...] = ()


def read_rgb8(source: Path | bytes) -> Reading:
    """An image file, or the bytes of one: the whole image.

    Raises:
        OSError: the file is not there, or cannot be opened.
        ValueError: it holds no image that can be read.
    """
    with _LISTENING, warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", UserWarning)
        image = images.read(source)
    remarks = [str(warning.message) for warning in heard]
    if image.shape[2] == 4:
        remarks.append("the view leaves its transparency out")
    return Reading(as_rgb8(image), tuple(remarks))


@dataclass(frozen=True)
class Source:
    """Where an image comes from. It is kept whole; :func:`~viewer.window.window` says which part is in work.

    Attributes:
        image: the image itself, or the path of a file that is read when the image is chosen.
        is_original: it is to be reduced first and compared with; otherwise it is an LR image.
        given: it came with the notebook, which brings it again the next time.
    """

    image: Reading | Path
    is_original: bool
    given: bool = False

    def is_same(self, other: Source) -> bool:
        """Whether another one is of the same image, used in the same way."""
        if self.is_original != other.is_original:
            return False
        if isinstance(self.image, Path) or isinstance(other.image, Path):
            return isinstance(self.image, Path) and isinstance(other.image, Path) and self.image == other.image
        return np.array_equal(self.image.image, other.image.image)

    def read(self) -> Reading:
        """The image.

        Raises:
            OSError: the file is not there any more, or cannot be opened.
            ValueError: it holds no image that can be read.
        """
        return read_rgb8(self.image) if isinstance(self.image, Path) else self.image


def photograph_sources(photographs: Mapping[str, np.ndarray]) -> dict[str, Source]:
    """Originals that a notebook gives to the view, by name; converted once, into arrays that nobody else changes.

    Args:
        photographs: any image that :func:`srvae_core.check_image` takes; :func:`~viewer.pictures.as_rgb8` says what
            becomes of grey, alpha, 16 bit and float.

    Raises:
        TypeError: no mapping, a name that is no string, or no image.
        ValueError: an image that is empty, not finite, of another shape, or float and not in [0, 1].
    """
    if not isinstance(photographs, Mapping):
        raise TypeError(f"photographs must be a dict of arrays by name, not {type(photographs).__name__}")
    sources = {}
    for name, image in photographs.items():
        if not isinstance(name, str):
            raise TypeError(f"the name of a photograph must be a string, not {name!r}")
        sr.check_lr(image, f"photograph {name!r}")
        sources[name] = Source(Reading(np.array(as_rgb8(image), order="C")), is_original=True, given=True)
    return sources


def folder_sources(path: str) -> dict[str, Source]:
    """The images of a folder, as originals; their names begin with the folder's. Hidden files are passed over.

    Raises:
        OSError: there is no such folder, no image in it, or it cannot be opened.
    """
    folder = Path(path).expanduser().absolute()  # which has a name, unlike "."
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in images.SUFFIXES)
    files = [file for file in files if file.is_file() and not file.name.startswith(".")]
    if not files:
        raise FileNotFoundError(f"{folder} holds no images ({', '.join(images.SUFFIXES)})")
    # what is no character in a name, which no message to the browser can carry, becomes "?"
    names = [f"{folder.name}/{file.name}".encode(errors="replace").decode() for file in files]
    return {name: Source(file, is_original=True) for name, file in zip(names, files, strict=True)}


def upload_source(name: str, content: bytes | memoryview, *, is_original: bool) -> Source:
    """An image that was uploaded or dropped on the picture.

    Raises:
        ValueError: the bytes are no image that can be read; the message begins with the name.
    """
    try:
        reading = read_rgb8(bytes(content))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return Source(reading, is_original)


# -- PNG files with settings --------------------------------------------------------------------------------


def png_with_text(picture: np.ndarray, text: str) -> bytes:
    """A picture, (H, W, 3) uint8, as a PNG file with a text chunk before it."""
    chunk, target = PngInfo(), io.BytesIO()  # OpenCV writes no text chunks, Pillow does
    chunk.add_text(KEYWORD, text)
    PIL.Image.fromarray(picture).save(target, "png", pnginfo=chunk, compress_level=1)
    return target.getvalue()


def text_of(png: Path | bytes) -> str:
    """What :func:`png_with_text` put there; the picture is not decoded, however large it claims to be.

    Raises:
        OSError: the file cannot be opened.
        ValueError: no PNG, a damaged one, or one without such a text.
    """
    with open(png, "rb") if isinstance(png, Path) else io.BytesIO(png) as file:
        try:
            text = PngImageFile(file).info[KEYWORD]
        except Exception as error:  # Pillow has many ways to say that a file is damaged
            raise ValueError("this is no PNG that the view saved: it holds no settings") from error
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"this is no PNG that the view saved: its text has {len(text)} characters, over {TEXT_LIMIT}")
    return text


def holds_settings(png: bytes) -> bool:
    """Whether a file is a PNG of the view, whatever its settings may be."""
    try:
        text_of(png)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Saved:
    """What a saved PNG says about itself.

    Attributes:
        name: of the file.
        settings: the values of ``View.settings``.
        lr_digest: of the LR image, from :func:`digest`.
        weights: from :func:`csvfiles.weights_version`.
        lr: the LR image itself, (h, w, 3) uint8, unless it came with the notebook.
        directions: :data:`directions.REVISION` of then; 1 is that of files which do not say.
    """

    name: str
    settings: dict[str, Value]
    lr_digest: str
    weights: str
    lr: np.ndarray | None
    directions: int = directions.REVISION

    def difference(self, lr: np.ndarray, weights: str) -> str:
        """Why the same settings make another picture of this image with these weights; "" where they make the same."""
        if digest(lr) != self.lr_digest:
            return f"{self.name} was made from another image of this name: its picture will differ"
        if weights != self.weights:
            return f"{self.name} was made with other weights: its picture will differ"
        if self.directions != directions.REVISION and self._is_steered:
            return f"{self.name} was made with directions that were found in another way: its picture will differ"
        return ""

    @property
    def _is_steered(self) -> bool:
        best = self.settings["best"]
        regions = (*self.settings["regions"], *(() if best is None else best.regions))
        amounts = [self.settings[name] for name in DIRECTIONS] + list(() if best is None else best.amounts)
        return any(amounts) or any(any(region.amounts) for region in regions)


def digest(lr: np.ndarray) -> str:
    """The SHA-256 of an image's numbers, 64 hex digits."""
    return hashlib.sha256(lr.tobytes()).hexdigest()


def png_path(text: str) -> Path:
    """A path for :func:`save_png` as a person writes it.

    Raises:
        ValueError: the name does not end in .png.
    """
    path = Path(text).expanduser()
    if path.suffix.lower() != ".png":
        raise ValueError(f"the name must end in .png, and {path.name!r} does not")
    return path


def png_bytes(
    picture: np.ndarray,
    settings: Mapping[str, Value],
    weights: str,
    lr: np.ndarray,
    *,
    keep_lr: bool,
) -> bytes:
    """A picture with what made it, as a PNG file.

    Args:
        picture: (H, W, 3) uint8.
        settings: the values of ``View.settings``.
        weights: from :func:`csvfiles.weights_version`.
        lr: (h, w, 3) uint8, what is in work.
        keep_lr: put the LR image itself into the file, for a view that does not have it.
    """
    values = dict(settings)
    if keep_lr:  # what is in work goes along alone, and the window in it is the whole
        values |= {"work_across": 0.5, "work_down": 0.5}
    about = {"settings": plain(values), "lr": digest(lr), "weights": weights, "directions": directions.REVISION}
    if keep_lr:  # as PNG in base64, since the chunk holds text
        about["image"] = base64.b64encode(encode(lr, "png")).decode()
    return png_with_text(picture, json.dumps(about))


def save_png(path: Path, png: bytes) -> str:
    """Write what :func:`png_bytes` made, also in the place of an earlier one, but of no other file.

    Args:
        path: from :func:`png_path`.
        png: the file's content.

    Returns:
        what was done, in words.

    Raises:
        ValueError: there is another file of that name.
        OSError: the file cannot be written; what was there before is as it was.
    """
    there = path.is_file()
    try:
        if there and not holds_settings(path.read_bytes()):
            raise ValueError(f"{path} is no picture that the view saved, and stays as it is: name another file")
        with images.atomic_write(path) as part:
            part.write_bytes(png)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}") from error
    return f"saved {path.resolve()}" + ", in the place of the picture saved before" * there


def load_png(path: Path) -> Saved:
    """Read what :func:`save_png` wrote beside the picture. All that it gives has been checked.

    Raises:
        OSError: there is no such file, or it cannot be opened.
        ValueError: it holds no settings, or what is said there is damaged; the message says how.
    """
    if path.exists() and not path.is_file():  # a device might have no end
        raise ValueError(f"{path} is no file")
    return saved_in(path.name, path)


def saved_in(name: str, png: Path | bytes) -> Saved:
    """The same from a file's bytes, such as those that were dropped on the picture.

    Args:
        name: of the file, for messages and for :attr:`Saved.name`.
        png: the file, or its content.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it holds no settings, or what is said there is damaged; the message says how.
    """
    text = text_of(png)
    try:
        return _saved(name, json.loads(text))
    except RecursionError as error:  # brackets in brackets without end
        raise ValueError(f"the settings in {name} are damaged: they are nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"the settings in {name} are damaged: {error}") from error


def upgraded(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings as earlier files have them, in today's names; today's settings are given back as they are.

    Seeds were whole numbers then, with a walk, 0 to 1, from "seed" to "to_seed". Between neighbours it is today's line
    of seeds. There were no regions, and no best sample.

    Raises:
        ValueError: the walk was between seeds that are no neighbours, or one of its numbers is none.
    """
    if not {"seed", "to_seed", "walk"} <= settings.keys():
        return dict(settings)
    values = {"regions": [], "best": None, "work_across": 0.5, "work_down": 0.5} | dict(settings)
    seed, to_seed, walk = values["seed"], values.pop("to_seed"), values.pop("walk")
    for name, value, allowed in (("seed", seed, SEED), ("to_seed", to_seed, SEED), ("walk", walk, SHARE)):
        if value not in allowed:
            raise ValueError(f"{name} is {reprlib.repr(value)}, and must be {allowed}")
    if 0 < walk < 1 and abs(to_seed - seed) != 1:
        raise ValueError(
            f"they are {walk:.0%} of a walk from sample {seed} to sample {to_seed}, and only walks between neighbours "
            "can be shown any more"
        )
    values["seed"] = seed + walk * (to_seed - seed)
    return values


def _saved(name: str, about: object) -> Saved:
    """What a PNG says about itself, from its JSON; ValueError where it is not as :func:`png_bytes` makes it."""
    if not isinstance(about, dict):
        raise ValueError("they are no JSON object")
    kinds = {"settings": dict, "lr": str, "weights": str} | ({"image": str} if "image" in about else {})
    if wrong := [key for key, kind in kinds.items() if not isinstance(about.get(key), kind)]:
        raise ValueError(f"{' and '.join(wrong)} must be there, a dict or a string")
    settings = checked(upgraded(about["settings"]))
    if missing := SETTINGS.keys() - settings.keys():
        raise ValueError(f"they lack {', '.join(sorted(missing))}")
    lr = None
    if "image" in about:
        picture = base64.b64decode(about["image"], validate=True)
        lr = read_rgb8(picture).image
    revision = about.get("directions", 1)
    revision = revision if isinstance(revision, int) else 1
    weights = about["weights"].rpartition("+")[2]  # earlier files have a version before it
    return Saved(name, settings, about["lr"], weights, lr, revision)
