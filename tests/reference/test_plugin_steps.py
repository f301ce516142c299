"""The plugin trains the steps that the PyTorch script recorded: its own backbone, schedule and PACT layers.

What ties the accuracies that were measured with the script to training with the plugin. ``test_paddle_steps.py``
says the same of plain Paddle operators.
"""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.accuracy.pytorch_weights import to_paddle
from test_paddle_steps import LOSSES, RECIPE, _batches, _weights

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.schedules.schedule import make_schedule
from ppcls_slim.reference import pact
from ppcls_slim.zoo.cifar_resnet import CifarResNet, relu_layers

pytestmark = pytest.mark.paddle26


def network(bits: int | None) -> CifarResNet:
    """The plugin's ResNet-8 with the weights that the script started from."""
    model = CifarResNet(RECIPE["depth"], pact_bits=bits, weight_bits=bits)
    state = _weights(bool(bits))
    alphas = state.pop("alphas", [])
    weights = to_paddle(state)
    weights.update({f"{name}.alpha": np.float32([alpha]) for name, alpha in zip(relu_layers(model), alphas)})
    own = model.state_dict()
    missing = {name.rpartition(".")[2] for name in own if name not in weights}
    assert missing == {"_mean", "_variance", "place"}  # statistics start as Paddle starts them
    for name, value in weights.items():
        own[name].set_value(value)
    return model


# Float32 only, as PaddleClas trains. With PACT, rounding errors put values on either side of a threshold.
@pytest.mark.parametrize(("method", "tolerance"), [("fpgm", 1e-5), ("pact", 1e-2)])
def test_the_plugin_gives_the_losses_of_the_pytorch_script(method: str, tolerance: float) -> None:
    model = network(RECIPE["pact_bits"] if method == "pact" else None)
    if method == "fpgm":
        section = {"name": "masked", "layers": "convolutions"}
        config = PruneConfig(pruned_ratio=RECIPE["fpgm_ratio"], schedule=section)
        make_schedule(model, config, [3, 32, 32], "cpu", lambda analysis: {}).start(model)
    model.train()
    optimizer = paddle.optimizer.Momentum(
        RECIPE["learning_rate"],
        RECIPE["momentum"],
        model.parameters(),
        use_nesterov=RECIPE["nesterov"],
        weight_decay=paddle.regularizer.L2Decay(RECIPE["weight_decay"]),
    )
    images, labels = _batches()
    size, losses = RECIPE["batch"], []
    for start in range(0, len(labels), size):
        batch = paddle.to_tensor(images[start : start + size], dtype="float32")
        loss = paddle.nn.functional.cross_entropy(model(batch), paddle.to_tensor(labels[start : start + size]))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(loss.item())
    np.testing.assert_allclose(losses, LOSSES[method]["float32"], rtol=tolerance)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_dorefa_is_the_references(bits: int) -> None:
    from ppcls_slim.zoo.dorefa import dorefa_weight

    weight = np.random.default_rng(0).normal(size=(8, 4, 3, 3))
    upstream = np.random.default_rng(1).normal(size=weight.shape)
    tensor = paddle.to_tensor(weight, dtype="float64", stop_gradient=False)
    quantized = dorefa_weight(tensor, bits)
    (quantized * paddle.to_tensor(upstream)).sum().backward()
    np.testing.assert_allclose(quantized.numpy(), pact.dorefa_weight(weight, bits), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        tensor.grad.numpy(), pact.dorefa_weight_backward(weight, upstream), rtol=1e-9, atol=1e-12
    )
