"""Undisturbed runs, and what a checkpoint computes."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ppcls_slim.cli import main
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.patching import replaced
from ppcls_slim.deploy.target import target_of
from ppcls_slim.engine.engine import SlimEngine
from ppcls_slim.verify.accuracy import logits_of

from .child import Ended, in_fork
from .workload import EPOCHS, Workload


@functools.cache
def undisturbed(workload: Workload, scenario: str, epochs: int = EPOCHS) -> Path:
    """Train a scenario as it should be; return its folder, which is another one than it was written in.

    Raises:
        RuntimeError: it failed.
    """
    folder = workload.folder / f"{scenario}-{epochs}"
    kept = folder.with_name(f"{folder.name}-moved")
    for old in (folder, kept):
        shutil.rmtree(old, ignore_errors=True)
    file = workload.write(scenario, folder, epochs)
    must_end_well(in_fork(lambda: main(["train", "-c", str(file)]), folder))
    return folder.rename(kept)


def must_end_well(ended: Ended) -> None:
    """Raise RuntimeError if it did not."""
    if ended.status != 0:
        raise RuntimeError(f"an undisturbed run ended with {ended.status}:\n{ended.text[-3000:]}")


def logits_of_checkpoint(arguments: list[str], where: Path) -> Optional[int]:
    """In a child: ``ppcls-slim eval``, which writes logits of :func:`images` instead of measuring top-1."""

    def evaluate(engine: SlimEngine) -> None:
        engine.model.eval()
        with paddle.no_grad():
            np.save(where, logits_of(engine.model(paddle.to_tensor(images()))).numpy())

    with replaced(SlimEngine, eval=evaluate):
        return main(["eval", *arguments])


def logits_of_export(folder: Path, where: Path) -> int:
    """In a child: run an exported model on :func:`images`."""
    np.save(where, target_of(folder).load(folder, "cpu")(images()))
    return 0


def images() -> Any:
    """What models are compared on, ``[n, C, H, W]``."""
    return np.random.default_rng(0).uniform(-1, 1, [8, 3, 32, 32]).astype(np.float32)
