"""How ``Slim.prune.steps`` divides ``Global.epochs``, and whether the learning rate goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.errors import SlimError
from .section import Configuration, SlimConfig

IN_EPOCHS = ("decay_epochs", "milestones", "warmup_epoch")
"""Keys of ``Optimizer.lr`` that count epochs."""


def epochs_of_steps(config: Configuration, slim: SlimConfig) -> list[int]:
    """Return the number of epochs of every step: equal parts of ``Global.epochs``, the last with the remainder.

    Args:
        config: PaddleClas configuration.
        slim: its section.

    Raises:
        SlimError: there are fewer epochs than steps, or the learning rate changes after an epoch that no step has.
    """
    epochs, steps = int(config.get("Global")["epochs"]), slim.prune.steps if slim.prune is not None else 1
    if steps == 1:
        return [epochs]
    if epochs < steps:
        raise SlimError(
            f"Slim.prune.steps: {steps} steps are trained for an epoch or more each, and Global.epochs is {epochs}: "
            f"set -o Global.epochs={steps} or more, or fewer steps"
        )
    each = epochs // steps
    _check_learning_rate(config.get("Optimizer"), each, f"Global.epochs {epochs} in {steps} steps")
    return [each] * (steps - 1) + [epochs - each * (steps - 1)]


def _check_learning_rate(optimizer: Any, epochs: int, why: str) -> None:
    """Refuse changes of the learning rate that would never come: every step goes through all of ``Optimizer.lr``."""
    rate = optimizer.get("lr") if isinstance(optimizer, Mapping) else None
    if not isinstance(rate, Mapping):
        return
    for key in IN_EPOCHS:
        value = rate.get(key)
        found = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, (int, float))]
        if found and max(found) >= epochs:
            raise SlimError(
                f"Optimizer.lr.{key} {value} counts the epochs of one step, and a step has {epochs} ({why}): give "
                f"numbers below {epochs}, raise Global.epochs, or set fewer steps"
            )
