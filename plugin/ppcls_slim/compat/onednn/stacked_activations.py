"""Of two activations behind a convolution the first one is lost.

Symptom: ``concat([relu(hardsigmoid(conv)), x])`` is wrong by 1.3 of its output. The pass takes one kind of activation
after the other, and fuses ``relu`` into a convolution that already has ``hard_sigmoid``, in its place.
Pass: ``conv_activation_onednn_fuse_pass``, and its kin for linear layers.
Versions: Paddle 2.6.2 and 3.3.1, legacy IR.
Delete when: the pass leaves alone what has an activation.
"""

from __future__ import annotations

from typing import Any

from ..legacy_program import ACTIVATIONS, copy_input, data_input, producers_of


def rewrite(block: Any) -> None:
    """Put an ``assign`` between two activations."""
    producers = producers_of(block)
    for place in reversed([i for i, op in enumerate(block.ops) if op.type in ACTIVATIONS]):
        name = data_input(block.ops[place])
        if name in producers and producers[name].type in ACTIVATIONS:
            copy_input(block, place, name, f"{name}.{place}.activated")
