"""What surrounds the program: state of the process, launchers, forks, reloads, special files, locks, devices."""

import errno
import fcntl
import importlib.util
import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.ImageFile
import pytest
import torch
from safetensors.torch import save_file

import srvae_core as sr
from helpers import quick
from pictures import levels, picture
from srvae import commands, directions, enlarge, images, metrics, regions, release
from srvae.csvfiles import read_csv
from srvae.training.photographs import load_photographs
from srvae.training.train import train
from srvae.vgg import VGG19
from srvae.viewer import files
from srvae.viewer.view import View

PRIOR = {"stage": "prior", "initial": str(sr.weights_path("4x-D"))}


# -- state of the process -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp", ".gif", ".avif"])
def test_short_files_are_rejected_whatever_pillow_tolerates(monkeypatch, suffix):
    data = io.BytesIO()
    PIL.Image.fromarray(picture(60, 80)).save(data, PIL.Image.registered_extensions()[suffix])
    monkeypatch.setattr(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(ValueError, match="cannot be read"):
            images.read(data.getvalue()[: int(share * len(data.getvalue()))])
    assert images.read(data.getvalue()).shape == (60, 80, 3)
    assert PIL.ImageFile.LOAD_TRUNCATED_IMAGES is True, "other readers of the process are left alone"


@pytest.fixture
def default_device():
    """A function that sets torch's default device, which the test's end resets."""
    yield torch.set_default_device
    torch.set_default_device(None)


def pictures_of(photograph: np.ndarray) -> list[np.ndarray]:
    """The ways to a picture: the image at once, the release's tiles, regions, the view."""
    model, lr = sr.load_model("4x-P"), sr.downscale(photograph, 4)
    answers = [f(lr, model, temperature=1.0, as_float=True) for f in (sr.super_resolve, release.super_resolve)]
    sampler = sr.Sampler(model, lr)
    noise = [directions.steer(sampler.tiles, seed, 1.0) for seed in (0.5, 2)]
    latent_map = regions.blended(sampler, noise[0], [((2, 3, 20, 25), noise[1])], None)
    view = View({"a": photograph[:64, :64]}, 4)
    answers += [sampler(latent_map=latent_map, as_float=True), view.frame / 255]
    view.close()
    return answers


def test_torchs_defaults_change_nothing(crops, photograph_folder, tmp_path, default_device):
    photograph = crops["coffee"][:136, :136]
    wanted = pictures_of(photograph)
    default_device("meta")
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    try:
        found = pictures_of(photograph)
        along = directions.find(sr.Sampler(sr.load_model("4x-P"), photograph[:20, :20]), 2)
        run = train(quick(photograph_folder, tmp_path / "run", steps=1, **PRIOR))
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert (along.effects > 0).all()
    assert float(read_csv(run.folder / "log.csv")[0]["psnr_sample"]) > 20


def test_torchs_default_device_is_not_that_of_a_vgg(default_device, tmp_path):
    save_file(
        {"features.0.weight": torch.ones(2, 3, 3, 3), "features.0.bias": torch.ones(2)}, tmp_path / "a.safetensors"
    )
    default_device("meta")
    layers = VGG19(tmp_path / "a.safetensors").layers
    assert {t.device.type for pair in layers.values() for t in pair} == {"cpu"}


def test_without_standard_error(monkeypatch, photograph_folder, tmp_path):
    """As under pythonw: nowhere to draw a progress bar, or to print a warning."""
    monkeypatch.setattr(sys, "stderr", None)
    images.write(tmp_path / "a.png", picture(6, 9))
    exif = PIL.Image.Exif()
    exif[0x8769] = {0xA001: 65535}
    PIL.Image.fromarray(picture(6, 9)).save(tmp_path / "b.jpg", exif=exif)
    inputs = [str(tmp_path / name) for name in ("a.png", "b.jpg")]
    assert enlarge.main([*inputs, "--to", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert enlarge.main([inputs[0], "--to", str(tmp_path / "gone" / "a.png" / "x"), "--device", "toaster"]) == 2
    release.super_resolve(picture(6, 9), sr.load_model("4x-D"), progress=True)
    load_photographs(photograph_folder, 4)
    monkeypatch.setattr(sys, "stdout", None)
    assert enlarge.main([*inputs, "--to", str(tmp_path / "out"), "--device", "cpu", "--overwrite"]) == 0


# -- launchers ----------------------------------------------------------------------------------------------

LEFT_OVER = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29501"}


def test_a_launchers_variables_mean_nothing_without_it(monkeypatch, photograph_folder, tmp_path):
    for name, value in LEFT_OVER.items():
        monkeypatch.setenv(name, value)
    images.write(tmp_path / "a.png", picture(6, 9))
    assert enlarge.main([str(tmp_path / "a.png"), "--to", str(tmp_path / "out"), "--device", "cpu"]) == 0
    run = train(quick(photograph_folder, tmp_path / "run", steps=1))
    assert (run.step, run.processes) == (1, 1)
    for values in ({"RANK": "1"}, {"WORLD_SIZE": ""}, {"LOCAL_RANK": "x", "OMPI_COMM_WORLD_SIZE": "2"}):
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        assert commands.join_launcher(cpu=True) is None


@pytest.mark.slow
def test_processes_that_do_not_come_are_waited_for_two_minutes_at_most(tmp_path):
    """Here 0.6 seconds; and Ctrl-C ends the wait."""
    images.write(tmp_path / "a.png", picture(6, 9))
    code = "import sys; from srvae import commands; commands.MINUTES = float(sys.argv.pop(1)); "
    code += "from srvae import enlarge; sys.exit(enlarge.main())"
    environment = os.environ | LEFT_OVER | {"TORCHELASTIC_RUN_ID": "gone", "ACCELERATE_USE_CPU": "true"}
    waiting = []
    for minutes, port in ((0.01, "29502"), (2, "29503")):
        words = [sys.executable, "-c", code, str(minutes), str(tmp_path / "a.png"), "--to", "out", "--device", "cpu"]
        environment |= {"MASTER_PORT": port}
        waiting.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path))
    assert waiting[1].stderr.readline() == "joining 2 processes at localhost:29503\n"
    time.sleep(0.5)
    waiting[1].send_signal(signal.SIGINT)
    assert waiting[1].wait(20) == -signal.SIGINT
    said = waiting[0].communicate(timeout=60)[1]
    assert waiting[0].returncode == 2
    assert "error: the launcher's processes did not join at localhost:29502 in 0.01 minutes" in said
    waiting[1].stderr.close()


# -- forks and reloads --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_made_by_fork_enlarges(shipped, crops):
    """Its parent's threads, which computed before, are not there."""
    model, lr = shipped("4x-D"), sr.downscale(crops["coffee"], 4)
    wanted = sr.super_resolve(lr, model)
    child = os.fork()
    if not child:
        os._exit(0 if levels(sr.super_resolve(lr, model), wanted) <= 1 else 1)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended == (child, 0)


def test_a_model_from_before_a_reload_is_named(monkeypatch):
    spec = importlib.util.spec_from_file_location("core_to_reload", sr.__file__)
    core = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "core_to_reload", core)
    spec.loader.exec_module(core)
    model, lr = core.load_model("4x-D"), picture(6, 9)
    core.super_resolve(lr, model)
    spec.loader.exec_module(core)  # what importlib.reload does
    for call in (core.super_resolve, lambda lr, model: core.Sampler(model, lr)):
        with pytest.raises(TypeError, match="model is from before the module was reloaded: load it again"):
            call(lr, model)
    core.super_resolve(lr, core.load_model("4x-D"))


def test_whatever_behaves_like_the_model_is_taken(shipped):
    """For example what torch.compile returns, which is of another class."""

    class Wrapper(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.inner = model

        def __getattr__(self, name):
            return super().__getattr__(name) if name == "inner" else getattr(self.inner, name)

    lr = picture(6, 9)
    np.testing.assert_array_equal(sr.super_resolve(lr, Wrapper(shipped("4x-D"))), sr.super_resolve(lr, shipped("4x-D")))
    with pytest.raises(TypeError, match="must be an SRVAE, not Linear"):
        sr.super_resolve(lr, torch.nn.Linear(1, 1))


# -- files, names and locks ---------------------------------------------------------------------------------


def test_pipes_are_not_opened(tmp_path, monkeypatch):
    """Opening one that nobody writes to would never end."""
    metrics.natural_model.cache_clear()
    for name, call in {
        "a.png": images.read,
        "b.png": lambda path: files.load_png(path.name, path),
        "sources.csv": read_csv,
        "c.safetensors": sr.read_weights,
        "d.safetensors": VGG19,
        "e.caffemodel": VGG19,
        "f.caffemodel": lambda path: release.load_caffemodel(path, 4),
        "g.pack": lambda path: load_photographs(path, 4),
        "niqe.npz": lambda path: (monkeypatch.setenv("SRVAE_NIQE", str(path)), metrics.natural_model()),
    }.items():
        os.mkfifo(tmp_path / name)
        with pytest.raises((ValueError, RuntimeError), match=f"{name} is not a regular file"):
            call(tmp_path / name)
    with pytest.raises(ValueError, match=r"a\.png is not a regular file"):
        images.write(tmp_path / "a.png", picture(6, 9))
    with pytest.raises(FileNotFoundError, match="there is no model"):
        sr.load_model(tmp_path / "c.safetensors")
    images.write(tmp_path / "photo.png", picture(6, 9))
    assert enlarge.main([str(tmp_path), "--to", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.png"]


def test_the_longest_legal_names(tmp_path):
    for name in ("a" * 251 + ".png", "ä" * 125 + "b.png"):
        images.write(tmp_path / name, picture(6, 9))
        assert images.read(tmp_path / name).shape == (6, 9, 3)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_in_a_folder_without_locks_goes_on_with_a_warning(monkeypatch, photograph_folder, tmp_path):
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(UserWarning, match=r"/run cannot be locked \(No locks available\)"):
        run = train(quick(photograph_folder, tmp_path / "run", steps=1))
    assert run.step == 1
    images.write(tmp_path / "a.png", picture(6, 9))
    assert enlarge.main([str(tmp_path / "a.png"), "--to", str(tmp_path / "out"), "--device", "cpu"]) == 0


# -- devices ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta", "cpu:x", "xla", "vulkan"])
def test_devices_that_are_not_there(device, random_model, photograph_folder, tmp_path):
    for call in (
        lambda: sr.load_model("4x-D", device=device),
        lambda: sr.super_resolve(picture(6, 9), random_model(4), device=device),
        lambda: release.super_resolve(picture(6, 9), random_model(4), device=device),
        lambda: train(quick(photograph_folder, tmp_path / "run", device=device)),
    ):
        with pytest.raises(ValueError, match=f"there is no device '{device}' on this machine; there is: cpu"):
            call()
    assert next(random_model(4).parameters()).device.type == "cpu"
