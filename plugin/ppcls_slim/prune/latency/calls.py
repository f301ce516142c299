"""Which layers a model runs, on what, and what follows them: found by running it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...compat.layers import conv_groups, conv_settings
from ...compat.paddle import paddle
from ...graph.program import Operation, Program
from ..analysis import Analysis
from ..flops import run_once
from .meter import LayerShape

_WEIGHTED = {"conv2d", "depthwise_conv2d", "matmul"}
_NORMS = {"batch_norm", "sync_batch_norm"}
_ADDITIONS = {"add", "elementwise_add"}
ACTIVATIONS = {
    "relu": "relu",
    "relu6": "relu6",
    "hardswish": "hardswish",
    "hard_swish": "hardswish",
    "hardsigmoid": "hardsigmoid",
    "hard_sigmoid": "hardsigmoid",
    "sigmoid": "sigmoid",
    "swish": "swish",
    "silu": "swish",
}
"""Operation -> the activation as it is measured; layers before others are measured without."""


@dataclass(frozen=True)
class Call:
    """One run of a layer in a forward pass.

    Attributes:
        weight: name of the weight.
        shape: of the layer.
        inputs: dense number of input channels or features.
        outputs: dense number of output channels or features.
    """

    weight: str
    shape: LayerShape
    inputs: int
    outputs: int


def calls_of(model: paddle.nn.Layer, analysis: Analysis, dtype: str) -> list[Call]:
    """Run a model once and return every run of a convolution or linear layer, in the order of the forward pass.

    Args:
        model: dense.
        analysis: of the model.
        dtype: data type of the image.
    """
    mode = min(analysis.programs, key=lambda mode: (mode.training, not mode.merged))
    activations = activations_after(analysis.programs[mode])
    calls: list[Call] = []
    handles = []
    for name, layer in model.named_sublayers(include_self=True):
        if isinstance(layer, (paddle.nn.Conv2D, paddle.nn.Linear)):
            weight = f"{name}.weight" if name else "weight"
            noter = _noter(calls, weight, activations.get(weight, ""))
            handles.append(layer.register_forward_post_hook(noter))
    try:
        run_once(model, analysis.input_shape, dtype)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def activations_after(program: Program) -> dict[str, str]:
    """Return the activation that follows each weight at once, normalization and bias apart."""
    users: dict[int, list[Operation]] = {}
    for operation in program.operations:
        for tensor in operation.inputs:
            users.setdefault(id(tensor), []).append(operation)
    found: dict[str, str] = {}
    for operation in program.operations:
        weight = next((t.param for t in operation.inputs if t.param), None)
        if operation.name in _WEIGHTED and weight is not None:
            found[weight] = _next_activation(operation, users)
    return found


def _next_activation(operation: Operation, users: Mapping[int, Sequence[Operation]]) -> str:
    while True:
        output = operation.outputs[0]
        following = users.get(id(output), ())
        if len(following) != 1:
            return ""
        operation = following[0]
        if operation.name in ACTIVATIONS:
            return ACTIVATIONS[operation.name]
        bias = operation.name in _ADDITIONS and any(
            np.prod(tensor.shape) < np.prod(output.shape) for tensor in operation.inputs
        )
        if operation.name not in _NORMS and not bias:
            return ""


def _noter(calls: list[Call], weight: str, activation: str) -> Any:
    def note(layer: paddle.nn.Layer, inputs: tuple[Any, ...], output: paddle.Tensor) -> None:
        before, after = list(inputs[0].shape), list(output.shape)
        if isinstance(layer, paddle.nn.Linear):
            size = (1, int(np.prod(before[1:-1])))
            shape = LayerShape((), (), (), "dense", 0, 0, size, size, activation)
            calls.append(Call(weight, shape, before[-1], after[-1]))
        else:
            calls.append(_of_convolution(weight, layer, before, after, activation))

    return note


def _of_convolution(
    weight: str, layer: paddle.nn.Layer, before: Sequence[int], after: Sequence[int], activation: str
) -> Call:
    groups, settings = conv_groups(layer), conv_settings(layer)
    inputs, outputs = before[1], after[1]
    grouped = groups > 1 and not groups == inputs == outputs
    shape = LayerShape(
        kernel=_pair(layer.weight.shape[2:]),
        stride=_pair(settings.stride),
        dilation=_pair(settings.dilation),
        grouping="dense" if groups == 1 else "grouped" if grouped else "depthwise",
        group_inputs=inputs // groups if grouped else 0,
        group_outputs=outputs // groups if grouped else 0,
        size=_pair(before[2:]),
        output=_pair(after[2:]),
        activation=activation,
    )
    return Call(weight, shape, inputs, outputs)


def _pair(value: Any) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)
