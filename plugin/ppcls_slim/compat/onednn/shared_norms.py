"""A ReLU is fused into a batch normalization whose output something else reads, too.

Symptom: a segmentation fault when the predictor is made, with oneDNN on and int8 off (the default of Paddle 3), of
``concat([relu(a), -relu(-a)])`` and ``relu(a).reshape(a.shape)``. The pass removes the feature map between the two.
Pass: ``batch_norm_act_fuse_pass``.
Versions: Paddle 2.6.2 and 3.3.1, legacy IR.
Delete when: the pass looks whether the ReLU is the only reader.
"""

from __future__ import annotations

from typing import Any

from ..legacy_program import RELU_OPS, consumers, copy_input, data_input, producers_of


def rewrite(block: Any) -> None:
    """Put an ``assign`` between the two."""
    producers = producers_of(block)
    for place in reversed([i for i, op in enumerate(block.ops) if op.type in RELU_OPS]):
        name = data_input(block.ops[place])
        if name in producers and producers[name].type == "batch_norm" and len(consumers(block, name)) > 1:
            copy_input(block, place, name, f"{name}.{place}.normalized")
