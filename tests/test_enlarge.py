"""The command ``srvae enlarge``: files and folders in, answers out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import IFDRational

import srvae_core as sr
from pictures import levels, picture
from srvae import colours, commands, enlarge, images
from srvae.benchmarks.cli import build_parser as build_evaluate
from srvae.training.cli import build_parser as build_train
from test_images import imresize


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, shipped):
    """An empty folder; each model is loaded once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sr, "load_model", shipped)


def run(words: str) -> int:
    return enlarge.main(["--device", "cpu", *words.split()])


def save(path: str, height: int = 6, width: int = 9, channels: int = 3, **options: object) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(picture(height, width, channels)).save(path, **options)


def files(folder: str = "out") -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_folder(shipped, capsys):
    for path in ("in/sub/Вид #1.png", "in/.hidden.png", "in/.cache/a.png", "in/out/earlier.png", "in/notes.txt"):
        save(path, format="PNG")
    os.mkfifo("in/pipe.png")
    assert run("in --to in/out") == 0
    assert capsys.readouterr().out == "in/out: 1 answers written\n"
    assert files("in/out") == {"sub/Вид #1.png", "earlier.png"}
    expected = sr.super_resolve(images.read("in/sub/Вид #1.png"), shipped("4x-D"))
    assert levels(images.read("in/out/sub/Вид #1.png"), expected) == 0
    assert run("in/sub --to .") == 0, "the folder of the answers may hold that of the inputs"


def test_finished_files_are_skipped(capsys):
    for path in ("in/a.png", "in/b.png", "out/b.png"):
        save(path, 1, 1)
    assert run("in --to out") == 0
    assert "out: 1 answers written, 1 exist already" in capsys.readouterr().out
    assert [images.read(f"out/{name}").shape[0] for name in ("a.png", "b.png")] == [4, 1]
    assert run("in --to out --overwrite --scale 8") == 0
    assert [images.read(f"out/{name}").shape[0] for name in ("a.png", "b.png")] == [8, 8]


def test_a_broken_file_is_named_at_the_end(capsys, monkeypatch):
    save("in/a.png")
    save("in/z.png")
    Path("in/m.png").write_bytes(Path("in/a.png").read_bytes()[:-40])
    words = "in --to out --temperature 1 --samples 2"
    assert run(words) == 1
    assert files() == {"a_seed0.png", "a_seed1.png", "z_seed0.png", "z_seed1.png"}
    said = capsys.readouterr()
    assert "error: in/m.png cannot be read: " in said.err.rstrip().split("\n")[-1]
    assert (said.err.count("error: "), said.out) == (1, "out: 4 answers written\n")
    monkeypatch.setattr("os.replace", lambda *_: 1 / 0)
    assert run(f"{words} --overwrite --format tiff") == 1
    assert len(files()) == 4, "nothing half-written stays"


WRONG = {
    "gone.png --to out": "no file or folder gone.png",
    "notes.txt --to out": "notes.txt is none of .png, ",
    "empty --to out": "no images in empty",
    "a.png --to .": "would replace an input",
    "a.png a.jpg --to out --format png": "would both become",
    "a.png --to out --model Q": "no model '4x-Q'",
    "a.png --to out --scale 8 --model 4x-D": "a 4x model, and --scale asks for 8",
    "a.png --to out --samples 2": "needs a --temperature above 0",
    "a.png --to out --device toaster": "there is no device 'toaster' on this machine; there is: cpu",
    "a.png --to out --times 9": "--times must be from 1 to 8, not 9",
    "a.png --to out --times 5 --model 4x-D": "--times must be from 1 to 4, not 5",
    "a.png --to out --times 0.5": "--times must be from 1 to 8, not 0.5",
    "a.png --to out --width 0": "--width and --height must be at least 1 pixel",
    "a.png --to out --quality 101": "--quality must be from 1 to 100, not 101",
    "a.png --to out --temperature 1e38": "temperature must be a number from 0 to 100, not 1e+38",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_arguments_end_before_any_work(words, capsys):
    for path in ("a.png", "a.jpg", "empty/.hidden.png", "notes.txt"):
        save(path, format="PNG")
    assert run(words) == 2
    assert WRONG[words] in capsys.readouterr().err
    assert files(".") == {"a.png", "a.jpg", "empty/.hidden.png", "notes.txt"}
    assert images.read("a.png").shape == (6, 9, 3)


def test_samples(shipped):
    save("a.png")
    assert run("a.png --to out --temperature 1 --seed 7 --samples 2") == 0
    for seed in (7, 8):
        expected = sr.super_resolve(images.read("a.png"), shipped("4x-D"), temperature=1.0, seed=seed)
        assert levels(images.read(f"out/a_seed{seed}.png"), expected) == 0
        wanted = {"model": "4x-D", "scale": 4, "temperature": 1.0, "seed": seed, "version": sr.__version__}
        with PIL.Image.open(f"out/a_seed{seed}.png") as answer:
            assert answer.text["Software"] == answer.getexif()[Base.Software] == f"SR-VAE {json.dumps(wanted)}"


def test_depth_grey_and_alpha_are_kept(shipped):
    colours, grey, clear = picture(6, 9), picture(6, 9, 1)[..., 0], picture(6, 9, 4)
    sources = {"deep.png": colours.astype(np.uint16) * 257, "deep.tif": grey.astype(np.uint16) * 257}
    for name, image in (sources | {"grey.bmp": grey, "clear.png": clear}).items():
        images.write(name, image)
        assert run(f"{name} --to out") == 0
        expected, answer = sr.super_resolve(image, shipped("4x-D")), images.read(f"out/{name}")
        assert levels(answer, expected if image.ndim == 3 else sr.as_rgb(expected)) == 0
        with PIL.Image.open(f"out/{name}") as file:
            assert (file.mode[0] in "LI") == (image.ndim == 2)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_profile_resolution_and_exif_are_kept(suffix):
    exif = PIL.Image.Exif()
    exif[Base.Orientation], exif[Base.Artist], exif[Base.XResolution] = 6, "Somebody", 72.0
    exif[IFD.Exif] = {Base.DateTimeOriginal: "2020:01:02 03:04:05", Base.ExifImageWidth: 9}
    save("a.jpg", exif=exif, dpi=(72, 72), icc_profile=colours.SRGB_PROFILE.tobytes())
    assert run(f"a.jpg --to out --format {suffix.replace('tif', 'tiff')}") == 0
    with PIL.Image.open(f"out/a.{suffix}") as answer:
        found = answer.getexif()
        assert (answer.size, found.get(Base.Orientation, 1)) == ((24, 36), 1), "turned upright"
        assert answer.info["icc_profile"][24:40] == bytes((7, 208, 0, 1, 0, 1, *[0] * 6)) + b"acsp", "of a fixed date"
        assert suffix == "webp" or answer.info["dpi"] == pytest.approx((288, 288), abs=0.1)
        assert found[Base.Software].startswith('SR-VAE {"model": "4x-D"')
        if suffix != "tif":
            assert (found[Base.Artist], found[Base.XResolution]) == ("Somebody", 288)
            assert found.get_ifd(IFD.Exif) == exif[IFD.Exif] | {Base.ExifImageWidth: 24}


@pytest.mark.slow
def test_two_processes_share_the_files():
    for number in range(6):
        save(f"in/{number}.png", 5, 5 if number % 2 else 900)
    Path("in/0-broken.png").write_bytes(b"no image")  # its process is done first, and waits for the other one
    launcher = "accelerate.commands.launch --num_processes 2 --multi_gpu --num_machines 1 --mixed_precision no"
    words = f"-m {launcher} --dynamo_backend no --main_process_port 0 -m srvae enlarge in --to out --device cpu"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, *words.split()], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr.count("error: in/0-broken.png")) == (1, 1), done.stderr
    assert run("in --to alone") == 1
    assert files() == files("alone") == {f"{number}.png" for number in range(6)}
    assert all(levels(images.read(f"out/{name}"), images.read(f"alone/{name}")) <= 1 for name in files())


def resolution_of(path: str) -> tuple[float, float]:
    """Pixels per inch of a file by EXIF, which is in centimetres or inches, or else by its own header."""
    with PIL.Image.open(path) as file:
        exif = file.getexif()
        if Base.XResolution in exif:
            unit = {2: 1, 3: 2.54}[exif[Base.ResolutionUnit]]
            found = tuple(float(exif[tag]) * unit for tag in (Base.XResolution, Base.YResolution))
            assert file.info.get("dpi", found) == pytest.approx(found, abs=1), "both say the same"
            return found
        return file.info["dpi"]


@pytest.mark.parametrize(("source", "unit"), [("png", 2), ("png", 3), ("webp", 2), ("jpg", 3), ("avif", 2)])
def test_resolution_in_exif_alone_is_kept(source, unit):
    exif = PIL.Image.Exif()
    exif[Base.XResolution], exif[Base.YResolution], exif[Base.ResolutionUnit] = 100.0, 50.0, unit
    save(f"a.{source}", exif=exif)
    wanted = [n * 4 * (1 if unit == 2 else 2.54) for n in (100, 50)]
    for kind in ("png", "jpg", "webp", "tiff"):
        assert run(f"a.{source} --to {kind} --format {kind}") == 0
        assert resolution_of(f"{kind}/a.{kind.replace('tiff', 'tif')}") == pytest.approx(wanted, abs=1)
        with PIL.Image.open(f"{kind}/a.{kind.replace('tiff', 'tif')}") as answer:
            assert kind == "webp" or answer.info["dpi"] == pytest.approx(wanted, abs=1)


def test_resolution_of_a_header_is_kept_where_only_exif_holds_it():
    save("a.png", dpi=(300, 300))
    assert run("a.png --to out --format webp --scale 8") == 0
    assert resolution_of("out/a.webp") == pytest.approx((2400, 2400), abs=1)


def test_an_answer_is_in_the_colours_that_it_names():
    """Adobe RGB as cameras write it, by EXIF alone; the answer is sRGB and says so."""
    exif = PIL.Image.Exif()
    exif[IFD.Exif] = {Base.ColorSpace: 65535, IFD.Interop: {1: "R03"}, Base.Gamma: 2.2}
    exif[Base.WhitePoint] = (0.3127, 0.329)
    PIL.Image.new("RGB", (16, 16), (40, 200, 60)).save("a.jpg", quality=100, subsampling=0, exif=exif)
    for kind in ("jpg", "png", "webp"):
        assert run(f"a.jpg --to out --format {kind}") == 0
        assert np.abs(images.read(f"out/a.{kind}").astype(int) - (0, 201, 37)).max() <= 6
        with PIL.Image.open(f"out/a.{kind}") as answer:
            found = answer.getexif()
            assert found.get_ifd(IFD.Exif) == {Base.ColorSpace: 1}
            assert Base.WhitePoint not in found


# -- sizes, formats, quality, words of the command line -----------------------------------------------------


@pytest.mark.parametrize(
    ("words", "size", "scale", "ratio"),
    [
        ("--times 3", (60, 75), 4, (3, 4)),
        ("--times 1.5", (30, 38), 4, None),
        ("--times 6", (120, 150), 8, (3, 4)),
        ("--width 100", (80, 100), 4, None),
        ("--width 150", (120, 150), 8, (3, 4)),
        ("--height 40", (40, 50), 4, (1, 2)),
        ("--times 4", (80, 100), 4, None),
        ("--times 2 --scale 8", (40, 50), 8, (1, 4)),
    ],
)
def test_any_size(shipped, words, size, scale, ratio):
    """By the next larger scale, reduced as MATLAB's imresize does, but for the border."""
    images.write("a.png", picture(20, 25))
    assert run(f"a.png --to out {words}") == 0
    answer = images.read("out/a.png")
    assert answer.shape == (*size, 3)
    full = sr.super_resolve(images.read("a.png"), shipped(f"{scale}x-D"))
    if ratio:
        inner = (slice(4, -4), slice(4, -4))  # a value of the full answer may be rounded otherwise
        assert levels(answer[inner].copy(), imresize(full, *ratio)[inner].copy()) <= 1
    elif words in ("--width 100", "--times 4"):
        assert levels(answer, full) <= 1
    with PIL.Image.open("out/a.png") as file:
        assert f'"model": "{scale}x-D", "scale": {scale},' in file.text["Software"]


def test_sizes_of_deep_grey_and_clear_images(shipped):
    for name, image in {
        "deep.png": picture(20, 24).astype(np.uint16) * 257,
        "grey.png": picture(20, 24, 1)[..., 0],
    }.items():
        images.write(name, image)
        assert run(f"{name} --to out --times 3") == 0
        full = sr.super_resolve(image, shipped("4x-D"))
        wanted, answer = imresize(full, 3, 4), images.read(f"out/{name}")
        wanted = wanted if wanted.ndim == 3 else sr.as_rgb(wanted)
        assert levels(answer[4:-4, 4:-4].copy(), wanted[4:-4, 4:-4].copy()) <= (
            257 if answer.dtype.itemsize == 2 else 1
        )
    images.write("clear.png", picture(20, 24, 4))
    assert run("clear.png --to out --times 3") == 0
    assert images.read("out/clear.png").shape == (60, 72, 4)


def test_a_size_out_of_reach_is_that_files_error(capsys):
    save("in/large.png", 20, 60)
    save("in/small.png", 5, 6)
    save("in/fits.png", 10, 20)
    assert run("in --to out --width 50") == 1
    said = capsys.readouterr().err
    assert "in/large.png: it can become from 60x20 to 480x160 pixels" in said
    assert "in/small.png: it can become from 6x5 to 48x40 pixels" in said
    assert files() == {"fits.png"}


@pytest.mark.parametrize("kind", ["gif", "avif"])
def test_gif_and_avif_become_png(kind):
    save(f"in/a.{kind}")
    assert run("in --to out") == 0
    assert files() == {"a.png"}
    assert images.read("out/a.png").shape == (24, 36, 3)


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_quality(kind):
    save("a.png", 40, 40)
    for quality in (20, 95):
        assert run(f"a.png --to {quality} --format {kind} --quality {quality}") == 0
    assert run(f"a.png --to usual --format {kind}") == 0
    sizes = [Path(f"{folder}/a.{kind}").stat().st_size for folder in ("20", "95", "usual")]
    assert sizes[0] < 0.6 * sizes[1]
    assert sizes[1] == sizes[2]


def test_wildcards_are_expanded():
    """Windows leaves them to the program; a file whose name has them is meant itself."""
    for name in ("in/a.png", "in/b.png", "in/c.jpg", "in/[d].png"):
        save(name)
    assert run("in/?.png --to out") == 0
    assert files() == {"a.png", "b.png"}
    assert run("in/[d].png --to out") == 0
    assert files() == {"a.png", "b.png", "[d].png"}
    assert run("in/*.bmp --to out") == 2


def test_the_home_folder_is_found_in_every_word(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    save("home/a.png")
    assert run("~/a.png --to=~/out") == 0
    assert files("home") == {"a.png", "out/a.png"}
    assert not Path("~").exists()
    for parser, words in {
        build_evaluate: ["scores", "--results=~/r.csv", "--vgg", "~/v"],
        build_train: ["run", "--data=~/d", "--run", "~/r"],
    }.items():
        found = vars(commands.parse(parser(), words)).values()
        assert not any("~" in str(value) for value in found)
        assert sum(str(value).startswith(str(tmp_path / "home")) for value in found) == 2


def test_resolution_turns_with_the_picture(tmp_path):
    exif = PIL.Image.Exif()
    exif[Base.XResolution], exif[Base.YResolution], exif[Base.ResolutionUnit] = 100.0, 50.0, 2
    exif[Base.Orientation] = 6
    save("a.jpg", exif=exif)
    assert run("a.jpg --to out") == 0
    assert resolution_of("out/a.jpg") == pytest.approx((200, 400), abs=1)
    exif[Base.XResolution] = exif[Base.YResolution] = IFDRational(0, 0)
    exif[Base.Artist] = "Somebody"
    save("b.jpg", exif=exif)
    assert run("b.jpg --to out") == 0
    with PIL.Image.open("out/b.jpg") as answer:
        assert answer.getexif()[Base.Artist] == "Somebody", "0/0 is left out alone"
        assert Base.XResolution not in answer.getexif()


def test_a_target_that_cannot_be_is_an_error_in_words(capsys):
    save("a.png")
    assert run(f"a.png --to {'n' * 300}") == 2
    assert "File name too long" in capsys.readouterr().err
