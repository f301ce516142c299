"""The input of a pooling or a split gets the scale of its output, and the output that of the input.

Symptom: values are clipped, or rounded to a few steps, where the scale of one side is not known.
Pass: ``compute_propagate_scales_onednn_pass``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the pass leaves operators alone of which one scale is unknown. ``large_averages`` is about those whose
output is much smaller than their input.
"""

from __future__ import annotations

from typing import Any

from ..legacy_program import SCALE_KEEPING, producers_of
from .large_averages import averages_many


def without_scale(block: Any) -> list[str]:
    """Feature maps that are pooled, reshaped or taken apart; they need an ``out_threshold``."""
    producers = producers_of(block)
    return [
        name
        for op in block.ops
        if op.type in SCALE_KEEPING and not averages_many(op)
        for name in op.input("Input" if op.type == "slice" else "X")
        if name in producers and len(block.var(name).shape) == 4
    ]
