"""Interpolation is handed to oneDNN, which cannot read its list of scales.

Symptom: ``ConvertPirAttribute2RuntimeAttribute not support [pir::ArrayAttribute<pir::DoubleAttribute>]`` for
``nearest_interp`` and its kin (HRNet, MobileViT).
Pass: ``onednn_placement_pass``, which hands operators over one by one; without it, those that are fused (convolutions
with what follows them) still run in oneDNN.
Versions: Paddle 3.3.1.
Delete when: oneDNN's kernels read arrays of doubles.
"""

from __future__ import annotations

PASS = "onednn_placement_pass"


def applies(program: str) -> bool:
    """Whether a program (text of the ``.json`` file) has such an operator."""
    return "_interp" in program
