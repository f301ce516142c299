"""What a quantization method is: how the input of a layer is clipped, trained and exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Optional

from ..compat.paddle import paddle
from ..config.quant import QUANTIZERS, QuantConfig
from .observer import InputRange

PLAIN = "plain"
"""Clip mode of a layer whose input is quantized without being clipped first."""


class Target(NamedTuple):
    """A layer to quantize.

    Attributes:
        name: in the model.
        layer: PaddleSlim's quantized layer, with fake-quants for input and weight.
        clip_mode: as :attr:`Quantizer.clip_mode` chose it.
        observer: what calibration saw of its input; None without calibration, or if weights are loaded afterwards.
    """

    name: str
    layer: paddle.nn.Layer
    clip_mode: str
    observer: Optional[InputRange]


@dataclass(frozen=True)
class Quantizer:
    """A quantization method. ``quant/methods/<name>.py`` offers one as ``QUANTIZER``.

    PaddleSlim's QAT puts the fake-quants in; a method changes them, or puts layers in front of them.

    Attributes:
        clip_mode: ``clip_mode(settings, observer)`` returns how the input of a layer is clipped, which the record of
            the checkpoint keeps. The observer is None for a layer that calibration has not seen.
        build: ``build(target, settings)`` puts the layers of the method into one quantized layer.
        input_limit: ``input_limit(layer)`` returns the largest magnitude that the method lets through, or None if it
            does not clip. The scale of the exported layer is not larger.
        learned: ``learned(model)`` checks the values that training learns (PACT: alpha) and returns them by name of
            the layer.
    """

    clip_mode: Callable[[QuantConfig, Optional[InputRange]], str]
    build: Callable[[Target, QuantConfig], None]
    input_limit: Callable[[paddle.nn.Layer], Optional[float]]
    learned: Callable[[paddle.nn.Layer], dict[str, float]]


def quantizer_of(settings: QuantConfig) -> Quantizer:
    """Return the method that ``Slim.quant`` asks for.

    Raises:
        SlimError: it is an entry point that does not give a :class:`Quantizer`.
    """
    return QUANTIZERS.get(settings.method, Quantizer)
