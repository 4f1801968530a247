"""Files of the view: the photographs to choose from, and PNGs that carry the settings which made them."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

import srvae_core as sr
from srvae import images

from .pictures import as_rgb8
from .settings import Settings, from_json

NAMED = 5  # files that could not be read: more of them are only counted


@dataclass(frozen=True)
class Source:
    """A photograph to choose.

    Attributes:
        image: (H, W, 3) uint8, or the path of a file that is read when it is chosen.
        is_original: shrink it first and score against it; otherwise it is the LR image.
        remarks: what reading it had to say.
    """

    image: np.ndarray | Path
    is_original: bool
    remarks: tuple[str, ...] = ()

    def read(self) -> Source:
        """The same with the image itself; OSError or ValueError if it cannot be read."""
        return read(self.image, is_original=self.is_original) if isinstance(self.image, Path) else self

    def is_same(self, other: Source) -> bool:
        """Whether both are the same photograph, used in the same way."""
        if isinstance(self.image, Path) or isinstance(other.image, Path):
            return self == other
        return self.is_original == other.is_original and np.array_equal(self.image, other.image)


def read(source: Path | bytes, *, is_original: bool) -> Source:
    """Read an image file, or the bytes of one.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is not an image that can be read.
    """
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", UserWarning)
        image = images.read(source)
    remarks = [str(warning.message) for warning in heard]
    if image.shape[2] == 4:
        remarks.append("transparency is left out")
    return Source(as_rgb8(image), is_original, tuple(remarks))


class Files:
    """The photographs to choose from, by name.

    Args:
        photographs: originals, any image that :func:`srvae_core.check_image` takes.

    Raises:
        TypeError: not a dict of arrays by name.
        ValueError: an image is empty, not finite, of another shape, or float outside [0, 1].
    """

    def __init__(self, photographs: Mapping[str, np.ndarray]) -> None:
        if not isinstance(photographs, Mapping) or not all(isinstance(name, str) for name in photographs):
            raise TypeError(f"photographs must be a dict of arrays by name, not {type(photographs).__name__}")
        self.sources: dict[str, Source] = {}
        for name, image in photographs.items():
            sr.check_image(image, f"photograph {name!r}")
            self.sources[name] = Source(np.array(as_rgb8(image), order="C"), is_original=True)

    def offer(self, sources: Mapping[str, Source]) -> dict[str, str]:
        """Add photographs; another one of a name that is taken gets a number. Returns their names by those given."""
        names = {}
        for name, source in sources.items():
            numbered = chain([name], (f"{name} ({n})" for n in count(2)))
            names[name] = next(n for n in numbered if n not in self.sources or self.sources[n].is_same(source))
            self.sources = {**self.sources, names[name]: source}
        return names


def folder_sources(path: str, *, is_original: bool) -> dict[str, Source]:
    """List the images of a folder, but no hidden ones; FileNotFoundError if there are none."""
    folder = Path(path).expanduser().absolute()  # which has a name, unlike "."
    files = images.find_images(folder) if folder.is_dir() else []
    if not files:
        raise FileNotFoundError(f"{folder} is no folder of images ({', '.join(images.SUFFIXES)})")
    return {f"{folder.name}/{printable(f.name)}": Source(f, is_original) for f in files}


def printable(text: str) -> str:
    """Text that a message can carry: names of files may hold bytes that are not characters, which become "?"."""
    return text.encode(errors="replace").decode()


def listed(reasons: list[str]) -> str:
    """Why some files could not be read, the first of them in words."""
    more = len(reasons) - NAMED
    return "; ".join([*reasons[:NAMED], *([f"and {more} more"] if more > 0 else [])])


# -- PNGs with settings -------------------------------------------------------------------------------------

KEYWORD = "srvae"  # of the PNG text chunk


@dataclass(frozen=True)
class Saved:
    """What a saved PNG says: its settings, the digest of the photograph, and the version of the weights."""

    settings: Settings
    photograph: str
    weights: str


def png_bytes(picture: np.ndarray, saved: Saved) -> bytes:
    """A picture, (H, W, 3) uint8, as a PNG file with what made it."""
    about = {"settings": saved.settings.as_json(), "photograph": saved.photograph, "weights": saved.weights}
    chunk, target = PngInfo(), io.BytesIO()
    chunk.add_text(KEYWORD, json.dumps(about))
    PIL.Image.fromarray(picture).save(target, "png", pnginfo=chunk, compress_level=1)
    return target.getvalue()


def text_of(png: Path | bytes) -> str | None:
    """The text that :func:`png_bytes` put into a PNG; None if the file is another image, or none."""
    with open(png, "rb") if isinstance(png, Path) else io.BytesIO(png) as file:
        try:
            return PngImageFile(file).info.get(KEYWORD)
        except Exception:  # Pillow has many ways to say that a file is damaged
            return None


def load_png(name: str, png: Path | bytes) -> Saved:
    """Read what a saved PNG says.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it holds no settings, or those of another version.
    """
    text = text_of(sr.check_file(png) if isinstance(png, Path) else png)
    if text is None:
        raise ValueError(f"{name} is not a PNG that was saved here: it holds no settings")
    try:
        about = json.loads(text)
        return Saved(from_json(about["settings"]), str(about["photograph"]), str(about["weights"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{name} cannot be loaded: {error}") from error


def free_path(text: str) -> Path:
    """A path that does not exist yet: the one that was typed, or one with a number. ValueError unless it is a .png."""
    path = Path(text).expanduser()
    if path.suffix.lower() != ".png":
        raise ValueError(f"the name must end in .png, and {path.name!r} does not")
    numbered = chain([path], (path.with_stem(f"{path.stem}-{n}") for n in count(2)))
    return next(p for p in numbered if not p.exists())
