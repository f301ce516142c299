"""Which channels have to go together: the vocabulary that analysis, selection and plan share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


def layer_of(weight: str) -> str:
    """``conv1.weight`` -> ``conv1``."""
    return weight.rsplit(".", 1)[0]


@dataclass(frozen=True)
class Member:
    """One axis of one parameter (or buffer) that shrinks when channels of a group are removed.

    Attributes:
        param: name as in ``model.state_dict()``, for example ``blocks.0.conv1.conv.weight``.
        axis: the axis that shrinks; a convolution's weight is ``[out_c, in_c, k_h, k_w]``.
        index: int64 ``[size of the axis]``; position ``p`` belongs to channel ``index[p]`` of the
            group, or to no channel of it where it is -1 (the other inputs of a concatenation).
        produces: whether the parameter is zero where a channel is silenced. The weights that only read the
            channels are not: they have nothing to read then. (They are where a silenced channel is not
            zero but constant, because something is added to all channels on the way.)
    """

    param: str
    axis: int
    index: np.ndarray
    produces: bool = True


@dataclass(frozen=True)
class Size:
    """A number of channels that the code of a layer keeps, and that has to follow.

    ``paddle.reshape(y, [-1, self.pool2d_avg_channels])`` is right only while the attribute is.

    Attributes:
        layer: name of the layer, "" for the model itself.
        attribute: ``pool2d_avg_channels``, or ``splitted_in_channels[1]`` for an entry of a list.
        index: as in ``Member``; the new value is the number of positions that are kept. Where several
            groups have the same attribute, a position is kept if it is in all of them.
    """

    layer: str
    attribute: str
    index: np.ndarray


@dataclass(frozen=True)
class IndexBuffer:
    """A buffer of positions, with which the code picks channels, and that has to count anew.

    ``paddle.index_select(x, self.index, axis=1)`` is right only while the positions are those of ``x``.

    Attributes:
        param: name of the buffer, ``layers.5.index``; int ``[positions]``.
        index: as in ``Member``, for the axis that the buffer's values are positions of.
    """

    param: str
    index: np.ndarray


@dataclass(frozen=True)
class Group:
    """Channels that are removed together.

    A channel is the smallest thing that can be removed: usually one channel, for a grouped convolution
    all the channels of one of its groups.

    Attributes:
        root_weights: convolution weights whose filters are scored, in the order of the model. Nearly
            always one, as PaddleSlim's ``PruningCollection.root_weight``. Where the first covers only
            part of the channels (a concatenation that is added to something wider), the next is
            responsible for those of its channels that no earlier one covers.
        channels: how many channels the group has.
        members: everything that shrinks, axis 0 of the root_weights included.
        grouped_layers: names of the grouped or depthwise convolutions whose number of ``groups``
            shrinks in proportion to the channels that are kept.
        keep_at_least_one: sets of channels of which at least one has to stay, or a tensor would have no
            channels; the set of all channels, to which the same applies, is not listed.
        sizes: attributes of layers that have to follow.
        index_buffers: buffers of positions that have to follow.
    """

    root_weights: tuple[str, ...]
    prunable_channels: int
    members: tuple[Member, ...]
    grouped_layers: tuple[str, ...] = ()
    keep_at_least_one: tuple[tuple[int, ...], ...] = ()
    sizes: tuple[Size, ...] = ()
    index_buffers: tuple[IndexBuffer, ...] = ()

    def member(self, param: str, axis: int = 0) -> Member:
        """Return the member for this parameter and axis.

        Raises:
            KeyError: the group has none.
        """
        for member in self.members:
            if member.param == param and member.axis == axis:
                return member
        raise KeyError((param, axis))

    def filters(self, root_weight: str) -> Member:
        """Return the axis of a root_weight along which its filters lie.

        That is axis 0 of a convolution's ``[out_c, in_c, k_h, k_w]``, axis 1 of a transposed convolution's
        ``[in_c, out_c, k_h, k_w]`` and of a linear layer's ``[in, out]``.

        Raises:
            KeyError: the parameter is no root_weight of the group.
        """
        own = [member for member in self.members if member.param == root_weight and member.produces]
        if root_weight not in self.root_weights or not own:
            raise KeyError(root_weight)
        return own[0] if len(own) == 1 else min(own, key=lambda member: member.axis)


@dataclass(frozen=True)
class Grouping:
    """Result of the analysis: what can be pruned, and what cannot and why.

    Attributes:
        groups: in the order of their first root_weights in the model.
        frozen: layer name -> reason in a few words, for every convolution whose filters are in no
            group.
    """

    groups: tuple[Group, ...]
    frozen: dict[str, str] = field(default_factory=dict)
