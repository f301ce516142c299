"""How much is to be saved in all: ``Slim.prune.pruned_flops`` or ``pruned_parameters``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..config.prune import PruneConfig
from .analysis import Analysis
from .width_cost import WidthCost, flops_cost, parameter_cost

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Budget:
    """A share of the dense model's cost that is to be removed.

    Attributes:
        key: of the configuration, for messages.
        share: between 0 and 1.
        unit: ``FLOPs`` or ``parameters``.
        dense: what the dense model costs.
        of_shapes: cost of the model where some parameters have other shapes.
        of_widths: the same, as a function of the number of channels kept in each group.
    """

    key: str
    share: float
    unit: str
    dense: float
    of_shapes: Callable[[Shapes], float]
    of_widths: WidthCost

    @property
    def cost(self) -> float:
        """What the pruned model may cost."""
        return (1.0 - self.share) * self.dense

    def share_removed(self, shapes: Shapes) -> float:
        """Return the share of the cost that is gone where some parameters have other shapes."""
        return 1.0 - self.of_shapes(shapes) / self.dense

    def out_of_reach(self, share: float) -> SlimError:
        """Return the error for a budget that cannot be met; ``share`` is the most that can be removed."""
        return SlimError(
            f"Slim.prune.{self.key} {self.share:g} cannot be reached: pruning all that can be pruned removes "
            f"{share:.3f} of the {self.unit}; lower it, shorten skip, or lower keep_at_least"
        )


def budget_of(config: PruneConfig, analysis: Analysis, model: paddle.nn.Layer, part: float = 1.0) -> Optional[Budget]:
    """Return the budget of a configuration that has one which is not measured.

    Args:
        config: the ``Slim.prune`` section.
        analysis: of the dense model.
        model: dense.
        part: of the budget, see :class:`.step.Step`.
    """
    if config.pruned_flops is not None:
        cost, share = analysis.cost, part * config.pruned_flops
        return Budget("pruned_flops", share, "FLOPs", cost.flops(), cost.flops, flops_cost(analysis))
    if config.pruned_parameters is None:
        return None
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}

    def parameters(other: Shapes) -> float:
        return float(sum(np.prod(other.get(name, shape)) for name, shape in shapes.items()))

    dense = parameters({})
    widths = parameter_cost(analysis, shapes)
    return Budget("pruned_parameters", part * config.pruned_parameters, "parameters", dense, parameters, widths)
