"""Inputs that training quantized to unsigned integers have the same integers in every engine for CPUs."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.config.section import read_section

IMAGES = np.random.default_rng(0).standard_normal((16, 3, 16, 16)).astype("float32")
ROUNDING = 1e-6
"""Of float32, as a share of the largest output."""


class AfterRelu(paddle.nn.Layer):
    """A quantized convolution behind a float one; two of three end in sums that no ReLU or pooling follows."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.first = paddle.nn.Conv2D(3, 8, 1)
        self.last = paddle.nn.Conv2D(8, 8, 3, padding=1, groups=8 if kind == "depthwise" else 1)

    def forward(self, x):
        relu = paddle.nn.functional.relu
        x = relu(self.first(x))
        x = x + relu(x - 0.5) if self.kind == "sum" else x
        return self.last(x).flatten(1)


def built(kind):
    paddle.seed(0)
    with paddle.utils.unique_name.guard():
        model = AfterRelu(kind)
    model.eval()
    return model


@pytest.fixture
def run(tmp_path, ppcls_root):
    """Quantize a model, export it for a target, and return what training computes and what the export does."""

    def go(kind, engine, **options):
        from ppcls_slim.compat.paddleclas.logger import logger
        from ppcls_slim.deploy.job import ExportJob
        from ppcls_slim.deploy.paddle_inference import write_sidecar
        from ppcls_slim.deploy.target import find_target
        from ppcls_slim.quant import convert, prepare
        from ppcls_slim.verify.samples import Samples

        logger.init_logger()  # as PaddleClas's engine does
        trained, fresh = built(kind), built(kind)
        settings = QuantConfig(calibration_batches=1, skip=["first"], **options)
        record = prepare.quantize(trained, settings, [paddle.to_tensor(IMAGES)], trained)
        prepare.rebuild(fresh, record, for_export=True)
        trained.eval()
        fresh.eval()
        convert.convert_weights(trained, fresh, record)
        folder, scratch = tmp_path / "inference", tmp_path / "scratch"
        scratch.mkdir()
        folder.mkdir()
        job = ExportJob(
            folder=folder,
            model=trained,
            int8_model=lambda: fresh,
            dense_model=lambda: built(kind),
            input_shape=(3, 16, 16),
            device="cpu",
            samples=Samples(IMAGES, "here"),
            evaluation=lambda: None,
            gives_features=False,
            plan=None,
            quant=record,
            top1_dense=None,
            metric=None,
            sidecar=lambda verified: {"quant": record.to_json()},
            settings=None,
            report=None,
            inference_yml="Global: {}",
            labels=None,
            scratch=scratch,
        )
        write_sidecar(folder, job.sidecar({}))
        target = find_target(engine)
        target.write(job, folder)
        with paddle.no_grad():
            return trained(paddle.to_tensor(IMAGES)).numpy(), target.load(folder)(IMAGES)

    return go


def apart(expected, found):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("kind", ["plain", "depthwise"])
def test_onednn_rounds_the_weights_of_lsq_once_more(run, kind):
    """It scales a channel to its largest weight, whatever the learned step is."""
    expected, found = run(kind, "paddle_int8", name="lsq")
    assert ROUNDING < apart(expected, found) < 0.01


@pytest.mark.parametrize("kind", ["plain", "depthwise"])
@pytest.mark.parametrize(
    ("engine", "options"),
    [("paddle_int8", {"name": "pact"}), ("openvino", {"name": "pact"}), ("openvino", {"name": "lsq"})],
)
def test_behind_a_relu_engines_compute_exactly_what_was_trained(run, engine, kind, options):
    if engine == "openvino":
        pytest.importorskip("openvino", reason="openvino is not installed: pip install 'ppcls_slim[openvino]'")
    expected, found = run(kind, engine, **options)
    assert apart(expected, found) < ROUNDING


def test_openvino_has_the_unsigned_grid_also_where_no_relu_shows_it(run):
    """A sum of two ReLUs: that it is never negative is known from calibration alone."""
    pytest.importorskip("openvino", reason="openvino is not installed: pip install 'ppcls_slim[openvino]'")
    expected, found = run("sum", "openvino")
    assert apart(expected, found) < ROUNDING


def test_onnx_runtime_rounds_the_output_once_more_and_nothing_else(run):
    """Its Q/DQ behind the convolution has steps of the largest output / 127, and clips it at the mean of maxima."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'ppcls_slim[onnx]'")
    expected, found = run("plain", "onnx")
    steps = np.unique(np.round(np.diff(np.unique(found)), 6))
    step = steps[steps > 0].min()
    inside = np.abs(expected) < 126 * step
    assert np.abs(found - expected)[inside].max() <= 0.51 * step


def test_two_sided_is_what_it_was_and_unsigned_cannot_be_asked_for_without_data():
    assert not QuantConfig(pact={"form": "two_sided"}).unsigned_where_rectified
    assert QuantConfig().unsigned_where_rectified
    assert not QuantConfig(calibration_batches=0, pact={"alpha": 3.0}).unsigned_where_rectified
    assert not QuantConfig(act_quantize="my.Quantizer").unsigned_where_rectified
    with pytest.raises(SlimError, match="one_sided needs calibration_batches"):
        keys = {"calibration_batches": 0, "pact": {"form": "one_sided", "alpha": 3.0}}
        read_section({"Slim": {"quant": keys}})
