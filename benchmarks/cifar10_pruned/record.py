"""The record of a run as JSON: recipe, environment, time, curve, result."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from .layout import layout_of
from .run import Run

LAST = 5
"""Epochs whose tests are averaged."""


def environment(device: torch.device) -> dict[str, str]:
    """Return what the numbers may depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    cudnn = str(torch.backends.cudnn.version()) if device.type == "cuda" else "none"
    return {"device": name, "torch": torch.__version__, "cudnn": cudnn, "python": platform.python_version()}


def curve_of(run: Run, index: int) -> dict[str, list[float | None]]:
    """Return a run's loss of every epoch and the tests in percent, None where it was not tested."""
    history, images = run.history[:, :, index].cpu(), len(run.data.test_labels)

    def tests(column: int) -> list[float | None]:
        return [round(100 * float(n) / images, 2) if n >= 0 else None for n in history[:, column]]

    curve = {"loss": [round(float(loss), 5) for loss in history[:, 0]], "test_top1": tests(1)}
    return {**curve, "ema_top1": tests(2)} if run.recipe.ema else curve


def record_of(
    run: Run, index: int, seconds: float, side_by_side: list[str], final_top1: float, precision: str
) -> dict[str, Any]:
    """Return the record of a finished run.

    Args:
        run: with its history.
        index: among the runs that are packed into one network.
        seconds: from the first step to the last.
        side_by_side: runs that shared the device at the end.
        final_top1: of the saved weights, in float32.
        precision: of convolutions in training.
    """
    curve, recipe = curve_of(run, index), run.recipes[index]
    last = curve["ema_top1" if recipe.ema else "test_top1"][-LAST:]
    layout = layout_of(run.states[index])
    return {
        "name": recipe.name,
        "recipe": asdict(recipe),
        "steps_per_epoch": run.steps,
        "precision": precision,
        "macs": layout.macs(),
        "widths": layout.widths(),
        "environment": environment(run.data.mean.device),
        "side_by_side": side_by_side,
        "seconds": round(seconds, 3),
        "last_top1": round(sum(last) / len(last), 3),
        "last_of": "ema_top1" if recipe.ema else "test_top1",
        "final_top1": round(final_top1, 2),
        "curve": curve,
    }


def write_json(record: dict[str, Any], file: Path) -> None:
    """Write a line for each of the keys."""
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in record.items())
    file.write_text("{\n" + lines + "\n}\n")
