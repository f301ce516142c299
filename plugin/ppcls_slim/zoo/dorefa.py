"""The weight quantizer of DoReFa-Net, which the PACT paper uses for the weights.

Zhou et al., "DoReFa-Net", arXiv:1606.06160, equation 9. The formula in float64, for tests:
:func:`ppcls_slim.reference.pact.dorefa_weight`.
"""

from __future__ import annotations

from typing import Any

from ..compat.layers import conv_settings
from ..compat.paddle import paddle


def dorefa_weight(weight: paddle.Tensor, bits: int) -> paddle.Tensor:
    """Quantize a weight of any shape to ``2^bits`` levels from -1 to 1; zero is not one of them.

    The gradient ignores the rounding (straight-through estimator); that of the largest magnitude goes to one element.
    """
    squashed, steps = paddle.tanh(weight), 2**bits - 1
    magnitudes = squashed.abs().flatten()
    # Not max(): its gradient takes seconds for 37,000 elements on the CPU (Paddle 2.6.2 and 3.3.1).
    unit = squashed / (2 * magnitudes[magnitudes.argmax()]) + 0.5
    rounding = (paddle.round(unit * steps) / steps - unit).detach()
    return 2 * (unit + rounding) - 1


class DorefaConv2D(paddle.nn.Conv2D):
    """A convolution whose weight is quantized in every forward pass; the parameter itself stays float.

    Args:
        *arguments: as for ``paddle.nn.Conv2D``.
        bits: bits of the weight.
        **options: as for ``paddle.nn.Conv2D``.
    """

    def __init__(self, *arguments: Any, bits: int, **options: Any):
        super().__init__(*arguments, **options)
        self.bits = bits

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``[n, in_c, h, w]`` -> ``[n, out_c, h_out, w_out]``."""
        weight = dorefa_weight(self.weight, self.bits)
        stride, padding, dilation, groups = conv_settings(self)
        return paddle.nn.functional.conv2d(x, weight, self.bias, stride, padding, dilation, groups)
