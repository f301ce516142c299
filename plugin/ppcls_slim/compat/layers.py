"""Read and change what Paddle keeps in private attributes of its layers (the same in 2.6.2 and 3.3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

import numpy as np

from .paddle import paddle

CONV_GROUPS = "_groups"
"""Attribute in which a convolution, quantized or not, keeps its number of groups."""

BATCH_NORMS: tuple[type[paddle.nn.Layer], ...] = (
    paddle.nn.BatchNorm2D,
    paddle.nn.BatchNorm,
    paddle.nn.SyncBatchNorm,
)
"""Batch normalizations of images."""


class ConvSettings(NamedTuple):
    """Settings of a convolution, as ``paddle.nn.functional.conv2d`` takes them."""

    stride: Any
    padding: Any
    dilation: Any
    groups: int


def is_convolution(layer: Optional[paddle.nn.Layer]) -> bool:
    """Whether a layer is a convolution, of any dimension, transposed, or quantized: it has groups."""
    return hasattr(layer, CONV_GROUPS)


def is_static(layer: paddle.nn.Layer) -> bool:
    """Whether ``paddle.jit.to_static`` has the forward pass of a layer, or it was loaded from an exported program."""
    static = paddle.jit.dy2static.program_translator.StaticFunction
    return isinstance(layer, paddle.jit.TranslatedLayer) or isinstance(layer.forward, static)


def conv_groups(layer: Optional[paddle.nn.Layer]) -> int:
    """Return the number of groups of a convolution, 1 for other layers."""
    return int(getattr(layer, CONV_GROUPS, 1))


def set_conv_groups(layer: paddle.nn.Layer, groups: int) -> None:
    """Set the number of groups of a convolution."""
    setattr(layer, CONV_GROUPS, groups)


def conv_settings(layer: paddle.nn.Layer) -> ConvSettings:
    """Return stride, padding, dilation and groups of a convolution."""
    return ConvSettings(layer._stride, layer._padding, layer._dilation, layer._groups)


def replace_everywhere(model: paddle.nn.Layer, replaced: Mapping[int, paddle.nn.Layer]) -> None:
    """Replace layers in every place that a model has for them, under whatever names.

    Args:
        model: is changed in place.
        replaced: id of a layer -> what takes its places.
    """
    for parent in model.sublayers(include_self=True):
        for name, child in parent._sub_layers.items():
            parent._sub_layers[name] = replaced.get(id(child), child)


def running_stats(norm: paddle.nn.Layer) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Return the running mean and variance of a batch normalization, ``[c]`` each."""
    return norm._mean, norm._variance


def batch_norms(model: paddle.nn.Layer) -> list[paddle.nn.Layer]:
    """Return the batch normalizations of a model, of any dimension."""
    kinds = (paddle.nn.layer.norm._BatchNormBase, paddle.nn.BatchNorm)
    return [layer for layer in model.sublayers() if isinstance(layer, kinds)]


def uses_running_stats_in_training(norm: paddle.nn.Layer) -> bool:
    """Whether a batch normalization never estimates its statistics."""
    return bool(getattr(norm, "_use_global_stats", False))


def momentum(norm: paddle.nn.Layer) -> float:
    """Return the share of the old running statistics that a step in training mode keeps."""
    return float(norm._momentum)


def set_momentum(norm: paddle.nn.Layer, value: float) -> None:
    """Set the share of the old running statistics that a step in training mode keeps."""
    norm._momentum = value


def epsilon(norm: paddle.nn.Layer) -> float:
    """Return what a batch normalization adds to the variance."""
    return float(norm._epsilon)


def fused_activation(norm: paddle.nn.Layer) -> Optional[str]:
    """Return the activation that ``paddle.nn.BatchNorm(act=...)`` applies, or None."""
    act: Optional[str] = getattr(norm, "_act", None)
    return act


def set_layer_sizes(layer: paddle.nn.Layer, shape: tuple[int, ...]) -> dict[str, Any]:
    """Update the sizes that a layer prints or keeps; none of them changes what it computes.

    Args:
        layer: a ``Conv2D``, ``Linear`` or batch normalization; other layers keep what they have. The groups of a
            convolution have been set already.
        shape: of its weight: ``[out_c, in_c / groups, k_h, k_w]``, ``[in, out]`` or ``[c]``.

    Returns:
        attribute -> its value before.
    """
    sizes: dict[str, int] = {}
    if isinstance(layer, paddle.nn.Conv2D):
        sizes = {"_out_channels": shape[0], "_in_channels": shape[1] * conv_groups(layer)}
    elif isinstance(layer, paddle.nn.Linear):
        sizes = {"in_features": shape[0], "out_features": shape[1]}
    elif isinstance(layer, paddle.nn.layer.norm._BatchNormBase):
        sizes = {"_num_features": shape[0]}
    before = {name: getattr(layer, name, None) for name in sizes}
    for name, size in sizes.items():
        setattr(layer, name, size)
    return before


def replace_data(tensor: paddle.Tensor, value: np.ndarray) -> None:
    """Give a parameter or buffer a value of another shape. The object, its name and optimizer settings stay."""
    new = paddle.to_tensor(value, dtype=tensor.dtype, place=tensor.place)
    tensor.get_tensor()._share_data_with(new.get_tensor())
    if not tensor.stop_gradient:
        tensor.clear_gradient(False)


def unwrap(net: paddle.nn.Layer) -> paddle.nn.Layer:
    """Return the model itself where ``net`` is ``DataParallel`` around it."""
    return net._layers if isinstance(net, paddle.DataParallel) else net
