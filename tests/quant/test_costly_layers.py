"""``Slim.quant.skip: auto``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.quant import costly_layers, prepare
from ppcls_slim.report.sensitivity_plot import sensitivity_plot

pytestmark = pytest.mark.paddle26

SETTINGS = QuantConfig(name="qat", calibration_batches=1, skip="auto")


def network():
    paddle.seed(0)
    return paddle.nn.Sequential(
        paddle.nn.Conv2D(3, 8, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(8, 8, 3), paddle.nn.ReLU(),
        paddle.nn.Conv2D(8, 4, 3), paddle.nn.AdaptiveAvgPool2D(1), paddle.nn.Flatten(),
    )  # fmt: skip


@pytest.fixture
def models():
    float_model, quantized = network(), network()
    image = paddle.to_tensor(np.random.default_rng(1).normal(size=[4, 3, 12, 12]).astype("float32"))
    record = prepare.quantize(quantized, SETTINGS, [image], lambda batch: quantized(batch), False)
    return float_model, quantized, record, lambda net: net(image).numpy()


def accuracy(models, values):
    """An accuracy that depends on how many layers compute in float: ``values[count]``."""
    float_model, _, record, _ = models

    def top1(model):
        if model is float_model:
            return 0.9
        kinds = [type(model[int(name)]._fake_quant_input).__name__ for name in record.layers]
        return values[kinds.count("Identity")]

    return top1


def measured(models, tmp_path, values, max_drop=0.005, of="x"):
    float_model, quantized, record, outputs = models
    file, lines = costly_layers.SensitivityFile(tmp_path / "s.json", of), []
    top1 = accuracy(models, values)
    measurement = costly_layers.Measurement(float_model, quantized, record, outputs, top1, file, lines.append)
    return measurement.run(max_drop), lines


def test_where_accuracy_holds_every_layer_is_quantized(models, tmp_path):
    found, lines = measured(models, tmp_path, [0.897])
    assert found.chosen == [] and not found.errors
    assert lines == ["0 of 3 layers float: top-1 89.70 %"]


def test_the_fewest_layers_that_are_enough_stay_float_the_worst_first(models, tmp_path):
    found, _ = measured(models, tmp_path, [0.5, 0.8, 0.899, 0.9])
    assert [found.errors[name] for name in found.ranking()] == sorted(found.errors.values(), reverse=True)
    assert found.chosen == found.ranking()[:2]
    written = json.loads((tmp_path / "s.json").read_text())
    assert written["chosen"] == found.chosen and written["top1"]["0"] == 0.5
    assert sensitivity_plot(found, tmp_path).stat().st_size > 1000
    assert [line.split()[2] for line in costly_layers.table(found).splitlines()[1:]] == ["float", "float", "int8"]


def test_errors_are_those_of_one_layer_quantized_alone(models, tmp_path):
    float_model, quantized, _, outputs = models
    found, _ = measured(models, tmp_path, [0.5, 0.899, 0.9, 0.9])
    with costly_layers.quantizers_off([quantized[0], quantized[4]]):
        alone = outputs(quantized)
    expected = outputs(float_model)
    error = np.square(alone - expected).sum() / np.square(expected).sum()
    assert found.errors["2"] == pytest.approx(error, rel=1e-3)


def test_a_stopped_measurement_goes_on_and_another_model_begins_anew(models, tmp_path):
    measured(models, tmp_path, [0.5, 0.8, 0.899, 0.9])

    def never(values):
        raise AssertionError("measured again")

    float_model, quantized, record, _ = models
    again = costly_layers.SensitivityFile(tmp_path / "s.json", "x")
    measurement = costly_layers.Measurement(float_model, quantized, record, never, never, again, lambda line: None)
    found = measurement.run(0.005)
    assert len(found.chosen) == 2
    assert costly_layers.SensitivityFile(tmp_path / "s.json", "y").found.top1 == {}
    assert costly_layers.fingerprint(float_model, SETTINGS) != costly_layers.fingerprint(quantized, SETTINGS)


def test_where_every_layer_would_have_to_stay_float_one_line_says_so(models, tmp_path):
    with pytest.raises(SlimError, match=r"at most 0\.005 of top-1 every layer would have to stay float"):
        measured(models, tmp_path, [0.5, 0.6, 0.7, 0.9])


def test_what_cannot_act_is_refused():
    with pytest.raises(ValueError, match="max_drop is that of skip: auto"):
        QuantConfig(max_drop=0.01)
    with pytest.raises(ValueError, match="set calibration_batches to 1 or more"):
        QuantConfig(name="qat", skip="auto", calibration_batches=0)
