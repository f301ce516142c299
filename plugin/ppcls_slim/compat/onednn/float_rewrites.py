"""Apply the rewrites that are not about int8: to every program in legacy IR, float or int8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..legacy_program import program_of, save_program
from . import shared_norms, stacked_activations

# Insert copies between operators that would be fused otherwise: any order.
REWRITES: Sequence[Callable[[Any], None]] = (shared_norms.rewrite, stacked_activations.rewrite)


def prepare_float_for_onednn(path: Path) -> None:
    """Let oneDNN run an exported float program right.

    Args:
        path: without suffix; written in place if a rewrite changes the program.
    """
    with program_of(path) as (executor, program, feeds, fetches):
        block = program.global_block()
        count = len(block.ops)
        for rewrite in REWRITES:
            rewrite(block)
        if len(block.ops) != count:
            save_program(path, executor, program, feeds, fetches)
