"""All inputs of a ``concat`` get the scale of its output, also those that a pooling makes.

Symptom: the output of the pooling is wrong by a factor, without a message: it reads its own input at another scale.
Pass: ``compute_propagate_scales_onednn_pass``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the pass gives such an input's own input the same scale, or stops there.
"""

from __future__ import annotations

from typing import Any

from ..legacy_program import SCALE_KEEPING, producers_of, set_attr


def rewrite(block: Any) -> None:
    """Let operators that keep their input's scale run in float32 where a ``concat`` reads them."""
    producers = producers_of(block)
    for op in block.ops:
        for name in op.input("X") if op.type == "concat" else ():
            if name in producers and producers[name].type in SCALE_KEEPING:
                set_attr(producers[name], "skip_quant", 1)
