"""``ppcls_slim.plan``: which channels go."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from ..common.atomic import write_json
from ..common.errors import SlimError, file_error
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger
from ..config.prune import PruneConfig
from ..deploy.latency.meter import EngineMeter
from ..deploy.latency.network_meter import network_meter
from ..prune import plan as plans
from ..prune.analysis import Analysis
from ..prune.apply import apply_slices
from ..prune.importance import TrainingData
from ..prune.planning import make_plan
from ..prune.ratios import Sensitivity
from ..prune.sensitivity import sensitivities
from ..prune.slices import SlicePlan
from ..report.tables import plan_table, summary
from ..verify.accuracy import logits_of
from .batches import Data, Example, batches_of, check_network, device, feed, shape_of
from .compression import check_dense, copy_of, exported
from .section import prune_section

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .keys import PruneKeys

Loss = Callable[[Any, paddle.Tensor], paddle.Tensor]
"""From what the network returns and labels to a scalar."""


@dataclass(frozen=True, repr=False)
class Plan(plans.Plan):
    """Which channels of a network are kept. Printed, it is a table with one line for each group of channels.

    Attributes:
        flops: multiply-accumulates of one input, ``{"dense": ..., "pruned": ...}``.
        parameters: number of parameters, ``{"dense": ..., "pruned": ...}``.
        decisions: one for each group of channels, in the order of the network.
        frozen: layer -> why its filters cannot be removed.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.vision.models.LeNet()
        >>> plan = ppcls_slim.plan(net, [1, 28, 28], pruned_ratio=0.5)
        >>> plan
        <Plan ...>
        >>> plan.save("plan.json")
        >>> ppcls_slim.Plan.load("plan.json") == plan
        True
    """

    def __str__(self) -> str:
        """The table."""
        return plan_table(self)

    def __repr__(self) -> str:
        """The totals."""
        return f"<Plan {summary(self).partition(', at ')[0]}>"

    def save(self, path: Union[str, Path]) -> None:
        """Write it as JSON.

        Raises:
            SlimError: the file cannot be written.
        """
        try:
            write_json(Path(path), self.to_json())
        except OSError as error:
            raise SlimError(file_error(error)) from None

    @classmethod
    def load(cls, path: Union[str, Path]) -> Plan:
        """Read what :meth:`save` wrote, or the plan of a ``.slim.json`` beside a checkpoint.

        Raises:
            SlimError: there is no such file, or no plan in it.
        """
        try:
            content = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise SlimError(f"{path} cannot be read: {file_error(error)}") from None
        except (ValueError, RecursionError):
            raise SlimError(f"{path} is not JSON: give a file of Plan.save, or a .slim.json") from None
        if isinstance(content, Mapping) and "written_by" in content:
            content = content.get("prune")
        if not isinstance(content, Mapping):
            raise SlimError(f"{path} holds no plan: give a file of Plan.save, or the .slim.json of a pruned model")
        try:
            return cls.from_json(content)
        except SlimError as error:
            raise SlimError(f"{path}: {error}") from None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Read what :meth:`to_json` returned.

        Raises:
            SlimError: it was edited, or written by another version.
        """
        return cls.of(plans.Plan.from_json(data))

    @classmethod
    def of(cls, plan: plans.Plan) -> Plan:
        """A plan of the rooms, with a table."""
        return cls(**vars(plan))


def plan(
    model: paddle.nn.Layer,
    example: Example,
    settings: Optional[Mapping[str, Any]] = None,
    *,
    data: Optional[Data] = None,
    loss: Optional[Loss] = None,
    evaluate: Optional[Callable[[paddle.nn.Layer], float]] = None,
    **keys: Unpack[PruneKeys],
) -> Plan:
    """Decide which channels of a network are pruned; the network is not changed.

    Args:
        model: dense, with its trained weights.
        example: shape ``[C, H, W]`` of an input, or images ``[n, C, H, W]``.
        settings: keys of ``Slim.prune`` as a mapping, as in a YAML file.
        data: training batches ``(images, labels)``, for the criteria taylor and hessian.
        loss: of the network's output and labels, for them; cross-entropy of the (first) output if absent.
        evaluate: top-1 of a network, a share, for ``sensitivity_file``.
        **keys: keys of ``Slim.prune`` (docs/configuration.md): how much (``pruned_ratio``, ``ratios``,
            ``pruned_flops``, ``pruned_parameters``, ``speedup``, ``latency_ms``), which (``name``, ``skip``,
            ``ranking``, ``importance``), and more.

    Raises:
        SlimError: a key is unknown or out of range, or nothing can be pruned as asked.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.vision.models.LeNet()
        >>> plan = ppcls_slim.plan(net, [1, 28, 28], name="l1_norm", pruned_flops=0.3)
        >>> print(plan)
        +------------+----------+---------+------------------------+------+...
        | layer      | channels | removed |                  FLOPs | with | note ...
    """
    check_network(model, "plan")
    check_dense(model, "plan")
    section = prune_section(settings, keys)
    shape = tuple(section.input_shape or shape_of(example, "plan"))
    made = make_plan(
        model,
        section,
        shape,
        device(),
        partial(_sensitivities, model, section, evaluate),
        _training_data(data, loss),
        partial(_meter, model, section, shape),
    )
    return Plan.of(made)


def _training_data(data: Optional[Data], loss: Optional[Loss]) -> Optional[TrainingData]:
    batches = batches_of(data, "plan")
    if batches is None:
        return None
    if not batches.labelled:
        raise SlimError("plan: data gives images without labels, which a loss needs: give (images, labels)")
    measure = loss or _cross_entropy
    return TrainingData(batches, lambda model, batch: measure(feed(model, batch), batch[1]))


def _cross_entropy(output: Any, labels: paddle.Tensor) -> paddle.Tensor:
    return paddle.nn.functional.cross_entropy(logits_of(output), labels.flatten())


def _sensitivities(
    model: paddle.nn.Layer,
    section: PruneConfig,
    evaluate: Optional[Callable[[paddle.nn.Layer], float]],
    analysis: Analysis,
) -> Sensitivity:
    def measure() -> float:
        if evaluate is None:
            raise SlimError("Slim.prune.sensitivity_file lacks layers: give evaluate=, which measures top-1")
        return float(evaluate(model))

    return sensitivities(Path(str(section.sensitivity_file)), model, analysis, section.name, measure, logger.info)


def _meter(model: paddle.nn.Layer, section: PruneConfig, shape: tuple[int, ...]) -> EngineMeter:
    def build(slices: Optional[SlicePlan]) -> paddle.nn.Layer:
        twin = copy_of(model)
        if slices is not None:
            apply_slices(twin, slices)
        return exported(twin)

    return network_meter(section, shape, build, logger.info)
