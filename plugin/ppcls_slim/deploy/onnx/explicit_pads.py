"""Numbers in place of ``auto_pad``, which readers of ONNX files understand in different ways.

``pnnx``, for ncnn, pads by one row and column, whether the size of the input needs it or not.
"""

from __future__ import annotations

import math

import onnx
from onnx import helper

SAME = (b"SAME_UPPER", b"SAME_LOWER")


def write_pads(model: onnx.ModelProto) -> None:
    """Write the paddings that ``SAME`` means for the sizes of the feature maps, in place.

    The size of an output is ``ceil(size of the input / stride)``, as ONNX's operators define ``auto_pad``. A node
    whose input is of an unknown size is left as it is.

    Args:
        model: with an input of known height and width.
    """
    inferred = onnx.shape_inference.infer_shapes(model).graph
    known = {one.name: one.type.tensor_type.shape.dim for one in (*inferred.input, *inferred.value_info)}
    weights = {one.name: list(one.dims) for one in model.graph.initializer}
    for node in model.graph.node:
        said = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        sizes = [size.dim_value for size in known.get(node.input[0], ())][2:] if node.input else []
        if said.get("auto_pad") not in SAME or not sizes or not all(sizes):
            continue
        kernel = said.get("kernel_shape") or weights.get(node.input[1], [])[2:]
        ones = [1] * len(sizes)
        needed = [
            max((math.ceil(size / stride) - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
            for size, taps, stride, dilation in zip(
                sizes, kernel, said.get("strides", ones), said.get("dilations", ones)
            )
        ]
        smaller, larger = [one // 2 for one in needed], [one - one // 2 for one in needed]
        pads = smaller + larger if said["auto_pad"] == SAME[0] else larger + smaller
        kept = [one for one in node.attribute if one.name not in ("auto_pad", "pads", "ceil_mode")]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("pads", pads)])
