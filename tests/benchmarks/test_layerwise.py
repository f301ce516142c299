"""What finds a fault in an exported quantized model, and that it does."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.backbones import layerwise
from benchmarks.backbones.tolerances import LAYER, PART
from int8_networks import Appended, Excited, Halved, Lowered, LoweredPool, Placed, Shifted, Spread, Twice, Windowed

from ppcls_slim.checkpoint import SIDECAR
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.exported_layers import QuantizedOp, run_layers
from ppcls_slim.compat.legacy_program import program_of
from ppcls_slim.compat.onednn import int8_rewrites
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.deploy.paddle_inference import Predictor
from ppcls_slim.deploy.targets import paddle_int8
from ppcls_slim.quant import convert, prepare
from ppcls_slim.quant.layers import quantized_layers

pytestmark = pytest.mark.paddle26


@pytest.fixture
def images():
    return np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype("float32")


def exported(images, path, spoil=None, kind=Excited, **options):
    """Quantize, convert, spoil, save; return the trained model and its record."""
    paddle.seed(0)
    trained, fresh = kind(), kind()
    settings = QuantConfig(calibration_batches=1, **options)
    record = prepare.quantize(trained, settings, [(paddle.to_tensor(images),)], lambda batch: trained(batch[0]))
    prepare.rebuild(fresh, record, for_export=True)
    trained.eval()
    fresh.eval()
    convert.convert_weights(trained, fresh, record)
    if spoil is not None:
        spoil(quantized_layers(fresh, record))
    paddle_int8.save(fresh, record, images, [3, 32, 32], path.parent)
    return trained, record


def int8_error(folder, images):
    """Relative error of the whole in int8, against its reference run."""
    (folder / f"inference{SIDECAR}").write_text('{"quant": true}', encoding="utf-8")  # so that it runs in int8
    found, expected = (Predictor(folder, onednn=onednn)(images) for onednn in (True, False))
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def test_a_right_file_passes(images, tmp_path):
    trained, record = exported(images, tmp_path / "inference")
    error, _ = layerwise.largest_difference(trained, record, tmp_path / "inference", images)
    assert error < LAYER / 5
    parts = layerwise.errors_in_int8(tmp_path / "inference", images)
    assert max(error for error, _ in parts) < PART / 5
    assert sum(layers for _, layers in parts) == 3


@pytest.mark.parametrize("factor", [0.99, 1.5])
def test_a_wrong_scale_is_named(images, tmp_path, factor):
    def spoil(layers):
        quantizer = layers["last"]._fake_quant_input
        quantizer._scale.set_value(quantizer._scale * factor)

    trained, record = exported(images, tmp_path / "inference", spoil)
    with pytest.raises(SlimError, match="quantizes the input of last up to"):
        layerwise.largest_difference(trained, record, tmp_path / "inference", images)


def test_a_wrong_weight_is_named(images, tmp_path):
    def spoil(layers):
        layers["first"].weight.set_value(layers["first"].weight * 1.1)

    trained, record = exported(images, tmp_path / "inference", spoil)
    error, layer = layerwise.largest_difference(trained, record, tmp_path / "inference", images)
    assert layer == "first"
    assert error > LAYER


def test_a_layer_that_is_left_float_is_named(images, tmp_path, monkeypatch):
    trained, record = exported(images, tmp_path / "inference")
    found = run_layers(tmp_path / "inference", images)
    floats = [QuantizedOp(op.name, op.weight, None, None, op.output) for op in found]
    monkeypatch.setattr(layerwise, "run_layers", lambda path, images: [*found[:2], floats[2]])
    with pytest.raises(SlimError, match="has last in float, which training quantized"):
        layerwise.largest_difference(trained, record, tmp_path / "inference", images)


def test_what_an_average_clips_is_found(images, tmp_path, monkeypatch):
    monkeypatch.setattr(int8_rewrites, "MEASURED", ())
    monkeypatch.setattr(int8_rewrites, "AFTER_MEASURING", ())
    exported(images, tmp_path / "inference")
    assert max(error for error, _ in layerwise.errors_in_int8(tmp_path / "inference", images)) > PART


def test_averages_of_neighbours_stay_in_int8(images, tmp_path):
    path = tmp_path / "inference"
    trained, record = exported(images, path, kind=Halved)
    with program_of(path) as (_, program, _, _):
        pools = [op for op in program.global_block().ops if op.type == "pool2d"]
        assert [op.has_attr("skip_quant") and bool(op.attr("skip_quant")) for op in pools] == [False, True]
    error, _ = layerwise.largest_difference(trained, record, path, images)
    assert error < LAYER / 5
    parts = layerwise.errors_in_int8(path, images)
    assert len(parts) > 1
    assert max(error for error, _ in parts) < PART / 5


@pytest.mark.parametrize("kind", [Shifted, Appended])
def test_what_paddle_gets_wrong_is_right(images, tmp_path, kind):
    exported(images, tmp_path / "inference", kind=kind)
    assert max(error for error, _ in layerwise.errors_in_int8(tmp_path / "inference", images)) < PART / 5


def test_paddings_of_pictures_that_end_with_channels(images, tmp_path):
    path = tmp_path / "inference"
    trained, record = exported(images, path, kind=Windowed)
    with program_of(path) as (_, program, _, _):
        assert "pad" not in {op.type for op in program.global_block().ops}  # run in oneDNN, it ends the process
    error, _ = layerwise.largest_difference(trained, record, path, images)
    assert error < LAYER / 5
    assert max(error for error, _ in layerwise.errors_in_int8(path, images)) < PART / 5


@pytest.mark.parametrize("kind", [Lowered, LoweredPool, Placed])
def test_sums_are_right_in_int8(images, tmp_path, kind):
    exported(images, tmp_path / "inference", kind=kind)
    assert int8_error(tmp_path, images) < PART / 5


def test_sizes_are_written_as_numbers(images, tmp_path):
    exported(images, tmp_path / "inference", kind=Placed)
    with program_of(tmp_path / "inference") as (_, program, _, _):
        kinds = {op.type for op in program.global_block().ops}
    assert "reshape2" in kinds
    assert kinds.isdisjoint({"shape", "fill_constant"})


@pytest.mark.parametrize("kind", [lambda: Spread(8), lambda: Spread(32), Twice], ids=["square", "wide", "twice"])
def test_columns_of_a_linear_layer_are_read_right(images, tmp_path, kind):
    path = tmp_path / "inference"
    trained, record = exported(images, path, kind=kind)
    error, _ = layerwise.largest_difference(trained, record, path, images)
    assert error < LAYER / 5
    parts = layerwise.errors_in_int8(path, images)
    assert max(error for error, _ in parts) < PART / 5


@pytest.mark.parametrize("outputs", [8, 32])
def test_columns_stored_in_floats_are_read_right(images, tmp_path, outputs):
    exported(images, tmp_path / "inference", kind=lambda: Spread(outputs), onnx_format=False)
    assert int8_error(tmp_path, images) < PART / 5


def test_a_linear_layer_that_is_read_right_keeps_its_scales(images, tmp_path):
    even = np.random.default_rng(0).choice([-0.5, 0.5], (8, 16)).astype("float32")

    class Even(Spread):
        def __init__(self):
            super().__init__(16)
            self.last.weight.set_value(even)

    exported(images, tmp_path / "inference", kind=Even)
    with program_of(tmp_path / "inference") as (_, program, _, _):
        assert "cast" not in {op.type for op in program.global_block().ops}
