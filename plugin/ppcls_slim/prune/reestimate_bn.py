"""Running statistics of batch normalization, estimated anew after channels were removed.

What a convolution sums up changes with its input channels, and the running mean and variance of the normalization
behind it do not. A few batches make up for that before the first epoch (Li et al., EagleEye, ECCV 2020, section 3.3:
adaptive batch normalization).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from ..compat.layers import batch_norms, momentum, set_momentum, uses_running_stats_in_training
from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode


def reestimate_bn(
    model: paddle.nn.Layer, batches: Iterable[Any], run: Callable[[paddle.nn.Layer, Any], Any], count: int
) -> int:
    """Replace running statistics by their mean over batches; everything else stays as it is.

    Args:
        model: pruned; dropout and the like are off meanwhile.
        batches: training data.
        run: gives the model a batch.
        count: how many batches, at most.

    Returns:
        How many batches there were.
    """
    norms = [norm for norm in batch_norms(model) if not uses_running_stats_in_training(norm)]
    before = [momentum(norm) for norm in norms]
    seen = 0
    with eval_mode(model):
        for norm in norms:
            norm.training = True
        try:
            for batch in islice(batches if norms else (), count):
                for norm in norms:
                    set_momentum(
                        norm, seen / (seen + 1)
                    )  # Paddle: running = momentum * running + (1 - momentum) * new
                run(model, batch)
                seen += 1
        finally:
            for norm, value in zip(norms, before):
                set_momentum(norm, value)
    return seen
