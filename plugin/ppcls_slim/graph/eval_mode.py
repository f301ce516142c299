"""Running a model in evaluation mode without leaving a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..compat.paddle import paddle


@contextmanager
def eval_mode(model: paddle.nn.Layer) -> Iterator[None]:
    """Evaluation mode without gradients for the length of a ``with`` block; every layer's mode is put back."""
    modes = [(layer, layer.training) for layer in model.sublayers(include_self=True)]
    model.eval()
    try:
        with paddle.no_grad():
            yield
    finally:
        for layer, training in modes:
            layer.training = training
