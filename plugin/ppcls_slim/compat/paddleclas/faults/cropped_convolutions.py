"""EfficientNet pads strided convolutions too much and cuts the first row and column off the result.

Symptom: nothing is fused into five of EfficientNetB0's convolutions: slices, batch normalizations and activations
stay operators of their own, in int8 with quantizers around them.
Versions: PaddleClas 2.4.2 and later (``Conv2ds.need_crop``).
Delete when: PaddleClas gives these convolutions paddings that are not the same on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ...paddle import paddle
from ...patching import attribute_restored

PADDINGS = ("_padding", "_updated_padding")
"""Where ``QuantizedConv2D`` and ``Conv2D`` keep them."""


@contextmanager
def padded_on_one_side(model: paddle.nn.Layer) -> Iterator[None]:
    """Let such convolutions pad what they need, for the length of a ``with`` block; they compute the same.

    Without its first row and column, the result is that of a padding which is smaller by the stride at the top and on
    the left.
    """
    blocks: list[Any] = [layer for layer in model.sublayers() if _is_cropped(layer)]
    convolutions = [block._conv for block in blocks]
    with ExitStack() as stack:
        stack.enter_context(attribute_restored(blocks, "need_crop"))
        for name in PADDINGS:
            stack.enter_context(attribute_restored(convolutions, name))
        for block, convolution in zip(blocks, convolutions):
            block.need_crop, sizes = False, _one_sided(convolution)
            for name in PADDINGS:
                if hasattr(convolution, name):
                    setattr(convolution, name, sizes)
        yield


def _is_cropped(layer: Any) -> bool:
    convolution = getattr(layer, "_conv", None)
    if not getattr(layer, "need_crop", False) or convolution is None:
        return False
    padding, strides = convolution._padding, _pair(convolution._stride)
    return isinstance(padding, (list, tuple)) and len(padding) == 2 and padding[0] >= strides[0] <= padding[1]


def _one_sided(convolution: Any) -> list[int]:
    """Return ``[top, bottom, left, right]``."""
    (height, width), strides = convolution._padding, _pair(convolution._stride)
    return [height - strides[0], height, width - strides[1], width]


def _pair(size: Any) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)
