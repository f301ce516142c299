"""One name and one set of attributes for each operation, whichever Paddle version recorded it.

Legacy IR has `elementwise_add(X, Y) {axis}`, PIR has `pd_op.add(x, y)`; a rule wants to know `add`. Names here are
those of PIR without prefix and trailing underscore.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Union

Attributes = Mapping[str, tuple[str, Union[str, int]]]
"""Canonical attribute -> (name in legacy IR, name or number of the operand in PIR)."""


@dataclass(frozen=True)
class Spec:
    """How one operation is read.

    Attributes:
        legacy: type of the operation in legacy IR.
        slots: its inputs there that are tensors, in the order of PIR's operands.
        attrs: what a rule may ask for.
    """

    legacy: str
    slots: tuple[str, ...] = ("X",)
    attrs: Attributes = field(default_factory=dict)


def _same(*names: str) -> Attributes:
    """Attributes that are called the same in both."""
    return {name: (name, name) for name in names}


_CONV = _same("groups", "data_format")
_FORMAT = _same("data_format")
_LAYOUT: Attributes = {"data_format": ("data_layout", "data_format")}
_REDUCE: Attributes = {"axis": ("dim", 1), "all": ("reduce_all", "reduce_all"), "keepdim": ("keep_dim", "keepdim")}
_RANGE: Attributes = {"axes": ("axes", "axes"), "starts": ("starts", 1), "ends": ("ends", 2)}
_BINARY: Attributes = {"axis": ("axis", "axis")}

SPECS: dict[str, Spec] = {
    "conv2d": Spec("conv2d", ("Input", "Filter"), _CONV),
    "depthwise_conv2d": Spec("depthwise_conv2d", ("Input", "Filter"), _CONV),
    "conv2d_transpose": Spec("conv2d_transpose", ("Input", "Filter"), _CONV),
    "depthwise_conv2d_transpose": Spec("depthwise_conv2d_transpose", ("Input", "Filter"), _CONV),
    "matmul": Spec(
        "matmul_v2",
        ("X", "Y"),
        {"transpose_x": ("trans_x", "transpose_x"), "transpose_y": ("trans_y", "transpose_y")},
    ),
    "batch_norm": Spec("batch_norm", ("X", "Mean", "Variance", "Scale", "Bias"), _LAYOUT),
    "sync_batch_norm": Spec("sync_batch_norm", ("X", "Mean", "Variance", "Scale", "Bias"), _LAYOUT),
    "instance_norm": Spec("instance_norm", ("X", "Scale", "Bias")),
    "layer_norm": Spec("layer_norm", ("X", "Scale", "Bias"), _same("begin_norm_axis")),
    "group_norm": Spec("group_norm", ("X", "Scale", "Bias"), _LAYOUT),
    "prelu": Spec("prelu", ("X", "Alpha"), _same("mode", "data_format")),
    "pool2d": Spec("pool2d", attrs=_same("data_format")),
    "nearest_interp": Spec("nearest_interp_v2", attrs=_LAYOUT),
    "bilinear_interp": Spec("bilinear_interp_v2", attrs=_LAYOUT),
    "bicubic_interp": Spec("bicubic_interp_v2", attrs=_LAYOUT),
    "pad3d": Spec(
        "pad3d",
        attrs={"paddings": ("paddings", 1), "value": ("value", "pad_value"), **_same("mode", "data_format")},
    ),
    "pad": Spec("pad", attrs={"paddings": ("paddings", "paddings"), "value": ("pad_value", 1)}),
    "concat": Spec("concat", attrs={"axis": ("axis", 1)}),
    "stack": Spec("stack", attrs=_same("axis")),
    "split": Spec("split", attrs={"axis": ("axis", 2), "num": ("num", "num")}),
    "split_with_num": Spec("-", attrs={"axis": ("axis", 1), "num": ("num", "num")}),
    "unbind": Spec("unbind", attrs=_same("axis")),
    "slice": Spec("slice", ("Input",), {**_RANGE, "decrease": ("decrease_axis", "decrease_axis")}),
    "strided_slice": Spec("strided_slice", ("Input",), {**_RANGE, "strides": ("strides", 3)}),
    "set_value": Spec(
        "-",
        attrs={
            "axes": ("axes", "axes"),
            "starts": ("starts", 1),
            "ends": ("ends", 2),
            "strides": ("steps", 3),
            "decrease": ("decrease_axes", "decrease_axes"),
        },
    ),
    "set_value_with_tensor": Spec(
        "set_value",
        ("Input", "ValueTensor"),
        {
            "axes": ("axes", "axes"),
            "starts": ("starts", 2),
            "ends": ("ends", 3),
            "strides": ("steps", 4),
            "decrease": ("decrease_axes", "decrease_axes"),
        },
    ),
    "index_select": Spec("index_select", ("X", "Index"), {"axis": ("dim", "axis")}),
    "gather": Spec("gather", ("X", "Index"), {"axis": ("axis", 2)}),
    "roll": Spec("roll", attrs=_same("axis")),
    "flip": Spec("flip", attrs=_same("axis")),
    "pixel_shuffle": Spec("pixel_shuffle", attrs={"factor": ("upscale_factor", "upscale_factor"), **_FORMAT}),
    "pixel_unshuffle": Spec("pixel_unshuffle", attrs={"factor": ("downscale_factor", "downscale_factor"), **_FORMAT}),
    "channel_shuffle": Spec("channel_shuffle", attrs=_same("groups", "data_format")),
    "transpose": Spec("transpose2", attrs={"perm": ("axis", "perm")}),
    "reshape": Spec("reshape2"),
    "flatten": Spec("flatten_contiguous_range"),
    "squeeze": Spec("squeeze2"),
    "unsqueeze": Spec("unsqueeze2"),
    "expand": Spec("expand_v2"),
    "tile": Spec("tile"),
    "unfold": Spec("unfold", attrs=_same("kernel_sizes")),
    "fold": Spec("fold", attrs=_same("kernel_sizes")),
    "softmax": Spec("softmax", attrs=_same("axis")),
    "sum": Spec("reduce_sum", attrs=_REDUCE),
    "mean": Spec("reduce_mean", attrs={**_REDUCE, "axis": ("dim", 1)}),
    "max": Spec("reduce_max", attrs=_REDUCE),
    "min": Spec("reduce_min", attrs=_REDUCE),
    "p_norm": Spec(
        "p_norm",
        attrs={"axis": ("axis", "axis"), "keepdim": ("keepdim", "keepdim"), "all": ("asvector", "asvector")},
    ),
    "add": Spec("elementwise_add", ("X", "Y"), _BINARY),
    "subtract": Spec("elementwise_sub", ("X", "Y"), _BINARY),
    "multiply": Spec("elementwise_mul", ("X", "Y"), _BINARY),
    "divide": Spec("elementwise_div", ("X", "Y"), _BINARY),
    "maximum": Spec("elementwise_max", ("X", "Y"), _BINARY),
    "minimum": Spec("elementwise_min", ("X", "Y"), _BINARY),
    "scale": Spec("scale", attrs=_same("bias")),
    "clip": Spec("clip", attrs={"min": ("min", 1), "max": ("max", 2)}),
    "pow": Spec("pow", attrs={"y": ("factor", "y")}),
    "hardsigmoid": Spec("hard_sigmoid"),
    "hardswish": Spec("hard_swish"),
    "tanh_shrink": Spec("tanh_shrink"),
    "uniform": Spec("uniform_random", ()),
    "gaussian": Spec("gaussian_random", ()),
    "full": Spec("fill_constant", ()),
    "full_with_tensor": Spec("-", ()),
    "assign_value": Spec("assign_value", ()),
    "numel": Spec("size", ("Input",)),
    "shape": Spec("shape", ("Input",)),
    "shape64": Spec("-"),
}

FROM_LEGACY: dict[str, str] = {spec.legacy: name for name, spec in SPECS.items()}

SIZES: dict[str, Collection[Union[str, int]]] = {
    **dict.fromkeys(["conv2d", "depthwise_conv2d", "conv2d_transpose", "depthwise_conv2d_transpose"], ("groups",)),
    **dict.fromkeys(["full", "assign_value", "uniform", "gaussian", "empty"], ("shape", 0)),
    "reshape": ("shape", 1),
    "expand": ("shape", 1),
    "expand_as": ("target_shape",),
    "tile": ("repeat_times", 1),
    "split": ("sections", 1),
    "slice": ("starts", "ends", 1, 2),
    "strided_slice": ("starts", "ends", 1, 2),
    "set_value": ("starts", "ends", "shape", 1, 2),
    "set_value_with_tensor": ("starts", "ends", "shape", 2, 3),
}
"""Operation -> its ``constants`` that count positions of an axis: shapes and labels of the results tell whether they
are right when channels are removed. By the names of legacy IR, and by those of PIR."""
