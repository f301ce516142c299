"""Equivalence check: removing channels gives what masking them gives.

A channel is masked when every parameter that produces it is zero there: filters, biases, scales and shifts of
normalizations, and their statistics. What reads the channel keeps its weights. If the model without the channels
returns the same as the model in which they are masked, the grouping has found everything that belongs together, and
nothing was shifted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..compat.layers import replace_data
from ..compat.paddle import paddle
from ..graph.model import tensors_of
from ..graph.program import flatten
from ..prune.apply import apply_slices
from ..prune.dependency.groups import Grouping
from ..prune.masking import mask_positions
from ..prune.slices import plan_slices

Removal = Sequence[Sequence[int]]
"""For each group the prunable channels to remove."""

_GAINS = (1.4, 1.0, 0.7, 0.5, 0.3, 0.1)
_STABLE = 1e-5
"""Largest relative change of the outputs if every pixel changes by 1e-6 of its value."""


@dataclass(frozen=True)
class Equivalence:
    """Result of an equivalence check.

    Attributes:
        error: largest difference between the outputs of the pruned and of the masked model, over the largest output.
            float32 leaves some 1e-6 times the depth of the model.
        effect: the same difference between the dense and the masked model. If it is not far larger than ``error``,
            the check says nothing.
        channels: how many filters were removed.
        outputs: how many tensors were compared.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.vision.models.LeNet()
        >>> found = ppcls_slim.verify(net, ppcls_slim.plan(net, [1, 28, 28], pruned_ratio=0.5))
        >>> found.channels, found.outputs
        (11, 1)
    """

    error: float
    effect: float
    channels: int
    outputs: int


def check_equivalence(
    model: paddle.nn.Layer, grouping: Grouping, removal: Removal, images: np.ndarray
) -> Equivalence:
    """Compare a model without some channels with the one in which they are masked.

    Args:
        model: dense. It gets random weights for the check, and its own back afterwards.
        grouping: of the model.
        removal: channels of each group, for example from :func:`some_channels`.
        images: ``[n, c, h, w]``.
    """
    with _restored(model):
        _randomise_stably(model, grouping, removal, images)
        dense = _run(model, images)
        with _restored(model):
            mask_channels(model, grouping, removal)
            masked = _run(model, images)
        channels = remove(model, grouping, removal)
        pruned = _run(model, images)
    same = [i for i in range(len(masked)) if masked[i].shape == pruned[i].shape]  # others are intermediate results
    error = max((_difference(masked[i], pruned[i]) for i in same), default=float("inf"))
    effect = max((_difference(dense[i], masked[i]) for i in same), default=0.0)
    return Equivalence(error, effect, channels, len(same))


def some_channels(grouping: Grouping, ratio: float, seed: int = 0) -> list[list[int]]:
    """Draw channels to remove from every group; one of every set that ``keep_at_least_one`` lists stays.

    Args:
        grouping: of the model.
        ratio: share of the channels.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    removal = []
    for group in grouping.groups:
        count = min(round(ratio * group.prunable_channels), group.prunable_channels - 1)
        removed = set(random.permutation(group.prunable_channels)[:count].tolist())
        for part in group.keep_at_least_one:
            if removed.issuperset(part):
                removed.discard(part[0])
        removal.append(sorted(removed))
    return removal


def randomise(model: paddle.nn.Layer, gain: float = 1.4, seed: int = 0) -> None:
    """Give every parameter values that hide no mistake: no zeros, no ones, statistics that have an effect.

    Args:
        model: changed in place.
        gain: standard deviation of weights, times the root of the number of inputs.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    for name, tensor in tensors_of(model).items():
        if "float" not in str(tensor.dtype):
            continue
        shape = tuple(tensor.shape)
        if name.endswith("_variance"):
            value = random.uniform(0.5, 1.5, shape)
        elif len(shape) < 2:
            value = random.uniform(0.2, 1.0, shape) * random.choice([-1, 1], shape)
            value = np.abs(value) + 0.3 if name.endswith("weight") else value * 0.3
        else:
            fan = np.prod(shape) / (shape[0] if len(shape) == 4 else shape[-1])
            value = random.normal(0, gain / np.sqrt(fan), shape)
        tensor.set_value(np.asarray(value, dtype=tensor.numpy().dtype))


def mask_channels(model: paddle.nn.Layer, grouping: Grouping, removal: Removal) -> None:
    """Set to zero whatever produces the channels, in place; what reads them is not changed."""
    tensors = tensors_of(model)
    for group, channels in zip(grouping.groups, removal):
        for member in group.members:
            positions = np.isin(member.index, np.asarray(channels, np.int64)) & (member.index >= 0)
            if member.produces and positions.any():
                mask_positions(tensors[member.param], member.param, member.axis, positions)


def remove(model: paddle.nn.Layer, grouping: Grouping, removal: Removal) -> int:
    """Remove channels from a model in place, and return how many filters that took."""
    kept = [
        ~np.isin(np.arange(group.prunable_channels), list(channels))
        for group, channels in zip(grouping.groups, removal)
    ]
    slices = plan_slices(model, grouping.groups, kept)
    apply_slices(model, slices)
    filters = [piece for piece in slices.params.values() if len(piece.shape) == 4 and 0 in piece.keep]
    return sum(piece.shape[0] - len(piece.keep[0]) for piece in filters)


def _randomise_stably(model: paddle.nn.Layer, grouping: Grouping, removal: Removal, images: np.ndarray) -> None:
    """Draw weights with which rounding errors do not grow: models that multiply branches can be chaotic.

    Neither in the dense model nor in the masked one, whose gates may be open where those of the dense one are shut.
    """
    for gain in _GAINS:
        randomise(model, gain)
        if _is_stable(model, images):
            with _restored(model):
                mask_channels(model, grouping, removal)
                stable = _is_stable(model, images)
            if stable:
                return


def _is_stable(model: paddle.nn.Layer, images: np.ndarray) -> bool:
    signs = np.random.default_rng(0).choice(np.array([-1e-6, 1e-6], images.dtype), images.shape)
    one, other = _run(model, images), _run(model, images * (1 + signs))
    return max(map(_difference, one, other)) < _STABLE and max(np.abs(array).max() for array in one) < 1e6


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    error = float(np.abs(one - other).max() / max(np.abs(one).max(), 1e-12))
    return error if np.isfinite(error) else float("inf")


@contextlib.contextmanager
def _restored(model: paddle.nn.Layer) -> Iterator[None]:
    """Restore weights and attributes of layers, modes and numbers of groups included, after a ``with`` block."""
    weights = {name: tensor.numpy() for name, tensor in tensors_of(model).items()}
    attributes = [(layer, dict(vars(layer))) for layer in model.sublayers(include_self=True)]
    try:
        yield
    finally:
        for name, tensor in tensors_of(model).items():
            replace_data(tensor, weights[name])
        for layer, before in attributes:
            vars(layer).update(before)


def _run(model: paddle.nn.Layer, images: np.ndarray) -> list[np.ndarray]:
    for layer in model.sublayers(include_self=True):
        layer.training = False
    with paddle.no_grad():
        returned = model(paddle.to_tensor(images))
    return [tensor.numpy() for _, tensor in flatten(returned)]
