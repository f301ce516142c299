"""What finds a fault in an exported quantized model, and that it does."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.backbones import layerwise
from benchmarks.backbones.tolerances import LAYER, PART

from ppcls_slim.checkpoint import SIDECAR
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.exported_layers import QuantizedOp, run_layers
from ppcls_slim.compat.legacy_program import program_of
from ppcls_slim.compat.onednn import int8_rewrites
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.deploy.paddle_inference import Predictor
from ppcls_slim.quant import convert, prepare
from ppcls_slim.quant.layers import quantized_layers

pytestmark = pytest.mark.paddle26

functional = paddle.nn.functional


class Excited(paddle.nn.Layer):
    """A convolution, weighed by the averages of what it gives, and a convolution of that."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 3, padding=1)
        self.squeeze = paddle.nn.Conv2D(8, 8, 1)
        self.last = paddle.nn.Conv2D(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        x = x * self.squeeze(functional.adaptive_avg_pool2d(x, 1))
        return functional.adaptive_avg_pool2d(self.last(x), 1).flatten(1)


@pytest.fixture
def images():
    return np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype("float32")


class Halved(paddle.nn.Layer):
    """A residual block behind a convolution, then averages of 2x2, as in the shortcuts of ResNet_vd."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 3, padding=1)
        self.inner = paddle.nn.Conv2D(8, 8, 3, padding=1)
        self.last = paddle.nn.Conv2D(8, 8, 1)

    def forward(self, x):
        x = functional.relu(self.first(x))
        x = functional.relu(x + self.inner(x))
        return functional.adaptive_avg_pool2d(self.last(functional.avg_pool2d(x, 2, 2)), 1).flatten(1)


class Shifted(paddle.nn.Layer):
    """Channels weighed by numbers that are small once a half is taken off, and split, as in MicroNet."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 3, padding=1)
        self.squeeze = paddle.nn.Linear(8, 16, paddle.nn.initializer.Normal(std=0.001))
        self.last = paddle.nn.Conv2D(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        weights = functional.hardsigmoid(self.squeeze(functional.adaptive_avg_pool2d(x, 1).flatten(1)))
        one, other = paddle.split((weights.reshape([-1, 16, 1, 1]) - 0.5) * 4, 2, axis=1)
        return self.last(x * (one + 1) + x * other).flatten(1)


class Appended(paddle.nn.Layer):
    """Positions to which an empty map is joined, as in SVTR, and batch normalization that learns nothing."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 4, stride=4)
        self.places = self.create_parameter([1, 64, 8])
        self.last = paddle.nn.Linear(8, 8)
        self.norm = paddle.nn.BatchNorm1D(8, weight_attr=False, bias_attr=False)

    def forward(self, x):
        x = self.first(x).flatten(2).transpose([0, 2, 1])
        x = x + paddle.concat([self.places[:, 0:0], self.places * 2], axis=1)
        return self.norm(self.last(functional.gelu(x)).transpose([0, 2, 1])).flatten(1)


class Windowed(paddle.nn.Layer):
    """Patches, rows and columns added to them in ``[B, H, W, C]``, and windows of that, as in SwinTransformer."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 4, stride=4)
        self.last = paddle.nn.Linear(8, 8)

    def forward(self, x):
        x = self.first(x).flatten(2).transpose([0, 2, 1]).reshape([-1, 8, 8, 8])
        x = functional.pad(x, [0, 0, 0, 6, 0, 6, 0, 0])
        return self.last(x.reshape([-1, 2, 7, 2, 7, 8]).transpose([0, 1, 3, 2, 4, 5])).flatten(1)


class Lowered(paddle.nn.Layer):
    """What a ReLU gave and a branch, added without a ReLU behind, as in the first block of MixNet."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 3, padding=1, bias_attr=False)
        self.branch = paddle.nn.Sequential(
            paddle.nn.Conv2D(8, 8, 3, padding=1, bias_attr=False),
            paddle.nn.ReLU(),
            paddle.nn.Conv2D(8, 8, 1, bias_attr=False),
            paddle.nn.BatchNorm2D(8),
        )
        self.last = paddle.nn.Conv2D(8, 8, 1)

    def forward(self, x):
        x = self.pooled(functional.relu(self.first(x)))
        return self.last(self.branch(x) + x).flatten(1)

    def pooled(self, x):
        return x


class LoweredPool(Lowered):
    """The shortcut is pooled, which keeps scale and sign."""

    def pooled(self, x):
        return functional.max_pool2d(x, 2, 2)


class Placed(paddle.nn.Layer):
    """Tokens that are convolved as an image, as in the positional encoding of Twins-PCPVT."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 4, stride=4)
        self.last = paddle.nn.Conv2D(8, 8, 3, padding=1, groups=8)

    def forward(self, x):
        x = self.first(x).flatten(2).transpose([0, 2, 1])
        x = x + functional.gelu(x)
        return self.last(x.transpose([0, 2, 1]).reshape([x.shape[0], 8, 8, 8])).flatten(1)


class Spread(paddle.nn.Layer):
    """A linear layer whose columns are of different size, square or not; ResNet's classifier is one."""

    def __init__(self, outputs):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 4, stride=4)
        self.last = paddle.nn.Linear(8, outputs)
        self.last.weight.set_value(self.last.weight * paddle.linspace(1, 20, outputs))

    def forward(self, x):
        return self.last(self.first(x).flatten(2).transpose([0, 2, 1])).flatten(1)


class Twice(Spread):
    """The same, called twice."""

    def __init__(self):
        super().__init__(8)

    def forward(self, x):
        x = functional.gelu(self.last(self.first(x).flatten(2).transpose([0, 2, 1])))
        return self.last(x).flatten(1)


def exported(images, path, spoil=None, kind=Excited, **options):
    """Train, convert_weights, spoil, save; return the trained model and its record."""
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
    convert.save(fresh, record, images, [3, 32, 32], path)
    return trained, record


def int8_error(folder, images):
    """Relative error of the whole in int8, against its plain run."""
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
