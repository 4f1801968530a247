"""All command lines: called bare they help, every option says what it means, and nothing goes astray by default."""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks import cli as evaluating
from enlarging import cli as enlarging
from figures import cli as drawing
from helpers import NOTEBOOKS
from training import cli as training
from viewer.timing import add_slider

ROOT = NOTEBOOKS.parent
MAINS: dict[str, Callable[[list[str]], object]] = {
    "evaluate.py": lambda words: evaluating.main(words, more=[add_slider]),
    "train.py": lambda words: training.main(0.0, words),
    "enlarge.py": enlarging.main,
    "draw.py": drawing.main,
}


class Caught(BaseException):
    """Carries a parser that was about to parse."""


def parsers(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A parser and those of its commands, by the words that lead to them."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, command in action.choices.items():
                yield from parsers(command, f"{name} {word}")


@pytest.fixture(params=MAINS)
def every_parser(request, monkeypatch) -> list[tuple[str, argparse.ArgumentParser]]:
    """The parsers of one command line, as they are without variables of the user's."""

    def caught(parser, *_, **__):
        raise Caught(parser)

    for name in ("SRVAE_VGG", "SRVAE_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", caught)
    with pytest.raises(Caught) as found:
        MAINS[request.param](["anything"])
    return list(parsers(found.value.args[0], request.param))


def test_every_option_has_help(every_parser):
    silent = [
        f"{name} {' '.join(action.option_strings) or action.dest}"
        for name, parser in every_parser
        for action in parser._actions
        if not (action.help or isinstance(action, argparse._SubParsersAction))
    ]
    assert not silent
    assert all(parser.description or " " in name for name, parser in every_parser)


def test_every_command_is_listed(every_parser):
    (name, parser), *commands = every_parser
    text = parser.format_help()
    assert not [command for command, _ in commands if command.removeprefix(name).strip() not in text]


def test_defaults_lie_in_the_repository_or_the_current_folder(every_parser):
    astray = [
        f"{name} {action.dest}: {action.default}"
        for name, parser in every_parser
        for action in parser._actions
        if isinstance(action.default, str | Path)
        and Path(action.default).is_absolute()
        and not Path(action.default).is_relative_to(ROOT)
    ]
    assert not astray
    upwards = [name for name, parser in every_parser for a in parser._actions if ".." in str(a.default)]
    assert not upwards


@pytest.mark.parametrize("name", ["evaluate.py", "train.py", "enlarge.py"])
def test_without_words_a_command_prints_its_help(name, capsys):
    """And ends with the code of a command that was not understood, so that a script does not go on."""
    with pytest.raises(SystemExit) as ended:
        MAINS[name]([])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: ")
    assert "--help" in printed.err
    assert name in printed.err


BARE = ["run", "recipe", "pack", "export", "reissue", "join", "average", "start", "sampling", "judge"]  # benchmark runs


@pytest.mark.parametrize("command", BARE)
def test_a_command_of_training_says_what_it_lacks(command, capsys):
    with pytest.raises(SystemExit) as ended:
        MAINS["train.py"]([command])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "required: " in last or "--run FOLDER" in last


@pytest.mark.slow
def test_a_word_that_is_no_command_is_answered_with_all_of_them():
    command = [sys.executable, str(NOTEBOOKS / "evaluate.py"), "scroes"]  # codespell:ignore
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 2
    for name in ("scores", "readme", "speed", "memory", "slider"):
        assert f"'{name}'" in done.stderr.splitlines()[-1]
