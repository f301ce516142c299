"""Record the model once more as it was decided, with the very channels that are kept.

The analysis tries a few numbers of channels. Code may do something else for others (``if x.shape[1] % 4 == 0``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Optional

from ..common.errors import SlimError
from ..compat.layers import CONV_GROUPS
from ..compat.paddle import paddle
from ..graph.model import tensors_of
from ..graph.program import Program
from ..graph.record import record
from .dependency.check import same_operation
from .dependency.constants import changed
from .dependency.modes import Mode
from .dependency.trial import attributes_set
from .slices import SlicePlan

_SLICES = {"slice", "strided_slice", "set_value", "set_value_with_tensor", "assign", "share_data"}


def check_planned(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str,
    programs: Mapping[Mode, Program],
    slices: SlicePlan,
) -> None:
    """Make sure that the model does the same without the channels.

    Args:
        model: dense; it is not changed.
        input_shape: ``[C, H, W]``.
        dtype: data type of the image.
        programs: of the dense model.
        slices: what is kept.

    Raises:
        SlimError: its code would do something else.
    """
    tensors = tensors_of(model)
    shapes = {name: piece.kept_shape() for name, piece in slices.params.items()}
    contents = {
        name: piece.applied(tensors[name].numpy())
        for name, piece in slices.params.items()
        if "int" in str(tensors[name].dtype)
    }
    values = {(name, CONV_GROUPS): groups for name, groups in slices.conv_groups.items()}
    values.update(((*place.rpartition(".")[::2],), size) for place, size in slices.sizes.items())
    for mode, dense in programs.items():
        with attributes_set(model, values):
            pruned = record(model, input_shape, dtype, mode.training, mode.merged, shapes, contents)
        found = _difference(_without_slices(dense), _without_slices(pruned))
        if found is not None:
            raise SlimError(
                f"Slim.prune: with the channels that are kept, {found}: its code depends on how many there are; "
                "name the layers before it in Slim.prune.skip, or choose another ratio"
            )


def _without_slices(program: Program) -> Program:
    """The program without slices, which Paddle leaves out where they take everything that is left."""
    kept = [operation for operation in program.operations if operation.name not in _SLICES]
    return replace(program, operations=kept)


def _difference(dense: Program, pruned: Program) -> Optional[str]:
    if pruned.error is not None:
        return f"{pruned.layer or 'the model'} stops with {pruned.error}"
    for before, after in zip(dense.operations, pruned.operations):
        if not same_operation(before, after):
            return f"{before.layer or 'the model'} runs {after.name} instead of {before.name}"
    if len(pruned.operations) != len(dense.operations):
        return "other operations run at the end of the model"
    for number in changed(dense, pruned, None):
        operation = dense.operations[number]
        return f"{operation.layer or 'the model'} computes with another number ({operation.name})"
    return None
