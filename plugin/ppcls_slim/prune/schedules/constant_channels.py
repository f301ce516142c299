"""Merge constant channels into one, so that the others can be removed without changing the output.

A filter that is zero gives the same value ``c_u`` at every position if its normalization keeps its shift. A layer
that reads the channel cannot absorb it into a bias, because the zeros around a padded image are not ``c_u``. But two
constant channels are multiples of each other, borders included, so a layer that reads both needs only one of them:
``W[:, k] += (c_u / c_k) W[:, u]``. Channels whose constant is 0 (a negative shift before a ReLU) are just removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

import numpy as np

from ...compat.layers import conv_groups
from ...compat.paddle import paddle
from ...graph.eval_mode import eval_mode
from ...graph.model import layer_of
from ..dependency.groups import Group, Member

READERS = (paddle.nn.Conv2D, paddle.nn.Linear)
"""Layers whose weights can be adjusted to read one constant channel instead of several."""


def merge_constants(
    model: paddle.nn.Layer, groups: Sequence[Group], kept: Sequence[np.ndarray], input_shape: Sequence[int]
) -> list[np.ndarray]:
    """Merge the constants of channels that are to be removed, and return which channels have to stay.

    Args:
        model: dense. Weights of layers that read the channels are changed; what the model computes is not.
        groups: of the model.
        kept: for each group bool ``[prunable channels]``, False for channels whose filters are all zero.
        input_shape: ``[C, H, W]``.

    Returns:
        ``kept``, with one more channel in groups with constants other than 0. Groups keep all their channels if some
        are not constant, or are read by something else than convolutions and linear layers.
    """
    layers = dict(model.named_sublayers())
    affected = [number for number, keep in enumerate(kept) if not keep.all()]
    readers = {number: [member for member in groups[number].members if not member.produces] for number in affected}
    watched = {layer_of(member.param) for members in readers.values() for member in members}
    inputs = _record_inputs(
        model, {name: layers[name] for name in watched if isinstance(layers.get(name), READERS)}, input_shape
    )
    parameters = dict(model.named_parameters())
    result = list(kept)
    for number in affected:
        constants = [_constants(member, layers, inputs) for member in readers[number]]
        result[number] = _merge(kept[number], readers[number], constants, parameters)
    return result


def _merge(
    keep: np.ndarray,
    readers: Sequence[Member],
    constants: Sequence[Optional[np.ndarray]],
    parameters: Mapping[str, paddle.Tensor],
) -> np.ndarray:
    """Merge the constants of one group; arguments and result as in :func:`merge_constants`."""
    removed = np.flatnonzero(~keep)
    known = [values[removed] for values in constants if values is not None]
    if not constants or len(known) < len(constants) or np.isnan(known).any():
        return np.ones_like(keep)
    values = np.stack(known)  # [readers, channels to remove]
    if not values.any():
        return keep
    carrier = int(np.abs(values).min(axis=0).argmax())
    if (values[:, carrier] == 0).any():  # constant for one reader, zero for another
        return np.ones_like(keep)
    for member, value in zip(readers, values):
        _fold(parameters[member.param], member, removed, value / value[carrier], removed[carrier])
    keep = keep.copy()
    keep[removed[carrier]] = True
    return keep


def _record_inputs(
    model: paddle.nn.Layer, layers: Mapping[str, paddle.nn.Layer], input_shape: Sequence[int]
) -> dict[str, list[np.ndarray]]:
    """Return what each layer reads, once for every call, when the model runs on noise in evaluation mode."""
    inputs: dict[str, list[np.ndarray]] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def hook(layer: paddle.nn.Layer, arguments: tuple[Any, ...]) -> None:
            inputs.setdefault(name, []).append(arguments[0].numpy())

        return hook

    hooks = [layer.register_forward_pre_hook(hook_for(name)) for name, layer in layers.items()]
    try:
        with eval_mode(model):
            noise = np.random.default_rng(0).standard_normal([2, *input_shape]).astype(np.float32)
            model(paddle.to_tensor(noise))
    finally:
        for hook in hooks:
            hook.remove()
    return inputs


def _constants(
    member: Member, layers: Mapping[str, paddle.nn.Layer], inputs: Mapping[str, list[np.ndarray]]
) -> Optional[np.ndarray]:
    """Return the constant of each channel where a member reads it, NaN if it varies.

    Returns:
        ``[prunable channels]``; None if it cannot be told.
    """
    name = layer_of(member.param)
    layer, read = layers.get(name), inputs.get(name, [])
    one_to_one = np.array_equal(np.sort(member.index), np.arange(len(member.index)))
    if len(read) != 1 or not one_to_one or conv_groups(layer) != 1:
        return None
    channels = np.moveaxis(read[0], 1 if isinstance(layer, paddle.nn.Conv2D) else -1, 0)
    if len(channels) != len(member.index):
        return None
    channels = channels.reshape(len(channels), -1)
    constants = np.full(len(channels), np.nan)
    constants[member.index] = np.where(channels.min(1) == channels.max(1), channels[:, 0], np.nan)
    return constants


def _fold(weight: paddle.Tensor, member: Member, removed: np.ndarray, share: np.ndarray, carrier: int) -> None:
    """Let a weight read one constant channel instead of several.

    Args:
        weight: changed in place.
        member: the axis of the weight that reads the channels.
        removed: channels to remove, the carrier included.
        share: constant of each of them over that of the carrier.
        carrier: the channel that stays.
    """
    value = weight.numpy().copy()
    position = np.empty(len(member.index), dtype=np.int64)
    position[member.index] = np.arange(len(member.index))
    along = np.moveaxis(value, member.axis, 0)
    folded = np.tensordot(share, along[position[removed]].astype(np.float64), axes=1)
    along[position[carrier]] = folded
    weight.set_value(value)
