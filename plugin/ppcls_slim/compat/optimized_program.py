"""What Paddle Inference makes of an exported int8 program on a CPU: which layers its passes put into int8.

The predictor tells nothing about it. It can write the program that it runs (2.6.2 and 3.3.1), where an operator of
oneDNN has ``mkldnn_data_type``, and keeps the name of its weight.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .paddle import paddle
from .paddle_inference import create_predictor, use_cpu

LAYERS = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "fused_conv2d", "conv2d_transpose"), "Filter"),
    **dict.fromkeys(("fused_conv3d", "conv2d_transpose_bias"), "Filter"),
    "fc": "W",
    **dict.fromkeys(("matmul", "matmul_v2", "fused_matmul", "mul", "bmm"), "Y"),
}
"""Operators that are convolutions and matrix products -> their weight, or second matrix."""
PROGRAM = "_optimized.pdmodel"


@dataclass(frozen=True)
class OptimizedOp:
    """An operator, as Paddle Inference runs it.

    Attributes:
        kind: ``fused_conv2d``, ...
        name: of its weight; of its output where it has none.
        int8: whether it runs in int8.
    """

    kind: str
    name: str
    int8: bool


def optimized_layers(program: Path, parameters: Path) -> list[OptimizedOp]:
    """Return the convolutions and matrix products of :func:`optimized_program`, in order."""
    return [op for op in optimized_program(program, parameters) if op.kind in LAYERS]


def optimized_program(program: Path, parameters: Path) -> list[OptimizedOp]:
    """Optimize an exported program for int8 on a CPU, as a predictor does, and return its operators.

    Args:
        program: in legacy IR.
        parameters: its weights.
    """
    with tempfile.TemporaryDirectory() as scratch:
        config = paddle.inference.Config(str(program), str(parameters))
        use_cpu(config, program, threads=1, precision="int8", onednn=True)
        config.set_optim_cache_dir(scratch)
        config.enable_save_optim_model(True)
        create_predictor(config, program)
        written = (Path(scratch) / PROGRAM).read_bytes()
    # Not paddle.static.Program: its operators have to be known to Python, and those of oneDNN are not in 2.6.2.
    found = paddle.base.core.ProgramDesc(written)  # has to outlive what is read of it
    block = found.block(0)
    return [_op(block, block.op(place)) for place in range(block.op_size())]


def _op(block: Any, op: Any) -> OptimizedOp:
    kind, name = op.type(), next(iter(op.output_arg_names()), "")
    if kind in LAYERS:
        weight = op.input(LAYERS[kind])[0]
        variable = block.find_var(weight.encode())
        name = weight if variable is not None and variable.persistable() else name
    return OptimizedOp(kind, name, op.has_attr("mkldnn_data_type") and op.attr("mkldnn_data_type") == "int8")
