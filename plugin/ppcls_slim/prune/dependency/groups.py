"""Groups of channels that are removed together: what analysis, selection and plan have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...graph.model import layer_of


@dataclass(frozen=True)
class Member:
    """One axis of one parameter or buffer that shrinks when channels of a group are removed.

    Attributes:
        param: name as in ``model.state_dict()``, for example ``blocks.0.conv1.conv.weight``.
        axis: the axis that shrinks; the weight of a convolution is ``[out_c, in_c, k_h, k_w]``.
        index: int64 ``[size of the axis]``; position ``p`` belongs to prunable channel ``index[p]`` of the group, or
            to none of them where it is -1 (the other inputs of a concatenation).
        produces: whether the parameter is set to zero where a channel is masked. True for what produces the channel:
            filters, biases, scales, shifts. False for weights that only read it, because they read zeros then; they
            are set to zero only where a masked channel is not zero, because something was added on the way.
    """

    param: str
    axis: int
    index: np.ndarray
    produces: bool = True


@dataclass(frozen=True)
class Size:
    """An attribute of a layer that counts channels and has to follow them.

    ``paddle.reshape(y, [-1, self.pool2d_avg_channels])`` is right only while the attribute is.

    Attributes:
        layer: name of the layer, "" for the model itself.
        attribute: ``pool2d_avg_channels``, or ``splitted_in_channels[1]`` for an entry of a list.
        index: as in :class:`Member`. The new value is the number of positions that are kept. Where several groups
            have the same attribute, a position is kept if all of them keep it.
    """

    layer: str
    attribute: str
    index: np.ndarray


@dataclass(frozen=True)
class IndexBuffer:
    """A buffer whose values are the positions of channels, which have to be renumbered.

    ``paddle.index_select(x, self.index, axis=1)`` is right only while the positions are those of ``x``.

    Attributes:
        param: name of the buffer, ``layers.5.index``; int ``[positions]``.
        index: as in :class:`Member`, for the axis that the buffer's values are positions of.
    """

    param: str
    index: np.ndarray


@dataclass(frozen=True)
class Group:
    """Prunable channels that are scored and counted together.

    A prunable channel is the smallest thing that can be removed: usually one channel, for a grouped convolution all
    channels of one of its groups.

    Attributes:
        root_weights: weights of the convolutions whose filters are scored, in the order of the model. Nearly always
            one, which is the ``master`` of PaddleSlim's ``PruningCollection``. Where the first covers only part of
            the channels (a concatenation that is added to something wider), the next one scores those of its
            channels that no earlier one covers.
        prunable_channels: how many prunable channels the group has.
        members: everything that shrinks, the root weights included.
        grouped_layers: names of the grouped or depthwise convolutions whose number of groups shrinks with the
            channels.
        keep_at_least_one: sets of channels of which at least one has to stay, because a tensor would have no channels
            otherwise. The set of all channels, for which the same is true, is not listed.
        sizes: attributes of layers that have to follow.
        index_buffers: index buffers that have to be renumbered.
    """

    root_weights: tuple[str, ...]
    prunable_channels: int
    members: tuple[Member, ...]
    grouped_layers: tuple[str, ...] = ()
    keep_at_least_one: tuple[tuple[int, ...], ...] = ()
    sizes: tuple[Size, ...] = ()
    index_buffers: tuple[IndexBuffer, ...] = ()

    @property
    def root_layer(self) -> str:
        """Name of the layer of the first root weight."""
        return layer_of(self.root_weights[0])

    def member(self, param: str, axis: int = 0) -> Member:
        """Return the member for this parameter and axis.

        Raises:
            KeyError: the group has no such member.
        """
        for member in self.members:
            if member.param == param and member.axis == axis:
                return member
        raise KeyError((param, axis))

    def filters(self, root_weight: str) -> Member:
        """Return the axis of a root weight along which its filters lie.

        That is axis 0 of a convolution's ``[out_c, in_c, k_h, k_w]``, axis 1 of a transposed convolution's
        ``[in_c, out_c, k_h, k_w]`` and of a linear layer's ``[in, out]``. A grouped transposed convolution,
        ``[in_c, out_c / groups, k_h, k_w]``, has its groups along axis 0.

        Raises:
            KeyError: the parameter is not a root weight of the group.
        """
        own = [member for member in self.members if member.param == root_weight and member.produces]
        if root_weight not in self.root_weights or not own:
            raise KeyError(root_weight)
        return own[0] if len(own) == 1 else min(own, key=lambda member: member.axis)


@dataclass(frozen=True)
class Grouping:
    """Result of the analysis: what can be pruned, and what cannot and why.

    Attributes:
        groups: in the order of their first root weights in the model.
        frozen: layer -> reason, for every convolution whose filters are in no group.
    """

    groups: tuple[Group, ...]
    frozen: dict[str, str] = field(default_factory=dict)
