"""``srvae enlarge`` as people use it: files and folders in, answers out, and everything that can go wrong said."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
from PIL.ExifTags import Base

import srvae_core as sr
from enlarge_helpers import command, enlarge, save
from pictures import levels, picture
from srvae.csvfiles import only_writer
from srvae.enlarging import cli, work


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def software(path: str) -> dict[str, object]:
    """The settings that a PNG answer says."""
    with PIL.Image.open(path) as image:
        return json.loads(image.text["Software"].removeprefix("SR-VAE "))


def test_a_folder(here, capsys):
    save(Path("in/sub/Вид #1.b.png"))
    save(Path("in/photo.jpg"), quality=95, dpi=(72, 72))
    save(Path("in/grey.tif"), channels=1)
    save(Path("in/see through.webp"), channels=4, lossless=True, exact=True)
    save(Path("in/a.bmp"), 1, 1)
    assert enlarge("in", "--to", "out") == 0
    names = {"sub/Вид #1.b.png", "photo.jpg", "grey.tif", "see through.webp", "a.bmp"}
    assert files("out") == files("in") == names
    assert "out: 5 answers written" in capsys.readouterr().out
    model = sr.load_model("4x-D")
    for name, loss in {"sub/Вид #1.b.png": 0, "a.bmp": 0, "grey.tif": 0, "photo.jpg": 60}.items():
        expected = sr.super_resolve(sr.read_image(f"in/{name}"), model)
        assert levels(sr.read_image(f"out/{name}"), expected) <= loss
    assert sr.read_image("out/see through.webp").shape == (24, 36, 4)
    with PIL.Image.open("out/grey.tif") as grey, PIL.Image.open("out/photo.jpg") as photo:
        assert grey.mode == "L"
        assert photo.info["dpi"] == (288, 288)


def test_a_second_run_makes_only_what_changed(here, capsys):
    save(Path("in/a.png"))
    save(Path("in/b.png"), 5, 5)
    assert enlarge("in", "--to", "out") == 0
    before = {name: (Path("out") / name).stat().st_mtime_ns for name in files("out")}
    assert enlarge("in", "--to", "out") == 0
    assert "out: 0 answers written, 2 there already" in capsys.readouterr().out
    save(Path("in/b.png"), 4, 4)
    assert enlarge("in", "--to", "out") == 0
    assert "out: 1 answer written, 1 there already" in capsys.readouterr().out
    assert enlarge("in", "--to", "out", "--model", "P") == 0
    assert "out: 2 answers written\n" in capsys.readouterr().out
    assert all((Path("out") / name).stat().st_mtime_ns > stamp for name, stamp in before.items())


def test_answers_of_earlier_runs_do_not_grow(here, capsys):
    """A second command over the same folder enlarges what people brought, not what the first one made of it."""
    save(Path("a.png"))
    assert enlarge(".", "--to", "one") == 0
    assert enlarge(".", "--to", "two", "--model", "P") == 0
    assert files("two") == {"a.png"}
    assert enlarge("one/a.png", "--to", "three") == 0, "named by hand it is taken"
    assert sr.read_image("three/a.png").shape == (96, 144, 3)


def test_a_folder_that_cannot_be_opened_is_named_at_the_end(here, capsys, monkeypatch):
    save(Path("in/a.png"))
    save(Path("in/closed/b.png"))
    scandir = os.scandir

    def closed(folder: Path) -> object:
        if Path(folder).name == "closed":  # the superuser, as whom tests may run, may open everything
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", closed)
    assert enlarge("in", "--to", "out") == 1
    assert files("out") == {"a.png"}
    assert "in/closed: Permission denied" in capsys.readouterr().err.replace("\\", "/")


def test_two_commands_do_not_write_into_one_folder(here, capsys):
    save(Path("a.png"))
    Path("out").mkdir()
    with only_writer(Path("out/.enlarge")):
        assert enlarge("a.png", "--to", "out") == 2
    assert "error: another command writes into out: wait for its end, or name another" in capsys.readouterr().err
    assert enlarge("a.png", "--to", "out") == 0
    assert [path.name for path in Path("out").iterdir()] == ["a.png"], "the lock has gone"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_grey_answer_with_a_profile_is_read_without_a_warning(here, suffix):
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    save(Path(f"a{suffix}"), channels=1, icc_profile=profile)
    assert enlarge(f"a{suffix}", "--to", "out") == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = sr.read_image(f"out/a{suffix}")
    assert (answer == answer[..., :1]).all()


def test_samples(here):
    save(Path("a.png"))
    words = ("a.png", "--to", "out", "--temperature", "1", "--seed", "7")
    assert enlarge(*words, "--samples", "2") == 0
    assert files("out") == {"a_seed7.png", "a_seed8.png"}
    model, lr = sr.load_model("4x-D"), sr.read_image("a.png")
    for seed in (7, 8):
        expected = sr.super_resolve(lr, model, temperature=1.0, seed=seed)
        assert levels(sr.read_image(f"out/a_seed{seed}.png"), expected) <= 1
        assert software(f"out/a_seed{seed}.png") == {
            "model": "4x-D",
            "weights": sr.weights_version("4x-D"),
            "scale": 4,
            "temperature": 1.0,
            "seed": seed,
            "input": software("out/a_seed7.png")["input"],
        }
    assert levels(*(sr.read_image(f"out/a_seed{seed}.png") for seed in (7, 8))) > 3


def test_the_same_command_makes_the_same_bytes(here):
    save(
        Path("a.jpg"),
        dpi=(72, 72),
        icc_profile=PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes(),
    )
    for folder in ("one", "two"):
        for form in ("png", "tif", "jpg"):
            assert enlarge("a.jpg", "--to", folder, "--format", form, "--temperature", "1") == 0
    for name in files("one"):
        assert (Path("one") / name).read_bytes() == (Path("two") / name).read_bytes()


def test_sixteen_bit_eight_times_and_formats(here):
    sr.write_image("a.b.png", picture(5, 7).astype(np.uint16) * 257)
    assert enlarge("a.b.png", "--to", "out", "--scale", "8", "--format", "tiff") == 0
    answer = sr.read_image("out/a.b.tif")
    assert (answer.shape, answer.dtype) == ((40, 56, 3), np.uint16)


def test_exif_turns_and_stays(here):
    exif = PIL.Image.Exif()
    exif[Base.Orientation], exif[Base.Artist] = 6, "Somebody"
    save(Path("a.jpg"), exif=exif)
    assert enlarge("a.jpg", "--to", "out") == 0
    with PIL.Image.open("out/a.jpg") as answer:
        assert answer.size == (24, 36)  # 9 across and 6 down, turned
        assert answer.getexif()[Base.Artist] == "Somebody"
        assert Base.Orientation not in answer.getexif()


def test_a_broken_file_is_named_at_the_end(here, capsys):
    save(Path("in/a.png"))
    save(Path("in/z.png"))
    whole = save(Path("in/m.png"), 40, 40).read_bytes()
    Path("in/m.png").write_bytes(whole[: len(whole) // 2])  # its header is whole
    Path("in/n.jpg").write_bytes(b"no image")
    assert enlarge("in", "--to", "out") == 1
    said = capsys.readouterr().err
    assert files("out") == {"a.png", "z.png"}
    assert said.rstrip().split("error: ")[-1].startswith("2 files could not be enlarged:\n")
    assert said.count("m.png") + said.count("n.jpg") >= 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.png", "--to", "out"], "no file or folder gone.png"),
        (["notes.txt", "--to", "out"], "is no image file"),
        (["a.png", "--to", "out", "--model", "Q"], "no model 'Q'"),
        (["a.png", "--to", "out", "--scale", "8", "--model", "4x-D"], "4x one, and --scale asks for 8"),
        (["a.png", "--to", "notes.txt"], "is a file, where a folder has to be"),
        (["a.png", "--to", "."], "would replace an input"),
        (["a.png", "a.jpg", "--to", "out", "--format", "png"], "would both become"),
        (["a.png", "--to", "out", "--samples", "2"], "need a --temperature above 0"),
        (["a.png", "--to", "out", "--device", "toaster"], "no such device"),
    ],
)
def test_what_cannot_be_meant_ends_before_any_work(words, message, here, capsys, monkeypatch):
    save(Path("a.png"))
    save(Path("a.jpg"))
    Path("notes.txt").touch()
    monkeypatch.setattr(sr, "load_model", None)
    assert enlarge(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.parametrize("words", ["a.png", "--to out", "a.png --to out --samples 0", "a.png --to out --scale 3"])
def test_words_that_are_none(words, here, capsys):
    with pytest.raises(SystemExit) as end:
        enlarge(*words.split())
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_nothing_can_be_written_into(here, capsys):
    save(Path("a.png"))
    Path("out").mkdir(mode=0o500)
    assert enlarge("a.png", "--to", "out") == 2
    assert "out" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names are Unicode")
def test_names_that_are_no_letters(here, capsys):
    name = os.fsdecode(b"in/\xff\xfe.png")
    save(Path(name))
    assert enlarge("in", "--to", "out", "--dry-run") == 0
    assert "\\udcff\\udcfe.png -> " in capsys.readouterr().out
    assert enlarge("in", "--to", "out") == 0
    assert files("out") == {os.path.basename(name)}


def test_a_damaged_weights_file(here, capsys):
    save(Path("a.png"))
    whole = (sr.WEIGHTS / "SR_VAE_4x-D.safetensors").read_bytes()
    Path("w.safetensors").write_bytes(whole[:-100])
    assert enlarge("a.png", "--to", "out", "--model", "w.safetensors") == 2
    assert "w.safetensors is no readable safetensors file" in capsys.readouterr().err


def test_a_dry_run_makes_nothing(here, capsys, monkeypatch):
    save(Path("in/a.png"))
    Path("in/b.png").write_bytes(b"no image")
    monkeypatch.setattr(sr, "load_model", None)
    assert enlarge("in", "--to", "out", "--dry-run", "--format", "webp") == 1
    said = capsys.readouterr()
    assert f"{Path('in/a.png')} -> {Path('out/a.webp')} (0.0 megapixels)" in said.out
    assert "b.png: no image" in said.err
    assert not Path("out").exists()


def test_warnings_are_said_once_and_with_the_name(here, capsys):
    frames = [PIL.Image.fromarray(picture(6, 9)) for _ in range(3)]
    frames[0].save("a.tif", save_all=True, append_images=frames[1:])
    assert enlarge("a.tif", "--to", "out") == 0
    said = [line for line in capsys.readouterr().err.replace("\r", "\n").split("\n") if "3 frames or pages" in line]
    assert len(said) == 1
    assert "a.tif" in said[0]
    assert "%" not in said[0]  # a line of its own, not the bar's


def test_one_bar_counts_all_pixels(here, capsys):
    save(Path("in/a.png"), 6, 9)
    save(Path("in/b.png"), 4, 5)
    enlarge("in", "--to", "out", "--temperature", "1", "--samples", "2")
    last = capsys.readouterr().err.replace("\r", "\n").rstrip().split("\n")[-1]
    assert "100%" in last
    assert "2.37k/2.37k" in last  # (6 * 9 + 4 * 5) * 16 * 2


def test_a_full_disk_ends_the_run(here, capsys, monkeypatch):
    for name in ("a", "b", "c"):
        save(Path(f"in/{name}.png"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(work, "write_picture", full)
    assert enlarge("in", "--to", "out") == 1
    said = capsys.readouterr().err
    assert "a.png: No space left on device" in said
    assert "2 files not begun" in said
    assert files("out") == set()


def test_a_fault_of_ours_is_one_file_s_alone(here, capsys, monkeypatch):
    save(Path("in/a.png"))
    save(Path("in/b.png"), 4, 4)
    read = sr.read_image
    monkeypatch.setattr(sr, "read_image", lambda path, **options: {}["x"] if path.name == "a.png" else read(path))
    assert enlarge("in", "--to", "out") == 1
    assert "a.png: KeyError: 'x'" in capsys.readouterr().err
    assert files("out") == {"b.png"}


@pytest.mark.parametrize("how", [KeyboardInterrupt, signal.SIGTERM])
def test_an_interruption_leaves_nothing_half_written(how, here, capsys, monkeypatch):
    save(Path("in/a.png"))
    save(Path("in/b.png"), 4, 4)
    write = work.write_picture

    def interrupted(path: Path, *rest: object) -> None:
        write(path, *rest)
        if path.name.startswith("b"):
            assert path.exists()
            if how is KeyboardInterrupt:
                raise KeyboardInterrupt
            os.kill(os.getpid(), how)
            time.sleep(5)

    monkeypatch.setattr(work, "write_picture", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    assert enlarge("in", "--to", "out") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert files("out") == {"a.png"}
    assert signal.getsignal(signal.SIGTERM) is before


def test_peak_memory_is_said_when_it_is_asked_for(here, capsys):
    save(Path("a.png"), 2, 2)
    assert cli.main(["a.png", "--to", "out", "--device", "cpu", "--memory"], peak_memory=lambda: 1.5) == 0
    assert "peak memory 1.50 GiB" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [("torch.distributed.run", "--standalone", "--nproc_per_node", "2"), None])
def test_two_processes_share_the_files(launcher, here):
    for number in range(6):
        save(Path(f"in/{number}.png"), 4 + number, 5)
    Path("in/broken.png").write_bytes(b"no image")
    whole = save(Path("in/cut.png"), 40, 40).read_bytes()
    Path("in/cut.png").write_bytes(whole[: len(whole) // 2])
    launched = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
    launcher = ("-m", *launcher) if launcher else launched
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    words = command("in", "--to", "out", "--device", "cpu", launcher=launcher)
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 1, done.stderr  # for the two broken files
    assert files("out") == {f"{number}.png" for number in range(6)}
    assert done.stdout.count("answers written") == 1  # one report
    assert "out: 6 answers written" in done.stdout
    assert "2 files could not be enlarged" in done.stderr
    assert done.stderr.count("broken.png: ") == 1
    model = sr.load_model("4x-D")
    for number in range(6):
        expected = sr.super_resolve(sr.read_image(f"in/{number}.png"), model)
        assert levels(sr.read_image(f"out/{number}.png"), expected) <= 1
    Path("in/broken.png").unlink()
    Path("in/cut.png").unlink()
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "out: 0 answers written, 6 there already" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="its Ctrl-C goes to all processes of the console")
def test_ctrl_c_in_a_process_of_its_own(here):
    save(Path("in/a.png"), 3, 3)
    save(Path("in/b.png"), 300, 300)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    words = command("in", "--to", "out", "--device", "cpu")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as process:
        while not Path("out/b.png.part").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "stopped" in said
    assert "Traceback" not in said
    assert files("out") == {"a.png"}
