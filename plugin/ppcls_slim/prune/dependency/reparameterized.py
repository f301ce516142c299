"""Blocks whose branches are merged into one convolution for inference (RepVGG and the like)."""

from __future__ import annotations

import numpy as np

from ...compat.paddle import paddle
from ...compat.reparameterization import builds_merged_convolution
from .flow import Flow


def follow_merged_sizes(model: paddle.nn.Layer, flow: Flow) -> None:
    """Let the sizes of the merged convolution of a block follow its channels.

    The convolution exists only after merging, so no program shows it. The block creates it from its attributes
    ``in_channels``, ``out_channels`` and ``groups``, which are those of its first branch.
    """
    for name, layer in model.named_sublayers():
        if not builds_merged_convolution(layer):
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
