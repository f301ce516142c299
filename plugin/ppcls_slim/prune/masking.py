"""Set channels of parameters to zero, which is what removing them is compared with."""

from __future__ import annotations

from typing import Union

import numpy as np

from ..compat.paddle import paddle


def fill_positions(tensor: paddle.Tensor, axis: int, positions: np.ndarray, fill: Union[float, np.ndarray]) -> None:
    """Set positions along an axis of a parameter or buffer.

    Args:
        tensor: changed in place.
        axis: the axis.
        positions: int ``[positions]``, or bool ``[size of the axis]``.
        fill: one value, or one for each position.
    """
    value = tensor.numpy().copy()
    np.moveaxis(value, axis, 0)[positions] = fill
    tensor.set_value(value)


def mask_positions(tensor: paddle.Tensor, name: str, axis: int, positions: np.ndarray) -> None:
    """Mask channels of a parameter or buffer, so that the channels it produces are zero.

    Masked values are zero, except running variances, which are 1 because they are divided by.

    Args:
        tensor: changed in place.
        name: its name in ``model.state_dict()``.
        axis: the axis of the channels.
        positions: int ``[positions]``, or bool ``[size of the axis]``.
    """
    fill_positions(tensor, axis, positions, 1.0 if name.endswith("_variance") else 0.0)
