"""Which layers of an exported int8 model Paddle Inference runs in int8, and what keeps it from fusing them."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from ppcls_slim.compat.onednn import int8_rewrites, reshaped_biases
from ppcls_slim.compat.optimized_program import optimized_program
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.quant import QuantConfig

pytestmark = pytest.mark.paddle26

IMAGES = np.random.default_rng(0).standard_normal((8, 3, 16, 16)).astype("float32")
functional = paddle.nn.functional


class Excited(paddle.nn.Layer):
    """A squeeze-and-excitation block behind a residual one, as in MobileNetV3; all biases are learned."""

    def __init__(self):
        super().__init__()
        self.first, self.inner = (paddle.nn.Conv2D(size, 8, 3, padding=1) for size in (3, 8))
        self.squeeze, self.excite = paddle.nn.Conv2D(8, 4, 1), paddle.nn.Conv2D(4, 8, 1)
        self.last = paddle.nn.Linear(8, 5)

    def forward(self, x):
        x = functional.hardswish(self.first(x))
        x = x + self.inner(x)
        gate = functional.relu(self.squeeze(functional.adaptive_avg_pool2d(x, 1)))
        x = x * functional.hardsigmoid(self.excite(gate))
        return self.last(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Positioned(paddle.nn.Layer):
    """A parameter on the left of a reshaped feature map."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = paddle.nn.Conv2D(3, 8, 3, padding=1), paddle.nn.Linear(8, 5)
        self.position = self.create_parameter([1, 8, 256])

    def forward(self, x):
        return self.last((self.position + self.conv(x).reshape([-1, 8, 256])).mean(2))


def exported(kind, folder, images=IMAGES, **options):
    """Write an untrained model in int8; return the outputs of fake-quant and the predictor."""
    from ppcls_slim.deploy.paddle_inference import Predictor
    from ppcls_slim.deploy.targets import paddle_int8
    from ppcls_slim.quant import convert, prepare

    def built():
        paddle.seed(0)
        with paddle.utils.unique_name.guard():
            return kind()

    trained, fresh = built(), built()
    record = prepare.quantize(
        trained, QuantConfig(calibration_batches=1, **options), [paddle.to_tensor(images)], lambda x: trained(x)
    )
    prepare.rebuild(fresh, record, for_export=True)
    trained.eval()
    fresh.eval()
    convert.convert_weights(trained, fresh, record)
    with paddle.no_grad():
        expected = trained(paddle.to_tensor(images)).numpy()
    paddle_int8.save(fresh, record, images, images.shape[1:], folder)
    (folder / "inference.slim.json").write_text(json.dumps({"quant": {"name": "qat"}}))
    return expected, Predictor(folder)


def operators(folder):
    files = (folder / "inference.pdmodel", folder / "inference.pdiparams")
    return Counter(op.kind for op in optimized_program(*files))


def test_every_layer_that_runs_in_int8_is_counted(tmp_path, ppcls_root):
    _, run = exported(Excited, tmp_path)
    assert (run.int8_layers, run.layers, run.float_layers) == (5, 5, [])


def test_layers_that_run_in_float_are_named(tmp_path, ppcls_root):
    _, run = exported(Excited, tmp_path, skip=["squeeze"])
    assert (run.int8_layers, run.layers, run.float_layers) == (4, 5, ["conv2d_2.w_0"])


def test_biases_are_fused_with_what_follows_them(tmp_path, ppcls_root):
    expected, run = exported(Excited, tmp_path)
    found = operators(tmp_path)
    assert not {"relu", "hard_sigmoid", "hard_swish"} & set(found)
    assert found["fused_elementwise_add"] <= 1  # of feature maps
    assert np.linalg.norm(run(IMAGES) - expected) < 0.05 * np.linalg.norm(expected)


def test_parameters_before_reshaped_feature_maps_are_no_biases(tmp_path, ppcls_root):
    expected, run = exported(Positioned, tmp_path)
    assert np.linalg.norm(run(IMAGES) - expected) < 0.05 * np.linalg.norm(expected)


def test_without_the_rewrite_they_are_not(tmp_path, ppcls_root, monkeypatch):
    others = [one for one in int8_rewrites.BEFORE_MEASURING if one is not reshaped_biases.rewrite]
    monkeypatch.setattr(int8_rewrites, "BEFORE_MEASURING", others)
    exported(Excited, tmp_path)
    assert {"relu", "hard_sigmoid"} <= set(operators(tmp_path)), "Paddle fuses them: the compat patch can go"
