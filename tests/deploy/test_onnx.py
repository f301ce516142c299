"""The targets ``onnx`` and ``openvino``: float and int8 files compute in their engine what was trained."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ppcls_slim import __version__
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.quant import QuantConfig

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'ppcls_slim[onnx]'")
pytest.importorskip("paddle2onnx", reason="paddle2onnx is not installed: pip install 'ppcls_slim[onnx]'")
pytest.importorskip("openvino", reason="openvino is not installed: pip install 'ppcls_slim[openvino]'")

IMAGES = np.random.default_rng(0).standard_normal((16, 3, 16, 16)).astype("float32")


class Residual(paddle.nn.Layer):
    """conv -> bn -> relu, a residual block with a depthwise convolution, pool, linear layer."""

    def __init__(self):
        super().__init__()
        nn = paddle.nn
        self.stem, self.norm = nn.Conv2D(3, 8, 3, padding=1, bias_attr=False), nn.BatchNorm2D(8)
        self.depthwise, self.norm2 = nn.Conv2D(8, 8, 3, padding=1, groups=8), nn.BatchNorm2D(8)
        self.point = nn.Conv2D(8, 8, 1)
        self.last = nn.Conv2D(8, 12, 3, stride=2, padding=1)
        self.pool, self.fc = nn.AdaptiveAvgPool2D(1), nn.Linear(12, 5)

    def forward(self, x):
        relu = paddle.nn.functional.relu
        x = relu(self.norm(self.stem(x)))
        x = relu(x + self.point(relu(self.norm2(self.depthwise(x)))))
        return self.fc(self.pool(relu(self.last(x))).flatten(1))


def built():
    """A model whose batch normalization has statistics and signs of its own."""
    paddle.seed(0)
    with paddle.utils.unique_name.guard():  # as the engine does: all builds name their parameters alike
        model = Residual()
    for norm in (model.norm, model.norm2):
        norm.weight.set_value(paddle.randn([8]))
        norm.bias.set_value(paddle.randn([8]) * 0.3)
        norm._mean.set_value(paddle.randn([8]) * 0.2)
        norm._variance.set_value(paddle.rand([8]) + 0.5)
    model.eval()
    return model


@pytest.fixture
def job(tmp_path, ppcls_root):
    from ppcls_slim.compat.paddleclas.logger import logger
    from ppcls_slim.deploy.job import ExportJob
    from ppcls_slim.verify.samples import Samples

    logger.init_logger()  # as PaddleClas's engine does
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return ExportJob(
        folder=tmp_path / "inference",
        model=built(),
        dense_model=built,
        input_shape=(3, 16, 16),
        samples=Samples(IMAGES, "here"),
        sidecar=lambda verified: {"quant": {}, "verified": dict(verified)},
        scratch=scratch,
    )


@pytest.fixture
def quantized(job):
    from ppcls_slim.quant import convert, prepare

    def quantize(**options):
        trained, fresh = built(), built()
        settings = QuantConfig(calibration_batches=1, **options)
        record = prepare.quantize(trained, settings, [(paddle.to_tensor(IMAGES),)], lambda batch: trained(batch[0]))
        prepare.rebuild(fresh, record, for_export=True)
        trained.eval()
        fresh.eval()
        convert.convert_weights(trained, fresh, record)
        said = {"quant": record.to_json()}
        return replace(job, model=trained, quant=record, int8_model=lambda: fresh, sidecar=lambda found: said)

    return quantize


def outputs(job):
    with paddle.no_grad():
        return job.model(paddle.to_tensor(IMAGES)).numpy()


@pytest.mark.paddle26
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_float_model_computes_what_was_trained(job, name):
    from ppcls_slim.deploy.export import export
    from ppcls_slim.deploy.target import target_of

    expected = outputs(job)
    export(replace(job, targets=[name]))
    folder = job.folder / name
    run = target_of(folder).load(folder)
    assert run.precision == "fp32"
    np.testing.assert_allclose(run(IMAGES), expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(run(IMAGES[:1]), expected[:1], atol=1e-4 * np.abs(expected).max())  # any batch


@pytest.mark.paddle26
def test_paddings_are_numbers_and_belong_to_the_convolutions(job):
    """``auto_pad`` is read in different ways; a padding before a convolution is slower than the convolution."""
    from ppcls_slim.deploy.onnx.write import write_onnx

    nn = paddle.nn
    pool = nn.AvgPool2D(2, stride=2, padding="SAME", ceil_mode=True)  # of 7x7; as in ResNet_vd
    same = nn.Conv2D(4, 4, 3, padding="SAME")
    model = nn.Sequential(nn.Pad2D([0, 1, 0, 1]), nn.Conv2D(3, 4, 4, stride=2), pool, same, nn.Flatten())
    model.eval()
    job = replace(job, model=model)
    expected = outputs(job)
    file = job.scratch / "model.onnx"
    write_onnx(job, file, "onnxruntime")
    nodes = onnx.load(str(file)).graph.node
    said = {one.name: onnx.helper.get_attribute_value(one) for node in nodes for one in node.attribute}
    assert said.get("auto_pad", b"NOTSET") == b"NOTSET"
    assert "Pad" not in {node.op_type for node in nodes}
    pads = [list(one.ints) for node in nodes for one in node.attribute if one.name == "pads"]
    assert pads == [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]]
    from ppcls_slim.deploy.onnx.session import Session

    np.testing.assert_allclose(Session(file)(IMAGES), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("kind", "pads"), [("SAME_UPPER", [1, 1, 1, 2]), ("SAME_LOWER", [1, 2, 1, 1])])
def test_pads_in_numbers_compute_what_auto_pad_does(kind, pads):
    import onnxruntime
    from onnx import TensorProto, helper

    from ppcls_slim.deploy.onnx.explicit_pads import write_pads

    weight = onnx.numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=kind, strides=[2, 2])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1, 9, 9]) for name in ("x", "y")]
    ends[1].type.tensor_type.ClearField("shape")
    model = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [weight]), ir_version=10)
    images = np.random.default_rng(0).standard_normal((2, 1, 9, 9)).astype(np.float32)

    def run():
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {"x": images})[0]

    before = run()
    write_pads(model)
    (node,) = model.graph.node
    assert {one.name: list(one.ints) for one in node.attribute} == {"strides": [2, 2], "pads": pads}
    np.testing.assert_array_equal(run(), before)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
@pytest.mark.parametrize("options", [{}, {"weight_quantize_type": "abs_max"}, {"name": "qat"}, {"name": "lsq"}])
def test_an_int8_model_computes_what_fake_quant_does_with_all_layers_in_int8(quantized, name, options):
    from ppcls_slim.deploy.target import find_target

    job = quantized(**options)
    expected = outputs(job)
    job.folder.mkdir()
    target = find_target(name)
    target.write(job, job.folder)
    run = target.load(job.folder)
    assert (run.precision, run.int8_layers, run.layers) == ("int8", 5, 5)
    assert np.abs(run(IMAGES) - expected).mean() < 0.02 * np.abs(expected).max()


def test_layers_in_skip_stay_float(quantized):
    from ppcls_slim.deploy.target import find_target

    job = quantized(skip=["fc", "depthwise"])
    job.folder.mkdir()
    target = find_target("onnx")
    target.write(job, job.folder)
    run = target.load(job.folder)
    assert (run.int8_layers, run.layers) == (3, 5)
    assert sorted(run.float_layers) == ["depthwise", "fc"]


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_an_export_names_the_layers_that_run_in_float_and_says_why(quantized, name):
    from ppcls_slim.deploy.target import find_target

    job = quantized(skip=["fc"])
    expected = outputs(job)
    job.folder.mkdir()
    target = find_target(name)
    target.write(job, job.folder)
    verified = target.verify(job, job.folder, expected)
    assert "4 of 5 convolutions and matrix products run in int8; in float: fc (Slim.quant.skip: fc)" in verified.note
    assert verified.figures["float_layers"] == ["fc"]


def test_layers_that_only_the_engine_has_names_for_are_counted(monkeypatch):
    from ppcls_slim.deploy import parity

    monkeypatch.setattr(parity, "layers_of_weights", lambda model: {})
    quant = SimpleNamespace(skipped_layers={"fc": "Slim.quant.skip: fc"}, layers={})
    job = SimpleNamespace(model=None, quant=quant, left_float={})
    run = SimpleNamespace(float_layers=["fc", "Conv.5", "generated_tensor_7"], int8_layers=8, layers=11)
    note = parity.with_share(job, parity.Verified({}, []), run).note
    assert note.endswith("in float: fc (Slim.quant.skip: fc), 2 without weights of their own")


def test_an_export_for_several_engines_ends_in_a_table_and_what_to_deploy(quantized, monkeypatch):
    from ppcls_slim.deploy.export import export

    said: list[str] = []
    job = quantized()
    monkeypatch.setattr("ppcls_slim.deploy.export.result", said.append)
    export(replace(job, targets=["onnx", "openvino"]))
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in said if line.startswith("| o")]
    assert rows[:2] == [["onnx", "dense", "fp32"], ["onnx", "exported", "int8"]]
    assert ["openvino", "dense", "fp32"] in rows
    assert ["openvino", "exported", "int8"] in rows
    assert said[-1].startswith("ppcls_slim: deploy ")


@pytest.mark.parametrize(("placement", "rounded"), [("onnxruntime", True), ("openvino", False)])
def test_outputs_that_only_float_operators_read_are_rounded_for_onnx_runtime_alone(placement, rounded):
    """Only then does ONNX Runtime run the layer in int8; OpenVINO does anyway."""
    from onnx import TensorProto, helper

    from ppcls_slim.compat.quantized_program import LayerScales
    from ppcls_slim.deploy.onnx.graph import Graph
    from ppcls_slim.deploy.onnx.qdq import quantize_graph

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"]),
        helper.make_node("HardSwish", ["y"], ["z"]),
        helper.make_node("Conv", ["z", "v"], ["out"]),
    ]
    weights = {name: np.ones([2, 2, 1, 1], np.float32) for name in ("w", "v")}
    shape = ["n", 2, 4, 4]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "out")]
    values = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = Graph(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], values)))
    layers = {name: LayerScales(0.1, np.full(2, 0.01), 0) for name in weights}
    quantize_graph(graph, layers, placement, lambda names: dict.fromkeys(names, 1.0))
    quantized = {node.input[0] for node in graph.nodes if node.op_type == "QuantizeLinear"}
    assert quantized == ({"x", "y", "z"} if rounded else {"x", "z"})


def test_the_placement_for_tensorrt(quantized):
    """int8 with zero point 0, Q/DQ on inputs only, biases float, the shortcut quantized right before the addition."""
    from ppcls_slim.deploy.onnx.graph import Graph
    from ppcls_slim.deploy.target import find_target

    job = quantized()
    job.folder.mkdir()
    find_target("onnx").write(job, job.folder)
    graph = Graph(onnx.load(str(job.folder / "inference_tensorrt.onnx")))
    producers, consumers = graph.producers(), graph.consumers()
    quantizers = [node for node in graph.nodes if node.op_type == "QuantizeLinear"]
    assert len(quantizers) == 6  # five layers and a shortcut
    for node in graph.nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = graph.value(node.input[2])
            assert zero.dtype == np.int8
            assert not zero.any()
        if node.op_type in ("Conv", "MatMul"):
            assert all(producers[name].op_type == "DequantizeLinear" for name in node.input[:2])
            assert all(graph.value(name).dtype == np.float32 for name in node.input[2:])
            assert all(reader.op_type != "QuantizeLinear" for reader in consumers[node.output[0]])
    residual = next(n for n in graph.nodes if n.op_type == "Add" and not any(graph.has_value(i) for i in n.input))
    kinds = sorted(producers[name].op_type for name in residual.input)
    assert kinds == ["Conv", "DequantizeLinear"]


def test_weights_are_int8_per_channel_and_batch_norms_folded(quantized):
    from ppcls_slim.deploy.onnx.graph import Graph
    from ppcls_slim.deploy.target import find_target

    job = quantized()
    job.folder.mkdir()
    find_target("onnx").write(job, job.folder)
    graph = Graph(onnx.load(str(job.folder / "inference.onnx")))
    assert not [node for node in graph.nodes if node.op_type == "BatchNormalization"]
    stored = [one for one in graph.model.graph.initializer if one.name.endswith(".int8")]
    assert len(stored) == 5
    for one in stored:
        integers = onnx.numpy_helper.to_array(one)
        assert np.abs(integers).max() == 127
        assert integers.dtype == np.int8


@pytest.mark.paddle26
@pytest.mark.parametrize("name", ["onnx", "openvino", "paddle_int8"])
def test_layers_that_an_export_leaves_float_compute_as_trained(quantized, name):
    from ppcls_slim.deploy.paddle_inference import write_sidecar
    from ppcls_slim.deploy.target import find_target

    job = replace(quantized(), left_float={"depthwise": "conv2d_1.w_0", "fc": "linear_0.w_0"})
    expected = outputs(job)
    job.folder.mkdir()
    write_sidecar(job.folder, job.sidecar({}))
    target = find_target(name)
    target.write(job, job.folder)
    run = target.load(job.folder)
    assert run.precision == "int8"
    if name != "paddle_int8":
        assert sorted(run.float_layers) == ["depthwise", "fc"]
    assert np.abs(run(IMAGES) - expected).mean() < 0.02 * np.abs(expected).max()


def test_no_export_sends_anything(job, monkeypatch):
    import openvino_telemetry

    from ppcls_slim.deploy.target import find_target

    sent = []
    monkeypatch.setattr(openvino_telemetry.Telemetry, "send_event", lambda *args, **kwargs: sent.append(args))
    job.folder.mkdir()
    find_target("openvino").write(job, job.folder)
    assert not sent


def test_an_operator_that_cannot_be_converted_leaves_the_other_targets(job, monkeypatch):
    from ppcls_slim.deploy.export import export
    from ppcls_slim.deploy.onnx import write

    def refuse(*_):
        raise SlimError("paddle2onnx cannot convert this model (no operator)")

    monkeypatch.setattr(write, "float_graph", refuse)
    with pytest.raises(SlimError, match=r"^onnx: paddle2onnx cannot convert"):
        export(replace(job, targets=["onnx", "paddle"]))
    assert (job.folder / "inference.pdiparams").is_file()
    assert not (job.folder / "onnx").exists()


CRASHING = """
import os, signal

def export(program, parameters, target, opset_version, optimize_tool):
    print("C++ stack")
    os.kill(os.getpid(), signal.{name})
"""


def fake_converter(folder, text):
    package = folder / "paddle2onnx"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text(text)
    (package / "convert.py").touch()
    (package / "paddle2onnx_cpp2py_export.py").touch()


def test_a_converter_that_crashes_leaves_the_other_targets(job, monkeypatch, tmp_path):
    from ppcls_slim.compat.onnx_conversion import Converter
    from ppcls_slim.deploy.export import export
    from ppcls_slim.deploy.onnx import float_graph

    fake_converter(tmp_path, CRASHING.format(name="SIGSEGV"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(float_graph, "to_onnx", Converter())
    with pytest.raises(SlimError) as raised:
        export(replace(job, targets=["onnx", "paddle"]))
    assert str(raised.value) == (
        "onnx: paddle2onnx cannot convert Residual (it crashed with SIGSEGV): leave onnx and openvino out of "
        "Slim.deploy.targets"
    )
    assert (job.folder / "inference.pdiparams").is_file()
    assert not (job.folder / "onnx").exists()


def test_a_converter_is_started_again_after_a_crash(monkeypatch, tmp_path):
    from ppcls_slim.compat.onnx_conversion import Converter

    target = tmp_path / "target.onnx"
    monkeypatch.syspath_prepend(tmp_path)
    convert = Converter()
    fake_converter(tmp_path, CRASHING.format(name="SIGABRT"))
    assert convert(tmp_path, tmp_path, target, 17) == "it crashed with SIGABRT"
    fake_converter(tmp_path, "def export(*files, opset_version, enable_optimize): raise OSError(enable_optimize)")
    assert convert(tmp_path, tmp_path, target, 17) == "False"  # as 1.x wants it


@pytest.mark.paddle26
def test_an_operator_that_the_converter_does_not_know_is_one_line(job):
    from ppcls_slim.deploy.export import export

    class Special(paddle.nn.Layer):
        def forward(self, x):
            return paddle.lgamma(x)

    class Unusual(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.special, self.fc = Special(), paddle.nn.Linear(16, 5)

        def forward(self, x):
            return self.fc(self.special(x).mean([1, 2]))

    model = Unusual()
    model.eval()
    with pytest.raises(SlimError, match=r"convert Unusual \(it does not know lgamma( in Special)?\): leave onnx"):
        export(replace(job, model=model, targets=["onnx"]))


def test_a_model_is_converted_once_for_all_targets(quantized, monkeypatch):
    from ppcls_slim.deploy.export import export
    from ppcls_slim.deploy.onnx import float_graph

    programs, convert = [], float_graph.to_onnx
    monkeypatch.setattr(float_graph, "to_onnx", lambda *files: programs.append(files[0]) or convert(*files))
    export(replace(quantized(), targets=["onnx", "openvino"]))
    assert len(programs) == 2  # quantized, and dense to compare with


def test_a_missing_package_names_the_extra(job, monkeypatch):
    import sys

    from ppcls_slim.deploy.export import export

    monkeypatch.setitem(sys.modules, "ppcls_slim.deploy.openvino.write", None)
    with pytest.raises(SlimError, match=r"pip install 'ppcls_slim\[openvino\]'"):
        export(replace(job, targets=["openvino"]))


def test_a_misspelt_target_is_one_line():
    from ppcls_slim.config.section import read_section

    with pytest.raises(SlimError, match=r"Slim\.deploy\.targets.*'opnvino'.*did you mean 'openvino'"):
        read_section({"Slim": {"deploy": {"targets": ["opnvino"]}}})


def props(path):
    model = onnx.load(str(path))
    assert (model.producer_name, model.producer_version) == ("ppcls_slim", __version__)
    return {one.key.removeprefix("ppcls_slim."): one.value for one in model.metadata_props}


def test_a_float_model_is_also_written_in_fp16_with_float32_inputs_and_outputs(job):
    from ppcls_slim.deploy.export import export
    from ppcls_slim.deploy.onnx.session import Session

    expected = outputs(job)
    export(replace(job, targets=["onnx"]))
    file = job.folder / "onnx/inference_fp16.onnx"
    graph = onnx.load(str(file)).graph
    float16 = onnx.TensorProto.FLOAT16
    assert {one.data_type for one in graph.initializer if len(one.dims) == 4} == {float16}
    assert [one.type.tensor_type.elem_type for one in (*graph.input, *graph.output)] == [onnx.TensorProto.FLOAT] * 2
    run = Session(file)  # ONNX Runtime computes FP16 on CPUs, slowly
    assert run.precision == "fp16"
    np.testing.assert_allclose(run(IMAGES), expected, atol=0.005 * np.abs(expected).max())
    assert props(file)["precision"] == "fp16"


def test_what_is_too_large_for_fp16_is_said(job):
    from ppcls_slim.deploy.targets.onnx import TARGET

    job.model.last.weight.set_value(job.model.last.weight * 1e6)
    expected = outputs(job)
    job.folder.mkdir()
    TARGET.write(job, job.folder)
    verified = TARGET.verify(job, job.folder, expected)
    assert "run it in FP32" in verified.warning


def test_fp16_is_for_gpus_and_float_models(job, quantized):
    from ppcls_slim.deploy.targets.onnx import TARGET

    job.folder.mkdir()
    with pytest.raises(SlimError, match=r"^--precision fp16 is for --device gpu$"):
        TARGET.load(job.folder, precision="fp16")
    TARGET.write(quantized(), job.folder)
    with pytest.raises(SlimError, match=r"has no inference_fp16\.onnx; export the float model"):
        TARGET.load(job.folder, device="gpu", precision="fp16")


def test_fp16_is_offered_on_a_gpu_and_only_where_there_is_a_file_in_it(job, quantized):
    from ppcls_slim.deploy.targets.onnx import FP16_MODEL, TARGET

    job.folder.mkdir()
    TARGET.write(job, job.folder)
    assert (job.folder / FP16_MODEL).is_file()
    assert list(TARGET.precisions(job.folder, "gpu")) == ["auto", "fp16"]
    assert list(TARGET.precisions(job.folder, "cpu")) == list(TARGET.precisions(job.folder)) == ["auto"]
    with pytest.raises(SlimError, match=r"^--precision fp16 is for --device gpu$"):  # though there is a file
        TARGET.load(job.folder, precision="fp16")
    int8 = job.folder.with_name("int8")
    int8.mkdir()
    TARGET.write(quantized(), int8)
    assert not (int8 / FP16_MODEL).exists()
    assert list(TARGET.precisions(int8, "gpu")) == ["auto"]


def test_a_device_that_is_not_there(job, monkeypatch):
    from ppcls_slim.deploy.targets.onnx import TARGET

    job.folder.mkdir()
    TARGET.write(job, job.folder)
    with pytest.raises(SlimError, match="install onnxruntime-gpu"):
        TARGET.load(job.folder, device="gpu")
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: None)
    with pytest.raises(SlimError, match="ONNX Runtime cannot use a GPU here; look at nvidia-smi"):
        TARGET.load(job.folder, device="gpu")


def test_files_say_how_the_model_was_compressed(job, quantized):
    from ppcls_slim.config.prune import PruneConfig
    from ppcls_slim.deploy.onnx.write import write_onnx
    from ppcls_slim.prune.planning import make_plan

    plan = make_plan(job.model, PruneConfig(pruned_ratio=0.5), job.input_shape)
    job.folder.mkdir()
    write_onnx(replace(job, plan=plan), job.folder / "pruned.onnx", "onnxruntime")
    text = json.dumps(plan.to_json(), sort_keys=True, separators=(",", ":"))
    assert props(job.folder / "pruned.onnx") == {
        "version": __version__,
        "precision": "fp32",
        "plan_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    write_onnx(quantized(), job.folder / "quantized.onnx", "tensorrt")
    told = props(job.folder / "quantized.onnx")
    assert told["precision"] == "int8"
    assert told["quantization"].startswith("5 layers quantized, weights 8 bits channel_wise_abs_max, activations")


def test_an_uncompressed_model_for_several_targets_is_timed_in_each(job, caplog):
    from ppcls_slim.deploy.export import export

    export(replace(job, targets=["onnx", "openvino"]))
    assert f"deploy {job.folder}" in caplog.text
