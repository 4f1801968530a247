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

import srvae_core as sr
from pictures import levels, picture
from srvae import enlarge, images


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


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
    "a.png --to out --device toaster": "toaster",
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
    save("a.jpg", exif=exif, dpi=(72, 72), icc_profile=images.SRGB.tobytes())
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
