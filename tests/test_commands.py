"""Names of commands, what they say about themselves, and ``--version``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import ROOT
from ppcls_slim.cli import main
from ppcls_slim.cli.commands import COMMANDS
from ppcls_slim.cli.help import HELP
from ppcls_slim.cli.names import with_command
from ppcls_slim.cli.parser import LOGGING, parser
from ppcls_slim.common.errors import SlimError

METHODS = {"train", "eval", "export", "plan"}


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("export_model", "export"),
        ("export-model", "export"),
        ("slim_plan", "plan"),
        ("prepare_cifar10", "prepare-cifar10"),
        ("train", "train"),
    ],
)
def test_a_command_may_be_named_as_its_script(word, command):
    assert with_command([word, "-c", "x"], COMMANDS) == [command, "-c", "x"]


def test_an_option_before_the_command_is_left_to_the_parser():
    assert with_command(["--version"], COMMANDS) == ["--version"]


SPELLINGS = [("trian", "train"), ("slim_plam", "slim-plan"), ("benchmrk", "benchmark")]


@pytest.mark.parametrize(("word", "nearest"), SPELLINGS)
def test_an_unknown_command_gets_the_nearest_spelling(word, nearest):
    with pytest.raises(SlimError, match=f"'{word}' is not a command \\(did you mean '{nearest}'\\?\\); there are "):
        with_command([word], COMMANDS)


def test_an_unknown_command_is_one_line(capsys):
    assert main(["trian", "-c", "x"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ppcls_slim: error: 'trian' is not a command (did you mean 'train'?)")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_a_command_does_and_has_an_example_that_parses(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    shown = " ".join(capsys.readouterr().out.lower().split())
    assert f"example: ppcls-slim {name}" in shown
    assert name not in METHODS or ("prun" in shown and "quantiz" in shown)
    assert parser().parse_args(HELP[name].example.split()[1:]).command == name


@pytest.mark.parametrize("name", LOGGING)
def test_quiet_and_verbose_exclude_each_other(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "-v", "-q"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_the_version_names_what_is_installed_without_importing_paddle():
    program = (
        "import sys\n"
        "from ppcls_slim.cli import main\n"
        "try:\n    main(['--version'])\n"
        "finally:\n    print('paddle' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT / "plugin")
    *lines, imported = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ppcls_slim", "Paddle", "PaddleClas", "PaddleSlim", "Python"]
    assert all(len(line.split()) >= 2 for line in lines)
    assert (done.returncode, imported) == (0, "False")


def test_the_package_can_be_run():
    done = subprocess.run(
        [sys.executable, "-m", "ppcls_slim", "--help"], capture_output=True, text=True, cwd=ROOT / "plugin"
    )
    assert "usage: ppcls-slim" in done.stdout, done.stderr
