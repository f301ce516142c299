"""The plan: which channels are kept. Data that a person can read, and that rebuilds the pruned model.

A plan is decided once. It goes with the weights into the checkpoint, and every later step applies it
to a freshly built dense model instead of pruning again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.errors import SlimError
from ..compat.paddle import paddle
from .apply import ParamSlice, SlicePlan, apply_slices, shapes_of

FORMAT = 1


@dataclass(frozen=True)
class Decision:
    """What is decided for one group of channels.

    Attributes:
        root_weight: weight whose filters were scored.
        layers: names of the layers whose filters go, the root_weight's first.
        prunable_channels: removable channels the group has.
        kept: those that stay, ascending.
        ratio: share asked for; the share removed is ``1 - len(kept) / channels``.
        note: why the two differ or nothing is removed, or empty.
    """

    root_weight: str
    layers: tuple[str, ...]
    prunable_channels: int
    kept: tuple[int, ...]
    ratio: float
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """All decisions, and what they mean for every parameter.

    Attributes:
        criterion: name of the criterion, ``fpgm``.
        settings: the ``Slim.prune`` section as it was validated.
        align: multiple that kept channels were rounded to.
        align_reason: where that number came from.
        input_shape: ``[C, H, W]`` of the analysis and of the FLOPs.
        flops: FLOPs (multiply-accumulates) of one input, keys ``dense`` and ``pruned``; ``unreached`` are those of
            linear layers (attention, MLPs) of which no channel can go, dense and pruned.
        parameters: number of parameters, same keys.
        decisions: one per group, in the order of the model.
        frozen: layer -> why its filters are in no group.
        slices: what this means for every parameter and layer.
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

    @property
    def pruned_flops(self) -> float:
        """Share of the FLOPs removed."""
        return 1.0 - self.flops["pruned"] / self.flops["dense"]

    def to_json(self) -> dict[str, Any]:
        """Return plain data. Kept positions are written as ranges, ``0-3,7``; equal ones once."""
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
            "cuts": {
                name: {
                    "shape": list(cut.shape),
                    "keep": {str(axis): _named(sets, to_ranges(kept)) for axis, kept in cut.keep.items()},
                    **({} if cut.picks is None else {"picks": _named(sets, to_ranges(cut.picks))}),
                }
                for name, cut in self.slices.params.items()
            },
            "conv_groups": self.slices.conv_groups,
            "sizes": self.slices.sizes,
            "sets": {name: ranges for ranges, name in sets.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Read what :meth:`to_json` wrote.

        Raises:
            SlimError: the format is of another version, or a part is missing or malformed.
        """
        if data.get("format") != FORMAT:
            raise SlimError(
                f"the plan has format {data.get('format')!r}, this version reads {FORMAT}: "
                "use the version of ppcls_slim that wrote it"
            )
        try:
            return cls(
                criterion=data["criterion"],
                settings=dict(data["settings"]),
                align=data["align"],
                align_reason=data["align_because"],
                input_shape=tuple(data["input_shape"]),
                flops=dict(data["flops"]),
                parameters=dict(data["parameters"]),
                decisions=tuple(_decision(group) for group in data["groups"]),
                frozen=dict(data["frozen"]),
                slices=SlicePlan(
                    {name: _cut(cut, data["sets"]) for name, cut in data["cuts"].items()},
                    dict(data["conv_groups"]),
                    dict(data["sizes"]),
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SlimError(f"the plan is damaged ({type(error).__name__}: {error}): restore the file") from None


def apply_plan(plan: Plan, model: paddle.nn.Layer) -> None:
    """ParamSlice a dense model in place. Parameters keep their names and identity; their shapes shrink.

    Raises:
        SlimError: the plan was made for another model; the model is then untouched.
    """
    shapes = shapes_of(model)
    for name, cut in plan.slices.params.items():
        if name not in shapes:
            raise SlimError(f"the plan does not fit the model: it cuts {name}, which the model does not have")
        if shapes[name] != cut.shape:
            raise SlimError(
                f"the plan does not fit the model: {name} is {list(shapes[name])} in the model and "
                f"{list(cut.shape)} in the plan. Is Arch the one that was pruned?"
            )
    apply_slices(model, plan.slices)


def to_ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers as ``0-3,7``."""
    parts: list[str] = []
    start = previous = None
    for number in [*numbers, None]:
        if start is not None and (number is None or number != previous + 1):
            parts.append(f"{start}" if start == previous else f"{start}-{previous}")
            start = None
        if start is None:
            start = number
        previous = number
    return ",".join(parts)


def from_ranges(text: str) -> tuple[int, ...]:
    """Read what :func:`to_ranges` wrote."""
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return tuple(numbers)


def _named(sets: dict[str, str], ranges: str) -> str:
    return sets.setdefault(ranges, f"s{len(sets)}")


def _decision_to_json(decision: Decision) -> dict[str, Any]:
    """Keys as format 1 has them: ``master`` and ``units`` are the root weight and its prunable channels."""
    return {
        "master": decision.root_weight,
        "layers": list(decision.layers),
        "units": decision.prunable_channels,
        "kept": len(decision.kept),
        "ratio": decision.ratio,
        "note": decision.note,
        "keep": to_ranges(decision.kept),
    }


def _decision(group: Mapping[str, Any]) -> Decision:
    return Decision(
        root_weight=group["master"],
        layers=tuple(group["layers"]),
        prunable_channels=group["units"],
        kept=from_ranges(group["keep"]),
        ratio=group["ratio"],
        note=group["note"],
    )


def _cut(cut: Mapping[str, Any], sets: Mapping[str, str]) -> ParamSlice:
    keep = {int(axis): from_ranges(sets[name]) for axis, name in cut["keep"].items()}
    return ParamSlice(tuple(cut["shape"]), keep, from_ranges(sets[cut["picks"]]) if "picks" in cut else None)
