"""Equivalence that a grouping is right: removing channels gives what silencing them gives.

Silenced means that every parameter which produces the channels is zero there: filters, biases, scales
and shifts of normalisation, its statistics included. What reads the channels keeps its weights. If the
network without the channels returns the same as the network in which they are masked, then the
grouping has found everything that belongs together, and nothing was shifted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compat.paddle import paddle
from ..graph.program import flatten
from ..prune.apply import apply_slices, plan_slices
from ..prune.dependency.groups import Grouping, Member

Removal = Sequence[Sequence[int]]
"""For each group the channels to remove."""


@dataclass(frozen=True)
class Equivalence:
    """What a comparison found.

    Attributes:
        error: largest difference between the two outputs, over the largest output: float32 leaves
            some 1e-6 times the depth of the network.
        effect: the same difference between the dense network and the one in which channels are masked.
            Where it is not far larger than ``error``, the comparison says nothing.
        channels: how many positions of filters were removed.
        outputs: how many tensors were compared.
    """

    error: float
    effect: float
    channels: int
    outputs: int


def check_equivalence(
    model: paddle.nn.Layer, grouping: Grouping, removal: Removal, images: np.ndarray
) -> Equivalence:
    """Compare a network without some channels with the one in which they are masked.

    Args:
        model: dense; it gets random weights for the comparison, and is left as it was.
        removal: channels of each group, for example from ``some_channels``.
        images: ``[n, c, h, w]``.
    """
    with _restored(model):
        _randomise_calmly(model, grouping, removal, images)
        dense = _run(model, images)
        with _restored(model):
            mask_channels(model, grouping, removal)
            left = _run(model, images)
        channels = remove(model, grouping, removal)
        right = _run(model, images)
    same = [i for i in range(len(left)) if left[i].shape == right[i].shape]  # others are intermediate
    error = max((_difference(left[i], right[i]) for i in same), default=float("inf"))
    effect = max((_difference(dense[i], left[i]) for i in same), default=0.0)
    return Equivalence(error, effect, channels, len(same))


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    error = float(np.abs(one - other).max() / max(np.abs(one).max(), 1e-12))
    return error if np.isfinite(error) else float("inf")


def _randomise_calmly(model: paddle.nn.Layer, grouping: Grouping, removal: Removal, images: np.ndarray) -> None:
    """Draw weights with which rounding is not magnified: networks that multiply branches are chaotic.

    Neither in the dense network, nor in the one with masked channels, whose gates may be open where those are shut.
    """
    for gain in (1.4, 1.0, 0.7, 0.5, 0.3, 0.1):
        randomise(model, gain)
        if _is_calm(model, images):
            with _restored(model):
                mask_channels(model, grouping, removal)
                calm = _is_calm(model, images)
            if calm:
                return


def _is_calm(model: paddle.nn.Layer, images: np.ndarray) -> bool:
    signs = np.random.default_rng(0).choice(np.float32([-1e-6, 1e-6]), images.shape)
    one, other = _run(model, images), _run(model, images * (1 + signs))
    return max(map(_difference, one, other)) < 1e-5 and max(np.abs(array).max() for array in one) < 1e6


@contextlib.contextmanager
def _restored(model: paddle.nn.Layer) -> Iterator[None]:
    """Put weights, modes and numbers of groups back."""
    weights = {name: tensor.numpy() for name, tensor in _tensors(model).items()}
    attributes = [(layer, dict(vars(layer))) for layer in model.sublayers(include_self=True)]
    try:
        yield
    finally:
        for name, tensor in _tensors(model).items():
            _set(tensor, weights[name])
        for layer, before in attributes:
            vars(layer).update(before)


def _set(tensor: paddle.Tensor, value: np.ndarray) -> None:
    """Replace the content of a parameter, its shape too."""
    tensor.value().get_tensor().set(np.ascontiguousarray(value), paddle.CPUPlace())


def some_channels(grouping: Grouping, ratio: float, seed: int = 0) -> list[list[int]]:
    """Draw channels to remove from every group, always leaving what ``keep_at_least_one`` asks for."""
    random = np.random.default_rng(seed)
    removal = []
    for group in grouping.groups:
        gone = random.permutation(group.prunable_channels)[
            : min(round(ratio * group.prunable_channels), group.prunable_channels - 1)
        ]
        gone = set(gone.tolist())
        for part in group.keep_at_least_one:
            if gone.issuperset(part):
                gone.discard(part[0])
        removal.append(sorted(gone))
    return removal


def randomise(model: paddle.nn.Layer, gain: float = 1.4, seed: int = 0) -> None:
    """Give every parameter values that hide nothing: no zeros, no ones, statistics that are used.

    Args:
        gain: standard deviation of weights, over the root of the number of inputs.
    """
    random = np.random.default_rng(seed)
    for name, tensor in _tensors(model).items():
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
        tensor.set_value(value.astype(np.float32))


def mask_channels(model: paddle.nn.Layer, grouping: Grouping, removal: Removal) -> None:
    """Zero whatever produces the removed channels, and leave alone what reads them."""
    tensors = _tensors(model)
    for member, gone in _cuts(grouping, removal):
        if not member.produces:
            continue
        tensor = tensors[member.param]
        value = tensor.numpy()
        fill = 1.0 if member.param.endswith("_variance") else 0.0
        np.moveaxis(value, member.axis, 0)[gone] = fill
        tensor.set_value(value)


def remove(model: paddle.nn.Layer, grouping: Grouping, removal: Removal) -> int:
    """ParamSlice the removed channels out of a model, and return how many filters that took."""
    kept = [
        ~np.isin(np.arange(group.prunable_channels), list(channels))
        for group, channels in zip(grouping.groups, removal)
    ]
    slices = plan_slices(model, grouping.groups, kept)
    apply_slices(model, slices)
    filters = [cut for cut in slices.params.values() if len(cut.shape) == 4 and 0 in cut.keep]
    return sum(cut.shape[0] - len(cut.keep[0]) for cut in filters)


def _cuts(grouping: Grouping, removal: Removal) -> list[tuple[Member, np.ndarray]]:
    """Each member with the positions that go."""
    cuts = []
    for group, channels in zip(grouping.groups, removal):
        for member in group.members:
            gone = np.isin(member.index, np.asarray(channels, np.int64)) & (member.index >= 0)
            if gone.any():
                cuts.append((member, gone))
    return cuts


def _tensors(model: paddle.nn.Layer) -> dict[str, Any]:
    return {**dict(model.named_buffers()), **model.state_dict()}


def _run(model: paddle.nn.Layer, images: np.ndarray) -> list[np.ndarray]:
    for layer in model.sublayers(include_self=True):
        layer.training = False
    with paddle.no_grad():
        returned = model(paddle.to_tensor(images))
    return [tensor.numpy() for _, tensor in flatten(returned)]
