"""The PyTorch training script does, step by step, what the NumPy reference says (CPU, float64)."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from ppcls_slim.reference import fpgm, lsq, pact

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "cifar10_repro"
sys.path.insert(0, str(SCRIPT))
import algorithms  # noqa: E402
import models  # noqa: E402
import rows  # noqa: E402
import steps  # noqa: E402
import training  # noqa: E402
from cifar10 import Cifar10  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> Cifar10:
    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8),
        "train_labels": rng.integers(0, 10, 64),
        "test_images": rng.integers(0, 256, (32, 32, 32, 3), dtype=np.uint8),
        "test_labels": rng.integers(0, 10, 32),
    }
    return Cifar10(arrays, CPU, torch.float64)


def _filters_of(run: training.Run) -> dict[str, np.ndarray]:
    return {n: v.detach().numpy().copy() for n, v in run.parameters.views.items() if v.dim() == 4}


def _expected_masks(weights: dict[str, np.ndarray], spec: rows.Spec) -> dict[str, np.ndarray]:
    masks = {}
    for name, weight in weights.items():
        by_norm = fpgm.count_authors_norm(len(weight), spec.norm_keep)
        by_distance = fpgm.count_authors(len(weight), spec.distance)
        masks[name] = fpgm.filter_mask(weight, fpgm.select_mix(weight, by_norm, by_distance))
    return masks


@pytest.mark.parametrize("norm_keep", [1.0, 0.9])
@pytest.mark.parametrize("schedule", ["masked", "soft"])
def test_fpgm_steps_and_choices_follow_the_reference(data: Cifar10, schedule: str, norm_keep: float) -> None:
    spec = rows.Spec(depth=8, seed=3, distance=0.3, norm_keep=norm_keep, schedule=schedule)
    run = training.Run(spec, data, epochs=200, batch=16)
    dense = training.Run(rows.Spec(depth=8, seed=3), data, epochs=200, batch=16)
    masks = _expected_masks(_filters_of(dense), spec)
    weights = {n: w * (masks[n] if schedule == "masked" else 1) for n, w in _filters_of(dense).items()}
    velocity = {name: np.zeros_like(weight) for name, weight in weights.items()}
    for epoch in range(2):
        run.begin_epoch(epoch)
        for step in range(run.steps):
            order, shift, flip = run.order[step], run.shift[step], run.flip[step]
            images, labels = data.batch(order, shift, flip)
            buffers = {name: value.clone() for name, value in run.parameters.buffers.items()}
            loss = training.loss_of(run.parameters.views, buffers, images, labels, 8)
            gradients = torch.autograd.grad(loss, [run.parameters.views[name] for name in weights])
            for (name, weight), gradient in zip(list(weights.items()), gradients):
                mask = masks[name] if schedule == "masked" else None
                state = (weight, velocity[name], gradient.numpy(), mask)
                weights[name], velocity[name] = fpgm.sgd_step(*state, lr=0.1 if epoch else 0.01)
            run.step()
            for name, weight in _filters_of(run).items():
                np.testing.assert_allclose(weight, weights[name], rtol=1e-9, atol=1e-12)
        masks = _expected_masks(weights, spec)
        weights = {name: weight * masks[name] for name, weight in weights.items()}
        run.end_epoch(epoch, tested=False)
        for name, weight in _filters_of(run).items():
            np.testing.assert_allclose(weight, weights[name], rtol=1e-9, atol=1e-12)
            pruned = (weight == 0).all(axis=(1, 2, 3)).sum()
            assert pruned == int(len(weight) * (1 - norm_keep)) + int(len(weight) * 0.3)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_pact_forward_and_gradients_follow_the_reference(bits: int) -> None:
    rng = np.random.default_rng(bits)
    values = np.concatenate([rng.normal(size=200) * 3, [0.0, 2.5, -2.5]])
    upstream = rng.normal(size=203)
    x = torch.tensor(values, requires_grad=True)
    alpha = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    y = algorithms.pact(x, alpha, bits)
    y.backward(torch.tensor(upstream))
    to_x, to_alpha = pact.backward(values, 2.5, upstream)
    np.testing.assert_allclose(y.detach().numpy(), pact.quantize(values, 2.5, bits), atol=1e-12)
    np.testing.assert_allclose(x.grad.numpy(), to_x)
    assert float(alpha.grad) == pytest.approx(to_alpha)


@pytest.mark.parametrize("bits", [2, 4])
def test_dorefa_forward_and_gradient_follow_the_reference(bits: int) -> None:
    rng = np.random.default_rng(bits)
    values, upstream = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=(4, 3, 3, 3))
    weight = torch.tensor(values, requires_grad=True)
    quantized = algorithms.dorefa_weight(weight, bits)
    quantized.backward(torch.tensor(upstream))
    np.testing.assert_allclose(quantized.detach().numpy(), pact.dorefa_weight(values, bits), atol=1e-12)
    np.testing.assert_allclose(weight.grad.numpy(), pact.dorefa_weight_backward(values, upstream), atol=1e-12)


@pytest.mark.parametrize("bits", [2, 4])
def test_lsq_forward_and_gradients_follow_the_reference(bits: int) -> None:
    rng = np.random.default_rng(bits)
    values, upstream = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=(4, 3, 3, 3))
    negative, positive = lsq.levels(bits)
    steps = lsq.initial_step(np.abs(values).mean(axis=(1, 2, 3), keepdims=True), positive)
    scale = lsq.gradient_scale(27, positive)
    v, step = torch.tensor(values, requires_grad=True), torch.tensor(steps, requires_grad=True)
    quantized = algorithms.lsq(v, step, negative, positive, scale)
    quantized.backward(torch.tensor(upstream))
    to_v, to_step = lsq.backward(values, steps, negative, positive, upstream, scale)
    np.testing.assert_allclose(quantized.detach(), lsq.quantize(values, steps, negative, positive), rtol=1e-12)
    np.testing.assert_allclose(v.grad, to_v, rtol=1e-12)
    np.testing.assert_allclose(step.grad, to_step, rtol=1e-11)


def test_lsq_starts_from_trained_weights_with_the_papers_steps_and_without_decay_of_them(
    data: Cifar10, tmp_path: Path
) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    dense = training.Run(rows.Spec(depth=8, seed=3), data, epochs=1, batch=16)
    safetensors.save_file(dense.parameters.state_dict(), tmp_path / "resnet8.safetensors")
    spec = rows.Spec(8, 1, bits=2, method="lsq", float_shortcuts=True, recipe="cosine", start="resnet8")
    run = training.Run(spec, data, epochs=2, batch=16, weights=tmp_path)
    views = run.parameters.views
    weight = dense.parameters.views["layer1.0.conv1.weight"].detach().float().double()
    torch.testing.assert_close(views["layer1.0.conv1.weight"].detach(), weight)
    expected = lsq.initial_step(weight.abs().mean(dim=(1, 2, 3)).numpy(), 1)
    np.testing.assert_allclose(views["layer1.0.conv1.step"].detach(), expected, rtol=1e-12)
    decay = run.parameters.split(run.decay)
    assert float(decay["steps"].abs().sum()) == 0
    assert float(decay["layer1.0.conv1.weight"].min()) == 1e-4
    before = {name: view.detach().clone() for name, view in views.items()}
    run.begin_epoch(0)
    run.step()
    for name, view in views.items():
        assert not torch.equal(view.detach(), before[name]), name


@pytest.mark.parametrize("spec", rows.find(["e", "f"])[::3], ids=lambda spec: spec.label)
def test_every_row_of_lsq_and_of_the_two_suspects_trains_for_a_step(data: Cifar10, spec: rows.Spec) -> None:
    run = training.Run(dataclasses.replace(spec, depth=8, start=None), data, epochs=200, batch=16)
    run.begin_epoch(0)
    for _ in range(2):
        run.step()
    run.test()
    assert torch.isfinite(run.loss_sum)


def test_float_shortcuts_are_not_quantized_and_convolutions_read_the_same_levels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameters = models.Parameters(8, True, CPU, torch.float64)
    parameters.initialise(torch.Generator().manual_seed(0), alpha=3.0)
    levels, sums = [], []
    conv2d, relu = models.F.conv2d, models.F.relu

    def spy_conv2d(x: torch.Tensor, weight: torch.Tensor, **options: object) -> torch.Tensor:
        levels.append(len(x.unique()))
        return conv2d(x, weight, **options)

    def spy_relu(x: torch.Tensor) -> torch.Tensor:
        sums.append(len(relu(x).unique()))
        return relu(x)

    monkeypatch.setattr(models.F, "conv2d", spy_conv2d)
    monkeypatch.setattr(models.F, "relu", spy_relu)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    models.forward(parameters.views, parameters.buffers, images, 8, bits=2, float_shortcuts=True)
    assert max(levels[1:]) <= 4
    assert len(sums) == 4  # three shortcuts, and the last ReLU
    assert min(sums) > 4


def test_recipes_have_the_rates_of_their_papers() -> None:
    pact_rates = {0: 0.1, 59: 0.1, 60: 0.01, 120: 0.001, 199: 0.001}
    for epoch, rate in pact_rates.items():
        assert training.learning_rate(epoch, 200, False, "pact") == pytest.approx(rate)
    assert training.learning_rate(0, 200, True, "cosine") == pytest.approx(0.01)
    assert training.learning_rate(100, 200, True, "cosine") == pytest.approx(0.005)
    assert 0 < training.learning_rate(199, 200, True, "cosine") < 1e-5


def test_first_convolution_and_last_layer_stay_in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = models.Parameters(8, True, CPU, torch.float64)
    parameters.initialise(torch.Generator().manual_seed(0), alpha=3.0)
    convolutions, inputs = [], []
    conv2d, linear = models.F.conv2d, models.F.linear

    def spy_conv2d(x: torch.Tensor, weight: torch.Tensor, **options: object) -> torch.Tensor:
        convolutions.append((len(x.unique()), len(weight.unique())))
        return conv2d(x, weight, **options)

    def spy_linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        inputs.append((x, weight))
        return linear(x, weight, bias)

    monkeypatch.setattr(models.F, "conv2d", spy_conv2d)
    monkeypatch.setattr(models.F, "linear", spy_linear)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    models.forward(parameters.views, parameters.buffers, images, 8, bits=2)
    levels = 2**2
    assert len(convolutions) == 7
    assert min(convolutions[0]) > levels
    assert max(max(seen) for seen in convolutions[1:]) <= levels
    assert torch.equal(inputs[0][1], parameters.views["linear.weight"])


def test_a_batch_is_a_crop_of_the_padded_image_mirrored_where_asked(data: Cifar10) -> None:
    index, shift = torch.tensor([5, 6]), torch.tensor([[0, 8], [4, 4]])
    images, labels = data.batch(index, shift, torch.tensor([True, False]))
    corner = data.normalise(data.train_images[5:6, 0:32, 8:40].flip(2))
    torch.testing.assert_close(images[:1], corner)
    torch.testing.assert_close(images[1:], data.normalise(data.train_images[6:7, 4:36, 4:36]))
    assert labels.tolist() == data.train_labels[index].tolist()


def test_learning_rate_is_that_of_the_authors_scripts() -> None:
    at = {0: 0.01, 1: 0.1, 59: 0.1, 60: 0.02, 120: 0.004, 160: 0.0008, 199: 0.0008}
    for epoch, rate in at.items():
        assert training.learning_rate(epoch, 200, tuned=False) == pytest.approx(rate)
        assert training.learning_rate(epoch, 200, tuned=True) == pytest.approx(rate / 10)


def test_the_rows_of_the_issue_are_there_in_order() -> None:
    assert [spec.name for spec in rows.find(["a"])][:4] == [
        "r20-dense-s1",
        "r20-dense-s2",
        "r20-dense-s3",
        "r20-fpgm30-masked-s1",
    ]
    names = [spec.name for specs in rows.ROWS.values() for spec in specs]
    assert len(names) == len(set(names))
    with pytest.raises(ValueError, match="no run matches"):
        rows.find(["r21-*"])


@pytest.mark.parametrize("method", ["fpgm", "pact"])
def test_the_recorded_steps_are_those_of_the_script(method: str) -> None:
    """``steps.json`` is what another framework is held to; it must not age."""
    recorded = json.loads((SCRIPT / "steps.json").read_text())["losses"][method]["float64"]
    np.testing.assert_allclose(steps.losses_of(steps.SPECS[method], torch.float64), recorded, rtol=1e-8)


def test_pytorchs_own_fpgm_pruner_computes_the_same_sums() -> None:
    module = pytest.importorskip(
        "torch.ao.pruning._experimental.pruner.FPGM_pruner", reason="this PyTorch has no FPGMPruner"
    )
    weight = np.random.default_rng(8).normal(size=(8, 4, 3, 3))
    sums = module.FPGMPruner(0.3)._compute_distance(torch.tensor(weight))
    np.testing.assert_allclose(sums.numpy(), fpgm.distance_sums(weight), rtol=1e-6)
