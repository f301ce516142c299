"""Schedules of the papers: filters are zeroed while the dense model trains, and removed when it is done.

*soft*: after every epoch filters are chosen and zeroed; until the next choice they may grow again (He et al., Soft
Filter Pruning, IJCAI 2018; FPGM, CVPR 2019, as its text says). *masked*: the first choice is made before training,
and gradients of the loss are masked where filters are zero until the next choice (FPGM, as its authors' program does
it: weight decay and the velocity that a filter had still move it until it is zeroed again).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...config.prune import PruneConfig
from ..analysis import Analysis, analyse_model
from ..budget import budget_of
from ..planning import resolve_align
from ..ratios import Sensitivity, channel_counts
from ..selecting import assign_ratios
from .base import Schedule
from .choose import Choice, ConvolutionChoice, GroupChoice
from .mask_state import CONVOLUTIONS
from .masked import MaskedSchedule
from .soft import SoftSchedule

__all__ = ["SCHEDULES", "Schedule", "make_schedule"]

SCHEDULES: dict[str, type[Schedule]] = {"soft": SoftSchedule, "masked": MaskedSchedule}


def make_schedule(
    model: paddle.nn.Layer,
    config: PruneConfig,
    input_shape: Sequence[int],
    device: str,
    sensitivity_of: Callable[[Analysis], Sensitivity],
) -> Schedule:
    """Analyse a dense model and assign ratios to its groups; nothing is zeroed yet.

    Args:
        model: dense.
        config: the ``Slim.prune`` section, with ``schedule``.
        input_shape: ``[C, H, W]``; the section's own ``input_shape`` overrides it.
        device: ``Global.device``, which sets the default of ``align``.
        sensitivity_of: returns the losses of accuracy, called if ``sensitivity_file`` is set.

    Raises:
        SlimError: see :func:`ppcls_slim.prune.planning.make_plan`; or nothing would be zeroed.
    """
    if config.schedule is None:
        raise ValueError("Slim.prune has no schedule")
    analysis = analyse_model(model, config, input_shape)
    align, _ = resolve_align(config, device)
    sensitivity = sensitivity_of(analysis) if config.sensitivity_file else None
    group_ratios = assign_ratios(config, analysis, budget_of(config, analysis, model), align, sensitivity)
    if not any(channel_counts(analysis.groups, group_ratios, align)):
        raise SlimError("Slim.prune.schedule would zero nothing: raise the ratio, lower align, or remove the section")
    choice: Choice = GroupChoice(config, analysis, group_ratios, align)
    if config.schedule.layers == CONVOLUTIONS:
        choice = ConvolutionChoice(config, analysis)
    return SCHEDULES[config.schedule.name](config, config.schedule, analysis, choice)
