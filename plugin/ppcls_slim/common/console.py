"""What a command shows: results only, what a user follows, or everything that goes into the log."""

from __future__ import annotations

import enum
import os
import sys


class Verbosity(enum.IntEnum):
    """How much reaches the console; the log file has everything, whatever is chosen."""

    QUIET = 0
    """Results, warnings and errors: ``-q``."""
    NORMAL = 1
    """Also what is done, in a few lines, and how far it has come."""
    VERBOSE = 2
    """The whole log: ``-v``, and programs that use the package without a command."""


RANK = "PADDLE_TRAINER_ID"
"""Where ``paddle.distributed.launch`` puts a process's number."""


class Console:
    """The console of this process; of several processes that train together only the first one's shows progress.

    Attributes:
        verbosity: how much is shown.
    """

    def __init__(self) -> None:
        self.verbosity = Verbosity.VERBOSE
        self._introduced: list[str] = []
        self._shown: set[str] = set()

    def begin(self, verbosity: Verbosity) -> None:
        """A command begins."""
        self.verbosity = verbosity
        self._introduced = []
        self._shown = set()

    def introduce(self, lines: list[str], again: bool = False) -> None:
        """Show what a command works on.

        Args:
            lines: the facts.
            again: show what is new where that was done already, as in the second stage of a training. Without it, an
                engine that exports what a training left is not introduced.
        """
        if again or not self._introduced:
            for line in lines:
                if line not in self._introduced:
                    self.tell(line)
            self._introduced += lines

    def is_new(self, line: str) -> bool:
        """Whether this command has not shown the line yet; from now on it has (both stages of a training warn)."""
        known = line in self._shown
        self._shown.add(line)
        return not known

    def tell(self, line: str) -> None:
        """Show what is not in the log because the log has it in another form."""
        if self.verbosity == Verbosity.NORMAL and self._is_first():
            print(line, flush=True)

    def note(self, line: str) -> None:
        """Show how far something is that has no log."""
        if self.verbosity > Verbosity.QUIET:
            print(line, flush=True)

    def warn(self, line: str) -> None:
        """Show what the user has to know before there is a log."""
        if self._is_first():
            print(f"warning: {line}", file=sys.stderr, flush=True)

    @property
    def is_live(self) -> bool:
        """Whether a line can be redrawn: there is a terminal, and nothing else is written to it."""
        return self.verbosity == Verbosity.NORMAL and self._is_first() and sys.stdout.isatty()

    @staticmethod
    def _is_first() -> bool:
        return os.environ.get(RANK, "0") == "0"


console = Console()
