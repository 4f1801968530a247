"""Settings of a run: which are invalid, which may change when it is resumed, and the command line."""

from dataclasses import replace

import pytest

from helpers import train_here
from srvae.training.cli import build_parser
from srvae.training.config import Config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage": "both"}, "stage must be one of answer, prior, adversarial, sample, release, not 'both'"),
        ({"steps": 0}, "steps must be from 1 to inf, not 0"),
        ({"stage": "prior"}, "stage prior starts from trained weights: name them with --initial"),
        ({"stage": "release", "train": "decoder"}, "--train decoder is for answer, prior and adversarial"),
        ({"stage": "sample", "initial": "x", "teacher": ("x",)}, "a teacher has no effect in stage sample"),
        ({"lr": float("nan")}, "lr must be from 0 to 1e"),
        ({"decay": 1.5}, "decay must be from 0 to 1, not 1.5"),
        ({"seed": 2**32}, "seed must be from 0 to"),
    ],
)
def test_an_invalid_setting_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        replace(Config(data="x", run="x"), **options).check()


def test_a_missing_file_is_named(tmp_path):
    for options in ({"vgg": "gone"}, {"features": "gone"}, {"teacher": ("gone",)}):
        with pytest.raises(FileNotFoundError, match="there is no file or folder gone"):
            replace(Config(data=str(tmp_path), run="x"), **options).check()


def test_what_is_trained_may_not_change_when_a_run_is_resumed():
    begun = Config(data="d", run="r", initial="first", vgg="v")
    earlier = {name: getattr(begun, name) for name in begun.__dataclass_fields__}
    with pytest.raises(ValueError, match=r"r was begun with other settings: scale \(4, now 8\); seed \(0, now 1\)"):
        replace(begun, scale=8, seed=1).check_resumes(earlier)
    for changes in ({"stage": "prior"}, {"vgg": "other"}, {"teacher": ("t",)}, {"optimiser": "adam"}, {"lr": 1.0}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            replace(begun, **changes).check_resumes(earlier)
    replace(begun, data="moved", steps=7, minutes=3.0, stop=0.5, device="cpu", workers=9).check_resumes(earlier)


def test_the_command_line_gives_the_settings_and_they_the_command_line():
    words = ["--run", "r", "--data", "d", "--scale", "8", "--stage", "prior", "--initial", "i", "--teacher", "t", "u"]
    words += ["--vgg-weight", "0.0", "--minutes", "2.5", "--fp32", "--no-compile", "--train", "all"]

    def parsed(words):
        options = vars(build_parser().parse_args(["run", *words]))
        options = {name: value for name, value in options.items() if name not in ("command", "function")}
        return Config(**options | {"teacher": tuple(options["teacher"])})

    config = parsed(words)
    assert (config.scale, config.teacher, config.minutes, config.vgg_weight) == (8, ("t", "u"), 2.5, 0.0)
    assert (config.fp32, config.compile) == (True, False)
    assert parsed(config.command().split()[3:]) == config
    assert replace(config, initial="a/b/i", teacher=("c/t", "u")).command() == config.command()


def test_the_command_line_ends_with_one_line(tmp_path, capsys):
    for words in (["run", "--data", tmp_path, "--run", "r", "--device", "abacus"], ["export", tmp_path, "4x-D"]):
        with pytest.raises(SystemExit) as stopped:
            train_here(*words)
        assert stopped.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1
