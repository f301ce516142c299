"""The fake-quants of LSQ: the size of a step of the integers is a parameter that training learns.

Esser et al., "Learned Step Size Quantization", ICLR 2020, arXiv:1902.08153. The formulas in float64, for tests:
:mod:`ppcls_slim.reference.lsq`.
"""

from __future__ import annotations

import math
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from ..compat.paddle import paddle
from .pact_layers import CHECK_EVERY

INT8 = 8
SMALLEST_STEP = 1e-8
"""Step of a channel whose weights are all zero."""


def levels(bits: int, unsigned: bool) -> tuple[int, int]:
    """Return ``(Q_N, Q_P)``: the integers are from ``-Q_N`` to ``Q_P``, as in the paper."""
    if unsigned:
        return 0, 2**bits - 1
    largest: int = 2 ** (bits - 1) - 1
    return largest + 1, largest


def lsq(x: paddle.Tensor, step: paddle.Tensor, negative: int, positive: int, gradient_scale: float) -> paddle.Tensor:
    """Quantize ``x`` to multiples of the step (equations 1 and 2), with the gradients of equations 3 and 5.

    The result is exactly the integer times the step. (A graph of differentiable operators, not a ``PyLayer``: see
    :mod:`.pact_layers`.)

    Args:
        x: any shape.
        step: positive; its shape broadcasts to that of ``x``.
        negative: ``Q_N``.
        positive: ``Q_P``.
        gradient_scale: factor of the gradient of the step.
    """
    with paddle.no_grad():
        ratio = x / step
        integers = paddle.round(ratio.clip(-negative, positive))
        inside = ((ratio > -negative) & (ratio < positive)).astype(x.dtype)
        derivative = integers - ratio * inside
        quantized = integers * step
        constant = step.clone()
    scaled = constant + (step - constant) * gradient_scale  # the step, with a scaled gradient
    smooth = x * inside + scaled * derivative
    return smooth + (quantized - smooth.detach())


class LsqQuantizer(paddle.nn.Layer):
    """A fake-quant with learned steps; the base of that for inputs and that for weights.

    Args:
        where: name of the layer, for messages.
        bits: of the integers.
        unsigned: whether they are from 0 on.
        steps: initial, ``[1]`` or ``[channels]``.
        learning_rate: multiplier of the optimizer's learning rate for the steps.
        weight_decay: L2 coefficient for the steps; None: the optimizer's.
    """

    def __init__(
        self,
        where: str,
        bits: int,
        unsigned: bool,
        steps: np.ndarray,
        learning_rate: float = 1.0,
        weight_decay: Optional[float] = 0.0,
    ):
        super().__init__()
        self.where = where
        self.negative, self.positive = levels(bits, unsigned)
        initial = np.maximum(np.asarray(steps, dtype=np.float32).reshape(-1), SMALLEST_STEP)
        self.step = self.create_parameter(
            [len(initial)],
            attr=paddle.ParamAttr(
                initializer=paddle.nn.initializer.Assign(initial),
                learning_rate=learning_rate,
                regularizer=None if weight_decay is None else paddle.regularizer.L2Decay(weight_decay),
            ),
        )
        self._calls = 0

    def checked_steps(self) -> np.ndarray:
        """Return the steps, ``[1]`` or ``[channels]``.

        Raises:
            SlimError: one is not a positive finite number.
        """
        steps: np.ndarray = self.step.numpy()
        wrong = steps[~(np.isfinite(steps) & (steps > 0))]
        if len(wrong):
            raise SlimError(
                f"LSQ: a step of {self.where} ran to {wrong[0]:g}: lower the learning rate, or "
                "Slim.quant.lsq.learning_rate, or skip the layer (Slim.quant.skip)"
            )
        return steps

    @property
    def largest(self) -> np.ndarray:
        """Largest values that are represented, ``[1]`` or ``[channels]``."""
        return np.asarray(self.step.numpy() * np.float32(self.positive))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Quantize ``x``."""
        if self.training:
            if self._calls % CHECK_EVERY == 0:
                self.checked_steps()
            self._calls += 1
        return self.quantize(x)

    def quantize(self, x: paddle.Tensor) -> paddle.Tensor:
        """Quantize ``x`` without checking the steps."""
        return lsq(x, self.shaped_step(x), self.negative, self.positive, self.gradient_scale(x))

    def shaped_step(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return the steps in a shape that broadcasts to that of ``x``."""
        return self.step

    def gradient_scale(self, x: paddle.Tensor) -> float:
        """Return ``1 / sqrt(N Q_P)``, where ``N`` is the number of features of a sample that share a step."""
        return 1.0 / math.sqrt(max(math.prod(x.shape[1:]), 1) * self.positive)


class LsqWeightQuantizer(LsqQuantizer):
    """The fake-quant of a weight, signed; with 8 bits from -127 to 127, as engines have weights.

    Args:
        where: name of the layer, for messages.
        bits: of the integers.
        steps: initial, ``[1]`` or ``[channels]``.
        axis: of the channels; None: one step for the whole weight.
        learning_rate: see :class:`LsqQuantizer`.
        weight_decay: see :class:`LsqQuantizer`.
    """

    def __init__(
        self,
        where: str,
        bits: int,
        steps: np.ndarray,
        axis: Optional[int],
        learning_rate: float = 1.0,
        weight_decay: Optional[float] = 0.0,
    ):
        super().__init__(f"{where} (weight)", bits, False, steps, learning_rate, weight_decay)
        if bits == INT8:
            self.negative = self.positive
        self.axis = axis

    def shaped_step(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return the steps along the axis of the channels."""
        return self.step if self.axis is None else self.step.reshape(along(self.axis, x.ndim))

    def gradient_scale(self, x: paddle.Tensor) -> float:
        """Return ``1 / sqrt(N Q_P)``, where ``N`` is the number of weights that share a step."""
        return 1.0 / math.sqrt(math.prod(x.shape) // self.step.shape[0] * self.positive)


def along(axis: int, ndim: int) -> list[int]:
    """Return the shape that lays a vector along an axis."""
    return [-1 if one == axis else 1 for one in range(ndim)]


def initial_steps(weight: np.ndarray, axis: Optional[int], bits: int, from_largest: bool = False) -> np.ndarray:
    """Return the first steps of a weight, ``[channels]``, or ``[1]`` without an axis.

    Args:
        weight: any shape.
        axis: of the channels, or None.
        bits: of the integers, signed.
        from_largest: ``2 max|w| / Q_P`` instead of the paper's ``2 mean|w| / sqrt(Q_P)``. Twice the range, because a
            clipped weight makes the gradient of its channel's step ``Q_P`` times as large, and the step runs away.
    """
    positive = levels(bits, unsigned=False)[1]
    others = tuple(one for one in range(weight.ndim) if one != axis)
    magnitudes = np.abs(weight.astype(np.float64))
    if from_largest:
        return np.asarray(2 * magnitudes.max(others) / positive).reshape(-1)
    return np.asarray(2 * magnitudes.mean(others) / math.sqrt(positive)).reshape(-1)
