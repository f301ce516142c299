"""A quantization method is one file, or an entry point; ``Slim.quant.name`` chooses it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.qat_layers import act_preprocess, set_act_preprocess
from ppcls_slim.config.quant import QUANTIZERS, QuantConfig
from ppcls_slim.config.section import json_schema, read_section
from ppcls_slim.quant import convert, prepare
from ppcls_slim.quant.alpha_history import alpha_line, note_alphas
from ppcls_slim.quant.quantizer import Quantizer, quantizer_of

pytestmark = pytest.mark.paddle26


class Clip(paddle.nn.Layer):
    """Clips at a constant."""

    def forward(self, x):
        return x.clip(-0.5, 0.5)


CONSTANT = Quantizer(
    clip_mode=lambda settings, observer: "constant",
    build=lambda target, settings: set_act_preprocess(target.layer, Clip()),
    input_limit=lambda layer: 0.5 if isinstance(act_preprocess(layer), Clip) else None,
    learned=lambda model: {},
)


@pytest.fixture
def constant(monkeypatch):
    """Install a package that offers the method ``constant``."""

    @dataclasses.dataclass
    class Point:
        value: str = "my_package:CONSTANT"

        def load(self):
            return CONSTANT

    monkeypatch.setattr(QUANTIZERS, "entry_points", lambda: {"constant": Point()})


def test_the_methods_of_the_project():
    assert QUANTIZERS.names() == ["lsq", "pact", "qat"]
    for name in QUANTIZERS.names():
        assert quantizer_of(QuantConfig(name=name)) is QUANTIZERS.get(name, Quantizer)


def test_pact_is_switched_on_and_off_beside_the_name_as_in_paddleslim():
    assert QuantConfig(name="pact", activation_preprocess_type=None).method == "qat"
    assert QuantConfig(name="qat", activation_preprocess_type="PACT").method == "pact"


def test_an_unknown_method_is_refused_with_those_that_are_known():
    with pytest.raises(SlimError, match=r"'pakt' is not a quantization method \(did you mean 'pact'\?\)"):
        read_section({"Slim": {"quant": {"name": "pakt"}}})


def test_a_method_from_outside_trains_and_is_exported(constant):
    schema = json_schema()["$defs"]["QuantConfig"]["properties"]["name"]
    assert schema["anyOf"][0]["enum"] == ["lsq", "pact", "qat", "constant"]  # [1]: the same in any case
    settings = read_section({"Slim": {"quant": {"name": "constant", "calibration_batches": 1}}}).quant
    images = paddle.to_tensor(np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("float32"))
    trained, fresh = (paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3)) for _ in range(2))
    record = prepare.quantize(trained, settings, [images], trained)
    assert record.layers == {"0": "constant"}
    assert "CONSTANT 1 constant" in record.summary()
    history = {}
    note_alphas(trained, record, 0, history)
    assert alpha_line(history) is None
    prepare.rebuild(fresh, record, for_export=True)
    for model in (trained, fresh):
        model.eval()
    convert.convert_weights(trained, fresh, record)
    assert convert.input_scale(fresh[0], record) == pytest.approx(0.5)
    expected = trained(images).numpy()
    np.testing.assert_allclose(fresh(images).numpy(), expected, atol=1e-3 * np.abs(expected).max())
