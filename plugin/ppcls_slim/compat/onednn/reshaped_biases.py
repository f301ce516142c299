"""The bias of a convolution is not fused into it, and neither is what follows the bias.

Symptom: MobileNetV3_small takes 5.9 ms instead of 4.6: biases and activations of squeeze-and-excitation blocks
run in float32, one operator each, with quantizers around them. Tracing reshapes a bias before adding it; the pass
takes only a parameter for one.
Pass: ``conv_bias_onednn_fuse_pass``.
Versions: Paddle 2.6.2 and 3.3.1, legacy IR.
Delete when: the pass finds reshaped parameters, or Paddle adds the bias along an axis.
"""

from __future__ import annotations

from typing import Any

from ..legacy_program import CONVOLUTIONS, consumers, producers_of, set_attr

CHANNELS = 1
"""Axis of them in ``[B, C, H, W]``."""


def rewrite(block: Any) -> None:
    """Add the parameter itself, along the axis of channels."""
    producers = producers_of(block)
    for op in [one for one in block.ops if one.type == "elementwise_add"]:
        terms, bias = op.input("X"), op.input("Y")[0]
        reshape, source = producers.get(bias), producers.get(terms[0])  # parameters have none
        if reshape is None or reshape.type != "reshape2" or source is None or source.type not in CONVOLUTIONS:
            continue
        parameter = block.var(reshape.input("X")[0])
        size = parameter.shape
        if not parameter.persistable or len(size) != 1 or list(block.var(bias).shape) != [1, size[0], 1, 1]:
            continue
        op._rename_input(bias, parameter.name)
        set_attr(op, "axis", CHANNELS)
        if not consumers(block, bias):
            block._remove_op(block.ops.index(reshape), sync=False)
    block._sync_with_cpp()
