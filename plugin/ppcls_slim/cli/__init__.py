"""``ppcls-slim`` and the scripts in ``tools/``: argument parsing, and errors as one line."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Optional

from ..common import command_line
from ..common.console import Verbosity, console
from ..common.errors import SlimError, file_error
from ..compat import startup_noise
from . import signals
from .commands import COMMANDS
from .developer import developer_commands
from .names import with_command
from .parser import parser

EXIT_INPUT, EXIT_PIPE = 2, 141


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a sub-command; return the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # the name of a class, in a terminal without its letters
    try:
        given = sys.argv[1:] if argv is None else argv
        words = with_command(given, [*COMMANDS, *developer_commands()])
    except SlimError as error:
        _say(f"error: {error}")
        return EXIT_INPUT
    command_line.remember(words)
    return _run(parser().parse_args(words))


def _run(arguments: argparse.Namespace) -> int:
    _begin(arguments)

    def interrupted(signum: int) -> None:
        _say(f"stopped by {signal.Signals(signum).name}{_how_to_resume(arguments)}")

    with signals.handled(interrupted):
        try:
            run = COMMANDS.get(arguments.command) or developer_commands()[arguments.command].run
            status = run(arguments)
            print(end="", flush=True)
        except SlimError as error:
            _say(f"error: {error}")
            return EXIT_INPUT
        except BrokenPipeError:  # the reader of our output (head, less) had enough
            _drop_output()
            return EXIT_PIPE
        except OSError as error:
            if error.errno is None:
                raise  # not the system's: raised by a library, with a message of its own
            if _drop_output() and error.filename is None:
                error.filename = "standard output"
            _say(f"error: {file_error(error)}")
            return EXIT_INPUT
        except KeyboardInterrupt as error:
            signum = error.signum if isinstance(error, signals.Interrupted) else signal.SIGINT
            interrupted(signum)
            return signals.exit_status(signum)
        except Exception:
            stopped = signals.received()
            if stopped is None:
                raise  # a bug
            interrupted(stopped)
            return signals.exit_status(stopped)
    return status or 0


def script(command: str) -> None:
    """Entry of ``tools/<command>.py``: the sub-command with this script's arguments."""
    sys.exit(main([command, *sys.argv[1:]]))


def _begin(arguments: argparse.Namespace) -> None:
    """Show as much as was asked for: all of it, where a command of a checkout says nothing of it."""
    verbose = getattr(arguments, "verbose", arguments.command not in COMMANDS)
    if verbose:
        console.begin(Verbosity.VERBOSE)
        return
    console.begin(Verbosity.QUIET if getattr(arguments, "quiet", False) else Verbosity.NORMAL)
    startup_noise.hold_back()


def _drop_output() -> bool:
    """Where stdout cannot be written, let what it still holds go nowhere: Python would print a trace at exit."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _say(line: str) -> None:
    print(f"ppcls_slim: {line}", file=sys.stderr, flush=True)


def _how_to_resume(arguments: argparse.Namespace) -> str:
    return "; go on with the same command and --resume auto" if arguments.command == "train" else ""
