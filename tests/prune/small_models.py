"""Models that several tests of pruning use."""

from __future__ import annotations

from ppcls_slim.compat.paddle import paddle


def backbone(name, **keys):
    from ppcls_slim.compat.paddleclas.engine import load_engine

    load_engine()
    from ppcls.arch import backbone as backbones

    with paddle.utils.unique_name.guard():  # MobileNetV2 names its parameters itself: one a process
        return getattr(backbones, name)(**keys)


def two_convolutions():
    """conv (8) -> bn -> relu -> conv (6) -> global average -> linear."""
    paddle.seed(0)
    return paddle.nn.Sequential(
        paddle.nn.Conv2D(3, 8, 3, padding=1),
        paddle.nn.BatchNorm2D(8),
        paddle.nn.ReLU(),
        paddle.nn.Conv2D(8, 6, 3, padding=1, bias_attr=False),
        paddle.nn.ReLU(),
        paddle.nn.AdaptiveAvgPool2D(1),
        paddle.nn.Flatten(),
        paddle.nn.Linear(6, 2),
    )
