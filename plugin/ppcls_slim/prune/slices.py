"""What removing channels does to parameters, buffers and layers: worked out here, done in :mod:`.apply`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional, TypeVar

import numpy as np

from ..compat.layers import conv_groups
from ..compat.paddle import paddle
from ..graph.model import shapes_of
from .dependency.groups import Group

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class ParamSlice:
    """What is kept of one parameter or buffer.

    Attributes:
        shape: shape in the dense model.
        keep: axis -> positions kept, ascending; axes that are kept completely are absent.
        picks: for an index buffer, the positions that are kept of the axis that it picks from.
    """

    shape: tuple[int, ...]
    keep: dict[int, tuple[int, ...]]
    picks: Optional[tuple[int, ...]] = None

    def kept_shape(self) -> tuple[int, ...]:
        """Return the shape of the slice."""
        return tuple(len(self.keep[a]) if a in self.keep else n for a, n in enumerate(self.shape))

    def applied(self, value: np.ndarray) -> np.ndarray:
        """Return the slice of a dense value; the values of an index buffer are renumbered."""
        for axis, keep in self.keep.items():
            value = np.take(value, keep, axis=axis)
        return value if self.picks is None else np.searchsorted(self.picks, value)


@dataclass(frozen=True)
class SlicePlan:
    """Everything in a model that changes when channels are removed.

    Attributes:
        params: parameter or buffer -> what is kept of it; those that do not change are absent.
        conv_groups: layer -> its new number of convolution groups.
        sizes: ``layer.attribute`` -> the number of channels that the attribute counts.
    """

    params: dict[str, ParamSlice]
    conv_groups: dict[str, int]
    sizes: dict[str, int]


def further_slices(before: SlicePlan, after: SlicePlan) -> SlicePlan:
    """Return what leads from a model without some channels to the same model without more of them.

    Args:
        before: from the dense model to the first.
        after: from the dense model to the second; keeps nothing that ``before`` does not keep.
    """
    return SlicePlan(
        {name: _further(before.params.get(name), piece) for name, piece in after.params.items()},
        after.conv_groups,
        after.sizes,
    )


def _further(before: Optional[ParamSlice], after: ParamSlice) -> ParamSlice:
    if before is None:
        return after
    keep = {axis: _located(before.keep.get(axis), positions) for axis, positions in after.keep.items()}
    picks = None if after.picks is None else _located(before.picks, after.picks)
    return ParamSlice(before.kept_shape(), keep, picks)


def _located(before: Optional[tuple[int, ...]], after: tuple[int, ...]) -> tuple[int, ...]:
    """Where positions of a dense axis lie among those that were kept of it; None: all were."""
    return after if before is None else tuple(np.searchsorted(before, after).tolist())


def param_slices(
    groups: Sequence[Group], kept: Sequence[np.ndarray], shapes: Mapping[str, Sequence[int]]
) -> dict[str, ParamSlice]:
    """Return the slices of the parameters and buffers that change.

    Where several groups share an axis (the inputs of a concatenation), a position is kept if all of them keep it.

    Args:
        groups: of the dense model.
        kept: for each group bool ``[prunable channels]``, True for channels that are kept.
        shapes: dense shape of every parameter and buffer.
    """
    masks: dict[tuple[str, int], np.ndarray] = {}
    picks: dict[str, np.ndarray] = {}
    for group, keep in zip(groups, kept):
        for member in group.members:
            _combine(masks, (member.param, member.axis), member.index, keep)
        for buffer in group.index_buffers:
            _combine(picks, buffer.param, buffer.index, keep)
    slices: dict[str, ParamSlice] = {}
    for (param, axis), mask in masks.items():
        if not mask.all():
            piece = slices.setdefault(param, ParamSlice(_shape(shapes, param), {}))
            piece.keep[axis] = tuple(np.flatnonzero(mask).tolist())
    for param, mask in picks.items():
        if not mask.all():
            piece = slices.get(param, ParamSlice(_shape(shapes, param), {}))
            slices[param] = replace(piece, picks=tuple(np.flatnonzero(mask).tolist()))
    return slices


def plan_slices(model: paddle.nn.Layer, groups: Sequence[Group], kept: Sequence[np.ndarray]) -> SlicePlan:
    """Work out everything that removing channels changes; the model is not changed.

    Args:
        model: dense.
        groups: of the model.
        kept: for each group bool ``[prunable channels]``, True for channels that are kept.
    """
    params = param_slices(groups, kept, shapes_of(model))
    layers = dict(model.named_sublayers(include_self=True))
    groups_left = {}
    for name in dict.fromkeys(name for group in groups for name in group.grouped_layers):
        weight = params.get(f"{name}.weight")
        if weight is not None and 0 in weight.keep:
            groups_left[name] = conv_groups(layers[name]) * len(weight.keep[0]) // weight.shape[0]
    return SlicePlan(params, groups_left, _sizes(groups, kept))


def _sizes(groups: Sequence[Group], kept: Sequence[np.ndarray]) -> dict[str, int]:
    masks: dict[tuple[str, str], np.ndarray] = {}
    for group, keep in zip(groups, kept):
        for size in group.sizes:
            _combine(masks, (size.layer, size.attribute), size.index, keep)
    return {f"{layer}.{attribute}": int(mask.sum()) for (layer, attribute), mask in masks.items() if not mask.all()}


def _combine(masks: dict[Key, np.ndarray], key: Key, index: np.ndarray, keep: np.ndarray) -> None:
    """Add what one group keeps of an axis to what the groups before it keep."""
    mask = np.where(index < 0, True, keep[index])
    masks[key] = masks[key] & mask if key in masks else mask


def _shape(shapes: Mapping[str, Sequence[int]], param: str) -> tuple[int, ...]:
    return tuple(int(n) for n in shapes[param])
