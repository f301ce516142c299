"""Sizes that tracing leaves to be computed, though only the batch is unknown, make thousands of operators.

Symptom: CSWinTransformer takes minutes to load: every pass looks at pairs of operators.
Pass: all of oneDNN's.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: tracing writes known sizes as numbers, or the passes take less than quadratic time.
"""

from __future__ import annotations

from typing import Any


def rewrite(block: Any) -> None:
    """Let every ``reshape2`` of which one size alone is unknown infer it; the operators are pruned on saving."""
    for op in block.ops:
        if op.type == "reshape2" and op.attr("shape").count(-1) <= 1:
            op.desc.set_input("ShapeTensor", [])
            op.desc.set_input("Shape", [])
