"""Settings of a run: what cannot be meant, what may change on the way, what earlier versions wrote."""

import json
from dataclasses import fields, replace

import pytest

from srvae.training.cli import build_parser, config_of, main
from srvae.training.config import Config


@pytest.fixture
def file(tmp_path):
    (tmp_path / "teacher.safetensors").write_bytes(b"")
    return str(tmp_path / "teacher.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage": "both"}, "stage must be one of answer, latents"),
        ({"scale": 3}, "scale must be 4 or 8, not 3"),
        ({"run": None}, "--run"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"minutes": 0.0}, "minutes must be more than 0"),
        ({"stage": "latents"}, "--initial"),
        ({"variant": "Q"}, "variant must be one of D, P"),
        ({"latents": "posterior"}, "latents must be one of prior, sample, release"),
        ({"train": "half"}, "train must be one of convolutions, latents, decoder, all"),
        ({"compile": "fast"}, "compile must be one of off, graph, default, reduce-overhead"),
        ({"teacher": ("self",)}, "name the weights whose self-ensemble teaches with --initial"),
        ({"teacher": ("self", "x")}, "self or weights files, not both"),
        ({"teacher": ("self",), "initial": "x", "teacher_share": 1.5}, "teacher_share must be more than 0"),
        ({"teacher": ("self",), "initial": "x", "pool": 4, "batch": 8}, "4 patches does not fill a batch of 8"),
        ({"teacher": ("self",), "initial": "x", "stage": "latents", "latents": "sample"}, "a teacher teaches answers"),
        ({"pool": 100}, "name one with --teacher"),
        ({"temperature": -1.0}, "temperature must be a finite number of at least 0, not -1"),
        ({"lr": float("nan")}, "lr must be a finite number of at least 0, not nan"),
        ({"energy": float("inf")}, "energy must be a finite number"),
        ({"vgg_weight": -2.0}, "vgg_weight must be a finite number of at least 0, not -2"),
        ({"ema": -1.0}, "ema must be from 0 to 1, not -1"),
        ({"decay": 1.5}, "decay must be from 0 to 1, not 1.5"),
        ({"seed": 20261127153000}, "seed must be at most 4294967295"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**({"run": "x"} | options)).check()


@pytest.mark.parametrize("options", [{"vgg": "gone"}, {"features": "gone"}, {"teacher": ("gone",)}])
def test_files_that_are_named_must_be_there(options):
    with pytest.raises(FileNotFoundError, match="there is no file gone"):
        Config(run="x", **options).check()
    Config(run="x", vgg="gone", vgg_weight=0.0).check()  # not looked at


def test_command_line_and_record_give_the_configuration_back(file):
    words = ["--run", "r", "--data", "d", "--scale", "8", "--stage", "latents", "--initial", "i", "--teacher", file]
    words += ["--vgg-weight", "0", "--pool", "40", "--minutes", "2.5", "--fp32", "--train", "all"]
    config = config_of(build_parser().parse_args(["run", *words]))
    assert (config.scale, config.vgg_weight, config.pool, config.minutes, config.fp32) == (8, 0.0, 40, 2.5, True)
    assert config.teacher == (file,)
    assert Config.from_record(json.loads(json.dumps(config.record()))) == config
    again = build_parser().parse_args(config.command().split()[2:])
    assert config_of(again) == replace(config, teacher=("teacher.safetensors",))
    assert set(config.record()) == {f.name for f in fields(Config)}


def test_environment_names_files_once(monkeypatch):
    monkeypatch.setenv("SRVAE_FEATURES", "f.safetensors")
    monkeypatch.setenv("SRVAE_VGG", "")
    config = config_of(build_parser().parse_args(["run", "--run", "r"]))
    assert (config.features, config.vgg) == ("f.safetensors", None)


OLD = {
    "data": "photographs", "run": "runs/4x-ensemble", "scale": 4, "stage": "answer", "variant": "D", "latents": "prior",
    "train": "", "initial": "weights.safetensors", "steps": 500, "batch": 8, "lr": 8e-4, "warmup": 20, "decay": 0.9,
    "ema": 0.98, "candidates": 2, "energy": 400.0, "loudness": 4.0, "loss": "l1", "ensemble": 0.85, "pool": 640,
    "vgg_weight": 0.0, "temperature": 0.0, "kl_weight": 1.0, "fixed_vgg": False, "optimiser": "muon", "fillers": False,
    "vgg": "/gone/vgg.safetensors", "features": "", "validate": 25, "checkpoint": 50, "seed": 5, "workers": 1,
    "threads": 0, "device": "", "fp32": False, "history": [], "sources": [],
}  # fmt: skip


def test_records_of_version_0_1_are_read():
    config = Config.from_record(OLD)
    assert (config.teacher, config.teacher_share, config.pool) == (("self",), 0.85, 640)
    assert (config.validations, config.checkpoints) == (20, 10)
    assert (config.train, config.threads, config.device, config.vgg, config.features) == (None,) * 5
    assert (config.lam, config.shaping, config.minutes) == (0.0, 0, None)
    config.check_goes_on(config)
    other = Config.from_record(OLD | {"ensemble": 0.0, "vgg_weight": -1.0})
    assert (other.teacher, other.pool, other.vgg_weight, other.lam) == ((), None, None, 1.0)
    with pytest.raises(ValueError, match="no longer offered"):
        Config.from_record(OLD | {"loss": "psnr"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 8}, r"scale \(4, now 8\)"),
        ({"stage": "latents", "seed": 1}, r"stage \(answer, now latents\); seed \(0, now 1\)"),
        ({"train": "all"}, r"train \(none, now all\)"),
        ({"optimiser": "adam"}, r"optimiser \(muon, now adam\)"),
        ({"vgg": None}, r"vgg \(v\.safetensors, now none\)"),
        ({"vgg_weight": 10.0}, r"vgg_weight \(1\.0, now 10\.0\)"),
        ({"teacher": ("a/t.safetensors",)}, r"teacher \(none, now t\.safetensors\)"),
        ({"stage": "latents", "shaping": 0}, r"stage \(answer, now latents\)"),
        ({"initial": "other"}, r"initial \(first, now other\)"),
    ],
)
def test_what_is_trained_cannot_change_on_the_way(changes, message):
    begun = Config(run="r", initial="a/first", vgg="here/v.safetensors")
    with pytest.raises(ValueError, match=message):
        replace(begun, **changes).check_goes_on(begun)


def test_the_rest_may_change_on_the_way():
    begun = Config(run="r", initial="a/first", vgg="here/v.safetensors", features="f")
    moved = replace(
        begun, initial="elsewhere/first", vgg="there/v.safetensors", data="moved", device="cpu", features=None
    )
    replace(moved, steps=7, minutes=3.0, lr=1.0, workers=9, validations=1).check_goes_on(begun)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--data", "x"], "say where the run is kept"),
        (["run", "--run", "{tmp}/r"], "say what to train on"),
        (["run", "--run", "{tmp}/r", "--data", "nowhere", "--vgg-weight", "0"], "nowhere is neither a folder"),
        (["recipe", "--data", "x", "--out", "y", "--minutes", "-1"], "minutes must be more than 0"),
        (["export", "{tmp}", "4x-D"], "is no run: it has no config.json"),
        (["join", "{tmp}", "{tmp}/out"], "it holds no pieces"),
        (["pack", "nowhere", "{tmp}/pack"], "nowhere is no folder of photographs"),
        (["run", "--run", "{tmp}/r", "--data", "{tmp}", "--seed", "-1"], "seed must be at least 0, not -1"),
        (["run", "--run", "{tmp}/r", "--data", "{tmp}", "--threads", "0"], "threads must be at least 1, not 0"),
        (["run", "--run", "{tmp}/r", "--data", "{tmp}", "--device", "abacus"], "device must be cpu, or a cuda or mps"),
        (["recipe", "--data", "nowhere", "--out", "y", "--minutes", "1"], "nowhere is neither a folder"),
    ],
)
def test_command_line_says_what_is_wrong(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(0.0, [word.format(tmp=tmp_path) for word in words])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
