"""Cross-layer equalization: scale channels between two layers so that the ranges of both weights are alike.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv:1906.04721, section 4.1.
Channel ``i`` of the first layer is divided by ``s_i = sqrt(r1_i r2_i) / r2_i`` and multiplied in the second
(equations 9 to 11), which a ReLU between them lets pass (equation 4). Depthwise convolutions are both ends of a pair,
so that pairs form chains, which are repeated until nothing changes (section 4.1.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..compat.layers import epsilon
from ..compat.paddle import paddle
from ..graph.model import layer_of, tensors_of
from ..graph.program import Operation, Program, Tensor
from ..graph.record import record

CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
RESHAPE = "reshape"
LARGEST_FACTOR = 1e4
"""Channels that would be scaled by more are dead, or nearly so; they are left as they are."""
ROUNDS, ENOUGH = 20, 1e-3
"""Chains are repeated until no factor is further from 1 than this."""


@dataclass(frozen=True)
class Pair:
    """Two convolutions, and nothing that would not let a positive factor pass between them.

    Attributes:
        first: name of the convolution.
        norm: of the batch normalization behind it, or None.
        second: of the convolution that alone reads the result.
    """

    first: str
    norm: Optional[str]
    second: str


def equalize(model: paddle.nn.Layer, input_shape: Sequence[int]) -> list[Pair]:
    """Equalize a float model in place; what it computes stays the same but for rounding.

    Args:
        model: its branches merged.
        input_shape: ``[C, H, W]``.

    Returns:
        The pairs; none where the model cannot be recorded.
    """
    pairs = find_pairs(record(model, input_shape, training=False))
    layers = dict(model.named_sublayers())
    for _ in range(ROUNDS):
        changes = [_equalize(layers, pair) for pair in pairs]
        if max(changes, default=0.0) < ENOUGH:
            break
    return pairs


def find_pairs(program: Program) -> list[Pair]:
    """Return the pairs of a recorded program, in the order in which they run."""
    if program.error:
        return []
    found = _Uses(program)
    pairs = [_follow(one, found) for one in program.operations if one.name in CONVOLUTIONS and found.is_plain(one)]
    return [pair for pair in pairs if pair is not None]


class _Uses:
    """What reads every tensor of a program."""

    def __init__(self, program: Program):
        self._readers: dict[int, list[Operation]] = {}
        for operation in program.operations:
            for tensor in operation.inputs:
                self._readers.setdefault(id(tensor), []).append(operation)
        self._returned = {id(tensor) for _, tensor in program.outputs}
        self._params = Counter(tensor.param for operation in program.operations for tensor in operation.inputs)
        # The bias of a convolution is reshaped to [1, c, 1, 1] and added.
        self._reshaped = {
            id(one.outputs[0]): one.inputs[0].param for one in program.operations if one.name == RESHAPE
        }

    def reader(self, tensor: Tensor) -> Optional[Operation]:
        """Return the one operation that reads a tensor; None where there are several, or the model returns it."""
        readers = self._readers.get(id(tensor), [])
        return readers[0] if len(readers) == 1 and id(tensor) not in self._returned else None

    def parameters(self, operation: Operation, tensor: Tensor) -> Optional[list[str]]:
        """Return the names of all inputs but ``tensor``; None if one is no parameter, or is used elsewhere, too."""
        others = [one for one in operation.inputs if one is not tensor]
        names = [one.param or self._reshaped.get(id(one)) for one in others]
        known = [name for name in names if name is not None and self._params[name] == 1]
        return known if len(known) == len(names) else None

    def is_plain(self, operation: Operation) -> bool:
        """Whether a convolution has a weight of its own, and an ordinary one or one filter a channel."""
        weight = operation.inputs[1]
        groups = operation.attrs.get("groups", 1)
        depthwise = weight.shape[0] == groups and weight.shape[1] == 1
        known = weight.param is not None and weight.param.endswith(".weight") and self._params[weight.param] == 1
        return known and (groups == 1 or depthwise) and operation.attrs.get("data_format", "NCHW") == "NCHW"


def _follow(first: Operation, uses: _Uses) -> Optional[Pair]:
    """Follow the output of a convolution to the next one, through what lets a positive factor pass."""
    tensor, norm = first.outputs[0], None
    name = layer_of(str(first.inputs[1].param))
    operation = uses.reader(tensor)
    while operation is not None:
        parameters = uses.parameters(operation, tensor)
        if operation.name in CONVOLUTIONS:
            fits = operation.inputs[0] is tensor and uses.is_plain(operation)
            return Pair(name, norm, layer_of(str(operation.inputs[1].param))) if fits else None
        if operation.name == "batch_norm" and norm is None and parameters is not None and len(parameters) == 4:
            norm = layer_of(parameters[0])
        elif operation.name == "add" and norm is None and parameters == [f"{name}.bias"]:
            pass  # the bias of the convolution, which normalization scales or _equalize()
        elif operation.name != "relu":
            return None
        tensor = operation.outputs[0]
        operation = uses.reader(tensor)
    return None


def _equalize(layers: dict[str, paddle.nn.Layer], pair: Pair) -> float:
    """Equalize one pair; return how far the factor that is furthest from 1 is from it."""
    first, second = layers[pair.first], layers[pair.second]
    norm = layers[pair.norm] if pair.norm is not None else None
    factor = _factor(first, norm, second)
    for tensor in (first.weight, first.bias) if norm is None else (norm.weight, norm.bias):
        if tensor is not None:
            _scale(tensor, 1 / factor, 0)
    depthwise = second.weight.shape[1] == 1 and second.weight.shape[0] == len(factor)
    _scale(second.weight, factor, 0 if depthwise else 1)
    return float(np.abs(factor - 1).max())


def _factor(first: paddle.nn.Layer, norm: Optional[paddle.nn.Layer], second: paddle.nn.Layer) -> np.ndarray:
    """``s`` of equation 11, ``[c]``."""
    one = np.abs(first.weight.numpy().astype(np.float64)).max(axis=(1, 2, 3))
    if norm is not None:
        tensors = tensors_of(norm)
        variance = tensors["_variance"].numpy().astype(np.float64)
        one = one * np.abs(norm.weight.numpy()) / np.sqrt(variance + epsilon(norm))
    weight = np.abs(second.weight.numpy().astype(np.float64))
    depthwise = weight.shape[1] == 1 and weight.shape[0] == len(one)
    two = weight.max(axis=(1, 2, 3) if depthwise else (0, 2, 3))
    alive = (one > 0) & (two > 0)
    factor = np.sqrt(np.divide(one, two, out=np.ones_like(one), where=alive))
    sane = alive & (factor < LARGEST_FACTOR) & (factor > 1 / LARGEST_FACTOR)
    return np.asarray(np.where(sane, factor, 1.0))


def _scale(tensor: paddle.Tensor, factor: np.ndarray, axis: int) -> None:
    shape = [1] * tensor.ndim
    shape[axis] = -1
    tensor.set_value((tensor.numpy() * factor.reshape(shape)).astype(tensor.numpy().dtype))
