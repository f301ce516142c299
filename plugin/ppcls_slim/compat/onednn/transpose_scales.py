"""A transposition between two quantizers takes the scale of one of them only.

Symptom: what UniFormer and Twins-PCPVT take for their positions is divided by 127 / scale. The pass makes one
operator of a transposition, the quantization before it and the one back behind it, with the scale of the latter
alone; without the former, too, the numbers are wrong.
Pass: ``quant_transpose2_dequant_onednn_fuse_pass``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the pass uses both scales.
"""

from __future__ import annotations

from typing import Any

from ..legacy_program import set_attr


def rewrite(block: Any) -> None:
    """Let all transpositions run in float32."""
    for op in block.ops:
        if op.type == "transpose2":
            set_attr(op, "skip_quant", 1)
