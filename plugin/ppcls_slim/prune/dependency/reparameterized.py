"""Blocks whose branches are merged into one convolution for inference (RepVGG and its kind)."""

from __future__ import annotations

import numpy as np

from ...compat.paddle import paddle
from .flow import Flow

_MERGES = ("re_parameterize", "get_equivalent_kernel_bias")


def count_channels(model: paddle.nn.Layer, flow: Flow) -> None:
    """Let the numbers follow with which a block builds its merged convolution.

    The convolution exists only after merging, so no program shows it. The block makes it from its own
    ``in_channels``, ``out_channels`` and ``groups``, which are those of its first branch.
    """
    for name, layer in model.named_sublayers():
        if not any(hasattr(layer, method) for method in _MERGES):
            continue
        branch = next((path for path, part in layer.named_sublayers() if isinstance(part, paddle.nn.Conv2D)), None)
        weight = f"{name}.{branch}.weight"
        if branch is None or (weight, 0) not in flow.params:
            continue
        flow.site = (flow.code.types[name], -1)
        groups = flow.grouped.get(f"{name}.{branch}")
        inputs = flow.params.get((weight, 1))
        if groups is not None:
            inputs = np.repeat(groups, max(1, int(getattr(layer, "in_channels", 0)) // len(groups)))
        counts = {"out_channels": flow.params[weight, 0], "in_channels": inputs, "groups": groups}
        for attribute, labels in counts.items():
            if labels is not None and getattr(layer, attribute, None) == len(labels):
                flow.follow(name, attribute, labels)
