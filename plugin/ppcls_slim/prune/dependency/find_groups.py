"""Find the groups of channels of a model: follow labels, try the result, and start over until the two agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from ...compat.layers import conv_groups
from ...compat.paddle import paddle
from ...graph.program import Program
from . import reparameterized, rules  # noqa: F401  importing rules registers them
from .check import Disagreement, disagreements
from .code import Code, Site, sites_of
from .flow import Flow
from .grouping import SINGLE, build
from .groups import Grouping
from .labels import FIXED
from .modes import Mode, Recorded, record_modes
from .registry import run

NOT_RECORDED = "its forward pass could not be recorded"
ROUNDS = 20
"""How often interpretations of the code may be rejected; as often again without following attributes."""


def analyse(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str = "float32",
    skip_leaves: bool = True,
    recorded: Optional[Recorded] = None,
) -> Grouping:
    """Find the groups of channels that can be removed together, and what cannot be removed and why.

    The forward pass is recorded as it runs in training and in evaluation, and labels of channels are followed through
    both programs (``rules``). Then the result is tried: with some channels of every group removed, the forward pass
    is recorded again. Where a size turns out to be written in the code, the analysis starts over with a less
    permissive interpretation of that place. A prunable channel of a grouped convolution is one of its groups; where
    that ties all of them to each other, it is one filter of every group.

    Args:
        model: any layer that takes one image. Its weights are not read, and nothing in it is changed.
        input_shape: without the batch, for example ``[3, 224, 224]``.
        dtype: data type of the image.
        skip_leaves: keep all channels of the model's outputs. False lets them be removed too.
        recorded: what :func:`.modes.record_modes` returned, if that is known.

    Example:
        >>> import paddle
        >>> net = paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(8, 4, 3))
        >>> grouping = analyse(net, [3, 16, 16])
        >>> [(group.root_weights, group.prunable_channels) for group in grouping.groups], grouping.frozen
        ([(('0.weight',), 8)], {'2': 'an output of the model'})
    """
    modes, error = recorded or record_modes(model, input_shape, dtype)
    if not modes:
        return build(model, Flow(), f"{NOT_RECORDED}: {error}")
    grouping = _search(model, input_shape, dtype, skip_leaves, modes, frozenset())
    balanced = _tied_groups(model, grouping)
    if balanced:
        other = _search(model, input_shape, dtype, skip_leaves, modes, balanced)
        grouping = min(grouping, other, key=lambda one: _frozen_filters(model, one))
    return grouping


def _search(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str,
    skip_leaves: bool,
    modes: Mapping[Mode, Program],
    balanced: frozenset[str],
) -> Grouping:
    """Follow labels and try the result, with other interpretations of the code until the two agree.

    Args:
        model: the dense model.
        input_shape: ``[C, H, W]``.
        dtype: data type of the image.
        skip_leaves: keep all channels of the model's outputs.
        modes: the recorded programs.
        balanced: grouped convolutions that lose the same filters of every group, see :class:`Code`.
    """
    known = Code.of(model)
    sites = {mode: sites_of(program, known.types) for mode, program in modes.items()}
    for attributes in (known.attributes, {}):
        code = Code(known.types, attributes, balanced=balanced)
        for _ in range(ROUNDS):
            flow = _follow(model, code, modes, sites, skip_leaves)
            grouping = build(model, flow)
            if flow.wrong or not grouping.groups:
                found = Disagreement(dict.fromkeys(flow.wrong, True), {})
            else:
                found = disagreements(model, input_shape, dtype, modes, flow, grouping)
            if not found.sites and not found.counted:
                return grouping
            _note_counted(code, grouping, found.counted)
            for site, has_input in found.sites.items():
                code.reject(site, all_of_them=not has_input)
            if found.sites and all(code.is_stuck(site, 2) for site in found.sites):
                break  # their layers are frozen already, and it did not help
    return build(model, Flow(), "sizes written in the code")


def _follow(
    model: paddle.nn.Layer,
    code: Code,
    modes: Mapping[Mode, Program],
    sites: Mapping[Mode, Sequence[Site]],
    skip_leaves: bool,
) -> Flow:
    """Follow labels through all programs once, as the code is understood by now."""
    flow = Flow(code)
    code.users.clear()
    for mode, program in modes.items():
        run(flow, program, sites[mode])
        if skip_leaves:
            freeze_outputs(flow, program)
    if not any(mode.merged for mode in modes):
        reparameterized.follow_merged_sizes(model, flow)
    for key, (positions, reason) in code.counted.items():
        flow.labels.freeze(flow.params[key][positions], reason)
    return flow


def _note_counted(code: Code, grouping: Grouping, counted: Mapping[int, str]) -> None:
    """Note the filters of groups that the code computes numbers from: they stay in the rounds that follow."""
    for number, reason in counted.items():
        group = grouping.groups[number]
        for member in map(group.filters, group.root_weights):
            code.counted[member.param, member.axis] = (member.index != FIXED, reason)


def freeze_outputs(flow: Flow, program: Program) -> None:
    """Freeze the outputs of a model, except those that the model itself reads again.

    A ``RecModel`` returns ``backbone`` beside ``features`` and ``logits``; the backbone's output is an intermediate
    result there.
    """
    read = {tensor for operation in program.operations for tensor in operation.inputs}
    for path, tensor in program.outputs:
        intermediate = path[-1:] == ("backbone",) and tensor in read
        if not intermediate:
            flow.freeze(tensor, "an output of the model")


def _tied_groups(model: paddle.nn.Layer, grouping: Grouping) -> frozenset[str]:
    """Return the grouped convolutions whose groups are all tied to each other, so that none can be removed."""
    layers = dict(model.named_sublayers(include_self=True))
    tied = (layers[name] for name, reason in grouping.frozen.items() if reason == SINGLE)
    wide = {id(layer) for layer in tied if conv_groups(layer) > 1 and layer.weight.shape[1] > 1}
    return frozenset(name for name, layer in layers.items() if id(layer) in wide)


def _frozen_filters(model: paddle.nn.Layer, grouping: Grouping) -> int:
    layers = dict(model.named_sublayers(include_self=True))
    return sum(int(layers[name].weight.shape[0]) for name in grouping.frozen)
