"""Train in one stage, or in two: the float model first, and with ``Slim.quant.epochs`` the quantized one after it."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from ..common.errors import SlimError, writing_to
from ..compat.distributed import broadcast_from_rank0
from ..compat.paddleclas.config import copy_config
from ..compat.paddleclas.logger import logger
from ..compat.paddleclas.types import ClasConfig
from ..config.section import read_section
from .auto_resume import is_auto, latest_checkpoint, resolve, same_training
from .engine import SlimEngine
from .locking import output_folder_locked
from .preflight import find_checkpoint
from .progress import Progress
from .teaching import learns_from_itself

FLOAT = "float"  # folder of the first stage in Global.output_dir


def train(config: ClasConfig) -> SlimEngine:
    """Train as the configuration says; return the engine of the last stage.

    Args:
        config: PaddleClas configuration.

    Raises:
        SlimError: the configuration or a file that it names cannot be used, or another training has the folder.
    """
    with output_folder_locked(config):
        return _train_in_stages(config)


def _train_in_stages(config: ClasConfig) -> SlimEngine:
    slim = read_section(config)
    if slim is None or slim.quant is None or slim.quant.epochs is None:
        return _train(config)
    first, second = copy_config(config), copy_config(config)
    first["Slim"].pop("quant")
    _leave_out_itself(first)
    first["Global"]["output_dir"] = str(Path(config["Global"]["output_dir"]) / FLOAT)
    if slim.quant.learning_rate is not None:
        second["Optimizer"]["lr"]["learning_rate"] = slim.quant.learning_rate
    second["Global"]["epochs"] = slim.quant.epochs
    if _second_has_begun(first, second):
        return _train(second)
    progress = _train(first).progress
    second["Global"].update(checkpoints=None, pretrained_model=str(_best_of(progress)))
    logger.info(f"ppcls_slim: second stage, {slim.quant.epochs} epochs of the quantized model")
    return _train(second, progress)


def _leave_out_itself(first: ClasConfig) -> None:
    """Take out a teacher that would be the model itself: what the first stage trains is dense."""
    slim, resolved = read_section(first), copy_config(first)
    if slim is None or slim.distill is None:
        return
    resolve(resolved)
    if learns_from_itself(slim, find_checkpoint(resolved, "train")):
        first["Slim"].pop("distill")


def _second_has_begun(first: ClasConfig, second: ClasConfig) -> bool:
    """Whether the checkpoint to go on with is one of the second stage."""
    if is_auto(second):
        # Not that of an earlier training, where a later one has begun anew with its first stage.
        found, before = latest_checkpoint(second), latest_checkpoint(first)
        return found is not None and (before is None or same_training(before, found))
    resumed = find_checkpoint(second, "train") if second["Global"].get("checkpoints") else None
    return resumed is not None and resumed.quant is not None


def _best_of(progress: Progress) -> Path:
    # Only the first process saves, and knows where.
    best = broadcast_from_rank0(lambda: str(progress.best_checkpoint or ""))
    if not best:
        raise SlimError("Slim.quant.epochs: the float stage saved no checkpoint to quantize; raise Global.epochs")
    return Path(best)


def _train(config: ClasConfig, before: Optional[Progress] = None) -> SlimEngine:
    engine = SlimEngine(config, "train")
    if before is not None:
        engine.progress.go_on_from(before)
    with writing_to(Path(config["Global"]["output_dir"])):
        engine.train()
    return engine
