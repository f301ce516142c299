"""Programs in legacy IR (ProgramDesc, ``.pdmodel``): trace into it, open a file, and read and edit its blocks.

Paddle 2.6 has no other format. Paddle 3.x writes PIR unless it is asked for legacy IR, which PaddleSlim 2.6.0 and
the int8 passes of Paddle Inference need.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .paddle import paddle

CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
CONVOLVED = (*CONVOLUTIONS, "batch_norm")
RELU_OPS = ("relu", "relu6")
ACTIVATIONS = (
    *("abs", "clip", "gelu", "hard_sigmoid", "hard_swish", "leaky_relu", "mish", "relu", "relu6", "sigmoid", "silu"),
    *("sqrt", "swish", "tanh"),
)
"""Operators that oneDNN fuses into what is before them."""
QUANTIZERS = ("quantize_linear", "dequantize_linear", "fake_quantize_dequantize_moving_average_abs_max")
SCALE_KEEPING = ("pool2d", "reshape2", "transpose2", "slice", "split", "nearest_interp", "nearest_interp_v2")
"""Operators whose output has values of their input only: oneDNN gives both the same scale."""


@contextmanager
def legacy_ir() -> Iterator[None]:
    """Trace into legacy IR for the length of a ``with`` block; nothing changes on Paddle 2.6.

    Operations of PIR have no ``type``: ``Operation has no attribute 'type'`` in PaddleSlim's ``GraphWrapper``.
    ``FPGMFilterPruner``, ``prune_vars``, ``dygraph_flops`` and QAT work inside this guard. May go with PaddleSlim.
    """
    guard = getattr(getattr(paddle, "pir_utils", None), "OldIrGuard", None)
    if guard is None:  # Paddle 2.6
        yield
        return
    with guard():
        yield


@contextmanager
def program_of(path: Path) -> Iterator[Any]:
    """Open a file: an executor and the program, its inputs' names and its outputs, in static mode.

    Args:
        path: without suffix.
    """
    was_dynamic = paddle.in_dynamic_mode()
    paddle.enable_static()
    try:
        with paddle.static.scope_guard(paddle.static.Scope()), legacy_ir():
            executor = paddle.static.Executor(paddle.CPUPlace())
            yield (executor, *paddle.static.load_inference_model(str(path), executor))
    finally:
        if was_dynamic:
            paddle.disable_static()


def save_program(path: Path, executor: Any, program: Any, feeds: Sequence[str], fetches: Any) -> None:
    """Write a program that :func:`program_of` opened, inside its ``with`` block."""
    inputs = [program.global_block().var(name) for name in feeds]
    paddle.static.save_inference_model(str(path), inputs, fetches, executor, program=program, clip_extra=True)


def producers_of(block: Any) -> dict[str, Any]:
    """Name of a variable -> the operator that computes it (the last one, where names are given twice)."""
    return {output: op for op in block.ops for output in op.output_arg_names}


def fused_producers_of(block: Any) -> dict[str, Any]:
    """:func:`producers_of`, where what adds a bias to a convolution's output counts as that convolution."""
    producers = producers_of(block)
    for op in block.ops:
        if op.type == "elementwise_add" and block.var(op.input("Y")[0]).persistable:
            source = producers.get(op.input("X")[0])
            if source is not None and source.type in CONVOLUTIONS:
                producers[op.output("Out")[0]] = source
    return producers


def consumers(block: Any, name: str) -> list[Any]:
    """Operators that read a variable."""
    return [op for op in block.ops if name in op.input_arg_names]


def data_input(op: Any) -> str:
    """Name of the feature map that an operator of one input reads."""
    key = "Input" if op.type == "slice" or "conv2d" in op.type else "X"
    return str(op.input(key)[0])


def is_float(op: Any) -> bool:
    """Whether the output of an operator is of float32: not one of the sizes that shapes are computed from."""
    kind = op.block.var(op.output("Out")[0]).desc.dtype()
    return bool(kind == paddle.base.core.VarDesc.VarType.FP32)


def quantized_activations(block: Any) -> set[str]:
    """Feature maps that a quantizer reads."""
    return {op.input("X")[0] for op in block.ops if op.type.startswith(("quantize_linear", "fake_quantize"))}


def comes_from_relu(producers: Mapping[str, Any], name: str, through: Collection[str]) -> bool:
    """Whether a feature map is a ReLU's output, with nothing but operators of the given types behind it."""
    op = producers.get(name)
    while op is not None and op.type in through:
        op = producers.get(data_input(op))
    return op is not None and op.type in RELU_OPS


def is_unsigned(producers: Mapping[str, Any], name: str) -> bool:
    """Whether oneDNN knows that no value of a feature map is negative: it is a ReLU's output, pooled or not."""
    return comes_from_relu(producers, name, SCALE_KEEPING)


def set_attr(op: Any, name: str, value: Any) -> None:
    """Set an attribute of an operator."""
    op._set_attr(name, value)


def copy_input(block: Any, place: int, name: str, copy_name: str) -> None:
    """Let the operator at ``place`` read a copy of an input, made by an ``assign`` before it."""
    source = block.var(name)
    copy = block.create_var(name=copy_name, shape=source.shape, dtype=source.dtype)
    block.ops[place]._rename_input(name, copy.name)
    block._insert_op(place, type="assign", inputs={"X": source}, outputs={"Out": copy})


def copy_output(block: Any, place: int) -> None:
    """Put an ``assign`` behind the operator at ``place``, which ends the propagation of scales."""
    op = block.ops[place]
    output = block.var(op.output("Out")[0])
    inner = block.create_var(name=f"{output.name}.inner", shape=output.shape, dtype=output.dtype)
    op._rename_output(output.name, inner.name)
    block._insert_op(place + 1, type="assign", inputs={"X": inner}, outputs={"Out": output})
