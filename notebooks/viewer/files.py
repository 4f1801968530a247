"""Files of the view: the images in its chooser, and PNGs that carry the settings that made them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.PngImagePlugin import PngInfo

import srvae_core as sr

from .pictures import as_rgb8, cut_to_middle, encode

UPLOAD_LIMIT = 256  # LR samples a side; larger uploads are cut to their middle to keep sliding live
ORIGINAL_LIMIT = 1024  # pixels a side of originals from a folder or uploaded, likewise
KEYWORD = "srvae"  # of the PNG text chunk with the settings


# -- Images to choose from ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """Where an image comes from.

    Attributes:
        image: (H, W, 3) uint8, or the path of a file that is read when the image is chosen.
        is_original: it is to be reduced first and compared with; otherwise it is an LR image.
        given: it came with the notebook, which brings it again the next time.
    """

    image: np.ndarray | Path
    is_original: bool
    given: bool = False

    def read(self) -> np.ndarray:
        """The image, (H, W, 3) uint8.

        Raises:
            ValueError, OSError: the file holds no image, or is not there any more.
        """
        if isinstance(self.image, Path):
            return cut_to_middle(as_rgb8(sr.read_image(self.image)), ORIGINAL_LIMIT)
        return np.asarray(self.image)


def photograph_sources(photographs: Mapping[str, np.ndarray]) -> dict[str, Source]:
    """Originals that a notebook gives to the view, by name."""
    return {name: Source(image, is_original=True, given=True) for name, image in photographs.items()}


def folder_sources(path: str) -> dict[str, Source]:
    """The images of a folder, as originals; their names begin with the folder's.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in sr.IMAGE_SUFFIXES)
    if not files:
        raise FileNotFoundError(f"{folder} holds no images ({', '.join(sr.IMAGE_SUFFIXES)})")
    return {f"{folder.name}/{file.name}": Source(file, is_original=True) for file in files}


def upload_source(content: bytes | memoryview, *, is_original: bool) -> Source:
    """An image that was uploaded, cut to its middle where it is too large to slide live.

    Raises:
        ValueError: the bytes are no image that can be read.
    """
    image = as_rgb8(sr.read_image(bytes(content)))
    return Source(cut_to_middle(image, ORIGINAL_LIMIT if is_original else UPLOAD_LIMIT), is_original)


# -- PNG files with settings --------------------------------------------------------------------------------


def with_text(png: bytes, text: str) -> bytes:
    """A PNG file with a text chunk."""
    chunk, target = PngInfo(), io.BytesIO()  # OpenCV writes no text chunks, Pillow does
    chunk.add_text(KEYWORD, text)
    PIL.Image.open(io.BytesIO(png)).save(target, "png", pnginfo=chunk, compress_level=1)
    return target.getvalue()


def text_of(png: bytes) -> str:
    """What :func:`with_text` put there.

    Raises:
        ValueError: no PNG, or one without it.
    """
    try:
        with PIL.Image.open(io.BytesIO(png), formats=["png"]) as image:
            return image.text[KEYWORD]
    except (OSError, SyntaxError, KeyError) as error:
        raise ValueError("this is no PNG that the view saved: it holds no settings") from error


@dataclass(frozen=True)
class Saved:
    """What a saved PNG says about itself.

    Attributes:
        name: of the file.
        settings: the values of ``View.settings``.
        lr_digest: of the LR image, from :func:`digest`.
        weights: from :func:`srvae_core.weights_version`.
        lr: the LR image itself, (h, w, 3) uint8, unless it came with the notebook.
    """

    name: str
    settings: dict[str, object]
    lr_digest: str
    weights: str
    lr: np.ndarray | None

    def check(self, lr: np.ndarray, weights: str) -> None:
        """See that the present image and weights are those that made the file.

        Raises:
            ValueError: they are not, so that the same settings make another picture.
        """
        if digest(lr) != self.lr_digest:
            raise ValueError(f"{self.name} was made from another image of this name: its picture will differ")
        if weights != self.weights:
            raise ValueError(f"{self.name} was made with other weights: its picture will differ")


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


def save_png(
    path: Path, picture: np.ndarray, settings: Mapping[str, object], weights: str, lr: np.ndarray, *, keep_lr: bool
) -> None:
    """Write a picture with what made it.

    Args:
        path: from :func:`png_path`.
        picture: (H, W, 3) uint8.
        settings: the values of ``View.settings``.
        weights: from :func:`srvae_core.weights_version`.
        lr: (h, w, 3) uint8.
        keep_lr: put the LR image itself into the file, for a view that does not have it.

    Raises:
        OSError: the file cannot be written.
    """
    about = {"settings": dict(settings), "lr": digest(lr), "weights": weights}
    if keep_lr:  # as PNG in base64, since the chunk holds text
        about["image"] = base64.b64encode(encode(lr, "png")).decode()
    path.write_bytes(with_text(encode(picture, "png"), json.dumps(about)))


def load_png(path: Path) -> Saved:
    """Read what :func:`save_png` wrote beside the picture.

    Raises:
        OSError: there is no such file.
        ValueError: it holds no settings.
    """
    about = json.loads(text_of(path.read_bytes()))
    lr = sr.read_image(base64.b64decode(about["image"])) if "image" in about else None
    return Saved(path.name, about["settings"], about["lr"], about["weights"], lr)
