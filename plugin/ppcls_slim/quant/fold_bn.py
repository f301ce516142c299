"""Fold batch normalization into the convolutions before them.

Paddle's own ``fuse_conv_bn`` (2.6.2, 3.3.1) folds a deep copy of the model and drops it, and pairs layers in the
order in which they were declared. Here pairs are what the model really runs one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode

NORMS = (paddle.nn.BatchNorm2D, paddle.nn.BatchNorm, paddle.nn.SyncBatchNorm)


def find_pairs(model: paddle.nn.Layer, run: Callable[[], Any]) -> dict[str, str]:
    """Return convolution -> the batch normalization that reads its output, and is run once.

    Args:
        model: any.
        run: one forward pass.
    """
    given: dict[int, str] = {}
    pairs: list[tuple[str, str]] = []
    alive: list[Any] = []  # an id is a tensor's own only as long as the tensor lives
    hooks = []

    def after(name: str) -> Callable[..., None]:
        def hook(layer: Any, inputs: Any, output: Any) -> None:
            alive.append(output)
            given[id(output)] = name

        return hook

    def before(name: str) -> Callable[..., None]:
        def hook(layer: Any, inputs: Any) -> None:
            if id(inputs[0]) in given:
                pairs.append((given[id(inputs[0])], name))

        return hook

    for name, layer in model.named_sublayers():
        if isinstance(layer, paddle.nn.Conv2D):
            hooks.append(layer.register_forward_post_hook(after(name)))
        elif isinstance(layer, NORMS):
            hooks.append(layer.register_forward_pre_hook(before(name)))
    try:
        with eval_mode(model):
            run()
    finally:
        for hook in hooks:
            hook.remove()
    convolutions, norms = ([pair[i] for pair in pairs] for i in (0, 1))
    return {conv: norm for conv, norm in pairs if convolutions.count(conv) == 1 and norms.count(norm) == 1}


def fuse(model: paddle.nn.Layer, pairs: Mapping[str, str]) -> None:
    """Fold in place; the normalization becomes what its activation is, or nothing.

    Raises:
        SlimError: the model has no such layers.
    """
    layers = dict(model.named_sublayers())
    for conv_name, norm_name in pairs.items():
        conv, norm = layers.get(conv_name), layers.get(norm_name)
        if conv is None or norm is None:
            raise SlimError(f"{conv_name} or {norm_name}, which were folded, are not in the model of Arch")
        _fold(conv, norm)
        parent = layers.get(norm_name.rpartition(".")[0], model)
        setattr(parent, norm_name.rpartition(".")[2], _Activation(getattr(norm, "_act", None)))


class _Activation(paddle.nn.Layer):
    """What is left of a ``BatchNorm`` with ``act``: the activation."""

    def __init__(self, name: Any):
        super().__init__()
        self._name = name

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return x if self._name is None else getattr(paddle.nn.functional, self._name)(x)


def _fold(conv: paddle.nn.Layer, norm: paddle.nn.Layer) -> None:
    """``w g / s`` and ``(b - mean) g / s + beta`` with ``s = sqrt(variance + epsilon)``."""
    ones = paddle.ones_like(norm._mean)
    gain = norm.weight if norm.weight is not None else ones
    beta = norm.bias if norm.bias is not None else 0 * ones
    with paddle.no_grad():
        factor = gain / paddle.sqrt(norm._variance + norm._epsilon)
        bias = ((conv.bias if conv.bias is not None else 0 * ones) - norm._mean) * factor + beta
        conv.weight.set_value(conv.weight * factor.reshape([-1, 1, 1, 1]))
        if conv.bias is None:
            conv.bias = conv.create_parameter(bias.shape, is_bias=True)
        conv.bias.set_value(bias)
