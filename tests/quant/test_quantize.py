"""Folding, calibration and the hooks, on a small network."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.compat.legacy_program import legacy_ir
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.qat_layers import act_preprocess
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.deploy.paddle_inference import Predictor
from ppcls_slim.deploy.targets import paddle_int8
from ppcls_slim.quant import calibrate, convert, prepare
from ppcls_slim.quant.fold_bn import find_pairs, fold
from ppcls_slim.quant.layers import quantizable_layers, quantized_layers
from ppcls_slim.quant.pact_layers import pact_layers
from ppcls_slim.zoo.cifar_resnet import BACKBONES

pytestmark = pytest.mark.paddle26


@pytest.fixture
def images():
    return paddle.to_tensor(np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype("float32"))


@pytest.fixture
def model(images):
    paddle.seed(0)
    network = BACKBONES["CifarResNet8"](class_num=10)
    for _ in range(20):  # running statistics that say something
        network(images)
    return network


def quantized(model, images, **keys):
    settings = QuantConfig(calibration_batches=1, **keys)
    return prepare.quantize(model, settings, [(images,)], lambda batch: model(batch[0]))


def built_for_export(model, record):
    fresh = BACKBONES["CifarResNet8"](class_num=10)
    prepare.rebuild(fresh, record, for_export=True)
    model.eval()
    fresh.eval()
    convert.convert_weights(model, fresh, record)
    return fresh


def test_folding_changes_nothing_but_rounding(model, images):
    model.eval()
    before = model(images).numpy()
    pairs = find_pairs(model, lambda: model(images))
    assert pairs["layer1.0.conv1"] == "layer1.0.bn1"
    fold(model, pairs)
    np.testing.assert_allclose(model(images).numpy(), before, rtol=1e-4, atol=1e-4)


def test_calibration_leaves_the_model_as_it_came(model, images):
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    found = calibrate.observe(model, quantizable_layers(model, QuantConfig()), [images] * 3, model, 2)
    assert len(found["conv1"].magnitudes) == 2
    assert found["conv1"].magnitudes[0] == pytest.approx(float(np.abs(images.numpy()).max()))
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_calibration_normalizes_as_the_model_does_that_is_used_next(model, images, batch_statistics):
    seen = []
    hook = model.layer1[0].conv2.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].max().item()))
    layers = quantizable_layers(model, QuantConfig())
    other = images * 3  # the batch's own statistics undo this factor, running ones do not
    found = calibrate.observe(model, layers, [other], model, 1, batch_statistics=batch_statistics)
    for layer in model.sublayers():
        layer.training = batch_statistics and isinstance(layer, paddle.nn.BatchNorm2D)
    model(other)
    hook.remove()
    assert found["layer1.0.conv2"].magnitudes == pytest.approx(seen[1:], rel=1e-5)
    model.eval()


@pytest.mark.parametrize("form", ["auto", "one_sided"])
def test_one_sided_only_where_inputs_are_rectified(model, images, form):
    record = quantized(model, images, pact={"form": form})
    assert record.layers["conv1"] == "two_sided"  # the image has negative values
    assert record.layers["layer1.0.conv2"] == "one_sided"


SIGNED = {"pact": {"form": "two_sided"}, "lsq": {"form": "signed"}}
"""The grid of Paddle's fake-quants, for layers whose inputs are not negative, too."""


@pytest.mark.parametrize("keys", [{}, {"fuse_conv_bn": True}, {"weight_preprocess_type": "PACT"}, {"name": "qat"}])
def test_the_model_built_for_export_computes_what_the_trained_one_does(model, images, keys):
    record = quantized(model, images, **SIGNED, **keys)
    fresh = built_for_export(model, record)
    assert not pact_layers(fresh)
    expected = model(images).numpy()
    np.testing.assert_allclose(fresh(images).numpy(), expected, atol=1e-3 * np.abs(expected).max())


def test_the_model_built_for_export_computes_what_lsq_trained(model, images):
    """But for inputs in the middle of two steps: ``x / s`` and Paddle's ``127 x / (127 s)`` differ in a last bit."""
    record = quantized(model, images, name="lsq", **SIGNED)
    fresh = built_for_export(model, record)
    expected = model(images).numpy()
    assert np.abs(fresh(images).numpy() - expected).mean() < 1e-3 * np.abs(expected).max()


def test_pact_costs_half_where_inputs_are_rectified(model, images):
    record = quantized(model, images, **SIGNED)
    assert record.layers["conv1"] == "two_sided"
    assert record.layers["layer1.0.conv2"] == "rectified"


@pytest.mark.parametrize("onnx_format", [True, False])
def test_the_files_run_plainly_compute_what_training_simulated(model, images, tmp_path, onnx_format):
    record = quantized(model, images, onnx_format=onnx_format)
    fresh = built_for_export(model, record)
    expected = model(images).numpy()
    paddle_int8.save(fresh, record, images.numpy(), [3, 32, 32], tmp_path)
    plain = Predictor(tmp_path, onednn=False)(images.numpy())
    # Rounding ties of the int8 grid; PaddleSlim's observers behind the convolutions make it ten times this.
    assert np.abs(plain - expected).mean() < 0.005 * np.abs(expected).max()


def test_residual_sums_are_given_scales(model, images, tmp_path):
    record = quantized(model, images)
    paddle_int8.save(built_for_export(model, record), record, images.numpy(), [3, 32, 32], tmp_path)
    paddle.enable_static()
    with legacy_ir(), paddle.static.scope_guard(paddle.static.Scope()):
        executor = paddle.static.Executor(paddle.CPUPlace())
        program = paddle.static.load_inference_model(str(tmp_path / "inference"), executor)[0]
        ops = program.global_block().ops
        noted = [(op.type, op.attr("out_threshold")) for op in ops if op.has_attr("out_threshold")]
    paddle.disable_static()
    # The three sums of a ResNet-8: what the second normalization gives, and the last activation. (The shortcut and
    # the other sums are inputs of convolutions, or come from one that is no layer.)
    assert {"batch_norm", "relu"} <= {kind for kind, _ in noted}
    assert all(value > 0 for _, value in noted)


class Joined(paddle.nn.Layer):
    """A network that joins what a ReLU gave and what has either sign."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 3, padding=1)
        self.second = paddle.nn.Conv2D(8, 8, 3, padding=1)
        self.last = paddle.nn.Conv2D(16, 8, 1)

    def forward(self, x):
        relu = paddle.nn.functional.relu
        x = paddle.nn.functional.max_pool2d(relu(self.first(x)), 3, stride=2, padding=1)
        x = relu(self.last(paddle.concat([x, relu(self.second(x))], axis=1)))
        return paddle.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)


class Ghost(paddle.nn.Layer):
    """A network that joins what a ReLU gave and what another made of it, which nothing else reads."""

    def __init__(self):
        super().__init__()
        self.first = normalized(3, 8, 3)
        self.second = normalized(8, 8, 3, groups=8)
        self.last = normalized(16, 8, 1)

    def forward(self, x):
        relu = paddle.nn.functional.relu
        x = relu(self.first(x))
        x = self.last(paddle.concat([x, relu(self.second(x))], axis=1))
        return paddle.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)


def normalized(given, made, size, groups=1):
    conv = paddle.nn.Conv2D(given, made, size, padding=size // 2, groups=groups, bias_attr=False)
    return paddle.nn.Sequential(conv, paddle.nn.BatchNorm2D(made))


@pytest.mark.parametrize("kind", [Joined, Ghost])
def test_maps_are_joined(kind, images, tmp_path):
    paddle.seed(0)
    trained, fresh = kind(), kind()
    record = quantized(trained, images)
    prepare.rebuild(fresh, record, for_export=True)
    trained.eval()
    fresh.eval()
    convert.convert_weights(trained, fresh, record)
    expected = trained(images).numpy()
    paddle_int8.save(fresh, record, images.numpy(), [3, 32, 32], tmp_path)
    (tmp_path / "inference.slim.json").write_text('{"quant": true}')
    found = Predictor(tmp_path)(images.numpy())
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_an_alpha_that_starts_from_a_number(model, images):
    record = quantized(model, images, pact={"alpha": 2.5}, skip=["linear"])
    alphas = pact_layers(model)
    assert set(alphas) == set(record.layers)
    assert all(layer.alpha.item() == 2.5 for layer in alphas.values())


class Dotted(paddle.nn.Layer):
    """Names its block as EfficientNet does."""

    def __init__(self):
        super().__init__()
        self.block = self.add_sublayer("_blocks.0.", paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3)))

    def forward(self, x):
        return self.block(x).mean([2, 3])


def test_names_of_layers_may_hold_dots(images):
    model = Dotted()
    record = prepare.quantize(model, QuantConfig(calibration_batches=1), [(images,)], lambda batch: model(batch[0]))
    assert record.layers
    assert all(act_preprocess(layer) is not None for layer in quantized_layers(model, record).values())
