"""Which channels of a model have to be removed together, from the program that the model runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ...compat.paddle import paddle
from ...graph.program import Program
from ...graph.record import record
from . import reparameterized, rules  # noqa: F401  rules: importing it registers them
from .check import disagreements
from .flow import Code, Flow, sites_of
from .grouping import SINGLE, build
from .groups import Grouping

ROUNDS = 20
"""How often readings of the code may be given up; as often again without following attributes."""


Mode = tuple[tuple[str, bool], ...]
"""How the forward pass is run: arguments of ``record``."""


def analyse(
    model: paddle.nn.Layer, input_shape: Sequence[int], dtype: str = "float32", skip_leaves: bool = True
) -> Grouping:
    """Find the groups of channels that can be removed, and what cannot and why.

    The forward pass is recorded twice, as it runs in training and in evaluation, and labels of channels
    are followed through both (``rules``). Then the result is tried: with some channels of every group
    removed, the forward pass is recorded again, and where a size turns out to be written in the code
    the analysis starts over with that place understood less permissively. A channel of a grouped
    convolution is a whole group; where that ties all of them to each other, it is one filter of each.

    Args:
        model: any layer that takes one image; its weights are not read, and nothing in it is changed.
        input_shape: without the batch, for example ``[3, 224, 224]``.
        dtype: of the image.
        skip_leaves: keep what leaves the model whole. False lets the channels of its outputs go too.

    Example:
        >>> import paddle
        >>> net = paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(8, 4, 3))
        >>> grouping = analyse(net, [3, 16, 16])
        >>> [(group.root_weights, group.prunable_channels) for group in grouping.groups], grouping.frozen
        ([(('0.weight',), 8)], {'2': 'an output of the model'})
    """
    modes, error = _record_modes(model, input_shape, dtype)
    if not modes:
        return build(model, Flow(), f"its forward pass could not be recorded: {error}")
    grouping = _tried(model, input_shape, dtype, skip_leaves, modes, frozenset())
    balanced = _tied_groups(model, grouping)
    if balanced:
        other = _tried(model, input_shape, dtype, skip_leaves, modes, balanced)
        grouping = min(grouping, other, key=lambda one: _frozen_filters(model, one))
    return grouping


def _tied_groups(model: paddle.nn.Layer, grouping: Grouping) -> frozenset[str]:
    """Convolutions whose groups are all tied to each other: nothing goes if a channel has to be a whole group."""
    layers = dict(model.named_sublayers(include_self=True))
    tied = (layers[name] for name, reason in grouping.frozen.items() if reason == SINGLE)
    wide = {id(layer) for layer in tied if layer._groups > 1 and layer.weight.shape[1] > 1}
    return frozenset(name for name, layer in layers.items() if id(layer) in wide)


def _frozen_filters(model: paddle.nn.Layer, grouping: Grouping) -> int:
    layers = dict(model.named_sublayers(include_self=True))
    return sum(int(layers[name].weight.shape[0]) for name in grouping.frozen)


def _tried(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str,
    skip_leaves: bool,
    modes: dict[Mode, Program],
    balanced: frozenset[str],
) -> Grouping:
    """Follow labels, try the result, and start over until the two agree.

    Args:
        modes: the recorded programs.
        balanced: see ``Code``.
    """
    understood = Code.of(model)
    sites = {mode: sites_of(program, understood.types) for mode, program in modes.items()}
    for attributes in (understood.attributes, {}):
        code = Code(understood.types, attributes, balanced=balanced)
        for _ in range(ROUNDS):
            flow = Flow(code)
            code.users.clear()
            for mode, program in modes.items():
                flow.run(program, sites[mode])
                if skip_leaves:
                    freeze_outputs(flow, program)
            if not any(mode.get("merged") for mode in map(dict, modes)):
                reparameterized.count_channels(model, flow)
            grouping = build(model, flow)
            found = dict.fromkeys(flow.wrong, True)
            if not found and grouping.groups:
                found = disagreements(model, input_shape, dtype, modes, flow, grouping)
            if not found:
                return grouping
            for site, readable in found.items():
                code.give_up(site, all_readings=not readable)
            if all(code.stuck(site, 2) for site in found):
                break  # their layers are frozen already, and it did not help
    return build(model, Flow(), "sizes written in the code")


def _record_modes(
    model: paddle.nn.Layer, input_shape: Sequence[int], dtype: str
) -> tuple[dict[Mode, Program], Optional[str]]:
    """Record training, evaluation, and with merged branches: those that differ, and can be recorded."""
    modes: dict[Mode, Program] = {}
    errors = []
    wanted = [{"training": True}, {"training": False}]
    if any(getattr(layer, "is_repped", True) is False for layer in model.sublayers(include_self=True)):
        wanted.append({"training": False, "merged": True})
    for mode in wanted:
        program = record(model, input_shape, dtype, **mode)
        if program.error is not None:
            errors.append(program.error)
        elif not any(_same(program, other) for other in modes.values()):
            modes[tuple(mode.items())] = program
    return modes, errors[0] if errors else None


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
