"""Which channels have to go together: the vocabulary that analysis, selection and plan share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


def layer_of(weight: str) -> str:
    """``conv1.weight`` -> ``conv1``."""
    return weight.rsplit(".", 1)[0]


@dataclass(frozen=True)
class Member:
    """One axis of one parameter (or buffer) that shrinks when units of a group are removed.

    Attributes:
        param: name as in ``model.state_dict()``, for example ``blocks.0.conv1.conv.weight``.
        axis: the axis that shrinks; a convolution's weight is ``[out_c, in_c, k_h, k_w]``.
        index: int64 ``[size of the axis]``; position ``p`` belongs to unit ``index[p]`` of the
            group, or to no unit of it where it is -1 (the other inputs of a concatenation).
        produces: whether the parameter is zero where a unit is silenced. The weights that only read the
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
class Lookup:
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
    """Units that are removed together.

    A unit is the smallest thing that can be removed: usually one channel, for a grouped convolution
    all the channels of one of its groups.

    Attributes:
        masters: convolution weights whose filters are scored, in the order of the model. Nearly
            always one, as PaddleSlim's ``PruningCollection.master``. Where the first covers only
            part of the units (a concatenation that is added to something wider), the next is
            responsible for those of its units that no earlier one covers.
        units: how many units the group has.
        members: everything that shrinks, axis 0 of the masters included.
        grouped_layers: names of the grouped or depthwise convolutions whose number of ``groups``
            shrinks in proportion to the units that are kept.
        never_empty: sets of units of which at least one has to stay, or a tensor would have no
            channels; the set of all units, to which the same applies, is not listed.
        sizes: attributes of layers that have to follow.
        lookups: buffers of positions that have to follow.
    """

    masters: tuple[str, ...]
    units: int
    members: tuple[Member, ...]
    grouped_layers: tuple[str, ...] = ()
    never_empty: tuple[tuple[int, ...], ...] = ()
    sizes: tuple[Size, ...] = ()
    lookups: tuple[Lookup, ...] = ()

    def member(self, param: str, axis: int = 0) -> Member:
        """Return the member for this parameter and axis.

        Raises:
            KeyError: the group has none.
        """
        for member in self.members:
            if member.param == param and member.axis == axis:
                return member
        raise KeyError((param, axis))

    def filters(self, master: str) -> Member:
        """Return the axis of a master along which its filters lie.

        That is axis 0 of a convolution's ``[out_c, in_c, k_h, k_w]``, axis 1 of a transposed convolution's
        ``[in_c, out_c, k_h, k_w]`` and of a linear layer's ``[in, out]``.

        Raises:
            KeyError: the parameter is no master of the group.
        """
        own = [member for member in self.members if member.param == master and member.produces]
        if master not in self.masters or not own:
            raise KeyError(master)
        return own[0] if len(own) == 1 else min(own, key=lambda member: member.axis)


@dataclass(frozen=True)
class Grouping:
    """Result of the analysis: what can be pruned, and what cannot and why.

    Attributes:
        groups: in the order of their first masters in the model.
        frozen: layer name -> reason in a few words, for every convolution whose filters are in no
            group.
    """

    groups: tuple[Group, ...]
    frozen: dict[str, str] = field(default_factory=dict)
