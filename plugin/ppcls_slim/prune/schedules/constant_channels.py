"""Channels that are constant: fold them into one, so that the others can be removed without changing the output.

A zeroed filter whose normalization keeps its shift gives the same value ``c_u`` everywhere. What reads the
channel cannot take it in as a bias: the zeros around a padded image are not ``c_u``. But two constant
channels are multiples of each other, borders included, so a convolution that reads both needs only one:
``W[:, k] += (c_u / c_k) W[:, u]``. Channels whose constant is 0 (behind a ReLU: a negative shift) just go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...compat.paddle import paddle
from ...graph.eval_mode import eval_mode
from ..dependency.groups import Group, Member, layer_of

READERS = (paddle.nn.Conv2D, paddle.nn.Linear)


def merge_constants(
    model: paddle.nn.Layer, groups: Sequence[Group], kept: Sequence[np.ndarray], input_shape: Sequence[int]
) -> list[np.ndarray]:
    """Fold the constants of channels that are to go, and return which channels stay.

    Args:
        model: dense; weights of layers that read the channels are changed, what it computes is not.
        groups: as analysed.
        kept: for each group bool ``[channels]``, False for channels whose filters are all zero.
        input_shape: ``[C, H, W]``.

    Returns:
        ``kept`` with one more channel in groups that have a constant to carry, and with all channels in groups
        whose channels are read by something else than convolutions and linear layers, or are not constant.
    """
    layers = dict(model.named_sublayers())
    concerned = [number for number, keep in enumerate(kept) if not keep.all()]
    reading = {number: [member for member in groups[number].members if not member.produces] for number in concerned}
    watched = {layer_of(member.param) for members in reading.values() for member in members}
    seen = _inputs(
        model, {name: layers[name] for name in watched if isinstance(layers.get(name), READERS)}, input_shape
    )
    result = list(kept)
    for number in concerned:
        constants = [_constants(member, layers, seen) for member in reading[number]]
        gone = np.flatnonzero(~kept[number])
        if not constants or any(c is None or np.isnan(c[gone]).any() for c in constants):
            result[number] = np.ones_like(kept[number])
            continue
        values = np.stack([c[gone] for c in constants])  # [readers, channels that are to go]
        if not values.any():
            continue
        carrier = int(np.abs(values).min(axis=0).argmax())
        if (values[:, carrier] == 0).any():  # constant for one reader and nothing for another
            result[number] = np.ones_like(kept[number])
            continue
        for member, value in zip(reading[number], values):
            _fold(dict(model.named_parameters())[member.param], member, gone, value / value[carrier], gone[carrier])
        result[number] = kept[number].copy()
        result[number][gone[carrier]] = True
    return result


def _inputs(
    model: paddle.nn.Layer, layers: dict[str, paddle.nn.Layer], input_shape: Sequence[int]
) -> dict[str, list[np.ndarray]]:
    """What each layer reads when the model runs on noise in evaluation mode."""
    seen: dict[str, list[np.ndarray]] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(layer: Any, inputs: Any) -> None:
            seen.setdefault(name, []).append(inputs[0].numpy())

        return hook

    hooks = [layer.register_forward_pre_hook(note(name)) for name, layer in layers.items()]
    try:
        with eval_mode(model):
            noise = np.random.default_rng(0).standard_normal([2, *input_shape]).astype(np.float32)
            model(paddle.to_tensor(noise))
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _constants(
    member: Member, layers: dict[str, paddle.nn.Layer], seen: dict[str, list[np.ndarray]]
) -> np.ndarray | None:
    """The constant of each channel where this member reads it, NaN where it is none; None if that cannot be told."""
    name = layer_of(member.param)
    layer, inputs = layers.get(name), seen.get(name, [])
    one_to_one = np.array_equal(np.sort(member.index), np.arange(len(member.index)))
    if len(inputs) != 1 or not one_to_one or getattr(layer, "_groups", 1) != 1:
        return None
    channels = np.moveaxis(inputs[0], 1 if isinstance(layer, paddle.nn.Conv2D) else -1, 0)
    if len(channels) != len(member.index):
        return None
    channels = channels.reshape(len(channels), -1)
    constants = np.full(len(channels), np.nan)
    constants[member.index] = np.where(channels.min(1) == channels.max(1), channels[:, 0], np.nan)
    return constants


def _fold(weight: paddle.Tensor, member: Member, gone: np.ndarray, share: np.ndarray, carrier: int) -> None:
    """Add what reads the channels that go, in proportion, to what reads the carrier."""
    value = weight.numpy().copy()
    position = np.empty(len(member.index), dtype=np.int64)
    position[member.index] = np.arange(len(member.index))
    along = np.moveaxis(value, member.axis, 0)
    folded = np.tensordot(share, along[position[gone]].astype(np.float64), axes=1)
    along[position[carrier]] = folded
    weight.set_value(value)
