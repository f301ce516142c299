"""Folding, calibration and the hooks, on a small network."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.arch.cifar_resnet import BACKBONES
from ppcls_slim.quant import calibrate, deploy, flow, fuse, qat
from ppcls_slim.quant.settings import QuantConfig
from ppcls_slim.upstream.paddle_lines import paddle

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
    return flow.quantize(model, settings, [(images,)], lambda batch: model(batch[0]))


def test_folding_changes_nothing_but_rounding(model, images):
    model.eval()
    before = model(images).numpy()
    pairs = fuse.find_pairs(model, lambda: model(images))
    assert pairs["layer1.0.conv1"] == "layer1.0.bn1"
    fuse.fuse(model, pairs)
    np.testing.assert_allclose(model(images).numpy(), before, rtol=1e-4, atol=1e-4)


def test_calibration_leaves_the_model_as_it_came(model, images):
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    found = calibrate.observe(model, qat.candidates(model, QuantConfig()), [images] * 3, model, 2)
    assert len(found["conv1"].inputs) == 2
    assert found["conv1"].inputs[0] == pytest.approx(float(np.abs(images.numpy()).max()))
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_one_sided_only_where_inputs_are_rectified(model, images):
    record = quantized(model, images, pact={"form": "one_sided"})
    assert record.layers["conv1"] == "two_sided"  # the image has negative values
    assert record.layers["layer1.0.conv2"] == "one_sided"


@pytest.mark.parametrize("keys", [{}, {"fuse_conv_bn": True}, {"weight_preprocess_type": "PACT"}, {"name": "qat"}])
def test_the_model_built_for_export_computes_what_the_trained_one_does(model, images, keys):
    record = quantized(model, images, **keys)
    fresh = BACKBONES["CifarResNet8"](class_num=10)
    flow.rebuild(fresh, record, for_export=True)
    model.eval()
    fresh.eval()
    deploy.transfer(model, fresh, record)
    assert not qat.pact_layers(fresh)
    expected = model(images).numpy()
    np.testing.assert_allclose(fresh(images).numpy(), expected, atol=1e-3 * np.abs(expected).max())


def test_an_alpha_that_starts_from_a_number(model, images):
    record = quantized(model, images, pact={"alpha": 2.5}, skip=["linear"])
    alphas = qat.pact_layers(model)
    assert set(alphas) == set(record.layers)
    assert all(layer.alpha.item() == 2.5 for layer in alphas.values())
