"""``scale`` is taken for a multiplication even where it adds a constant.

Symptom: MicroNet, which takes a half off its gates, is wrong in int8: the scale from before the addition is used
behind it.
Pass: ``compute_propagate_scales_onednn_pass``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the pass stops at a ``scale`` with a bias.
"""

from __future__ import annotations

from typing import Any

from ..legacy_program import copy_output


def rewrite(block: Any) -> None:
    """Put an ``assign`` behind such operators, which ends the scale's propagation."""
    for place in reversed([i for i, op in enumerate(block.ops) if _adds_to_feature_map(op)]):
        copy_output(block, place)


def _adds_to_feature_map(op: Any) -> bool:
    return op.type == "scale" and op.attr("bias") != 0 and len(op.block.var(op.output("Out")[0]).shape) == 4
