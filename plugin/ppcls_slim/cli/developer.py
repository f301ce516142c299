"""Sub-commands of ``benchmarks/``, which lies beside the package in a checkout and is not in the wheel."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional, Protocol


class Command(Protocol):
    """One sub-command: ``benchmarks.commands.Command``."""

    add_parser: Callable[[Any], None]
    run: Callable[[argparse.Namespace], Optional[int]]


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
