"""Latency of plans side by side: exports of the dense network and of pruned ones, timed in turns on one engine.

    python -m benchmarks.cifar10_pruned.latency taylor-190 fpgm-211 --plans DIR --engine onnx --out latency.csv

All plans are of one network. Its weights are random: latency does not depend on them. One image, one thread, CPU time
as in ``Slim.prune.speedup``; a machine with other work on it needs rounds, and the median of the ratios in them.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Optional

import numpy as np

from benchmarks.cifar10_pruned.images import enlargement
from benchmarks.cifar10_pruned.measure import save_checkpoint
from benchmarks.cifar10_pruned.plans import CONFIG, configuration
from ppcls_slim.deploy.export import export_folder
from ppcls_slim.deploy.latency.clock import milliseconds
from ppcls_slim.deploy.target import find_target
from ppcls_slim.engine.build import build_dense
from ppcls_slim.prune.plan import Plan, apply_plan

TOOL = Path(__file__).parents[2] / "tools" / "export_model.py"
COLUMNS = ("plan", "engine", "macs_ratio", "dense_ms", "ms", "speed_up", "least", "most")
RUNS = 20


def exported(arch: str, plan: Optional[Plan], engine: str, data: Path, scratch: Path) -> Path:
    """Export the network of a plan, or the dense one, with the plugin's command."""
    model = build_dense(configuration(arch), "train", fetch_pretrained=False)
    if plan is not None:
        apply_plan(plan, model)
    scratch.mkdir()
    save_checkpoint(model, plan, scratch / "network")
    side = 32 * enlargement(arch)
    options = {
        "Arch.name": arch,
        "Global.image_shape": f"[3,{side},{side}]",
        "Global.pretrained_model": scratch / "network",
        "Global.save_inference_dir": scratch / "inference",
        "Slim.deploy.targets": f"[{engine}]",
        "DataLoader.Eval.dataset.data_file": data,
    }
    pairs = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    subprocess.run([sys.executable, str(TOOL), "-c", str(CONFIG), *pairs], check=True, stdout=subprocess.DEVNULL)
    return scratch / "inference"


def rounds_of(runs: list[Callable[[], object]], rounds: int) -> np.ndarray:
    """Return milliseconds ``[rounds, networks]``."""
    return np.array([milliseconds(runs, RUNS, 1) for _ in range(rounds)])


def main() -> None:
    """Read the command line, measure, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", help="stems of NAME.plan.json")
    parser.add_argument("--arch", default="CifarResNet56")
    parser.add_argument("--plans", type=Path, required=True)
    parser.add_argument("--engine", default="onnx", choices=("paddle", "onnx", "openvino"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--data", type=Path, default=Path("dataset/cifar10.npz"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    plans = [Plan.from_json(json.loads((options.plans / f"{name}.plan.json").read_text())) for name in options.names]
    side = 32 * enlargement(options.arch)
    images = np.random.default_rng(0).standard_normal([1, 3, side, side], dtype=np.float32)
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        for index, plan in enumerate([None, *plans]):
            folder = exported(options.arch, plan, options.engine, options.data, Path(scratch) / str(index))
            runner = find_target(options.engine).load(export_folder(folder, options.engine), "cpu", 1, "auto")
            runs.append(lambda runner=runner: runner(images))
        times = rounds_of(runs, options.rounds)
    new = not options.out.exists()
    with options.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        for index, (name, plan) in enumerate(zip(options.names, plans), 1):
            ratios = times[:, 0] / times[:, index]
            values = (plan.flops["dense"] / plan.flops["pruned"], median(times[:, 0]), median(times[:, index]))
            values += (median(ratios), *np.percentile(ratios, (10, 90)))
            row = dict(zip(COLUMNS, (name, options.engine, *(f"{value:.3f}" for value in values))))
            writer.writerow(row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
