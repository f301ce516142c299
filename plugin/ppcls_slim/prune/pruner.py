"""Prune a model by its plan."""

from __future__ import annotations

from ..common.errors import SlimError
from ..compat.paddle import paddle
from .apply import apply_slices
from .flops import run_once
from .plan import Plan, apply_plan
from .slices import further_slices


def prune(model: paddle.nn.Layer, plan: Plan) -> None:
    """Remove the channels that a plan does not keep, in place, and make sure that the model still runs.

    Raises:
        SlimError: the plan does not fit the model, or the pruned model does not run because the analysis was wrong.
    """
    apply_plan(plan, model)
    _check_runs(model, plan)


def prune_further(model: paddle.nn.Layer, before: Plan, plan: Plan) -> None:
    """Prune a model that was pruned by an earlier plan as if it had been pruned by a later one at once, in place.

    Args:
        model: pruned by ``before``.
        before: from the dense model.
        plan: from the dense model, too; keeps nothing that ``before`` does not keep.

    Raises:
        SlimError: the model does not run afterwards.
    """
    apply_slices(model, further_slices(before.slices, plan.slices))
    _check_runs(model, plan)


def _check_runs(model: paddle.nn.Layer, plan: Plan) -> None:
    try:
        run_once(model, plan.input_shape, plan.settings.get("input_dtype", "float32"))
    except Exception as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise SlimError(
            f"the pruned {type(model).__name__} does not run: {type(error).__name__}: {reason}; "
            "please report it, and keep the layers involved with Slim.prune.skip"
        ) from error
