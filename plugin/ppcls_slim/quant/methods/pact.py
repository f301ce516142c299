"""PACT: activations clipped at a trained alpha, in the paper's form and in PaddleSlim's.

Choi et al., "PACT: Parameterized Clipping Activation for Quantized Neural Networks", arXiv:1805.06085.
The formulas in float64, for tests: :mod:`ppcls_slim.reference.pact`.
"""

from __future__ import annotations

import math
from typing import Any, Optional

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...compat.qat_layers import round_positive

# Reading alpha costs a synchronisation on a GPU, so a broken one is looked for every so many batches.
CHECK_EVERY = 20


# Written with differentiable operators and not as ``PyLayer``s: graphs of many of those hang when they are freed
# (Paddle 2.6.2 and 3.3.1, in ``~GradNodePyLayer``).


def two_sided(x: paddle.Tensor, alpha: paddle.Tensor) -> paddle.Tensor:
    """Clip ``x`` to [-alpha, alpha], as PaddleSlim's ``PACT`` does.

    Args:
        x: any shape.
        alpha: ``[1]``, positive.

    Exactly at +-alpha the gradient goes to ``x`` (PaddleSlim's ReLUs are at zero there).
    """
    relu = paddle.nn.functional.relu
    return x - relu(x - alpha) + relu(-alpha - x)


def rectified(x: paddle.Tensor, alpha: paddle.Tensor) -> paddle.Tensor:
    """:func:`two_sided` for ``x`` that is nowhere below -alpha, value and gradients alike, at half the cost.

    Args:
        x: any shape; what a ReLU gives, say.
        alpha: ``[1]``, positive.
    """
    return x - paddle.nn.functional.relu(x - alpha)


def one_sided(x: paddle.Tensor, alpha: paddle.Tensor, bits: int) -> paddle.Tensor:
    """Clip ``x`` to [0, alpha] and quantize it to ``bits`` unsigned bits, as the paper does.

    Args:
        x: any shape; negative values become 0, so it has to be what follows a ReLU.
        alpha: ``[1]``, positive.
        bits: ``k``; the values are multiples of ``alpha / (2^k - 1)``.

    Rounding is passed straight through. Exactly at alpha the gradient goes to alpha.
    """
    steps = 2**bits - 1
    above = (x >= alpha).astype(x.dtype)
    inside = (x >= 0).astype(x.dtype) - above
    clipped = x * inside + alpha * above
    with paddle.no_grad():
        rounding = round_positive(clipped * (steps / alpha)) * (alpha / steps) - clipped
    return clipped + rounding


class Pact(paddle.nn.Layer):
    """PaddleSlim's PACT before a fake quantizer: the two-sided clip, nothing else.

    Args:
        where: name of the layer that it serves, for messages.
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

    def check(self) -> None:
        """Refuse an alpha that clips everything away.

        Raises:
            SlimError: alpha is 0, negative or no number.
        """
        value = self.alpha.item()
        if not (value > 0 and math.isfinite(value)):
            raise SlimError(
                f"PACT: alpha of {self.where} ran to {value:g}, which clips everything: lower the learning rate, "
                "Slim.quant.pact.learning_rate or Slim.quant.pact.weight_decay, or skip the layer (Slim.quant.skip)"
            )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``x`` of any shape -> the same shape."""
        if self.training:
            if self._calls % CHECK_EVERY == 0:
                self.check()
            self._calls += 1
        return self.clip(x)

    def clip(self, x: paddle.Tensor) -> paddle.Tensor:
        """The clip alone."""
        return two_sided(x, self.alpha)


class RectifiedPact(Pact):
    """:class:`Pact` for a layer whose input had no negative value in calibration.

    Should one come later, it is the fake quantizer that clips it.
    """

    def clip(self, x: paddle.Tensor) -> paddle.Tensor:
        """The clip from above."""
        return rectified(x, self.alpha)


class PactQuantizer(Pact):
    """The paper's PACT: the one-sided clip and the quantizer in one, in the place of a fake quantizer.

    Args:
        where, alpha, learning_rate, weight_decay: as for :class:`Pact`.
        bits: unsigned bits.
    """

    def __init__(self, where: str, bits: int = 8, **options: Any):
        super().__init__(where, **options)
        self.bits = bits

    def clip(self, x: paddle.Tensor) -> paddle.Tensor:
        """The clip and the rounding."""
        return one_sided(x, self.alpha, self.bits)
