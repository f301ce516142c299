"""``Slim.report``: export the best model when training ends, and put it beside the dense one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppcls.utils import logger

from ..compat.paddle import paddle
from ..compat.paddleclas.patches import copy_config
from ..deploy.runtime import Predictor
from ..verify.accuracy import top1_of
from ..verify.export_parity import evaluation_loader
from .tables import comparison_table


def report_after_training(engine: Any) -> None:
    """Export the best checkpoint of a finished training and print the table dense against pruned."""
    from ..engine.engine import SlimEngine, ppcls_engine

    if paddle.distributed.get_rank() != 0:
        return
    stem = engine.saved.get("best_model") or engine.saved.get("latest")
    if stem is None:
        logger.info("ppcls_slim: no checkpoint was saved, so there is nothing to report")
        return
    config = copy_config(engine.original_config)
    config["Global"].update(pretrained_model=str(stem), checkpoints=None)
    exporter = SlimEngine(config, "export")
    exported = exporter.export()
    if engine.quant is not None:
        print(comparison_table("int8", exported, "FP32"))
        folder = exporter.config["Global"]["save_inference_dir"]
        print(f"FP32 is the model before compression, int8 is {stem} exported to {folder}")
        return
    rows = [row for row in exported if row[0] != "top-1"]
    loader = evaluation_loader(engine.original_config, ppcls_engine.build_dataloader)
    if loader is not None and "top1_dense" in engine.metadata:
        folder = Path(config["Global"]["save_inference_dir"])
        final = top1_of(Predictor(folder, "gpu" if config["Global"]["device"] == "gpu" else "cpu"), loader)
        rows.insert(0, ("top-1 (evaluation data)", 100 * engine.metadata["top1_dense"], 100 * final, "%"))
    print(comparison_table("pruned", rows))
    print(f"dense is the model before pruning, pruned is {stem} exported to {config['Global']['save_inference_dir']}")
