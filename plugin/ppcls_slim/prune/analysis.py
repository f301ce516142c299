"""What is known about the dense model before anything is decided: its groups, its layers and their FLOPs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..config.prune import PruneConfig
from ..graph.model import layer_of, shapes_of
from ..graph.program import Program
from .dependency import analyse
from .dependency.find_groups import NOT_RECORDED
from .dependency.groups import Group, Grouping
from .dependency.modes import Mode, record_modes
from .flops import Cost, measure

MIN_REACHED = 0.05
"""Share of the FLOPs that has to be in layers that pruning changes; attention and MLPs are not pruned."""
QUANTIZE_INSTEAD = "quantize this model instead (Slim.quant: {name: pact})"


@dataclass(frozen=True)
class Analysis:
    """What is known about a dense model.

    Attributes:
        grouping: which channels are removed together.
        convolutions: names of the convolutions, in the order of the model; those of linear layers that work as
            pointwise convolutions follow.
        cost: FLOPs and parameters.
        shapes: parameter or buffer -> shape.
        input_shape: ``[C, H, W]``.
        programs: the forward pass in each mode.
    """

    grouping: Grouping
    convolutions: tuple[str, ...]
    cost: Cost
    shapes: dict[str, tuple[int, ...]]
    input_shape: tuple[int, ...]
    programs: Mapping[Mode, Program]

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups of channels, in the order of the model."""
        return self.grouping.groups

    def unreached_flops(self) -> int:
        """FLOPs of linear layers that lose neither inputs nor outputs: attention and MLPs."""
        linear = {name for name in self.cost.shapes if layer_of(name) not in self.convolutions}
        return self.cost.flops_of(linear - _reached(self.grouping))


def analyse_model(model: paddle.nn.Layer, config: PruneConfig, input_shape: Sequence[int]) -> Analysis:
    """Find the groups of channels of a dense model, and count its FLOPs.

    Args:
        model: dense.
        config: the ``Slim.prune`` section; its ``input_shape`` overrides the argument.
        input_shape: ``[C, H, W]``.

    Raises:
        SlimError: the model has no convolution, or hardly any that can be pruned.
    """
    convolutions = tuple(n for n, layer in model.named_sublayers() if isinstance(layer, paddle.nn.Conv2D))
    if not convolutions:
        raise SlimError(f"Slim.prune: {type(model).__name__} has no convolution to prune; {QUANTIZE_INSTEAD}")
    shape = tuple(config.input_shape or input_shape)
    recorded = record_modes(model, shape, config.input_dtype)
    grouping = analyse(model, shape, config.input_dtype, config.skip_leaves, recorded)
    if not grouping.groups:
        raise SlimError(
            f"Slim.prune: no convolution of {type(model).__name__} can be pruned: {_why(grouping, shape)}"
        )
    # Pointwise layers of some backbones are linear layers on [n, h, w, c]; they can be named like convolutions.
    root_layers = (layer_of(name) for group in grouping.groups for name in group.root_weights)
    convolutions = tuple(dict.fromkeys([*convolutions, *root_layers]))
    try:
        cost = measure(model, shape, config.input_dtype)
    except Exception as error:  # whatever a layer raises on an input that it was not made for
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise SlimError(f"{_does_not_run(model, shape)} ({reason})") from error
    share = cost.flops_of(_reached(grouping)) / cost.flops()
    if share < MIN_REACHED:
        raise SlimError(
            f"Slim.prune: convolutions that can be pruned have {100 * share:.1f} % of the FLOPs of "
            f"{type(model).__name__}; {QUANTIZE_INSTEAD}"
        )
    return Analysis(grouping, convolutions, cost, shapes_of(model), shape, recorded[0])


def _does_not_run(model: paddle.nn.Layer, shape: Sequence[int]) -> str:
    return (
        f"{type(model).__name__} does not run on an image of {list(shape)}: look at Arch, and at Global.image_shape "
        "or Slim.prune.input_shape"
    )


def _why(grouping: Grouping, shape: Sequence[int]) -> str:
    """Why there are no groups, and what helps."""
    reasons = sorted(set(grouping.frozen.values()))
    for reason in reasons:
        if reason.startswith(NOT_RECORDED):
            return (
                f"{reason}. It has to run on an image of {list(shape)} alone, without labels: look at Arch, and at "
                "Global.image_shape or Slim.prune.input_shape"
            )
    return f"{'; '.join(reasons[:3])}; {QUANTIZE_INSTEAD}"


def _reached(grouping: Grouping) -> set[str]:
    """Return the parameters that shrink with some group."""
    return {member.param for group in grouping.groups for member in group.members}


def layers_of(group: Group, convolutions: Sequence[str]) -> list[str]:
    """Return the convolutions whose filters belong to a group, the root layer first."""
    own = [layer_of(m.param) for m in group.members if m.produces and layer_of(m.param) in convolutions]
    return sorted(dict.fromkeys(own), key=lambda layer: layer != group.root_layer)
