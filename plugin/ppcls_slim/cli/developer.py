"""Sub-commands of ``benchmarks/``, which lies beside the package in a checkout and is not in the wheel."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional, Protocol


class Command(Protocol):
    """One sub-command: ``benchmarks.commands.Command``."""

    @property
    def add_parser(self) -> Callable[[Any], None]:
        """Adds its arguments to what ``argparse.add_subparsers`` returned."""

    @property
    def run(self) -> Callable[[argparse.Namespace], Optional[int]]:
        """Does it, and returns the exit status (None is 0)."""


def developer_commands() -> Mapping[str, Command]:
    """Name -> sub-command; empty outside a checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / "benchmarks/commands.py").is_file():
        return {}
    if str(root) not in sys.path:
        sys.path.append(str(root))
    from benchmarks.commands import COMMANDS  # only a checkout has it

    commands: Mapping[str, Command] = COMMANDS
    return commands
