"""What has to be in force while a model is exported for Paddle Inference, float or int8."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..paddle import paddle
from ..paddleclas.faults.cropped_convolutions import padded_on_one_side
from .norms_without_affine import affine_norms
from .pad_axes import pad_as_pad3d
from .padded_convolutions import paddings_of_convolutions


@contextmanager
def export_patches(model: paddle.nn.Layer) -> Iterator[None]:
    """Export inside this ``with`` block, and a guard for legacy IR inside it.

    The order matters: parameters that are created under a guard for legacy IR are not tensors of the model.

    Args:
        model: about to be exported; afterwards it has the tensors that it had.
    """
    with affine_norms(model), pad_as_pad3d(), padded_on_one_side(model), paddings_of_convolutions(model):
        yield
