"""The scales of a linear layer's weight are read wrong.

Symptom: linear layers whose columns are of different size are wrong in int8. Square weights get the scales of their
columns on their rows; of other weights, values are clipped.
Pass: ``quant_dequant_onednn_pass`` and ``compute_propagate_scales_onednn_pass``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: both passes read the scale of each column (``quant_axis`` 1) of ``[in, out]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..legacy_program import producers_of, set_attr
from ..paddle import paddle

WEIGHT_QUANTIZERS = ("dequantize_linear", "fake_channel_wise_quantize_dequantize_abs_max")


@dataclass(frozen=True)
class LinearLayer:
    """A quantized linear layer of a program.

    Attributes:
        op: ``matmul_v2``.
        weight: name of the weight ``[in, out]`` that it computes with.
        stored: name of the parameter that the weight is made of.
    """

    op: Any
    weight: str
    stored: str


def linear_layers(block: Any) -> list[LinearLayer]:
    """Find the quantized linear layers."""
    producers, found = producers_of(block), []
    for op in block.ops:
        name = op.input("Y")[0] if op.type == "matmul_v2" else ""
        if name in producers and producers[name].type in WEIGHT_QUANTIZERS:
            stored = block.var(producers[name].input("X")[0])
            if stored.persistable and len(stored.shape) == 2:
                found.append(LinearLayer(op, name, stored.name))
    return found


def rewrite(block: Any, weights: Mapping[str, np.ndarray]) -> list[str]:
    """Give a linear layer one scale for all columns where the wrong scales change its weight more than that.

    Args:
        block: of an exported program.
        weights: name of a weight -> its value ``[in, out]``, as the program computes it.

    Returns:
        Names of the stored parameters that have one scale for all columns now.
    """
    producers, rescaled = producers_of(block), []
    for layer in linear_layers(block):
        if layer.weight not in weights:
            continue
        weight, producer = weights[layer.weight], producers[layer.weight]
        read = _as_onednn_reads(weight, integers=producer.type == "dequantize_linear")
        if _change(weight, read) > _change(weight, _rounded(weight, np.abs(weight).max())):
            _scale_once(block, layer.op, producer, float(np.abs(weight).max()))
            rescaled.append(layer.stored)
    return rescaled


def _as_onednn_reads(weight: np.ndarray, integers: bool) -> np.ndarray:
    """Return the weight of a linear layer that oneDNN computes with, by the two passes of 2.6.2 and 3.3.1.

    ``quant_dequant_onednn_pass`` takes as many scales as there are rows for scales of the rows, also where there are
    as many columns (``ConvertFromINT8ToFP32``). ``compute_propagate_scales_onednn_pass`` then takes the largest
    magnitude of ``in`` consecutive values for that of a column (``GetScales``): what is larger is clipped.

    Args:
        weight: ``[in, out]``, on the grid of its columns.
        integers: whether it is stored as integers (``onnx_format``).
    """
    rows, columns = weight.shape
    if integers and rows == columns:
        scales = np.abs(weight).max(axis=0)
        weight = weight / np.where(scales > 0, scales, 1) * scales[:, None]
    return _rounded(weight, np.abs(weight).reshape(columns, rows).max(axis=1))


def _rounded(weight: np.ndarray, largest: Any) -> np.ndarray:
    """Round to 8 bits, with scales for columns or one for all."""
    step = np.where(largest > 0, largest, 1) / 127
    return np.asarray(np.clip(np.round(weight / step), -127, 127) * step)


def _change(weight: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(other - weight))


def _scale_once(block: Any, op: Any, producer: Any, largest: float) -> None:
    """Give a linear layer one scale for all columns in oneDNN, and what was trained elsewhere.

    The passes trust the ``out_threshold`` of the operator that makes a variable, and a weight is not a variable
    before ``constant_folding_pass`` has made one of a product: of integers and the steps of the columns, or of a
    weight that is stored in floats and ones (a mere copy is taken out too early).
    """
    source = op.input("Y")[0]
    name = f"{source}.weight"
    if block.has_var(name):  # a layer that is called twice
        op._rename_input(source, name)
        return
    place = next(i for i, one in enumerate(block.ops) if one.output_arg_names == op.output_arg_names)
    stored, scope, value = block.var(producer.input("X")[0]), paddle.static.global_scope(), block.var(source)
    factor = np.ones(value.shape[1], dtype=np.float32)
    if producer.type == "dequantize_linear":
        factor = np.array(scope.find_var(producer.input("Scale")[0]).get_tensor()).astype(np.float32) / 127
        value = block.create_var(name=f"{source}.whole", shape=stored.shape, dtype="float32")
        types = {"in_dtype": stored.dtype, "out_dtype": value.dtype}
        block._insert_op(place, type="cast", inputs={"X": stored}, outputs={"Out": value}, attrs=types)
        place += 1
    factors = block.create_var(name=f"{source}.factors", shape=factor.shape, dtype="float32", persistable=True)
    scope.var(factors.name).get_tensor().set(factor, paddle.CPUPlace())
    weight = block.create_var(name=name, shape=value.shape, dtype="float32")
    product = {"inputs": {"X": value, "Y": factors}, "outputs": {"Out": weight}}
    set_attr(block._insert_op(place, type="elementwise_mul", **product), "out_threshold", largest)
    op._rename_input(source, name)
