"""An average over a whole feature map is computed with the scale of the map, or the map with that of the average.

Symptom: squeeze-and-excitation blocks of ESNet are wrong by half in int8. An average over a map is much smaller than
the map's largest value, so that either the input is clipped or the output has a few steps only.
Pass: ``compute_propagate_scales_onednn_pass``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the pass gives input and output of an average scales of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..legacy_program import copy_output, set_attr

LARGEST_WINDOW = 9
"""Averages over windows of 3x3 or less (Inception, the shortcuts of ResNet_vd) keep their input's scale and stay in
int8: in float32 they take 7 % of the network's time."""


def averages_many(op: Any) -> bool:
    """Whether an operator averages so many values that the average is much smaller than they are."""
    if op.type != "pool2d" or op.attr("pooling_type") != "avg":
        return False
    return bool(op.attr("adaptive") or op.attr("global_pooling") or np.prod(op.attr("ksize")) > LARGEST_WINDOW)


def rewrite(block: Any) -> None:
    """Let such averages run in float32, with an ``assign`` behind them that ends the scale's propagation."""
    for place in reversed([i for i, op in enumerate(block.ops) if averages_many(op)]):
        set_attr(block.ops[place], "skip_quant", 1)
        copy_output(block, place)
