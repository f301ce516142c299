"""A padding before a convolution is an operator of its own, in float32, and slower than the convolution.

Symptom: a network like EfficientNet-Lite, which pads with ``Pad2D`` before five strided depthwise convolutions, is
slower in int8 than in FP32: ``pad3d`` and the ``unsqueeze2`` and ``squeeze2`` around it take longer than all of its
convolutions.
Pass: none; no pass makes a padding with zeros the convolution's own.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: a pass does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Optional

from ..paddle import paddle
from ..patching import replaced

ATTRIBUTES = ("_padding", "_updated_padding")
"""Where a convolution keeps its padding, ``QuantizedConv2D`` and ``Conv2D``."""


@contextmanager
def paddings_of_convolutions(model: paddle.nn.Layer) -> Iterator[None]:
    """Let convolutions do the zero padding of their input, for the length of a ``with`` block in which one exports.

    The padding remains where something else reads it, too; else it is pruned on saving. A fake-quant between the two
    changes nothing: zero stays zero. A convolution that reads one feature map with two paddings reads a copy of it
    the second time: two that have input and weight in common, oneDNN computes wrong (int8; float on 2.6.2).
    """
    functional = paddle.nn.functional
    upstream = functional.pad
    padded: dict[
        int, tuple[Any, Any, list[int]]
    ] = {}  # id of the result -> result (or the id is reused), input, sizes

    @paddle.jit.not_to_static  # or tracing would translate it, too
    def pad(x: Any, pad: Any, mode: str = "constant", value: Any = 0.0, *others: Any, **options: Any) -> Any:
        result = upstream(x, pad, mode, value, *others, **options)
        if not others and mode == "constant" and len(x.shape) == 4 and isinstance(value, (int, float)) and value == 0:
            sizes = _of_image(pad, options.get("data_format", "NCHW"))
            if sizes is not None:
                padded[id(result)] = (result, x, sizes)
        return result

    with ExitStack() as stack:
        for layer in model.sublayers(include_self=True):
            if _can_pad(layer):
                stack.callback(layer.register_forward_pre_hook(_takes_over(padded)).remove)
                stack.callback(layer.register_forward_post_hook(_restores).remove)
        stack.enter_context(replaced(functional, pad=pad))
        yield


def _of_image(pad: Any, data_format: str) -> Optional[list[int]]:
    """Return ``[top, bottom, left, right]`` of a padding of ``[B, C, H, W]``; None if it is of another kind."""
    if isinstance(pad, int):
        pad = [pad] * 4
    if data_format != "NCHW" or not isinstance(pad, (list, tuple)) or len(pad) != 4:
        return None
    if not all(isinstance(size, int) and size >= 0 for size in pad):
        return None
    left, right, top, bottom = pad
    return [top, bottom, left, right]


def _can_pad(layer: Any) -> bool:
    names = [name for name in ATTRIBUTES if hasattr(layer, name)]
    known = getattr(layer, "_data_format", "") == "NCHW" and getattr(layer, "_padding_mode", "") == "zeros"
    kernel = getattr(layer, "weight", None)
    transposed = "Transpose" in type(layer).__name__
    if not names or not known or kernel is None or len(kernel.shape) != 4 or transposed:
        return False
    return all(_four(getattr(layer, name)) is not None for name in names)


def _four(padding: Any) -> Optional[list[int]]:
    """Return ``[top, bottom, left, right]`` of a convolution's padding; None if it is computed from the input."""
    if isinstance(padding, int):
        return [padding] * 4
    if not isinstance(padding, Sequence) or not all(isinstance(size, int) for size in padding):
        return None
    if len(padding) == 2:
        return [padding[0], padding[0], padding[1], padding[1]]
    return list(padding) if len(padding) == 4 else None


def _takes_over(padded: dict[int, tuple[Any, Any, list[int]]]) -> Callable[[Any, Any], Any]:
    reads: dict[int, tuple[Any, list[int]]] = {}  # id of what this layer reads -> it (or the id is reused), sizes

    def hook(layer: Any, inputs: Any) -> Any:
        result, source, sizes = padded.get(id(inputs[0]), (None, inputs[0], []))
        layer.padding_before = None
        if reads.setdefault(id(source), (source, sizes))[1] != sizes:
            source = paddle.assign(source)
        if result is None:
            return (source, *inputs[1:])
        layer.padding_before = {name: getattr(layer, name) for name in ATTRIBUTES if hasattr(layer, name)}
        for name, before in layer.padding_before.items():
            setattr(layer, name, [own + more for own, more in zip(_four(before) or (), sizes)])
        return (source, *inputs[1:])

    return hook


def _restores(layer: Any, inputs: Any, output: Any) -> None:
    for name, before in (layer.padding_before or {}).items():
        setattr(layer, name, before)
    del layer.padding_before
