"""Networks of one's own, in a loop of one's own."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from own_networks import SHAPE, batches, small

import ppcls_slim
from conftest import ROOT
from ppcls_slim.compat.paddle import paddle

FORMATS = ROOT / "tests/formats/96686d1"


def pruned(seed: int = 0):
    net = small(seed=seed)
    return ppcls_slim.prune(net, ppcls_slim.plan(net, SHAPE, pruned_ratio=0.5))


def step(net):
    """A step of training, as a loop of one's own does."""
    optimizer = paddle.optimizer.SGD(0.01, parameters=net.parameters())
    images, labels = batches(1)[0]
    net.train()
    loss = paddle.nn.functional.cross_entropy(net(images), labels)
    loss.backward()
    optimizer.step()
    net.eval()
    return float(loss)


def outputs(net):
    net.eval()
    with paddle.no_grad():
        return net(batches(1)[0][0]).numpy()


def test_a_plan_leaves_the_network_as_it_was_and_prune_returns_it():
    net = small()
    before, training = outputs(net), net.training
    plan = ppcls_slim.plan(net, SHAPE, name="l1_norm", pruned_flops=0.3)
    assert net.training == training and np.array_equal(outputs(net), before)
    assert plan.pruned_flops >= 0.3
    assert ppcls_slim.prune(net, plan, batches()) is net
    assert net.first.weight.shape[0] < 8 and np.isfinite(step(net))


def test_data_and_loss_are_what_taylor_scores_by():
    def loss(output, labels):
        seen.append(tuple(labels.shape))
        return paddle.nn.functional.cross_entropy(output, labels)

    seen: list[tuple[int, ...]] = []
    ppcls_slim.plan(small(), SHAPE, {"name": "taylor", "pruned_flops": 0.3}, data=iter(batches()), loss=loss)
    assert seen and set(seen) == {(8,)}


def test_accuracy_is_measured_by_a_function_of_ones_own(tmp_path):
    calls = []
    keys = {"pruned_flops": 0.2, "sensitivity_file": str(tmp_path / "sensitivity.json")}
    ppcls_slim.plan(small(), SHAPE, keys, evaluate=lambda net: calls.append(net) or 0.5)
    assert calls and (tmp_path / "sensitivity.json").is_file()


@pytest.mark.paddle26
@pytest.mark.parametrize("name", ["pact", "lsq"])
def test_a_quantized_network_is_trained_saved_and_loaded(tmp_path, name):
    net = ppcls_slim.quantize(pruned(), batches(), name=name)
    assert np.isfinite(step(net))
    path = ppcls_slim.save(net, tmp_path / "here/quantized")
    again = ppcls_slim.load(path, small)
    assert np.array_equal(outputs(again), outputs(net))
    exports = ppcls_slim.export(again, tmp_path / "int8", data=batches(), compare=False)
    assert exports.verified["paddle"]["runs"]["exported, int8"]["same_as_fake_quant"] >= 0.8


def test_exporting_leaves_the_network_to_be_trained_further(tmp_path):
    net = pruned()
    before = outputs(net)
    exports = ppcls_slim.export(net, tmp_path / "float")
    assert np.array_equal(outputs(net), before) and np.isfinite(step(net))
    assert [row.model for row in exports.rows[:1]] == ["dense"] and "exported" in str(exports)
    found = ppcls_slim.verify(copy.deepcopy(net), tmp_path / "float", batches(labels=False))
    assert found.largest > 1e-4  # it was trained since


def test_a_dense_and_a_pruned_network_are_measured_side_by_side(tmp_path):
    folder = ppcls_slim.export(small(), tmp_path / "dense", example=SHAPE).folders["paddle"]
    found = ppcls_slim.benchmark({"dense": folder, "pruned": pruned()}, runs=3, data=batches())
    assert [one.model for one in found.measured] == ["dense", "pruned"]
    assert found.measured[0].speed_up == 1.0 and found.measured[1].top1 is not None
    assert "as the first" in str(found)


def test_a_plan_of_a_dense_network_is_verified_as_the_pruned_network_is():
    net = small()
    plan = ppcls_slim.plan(net, SHAPE, pruned_ratio=0.5)
    before = ppcls_slim.verify(net, plan)
    assert before == ppcls_slim.verify(ppcls_slim.prune(net, plan))
    assert before.error < 1e-5 < before.effect


@pytest.mark.parametrize("given", ["file", "arch"])
def test_a_checkpoint_of_a_training_with_paddleclas_is_loaded(tmp_path, given):
    import shutil

    import yaml

    folder = shutil.copytree(FORMATS / "prune_quant", tmp_path / "prune_quant")
    file = ROOT / "ppcls_configs/quickstart/digits_prune_quant.yaml"
    model = file if given == "file" else yaml.safe_load(file.read_text())["Arch"]
    net = ppcls_slim.load(folder / "latest", model)
    assert ppcls_slim.Plan.load(folder / "latest.slim.json").pruned_flops > 0
    assert np.isfinite(net(paddle.rand([2, 3, 32, 32])).numpy()).all()


class SeveralOutputs(paddle.nn.Layer):
    """Like GoogLeNet: a list, of which the first are the logits."""

    def __init__(self):
        super().__init__()
        self.net, self.second = small(), paddle.nn.Conv2D(3, 4, 3)

    def forward(self, images):
        return [self.net(images), self.second(images).mean([2, 3])]


def test_of_several_outputs_the_first_is_exported(tmp_path):
    net = SeveralOutputs()
    net = ppcls_slim.prune(net, ppcls_slim.plan(net, SHAPE, pruned_ratio=0.5))
    net = ppcls_slim.quantize(net, batches(labels=False), name="qat")
    exports = ppcls_slim.export(net, tmp_path / "int8", compare=False)
    assert ppcls_slim.verify(net, exports.folders["paddle"], batches(labels=False)).same_top1 >= 0.8


VISION = {
    "resnet18": 64, "vgg11": 32, "mobilenet_v2": 64, "mobilenet_v3_small": 64, "densenet121": 64,
    "shufflenet_v2_x0_25": 64, "squeezenet1_0": 64, "googlenet": 224, "inception_v3": 96,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side"), VISION.items())
def test_networks_of_paddle_vision_are_pruned_quantized_and_exported(tmp_path, name, side):
    paddle.seed(0)
    net = getattr(paddle.vision.models, name)(num_classes=10)
    data = [paddle.rand([4, 3, side, side]) for _ in range(2)]
    net = ppcls_slim.prune(net, ppcls_slim.plan(net, data[0], pruned_ratio=0.3), data)
    assert ppcls_slim.verify(net).error < 1e-4
    net = ppcls_slim.quantize(net, data)
    exports = ppcls_slim.export(net, tmp_path / "int8", ["paddle", "openvino"], data=data, compare=False)
    assert set(exports.folders) == {"paddle", "openvino"}


def test_a_network_in_evaluation_mode_stays_so_and_its_quantizers_stand_still():
    net = small()
    net.eval()
    ppcls_slim.quantize(net, batches())
    assert not any(layer.training for layer in net.sublayers(include_self=True))
    of_inputs = {name: tensor for name, tensor in net.state_dict().items() if "fake_quant_input" in name}
    before = {name: tensor.numpy() for name, tensor in of_inputs.items()}
    net(10 * batches(1)[0][0])
    assert before and all(np.array_equal(tensor.numpy(), before[name]) for name, tensor in of_inputs.items())


def test_frozen_layers_are_scored_as_others_and_stay_frozen():
    given = {"name": "taylor", "pruned_flops": 0.3, "data": batches()}
    net = small()
    expected = ppcls_slim.plan(net, SHAPE, **given)
    for parameter in [net.first.weight, net.norm.weight, net.second.weight]:
        parameter.stop_gradient = True
    found = ppcls_slim.plan(net, SHAPE, **given)
    assert [one.kept for one in found.decisions] == [one.kept for one in expected.decisions]
    ppcls_slim.quantize(ppcls_slim.prune(net, found), batches())
    assert net.first.weight.stop_gradient and net.second.weight.stop_gradient and not net.head.weight.stop_gradient


class Shared(paddle.nn.Layer):
    """One convolution under two names."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 3)
        self.second = paddle.nn.Conv2D(8, 8, 3, padding=1)
        self.again = self.second
        self.head = paddle.nn.Linear(8, 4)

    def forward(self, images):
        return self.head(self.again(self.second(self.first(images))).mean([2, 3]))


def test_a_layer_that_is_used_under_two_names_is_quantized_under_both(tmp_path):
    net = Shared()
    ppcls_slim.prune(net, ppcls_slim.plan(net, SHAPE, pruned_ratio=0.5))
    ppcls_slim.quantize(net, batches())
    assert net.again is net.second and type(net.second).__name__ == "QuantizedConv2D"
    ppcls_slim.export(net, tmp_path / "int8", compare=False)
    again = ppcls_slim.load(ppcls_slim.save(net, tmp_path / "net"), Shared)
    assert np.array_equal(outputs(again), outputs(net))


def test_a_busy_machine_is_a_warning_and_nothing_is_printed(monkeypatch, capsys):
    from ppcls_slim.deploy import benchmark

    monkeypatch.setattr(benchmark, "benchmark", lambda *_, warn, **__: warn("batch 1: busy") or [])
    assert ppcls_slim.benchmark([small()], example=SHAPE).warnings == ["batch 1: busy"]
    assert capsys.readouterr().out == ""
