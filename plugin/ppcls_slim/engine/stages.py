"""Train in stages: one for each of ``Slim.prune.steps``, and with ``Slim.quant.epochs`` one of the quantized model.

Without either there is one stage. Each is a training of PaddleClas's with a folder, an optimizer and a schedule of
the learning rate of its own, and begins with the best model of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Optional

from ..checkpoint import Checkpoint
from ..common.errors import SlimError, writing_to
from ..compat.distributed import broadcast_from_rank0, is_rank0
from ..compat.paddleclas.config import copy_config
from ..compat.paddleclas.console_log import log_file
from ..compat.paddleclas.logger import say
from ..compat.paddleclas.types import ClasConfig
from ..config.section import SlimConfig, read_section
from ..config.steps import epochs_of_steps
from ..prune.step import Step
from .auto_resume import is_auto, latest_checkpoint, resolve, same_training
from .banner import write_config
from .engine import SlimEngine
from .locking import output_folder_locked
from .preflight import find_checkpoint
from .progress import Progress
from .teaching import learns_from_itself

FLOAT = "float"  # folder of the float model in Global.output_dir, where a quantized one follows


@dataclass(frozen=True)
class Stage:
    """One training.

    Attributes:
        config: PaddleClas configuration of this training.
        name: for people.
        step: of pruning; None where the stage prunes at once, or quantizes.
        epochs_before: of the earlier steps.
        note: for the log.
    """

    config: ClasConfig
    name: str
    step: Optional[Step] = None
    epochs_before: int = 0
    note: Optional[str] = None


def train(config: ClasConfig) -> SlimEngine:
    """Train as the configuration says; return the engine of the last stage.

    Args:
        config: PaddleClas configuration.

    Raises:
        SlimError: the configuration or a file that it names cannot be used, or another training has the folder.
    """
    given = copy_config(config)
    with output_folder_locked(config):
        stages = _stages_of(config)
        begun = _begun(stages)
        engine = _train(stages[begun], given)
        for stage in stages[begun + 1 :]:
            progress = engine.progress
            stage.config["Global"].update(checkpoints=None, pretrained_model=str(_best_of(progress)))
            epochs = int(stage.config["Global"]["epochs"])
            say(f"ppcls_slim: {stage.name}, {epochs} epoch{'s' if epochs > 1 else ''}")
            engine = _train(stage, given, progress)
        return engine


def _stages_of(config: ClasConfig) -> list[Stage]:
    slim = read_section(config)
    if slim is None or slim.quant is None or slim.quant.epochs is None:
        return _float_stages(config, slim)
    first, second = copy_config(config), copy_config(config)
    first["Slim"].pop("quant")
    _leave_out_itself(first)
    first["Global"]["output_dir"] = str(Path(config["Global"]["output_dir"]) / FLOAT)
    second["Global"]["epochs"] = slim.quant.epochs
    return [*_float_stages(first, read_section(first)), Stage(second, "second stage, of the quantized model")]


def _float_stages(config: ClasConfig, slim: Optional[SlimConfig]) -> list[Stage]:
    """The steps of pruning, or one stage; the last step has the folder that one stage would have."""
    epochs = epochs_of_steps(config, slim) if slim is not None else []
    steps, output = len(epochs), Path(config["Global"]["output_dir"])
    if steps < 2:
        return [Stage(config, "stage of the float model")]
    stages = []
    for number, (own, until) in enumerate(zip(epochs, accumulate(epochs)), 1):
        part, step = copy_config(config), Step(number, steps)
        folder = output if number == steps else output / f"step_{number}"
        part["Global"].update(epochs=own, output_dir=str(folder))
        stages.append(Stage(part, f"{step} of pruning", step, until - own))
    if _compressed_before(config, stages):
        note = "Slim.prune.steps has no effect: the model is pruned or quantized already"
        return [Stage(config, "stage of the float model", note=note)]
    return stages


def _compressed_before(config: ClasConfig, steps: Sequence[Stage]) -> bool:
    """Whether the training starts with a model that was compressed, and not in steps that are still to come."""
    if is_auto(config):
        if any(latest_checkpoint(stage.config) is not None for stage in steps[:-1]):
            return False
        config = copy_config(config)
        config["Global"]["checkpoints"] = None
    found = find_checkpoint(config, "train")
    resumed = bool(config["Global"].get("checkpoints"))
    if found is None or (resumed and found.plan is not None and found.plan.step is not None):
        return False
    return any((found.plan, found.quant, found.masked))


def _leave_out_itself(first: ClasConfig) -> None:
    """Take out a teacher that would be the model itself: what the first stage trains is dense."""
    slim, resolved = read_section(first), copy_config(first)
    if slim is None or slim.distill is None:
        return
    resolve(resolved)
    if learns_from_itself(slim, find_checkpoint(resolved, "train")):
        first["Slim"].pop("distill")


def _begun(stages: Sequence[Stage]) -> int:
    """Which stage the checkpoint to go on with is of; the first where there is none."""
    if len(stages) == 1:
        return 0
    if is_auto(stages[0].config):
        latest = [latest_checkpoint(stage.config) for stage in stages]
        for number in reversed(range(len(stages))):
            found = latest[number]
            # Not that of an earlier training, where a later one has begun anew with its first stage.
            if found is not None and all(one is None or same_training(one, found) for one in latest[:number]):
                return number
        return 0
    config = stages[0].config
    resumed = find_checkpoint(config, "train") if config["Global"].get("checkpoints") else None
    return 0 if resumed is None else _stage_of(resumed, stages)


def _stage_of(resumed: Checkpoint, stages: Sequence[Stage]) -> int:
    if resumed.quant is not None:
        return len(stages) - 1
    step = resumed.plan.step if resumed.plan is not None else None
    return next((number for number, stage in enumerate(stages) if step is not None and stage.step == step), 0)


def _best_of(progress: Progress) -> Path:
    # Only the first process saves, and knows where.
    best = broadcast_from_rank0(lambda: str(progress.best_checkpoint or ""))
    if not best:
        raise SlimError("the stage before saved no checkpoint to go on with; raise Global.epochs")
    return Path(best)


def _train(stage: Stage, given: ClasConfig, before: Optional[Progress] = None) -> SlimEngine:
    engine = SlimEngine(stage.config, "train", stage.step, stage.epochs_before)
    if stage.note is not None:
        say(f"ppcls_slim: {stage.note}")  # the engine has made the logger
    if before is not None:
        engine.progress.go_on_from(before)
    with writing_to(Path(stage.config["Global"]["output_dir"])):
        if is_rank0():
            write_config(given, log_file().parent)  # what repeats the whole training, not its own stage
        engine.train()
    return engine
