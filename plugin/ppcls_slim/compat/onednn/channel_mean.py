"""``mean`` over channels (the layer normalization of ConvNeXt) is handed to oneDNN, which computes it wrong.

Symptom: wrong numbers, without a message.
Pass: ``onednn_placement_pass``, which hands operators over one by one; without it, those that are fused (convolutions
with what follows them) still run in oneDNN.
Versions: Paddle 3.3.1.
Delete when: a mean over channels is right in oneDNN.
"""

from __future__ import annotations

PASS = "onednn_placement_pass"


def applies(program: str) -> bool:
    """Whether a program (text of the ``.json`` file) has such an operator."""
    return '"1.mean"' in program
