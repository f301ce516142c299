"""What a user gives as a network, as an example input and as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Optional, Union

import numpy as np

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..verify.samples import SAMPLES, Samples

Example = Union[Sequence[int], np.ndarray, paddle.Tensor]
"""A shape ``[C, H, W]``, or images ``[n, C, H, W]``."""
Data = Iterable[Any]
"""Batches: images ``[n, C, H, W]``, or ``(images, labels)``; a ``paddle.io.DataLoader``, a list, a generator."""


def check_network(model: object, function: str) -> None:
    """Refuse what is not a network.

    Raises:
        SlimError: see above.
    """
    if not isinstance(model, paddle.nn.Layer):
        raise SlimError(f"{function}: model is a {type(model).__name__}: give a paddle.nn.Layer")


def shape_of(example: Example, function: str) -> tuple[int, ...]:
    """``(C, H, W)`` of an example.

    Raises:
        SlimError: it is neither a shape nor images.
    """
    if isinstance(example, (np.ndarray, paddle.Tensor)) and len(example.shape) > 1:
        return tuple(int(side) for side in example.shape[1:])
    sides = list(example) if isinstance(example, (Sequence, np.ndarray)) and not isinstance(example, str) else []
    whole = [int(side) for side in sides if isinstance(side, (int, np.integer)) and side > 0]
    if not whole or len(whole) != len(sides):
        raise SlimError(f"{function}: {example!r:.60} is not an input: give its shape, as [3, 224, 224], or images")
    return tuple(whole)


class Batches:
    """Data as lists ``[images, labels, ...]`` of tensors, which can be gone through again.

    Args:
        data: see :data:`Data`. The batches of a generator are kept as they are taken.
        function: name of the function that was called, for messages.

    Raises:
        SlimError: it is no iterable of batches, or gives none.
    """

    def __init__(self, data: Data, function: str):
        self._function = function
        if isinstance(data, (str, bytes, Mapping, np.ndarray, paddle.Tensor)) or not isinstance(data, Iterable):
            raise SlimError(f"{function}: data is a {type(data).__name__}: give batches, as [images] or a DataLoader")
        self._source, self._kept = data, list[Any]()
        first = next(iter(self), None)
        if first is None:
            raise SlimError(f"{function}: data gives no batch")
        self.first: list[paddle.Tensor] = first

    def __iter__(self) -> Iterator[Any]:
        """Go through the batches."""
        if not isinstance(self._source, Iterator):
            yield from map(self._batch, self._source)
            return
        for number in range(2**62):
            if number == len(self._kept):
                try:
                    self._kept.append(self._batch(next(self._source)))
                except StopIteration:
                    return
            yield self._kept[number]

    def __len__(self) -> int:
        """How many there are; a generator is gone through."""
        return sum(1 for _ in self)

    @property
    def labelled(self) -> bool:
        """Whether batches have labels."""
        return len(self.first) > 1

    @property
    def shape(self) -> tuple[int, ...]:
        """``(C, H, W)`` of an image."""
        return tuple(int(side) for side in self.first[0].shape[1:])

    def samples(self) -> Samples:
        """The first inputs."""
        images: list[np.ndarray] = []
        for batch in islice(self, SAMPLES):
            images.extend(batch[0].numpy())
            if len(images) >= SAMPLES:
                break
        return Samples(np.stack(images[:SAMPLES]).astype(np.float32), "data")

    def _batch(self, batch: Any) -> list[paddle.Tensor]:
        parts = list(batch) if isinstance(batch, (list, tuple)) else [batch]
        if not parts or not all(isinstance(part, (np.ndarray, paddle.Tensor)) for part in parts[:2]):
            found = ", ".join(type(part).__name__ for part in parts) or type(batch).__name__
            raise SlimError(
                f"{self._function}: data gives a batch of {found}: give images [n, C, H, W] as a tensor or array, or "
                "(images, labels)"
            )
        images, *others = parts
        if len(images.shape) < 2 or not len(images):
            raise SlimError(f"{self._function}: data gives images of shape {list(images.shape)}, not [n, C, H, W]")
        return [_float32(_tensor(images)), *map(_tensor, others)]


def _tensor(value: Any) -> paddle.Tensor:
    return value if isinstance(value, paddle.Tensor) else paddle.to_tensor(value)


def _float32(images: paddle.Tensor) -> paddle.Tensor:
    """NumPy's doubles, and pixels, as networks take them; half precision stays."""
    half = images.dtype in (paddle.float16, paddle.bfloat16)
    return images if half or images.dtype == paddle.float32 else images.astype("float32")


def batches_of(data: Optional[Data], function: str) -> Optional[Batches]:
    """The data of an argument that may be left out."""
    return None if data is None else Batches(data, function)


def feed(model: paddle.nn.Layer, batch: Any) -> Any:
    """Give a network the images of a batch."""
    return model(batch[0])


def device() -> str:
    """``gpu`` or ``cpu``: where Paddle computes now, and exports are verified and timed."""
    return "gpu" if paddle.get_device().startswith("gpu") else "cpu"


def noise(shape: Sequence[int]) -> Samples:
    """Inputs where no data is at hand."""
    images = np.random.default_rng(0).standard_normal([4, *shape]).astype(np.float32)
    return Samples(images, "noise: no data is at hand")
