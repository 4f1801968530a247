"""The command srvae: without words it prints its help, and every option of every command has a help text."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from srvae import cli

ROOT = Path(__file__).resolve().parent.parent


class CaughtError(BaseException):
    """Carries a parser that was about to parse."""


def parsers(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A parser and those of its commands, by the words that lead to them."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, command in action.choices.items():
                yield from parsers(command, f"{name} {word}")


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_has_help(command, monkeypatch):
    """And every command is listed; paths that are defaults lie in the repository or the current folder."""
    plain = argparse.ArgumentParser.parse_args

    def caught(parser, *words):
        if parser.prog == "srvae":
            return plain(parser, *words)
        raise CaughtError(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", caught)
    monkeypatch.delenv("SRVAE_VGG", raising=False)  # the user's, which is a default
    with pytest.raises(CaughtError) as found:
        cli.main([command, "anything"])
    top = found.value.args[0]
    for name, parser in parsers(top, command):
        assert parser.prog.startswith(f"srvae {command}")
        assert parser.description or " " in name
        assert name.removeprefix(command).strip() in top.format_help()
        for action in parser._actions:
            words = " ".join(action.option_strings) or action.dest
            assert action.help or isinstance(action, argparse._SubParsersAction), f"{name} {words}"
            if isinstance(action.default, str | Path):
                assert ".." not in str(action.default), f"{name} {words}"
                assert (ROOT / action.default).is_relative_to(ROOT), f"{name} {words}"


@pytest.mark.parametrize("words", [[], ["enlarge"], ["evaluate"], ["train"]])
def test_without_words_help_is_printed(words, capsys):
    """The exit code is that of a command that was not understood, so that a script does not go on."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: srvae")


@pytest.mark.parametrize("command", ["run", "recipe", "pack", "export", "judge", "benchmark"])
def test_a_command_of_training_says_what_it_lacks(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", command])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "required: " in last or "--run FOLDER" in last


@pytest.mark.slow
def test_python_m_srvae_is_the_command(tmp_path):
    """From any folder, and an unknown command ends with the list of commands."""
    done = subprocess.run([sys.executable, "-m", "srvae", "paint"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "'enlarge', 'evaluate', 'train', 'draw'" in done.stderr
