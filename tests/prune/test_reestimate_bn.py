"""Running statistics after pruning."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.prune.reestimate_bn import reestimate_bn

pytestmark = pytest.mark.paddle26


def model():
    paddle.seed(0)
    return paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 1), paddle.nn.BatchNorm2D(4), paddle.nn.Dropout(0.9))


def test_running_statistics_are_the_mean_over_the_batches():
    network = model()
    rng = np.random.default_rng(0)
    batches = [paddle.to_tensor(rng.normal(size=[8, 3, 4, 4]).astype("float32") + shift) for shift in range(5)]
    assert reestimate_bn(network, batches, lambda net, batch: net(batch), 3) == 3
    outputs = [network[0](batch).numpy() for batch in batches[:3]]
    means = np.mean([out.mean(axis=(0, 2, 3)) for out in outputs], axis=0)
    variances = np.mean([out.var(axis=(0, 2, 3)) for out in outputs], axis=0)
    np.testing.assert_allclose(network[1]._mean.numpy(), means, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network[1]._variance.numpy(), variances, rtol=2e-2)


def test_nothing_else_changes():
    network = model()
    network.train()
    before = {name: value.numpy() for name, value in network.named_parameters() if not value.stop_gradient}
    reestimate_bn(network, [paddle.randn([4, 3, 4, 4])], lambda net, batch: net(batch), 8)
    assert network.training and network[1].training and network[1]._momentum == 0.9
    assert all(
        np.array_equal(value, dict(network.named_parameters())[name].numpy()) for name, value in before.items()
    )


def test_without_normalization_no_batch_is_read():
    def batches():
        raise AssertionError("read")
        yield

    assert reestimate_bn(paddle.nn.Conv2D(3, 4, 1), batches(), lambda net, batch: net(batch), 8) == 0
