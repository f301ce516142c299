"""The layers and clip functions of PACT, in the paper's form (one-sided) and in PaddleSlim's (two-sided).

Choi et al., "PACT: Parameterized Clipping Activation for Quantized Neural Networks", arXiv:1805.06085. The formulas
in float64, for tests: :mod:`ppcls_slim.reference.pact`.
"""

from __future__ import annotations

import math
from typing import Any, Optional

from ..common.errors import SlimError
from ..compat.legacy_ops import round_positive
from ..compat.paddle import paddle

CHECK_EVERY = 20
"""Training batches from one check of alpha to the next: reading alpha waits for the GPU."""

BELOW_ZERO = -1e-30
"""Keeps the gradient of zeros, which belong to what is not clipped."""

# The clip functions use differentiable operators instead of a ``PyLayer``: graphs of many ``PyLayer``s hang when they
# are freed (Paddle 2.6.2 and 3.3.1, in ``~GradNodePyLayer``).


def two_sided(x: paddle.Tensor, alpha: paddle.Tensor) -> paddle.Tensor:
    """Clip ``x`` to [-alpha, alpha], as PaddleSlim's ``PACT`` does.

    Exactly at alpha and -alpha the gradient goes to ``x``, as in PaddleSlim.

    Args:
        x: any shape.
        alpha: ``[1]``, positive.
    """
    relu = paddle.nn.functional.relu
    return x - relu(x - alpha) + relu(-alpha - x)


def rectified(x: paddle.Tensor, alpha: paddle.Tensor) -> paddle.Tensor:
    """Return what :func:`two_sided` returns, with the same gradients at half the cost, if ``x >= -alpha`` everywhere.

    Args:
        x: any shape, for example the output of a ReLU.
        alpha: ``[1]``, positive.
    """
    return x - paddle.nn.functional.relu(x - alpha)


def one_sided(x: paddle.Tensor, alpha: paddle.Tensor, bits: int) -> paddle.Tensor:
    """Clip ``x`` to [0, alpha] and quantize it to unsigned integers of ``bits`` bits, as in the paper (equation 2).

    The gradient ignores the rounding (straight-through estimator). Exactly at alpha it goes to alpha.

    Args:
        x: any shape. Negative values become 0, so ``x`` should be the output of a ReLU.
        alpha: ``[1]``, positive.
        bits: ``k``; the results are multiples of ``alpha / (2^k - 1)``.
    """
    steps = 2**bits - 1
    # Where both are equal, ``fmin`` gives the gradient to its first argument; ``minimum`` does on Paddle 2.6.2 alone.
    # At 0, ``relu`` would give none.
    clipped = paddle.fmin(alpha, paddle.nn.functional.thresholded_relu(x, BELOW_ZERO))
    with paddle.no_grad():
        rounding = round_positive(clipped * (steps / alpha)) * (alpha / steps) - clipped
    return clipped + rounding


class Pact(paddle.nn.Layer):
    """The two-sided clip of PaddleSlim's PACT, in front of a fake-quant.

    Args:
        where: name of the layer whose input is clipped, for messages.
        alpha: initial value.
        learning_rate: multiplier of the optimizer's learning rate for alpha.
        weight_decay: L2 coefficient for alpha; None: the optimizer's.
    """

    def __init__(
        self, where: str, alpha: float = 1.0, learning_rate: float = 1.0, weight_decay: Optional[float] = None
    ):
        super().__init__()
        self.where = where
        self.alpha = self.create_parameter(
            [1],
            attr=paddle.ParamAttr(
                initializer=paddle.nn.initializer.Constant(alpha),
                learning_rate=learning_rate,
                regularizer=None if weight_decay is None else paddle.regularizer.L2Decay(weight_decay),
            ),
        )
        self._calls = 0

    def checked_alpha(self) -> float:
        """Return the value of alpha.

        Raises:
            SlimError: it is not a positive finite number, and clips everything away.
        """
        value = float(self.alpha.item())
        if not (value > 0 and math.isfinite(value)):
            raise SlimError(
                f"PACT: alpha of {self.where} ran to {value:g}, which clips everything: lower the learning rate, "
                "Slim.quant.pact.learning_rate or Slim.quant.pact.weight_decay, or skip the layer (Slim.quant.skip)"
            )
        return value

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Clip ``x`` of any shape."""
        if self.training:
            if self._calls % CHECK_EVERY == 0:
                self.checked_alpha()
            self._calls += 1
        return self.clip(x)

    def clip(self, x: paddle.Tensor) -> paddle.Tensor:
        """Clip ``x`` without checking alpha."""
        return two_sided(x, self.alpha)


class RectifiedPact(Pact):
    """:class:`Pact` for a layer whose input had no negative values in calibration.

    If there are some in training, the fake-quant behind it clips them.
    """

    def clip(self, x: paddle.Tensor) -> paddle.Tensor:
        """Clip ``x`` from above."""
        return rectified(x, self.alpha)


class PactQuantizer(Pact):
    """The one-sided clip of the PACT paper with its quantizer, in the place of a fake-quant.

    Args:
        where: name of the layer whose input is quantized, for messages.
        bits: unsigned bits.
        **options: ``alpha``, ``learning_rate`` and ``weight_decay`` of :class:`Pact`.
    """

    def __init__(self, where: str, bits: int = 8, **options: Any):
        super().__init__(where, **options)
        self.bits = bits

    def clip(self, x: paddle.Tensor) -> paddle.Tensor:
        """Clip and round ``x``."""
        return one_sided(x, self.alpha, self.bits)


def pact_layers(model: paddle.nn.Layer) -> dict[str, Pact]:
    """Return name of the quantized layer -> its PACT layer; "name (weight)" where PACT clips the weight."""
    return {layer.where: layer for layer in model.sublayers() if isinstance(layer, Pact)}


def alphas(model: paddle.nn.Layer) -> dict[str, float]:
    """Return the alphas, with the names of :func:`pact_layers`.

    Raises:
        SlimError: an alpha is not a positive finite number.
    """
    return {name: layer.checked_alpha() for name, layer in pact_layers(model).items()}
