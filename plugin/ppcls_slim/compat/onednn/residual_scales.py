"""A convolution with an addition fused into it runs in float32.

Symptom: int8 ResNets are little faster than float ones. ``cpu_quantize_pass`` needs the scales of the added feature
map and of the result. The quantizers of training stand before convolutions only, so that a projection shortcut and
the last sum have none.
Pass: ``cpu_quantize_pass``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: training quantizes the terms of residual additions, or the pass computes the scales itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..legacy_program import CONVOLVED, QUANTIZERS, RELU_OPS, comes_from_relu, consumers, fused_producers_of


def without_scale(block: Any) -> list[str]:
    """Feature maps that residual additions add or give, activated; they need an ``out_threshold``."""
    producers = fused_producers_of(block)
    convolved = {name for name, op in producers.items() if op.type in CONVOLVED}
    names: list[str] = []
    for op in block.ops:
        if op.type != "elementwise_add":
            continue
        terms, result = [op.input("X")[0], op.input("Y")[0]], op.output("Out")[0]
        shapes = {tuple(block.var(name).shape) for name in terms}
        if len(shapes) > 1 or len(shapes.pop()) != 4 or convolved.isdisjoint(terms):
            continue  # a bias, a scaling, or arithmetic of another kind
        names += terms
        # Where the input of the convolution may be negative, oneDNN's sum is signed, and the pass looks for an
        # unsigned pooling after it: "could not create a descriptor for a pooling forward propagation primitive".
        if any(_convolves_unsigned(producers, name) for name in convolved.intersection(terms)):
            names += [user.output("Out")[0] for user in consumers(block, result) if user.type in RELU_OPS]
    return names


def _convolves_unsigned(producers: Mapping[str, Any], name: str) -> bool:
    """Whether a feature map is a convolution, normalized or not, of a ReLU's output."""
    return comes_from_relu(producers, name, (*CONVOLVED, *QUANTIZERS))
