"""What a step of quantization-aware training costs, and what of it is what.

    python benchmarks/qat_step.py            # ResNet-20, batch 128 of 32x32

Every line is one more part than the line before; the last one is PaddleSlim's own QAT with its PACT. All take their
steps in turns, so that noise of the machine meets all alike.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugin"))

import numpy as np

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleslim import load_paddleslim
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.quant import prepare
from ppcls_slim.zoo.cifar_resnet import BACKBONES


def quantized(model: paddle.nn.Layer, images: paddle.Tensor, **options: object) -> None:
    """Quantize as ``Slim.quant`` does."""
    prepare.quantize(model, QuantConfig(calibration_batches=1, **options), [images], model)


def by_paddleslim(model: paddle.nn.Layer, images: paddle.Tensor) -> None:
    """Quantize as PaddleClas does with ``Slim.quant.name: pact``."""
    load_paddleslim()
    from paddleslim.dygraph.quant import QAT  # as load_paddleslim() has patched it
    from paddleslim.dygraph.quant.qat import PACT

    QAT(config={"quantizable_layer_type": ["Conv2D", "Linear"]}, act_preprocess=PACT).imperative_qat.quantize(model)


WAYS: dict[str, Callable[[paddle.nn.Layer, paddle.Tensor], None]] = {
    "float": lambda model, images: None,
    "fake quantization of weights and activations": lambda model, images: quantized(model, images, name="qat"),
    "and PACT (Slim.quant as it comes)": quantized,
    "the same, PACT two-sided": lambda model, images: quantized(model, images, pact={"form": "two_sided"}),
    "LSQ": lambda model, images: quantized(model, images, name="lsq"),
    "PaddleSlim's QAT with its PACT": by_paddleslim,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="CifarResNet20", choices=BACKBONES)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    images = paddle.to_tensor(random.random((arguments.batch_size, 3, 32, 32), dtype=np.float32))
    labels = paddle.to_tensor(random.integers(0, 10, arguments.batch_size))
    steps = {name: _step(arguments.arch, quantize, images, labels) for name, quantize in WAYS.items()}
    seconds = np.zeros((arguments.steps, len(steps)))
    for row in range(-2, arguments.steps):  # two that do not count
        for column, step in enumerate(steps.values()):
            start = time.perf_counter()
            step()
            seconds[max(row, 0), column] = time.perf_counter() - start
    median = np.median(seconds, axis=0)
    print(f"{arguments.arch}, batch {arguments.batch_size}, Paddle {paddle.__version__}, median of {arguments.steps}")
    for name, value in zip(steps, median):
        print(f"{name:46} {value:7.3f} s  {value / median[0]:5.2f} x")


def _step(
    arch: str,
    quantize: Callable[[paddle.nn.Layer, paddle.Tensor], None],
    images: paddle.Tensor,
    labels: paddle.Tensor,
) -> Callable[[], None]:
    paddle.seed(0)
    model = BACKBONES[arch](class_num=10)
    quantize(model, images)
    model.train()
    optimizer = paddle.optimizer.Momentum(0.01, parameters=model.parameters(), weight_decay=1e-4)

    def step() -> None:
        loss = paddle.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        loss.item()

    return step


if __name__ == "__main__":
    main()
