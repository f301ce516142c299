"""What a quantization method is: how the input of a layer is clipped, trained and exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np

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


class ExportedWeight(NamedTuple):
    """A weight as it is exported.

    Attributes:
        weight: on the grid of int8.
        scale: what the largest integer stands for, ``[channels]``, or ``[1]`` for the whole weight.
    """

    weight: paddle.Tensor
    scale: np.ndarray


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
        export_weight: ``export_weight(layer, weight)`` returns the weight of a layer, after its preprocess, as it is
            exported, or None where its largest magnitude is its scale, as in PaddleSlim's fake-quants.
        unsigned: clip modes whose inputs are quantized to unsigned integers. (Others may be unsigned in an engine
            that sees that they come from a ReLU.)
    """

    clip_mode: Callable[[QuantConfig, Optional[InputRange]], str]
    build: Callable[[Target, QuantConfig], None]
    input_limit: Callable[[paddle.nn.Layer], Optional[float]]
    learned: Callable[[paddle.nn.Layer], dict[str, float]]
    export_weight: Callable[[paddle.nn.Layer, paddle.Tensor], Optional[ExportedWeight]] = lambda layer, weight: None
    unsigned: frozenset[str] = frozenset()


def quantizer_of(settings: QuantConfig) -> Quantizer:
    """Return the method that ``Slim.quant`` asks for.

    Raises:
        SlimError: it is an entry point that does not give a :class:`Quantizer`.
    """
    return QUANTIZERS.get(settings.method, Quantizer)
