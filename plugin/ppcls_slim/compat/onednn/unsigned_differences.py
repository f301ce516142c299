"""A difference of two unsigned feature maps is written in unsigned integers.

Symptom: ``relu(a).transpose([0, 1, 3, 2]) - relu(a)`` is wrong by its own size in int8: all that is negative is lost.
Pass: ``cpu_quantize_pass``, with the kernel of ``elementwise_sub``, which writes the type that it reads.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the kernel writes signed integers.
"""

from __future__ import annotations

from typing import Any

from ..legacy_program import set_attr


def rewrite(block: Any) -> None:
    """Let subtractions run in float32."""
    for op in block.ops:
        if op.type == "elementwise_sub":
            set_attr(op, "skip_quant", 1)
