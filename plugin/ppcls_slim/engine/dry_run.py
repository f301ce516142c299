"""``ppcls-slim plan``: what would be pruned, without training, and without data unless the criterion scores it."""

from __future__ import annotations

import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Optional

from ..checkpoint import Checkpoint
from ..common.atomic import write_text
from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..compat.paddleclas.console_log import init_logger
from ..compat.paddleclas.types import ClasConfig
from ..config.prune import PruneConfig
from ..config.section import SlimConfig, read_section
from ..prune import importance
from ..prune.analysis import Analysis
from ..prune.plan import Plan
from ..prune.planning import make_plan
from ..prune.ratios import Sensitivity
from ..prune.schedules.remove_masked import remove_masked
from ..prune.schedules.schedule import make_schedule
from ..prune.sensitivity import read as read_sensitivities
from ..prune.step import Step
from ..report.paper_flops import both_counts
from ..report.tables import plan_table
from . import loading
from .auto_resume import resolve
from .build import build_dense
from .latency import latency_meter
from .preflight import find_checkpoint
from .random_weights import random_weights_warnings
from .training_batches import build_training_data


def dry_run(config: ClasConfig, json_file: Optional[Path]) -> Optional[Plan]:
    """Print the plan that training would follow, and write it as JSON where asked.

    Args:
        config: PaddleClas configuration.
        json_file: where to write the plan; ``-`` prints it instead of the table.

    Returns:
        The plan; None of a model that is only quantized.

    Raises:
        SlimError: the configuration does not prune, or needs sensitivities that are not computed yet.
    """
    init_logger(log_level=logging.ERROR)  # backbones of 2.5 and newer log while they are built
    section, checkpoint = _checkpoint(config)
    if section.prune is None and section.quant is not None and json_file is None and _is_dense(checkpoint):
        build_dense(config, "train", fetch_pretrained=False)  # refuses an Arch that cannot be built
        print("nothing is pruned (there is no Slim.prune); training quantizes the model as Slim.quant says")
        return None
    plan = _plan(config, section, checkpoint)
    warnings = checkpoint.metadata.warnings or [] if checkpoint is not None else []
    warnings = [*warnings, *random_weights_warnings(config, section, checkpoint)]
    text = json.dumps({**plan.to_json(), **({"warnings": warnings} if warnings else {})}, indent=1)
    if str(json_file) == "-":
        print(text)
        return plan
    if json_file is not None:
        write_text(json_file, text)
    print(plan_table(plan))
    counts = both_counts(config["Arch"]["name"], PruneConfig.model_validate(plan.settings), plan)
    if counts is not None:
        print(counts)
    if section.prune is not None and section.prune.steps > 1 and plan.step is None:
        print(_of_all_steps(section.prune))
    for warning in warnings:
        print(f"warning: {warning}")
    return plan


def _of_all_steps(section: PruneConfig) -> str:
    steps, first = section.steps, Step(1, section.steps)
    return (
        f"steps {steps}: this is all of it at once, by the weights of today. Training removes 1/{steps} of it in "
        f"{first}, and every later one scores anew"
    )


def _checkpoint(config: ClasConfig) -> tuple[SlimConfig, Optional[Checkpoint]]:
    section = read_section(config) or SlimConfig()
    resolve(config)
    return section, find_checkpoint(config, "train")


def _is_dense(checkpoint: Optional[Checkpoint]) -> bool:
    return checkpoint is None or (checkpoint.plan is None and checkpoint.quant is None)


def _plan(config: ClasConfig, section: SlimConfig, checkpoint: Optional[Checkpoint]) -> Plan:
    if checkpoint is not None and checkpoint.plan is not None:
        step = f", {checkpoint.plan.step}" if checkpoint.plan.step is not None else ""
        print(f"{checkpoint.weights} is pruned already{step}; training follows its plan:")
        return checkpoint.plan
    if checkpoint is not None and checkpoint.quant is not None:
        raise SlimError(
            f"Slim.prune: {checkpoint.weights} is quantized already; give the float model as Global.pretrained_model"
        )
    if section.prune is None:
        raise SlimError("the configuration has no Slim.prune section: nothing would be pruned")
    return _new_plan(config, section, section.prune, checkpoint)


def _new_plan(config: ClasConfig, slim: SlimConfig, section: PruneConfig, checkpoint: Optional[Checkpoint]) -> Plan:
    path = Path(section.sensitivity_file) if section.sensitivity_file else None
    if path is not None and not path.exists():
        raise SlimError(f"Slim.prune.sensitivity_file: {path} does not exist yet; training computes it")
    model: paddle.nn.Layer = build_dense(config, "train", fetch_pretrained=checkpoint is None)
    if checkpoint is not None:
        loading.load_what_fits(model, checkpoint, config, untrained_head=True)
    shape, device = config["Global"]["image_shape"], config["Global"]["device"]

    def sensitivity(analysis: Analysis) -> Sensitivity:
        return read_sensitivities(path, model) if path else {}

    if section.schedule is None:
        needs_batches = importance.get(section.name).needs_batches
        data = build_training_data(config) if needs_batches else None
        meter = partial(latency_meter, config, slim, model, _tell)
        return make_plan(model, section, shape, device, sensitivity, data, meter)
    schedule = make_schedule(model, section, shape, device, sensitivity)
    schedule.choose_and_zero(model)
    return remove_masked(model, schedule.record())


def _tell(text: str) -> None:
    """Standard output may be JSON."""
    print(text, file=sys.stderr, flush=True)
