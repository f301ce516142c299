"""``ppcls-slim`` and the scripts in ``tools/``: argument parsing, and errors as one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Optional

from ..common.errors import SlimError
from .commands import COMMANDS
from .developer import developer_commands
from .parser import parser

EXIT_INPUT, EXIT_INTERRUPTED, EXIT_PIPE = 2, 130, 141


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a sub-command; return the exit status."""
    arguments = parser().parse_args(argv)
    try:
        run = COMMANDS.get(arguments.command) or developer_commands()[arguments.command].run
        status = run(arguments)
    except SlimError as error:
        print(f"ppcls_slim: error: {error}", file=sys.stderr)
        return EXIT_INPUT
    except BrokenPipeError:  # the reader of our output (head, less) had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except KeyboardInterrupt:
        print(f"ppcls_slim: interrupted{_how_to_resume(arguments)}", file=sys.stderr)
        return EXIT_INTERRUPTED
    return status or 0


def script(command: str) -> None:
    """Entry of ``tools/<command>.py``: the sub-command with this script's arguments."""
    sys.exit(main([command, *sys.argv[1:]]))


def _how_to_resume(arguments: argparse.Namespace) -> str:
    if arguments.command != "train":
        return ""
    return "; go on with the same command and --resume auto"
