"""Remove channels from a model in place, and put them back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..compat.layers import conv_groups, replace_data, set_conv_groups, set_layer_sizes
from ..compat.paddle import paddle
from ..graph.model import tensors_of
from .dependency.code import set_attribute
from .slices import SlicePlan


@dataclass
class Dense:
    """What a model had before channels were removed, for :func:`undo`.

    Attributes:
        values: (parameter or buffer, its dense value).
        groups: (convolution, its number of groups).
        attributes: (layer, attribute, its value).
    """

    values: list[tuple[paddle.Tensor, np.ndarray]] = field(default_factory=list)
    groups: list[tuple[paddle.nn.Layer, int]] = field(default_factory=list)
    attributes: list[tuple[paddle.nn.Layer, str, Any]] = field(default_factory=list)


def apply_slices(model: paddle.nn.Layer, slices: SlicePlan) -> Dense:
    """Remove channels from a dense model in place.

    Parameters stay the same objects and keep their names; their shapes shrink.

    Returns:
        What was there before, for :func:`undo`.
    """
    before = Dense()
    tensors = tensors_of(model)
    for name, piece in slices.params.items():
        value = tensors[name].numpy()
        before.values.append((tensors[name], value))
        replace_data(tensors[name], piece.applied(value))
    layers = dict(model.named_sublayers(include_self=True))
    for name, number in slices.conv_groups.items():
        before.groups.append((layers[name], conv_groups(layers[name])))
        set_conv_groups(layers[name], number)
    for place, number in slices.sizes.items():
        name, _, attribute = place.rpartition(".")
        container = attribute.partition("[")[0]  # the list, where the attribute is an entry of one
        before.attributes.append((layers[name], container, getattr(layers[name], container)))
        set_attribute(layers[name], attribute, number)
    for name, layer in layers.items():
        weight = slices.params.get(f"{name}.weight")
        if weight is not None:
            sizes = set_layer_sizes(layer, weight.kept_shape())
            before.attributes += [(layer, attribute, value) for attribute, value in sizes.items()]
    return before


def undo(before: Dense) -> None:
    """Put back what :func:`apply_slices` changed."""
    for layer, attribute, value in reversed(before.attributes):
        setattr(layer, attribute, value)
    for layer, number in before.groups:
        set_conv_groups(layer, number)
    for tensor, content in before.values:
        replace_data(tensor, content)
