"""Train in one stage, or in two: the float model first, and with ``Slim.quant.epochs`` the quantized one after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppcls.utils import logger

from ..common.errors import SlimError
from ..compat.distributed import broadcast_from_rank0
from ..compat.paddleclas.patches import copy_config
from ..config.section import read_section
from .engine import SlimEngine
from .preflight import find_checkpoint

FLOAT = "float"  # folder of the first stage in Global.output_dir


def train(config: Any) -> SlimEngine:
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
    resumed = find_checkpoint(config, "train") if config["Global"].get("checkpoints") else None
    if resumed is not None and resumed.quant is not None:
        return _train(second)
    second["Global"].update(checkpoints=None, pretrained_model=str(_float_stage(config)))
    logger.info(f"ppcls_slim: second stage, {slim.quant.epochs} epochs of the quantized model")
    return _train(second)


def _float_stage(config: Any) -> Path:
    """Train the float model; return the stem of its best checkpoint."""
    first = copy_config(config)
    first["Slim"].pop("quant")
    first["Global"]["output_dir"] = str(Path(config["Global"]["output_dir"]) / FLOAT)
    saved = _train(first).saved
    # Only the first process saves, and knows where.
    stem = broadcast_from_rank0(lambda: str(saved.get("best_model") or saved.get("latest") or ""))
    if not stem:
        raise SlimError("Slim.quant.epochs: the float stage saved no checkpoint to quantize; raise Global.epochs")
    return Path(stem)


def _train(config: Any) -> SlimEngine:
    engine = SlimEngine(config, "train")
    engine.train()
    return engine
