"""The quant section: what is accepted, and what a mistake gets told."""

from __future__ import annotations

import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.config.section import read_section
from ppcls_slim.quant.fake_quant import paddleslim_options


def section(**keys):
    return {"Slim": {"quant": keys}}


def test_upstreams_one_key_is_enough_and_means_pact():
    quant = read_section(section(name="pact")).quant
    assert quant.uses_pact
    assert (quant.weight_bits, quant.activation_bits, quant.onnx_format) == (8, 8, True)
    assert quant.pact.alpha == "auto"


def test_pact_can_be_turned_off_as_in_paddleslims_table():
    assert not read_section(section(name="pact", activation_preprocess_type=None)).quant.uses_pact
    assert not read_section(section(name="qat")).quant.uses_pact


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"weight_bit": 8}, ["Slim.quant.weight_bit", "'weight_bits'"]),
        ({"weight_bits": 1}, ["Slim.quant.weight_bits", "greater than or equal to 2"]),
        ({"activation_bits": 17}, ["Slim.quant.activation_bits", "less than or equal to 16"]),
        ({"quantizable_layer_type": ["ReLU"]}, ["'ReLU'", "Conv2D, Linear, Conv2DTranspose"]),
        ({"weight_quantize_type": "range_abs_max"}, ["range_abs_max", "does not run it", "channel_wise_abs_max"]),
        ({"activation_quantize_type": "abs_max"}, ["abs_max", "moving_average_abs_max"]),
        ({"calibration_batches": 0}, ["pact.alpha is auto", "calibration_batches"]),
        ({"pact": {"alpha": -1.0}}, ["Slim.quant.pact.alpha", "-1.0"]),
        ({"pact": {"form": "both"}}, ["Slim.quant.pact.form", "'both'"]),
        ({"act_quantize": "Mine"}, ["Slim.quant.act_quantize", "package.module.Class"]),
        ({"observer": "percentil"}, ["'percentil'", "'percentile'", "min_max"]),
        ({"observer": "mse", "name": "qat", "calibration_batches": 0}, ["observer: mse", "calibration_batches"]),
        (
            {"bias_correction": True, "name": "qat", "calibration_batches": 0},
            ["bias_correction", "calibration_batches"],
        ),
        ({"percentile": 10}, ["Slim.quant.percentile", "greater than 50"]),
        ({"dtype": "int4"}, ["Slim.quant.dtype", "'int4'"]),
        ({"name": "lsq", "activation_preprocess_type": "PACT"}, ["lsq", "remove activation_preprocess_type"]),
        ({"name": "lsq", "weight_quantize": "my.Layer"}, ["lsq", "remove weight_quantize"]),
        ({"name": "lsq", "weight_bits": 9}, ["lsq is for 8 bits and below", "weight_bits"]),
        ({"name": "lsq", "onnx_format": False}, ["lsq", "onnx_format"]),
        ({"name": "lsq", "calibration_batches": 0}, ["lsq", "calibration_batches"]),
        ({"name": "lsq", "observer": "mse", "activation_bits": 4}, ["observer: mse", "lsq.init"]),
        ({"name": "lsq", "observer": "mse", "lsq": {"init": "mean"}}, ["observer: mse", "lsq.init"]),
        ({"name": "lsq", "lsq": {"int": "mean"}}, ["Slim.quant.lsq.int", "'init'"]),
    ],
)
def test_a_mistake_gets_one_line_that_names_the_key(keys, words):
    with pytest.raises(SlimError) as error:
        read_section(section(**keys))
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_every_call_gets_a_dictionary_of_its_own():
    settings = QuantConfig()
    first = paddleslim_options(settings)
    first["quantizable_layer_type"].append("changed")
    assert paddleslim_options(settings)["quantizable_layer_type"] == ["Conv2D", "Linear"]


def test_only_eight_bits_can_be_exported_to_int8():
    assert QuantConfig().int8_refused is None
    assert "weight_bits is 4" in QuantConfig(weight_bits=4).int8_refused
