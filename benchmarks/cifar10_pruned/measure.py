"""Take trained weights back to Paddle: a checkpoint with its plan, top-1 of all test images, FLOPs by the plan.

    python -m benchmarks.cifar10_pruned.measure results/NAME.json ... --plans DIR --data dataset/cifar10.npz --out DIR

``NAME`` is a run of ``train.py`` whose weights lie beside its record; ``DIR`` of the plans holds what ``plans.py``
wrote. For each run ``OUT/NAME.pdparams`` and ``OUT/NAME.slim.json`` are written, which ``tools/eval.py`` and
``tools/export_model.py`` take as ``Global.pretrained_model``, and a row into ``OUT/measured.csv``.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from pathlib import Path
from typing import Any, Optional

import numpy as np

from benchmarks.accuracy.pytorch_weights import read_safetensors
from benchmarks.cifar10_pruned.images import normalised
from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.prune.plan import Plan, apply_plan
from ppcls_slim.zoo.cifar_resnet import CifarResNet

COLUMNS = ("name", "plan", "depth", "seed", "epochs", "macs", "ratio", "last_top1", "paddle_top1")


def pruned_model(weights: Path, plan: Optional[Plan]) -> tuple[CifarResNet, int]:
    """Return the network with trained weights, pruned by its plan, and its depth.

    Raises:
        SlimError: weights and plan do not fit.
    """
    state = read_safetensors(weights)
    depth = 2 + 2 * sum(bool(re.fullmatch(r"layer\d\.\d+\.conv1\.weight", name)) for name in state)
    model = CifarResNet(depth)
    if plan is not None:
        apply_plan(plan, model)
    checkpoints.load_exactly(model, {name: paddle.to_tensor(value) for name, value in state.items()}, weights)
    model.eval()
    return model, depth


def save_checkpoint(model: CifarResNet, plan: Optional[Plan], target: Path) -> None:
    """Write ``TARGET.pdparams`` and ``TARGET.slim.json``."""
    checkpoints.save(
        target.parent,
        target.name,
        lambda folder: paddle.save(model.state_dict(), str(folder / f"{target.name}{checkpoints.WEIGHTS}")),
        checkpoints.sidecar(plan, None, checkpoints.Metadata()),
    )


@paddle.no_grad()
def top1_of(model: CifarResNet, file: Path, batch: int = 200) -> float:
    """Return the top-1 accuracy in percent on the test images of ``cifar10.npz``."""
    with np.load(file) as stored:
        images, labels = stored["test_images"], stored["test_labels"]
    right = 0
    for start in range(0, len(labels), batch):
        logits = model(paddle.to_tensor(normalised(images[start : start + batch]))).numpy()
        right += int((logits.argmax(axis=1) == labels[start : start + batch]).sum())
    return 100.0 * right / len(labels)


def measure(record_file: Path, plans: Path, data: Path, out: Path) -> dict[str, Any]:
    """Return the row of one run."""
    record = json.loads(record_file.read_text())
    stem = record["recipe"]["weights"]
    plan_file = plans / f"{stem}.plan.json"
    plan = Plan.from_json(json.loads(plan_file.read_text())) if plan_file.exists() else None
    model, depth = pruned_model(record_file.with_suffix(".safetensors"), plan)
    out.mkdir(parents=True, exist_ok=True)
    save_checkpoint(model, plan, out / record["name"])
    return {
        "name": record["name"],
        "plan": stem,
        "depth": depth,
        "seed": record["recipe"]["seed"],
        "epochs": record["recipe"]["epochs"],
        "macs": plan.flops["pruned"] if plan else record["macs"],
        "ratio": round(plan.flops["dense"] / plan.flops["pruned"], 3) if plan else 1.0,
        "last_top1": record["last_top1"],
        "paddle_top1": round(top1_of(model, data), 2),
    }


def main() -> None:
    """Read the command line, measure every run, add the rows to the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, nargs="+", help="NAME.json of finished runs")
    parser.add_argument("--plans", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("dataset/cifar10.npz"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for record in options.records:
        row = measure(record, options.plans, options.data, options.out)
        table = options.out / "measured.csv"
        new = not table.exists()
        with table.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(*(f"{key} {value}" for key, value in row.items()), sep=", ", flush=True)


if __name__ == "__main__":
    main()
