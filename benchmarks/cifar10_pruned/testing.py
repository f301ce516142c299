"""How many test images a network gets right."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from benchmarks.cifar10_repro.cifar10 import Cifar10

from .layout import layout_of
from .mobile import MobileNetwork
from .network import Network, network_of
from .parameters import Parameters

TEST_BATCH = 2000


@torch.no_grad()
def accuracy(state: Mapping[str, Tensor], data: Cifar10) -> float:
    """Return the top-1 accuracy in percent of weights as they are saved, in the arithmetic of ``data``."""
    device, dtype = data.mean.device, data.mean.dtype
    layout = layout_of(state)
    parameters = Parameters(layout, 1, device, dtype, low=False)
    parameters.load(state)
    network = network_of(layout, 1, device, dtype, compiled=False)
    return (
        100.0
        * int(count_right(network, parameters, parameters.leaves, parameters.stats, data))
        / len(data.test_labels)
    )


def count_right(
    network: Network | MobileNetwork,
    parameters: Parameters,
    params: Mapping[str, Tensor],
    stats: Mapping[str, Tensor],
    data: Cifar10,
) -> Tensor:
    """Return how many test images each run that is packed into a network gets right, ``[runs]`` on the device."""
    runs = network.layout.packed
    right = torch.zeros(runs, device=data.mean.device, dtype=torch.int64)
    for start in range(0, len(data.test_labels), TEST_BATCH):
        images, labels = data.test_batch(start, TEST_BATCH)
        logits = network.forward(params, stats, parameters.widened(images.repeat(1, runs, 1, 1)), False)
        right += (logits.view(len(labels), runs, -1).argmax(dim=2) == labels[:, None]).sum(dim=0)
    return right
