"""Soft and masked pruning: what is zeroed, what training does to it, and that removing it changes nothing."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import yaml

from conftest import ROOT, output_prefix
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.schedules.mask_state import MaskState
from ppcls_slim.prune.schedules.remove_masked import remove_masked
from ppcls_slim.prune.schedules.schedule import make_schedule
from ppcls_slim.reference import fpgm
from ppcls_slim.zoo.cifar_resnet import CifarResNet

pytestmark = pytest.mark.paddle26
SHAPE = [3, 32, 32]


def network(depth: int = 8) -> CifarResNet:
    """Random weights, statistics and shifts of either sign: constants behind a ReLU are 0 or positive."""
    model, random = CifarResNet(depth), np.random.default_rng(0)
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        if len(shape) == 1:
            low = 0.5 if name.endswith(("_variance", "weight")) else -1.0
            tensor.set_value(random.uniform(low, 1.5, shape).astype(np.float32))
        elif not name.endswith("place"):
            tensor.set_value((random.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32))
    model.eval()
    return model


def logits(model: CifarResNet) -> np.ndarray:
    images = np.random.default_rng(1).normal(size=(4, *SHAPE)).astype(np.float32)
    model.eval()
    with paddle.no_grad():
        return model(paddle.to_tensor(images)).numpy()


def started(model: CifarResNet, ratio: float = 0.4, name: str = "masked", layers: str = "groups", **section):
    config = PruneConfig(pruned_ratio=ratio, schedule={"name": name, "layers": layers}, **section)
    schedule = make_schedule(model, config, SHAPE, "cpu", lambda analysis: {})
    schedule.start(model)
    return schedule


@pytest.mark.parametrize("layers", ["groups", "convolutions"])
@pytest.mark.parametrize("norm_ratio", [0.0, 0.1])
def test_without_its_zeros_the_network_computes_the_same(layers, norm_ratio):
    model = network(14)
    dense = logits(model)
    schedule = started(model, layers=layers, norm_ratio=norm_ratio)
    zeroed = logits(model)
    plan = remove_masked(model, MaskState.from_json(json.loads(json.dumps(schedule.record().to_json()))))
    removed = logits(model)
    np.testing.assert_allclose(removed, zeroed, rtol=1e-4, atol=1e-5)
    assert np.abs(zeroed - dense).max() > 0.1
    assert plan.flops["pruned"] < 0.75 * plan.flops["dense"]
    assert model.layer1[0].conv1.weight.shape[0] < 16


def test_behind_a_filter_that_is_zero_there_may_be_a_constant():
    """Three of a block's channels: one constant 0.5, one constant 0.25, one that the ReLU cuts off."""
    model = network()
    block = model.layer2[0]
    weight, shift = block.conv1.weight.numpy(), block.bn1.bias.numpy()
    weight[[3, 8, 20]], shift[[3, 8, 20]] = 0, [0.5, 0.25, -0.5]
    block.conv1.weight.set_value(weight)
    block.bn1.bias.set_value(shift)
    mean = block.bn1._mean.numpy()
    mean[[3, 8, 20]] = 0
    block.bn1._mean.set_value(mean)
    reads = block.conv2.weight.numpy()
    before = logits(model)
    config = PruneConfig(pruned_ratio=0.1, schedule={"name": "masked", "layers": "convolutions"})
    plan = remove_masked(
        model,
        MaskState(
            "convolutions", {"layer2.0.conv1.weight": (3, 8, 20)}, config.model_dump(mode="json"), tuple(SHAPE)
        ),
    )
    assert next(d.kept for d in plan.decisions if d.root_weight == "layer2.0.conv1.weight") == tuple(
        n for n in range(32) if n not in (8, 20)
    )
    np.testing.assert_allclose(block.conv2.weight.numpy()[:, 3], reads[:, 3] + 0.5 * reads[:, 8], rtol=1e-6)
    np.testing.assert_allclose(logits(model), before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("ratio", "norm_ratio"), [(0.3, 0.0), (0.4, 0.1)])
def test_every_convolution_by_itself_as_the_authors_choose(ratio, norm_ratio):
    model = network(14)
    expected = {}
    for name, tensor in model.state_dict().items():
        if re.search(r"conv\d\.weight", name):
            weight = tensor.numpy()
            counts = [fpgm.count_authors(len(weight), round(part, 9)) for part in (norm_ratio, ratio - norm_ratio)]
            expected[name] = tuple(fpgm.select_mix(weight, *counts).tolist())
    schedule = started(model, ratio, layers="convolutions", norm_ratio=norm_ratio)
    assert schedule.chosen == expected
    for name, filters in expected.items():
        assert not model.state_dict()[name].numpy()[list(filters)].any()


def test_groups_are_chosen_as_without_a_schedule():
    model = network()
    plan = make_plan(model, PruneConfig(pruned_ratio=0.4), SHAPE)
    schedule = started(model)
    for decision in plan.decisions:
        gone = set(range(decision.prunable_channels)) - set(decision.kept)
        assert set(schedule.chosen[decision.root_weight]) == gone


@pytest.mark.parametrize("layers", ["groups", "convolutions"])
def test_what_masked_pruning_zeroes_stays_zero_and_what_soft_pruning_zeroes_grows_back(layers):
    images = np.random.default_rng(2).normal(size=(8, *SHAPE)).astype(np.float32)
    labels = paddle.to_tensor(np.arange(8) % 10)
    for name in ("masked", "soft"):
        model = network()
        schedule = started(model, name=name, layers=layers)
        schedule.choose_and_zero(model)  # soft begins after an epoch
        schedule.restore_masked_affine(model)
        model.train()
        optimizer = paddle.optimizer.Momentum(
            0.05, 0.9, model.parameters(), use_nesterov=True, weight_decay=paddle.regularizer.L2Decay(5e-4)
        )
        before = model.linear.weight.numpy()
        for _ in range(2):
            paddle.nn.functional.cross_entropy(model(paddle.to_tensor(images)), labels).backward()
            optimizer.step()
            optimizer.clear_grad()
        state = model.state_dict()
        grown = [
            weight for weight, channels in schedule.chosen.items() if state[weight].numpy()[list(channels)].any()
        ]
        assert grown == ([] if name == "masked" else list(schedule.chosen))
        assert np.abs(model.linear.weight.numpy() - before).max() > 0


class Concatenated(paddle.nn.Layer):
    """A normalization behind a concatenation: channels of two groups."""

    def __init__(self):
        super().__init__()
        self.left, self.right = paddle.nn.Conv2D(3, 4, 1), paddle.nn.Conv2D(3, 8, 1)
        self.norm, self.last = paddle.nn.BatchNorm2D(12), paddle.nn.Conv2D(12, 5, 1)

    def forward(self, x):
        x = self.norm(paddle.concat([self.left(x), self.right(x)], axis=1))
        return self.last(paddle.nn.functional.relu(x)).mean([2, 3])


def test_soft_pruning_restores_scales_and_shifts_that_several_groups_share():
    model = Concatenated()
    for vector in (model.norm.weight, model.norm.bias):
        vector.set_value(np.arange(1, 13, dtype=np.float32))
    schedule = started(model, 0.5, name="soft")
    schedule.choose_and_zero(model)
    assert (model.norm.weight.numpy() == 0).sum() == 2 + 4
    state = MaskState.from_json(json.loads(json.dumps(schedule.record().to_json())))
    resumed = make_schedule(model, schedule.config, SHAPE, "cpu", lambda analysis: {})
    resumed.start(model, state)
    resumed.restore_masked_affine(model)
    for vector in (model.norm.weight, model.norm.bias):
        np.testing.assert_array_equal(vector.numpy(), np.arange(1, 13))


def with_schedule(small, layers="groups", **section):
    config = yaml.safe_load(small.read_text())
    config["Slim"]["prune"] = {"pruned_ratio": 0.4, "schedule": {"name": "masked", "layers": layers}, **section}
    config["Arch"]["name"] = "CifarResNet8"
    small.write_text(yaml.safe_dump(config))
    return small


def top1_in(out: str) -> float:
    return float(re.findall(r"\[Eval\]\[Epoch 0\]\[Avg\].*top1: ([0-9.]+)", out)[-1])


@pytest.mark.parametrize("layers", ["groups", "convolutions"])
def test_from_training_to_export(cli, small, tmp_path, layers):
    config = with_schedule(small, layers)
    trained = cli("train", "-c", config, "-o", "Global.epochs=2")
    assert trained.status == 0, trained.err
    assert "epoch 2, filters zeroed" in trained.out
    assert re.search(
        r"-54\.\d % as the FPGM paper counts|FLOPs: -[0-9.]+ % as the FPGM paper counts them", trained.out
    )
    best, pruned = (output_prefix(tmp_path / "output", name) for name in ("best_model", "pruned_model"))
    sidecar = json.loads(best.with_name("best_model.slim.json").read_text())
    assert sidecar["zeroed"]["layers"] == layers and "prune" not in sidecar
    assert [epoch for epoch, _ in sidecar["changed_filters"]] in ([1], [1, 2])
    assert (
        pruned.with_name("pruned_model.pdparams").stat().st_size
        < 0.9 * best.with_name("best_model.pdparams").stat().st_size
    )
    found = {}
    for stem in (best, pruned):
        result = cli("eval", "-c", config, "-o", f"Global.pretrained_model={stem}")
        assert result.status == 0, result.err
        found[stem.name] = top1_in(result.out)
    assert found["best_model"] == found["pruned_model"]
    safe = cli("eval", "-c", config, "-o", f"Global.pretrained_model={pruned}.safetensors")
    assert top1_in(safe.out) == found["pruned_model"]
    exported = cli("export", "-c", config, "-o", f"Global.pretrained_model={best}")
    assert exported.status == 0, exported.err
    assert "same top-1 on 100.0 %" in exported.out
    tuned = cli("train", "-c", config, "-o", f"Global.pretrained_model={pruned}", "-o", "Slim.prune.schedule=None")
    assert tuned.status == 0, tuned.err
    assert "following the plan" in tuned.out


@pytest.mark.parametrize(("name", "layers"), [("masked", "groups"), ("masked", "convolutions"), ("soft", "groups")])
def test_resuming_repeats_what_would_have_been(cli, small, tmp_path, monkeypatch, name, layers):
    from ppcls_slim.engine.hooks import Seeding

    config = with_schedule(small, schedule={"name": name, "layers": layers})
    base = ("-c", config, "-o", "Global.epochs=3")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert cli("train", *base, "-o", f"Global.output_dir={whole}").status == 0
    before_epoch = Seeding.before_epoch

    def interrupted(self, model, epoch):
        if epoch == 3:
            raise KeyboardInterrupt
        before_epoch(self, model, epoch)

    monkeypatch.setattr(Seeding, "before_epoch", interrupted)
    assert cli("train", *base, "-o", f"Global.output_dir={halves}").status == 130
    monkeypatch.setattr(Seeding, "before_epoch", before_epoch)
    latest = output_prefix(halves, "latest")
    resumed = cli("train", *base, "-o", f"Global.output_dir={halves}", "-o", f"Global.checkpoints={latest}")
    assert resumed.status == 0, resumed.err
    expected, found = (paddle.load(f"{output_prefix(folder, 'latest')}.pdparams") for folder in (whole, halves))
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name].numpy(), value.numpy(), err_msg=name)
    sidecars = [
        json.loads(output_prefix(f, "latest").with_name("latest.slim.json").read_text()) for f in (whole, halves)
    ]
    assert sidecars[0]["zeroed"] == sidecars[1]["zeroed"]
    assert [epoch for epoch, _ in sidecars[1]["changed_filters"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"schedule": {"name": "sotf"}}, ["Slim.prune.schedule.name", "'sotf'"]),
        ({"schedule": {"name": "soft", "layer": "groups"}}, ["unknown key", "did you mean 'layers'"]),
        ({"norm_ratio": 0.5}, ["norm_ratio 0.5", "cannot be more"]),
        ({"norm_ratio": 0.1, "name": "l1_norm"}, ["norm_ratio", "FPGM-mix"]),
        ({"schedule": {"name": "soft", "layers": "convolutions"}, "align": 8}, ["remove align 8"]),
        ({"pruned_ratio": 0.001}, ["would zero nothing"]),
    ],
)
def test_mistakes_in_the_section(cli, small, section, words):
    result = cli("train", "-c", with_schedule(small, **section))
    assert result.status == 2
    for word in words:
        assert word in result.message


def test_quantizing_comes_in_a_second_stage(cli, small, tmp_path):
    config = with_schedule(small)
    result = cli("train", "-c", config, "-o", "Slim.quant={'name': 'pact'}")
    assert result.status == 2
    assert "set quant.epochs" in result.message
    result = cli("train", "-c", config, "-o", "Slim.quant={'name': 'pact', 'epochs': 1, 'calibration_batches': 1}")
    assert result.status == 0, result.err
    stem = next(p for p in (tmp_path / "output").rglob("latest.slim.json") if "float" not in p.parts)
    sidecar = json.loads(stem.read_text())
    assert sidecar["quant"]["layers"] and sidecar["prune"]["flops"]["pruned"] < sidecar["prune"]["flops"]["dense"]


def test_a_dry_run_counts_flops_twice(cli, monkeypatch):
    """The paper's 42.2 and 54.0 % of ResNet-20, beside what the inner channels of the blocks really save."""
    config = ROOT / "ppcls_configs/cifar10/resnet20_fpgm_masked.yaml"
    for ratio, paper in ((0.3, "-42.2 %"), (0.4, "-54.0 %")):
        shown = cli("plan", "-c", config, "-o", f"Slim.prune.pruned_ratio={ratio}")
        assert shown.status == 0, shown.err
        assert f"{paper} as the FPGM paper counts them" in shown.out
        assert "really removed" in shown.out
