"""Keep a second training out of an output folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..common.locks import run_lock
from ..compat.distributed import is_rank0
from ..compat.paddleclas.types import ClasConfig


@contextmanager
def output_folder_locked(config: ClasConfig) -> Iterator[None]:
    """Hold ``Global.output_dir`` for the length of a ``with`` block, in the first process, which alone writes there.

    Raises:
        SlimError: another training holds it.
    """
    if not is_rank0():
        yield
        return
    with run_lock(Path(config["Global"]["output_dir"]), "Global.output_dir"):
        yield
