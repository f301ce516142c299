"""The plan: which channels are kept, as data that a person can read and that rebuilds the pruned model.

A plan is made once. It is saved beside the weights, and every later step applies it to a newly built dense model
instead of pruning again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from pydantic import ValidationError

from ..common.errors import SlimError
from ..common.validation import first_mistake
from ..compat.layers import conv_groups
from ..compat.paddle import paddle
from ..graph.model import shapes_of
from .apply import apply_slices
from .dependency.code import Code
from .latency_record import Latency
from .plan_json import FORMAT, GroupPart, PlanPart
from .ranges import from_ranges, to_ranges
from .slices import ParamSlice, SlicePlan
from .step import Step


@dataclass(frozen=True)
class Decision:
    """What is decided for one group of channels.

    Attributes:
        root_weight: the weight whose filters were scored.
        layers: names of the layers whose filters are removed, that of the root weight first.
        prunable_channels: how many prunable channels the group has.
        kept: the channels that are kept, ascending.
        ratio: the share asked for; the share removed is ``1 - len(kept) / prunable_channels``.
        note: why the two differ, or nothing is removed; else empty.
        flops: FLOPs of these layers in the dense and in the pruned model, which has fewer inputs, too; None in plans
            of older versions.
    """

    root_weight: str
    layers: tuple[str, ...]
    prunable_channels: int
    kept: tuple[int, ...]
    ratio: float
    note: str = ""
    flops: Optional[tuple[int, int]] = None


@dataclass(frozen=True)
class Plan:
    """The decisions for all groups, and what they mean for every parameter.

    Attributes:
        criterion: name of the criterion, ``fpgm``.
        settings: the ``Slim.prune`` section as it was validated.
        align: the numbers of channels kept are multiples of this.
        align_reason: why it is this number.
        input_shape: ``[C, H, W]`` that the model was analysed with and FLOPs were counted for.
        flops: FLOPs of one input (multiply-accumulates, see :mod:`.flops`) of the ``dense`` and the ``pruned`` model;
            ``unreached`` are those of linear layers (attention, MLPs) that pruning does not change.
        parameters: number of parameters of the ``dense`` and the ``pruned`` model.
        decisions: one for each group, in the order of the model.
        frozen: layer -> why its filters cannot be removed.
        slices: what the decisions mean for every parameter and layer.
        latency: what was asked for and measured; None where the budget is another.
        step: of a training with ``Slim.prune.steps``, after which this is left of the dense model; else None.
    """

    criterion: str
    settings: dict[str, Any]
    align: int
    align_reason: str
    input_shape: tuple[int, ...]
    flops: dict[str, int]
    parameters: dict[str, int]
    decisions: tuple[Decision, ...]
    frozen: dict[str, str]
    slices: SlicePlan
    latency: Optional[Latency] = None
    step: Optional[Step] = None

    @property
    def pruned_flops(self) -> float:
        """The share of the FLOPs that is removed."""
        return 1.0 - self.flops["pruned"] / self.flops["dense"]

    def to_json(self) -> dict[str, Any]:
        """Return plain data. Kept positions are written as ranges, ``0-3,7``; equal ones once, under ``sets``."""
        sets: dict[str, str] = {}
        return {
            "format": FORMAT,
            "criterion": self.criterion,
            "settings": self.settings,
            "align": self.align,
            "align_because": self.align_reason,
            "input_shape": list(self.input_shape),
            "flops": self.flops,
            "parameters": self.parameters,
            "groups": [_decision_to_json(d) for d in self.decisions],
            "frozen": self.frozen,
            "cuts": {name: _slice_to_json(piece, sets) for name, piece in self.slices.params.items()},
            "conv_groups": self.slices.conv_groups,
            "sizes": self.slices.sizes,
            "sets": {name: ranges for ranges, name in sets.items()},
            **({"latency": self.latency.to_json()} if self.latency is not None else {}),
            **({"step": [self.step.number, self.step.of]} if self.step is not None else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Read what :meth:`to_json` wrote.

        Raises:
            SlimError: the format is of another version, or a part is missing or malformed.
        """
        if isinstance(data, Mapping) and data.get("format") != FORMAT:
            raise SlimError(
                f"the plan has format {str(data.get('format'))[:20]!r}, this version reads {FORMAT}: "
                "use the version of ppcls_slim that wrote it"
            )
        try:
            part = PlanPart.model_validate(data)
            return cls(
                criterion=part.criterion,
                settings=part.settings,
                align=part.align,
                align_reason=part.align_because,
                input_shape=tuple(part.input_shape),
                flops=part.flops,
                parameters=part.parameters,
                decisions=tuple(map(_decision_from_json, part.groups)),
                frozen=part.frozen,
                slices=part.slices(),
                latency=part.latency.read() if part.latency is not None else None,
                step=Step(*part.step) if part.step is not None else None,
            )
        except ValidationError as error:
            reason = first_mistake(error, PlanPart)
        except (KeyError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
        raise SlimError(f"the plan is damaged ({reason[:200]}): restore the file")


def apply_plan(plan: Plan, model: paddle.nn.Layer) -> None:
    """Remove channels from a dense model in place, see :func:`.apply.apply_slices`.

    Raises:
        SlimError: the plan was made for another model; the model is not changed then.
    """
    check_fits(plan, model)
    apply_slices(model, plan.slices)


def check_fits(plan: Plan, model: paddle.nn.Layer) -> None:
    """Make sure that a plan was made for a model.

    Raises:
        SlimError: it was not; the first layer that differs is named.
    """
    shapes = shapes_of(model)
    for name, piece in plan.slices.params.items():
        if name not in shapes:
            raise SlimError(f"the plan does not fit the model: it prunes {name}, which the model does not have")
        if shapes[name] != piece.shape:
            raise SlimError(
                f"the plan does not fit the model: {name} is {list(shapes[name])} in the model and "
                f"{list(piece.shape)} in the plan. Is Arch the one that was pruned?"
            )
    _check_layers(plan.slices, model)


def _check_layers(slices: SlicePlan, model: paddle.nn.Layer) -> None:
    layers, attributes = dict(model.named_sublayers(include_self=True)), Code.of(model).attributes
    for name in slices.conv_groups:
        if conv_groups(layers.get(name)) == 1:
            raise SlimError(f"the plan does not fit the model: {name} is not a convolution with groups in it")
    for place in slices.sizes:
        name, _, attribute = place.rpartition(".")
        if attribute not in attributes.get(name, {}):
            raise SlimError(f"the plan does not fit the model: {place} is not a number in it")


def _decision_to_json(decision: Decision) -> dict[str, Any]:
    """Keys as format 1 has them: ``master`` is the root weight, ``units`` counts its prunable channels."""
    return {
        "master": decision.root_weight,
        "layers": list(decision.layers),
        "units": decision.prunable_channels,
        "kept": len(decision.kept),
        "ratio": decision.ratio,
        "note": decision.note,
        "keep": to_ranges(decision.kept),
        **({"flops": list(decision.flops)} if decision.flops is not None else {}),
    }


def _decision_from_json(group: GroupPart) -> Decision:
    kept = from_ranges(group.keep, group.units)
    flops = (group.flops[0], group.flops[1]) if group.flops is not None else None
    return Decision(group.master, tuple(group.layers), group.units, kept, group.ratio, group.note, flops)


def _slice_to_json(piece: ParamSlice, sets: dict[str, str]) -> dict[str, Any]:
    """Write one of the ``cuts`` of format 1; ``sets`` collects ranges -> name."""

    def name(numbers: tuple[int, ...]) -> str:
        return sets.setdefault(to_ranges(numbers), f"s{len(sets)}")

    data: dict[str, Any] = {
        "shape": list(piece.shape),
        "keep": {str(axis): name(kept) for axis, kept in piece.keep.items()},
    }
    if piece.picks is not None:
        data["picks"] = name(piece.picks)
    return data
