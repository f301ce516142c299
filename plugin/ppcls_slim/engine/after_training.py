"""``Slim.report``: export the best model when training ends, and put it beside the dense one."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from ..compat.distributed import alone, is_rank0
from ..compat.paddleclas.config import copy_config, inference_device
from ..compat.paddleclas.logger import say
from ..deploy.export import export_folder
from ..deploy.target import target_of
from ..report.tables import Comparison, comparison_table
from ..verify.accuracy import top1_of
from ..verify.samples import evaluation_data
from .engine import SlimEngine


def report_after_training(engine: SlimEngine) -> Optional[SlimEngine]:
    """Export the best checkpoint of a finished training, and print the table that compares it with the dense model.

    Args:
        engine: has trained. Nothing is reported without ``Slim.report``, and of a model that stayed dense.

    Returns:
        The engine that exported.

    Raises:
        SlimError: the exported model computes something else.
    """
    if engine.slim.report is None or (engine.plan is None and engine.quant is None) or not is_rank0():
        return None
    best = engine.progress.best_checkpoint
    if best is None:
        say("ppcls_slim: no checkpoint was saved, so there is nothing to report")
        return None
    config = copy_config(engine.original_config)
    config["Global"].update(pretrained_model=str(best), checkpoints=None)
    with alone():
        exporting = SlimEngine(config, "export")
        rows = exporting.export()
        _print(rows if engine.quant is not None else _with_measured_top1(rows, engine), engine, best)
    return exporting


def print_comparison(rows: list[Comparison], engine: SlimEngine) -> None:
    """Print the table that compares an export with the dense model.

    Args:
        rows: what the export returned.
        engine: has exported its checkpoint.
    """
    if engine.checkpoint is not None:
        _print(rows, engine, engine.checkpoint.path_prefix)


def _print(rows: list[Comparison], engine: SlimEngine, best: Path) -> None:
    folder = engine.original_config["Global"]["save_inference_dir"]
    quantized = engine.quant is not None
    before, after, of = ("FP32", "int8", "compression") if quantized else ("dense", "pruned", "pruning")
    print(comparison_table(rows, before, after))
    print(f"{before} is the model before {of}, {after} is {best} exported to {folder}")
    _print_warnings(engine)


def _print_warnings(engine: SlimEngine) -> None:
    for warning in engine.metadata.warnings or []:
        print(f"warning: {warning}")


def _with_measured_top1(rows: list[Comparison], engine: SlimEngine) -> list[Comparison]:
    """The top-1 of the exported model itself, instead of the one that was measured while training."""
    rows = [row for row in rows if row.what != "top-1"]
    data, dense = evaluation_data(engine.original_config), engine.metadata.top1_dense
    if data is None or dense is None:
        return rows
    folder = export_folder(
        Path(engine.original_config["Global"]["save_inference_dir"]), engine.slim.deploy.targets[0]
    )
    exported = target_of(folder).load(folder, inference_device(engine.original_config))
    return [Comparison("top-1 (evaluation data)", 100 * dense, 100 * top1_of(exported, data), "%"), *rows]
