"""``ppcls-slim plan``: what would be pruned, without data and without training."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Optional

from .. import checkpoint as checkpoints
from ..common.errors import SlimError
from ..config.section import PruneConfig, read_section
from ..prune.plan import Plan
from ..prune.pruner import make_plan
from ..prune.schedules.schedule import make_schedule, remove_masked
from ..prune.sensitivity import read as read_sensitivities
from ..quant.prepare import refuse_quantized
from ..report.paper_flops import both_counts
from ..report.tables import plan_table
from .engine import build_dense
from .preflight import find_checkpoint


def dry_run(config: Any, json_file: Optional[Path]) -> Plan:
    """Print the plan that training would follow, and write it as JSON where asked.

    Raises:
        SlimError: the configuration does not prune, or needs sensitivities that are not computed yet.
    """
    from ppcls.utils import logger

    logger.init_logger(log_level=logging.ERROR)  # backbones of 2.5 and newer log while they are built
    section = read_section(config)
    found = find_checkpoint(config, "train")
    if found is not None and found.plan is None and found.quant is not None:
        raise SlimError(
            f"Slim.prune: {found.weights} is quantized already; give the float model as Global.pretrained_model"
        )
    if found is not None and found.plan is not None:
        plan = found.plan
        print(f"{found.weights} is pruned already; training follows its plan:")
    elif section is None or section.prune is None:
        raise SlimError("the configuration has no Slim.prune section: nothing would be pruned")
    else:
        plan = _new_plan(config, section.prune, found)
    if json_file is not None and str(json_file) != "-":
        json_file.write_text(json.dumps(plan.to_json(), indent=1), encoding="utf-8")
    if str(json_file) == "-":
        print(json.dumps(plan.to_json(), indent=1))
        return plan
    print(plan_table(plan))
    counts = both_counts(config["Arch"]["name"], PruneConfig.model_validate(plan.settings), plan)
    if counts is not None:
        print(counts)
    return plan


def _new_plan(config: Any, section: Any, found: Optional[checkpoints.Checkpoint]) -> Plan:
    path = Path(section.sensitivity_file) if section.sensitivity_file else None
    if path is not None and not path.exists():
        raise SlimError(f"Slim.prune.sensitivity_file: {path} does not exist yet; training computes it")
    model = build_dense(config, "train", fetch_pretrained=found is None)
    if found is not None:
        weights = checkpoints.read_weights(found)
        refuse_quantized(weights, found.weights)
        model.set_state_dict(weights)
    shape, device = config["Global"]["image_shape"], config["Global"]["device"]

    def sensitivity(analysis: Any) -> Any:
        return read_sensitivities(path, model) if path else {}

    if section.schedule is None:
        return make_plan(model, section, shape, device, sensitivity)
    schedule = make_schedule(model, section, shape, device, sensitivity)
    schedule.choose_and_zero(model)
    return remove_masked(model, schedule.record())
