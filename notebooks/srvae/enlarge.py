"""The command ``srvae enlarge``: image files, and folders of them, 4 or 8 times larger, or to any size between."""

from __future__ import annotations

import argparse
import glob
import json
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

import srvae_core as sr
from srvae import colours, commands, images

DESCRIPTION = """Enlarge photographs 4 or 8 times, or to any size between, file by file or whole folders.

srvae enlarge photo.jpg --to enlarged                 # enlarged/photo.jpg, 4 times larger
srvae enlarge holiday scans --to enlarged --scale 8   # folders, with their subfolders
srvae enlarge holiday --to screen --width 1920        # by the next larger scale, then reduced
srvae enlarge photo.jpg --to samples --model P --temperature 1 --samples 4 --format png

Answers that exist are skipped, so the same command continues after an interruption. Files that cannot be enlarged are
listed at the end. `accelerate launch -m srvae enlarge ...` shares the files among processes.

Exit code: 0, all answers exist; 1, some files failed; 2, the command was not understood; 130, interrupted."""
FORMATS = {"png": ".png", "jpg": ".jpg", "tiff": ".tif", "webp": ".webp", "bmp": ".bmp"}
LOSSY = (".jpg", ".jpeg", ".webp")
COLOUR_TAGS = (Base.WhitePoint, Base.PrimaryChromaticities, Base.TransferFunction)  # the answer is sRGB
LARGEST_EXIF = 60_000  # bytes: a JPEG file holds 65,533 in all

Models = dict[int, tuple[str, sr.SRVAE]]  # by scale, with their names


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; SystemExit with code 2 for arguments that are not understood."""
    options = commands.parse(_build_parser(), arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names may have letters that the terminal lacks
    try:
        # Under a launcher each process takes every n-th file, on a device of its own.
        state = commands.join_launcher(cpu=options.device == "cpu")
        rank, processes = (state.process_index, state.num_processes) if state else (0, 1)
        models = _load_models(options, options.device or (state.device if state else "auto"))
        answers = find_answers(options.inputs, options.to, options.samples, options.seed, FORMATS.get(options.format))
        _check(options, models)
        mine = sorted(answers)[rank::processes]  # before looking at what exists, which other processes change
        todo = [answer for answer in mine if options.overwrite or not answer[1].exists()]
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failures: dict[Path, str] = {}  # by target
    # One file shows its blocks instead.
    with sr.progress_bar(todo, unit="file", disable=rank > 0 or len(todo) == 1) as bar:
        try:
            for source, target, seed in bar:
                bar.set_description(source.name)
                try:
                    enlarge_file(source, target, models, options, seed, progress=len(todo) == 1)
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


def _build_parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="srvae enlarge", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="image files, and folders of them")
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="where the answers go")
    parser.add_argument("--scale", type=int, choices=sr.SCALES, help="4 unless the model is of another")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--width", type=int, metavar="PIXELS", help="of the answers, whose height follows")
    size.add_argument("--height", type=int, metavar="PIXELS", help="of the answers, whose width follows")
    size.add_argument("--times", type=float, metavar="FACTOR", help="from 1 to 8, such as 3 or 1.5")
    parser.add_argument("--model", default="D", help="D or P, a name such as 4x-D, or a .safetensors file [D]")
    parser.add_argument("--temperature", type=float, help="of samples [the model's default; 0 for D]")
    parser.add_argument("--seed", type=int, default=0, help="of the noise, or of the first sample [0]")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="answers per file, seeds count up [1]")
    parser.add_argument("--format", choices=FORMATS, help="of the answers [that of each file; PNG for GIF and AVIF]")
    parser.add_argument("--quality", type=int, default=95, help="of JPEG and WebP answers, 1 to 100 [95]")
    parser.add_argument("--overwrite", action="store_true", help="replace answers that exist")
    parser.add_argument("--device", help='for example "cpu" or "cuda:1" [a GPU if there is one]')
    return parser


def _load_models(options: argparse.Namespace, device: str) -> Models:
    """Load the models of a command line: the one that is named, or those of a variant whose scales may be needed."""
    sized = options.width or options.height or options.times
    if "x-" in options.model or Path(options.model).suffix:
        names = [options.model]
    elif options.scale or not sized:
        names = [f"{options.scale or 4}x-{options.model}"]
    else:
        names = [f"{scale}x-{options.model}" for scale in sr.SCALES]
    loaded = [(name, sr.load_model(name, device=device)) for name in names]
    return {model.scale: (name, model) for name, model in loaded}


def _check(options: argparse.Namespace, models: Models) -> None:
    """Raise ValueError for options that do not fit the models or each other, before any work."""
    name, model = models[max(models)]
    if options.scale not in (None, model.scale):
        raise ValueError(f"{name} is a {model.scale}x model, and --scale asks for {options.scale}")
    if options.samples < 1:
        raise ValueError(f"--samples must be at least 1, not {options.samples}")
    if options.samples > 1 and not (model.temperature if options.temperature is None else options.temperature):
        raise ValueError("--samples needs a --temperature above 0: at 0 all samples are the same")
    sr.noise_generator(options.seed, options.temperature or 0.0)  # checks both
    if options.times is not None and not 1 <= options.times <= model.scale:
        raise ValueError(f"--times must be from 1 to {model.scale}, not {options.times:g}")
    if (options.width is not None and options.width < 1) or (options.height is not None and options.height < 1):
        raise ValueError("--width and --height must be at least 1 pixel")
    if not 1 <= options.quality <= 100:
        raise ValueError(f"--quality must be from 1 to 100, not {options.quality}")


def find_answers(
    inputs: Iterable[Path], to: Path, samples: int = 1, seed: int = 0, suffix: str | None = None
) -> list[tuple[Path, Path, int]]:
    """List (source, target, seed) for files, and for the images in folders; subfolders are kept below ``to``.

    Inputs may have the wildcards * and ?, which Windows leaves to programs. Hidden files and folders, other files, and
    ``to`` inside a folder are passed over. With several samples the names of the targets end in the seed; ``suffix``
    replaces theirs.

    Raises:
        FileNotFoundError: an input does not exist.
        ValueError: no image, two sources with one target, or a target that is one of the sources or of no format.
    """
    found: dict[Path, tuple[Path, Path, int]] = {}
    sources = {}
    for given in (path for word in inputs for path in _expanded(word)):
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
        own = ".png" if name.suffix.lower() in images.READ_ONLY_SUFFIXES else name.suffix
        for number in range(seed, seed + samples):
            drawn = f"_seed{number}" if samples > 1 else ""
            target = to / name.with_name(name.stem + drawn + (suffix or own))
            other = found.setdefault(target, (source, target, number))[0]
            if other.resolve() != source.resolve():
                raise ValueError(f"{other} and {source} would both become {target}: enlarge them into two folders")
            if target.suffix.lower() not in images.WRITABLE_SUFFIXES:
                raise ValueError(f"{target} is none of {', '.join(images.WRITABLE_SUFFIXES)}: choose a --format")
            if target.resolve() in originals:
                raise ValueError(f"{target} would replace an input: name another folder with --to")
    return list(found.values())


def _expanded(path: Path) -> list[Path]:
    """Return the paths that match one with wildcards; a path that exists, or that nothing matches, as it is."""
    matching = [] if path.exists() else sorted(glob.glob(str(path)))
    return [Path(match) for match in matching] or [path]


def answer_size(size: tuple[int, int], options: argparse.Namespace, largest: int) -> tuple[int, int] | None:
    """Return the (height, width) that --width, --height or --times asks for; None without them.

    Args:
        size: (height, width) of the LR image.
        options: the command line.
        largest: scale of the models.

    Raises:
        ValueError: the size is smaller than the LR image, or larger than the models can make it.
    """
    height, width = size
    if not (options.width or options.height or options.times):
        return None
    times = options.times or (options.width / width if options.width else options.height / height)
    if not 1 <= times <= largest:
        reached = f"from {width}x{height} to {largest * width}x{largest * height}"
        raise ValueError(f"it can become {reached} pixels, and not {times:.3g} times as large")
    return options.height or round(times * height), options.width or round(times * width)


def enlarge_file(
    source: Path, target: Path, models: Models, options: argparse.Namespace, seed: int, *, progress: bool = False
) -> None:
    """Enlarge one file and write the answer atomically.

    The answer has the source's grey, alpha and depth. Files of 8 bit keep its EXIF (not from or in TIFF) and,
    multiplied, its resolution, say that they are sRGB if it had a colour profile, and, but for BMP, name the model and
    the settings.

    Raises:
        OSError, ValueError: the file cannot be read, or the answer cannot be written.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lr = images.read(source)
    if sys.stderr:
        for warning in caught:
            tqdm.write(str(warning.message), file=sys.stderr)
    size = answer_size(lr.shape[:2], options, max(models))
    scale = min(s for s in models if size is None or (size[0] <= s * lr.shape[0] and size[1] <= s * lr.shape[1]))
    name, model = models[scale]
    size = size or (scale * lr.shape[0], scale * lr.shape[1])
    temperature = model.temperature if options.temperature is None else options.temperature
    settings = {"model": name, "scale": scale, "temperature": temperature, "seed": seed}
    software = f"SR-VAE {json.dumps(settings | {'version': sr.__version__})}"
    with images.open_header(source) as picture:
        lr = np.ascontiguousarray(lr[..., 0]) if picture.mode[0] in "1LI" and lr.shape[2] == 3 else lr
        notes = _notes(picture, target.suffix.lower(), lr, size, software)
    if target.suffix.lower() in LOSSY:
        notes["quality"] = options.quality
    target.parent.mkdir(parents=True, exist_ok=True)
    answer = sr.super_resolve(lr, model, temperature=temperature, seed=seed, progress=progress)
    images.write(target, answer if answer.shape[:2] == size else sr.resize(answer, size), **notes)


def _notes(
    picture: PIL.Image.Image, suffix: str, lr: np.ndarray, size: tuple[int, int], software: str
) -> dict[str, object]:
    """What an answer's file says besides its pixels, as Pillow's options.

    Args:
        picture: the source. lr: its pixels, upright.
        suffix: of the answer. size: its height and width.
        software: the settings in words.
    """
    options: dict[str, object] = {}
    if picture.info.get("icc_profile") and lr.ndim == 3 and picture.mode != "LA":
        profile = colours.SRGB_PROFILE.tobytes()  # holds the time, and the same command must give the same bytes
        options["icc_profile"] = profile[:24] + bytes((7, 208, 0, 1, 0, 1)) + bytes(6) + profile[36:]
    factor = size[1] / lr.shape[1]
    dpi = tuple(float(n) * factor for n in _resolution(picture))
    dpi = dpi[::-1] if _is_turned(picture) else dpi
    if dpi and all(0 < n < 2**16 for n in dpi):  # 0/0 occurs, and JPEG holds no more
        options["dpi"] = dpi
    if suffix in (".tif", ".tiff"):
        return options | {"software": software}
    if suffix == ".png":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Software", software)
    if suffix != ".bmp":
        options["exif"] = _exif(picture, size, factor, options.get("dpi", ()), software)
    return options


def _is_turned(picture: PIL.Image.Image) -> bool:
    """Return whether rows and columns are exchanged in the upright picture."""
    with suppress(Exception):  # Pillow raises many types for damaged EXIF
        return picture.getexif().get(Base.Orientation) in (5, 6, 7, 8)
    return False


def _resolution(picture: PIL.Image.Image) -> tuple[float, ...]:
    """Return the pixels per inch of a picture across and down, of EXIF where nothing else says them; or ()."""
    guessed = picture.format in ("JPEG", "MPO") and not picture.info.get("jfif_unit")  # by Pillow, from EXIF or at 72
    if "dpi" in picture.info and not guessed:
        return picture.info["dpi"]
    with suppress(Exception):  # Pillow raises many types for damaged EXIF
        exif = picture.getexif()
        inches = {2: 1.0, 3: 2.54}[exif.get(Base.ResolutionUnit, 2)]  # dots per inch for one per inch or centimetre
        return tuple(float(exif[tag]) * inches for tag in (Base.XResolution, Base.YResolution))
    return ()


def _exif(
    picture: PIL.Image.Image, size: tuple[int, int], factor: float, dpi: tuple[float, ...], software: str
) -> PIL.Image.Exif:
    """The picture's EXIF as far as it is true for the answer; the software alone if the EXIF is damaged or too long."""
    empty = PIL.Image.Exif()
    empty[Base.Software] = software
    try:
        exif = picture.getexif() if picture.format != "TIFF" else empty  # a TIFF's tags are about its own pixels
        resolution = (Base.XResolution, Base.YResolution)
        values = [float(exif.pop(tag, 0) or 0) * factor for tag in resolution]
        values = [n or max(values) for n in (values[::-1] if _is_turned(picture) else values)]  # one may be missing
        for tag in (Base.Orientation, Base.ImageWidth, Base.ImageLength, *COLOUR_TAGS):
            exif.pop(tag, None)
        if not any(values) and dpi:
            values, exif[Base.ResolutionUnit] = dpi, 2
        exif.update({tag: n for tag, n in zip(resolution, values, strict=True) if 0 < n < 2**32})  # 0/0 occurs
        about = exif.get_ifd(IFD.Exif)
        for tag in (IFD.Interop, Base.Gamma):
            about.pop(tag, None)
        true_now = {Base.ExifImageWidth: size[1], Base.ExifImageHeight: size[0], Base.ColorSpace: 1}
        about |= {tag: value for tag, value in true_now.items() if tag in about}
        exif[Base.Software] = software
        return exif if len(exif.tobytes()) < LARGEST_EXIF else empty
    except Exception:  # Pillow raises many types for damaged EXIF
        return empty
