"""Plan the pruning of a CIFAR ResNet with the plugin, and write the plan and the pruned weights for training.

    python -m benchmarks.cifar10_pruned.plans NAME '{"name": "fpgm", "pruned_flops": 0.526}' --out DIR

The second argument is ``Slim.prune`` as JSON or YAML, or a file of it. ``NAME.plan.json`` and ``NAME.safetensors``
(named and shaped as in Paddle) are written. 1 / 2.11 of the FLOPs are left with ``pruned_flops: 0.526``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

from benchmarks.accuracy.pytorch_weights import depth_of, read_safetensors, to_paddle
from benchmarks.cifar10_pruned.images import CROP, augmented, normalised
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.importance import TrainingData
from ppcls_slim.prune.plan import Plan, apply_plan
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.zoo.cifar_resnet import CifarResNet

IMAGE = (3, 32, 32)
Batch = tuple[paddle.Tensor, paddle.Tensor]


class Batches:
    """Batches of training images with crop and flip, ``(images [n, 3, 32, 32], labels [n])``; equal for one seed.

    Args:
        file: ``cifar10.npz``, see ``cifar10_repro/cifar10.py``.
        size: images in a batch.
        seed: of order, crop and flip.
    """

    def __init__(self, file: Path, size: int = 128, seed: int = 0) -> None:
        with np.load(file) as stored:
            self.images, self.labels = stored["train_images"], stored["train_labels"]
        self.size, self.seed = size, seed

    def __len__(self) -> int:
        return len(self.labels) // self.size

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng(self.seed)
        order = rng.permutation(len(self.labels))[: len(self) * self.size]
        for index in order.reshape(-1, self.size):
            shift, flip = rng.integers(0, CROP, (self.size, 2)), rng.integers(0, 2, self.size).astype(bool)
            images = normalised(augmented(self.images[index], shift, flip))
            yield paddle.to_tensor(images), paddle.to_tensor(self.labels[index])


def cross_entropy(model: paddle.nn.Layer, batch: Batch) -> paddle.Tensor:
    """Return the loss of a batch."""
    return paddle.nn.functional.cross_entropy(model(batch[0]), batch[1])


def dense_model(weights: Path) -> CifarResNet:
    """Return the network of a file of PyTorch weights (akamaster's names), in evaluation mode.

    Raises:
        SlimError: no such file, or not the weights of a CIFAR ResNet.
    """
    state = read_safetensors(weights)
    model = CifarResNet(depth_of(state, weights))
    missing, _ = model.set_state_dict({name: paddle.to_tensor(value) for name, value in to_paddle(state).items()})
    if any(not name.endswith(".place") for name in missing):
        raise SlimError(f"{weights} lacks {missing[0]}")
    model.eval()
    return model


def settings_of(text: str) -> dict[str, Any]:
    """Read ``Slim.prune`` from JSON, YAML, or a file of either.

    Raises:
        SlimError: it is not a mapping.
    """
    is_file = not text.lstrip().startswith("{") and Path(text).is_file()
    settings = yaml.safe_load(Path(text).read_text() if is_file else text)
    if not isinstance(settings, dict):
        raise SlimError(f"{text!r} is not a mapping: give Slim.prune as {{name: fpgm, pruned_flops: 0.526}}")
    return settings


def write_plan(model: CifarResNet, plan: Plan, name: str, out: Path) -> None:
    """Prune the model and write ``NAME.plan.json`` and ``NAME.safetensors``."""
    apply_plan(plan, model)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.plan.json").write_text(json.dumps(plan.to_json()))
    save_file({key: tensor.numpy() for key, tensor in model.state_dict().items()}, out / f"{name}.safetensors")


def main() -> None:
    """Read the command line and write one plan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="stem of the files")
    parser.add_argument("settings", help="Slim.prune as JSON or YAML, or a file of it")
    parser.add_argument("--weights", type=Path, default=Path("../shared/pretrained/cifar10/resnet56.safetensors"))
    parser.add_argument("--data", type=Path, help="cifar10.npz, for criteria that score training batches")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0, help="of the training batches")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    paddle.seed(options.seed)
    np.random.seed(options.seed)  # criteria that draw use NumPy's generator
    model = dense_model(options.weights)
    batches = Batches(options.data, options.batch, options.seed) if options.data else None
    data = TrainingData(batches, cross_entropy) if batches else None
    plan = make_plan(model, PruneConfig.model_validate(settings_of(options.settings)), IMAGE, data=data)
    write_plan(model, plan, options.name, options.out)
    dense, pruned = plan.flops["dense"], plan.flops["pruned"]
    print(f"{options.name}: {dense / 1e6:.2f} M -> {pruned / 1e6:.2f} M MACs, {dense / pruned:.3f} times")


if __name__ == "__main__":
    main()
