"""Importance from weights and their gradients, averaged over training batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...compat.patching import attribute_restored
from ..dependency.groups import Member
from .training_data import TrainingData

Contribution = Callable[[paddle.Tensor, paddle.Tensor], paddle.Tensor]
OfSum = Callable[[np.ndarray], np.ndarray]


def mean_over_batches(
    model: paddle.nn.Layer,
    data: TrainingData,
    members: Sequence[Member],
    contribution: Contribution,
    of_sum: OfSum = lambda total: total,
) -> list[np.ndarray]:
    """Return for each member the mean over batches of ``of_sum(sum of contribution(weight, gradient))``.

    The sum runs over all elements of a channel. It is taken on the device, in float32, and only sums ``[size of the
    axis]`` are copied from it.

    Args:
        model: in any mode; it is evaluated with its running statistics and left as it was.
        data: training batches; their number is ``data.count``.
        members: axes of parameters.
        contribution: of the elements of a weight and its gradient, both in the shape of the weight.
        of_sum: of the sums of one batch, float64 ``[size of the axis]``.

    Raises:
        SlimError: a gradient is not finite, or there are no batches.
    """
    parameters = dict(model.named_parameters())
    axes: dict[str, dict[int, np.ndarray]] = {}
    for member in members:
        axes.setdefault(member.param, {})[member.axis] = np.zeros(len(member.index))
    batches = 0
    scored = [parameters[name] for name in axes]
    with attribute_restored(scored, "stop_gradient"):
        for parameter in scored:
            parameter.stop_gradient = False  # frozen layers matter, too
        for loss in data.losses(model):
            loss.backward()
            batches += 1
            with paddle.no_grad():
                for name, sums in axes.items():
                    _add(sums, name, parameters[name], contribution, of_sum)
    if not batches:
        raise SlimError("Slim.prune.name: there are no training batches to score; look at DataLoader.Train")
    return [axes[member.param][member.axis] / batches for member in members]


def _add(
    sums: dict[int, np.ndarray],
    name: str,
    parameter: paddle.Tensor,
    contribution: Contribution,
    of_sum: OfSum,
) -> None:
    if parameter.grad is None:  # the loss does not depend on it
        return
    weight, gradient = parameter.astype("float32"), parameter.grad.astype("float32")
    of_elements = contribution(weight, gradient)
    for axis, total in sums.items():
        others = [other for other in range(of_elements.ndim) if other != axis]
        of_channels = (of_elements.sum(others) if others else of_elements).numpy().astype(np.float64)
        if not np.isfinite(of_channels).all():
            raise SlimError(
                f"Slim.prune.name: the gradient of {name} is not finite on the training batches: prune from a sound "
                "checkpoint, or look at the data and at Loss.Train"
            )
        total += of_sum(of_channels)
