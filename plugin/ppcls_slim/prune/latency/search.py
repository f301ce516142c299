"""The plan that is as fast as was asked for: search, export, measure, correct, and search again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Optional

import numpy as np

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...config.prune import PruneConfig
from ...graph.model import layer_of
from ..analysis import Analysis
from ..budget import Budget, Shapes
from ..choose import lowest_scores
from ..latency_record import Latency
from ..plan import Plan
from ..ratios import GroupRatio, skipped_groups
from .correction import Fit, Tried, next_budget
from .layer_times import LayerTimes, layer_times
from .meter import LatencyMeter

ROUNDS, COARSE_ROUNDS = 6, 3
"""Rounds in all, and those in whole blocks of the engine; then blocks are halved, so that small networks meet it."""
CLOSE = (0.96, 1.02)
"""Measured / asked for, at which the search ends."""
MET = 1.05
"""After the last round, a plan up to this is taken."""
AIM = 0.99
HALF, MULTIPLE = 0.5, 8
"""Ratio of the first network that is measured beside the dense one, and what its widths are multiples of."""

Kept = Sequence[np.ndarray]


Selected = tuple[list[np.ndarray], list[GroupRatio]]
"""For each group bool ``[prunable channels]``, True for channels that are kept; and its ratio."""


@dataclass(frozen=True)
class Planner:
    """Makes plans under budgets.

    Attributes:
        select: chooses channels under a budget whose numbers are multiples of a number.
        plan_of: makes the plan of what was selected, with that number and why it is this one.
    """

    select: Callable[[Optional[Budget], int], Selected]
    plan_of: Callable[[Selected, int, str], Plan]


class OutOfTimeError(SlimError):
    """All that can be pruned does not meet a budget of time.

    Attributes:
        share: the most that can be saved.
    """

    def __init__(self, share: float):
        super().__init__(f"the budget cannot be met: {share:.3f} is the most")
        self.share = share


class TimeBudget(Budget):
    """A budget of milliseconds."""

    def out_of_reach(self, share: float) -> SlimError:
        """Return the error, which the search turns into a measured answer."""
        return OutOfTimeError(share)


def plan_in_time(
    analysis: Analysis,
    model: paddle.nn.Layer,
    config: PruneConfig,
    meter: LatencyMeter,
    planner: Planner,
    part: float = 1.0,
) -> Plan:
    """Return a plan that meets ``speedup`` or ``latency_ms`` as measured.

    Args:
        analysis: of the dense model.
        model: dense.
        config: the ``Slim.prune`` section.
        meter: measures layers and networks.
        planner: makes plans.
        part: of the milliseconds that shall be saved, see :class:`..step.Step`.

    Raises:
        SlimError: it cannot be met; says how far it goes, and what limits it.
    """
    return _Search(analysis, model, config, meter, planner, part).run()


class _Search:
    """State of a search."""

    def __init__(
        self,
        analysis: Analysis,
        model: paddle.nn.Layer,
        config: PruneConfig,
        meter: LatencyMeter,
        planner: Planner,
        part: float,
    ):
        self._analysis, self._config, self._meter = analysis, config, meter
        self._times: LayerTimes = layer_times(analysis, model, config.input_dtype, meter)
        self._planner, self._block = planner, self._times.block
        self._dense, self._fit = self._calibrated()
        self._cost = self._times.cost(self._fit.scale, self._fit.constant)
        self._target = self._dense - part * (self._dense - self._target_of(config))

    def run(self) -> Plan:
        """Search, measure and correct until the target is met."""
        tried: list[Tried] = []
        budget = AIM * self._target
        for number in range(1, ROUNDS + 1):
            found, everything = self._search(budget)
            tried.append(found)
            self._meter.say(
                f"round {number}: predicted {found.predicted:.3g} ms, measured {found.measured:.3g} ms, "
                f"asked for {self._target:.3g} ms"
            )
            ratio = found.measured / self._target
            if CLOSE[0] <= ratio <= CLOSE[1]:
                return self._told(found, tried)
            short = everything and ratio > MET
            if short and (self._block == 1 or self._config.align != "auto"):
                break
            if short or number >= COARSE_ROUNDS:
                self._block = max(1, self._block // 2)
            budget = next_budget(AIM * self._target, tried)
        best = min(tried, key=lambda one: abs(one.measured / self._target - 1.0))
        if best.measured > MET * self._target:
            if short:
                raise self._out_of_reach(min(tried, key=lambda one: one.measured))
            raise SlimError(
                f"Slim.prune.{self._config.budget} is not met in {ROUNDS} rounds: {best.measured:.3g} ms measured, "
                f"{self._target:.3g} ms asked for on {self._meter.place}; is the machine busy? Try again"
            )
        if best.measured < CLOSE[0] * self._target:
            self._meter.say(f"no plan was found that is closer to {self._target:.3g} ms")
        return self._told(best, tried)

    def _align(self) -> tuple[int, str]:
        """What numbers of channels are multiples of now, and why."""
        if self._config.align != "auto":
            return int(self._config.align), "Slim.prune.align"
        return self._block, f"blocks of {self._meter.place.engine}, measured; of narrow layers smaller ones"

    def _calibrated(self) -> tuple[float, Fit]:
        """Measure the dense network and one with half of its channels."""
        groups = self._analysis.groups
        ratios = [GroupRatio(0.0 if note else HALF) for note in skipped_groups(self._config, self._analysis)]
        scores = [np.arange(group.prunable_channels, dtype=np.float64) for group in groups]
        kept, _ = lowest_scores(groups, scores, ratios, MULTIPLE)
        plan = self._planner.plan_of((kept, ratios), MULTIPLE, "half of every layer")
        dense, half = self._meter.network(plan.slices)
        layers = self._times.cost(1.0, 0.0)
        everything = [group.prunable_channels for group in groups]
        fit = Fit.through((layers.total(everything), dense), (layers.total(_counts(kept)), half))
        self._meter.say(
            f"{self._meter.place}: dense {dense:.3g} ms, with half of the channels {half:.3g} ms; layers alone "
            f"{layers.total(everything):.3g} and {layers.total(_counts(kept)):.3g} ms"
        )
        return dense, fit

    def _target_of(self, config: PruneConfig) -> float:
        if config.speedup is not None:
            return self._dense / config.speedup
        assert config.latency_ms is not None
        if config.latency_ms >= self._dense:
            raise SlimError(
                f"Slim.prune.latency_ms {config.latency_ms:g}: the dense model takes {self._dense:.3g} ms on "
                f"{self._meter.place} already; remove Slim.prune, or lower it"
            )
        return config.latency_ms

    def _search(self, milliseconds: float) -> tuple[Tried, bool]:
        """Search once under a budget, and measure; whether all that can be pruned was."""
        everything = False
        align, reason = self._align()
        try:
            chosen = self._planner.select(self._budget(milliseconds), align)
        except OutOfTimeError as error:
            everything = True
            chosen = self._planner.select(self._budget((1.0 - error.share) * self._dense * (1 + 1e-6)), align)
        plan = self._planner.plan_of(chosen, align, reason)
        dense, pruned = self._meter.network(plan.slices)
        modelled = self._cost.total(_counts(chosen[0]))
        predicted = modelled * AIM * self._target / milliseconds
        return Tried(plan, modelled, predicted, float(pruned * self._dense / dense)), everything

    def _budget(self, milliseconds: float) -> TimeBudget:
        share = 1.0 - milliseconds / self._dense
        return TimeBudget(str(self._config.budget), share, "ms", self._dense, self._of_shapes, self._cost)

    def _of_shapes(self, shapes: Shapes) -> float:
        return self._fit.constant + sum(self._of_layers(shapes).values())

    def _of_layers(self, shapes: Shapes) -> dict[str, float]:
        """Milliseconds of the layer of each weight, as a part of the network."""
        times = self._times.of_each({**self._analysis.shapes, **shapes})
        return {weight: self._fit.scale * value for weight, value in times.items()}

    def _told(self, found: Tried, tried: Sequence[Tried]) -> Plan:
        place, pieces = self._meter.place, found.plan.slices.params
        dense = self._of_layers({})
        pruned = self._of_layers({name: piece.kept_shape() for name, piece in pieces.items()})
        latency = Latency(
            **asdict(place),
            target=self._target,
            dense=self._dense,
            predicted=found.predicted,
            measured=found.measured,
            rounds=tuple((one.predicted, one.measured) for one in tried),
            layers={layer_of(weight): (dense[weight], pruned[weight]) for weight in dense},
        )
        self._meter.say(str(latency))
        return replace(found.plan, latency=latency)

    def _out_of_reach(self, found: Tried) -> SlimError:
        config, gain = self._config, self._dense / found.measured
        asked = f"speedup {config.speedup:g}" if config.speedup is not None else f"latency_ms {config.latency_ms:g}"
        return SlimError(
            f"Slim.prune.{asked} cannot be reached on {self._meter.place}: all that can be pruned gives {gain:.2f} "
            f"times ({self._dense:.3g} to {found.measured:.3g} ms); {self._limits()}; ask for less, shorten skip, or "
            "lower keep_at_least"
        )

    def _limits(self) -> str:
        fixed = {
            layer_of(layer.weight): layer.dense * self._fit.scale for layer in self._times.layers if not layer.axes
        }
        named = sorted(fixed, key=lambda name: -fixed[name])[:3]
        parts = [f"{name} {100 * fixed[name] / self._dense:.0f} %" for name in named]
        parts.append(f"between layers {100 * self._fit.constant / self._dense:.0f} %")
        share = (sum(fixed.values()) + self._fit.constant) / self._dense
        return f"{100 * share:.0f} % of the time is in what is not pruned ({', '.join(parts)})"


def _counts(kept: Kept) -> list[int]:
    return [int(mask.sum()) for mask in kept]
