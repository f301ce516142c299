"""An exported quantized program taken apart: the float program, and the scales of its quantized layers.

``paddle2onnx`` 2.1 refuses ``quantize_linear`` of int8 (``quantize_linear.cc`` asserts e4m3 or e5m2), so that
quantized models reach other engines as a float program and scales.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .expand_shapes import shapes_as_one_tensor
from .legacy_program import consumers, program_of, save_program
from .paddle import paddle

QUANTIZE, DEQUANTIZE = "quantize_linear", "dequantize_linear"
LARGEST = 127
"""Largest integer of the symmetric int8 grid; Paddle's scales are the values that it stands for."""


@dataclass(frozen=True)
class LayerScales:
    """The int8 grids of one quantized layer.

    Attributes:
        input_step: size of one step of its input on the signed grid, ``largest value / 127``.
        weight_steps: of its weight, ``[channels]``, or ``[1]`` for the whole weight.
        axis: of those channels in the weight.
        unsigned: whether training quantized the input to integers from 0 to 255, with the same largest value.
    """

    input_step: float
    weight_steps: np.ndarray
    axis: int
    unsigned: bool = False


def split_quantization(path: Path, float_path: Path) -> dict[str, LayerScales]:
    """Write the float program of a quantized one, whose weights keep their values on the int8 grid.

    Args:
        path: without suffix, of :func:`.qat_export.save_quantized` with ``onnx_format``.
        float_path: without suffix, where the float program is written.

    Returns:
        Name of the weight of a quantized layer -> its scales, in the order in which they run.
    """
    with program_of(path) as (executor, program, feeds, fetches):
        layers = _remove_quantizers(program.global_block(), None)
        shapes_as_one_tensor(program.global_block())
        save_program(float_path, executor, program, feeds, fetches)
    return layers


def leave_float(path: Path, target: Path, weights: Collection[str]) -> None:
    """Write a quantized program whose layers of these weights are float; their weights stay on the int8 grid.

    Args:
        path: without suffix, of :func:`.qat_export.save_quantized` with ``onnx_format``.
        target: without suffix, where the program is written.
        weights: names of weights of quantized layers.
    """
    with program_of(path) as (executor, program, feeds, fetches):
        _remove_quantizers(program.global_block(), weights)
        save_program(target, executor, program, feeds, fetches)


def _remove_quantizers(block: Any, of_weights: Optional[Collection[str]]) -> dict[str, LayerScales]:
    """Remove those of some layers, or all (None); return name of the weight -> the scales that were removed."""
    scope = paddle.static.global_scope()
    layers: dict[str, LayerScales] = {}
    quantizers = {op.output("Y")[0]: op for op in block.ops if op.type in (QUANTIZE, DEQUANTIZE)}
    for op in block.ops:
        if op.type in (QUANTIZE, DEQUANTIZE):
            continue
        last = {name: quantizers[name] for name in op.input_arg_names if name in quantizers}
        sources = {name: _source(quantizers, name) for name in last}
        weights = [name for name, source in sources.items() if block.var(source).persistable]
        inputs = [name for name in sources if name not in weights]
        if of_weights is not None and not any(sources[name] in of_weights for name in weights):
            continue
        if weights and inputs:
            axis = last[weights[0]].attr("quant_axis")
            steps = _steps(scope, last[weights[0]])
            layers[sources[weights[0]]] = LayerScales(float(_steps(scope, last[inputs[0]])[0]), steps, axis)
        for name, source in sources.items():
            op._rename_input(name, source)
    for op in reversed([op for op in block.ops if op.type in (QUANTIZE, DEQUANTIZE)]):  # readers first
        if not consumers(block, op.output("Y")[0]):
            block._remove_op(block.ops.index(op), sync=False)
    block._sync_with_cpp()
    for name, scales in layers.items():
        _to_floats(block, scope, name, scales)
    return layers


def _source(quantizers: dict[str, Any], name: str) -> str:
    while name in quantizers:
        name = quantizers[name].input("X")[0]
    return name


def _steps(scope: Any, op: Any) -> np.ndarray:
    scale = np.array(scope.find_var(op.input("Scale")[0]).get_tensor())
    return scale.reshape(-1).astype(np.float64) / LARGEST


def _to_floats(block: Any, scope: Any, name: str, scales: LayerScales) -> None:
    tensor = scope.find_var(name).get_tensor()
    integers = np.array(tensor)
    shape = [1] * integers.ndim
    if len(scales.weight_steps) > 1:
        shape[scales.axis] = -1
    tensor.set((integers * scales.weight_steps.reshape(shape)).astype(np.float32), paddle.CPUPlace())
    block.var(name).desc.set_dtype(paddle.base.core.VarDesc.VarType.FP32)
