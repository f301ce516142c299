"""Latency of layers and networks, measured on engines."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat import engine_versions
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import OnConfig
from ppcls_slim.config.section import SlimConfig
from ppcls_slim.deploy.job import ExportJob
from ppcls_slim.deploy.latency.clock import milliseconds
from ppcls_slim.deploy.latency.frame import frame_key, input_shape
from ppcls_slim.deploy.latency.layer_runs import open_layers
from ppcls_slim.deploy.latency.meter import EngineMeter
from ppcls_slim.deploy.latency.table import Table
from ppcls_slim.engine.latency import latency_meter
from ppcls_slim.prune.latency.meter import LayerPoint, LayerShape, Place
from ppcls_slim.prune.slices import ParamSlice, SlicePlan
from ppcls_slim.verify.samples import Samples

ENGINES = ("onnx", "openvino", "paddle")
CONVOLUTION = LayerShape((3, 3), (2, 2), (1, 1), "dense", 0, 0, (14, 14), (7, 7), "hardswish")
DEPTHWISE = LayerShape((5, 5), (1, 1), (1, 1), "depthwise", 0, 0, (14, 14), (14, 14), "swish")
GROUPED = LayerShape((3, 3), (1, 1), (1, 1), "grouped", 4, 8, (14, 14), (14, 14), "relu6")
LINEAR = LayerShape((), (), (), "dense", 0, 0, (1, 49), (1, 49), "hardsigmoid")
PLACE = Place("an engine 1.0", 1, 1, "fp32")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PPCLS_SLIM_CACHE", str(tmp_path / "cache"))


def installed(engine):
    if engine != "paddle":
        pytest.importorskip("onnx", reason=f"onnx is not installed: pip install 'ppcls_slim[{engine}]'")
        name = {"onnx": "onnxruntime"}.get(engine, engine)
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'ppcls_slim[{engine}]'")


@pytest.mark.paddle26
@pytest.mark.parametrize("engine", ENGINES)
def test_every_kind_of_layer_runs_on_every_engine(engine):
    installed(engine)
    points = [
        LayerPoint(CONVOLUTION, 3, 17),
        LayerPoint(CONVOLUTION, 24, 16),
        LayerPoint(DEPTHWISE, 24, 24),
        LayerPoint(GROUPED, 12, 24),
        LayerPoint(LINEAR, 20, 30),
    ]
    for alone in (False, True):
        for threads in (1, 2):
            for run in open_layers(engine, points, 2, threads, alone):
                run()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wider_layer_takes_longer(engine):
    installed(engine)
    points = [LayerPoint(CONVOLUTION, inputs, 64) for inputs in (64, 256)]
    narrow, wide = milliseconds(open_layers(engine, points, 1, 1, False), 10, 1)
    assert wide > 1.2 * narrow > 0  # a call of Paddle Inference costs more than the layer


def test_other_processes_have_no_part_in_what_several_threads_take():
    """One of ten runs is undisturbed; with one thread the CPU's time counts, and waiting is not in it."""
    waits = itertools.cycle([0.02] * 9 + [0.001])
    (taken,) = milliseconds([lambda: time.sleep(next(waits))], 10, 2)
    assert taken < 10.0
    (taken,) = milliseconds([lambda: time.sleep(0.02)], 3, 1)
    assert taken < 10.0


def test_layers_of_an_image_are_fed_with_the_image():
    assert input_shape(LayerPoint(CONVOLUTION, 3, 16), 2) == [2, 3, 14, 14]
    assert input_shape(LayerPoint(CONVOLUTION, 16, 16), 1) == [1, 1, 14, 14]
    assert frame_key(LayerPoint(CONVOLUTION, 16, 8)) == frame_key(LayerPoint(DEPTHWISE, 16, 16))


def test_the_table_is_kept_and_what_others_wrote_since_stays():
    one, other = Table(PLACE), Table(PLACE)
    first, second = LayerPoint(CONVOLUTION, 3, 8), LayerPoint(LINEAR, 3, 8)
    one.add({first: 0.25})
    other.add({second: 0.5})
    found = Table(PLACE)
    assert (found.get(first), found.get(second)) == (0.25, 0.5)
    assert found.get(LayerPoint(CONVOLUTION, 8, 3)) is None
    assert json.loads(found.path.read_text())["key"]["engine"] == "an engine 1.0"
    assert Table(Place("an engine 1.0", 2, 1, "fp32")).get(first) is None


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": 1}', '{"format": 1, "key": {}, "milliseconds": 3}'])
def test_a_damaged_table_is_written_anew(content):
    table, point = Table(PLACE), LayerPoint(CONVOLUTION, 3, 8)
    table.add({point: 0.25})
    table.path.write_text(content)
    assert Table(PLACE).get(point) is None
    Table(PLACE).add({point: 0.5})
    assert Table(PLACE).get(point) == 0.5


def test_layers_are_measured_once_and_a_network_beside_the_dense_one():
    installed("onnx")
    said: list[str] = []

    def job_of(slices, folder):
        width = 64 if slices is None else slices.params["0.weight"].kept_shape()[0]
        with paddle.utils.unique_name.guard():
            model = paddle.nn.Sequential(
                paddle.nn.Conv2D(3, width, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(width, 64, 3)
            )
        model.eval()
        nothing = dict.fromkeys(
            ("int8_model", "plan", "quant", "top1_dense", "metric", "settings", "report", "labels")
        )
        return ExportJob(
            folder=folder, model=model, dense_model=lambda: model, input_shape=(3, 32, 32), device="cpu",
            samples=Samples(np.zeros([1, 3, 32, 32], dtype=np.float32), "nothing"), evaluation=lambda: None,
            gives_features=False, sidecar=lambda verified: {}, inference_yml="", **nothing,
        )  # fmt: skip

    def meter(threads=1):
        return EngineMeter(OnConfig(threads=threads), "onnx", job_of, (3, 32, 32), said.append)

    points = [[LayerPoint(CONVOLUTION, 16, width) for width in (8, 16)]]
    times = meter().layers(points)
    assert all(value > 0 for value in times.values())
    assert len(said) == 1
    assert meter().layers(points) == pytest.approx(times, abs=1e-6)
    assert len(said) == 1
    eighth = ParamSlice((64, 3, 3, 3), {0: tuple(range(8))})
    dense, pruned = meter().network(SlicePlan({"0.weight": eighth}, {}, {}))
    assert dense > 2 * pruned > 0
    assert all(value > 0 for value in meter(threads=2).layers(points).values())
    assert len(said) == 2  # another table
    dense, pruned = meter(threads=2).network(SlicePlan({"0.weight": eighth}, {}, {}))
    assert dense > pruned > 0


def test_an_engine_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setitem(engine_versions.ENGINES, "onnx", ("ONNX Runtime", "no-such-package"))
    with pytest.raises(SlimError, match=r"Slim.prune.on.engine: onnx needs .* pip install 'ppcls_slim\[onnx\]'"):
        EngineMeter(OnConfig(), "onnx", lambda slices, folder: None, (3, 8, 8), print)


def test_more_threads_than_cpus_are_refused(monkeypatch):
    monkeypatch.setattr("ppcls_slim.deploy.latency.network_meter.cpus_of_process", lambda: 1)
    slim = SlimConfig.model_validate({"prune": {"speedup": 2.0, "on": {"engine": "paddle", "threads": 2}}})
    with pytest.raises(
        SlimError, match=r"on\.threads: 2 threads cannot be timed on the 1 CPU that this process may use"
    ):
        latency_meter({"Global": {"image_shape": [3, 8, 8]}}, slim, paddle.nn.Linear(1, 1), print)


def test_where_int8_follows_it_is_said_that_the_float_model_is_timed():
    said: list[str] = []
    slim = SlimConfig.model_validate({"prune": {"speedup": 2.0, "on": {"engine": "paddle"}}, "quant": {}})
    meter = latency_meter({"Global": {"image_shape": [3, 8, 8]}}, slim, paddle.nn.Linear(1, 1), said.append)
    assert meter is not None and meter.place.precision == "fp32"
    assert said == ["ppcls_slim: Slim.prune.speedup is asked of the float model: int8 of Slim.quant is not timed"]
