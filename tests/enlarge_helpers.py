"""What the tests of ``srvae enlarge`` share: small files, and a run of the command in this process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image

from pictures import picture
from srvae.enlarging.cli import main
from srvae.enlarging.picture import Notes, Picture

SOFTWARE = 'SR-VAE {"model": "4x-D"}'


def save(path: Path, height: int = 6, width: int = 9, channels: int = 3, **options: object) -> Path:
    """A small picture by Pillow, in the format of its name; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = picture(height, width, channels)
    PIL.Image.fromarray(image[..., 0] if channels == 1 else image).save(path, **options)
    return path


def enlarge(*words: object) -> int:
    """Run the command in this process, which spares a second import of torch; gives its exit code."""
    return main([str(word) for word in ("--device", "cpu", *words)])


def command(*words: object, launcher: tuple[str, ...] = ()) -> list[str]:
    """The command line for processes of their own."""
    return [sys.executable, *launcher, "-m", "srvae", "enlarge", *map(str, words)]


def bands(image: np.ndarray, *heights: int) -> Iterator[np.ndarray]:
    """The rows of (H, W, C), the heights given at a time and then the rest."""
    top = 0
    for height in (*heights, len(image)):
        if top < len(image):
            yield image[top : top + height]
        top += height


def form(image: np.ndarray) -> Picture:
    """The form of (H, W, C)."""
    return Picture(*image.shape, image.dtype)


def notes(**options: object) -> Notes:
    """What a file says, the settings at least."""
    return Notes(SOFTWARE, **options)
