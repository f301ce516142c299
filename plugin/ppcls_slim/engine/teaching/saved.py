"""The weights of the model before compression, kept beside the checkpoints of what learns from it.

They are nowhere else once the model is compressed: a resumed training, and the second stage of ``Slim.quant.epochs``,
find their teacher there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from ... import checkpoint as checkpoints
from ...checkpoint import Checkpoint, Metadata
from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...config.distill import DENSE
from .checks import KEY

PREFIX = "teacher"


def save_teacher(model: paddle.nn.Layer, folder: Path) -> Path:
    """Write a dense teacher's weights as a checkpoint of its own; return the file.

    Args:
        model: dense.
        folder: ``Global.output_dir``.
    """

    def write(writing: Path) -> None:
        paddle.save(model.state_dict(), str(writing / f"{PREFIX}{checkpoints.WEIGHTS}"))

    checkpoints.save(folder, PREFIX, write, checkpoints.sidecar(None, None, Metadata()))
    return weights_in(folder)


def weights_in(folder: Path) -> Path:
    """Where the weights of the teacher lie in an output folder."""
    return checkpoints.with_suffix(folder / PREFIX, checkpoints.WEIGHTS)


def saved_teacher(student: Optional[Checkpoint]) -> Checkpoint:
    """Find the dense weights that a compressed checkpoint learned from.

    Args:
        student: not dense.

    Raises:
        SlimError: it did not learn from them, or they are not there any more.
    """
    assert student is not None
    remedy = f"name the dense weights: -o {KEY}.teacher=..."
    note = student.metadata.distill
    if note is None or note.teacher != DENSE or note.sha256 is None:
        raise SlimError(
            f"{KEY}.teacher is {DENSE}, and {student.weights} is compressed and was not taught by its dense model: "
            f"{remedy}"
        )
    here = student.path_prefix.parent
    files = [weights_in(folder) for folder in (here, here.parent)]  # releases put a folder of Arch between
    there = [file for file in files if file.is_file()]
    for file in there:
        if checkpoints.sha256(file) == note.sha256:
            return checkpoints.open_checkpoint(str(file), f"{KEY}.teacher")
    if there:
        raise SlimError(f"{KEY}.teacher: {student.weights} did not learn from {there[0]}: restore it, or {remedy}")
    raise SlimError(
        f"{KEY}.teacher: {files[0].name}, from which {student.weights} learned, is not in its folder or above: "
        f"restore it, or {remedy}"
    )
