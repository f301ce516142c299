"""Take trained weights back to Paddle: a checkpoint with its plan, top-1, FLOPs by the plan, latency of the export.

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
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np

from benchmarks.accuracy.pytorch_weights import read_safetensors
from benchmarks.cifar10_pruned.images import normalised
from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.deploy.benchmark import benchmark
from ppcls_slim.prune.plan import Plan, apply_plan
from ppcls_slim.zoo.cifar_resnet import CifarResNet

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "ppcls_configs" / "cifar10" / "resnet20.yaml"
COLUMNS = ("name", "plan", "depth", "seed", "macs", "ratio", "last_top1", "paddle_top1", "dense_ms", "ms", "speed_up")


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


def export(checkpoint: Path, depth: int, data: Path, folder: Path) -> Path:
    """Export a checkpoint with the plugin's command, for Paddle Inference."""
    options = {
        "Arch.name": f"CifarResNet{depth}",
        "Global.pretrained_model": checkpoint,
        "Global.save_inference_dir": folder,
        "DataLoader.Eval.dataset.data_file": data,
    }
    pairs = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    command = [sys.executable, str(ROOT / "tools" / "export_model.py"), "-c", str(CONFIG), *pairs]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


@dataclass
class Latencies:
    """Latency of exported networks against the dense one, measured once for each plan: seeds differ in weights only.

    Attributes:
        data: ``cifar10.npz``.
        out: folder of the exports.
        dense: exported dense networks by depth.
        measured: by the stem of a plan: milliseconds of the dense network and of the pruned one.
    """

    data: Path
    out: Path
    dense: dict[int, Path] = field(default_factory=dict)
    measured: dict[str, tuple[float, float]] = field(default_factory=dict)

    def of(self, stem: str, checkpoint: Path, depth: int) -> tuple[float, float]:
        """Return both latencies of one image on one thread, exporting what is not exported yet."""
        if depth not in self.dense:
            plain = self.out / f"dense{depth}"
            save_checkpoint(CifarResNet(depth), None, plain)
            self.dense[depth] = export(plain, depth, self.data, self.out / "inference" / plain.name)
        if stem not in self.measured:
            exported = export(checkpoint, depth, self.data, self.out / "inference" / stem)
            first, second = benchmark([self.dense[depth], exported], threads=1, log=lambda line: None)
            self.measured[stem] = first.median_ms, second.median_ms
        return self.measured[stem]


def measure(record_file: Path, plans: Path, latencies: Latencies) -> dict[str, Any]:
    """Return the row of one run."""
    record = json.loads(record_file.read_text())
    stem = record["recipe"]["weights"]
    plan_file = plans / f"{stem}.plan.json"
    plan = Plan.from_json(json.loads(plan_file.read_text())) if plan_file.exists() else None
    model, depth = pruned_model(record_file.with_suffix(".safetensors"), plan)
    checkpoint = latencies.out / record["name"]
    save_checkpoint(model, plan, checkpoint)
    dense_ms, ms = latencies.of(stem, checkpoint, depth)
    return {
        "name": record["name"],
        "plan": stem,
        "depth": depth,
        "seed": record["recipe"]["seed"],
        "macs": plan.flops["pruned"] if plan else record["macs"],
        "ratio": round(plan.flops["dense"] / plan.flops["pruned"], 3) if plan else 1.0,
        "last_top1": record["last_top1"],
        "paddle_top1": round(top1_of(model, latencies.data), 2),
        "dense_ms": round(dense_ms, 3),
        "ms": round(ms, 3),
        "speed_up": round(dense_ms / ms, 3),
    }


def main() -> None:
    """Read the command line, measure every run, add the rows to the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, nargs="+", help="NAME.json of finished runs")
    parser.add_argument("--plans", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("dataset/cifar10.npz"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    latencies = Latencies(options.data, options.out)
    for record in options.records:
        row = measure(record, options.plans, latencies)
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
