"""Plan the pruning of a CIFAR ResNet with the plugin, and write the plan and the pruned weights for training.

    python -m benchmarks.cifar10_pruned.plans NAME '{"name": "fpgm", "pruned_flops": 0.526}' --out DIR

The second argument is ``Slim.prune`` as JSON or YAML, or a file of it. ``NAME.plan.json`` and ``NAME.safetensors``
(named and shaped as in Paddle) are written. 1 / 2.11 of the FLOPs are left with ``pruned_flops: 0.526``. With
``--arch`` a network of PaddleClas that ``train.py`` trained, on images of 64 pixels a side.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
import yaml
from safetensors.numpy import save_file

from benchmarks.accuracy.pytorch_weights import depth_of, read_safetensors, to_paddle
from benchmarks.cifar10_pruned.images import CROP, augmented, enlarge, enlargement, normalised
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleclas.config import read_yaml_config
from ppcls_slim.compat.paddleclas.types import ClasConfig
from ppcls_slim.config.section import read_section
from ppcls_slim.engine.build import build_dense
from ppcls_slim.engine.latency import latency_meter
from ppcls_slim.prune.importance import TrainingData
from ppcls_slim.prune.plan import Plan, apply_plan
from ppcls_slim.prune.planning import make_plan

CONFIG = Path(__file__).parents[2] / "ppcls_configs" / "cifar10" / "resnet20.yaml"
Batch = tuple[paddle.Tensor, paddle.Tensor]


class Batches:
    """Batches of training images with crop and flip, ``(images [n, 3, 32, 32], labels [n])``; equal for one seed.

    Args:
        file: ``cifar10.npz``, see ``cifar10_repro/cifar10.py``.
        size: images in a batch.
        seed: of order, crop and flip.
        enlarged: every pixel becomes this many along a side.
    """

    def __init__(self, file: Path, size: int = 128, seed: int = 0, enlarged: int = 1) -> None:
        with np.load(file) as stored:
            self.images, self.labels = stored["train_images"], stored["train_labels"]
        self.size, self.seed, self.enlarged = size, seed, enlarged

    def __len__(self) -> int:
        return len(self.labels) // self.size

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng(self.seed)
        order = rng.permutation(len(self.labels))[: len(self) * self.size]
        for index in order.reshape(-1, self.size):
            shift, flip = rng.integers(0, CROP, (self.size, 2)), rng.integers(0, 2, self.size).astype(bool)
            images = enlarge(normalised(augmented(self.images[index], shift, flip)), self.enlarged)
            yield paddle.to_tensor(images), paddle.to_tensor(self.labels[index])


def cross_entropy(model: paddle.nn.Layer, batch: Batch) -> paddle.Tensor:
    """Return the loss of a batch."""
    return paddle.nn.functional.cross_entropy(model(batch[0]), batch[1])


def configuration(arch: str, prune: Optional[dict[str, Any]] = None) -> ClasConfig:
    """Return PaddleClas's configuration of a network on CIFAR-10, with ``Slim.prune`` if given."""
    config = read_yaml_config(CONFIG, [])
    side = 32 * enlargement(arch)
    config["Global"]["image_shape"] = [3, side, side]
    config["Arch"] = {"name": arch, "class_num": 10, **({} if side == 32 else {"dropout_prob": 0.0})}
    if prune is not None:
        config["Slim"] = {"prune": prune}
    return config


def dense_model(weights: Path, config: Optional[ClasConfig] = None) -> paddle.nn.Layer:
    """Return the network of a file of weights, with akamaster's names or Paddle's, in evaluation mode.

    Args:
        weights: safetensors.
        config: of :func:`configuration`; if absent, the CIFAR ResNet whose weights they are.

    Raises:
        SlimError: no such file, or not the weights of the network.
    """
    state = read_safetensors(weights)
    if config is None:
        config = configuration(f"CifarResNet{depth_of(state, weights)}")
    model = build_dense(config, "train", fetch_pretrained=False)
    state = state if any(name.endswith("._mean") for name in state) else to_paddle(state)
    missing, _ = model.set_state_dict({name: paddle.to_tensor(value) for name, value in state.items()})
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


def write_plan(model: paddle.nn.Layer, plan: Plan, name: str, out: Path) -> None:
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
    parser.add_argument("--arch", help="Arch.name, with weights of train.py; a CIFAR ResNet by its weights if absent")
    parser.add_argument("--data", type=Path, help="cifar10.npz, for criteria that score training batches")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0, help="of the training batches")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    paddle.seed(options.seed)
    np.random.seed(options.seed)  # criteria that draw use NumPy's generator
    arch = options.arch or f"CifarResNet{depth_of(read_safetensors(options.weights), options.weights)}"
    config = configuration(arch, settings_of(options.settings))
    section = read_section(config)
    assert section is not None and section.prune is not None
    model = dense_model(options.weights, config)
    sides = enlargement(arch)
    batches = Batches(options.data, options.batch, options.seed, sides) if options.data else None
    plan = make_plan(
        model,
        section.prune,
        config["Global"]["image_shape"],
        data=TrainingData(batches, cross_entropy) if batches else None,
        meter_of=lambda: latency_meter(config, section, model, print),
    )
    write_plan(model, plan, options.name, options.out)
    dense, pruned = plan.flops["dense"], plan.flops["pruned"]
    print(f"{options.name}: {dense / 1e6:.2f} M -> {pruned / 1e6:.2f} M MACs, {dense / pruned:.3f} times")
    if plan.latency is not None:
        found = plan.latency
        print(
            f"{options.name}: {found.dense:.3f} -> {found.measured:.3f} ms, {found.dense / found.measured:.3f} times"
        )


if __name__ == "__main__":
    main()
