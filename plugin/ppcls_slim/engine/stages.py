"""Train in one stage, or in two: the float model first, and with ``Slim.quant.epochs`` the quantized one after it."""

from __future__ import annotations

from pathlib import Path

from ..common.errors import SlimError
from ..compat.distributed import broadcast_from_rank0
from ..compat.paddleclas.config import copy_config
from ..compat.paddleclas.logger import logger
from ..compat.paddleclas.types import ClasConfig
from ..config.section import read_section
from .auto_resume import is_auto, latest_checkpoint
from .engine import SlimEngine
from .preflight import find_checkpoint

FLOAT = "float"  # folder of the first stage in Global.output_dir


def train(config: ClasConfig) -> SlimEngine:
    """Train as the configuration says; return the engine of the last stage.

    Args:
        config: PaddleClas configuration.

    Raises:
        SlimError: the configuration or a file that it names cannot be used.
    """
    slim = read_section(config)
    if slim is None or slim.quant is None or slim.quant.epochs is None:
        return _train(config)
    second = copy_config(config)
    if slim.quant.learning_rate is not None:
        second["Optimizer"]["lr"]["learning_rate"] = slim.quant.learning_rate
    second["Global"]["epochs"] = slim.quant.epochs
    if _second_has_begun(config):
        return _train(second)
    second["Global"].update(checkpoints=None, pretrained_model=str(_float_stage(config)))
    logger.info(f"ppcls_slim: second stage, {slim.quant.epochs} epochs of the quantized model")
    return _train(second)


def _second_has_begun(config: ClasConfig) -> bool:
    """Whether the checkpoint to go on with is one of the second stage."""
    if is_auto(config):
        return latest_checkpoint(config) is not None  # stages save into folders of their own
    resumed = find_checkpoint(config, "train") if config["Global"].get("checkpoints") else None
    return resumed is not None and resumed.quant is not None


def _float_stage(config: ClasConfig) -> Path:
    """Train the float model; return the path prefix of its best checkpoint."""
    first = copy_config(config)
    first["Slim"].pop("quant")
    first["Global"]["output_dir"] = str(Path(config["Global"]["output_dir"]) / FLOAT)
    progress = _train(first).progress
    # Only the first process saves, and knows where.
    best = broadcast_from_rank0(lambda: str(progress.best_checkpoint or ""))
    if not best:
        raise SlimError("Slim.quant.epochs: the float stage saved no checkpoint to quantize; raise Global.epochs")
    return Path(best)


def _train(config: ClasConfig) -> SlimEngine:
    engine = SlimEngine(config, "train")
    engine.train()
    return engine
