"""Apply every rewrite of this folder to an exported int8 program, in the order that they need.

All of it is done to the file, so that it is right wherever Paddle Inference runs it. Run without oneDNN, the program
computes what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..legacy_program import producers_of, program_of, quantized_activations, save_program, set_attr
from . import (
    computed_sizes,
    concat_input_scales,
    empty_slices,
    float_rewrites,
    large_averages,
    linear_weight_scales,
    mixed_sign_concat,
    propagated_scales,
    reshaped_biases,
    residual_scales,
    scale_operators,
    transpose_scales,
    unsigned_differences,
    unsigned_shortcuts,
)

Rewrite = Callable[[Any], None]

BEFORE_MEASURING: Sequence[Rewrite] = (
    # First: a convolution whose bias is a parameter is fused with what follows, as those below have to know.
    reshaped_biases.rewrite,
    # Inserts copies of shortcuts; they are terms of additions, which residual_scales has measured.
    unsigned_shortcuts.rewrite,
)
MEASURED: Sequence[Callable[[Any], list[str]]] = (
    # Only choose what is measured: any order.
    residual_scales.without_scale,
    propagated_scales.without_scale,
)
AFTER_MEASURING: Sequence[Rewrite] = (
    # Both read which operator makes an input of a concat: before an assign is put behind averages and scales, and
    # before empty slices are removed, which count as inputs of unknown sign.
    mixed_sign_concat.rewrite,
    concat_input_scales.rewrite,
    # Only set attributes: any place.
    transpose_scales.rewrite,
    unsigned_differences.rewrite,
    # Both rename the operator's output; what was measured under the old name has its threshold already.
    large_averages.rewrite,
    scale_operators.rewrite,
    *float_rewrites.REWRITES,
    # Both remove inputs: last, so that the others see the program as it was exported.
    empty_slices.rewrite,
    computed_sizes.rewrite,
)


def prepare_for_onednn(path: Path, batches: Sequence[np.ndarray]) -> list[str]:
    """Let oneDNN run an exported int8 program in int8, and right.

    Args:
        path: without suffix, of :func:`..qat_export.save_quantized`; written in place.
        batches: inputs ``[n, C, H, W]``; a scale is the mean over them of the largest magnitude.

    Returns:
        Names of the weights of linear layers that have one scale for all columns in oneDNN.
    """
    with program_of(path) as (executor, program, feeds, fetches):
        block = program.global_block()
        for rewrite in BEFORE_MEASURING:
            rewrite(block)
        names = _without_scale(block)
        weights = [layer.weight for layer in linear_weight_scales.linear_layers(block)]
        largest = np.zeros(len(names))
        values: list[np.ndarray] = []
        for images in batches if names or weights else ():
            found = executor.run(program, feed={feeds[0]: images}, fetch_list=[*names, *weights])
            largest += [float(np.abs(one).max()) / len(batches) for one in found[: len(names)]]
            values = found[len(names) :]
        producers = producers_of(block)
        for name, value in zip(names, largest):
            set_attr(producers[name], "out_threshold", float(value))
        # Inserts operators before linear layers only, of which no other rewrite takes notice.
        rescaled = linear_weight_scales.rewrite(block, dict(zip(weights, values)))
        for rewrite in AFTER_MEASURING:
            rewrite(block)
        save_program(path, executor, program, feeds, fetches)
    return rescaled


def _without_scale(block: Any) -> list[str]:
    """Feature maps that need an ``out_threshold``: those that no quantizer of training reads."""
    known = quantized_activations(block)
    names = dict.fromkeys(name for choose in MEASURED for name in choose(block))
    return [name for name in names if name not in known]
