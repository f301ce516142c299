"""Top-1 of anything that gives logits, over PaddleClas's evaluation data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Optional

import numpy as np

from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode


def top1(model: paddle.nn.Layer, loader: Iterable[Any]) -> float:
    """Share of samples whose largest logit is their label, in evaluation mode.

    Args:
        model: returns logits ``[n, classes]``, or a list or dictionary that holds them.
        loader: gives ``(images [n, C, H, W], labels [n] or [n, 1])``.
    """
    with eval_mode(model):
        return top1_of(lambda images: logits_of(model(paddle.to_tensor(images))).numpy(), loader)


def top1_of(run: Callable[[Any], np.ndarray], loader: Iterable[Any], limit: Optional[int] = None) -> float:
    """The same for a function from images to scores ``[n, classes]``, over at most ``limit`` samples."""
    right = seen = 0
    for batch in loader:
        labels = np.asarray(batch[1]).reshape(-1)
        right += int((np.asarray(run(batch[0])).argmax(axis=-1) == labels).sum())
        seen += len(labels)
        if limit is not None and seen >= limit:
            break
    return right / max(seen, 1)


def logits_of(output: Any) -> paddle.Tensor:
    """Pick the logits out of what PaddleClas models return."""
    if isinstance(output, (list, tuple)):
        return logits_of(output[0])
    if isinstance(output, dict):
        for key in ("Student", "logits", "output", "features"):
            if key in output:
                return logits_of(output[key])
    return output
