"""Runs of one recipe packed into one network: channels side by side, weights block-diagonal.

Convolutions of 5 to 64 channels leave most of a GPU idle. Three runs in one network have convolutions of three times
the channels, which take little longer; the weights between runs are zero, and their gradients are masked, so every
run computes what it computes alone. Each has images, batches and labels of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

State = Mapping[str, Tensor]


def merged(states: Sequence[State]) -> dict[str, Tensor]:
    """Return the weights of one network that computes what these do, side by side.

    Args:
        states: weights, named and shaped as in Paddle, of networks of equal depth.

    Raises:
        ValueError: the networks differ in their layers.
    """
    if any(set(state) != set(states[0]) for state in states):
        raise ValueError("networks of different layers cannot be packed into one")
    packed = {}
    for name in states[0]:
        parts = [state[name] for state in states]
        whole = parts[0].new_zeros(shape_of_all([part.shape for part in parts]))
        for place, part in zip(places_of([part.shape for part in parts]), parts):
            whole[place] = part
        packed[name] = whole
    return packed


def part_of(packed: State, states: Sequence[State], index: int) -> dict[str, Tensor]:
    """Return the weights of one of the networks; ``states`` has their shapes."""
    return {
        name: packed[name][places_of([state[name].shape for state in states])[index]].contiguous().clone()
        for name in states[0]
    }


def shape_of_all(shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the shape that holds tensors along the diagonal of their first two axes."""
    return (*(sum(sizes) for sizes in list(zip(*shapes))[:2]), *shapes[0][2:])


def places_of(shapes: Sequence[Sequence[int]]) -> list[tuple[slice, ...]]:
    """Return where each of the tensors lies along that diagonal."""
    places, starts = [], [0] * min(len(shapes[0]), 2)
    for shape in shapes:
        places.append(tuple(slice(start, start + size) for start, size in zip(starts, shape)))
        starts = [start + size for start, size in zip(starts, shape)]
    return places


def mask_of(states: Sequence[State]) -> dict[str, Tensor]:
    """Return ones where a packed network has a weight of one of its networks, and zeros between them."""
    return merged([{name: torch.ones_like(value) for name, value in state.items()} for state in states])
