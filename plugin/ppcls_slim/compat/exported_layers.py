"""Read the layers of an exported quantized program and what each of them computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .legacy_program import QUANTIZERS, program_of

LAYERS = {
    "conv2d": ("Input", "Filter"),
    "depthwise_conv2d": ("Input", "Filter"),
    "conv2d_transpose": ("Input", "Filter"),
    "matmul_v2": ("X", "Y"),
}
"""Operators with weights -> their data input and their weight."""


@dataclass(frozen=True)
class QuantizedOp:
    """A layer in an exported program, and what it computed.

    Attributes:
        name: of its weight.
        weight: as it is computed with.
        input: before it is quantized; None if the layer is float.
        scale: of its input; None if the layer is float.
        output: without bias.
    """

    name: str
    weight: np.ndarray
    input: Optional[np.ndarray]
    scale: Optional[float]
    output: np.ndarray


@dataclass(frozen=True)
class _Names:
    """Names of a layer's variables, see :class:`QuantizedOp`; ``stored`` is the parameter of the weight."""

    stored: str
    weight: str
    input: Optional[str]
    scale: Optional[str]
    output: str


def run_layers(path: Path, images: np.ndarray) -> list[QuantizedOp]:
    """Run an exported file (``onnx_format``) as it is written, without oneDNN, and return its layers in order.

    Args:
        path: without suffix, of :func:`.qat_export.save_quantized`.
        images: ``[n, C, H, W]``.
    """
    with program_of(path) as (executor, program, feeds, _):
        found = _quantized_layers(program.global_block())
        names = [name for one in found for name in (one.weight, one.input, one.scale, one.output) if name is not None]
        fetched = list(dict.fromkeys(names))
        values = dict(zip(fetched, executor.run(program, feed={feeds[0]: images}, fetch_list=fetched)))
    return [
        QuantizedOp(
            one.stored,
            values[one.weight],
            None if one.input is None else values[one.input],
            None if one.scale is None else values[one.scale].item(),
            values[one.output],
        )
        for one in found
    ]


def _quantized_layers(block: Any) -> list[_Names]:
    producers: dict[str, Any] = {}  # so far: quantizers of one feature map for several layers give it the same name
    found = []
    for op in block.ops:
        producers.update(dict.fromkeys(op.output_arg_names, op))
        if op.type not in LAYERS:
            continue
        data, weight = (op.input(key)[0] for key in LAYERS[op.type])
        stored = _stored_weight(producers, weight)
        if block.var(stored).persistable:
            quantized = data in producers and producers[data].type in QUANTIZERS
            source = _before(producers, _before(producers, data)) if quantized else None
            scale = producers[data].input("Scale")[0] if quantized else None
            found.append(_Names(stored, weight, source, scale, op.output_arg_names[0]))
    return found


def _stored_weight(producers: Mapping[str, Any], name: str) -> str:
    """What a layer's weight is computed from: its (de)quantizer's input, or what is cast and multiplied by steps."""
    while name in producers and producers[name].type in (*QUANTIZERS, "elementwise_mul", "cast"):
        name = producers[name].input("X")[0]
    return name


def _before(producers: Mapping[str, Any], name: str) -> str:
    """What a (de)quantizer that makes a feature map reads, or the feature map itself."""
    op = producers.get(name)
    return op.input("X")[0] if op is not None and op.type in QUANTIZERS else name
