"""The command ``srvae enlarge``: image files, and folders of them, 4 or 8 times larger."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

import srvae_core as sr
from srvae import images

DESCRIPTION = """Enlarge photographs 4 or 8 times, file by file or whole folders.

srvae enlarge photo.jpg --to enlarged                 # enlarged/photo.jpg, 4 times larger
srvae enlarge holiday scans --to enlarged --scale 8   # folders, with their subfolders
srvae enlarge photo.jpg --to samples --model P --temperature 1 --samples 4 --format png

Answers that exist are skipped, so the same command continues after an interruption. Files that cannot be enlarged are
listed at the end. `accelerate launch -m srvae enlarge ...` shares the files among processes.

Exit code: 0, all answers exist; 1, some files failed; 2, the command was not understood; 130, interrupted."""
FORMATS = {"png": ".png", "jpg": ".jpg", "tiff": ".tif", "webp": ".webp", "bmp": ".bmp"}
LARGEST_EXIF = 60_000  # bytes: a JPEG file holds 65,533 in all


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; SystemExit with code 2 for arguments that are not understood."""
    options = _parse(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names may have letters that the terminal lacks
    # Under a launcher each process takes every n-th file, on a device of its own.
    rank, processes, device, state = 0, 1, options.device, None
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from accelerate import PartialState

        state = PartialState(cpu=options.device == "cpu", timeout=timedelta(days=30))
        rank, processes, device = state.process_index, state.num_processes, device or state.device
    name = _model_name(options.model, options.scale)
    try:
        model = sr.load_model(name, device=device or torch.accelerator.current_accelerator(check_available=True))
        answers = find_answers(options.inputs, options.to, options.samples, options.seed, FORMATS.get(options.format))
        if options.scale not in (None, model.scale):
            raise ValueError(f"{options.model} is a {model.scale}x model, and --scale asks for {options.scale}")
        if options.samples < 1:
            raise ValueError(f"--samples must be at least 1, not {options.samples}")
        if options.samples > 1 and not (model.temperature if options.temperature is None else options.temperature):
            raise ValueError("--samples needs a --temperature above 0: at 0 all samples are the same")
        sr.noise_generator(options.seed, options.temperature or 0.0)  # checks both
    except (OSError, ValueError, RuntimeError, AssertionError) as error:  # the last two: there is no such device
        print(f"error: {error}", file=sys.stderr)
        return 2
    mine = sorted(answers)[rank::processes]  # before looking at what exists, which other processes change
    todo = [answer for answer in mine if options.overwrite or not answer[1].exists()]
    failures: dict[Path, str] = {}  # by target
    with tqdm(todo, unit="file", disable=rank > 0 or len(todo) == 1) as bar:  # one file shows its blocks instead
        try:
            for source, target, seed in bar:
                bar.set_description(source.name)
                try:
                    enlarge_file(source, target, model, name, options.temperature, seed, progress=len(todo) == 1)
                except Exception as error:  # a failure is its file's alone: a night's run is not lost by one
                    reason = str(error) if isinstance(error, OSError | ValueError) else repr(error)
                    failures[target] = reason if str(source) in reason else f"{source}: {reason}"
        except KeyboardInterrupt:
            print("interrupted: finished answers stay, and the same command continues", file=sys.stderr)
            return 130
    skipped = f", {len(mine) - len(todo)} exist already" if len(todo) < len(mine) else ""
    print(f"{options.to}: {len(todo) - len(failures)} answers written{skipped}")
    for reason in dict.fromkeys(failures.values()):  # once for all samples of a file
        print(f"error: {reason}", file=sys.stderr)
    if state:  # the launcher ends all processes when one ends with an error
        state.wait_for_everyone()
    return 1 if failures else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="srvae enlarge", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="image files, and folders of them")
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="where the answers go")
    parser.add_argument("--scale", type=int, choices=sr.SCALES, help="4 unless the model is of another")
    parser.add_argument("--model", default="D", help="D or P, a name such as 4x-D, or a .safetensors file [D]")
    parser.add_argument("--temperature", type=float, help="of samples [the model's default; 0 for D]")
    parser.add_argument("--seed", type=int, default=0, help="of the noise, or of the first sample [0]")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="answers per file, seeds count up [1]")
    parser.add_argument("--format", choices=FORMATS, help="of the answers [that of each file]")
    parser.add_argument("--overwrite", action="store_true", help="replace answers that exist")
    parser.add_argument("--device", help='for example "cpu" or "cuda:1" [a GPU if there is one]')
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help(sys.stderr)
        parser.exit(2)
    return parser.parse_args(arguments)


def _model_name(model: str, scale: int | None) -> str:
    """The name that ``load_model`` takes for a model as people write it: D, 4x-D or a path."""
    return model if "x-" in model or Path(model).suffix else f"{scale or 4}x-{model}"


def find_answers(
    inputs: Iterable[Path], to: Path, samples: int = 1, seed: int = 0, suffix: str | None = None
) -> list[tuple[Path, Path, int]]:
    """List (source, target, seed) for files, and for the images in folders; subfolders are kept below ``to``.

    Hidden files and folders, other files, and ``to`` inside a folder are passed over. With several samples the names of
    the targets end in the seed; ``suffix`` replaces theirs.

    Raises:
        FileNotFoundError: an input does not exist.
        ValueError: no image, two sources with one target, or a target that is one of the sources or of no format.
    """
    found: dict[Path, tuple[Path, Path, int]] = {}
    sources = {}
    for given in inputs:
        if given.is_dir():
            earlier = to.resolve() if given.resolve() in to.resolve().parents else None
            inside = images.find_images(given, recursive=True)
            sources |= {path: path.relative_to(given) for path in inside if earlier not in path.resolve().parents}
        elif not given.exists():
            raise FileNotFoundError(f"there is no file or folder {given}")
        else:
            sources[given] = Path(given.name)
    if not sources:
        raise ValueError(f"no images in {', '.join(map(str, inputs))} ({', '.join(images.SUFFIXES)})")
    originals = {path.resolve() for path in sources}
    for source, name in sources.items():
        for number in range(seed, seed + samples):
            drawn = f"_seed{number}" if samples > 1 else ""
            target = to / name.with_name(name.stem + drawn + (suffix or name.suffix))
            other = found.setdefault(target, (source, target, number))[0]
            if other.resolve() != source.resolve():
                raise ValueError(f"{other} and {source} would both become {target}: enlarge them into two folders")
            if target.suffix.lower() not in images.SUFFIXES:
                raise ValueError(f"{target} is none of {', '.join(images.SUFFIXES)}: choose a --format")
            if target.resolve() in originals:
                raise ValueError(f"{target} would replace an input: name another folder with --to")
    return list(found.values())


def enlarge_file(
    source: Path, target: Path, model: sr.SRVAE, name: str, temperature: float | None, seed: int, progress: bool = False
) -> None:
    """Enlarge one file and write the answer atomically; ``name`` is the model's.

    The answer has the source's grey, alpha and depth. Files of 8 bit keep its EXIF (not from or in TIFF) and,
    multiplied, its resolution, say that they are sRGB if it had a colour profile, and, but for BMP, name the model and
    the settings.

    Raises:
        OSError, ValueError: the file cannot be read, or the answer cannot be written.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lr = images.read(source)
    for warning in caught:
        tqdm.write(str(warning.message), file=sys.stderr)
    target.parent.mkdir(parents=True, exist_ok=True)
    temperature = model.temperature if temperature is None else temperature
    settings = {"model": name, "scale": model.scale, "temperature": temperature, "seed": seed}
    software = f"SR-VAE {json.dumps(settings | {'version': sr.__version__})}"
    with images.open_header(source) as picture:
        lr = np.ascontiguousarray(lr[..., 0]) if picture.mode[0] in "1LI" and lr.shape[2] == 3 else lr
        options = _notes(picture, target.suffix.lower(), lr.shape, model.scale, software)
    images.write(target, sr.super_resolve(lr, model, temperature=temperature, seed=seed, progress=progress), **options)


def _notes(
    picture: PIL.Image.Image, suffix: str, shape: tuple[int, ...], scale: int, software: str
) -> dict[str, object]:
    """What an answer's file says besides its pixels, as Pillow's options; ``shape`` is of the upright LR image."""
    options: dict[str, object] = {}
    if picture.info.get("icc_profile") and len(shape) == 3 and picture.mode != "LA":
        profile = images.SRGB.tobytes()  # holds the time, and the same command must give the same bytes
        options["icc_profile"] = profile[:24] + bytes((7, 208, 0, 1, 0, 1)) + bytes(6) + profile[36:]
    dpi = tuple(float(n) * scale for n in picture.info.get("dpi", ()))
    if dpi and all(0 < n < 2**16 for n in dpi):  # 0/0 occurs, and JPEG holds no more
        options["dpi"] = dpi
    if suffix in (".tif", ".tiff"):
        return options | {"software": software}
    if suffix == ".png":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Software", software)
    return options if suffix == ".bmp" else options | {"exif": _exif(picture, shape, scale, software)}


def _exif(picture: PIL.Image.Image, shape: tuple[int, ...], scale: int, software: str) -> PIL.Image.Exif:
    """The picture's EXIF as far as it is true for the answer; the software alone if the EXIF is damaged or too long."""
    empty = PIL.Image.Exif()
    empty[Base.Software] = software
    try:
        exif = picture.getexif() if picture.format != "TIFF" else empty  # a TIFF's tags are about its own pixels
        for tag in (Base.Orientation, Base.ImageWidth, Base.ImageLength):
            exif.pop(tag, None)
        for tag in {Base.XResolution, Base.YResolution} & exif.keys():
            exif[tag] = float(exif[tag]) * scale
        true_now = {Base.ExifImageWidth: shape[1] * scale, Base.ExifImageHeight: shape[0] * scale, Base.ColorSpace: 1}
        about = exif.get_ifd(IFD.Exif)
        about |= {tag: value for tag, value in true_now.items() if tag in about}
        exif[Base.Software] = software
        return exif if len(exif.tobytes()) < LARGEST_EXIF else empty
    except Exception:  # Pillow raises many types for damaged EXIF
        return empty
