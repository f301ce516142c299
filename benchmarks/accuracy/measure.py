"""Top-1 of one row: of its checkpoint, or of an exported model in Paddle Inference."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Optional

from benchmarks.accuracy.import_weights import import_weights
from benchmarks.accuracy.rows import AccuracyRow, Places
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddleclas.config import copy_config, inference_device, read_yaml_config
from ppcls_slim.compat.paddleclas.types import ClasConfig
from ppcls_slim.deploy.paddle_inference import Predictor
from ppcls_slim.engine.engine import SlimEngine
from ppcls_slim.verify.accuracy import top1, top1_of
from ppcls_slim.verify.samples import evaluation_data


def measure(row: AccuracyRow, places: Places, model: Path) -> float:
    """Evaluate one row.

    Args:
        row: what to run.
        places: where its files are.
        model: its checkpoint, or the folder of its exported model.

    Returns:
        Top-1, 0 to 1.
    """
    config = read_yaml_config(places.path(row.config), [places.fill(one) for one in row.override])
    with tempfile.TemporaryDirectory() as scratch:
        config["Global"].update(output_dir=f"{scratch}/output", save_inference_dir=f"{scratch}/inference")
        if row.exported is not None:
            return _of_exported(config, model)
        if model.suffix == ".safetensors":
            import_weights(model, Path(scratch) / "imported", row.bits, row.int8)
            model = Path(scratch) / "imported"
        config["Global"]["pretrained_model"] = str(model)
        return _of_exported(config, None) if row.run == "inference" else _of_checkpoint(config)


def _of_checkpoint(config: ClasConfig) -> float:
    engine = SlimEngine(config, "eval")
    return top1(engine.model, engine.eval_dataloader)


def _of_exported(config: ClasConfig, folder: Optional[Path]) -> float:
    """Of an exported model, or of the checkpoint that the configuration names after exporting it."""
    data = copy_config(config)  # the engine consumes parts of the configuration
    if folder is None:
        folder = Path(config["Global"]["save_inference_dir"])
        SlimEngine(config, "export").export_without_comparison()
    loader = evaluation_data(data)
    if loader is None:
        raise SlimError("DataLoader.Eval: its files are not there")
    return top1_of(Predictor(folder, inference_device(data)), loader)
