"""A convolution is fused with the ``leaky_relu`` behind it (CSPDarkNet).

Symptom: a segmentation fault when the predictor is made.
Pass: ``conv_activation_onednn_fuse_pass``.
Versions: Paddle 3.3.1.
Delete when: the pass survives ``leaky_relu``.
"""

from __future__ import annotations

PASS = "conv_activation_onednn_fuse_pass"


def applies(program: str) -> bool:
    """Whether a program (text of the ``.json`` file) has such an operator."""
    return '"1.leaky_relu"' in program
