"""What removing channels does to a model's tensors and layers, and doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np

from ..compat.paddle import paddle
from .dependency.flow import write_number
from .dependency.groups import Group


@dataclass(frozen=True)
class ParamSlice:
    """What happens to one parameter or buffer.

    Attributes:
        shape: dense.
        keep: axis -> positions kept.
        picks: for a buffer of positions, those that are kept of the axis that it picks from.
    """

    shape: tuple[int, ...]
    keep: dict[int, tuple[int, ...]]
    picks: Optional[tuple[int, ...]] = None

    def kept_shape(self) -> tuple[int, ...]:
        """Shape after the cut."""
        return tuple(len(self.keep[a]) if a in self.keep else n for a, n in enumerate(self.shape))

    def applied(self, value: np.ndarray) -> np.ndarray:
        """Content after the cut."""
        for axis, keep in self.keep.items():
            value = np.take(value, keep, axis=axis)
        return value if self.picks is None else np.searchsorted(self.picks, value)


@dataclass(frozen=True)
class SlicePlan:
    """Everything that changes.

    Attributes:
        params: name of a parameter or buffer -> cut; those that stay as they are are absent.
        conv_groups: layer name -> its new number of convolution groups.
        sizes: ``layer.attribute`` -> the number of channels that the layer's code reads there.
    """

    params: dict[str, ParamSlice]
    conv_groups: dict[str, int]
    sizes: dict[str, int]


def tensors_of(model: paddle.nn.Layer) -> dict[str, paddle.Tensor]:
    """Parameters and buffers by name, those that are not saved included."""
    return {**dict(model.named_buffers()), **model.state_dict()}


def shapes_of(model: paddle.nn.Layer) -> dict[str, tuple[int, ...]]:
    """Their shapes."""
    return {name: tuple(int(n) for n in tensor.shape) for name, tensor in tensors_of(model).items()}


def param_slices(
    groups: Sequence[Group], kept: Sequence[np.ndarray], shapes: Mapping[str, Sequence[int]]
) -> dict[str, ParamSlice]:
    """Turn decisions per group into cuts per parameter.

    Args:
        groups: as analysed.
        kept: for each group bool ``[channels]``, True where a channel stays.
        shapes: dense shape of every parameter and buffer.

    Returns:
        Cuts of the parameters that really shrink, or pick from what does. Where several groups cut the
        same axis (the inputs of a concatenation), a position stays if each of them keeps it.
    """
    masks: dict[tuple[str, int], np.ndarray] = {}
    for group, keep in zip(groups, kept):
        for member in group.members:
            _meet(masks, (member.param, member.axis), member.index, keep)
    slices: dict[str, ParamSlice] = {}
    for (param, axis), mask in masks.items():
        if not mask.all():
            cut = slices.setdefault(param, ParamSlice(tuple(int(n) for n in shapes[param]), {}))
            cut.keep[axis] = tuple(np.flatnonzero(mask).tolist())
    for param, mask in _index_buffers(groups, kept).items():
        if not mask.all():
            cut = slices.get(param, ParamSlice(tuple(int(n) for n in shapes[param]), {}))
            slices[param] = replace(cut, picks=tuple(np.flatnonzero(mask).tolist()))
    return slices


def _index_buffers(groups: Sequence[Group], kept: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Buffers of positions -> which positions of the axis that they pick from stay."""
    masks: dict[str, np.ndarray] = {}
    for group, keep in zip(groups, kept):
        for index_buffer in group.index_buffers:
            _meet(masks, index_buffer.param, index_buffer.index, keep)
    return masks


def plan_slices(model: paddle.nn.Layer, groups: Sequence[Group], kept: Sequence[np.ndarray]) -> SlicePlan:
    """Work out everything that removing channels changes; the model is not touched.

    Args:
        model: dense.
        groups: as analysed.
        kept: for each group bool ``[channels]``, True where a channel stays.
    """
    cuts = param_slices(groups, kept, shapes_of(model))
    layers = dict(model.named_sublayers(include_self=True))
    conv_groups = {}
    for name in dict.fromkeys(name for group in groups for name in group.grouped_layers):
        cut = cuts.get(f"{name}.weight")
        if cut is not None and 0 in cut.keep:
            conv_groups[name] = layers[name]._groups * len(cut.keep[0]) // cut.shape[0]
    return SlicePlan(cuts, conv_groups, _sizes(groups, kept))


def _sizes(groups: Sequence[Group], kept: Sequence[np.ndarray]) -> dict[str, int]:
    masks: dict[tuple[str, str], np.ndarray] = {}
    for group, keep in zip(groups, kept):
        for size in group.sizes:
            _meet(masks, (size.layer, size.attribute), size.index, keep)
    return {f"{layer}.{attribute}": int(mask.sum()) for (layer, attribute), mask in masks.items() if not mask.all()}


def _meet(masks: dict[Any, np.ndarray], key: Any, index: np.ndarray, keep: np.ndarray) -> None:
    mask = np.where(index < 0, True, keep[index])
    masks[key] = masks[key] & mask if key in masks else mask


def apply_slices(model: paddle.nn.Layer, slices: SlicePlan) -> list[tuple[Any, str, Any]]:
    """ParamSlice a model in place. Parameters keep their names and identity; their shapes shrink.

    Returns:
        What was there before, for :func:`undo`.
    """
    before: list[tuple[Any, str, Any]] = []
    tensors = tensors_of(model)
    for name, cut in slices.params.items():
        value = tensors[name].numpy()
        before.append((tensors[name], "", value))
        _replace(tensors[name], cut.applied(value))
    layers = dict(model.named_sublayers(include_self=True))
    for name, number in slices.conv_groups.items():
        _set(before, layers[name], "_groups", number)
    for place, number in slices.sizes.items():
        name, _, attribute = place.rpartition(".")
        root = attribute.partition("[")[0]
        before.append((layers[name], root, getattr(layers[name], root)))
        write_number(layers[name], attribute, number)
    for name, layer in layers.items():
        cut = slices.params.get(f"{name}.weight")
        if cut is not None:
            _follow(before, layer, cut.kept_shape())
    return before


def undo(before: list[tuple[Any, str, Any]]) -> None:
    """Put back what :func:`apply_slices` changed."""
    for thing, attribute, value in reversed(before):
        if attribute:
            setattr(thing, attribute, value)
        else:
            _replace(thing, value)


def _follow(before: list[tuple[Any, str, Any]], layer: paddle.nn.Layer, shape: tuple[int, ...]) -> None:
    """Keep the numbers that Paddle's layers print true; none of them changes what they compute."""
    if isinstance(layer, paddle.nn.Conv2D):
        _set(before, layer, "_out_channels", shape[0])
        _set(before, layer, "_in_channels", shape[1] * layer._groups)
    elif isinstance(layer, paddle.nn.Linear):
        _set(before, layer, "in_features", shape[0])
        _set(before, layer, "out_features", shape[1])
    elif isinstance(layer, paddle.nn.layer.norm._BatchNormBase):
        _set(before, layer, "_num_features", shape[0])


def _set(before: list[tuple[Any, str, Any]], layer: paddle.nn.Layer, attribute: str, value: Any) -> None:
    before.append((layer, attribute, getattr(layer, attribute, None)))
    setattr(layer, attribute, value)


def _replace(tensor: paddle.Tensor, value: np.ndarray) -> None:
    """Give a parameter a value of another shape. Its object, name and optimizer settings stay."""
    new = paddle.to_tensor(value, dtype=tensor.dtype, place=tensor.place)
    tensor.get_tensor()._share_data_with(new.get_tensor())
    if not tensor.stop_gradient:
        tensor.clear_gradient(False)
