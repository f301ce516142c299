"""Fold batch normalization into the convolutions before it.

Paddle's own ``fuse_conv_bn`` (2.6.2, 3.3.1) folds a deep copy of the model and drops it, and pairs layers in the
order in which they are declared. Here the pairs come from a forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Optional

from ..common.errors import SlimError
from ..compat.layers import BATCH_NORMS, epsilon, fused_activation, running_stats
from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode


def find_pairs(model: paddle.nn.Layer, run: Callable[[], Any]) -> dict[str, str]:
    """Return convolution -> the batch normalization that reads its output, if each of them runs once.

    Args:
        model: any model.
        run: one forward pass.
    """
    convolution_of: dict[int, str] = {}  # id of an output -> the convolution
    pairs: list[tuple[str, str]] = []
    alive: list[Any] = []  # an id belongs to one tensor only as long as the tensor lives

    def after(name: str) -> Callable[..., None]:
        def hook(layer: Any, inputs: Any, output: Any) -> None:
            alive.append(output)
            convolution_of[id(output)] = name

        return hook

    def before(name: str) -> Callable[..., None]:
        def hook(layer: Any, inputs: Any) -> None:
            if id(inputs[0]) in convolution_of:
                pairs.append((convolution_of[id(inputs[0])], name))

        return hook

    with ExitStack() as hooks, eval_mode(model):
        for name, layer in model.named_sublayers():
            if isinstance(layer, paddle.nn.Conv2D):
                hooks.callback(layer.register_forward_post_hook(after(name)).remove)
            elif isinstance(layer, BATCH_NORMS):
                hooks.callback(layer.register_forward_pre_hook(before(name)).remove)
        run()
    convolutions, norms = ([pair[i] for pair in pairs] for i in (0, 1))
    return {conv: norm for conv, norm in pairs if convolutions.count(conv) == 1 and norms.count(norm) == 1}


def fold(model: paddle.nn.Layer, pairs: Mapping[str, str]) -> None:
    """Fold the pairs of :func:`find_pairs` in place. The activation of a normalization, if it has one, remains.

    Raises:
        SlimError: the model does not have these layers.
    """
    layers = dict(model.named_sublayers())
    for conv_name, norm_name in pairs.items():
        conv, norm = layers.get(conv_name), layers.get(norm_name)
        if not isinstance(conv, paddle.nn.Conv2D) or not isinstance(norm, BATCH_NORMS):
            raise SlimError(f"{conv_name} or {norm_name}, which were folded, are not in the model of Arch")
        _fold_pair(conv, norm)
        parent = layers.get(norm_name.rpartition(".")[0], model)
        setattr(parent, norm_name.rpartition(".")[2], _Activation(fused_activation(norm)))


class _Activation(paddle.nn.Layer):
    """The activation of a ``paddle.nn.BatchNorm(act=...)`` whose normalization was folded."""

    def __init__(self, name: Optional[str]):
        super().__init__()
        self._name = name

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return x if self._name is None else getattr(paddle.nn.functional, self._name)(x)


def _fold_pair(conv: paddle.nn.Layer, norm: paddle.nn.Layer) -> None:
    """``w g / s`` and ``(b - mean) g / s + beta`` with ``s = sqrt(variance + epsilon)``."""
    mean, variance = running_stats(norm)
    ones = paddle.ones_like(mean)
    gain = norm.weight if norm.weight is not None else ones
    beta = norm.bias if norm.bias is not None else 0 * ones
    with paddle.no_grad():
        factor = gain / paddle.sqrt(variance + epsilon(norm))
        bias = ((conv.bias if conv.bias is not None else 0 * ones) - mean) * factor + beta
        conv.weight.set_value(conv.weight * factor.reshape([-1, 1, 1, 1]))
        if conv.bias is None:
            conv.bias = conv.create_parameter(bias.shape, is_bias=True)
        conv.bias.set_value(bias)
