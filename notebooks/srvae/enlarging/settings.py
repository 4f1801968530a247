"""What makes an answer what it is: model, weights, temperature, seed, precision. Each answer's file says it."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import tifffile

import srvae_core as sr

from .headers import TAG, opened

PROGRAM = "SR-VAE"  # begins the words
LONGEST = 4096  # bytes of the words at most


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Attributes:
        model: what :func:`srvae_core.load_model` takes.
        name: of the model, as a shipped one is called, such as 4x-D.
        weights: their version, from :func:`srvae_core.weights_version`.
        scale: 4 or 8.
        temperature: 0 or more.
        seeds: one for each answer to an image.
        precision: of the convolutions, one of :data:`srvae_core.PRECISIONS`.
    """

    model: str
    name: str
    weights: str
    scale: int
    temperature: float
    seeds: tuple[int, ...]
    precision: str = "auto"

    def words(self, seed: int, digest: str) -> str:
        """What the answer's file says: the settings, the seed and a digest of the input's file; ASCII.

        At temperature 0 nothing is drawn, so that the seed does not matter. Answers that say no precision are of
        "auto", which may be float32 as well, but need not be.
        """
        said = {"model": self.name, "weights": self.weights, "scale": self.scale, "temperature": self.temperature}
        said |= {"seed": seed} if self.temperature else {}
        said |= {"precision": self.precision} if self.precision != "auto" else {}
        return f"{PROGRAM} {json.dumps(said | {'input': digest})}"


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that options ask for; no weights are loaded.

    Args:
        options: scale and temperature (None takes the model's own), model, seed, samples, precision.

    Raises:
        ValueError, FileNotFoundError: there is no such model, or it is of another scale; no such temperature or seed.
    """
    model, scale = _model_of(options.model, options.scale)
    path = sr.WEIGHTS / sr.ModelName.of(model).file if model in sr.available_models() else Path(model)
    notes = sr.read_notes(path)
    if notes.get("scale") not in sr.SCALES or type(notes["scale"]) is not int:
        raise ValueError(f"{path} is no weights file of an SR-VAE: it says nothing of its scale")
    if scale not in (None, notes["scale"]):
        raise ValueError(f"the model {options.model} is a {notes['scale']}x one, and --scale asks for {scale}")
    temperature = sr.own_temperature(notes, path) if options.temperature is None else options.temperature
    if not 0 <= temperature < math.inf:
        raise ValueError(f"--temperature must be a finite number of at least 0, not {temperature}")
    seeds = tuple(range(options.seed, options.seed + options.samples))
    if len(seeds) > 1 and not temperature:
        raise ValueError("several --samples need a --temperature above 0: at 0 all of them are the same")
    if seeds[0] < 0 or seeds[-1] >= 2**63:
        raise ValueError(f"--seed must be between 0 and 2**63, not {options.seed}")
    name = path.stem.removeprefix(sr.PREFIX)
    weights, temperature = sr.weights_version(path), float(temperature)
    return Settings(model, name, weights, notes["scale"], temperature, seeds, options.precision)


def _model_of(model: str, scale: int | None) -> tuple[str, int | None]:
    """What ``load_model`` takes for a model as people name it (D, 4x-D, a path), and the scale that it has to have."""
    if Path(model).suffix == ".safetensors":
        if not Path(model).is_file():
            raise FileNotFoundError(f"there is no weights file {model}")
        return model, scale
    name = model if "x-" in model else f"{scale or 4}x-{model}"
    shipped = sr.available_models()
    if name not in shipped:
        variants = ", ".join(dict.fromkeys(known.partition("x-")[2] for known in shipped))
        raise FileNotFoundError(
            f"there is no model {model!r}: --model takes {variants}, one of {', '.join(shipped)}, "
            "or the path of a .safetensors file"
        )
    return name, scale


def digest_of(path: Path) -> str:
    """What names the contents of a file: the beginning of its SHA-256, 16 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def words_of(path: Path) -> str:
    """What :meth:`Settings.words` an answer's file holds; "" where it holds none."""
    with suppress(Exception):  # whatever it is, it is none of ours
        if path.suffix.lower() == ".bmp":
            return _words_at_the_end(path)
        if path.suffix.lower() in (".tif", ".tiff"):
            with tifffile.TiffFile(path) as file:
                words = file.pages.first.software
        else:
            with opened(path) as image:
                words = image.info.get("Software") if image.format == "PNG" else image.getexif().get(TAG.Software)
        return words if isinstance(words, str) and words.startswith(f"{PROGRAM} ") else ""
    return ""


def _words_at_the_end(path: Path) -> str:
    """The words behind the pixels of a BMP file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LONGEST))
        _, program, said = file.read().rpartition(f"{PROGRAM} ".encode())
    return (program + said).decode("ascii") if program else ""
