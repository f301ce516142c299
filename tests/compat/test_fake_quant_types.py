"""What docs/configuration.md says about AMP: which types Paddle's fake quantizers have kernels for."""

from __future__ import annotations

import pytest

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleslim import load_paddleslim

pytestmark = pytest.mark.paddle26


def fake_quants():
    load_paddleslim()
    from paddle.nn.quant import quant_layers

    return [
        quant_layers.FakeQuantAbsMax(quant_on_weight=True),
        quant_layers.FakeQuantMovingAverageAbsMax(),
        quant_layers.FakeQuantChannelWiseAbsMax(channel_num=2, quant_on_weight=True),
    ]


@pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="this Paddle has kernels for GPUs")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_on_a_cpu_they_run_in_float32_only(dtype):
    for layer in fake_quants():
        layer(paddle.ones([2, 3]))
        with pytest.raises(RuntimeError):
            layer(paddle.ones([2, 3]).astype(dtype))


def test_amp_has_those_without_channels_run_in_fp16_and_none_in_bfloat16():
    named = paddle.amp.white_list()
    quantizers = {dtype: {name for name in named[dtype]["O1"] if "quantize" in name} for dtype in named}
    assert quantizers == {
        "float16": {"fake_quantize_dequantize_abs_max", "fake_quantize_dequantize_moving_average_abs_max"},
        "bfloat16": set(),
    }


@pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="this Paddle has AMP")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_on_a_cpu_paddle_switches_amp_off(dtype):
    """So a training with AMP would be the one without, and shows nothing about fake quantizers."""
    value, layer = paddle.ones([2, 3]), paddle.nn.Linear(3, 3)
    with pytest.warns(UserWarning, match="makes no effect"), paddle.amp.auto_cast(level="O1", dtype=dtype):
        found = [quantizer(layer(value)) for quantizer in fake_quants()]
    assert {str(one.dtype) for one in found} == {"paddle.float32"}
    assert not paddle.amp.GradScaler(init_loss_scaling=128.0).is_enable()
