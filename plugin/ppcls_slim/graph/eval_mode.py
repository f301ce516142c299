"""Run a model in evaluation mode and leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..compat.paddle import paddle
from ..compat.patching import attribute_restored


@contextmanager
def eval_mode(model: paddle.nn.Layer) -> Iterator[None]:
    """Evaluation mode without gradients for the length of a ``with`` block; every layer's mode is put back."""
    with attribute_restored(model.sublayers(include_self=True), "training"):
        model.eval()
        with paddle.no_grad():
            yield
