"""A sum with an unsigned shortcut loses its negative values.

Symptom: the first block of MixNet is wrong by half in int8. oneDNN's convolution writes its sum with a shortcut in
the integers of the shortcut. The output of a ReLU is unsigned, so that a sum without a ReLU behind it loses all that
is negative.
Pass: ``conv_elementwise_add_onednn_fuse_pass`` with ``cpu_quantize_pass``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: ``cpu_quantize_pass`` looks at the sign of the sum, too.
"""

from __future__ import annotations

from typing import Any

from ..legacy_program import CONVOLVED, RELU_OPS, consumers, copy_input, fused_producers_of, is_unsigned


def rewrite(block: Any) -> None:
    """Copy an unsigned shortcut before it is added to a convolution, unless only a ReLU reads the sum.

    oneDNN knows nothing of the sign of what an ``assign`` gives.
    """
    producers = fused_producers_of(block)
    for place in reversed([i for i, op in enumerate(block.ops) if op.type == "elementwise_add"]):
        op = block.ops[place]
        terms = [op.input("X")[0], op.input("Y")[0]]
        if not any(name in producers and producers[name].type in CONVOLVED for name in terms):
            continue
        users = consumers(block, op.output("Out")[0])
        if len(users) == 1 and users[0].type in RELU_OPS:
            continue
        for name in terms:
            if is_unsigned(producers, name):
                copy_input(block, place, name, f"{name}.{place}.signed")
