"""How ``compute_propagate_scales_onednn_pass`` passes scales on, for the rewrites that have to stop it."""

from __future__ import annotations

from typing import Any

from ..legacy_program import QUANTIZERS, SCALE_KEEPING, data_input, quantized_activations


def carries_scale(block: Any) -> set[str]:
    """Feature maps that have a scale when the pass is done: their own, or that of another one."""
    scaled = quantized_activations(block)
    for op in block.ops:
        if op.type in QUANTIZERS or op.has_attr("out_threshold"):
            scaled.update(op.output_arg_names)
    pairs = [pair for op in block.ops for pair in _passed(op)]
    known = -1
    while known != len(scaled):
        known = len(scaled)
        for source, target in pairs:
            if source in scaled:
                scaled.add(target)
    return scaled


def _passed(op: Any) -> list[tuple[str, str]]:
    """From which to which feature map an operator passes a scale on."""
    if op.type in (*SCALE_KEEPING, "scale"):
        source, target = data_input(op), op.output("Out")[0]
        return [(source, target), (target, source)]
    if op.type == "concat":
        return [(op.output("Out")[0], name) for name in op.input("X")]
    return []
