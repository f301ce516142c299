"""Paddle repeats the PyTorch script's recorded training steps from the same numbers.

Plain Paddle operators and Paddle's own optimizer, on the CPU: what ties the accuracies that
were measured with the script to training in Paddle. Needs no PyTorch.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ppcls_slim.reference import fpgm

pytest.importorskip("scipy", reason="SciPy is not installed")  # before Paddle 2.6
paddle = pytest.importorskip("paddle", reason="PaddlePaddle is not installed")

import paddle.nn.functional as F  # noqa: E402

RECORD = json.loads((Path(__file__).parents[2] / "benchmarks" / "cifar10_repro" / "steps.json").read_text())
RECIPE, LOSSES = RECORD["recipe"], RECORD["losses"]
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
WIDTHS = (16, 32, 64)  # depth 8: one block a stage
CONVOLUTIONS = ["conv1", *(f"layer{stage}.0.conv{k}" for stage in (1, 2, 3) for k in (1, 2))]


def _shapes(quantized: bool) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = (3, 16, 16, 16, 32, 32, 64)
    outputs = (16, 16, 16, 32, 32, 64, 64)
    for name, in_c, out_c in zip(CONVOLUTIONS, inputs, outputs):
        norm = name.replace("conv", "bn")
        shapes.update({f"{name}.weight": (out_c, in_c, 3, 3), f"{norm}.weight": (out_c,), f"{norm}.bias": (out_c,)})
    shapes.update({"linear.weight": (10, 64), "linear.bias": (10,)})
    return {**shapes, "alphas": (6,)} if quantized else shapes


def _weights(quantized: bool) -> dict[str, np.ndarray]:
    rng, state = np.random.default_rng(0), {}
    for name, shape in _shapes(quantized).items():
        if len(shape) > 1:
            state[name] = rng.normal(size=shape) * np.sqrt(2.0 / np.prod(shape[1:]))
        else:
            state[name] = np.full(shape, 3.0 if name == "alphas" else float("bn" in name and "weight" in name))
    return {name: value.astype(np.float32).astype(np.float64) for name, value in state.items()}


def _batches() -> tuple[np.ndarray, np.ndarray]:
    rng, count = np.random.default_rng(1), RECIPE["steps"] * RECIPE["batch"]
    images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, count)
    return ((images / 255.0 - MEAN) / STD).transpose(0, 3, 1, 2), labels


def _pact(x, alpha, bits: int):
    inside = paddle.where(x >= 0, x, paddle.zeros_like(x))
    clipped = paddle.where(x >= alpha, alpha.expand_as(x), inside)
    steps = 2**bits - 1
    # Paddle rounds halves away from zero, PyTorch to even: of random float64 numbers none is a half.
    return clipped + (paddle.round(clipped * steps / alpha) * alpha / steps - clipped).detach()


def _dorefa(weight, bits: int):
    squashed, steps = paddle.tanh(weight), 2**bits - 1
    magnitudes = squashed.abs().flatten()
    # Not max(): its gradient takes 5 s for 37,000 elements on Paddle 3.3.1's CPU.
    unit = squashed / (2 * magnitudes[magnitudes.argmax()]) + 0.5
    return 2 * (unit + (paddle.round(unit * steps) / steps - unit).detach()) - 1


def _logits(params: dict, images, bits: int | None):
    activations = iter(range(6)) if bits else iter(())

    def activate(x):
        index = next(activations, None)
        return F.relu(x) if index is None else _pact(x, params["alphas"][index], bits)

    def conv_norm(x, name: str, stride: int = 1):
        weight = params[f"{name}.weight"]
        weight = _dorefa(weight, bits) if bits and name != "conv1" else weight
        norm, width = name.replace("conv", "bn"), weight.shape[0]
        mean, var = paddle.zeros([width], x.dtype), paddle.ones([width], x.dtype)
        x = F.conv2d(x, weight, stride=stride, padding=1)
        affine = (params[f"{norm}.weight"], params[f"{norm}.bias"])
        return F.batch_norm(x, mean, var, *affine, training=True, epsilon=1e-5)

    x = activate(conv_norm(images, "conv1"))
    for stage, width in enumerate(WIDTHS):
        name, stride = f"layer{stage + 1}.0", 2 if stage else 1
        branch = conv_norm(activate(conv_norm(x, f"{name}.conv1", stride)), f"{name}.conv2")
        if stage:
            zeros = paddle.zeros([x.shape[0], width // 4, x.shape[2] // 2, x.shape[3] // 2], x.dtype)
            x = paddle.concat([zeros, x[:, :, ::2, ::2], zeros], axis=1)
        x = activate(x + branch)
    return F.linear(x.mean(axis=[2, 3]), params["linear.weight"].t(), params["linear.bias"])


@pytest.mark.parametrize(
    ("method", "dtype", "tolerance"),
    [
        ("fpgm", "float64", 1e-8),
        ("fpgm", "float32", 1e-5),
        ("pact", "float64", 1e-8),
        # Rounding errors put values on either side of a quantizer's threshold.
        ("pact", "float32", 1e-2),
    ],
)
def test_paddle_gives_the_losses_of_the_pytorch_script(method: str, dtype: str, tolerance: float) -> None:
    bits = RECIPE["pact_bits"] if method == "pact" else None
    state, masks = _weights(bool(bits)), {}
    if method == "fpgm":
        for name in (f"{name}.weight" for name in CONVOLUTIONS):
            weight = state[name]
            count = fpgm.count_authors(len(weight), RECIPE["fpgm_ratio"])
            masks[name] = fpgm.filter_mask(weight, fpgm.select(fpgm.distance_sums(weight), count))
            state[name] = weight * masks[name]
    params = {name: paddle.to_tensor(v, dtype=dtype, stop_gradient=False) for name, v in state.items()}
    optimizer = paddle.optimizer.Momentum(
        RECIPE["learning_rate"],
        RECIPE["momentum"],
        list(params.values()),
        use_nesterov=True,
        weight_decay=RECIPE["weight_decay"],
    )
    images, labels = _batches()
    size, losses = RECIPE["batch"], []
    for start in range(0, len(labels), size):
        batch = paddle.to_tensor(images[start : start + size], dtype=dtype)
        loss = F.cross_entropy(_logits(params, batch, bits), paddle.to_tensor(labels[start : start + size]))
        loss.backward()
        for name, mask in masks.items():
            params[name].grad.set_value(params[name].grad * paddle.to_tensor(mask, dtype=dtype))
        optimizer.step()
        optimizer.clear_grad()
        losses.append(loss.item())
    np.testing.assert_allclose(losses, LOSSES[method][dtype], rtol=tolerance)
