"""What Paddle keeps in private attributes of its layers can be read and changed, in both versions."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.compat import layers, qat_layers
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.patching import attribute_restored, replaced

pytestmark = pytest.mark.paddle26

nn = paddle.nn
OPTIONS = {
    "weight_quantize_type": "channel_wise_abs_max",
    "activation_quantize_type": "moving_average_abs_max",
    "weight_bits": 8,
    "activation_bits": 8,
    "dtype": "int8",
    "window_size": 10000,
    "moving_rate": 0.9,
    "onnx_format": True,
    "quantizable_layer_type": ["Conv2D", "Linear"],
}


@pytest.fixture
def quantized():
    model = nn.Sequential(nn.Conv2D(4, 8, 3, stride=2, padding=1, groups=2))
    qat_layers.quantize_inputs(qat_layers.load_qat(OPTIONS), model)
    return model


def test_settings_of_a_convolution():
    conv = nn.Conv2D(4, 8, 3, stride=2, padding=1, groups=2)
    assert layers.conv_settings(conv) == ([2, 2], 1, [1, 1], 2)
    assert [layers.is_convolution(layer) for layer in (conv, nn.Conv2DTranspose(2, 2, 1), nn.Linear(2, 2), None)] == [
        True,
        True,
        False,
        False,
    ]
    assert layers.conv_groups(nn.Linear(2, 2)) == 1


def test_a_quantized_convolution_has_groups(quantized):
    assert layers.conv_groups(quantized[0]) == 2
    layers.set_conv_groups(quantized[0], 1)
    assert layers.conv_groups(quantized[0]) == 1


def test_sizes_of_layers_follow_and_go_back():
    conv, linear, norm = nn.Conv2D(4, 8, 3, groups=2), nn.Linear(4, 6), nn.BatchNorm2D(8)
    before = [str(layer) for layer in (conv, linear, norm)]
    shapes = [(6, 2, 3, 3), (3, 5), (7,)]
    old = [layers.set_layer_sizes(layer, shape) for layer, shape in zip((conv, linear, norm), shapes)]
    assert "4, 6, kernel" in str(conv)
    assert (linear.in_features, linear.out_features) == (3, 5)
    assert "num_features=7" in str(norm)
    for layer, sizes in zip((conv, linear, norm), old):
        vars(layer).update(sizes)
    assert [str(layer) for layer in (conv, linear, norm)] == before


def test_data_of_another_shape_keeps_the_parameter():
    linear = nn.Linear(4, 6)
    weight, name = linear.weight, linear.weight.name
    linear(paddle.ones([1, 4])).sum().backward()
    value = np.arange(6, dtype="float32").reshape(3, 2)
    layers.replace_data(linear.weight, value)
    layers.replace_data(linear.bias, np.zeros(2, "float32"))
    assert linear.weight is weight
    assert linear.weight.name == name
    assert linear(paddle.ones([1, 3])).numpy().tolist() == [value.sum(0).tolist()]
    linear(paddle.ones([1, 3])).sum().backward()
    assert linear.weight.grad.shape == [3, 2]


def test_statistics_of_a_batch_normalization():
    norm = nn.BatchNorm(3, act="relu", epsilon=0.5)
    mean, variance = layers.running_stats(norm)
    assert (mean.numpy().tolist(), variance.numpy().tolist()) == ([0, 0, 0], [1, 1, 1])
    assert (layers.epsilon(norm), layers.fused_activation(norm)) == (0.5, "relu")
    assert layers.fused_activation(nn.BatchNorm2D(3)) is None
    assert isinstance(norm, layers.BATCH_NORMS)


def test_parts_of_a_quantized_layer_can_be_replaced(quantized):
    layer = quantized[0]
    assert qat_layers.act_preprocess(layer) is None
    assert qat_layers.weight_preprocess(layer) is None
    relu = nn.ReLU()
    qat_layers.set_act_preprocess(layer, relu)
    qat_layers.set_weight_preprocess(layer, relu)
    assert qat_layers.act_preprocess(layer) is relu
    assert qat_layers.weight_preprocess(layer) is relu
    qat_layers.set_input_quantizer(layer, relu)
    assert qat_layers.input_quantizer(layer) is relu
    assert qat_layers.stored_scale(relu) is None
    assert not qat_layers.has_moving_average(relu)


def test_a_moving_average_is_set_as_if_one_batch_had_been_seen(quantized):
    quantizer = qat_layers.input_quantizer(quantized[0])
    assert qat_layers.has_moving_average(quantizer)
    qat_layers.set_moving_average(quantizer, 2.5)
    assert qat_layers.stored_scale(quantizer).item() == 2.5
    quantized.train()
    quantized(paddle.full([1, 4, 8, 8], 1.0))
    # Moving average with rate 0.9: (0.9 * 2.5 + 1) / (0.9 * 1 + 1).
    assert qat_layers.stored_scale(quantizer).item() == pytest.approx((0.9 * 2.5 + 1) / (0.9 + 1))


def test_names_of_a_quantized_state(quantized):
    names = list(quantized.state_dict())
    assert qat_layers.is_quantized_state(names)
    assert not qat_layers.is_quantized_state(["0.weight", "0.bias"])
    assert sum(map(qat_layers.is_moving_average, names)) == 3


def test_what_was_replaced_comes_back():
    class Module:
        one, two = 1, 2

    with pytest.raises(ValueError, match="inside"), replaced(Module, one=3, absent=4):
        assert (Module.one, hasattr(Module, "absent")) == (3, False)
        raise ValueError("inside")
    assert Module.one == 1
    with attribute_restored([Module], "two"):
        Module.two = 5
    assert Module.two == 2
