"""Write the losses of a few training steps, for another framework to repeat from the same numbers.

Usage: python steps.py > steps.json

Weights, images and labels come from NumPy's generator (``weights``, ``batches``), so nothing but the
losses has to be stored. On the CPU, in float32 and in float64: with PACT, rounding puts values on
either side of a threshold, so two correct float32 programs differ from the first step on (about 1e-3),
while in float64 they agree.
"""

from __future__ import annotations

import json
import math

import numpy as np
import torch
from cifar10 import Cifar10
from models import parameter_shapes
from rows import Spec
from training import Run

DEPTH, STEPS, BATCH, RATE = 8, 8, 32, 0.01
SPECS = {
    "fpgm": Spec(depth=DEPTH, seed=0, distance=0.3),
    "pact": Spec(depth=DEPTH, seed=0, bits=4, alpha=3.0),
}


def weights(spec: Spec) -> dict[str, np.ndarray]:
    """Return float32 parameters and statistics by name, drawn in the order of ``parameter_shapes``.

    Matrices and filters are normal with variance ``2 / fan_in``, batch-norm starts at the identity.
    """
    rng = np.random.default_rng(0)
    state: dict[str, np.ndarray] = {}
    for name, shape in parameter_shapes(spec.depth, bool(spec.bits)).items():
        if len(shape) > 1:
            state[name] = rng.normal(size=shape) * math.sqrt(2.0 / math.prod(shape[1:]))
        elif name == "alphas":
            state[name] = np.full(shape, spec.alpha)
        else:
            state[name] = np.full(shape, float("bn" in name and name.endswith("weight")))
        if "bn" in name and name.endswith("weight"):
            state[name.replace("weight", "running_mean")] = np.zeros(shape)
            state[name.replace("weight", "running_var")] = np.ones(shape)
    return {name: value.astype(np.float32) for name, value in state.items()}


def batches() -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 images ``[steps * batch, 32, 32, 3]`` and labels; step k takes the k-th batch as it is."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (STEPS * BATCH, 32, 32, 3), dtype=np.uint8)
    return images, rng.integers(0, 10, STEPS * BATCH)


def losses_of(spec: Spec, dtype: torch.dtype = torch.float32) -> list[float]:
    """Return the loss of every step, before the step; no crop, no flip, FPGM's choice made at the start."""
    images, labels = batches()
    arrays = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
    run = Run(spec, Cifar10(arrays, torch.device("cpu"), dtype), epochs=1, batch=BATCH)
    run.parameters.load({name: torch.from_numpy(value) for name, value in weights(spec).items()})
    if spec.pruned:
        run.mask.fill_(1.0)
        run.prune()
    run.order.copy_(torch.arange(STEPS * BATCH).view(STEPS, BATCH))
    run.shift.fill_(4)
    run.rate.fill_(RATE)
    losses = []
    for _ in range(STEPS):
        before = float(run.loss_sum)
        run.step()
        losses.append(float(run.loss_sum) - before)
    return losses


def record() -> dict[str, dict[str, list[float]]]:
    """Return method -> precision -> losses."""
    types = {"float32": torch.float32, "float64": torch.float64}
    return {method: {name: losses_of(spec, dtype) for name, dtype in types.items()} for method, spec in SPECS.items()}


def main() -> None:
    torch.set_num_threads(1)
    recipe = {"depth": DEPTH, "steps": STEPS, "batch": BATCH, "learning_rate": RATE}
    recipe.update({"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4, "fpgm_ratio": 0.3, "pact_bits": 4})
    print(json.dumps({"recipe": recipe, "losses": record()}, indent=1))


if __name__ == "__main__":
    main()
