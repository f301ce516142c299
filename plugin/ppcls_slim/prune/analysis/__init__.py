"""Which channels of a model have to be removed together, from the program that the model runs."""

from __future__ import annotations

from collections.abc import Sequence

import paddle

from ..groups import Grouping
from ..trace import Program, record
from . import rules  # noqa: F401  registers the rules
from .check import disagreements
from .flow import Code, Flow, sites_of
from .grouping import build

ROUNDS = 40
"""How often a reading of the code may be given up before everything left is frozen."""


def analyse(model: paddle.nn.Layer, input_shape: Sequence[int], dtype: str = "float32") -> Grouping:
    """Find the groups of channels that can be removed, and what cannot and why.

    The forward pass is recorded twice, as it runs in training and in evaluation, and labels of channels
    are followed through both (``rules``). Then the result is tried: with some units of every group
    removed, the forward pass is recorded again, and where a size turns out to be written in the code
    the analysis starts over with that place understood less permissively.

    Args:
        model: any layer that takes one image; its weights are not read, and nothing in it is changed.
        input_shape: without the batch, for example ``[3, 224, 224]``.
        dtype: of the image.

    Example:
        >>> import paddle
        >>> net = paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(8, 4, 3))
        >>> grouping = analyse(net, [3, 16, 16])
        >>> [(group.masters, group.units) for group in grouping.groups], grouping.frozen
        ([(('0.weight',), 8)], {'2': 'an output of the model'})
    """
    code = Code.of(model)
    programs = [record(model, input_shape, dtype, training) for training in (True, False)]
    modes = [(training, program) for training, program in zip((True, False), programs) if not program.error]
    if not modes:
        return build(model, Flow(), f"its forward pass could not be recorded: {programs[0].error}")
    if len(modes) == 2 and _same(*programs):
        modes = modes[:1]
    for _ in range(ROUNDS):
        flow = Flow(code)
        for _, program in modes:
            flow.run(program, sites_of(program, code.types))
            freeze_outputs(flow, program)
        grouping = build(model, flow)
        found = disagreements(model, input_shape, dtype, modes, flow, grouping)
        if not found:
            return grouping
        for site in found:
            code.give_up(site)
    return build(model, Flow(), "sizes written in the code")


def _same(one: Program, other: Program) -> bool:
    """Do training and evaluation run the same operations?"""
    left, right = (
        [(op.name, op.layer, [tensor.shape for tensor in op.outputs]) for op in program.operations]
        for program in (one, other)
    )
    return left == right and len(one.outputs) == len(other.outputs)


def freeze_outputs(flow: Flow, program: Program) -> None:
    """What leaves the model keeps its shape, except what the model itself goes on to use.

    A ``RecModel`` returns ``backbone`` beside ``features`` and ``logits``; the backbone's output is an
    intermediate result there.
    """
    read = {tensor for operation in program.operations for tensor in operation.inputs}
    for path, tensor in program.outputs:
        intermediate = path[-1:] == ("backbone",) and tensor in read
        if not intermediate:
            flow.freeze(tensor, "an output of the model")
