"""Feature maps of signed and of unsigned integers are concatenated.

Symptom: ``could not create a primitive descriptor for a concat primitive``.
Pass: ``cpu_quantize_pass``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the pass converts the inputs of a ``concat`` to one type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..legacy_program import CONVOLVED, RELU_OPS, producers_of, quantized_activations, set_attr


def rewrite(block: Any) -> None:
    """Let a ``concat`` run in float32 where its inputs are of different or unknown sign."""
    producers, quantized = producers_of(block), quantized_activations(block)
    for op in block.ops:
        if op.type == "concat" and not _of_one_sign(producers, op.input("X"), quantized):
            set_attr(op, "skip_quant", 1)


def _of_one_sign(producers: Mapping[str, Any], names: Sequence[str], quantized: set[str]) -> bool:
    """Whether all are signed integers (from a convolution), or all unsigned ones (from a ReLU).

    The output of a ReLU is unsigned only where it has a scale of its own; with that of the ``concat`` it is signed
    (GhostNet).
    """
    kinds = {producers[name].type if name in producers else "" for name in names}
    return kinds <= set(CONVOLVED) or (kinds <= set(RELU_OPS) and quantized.issuperset(names))
