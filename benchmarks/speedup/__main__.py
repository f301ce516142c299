"""``python -m benchmarks.speedup``: ask for speed-ups of backbones, and write what was predicted and measured.

The weights are random: latency does not depend on them, and which channels go hardly matters. Rows that the CSV file
has already are kept, and it is written after each, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from pathlib import Path

from ppcls_slim.common.atomic import atomic_path
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddleclas.config import read_yaml_config
from ppcls_slim.config.section import read_section
from ppcls_slim.engine.build import build_dense
from ppcls_slim.engine.latency import latency_meter
from ppcls_slim.prune.planning import make_plan

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = ROOT / "ppcls_configs/ResNet50_vd_prune.yaml"
RESULT = ROOT / "docs/coverage/speedup.csv"
BACKBONES = (
    "ResNet18", "ResNet50_vd", "MobileNetV1", "MobileNetV2", "MobileNetV3_small_x1_0", "PPLCNet_x1_0",
    "ShuffleNetV2_x1_0", "EfficientNetB0",
)  # fmt: skip
ENGINES = ("openvino", "onnx")
COLUMNS = (
    "backbone", "engine", "asked", "dense_ms", "first_predicted_ms", "first_measured_ms", "predicted_ms",
    "measured_ms", "times", "rounds", "flops_removed", "seconds", "load", "error",
)  # fmt: skip
Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--engines", nargs="+", default=ENGINES)
    parser.add_argument("--speedups", nargs="+", type=float, default=(1.5, 2.0, 3.0))
    parser.add_argument("--csv", type=Path, default=RESULT, metavar="FILE")
    arguments = parser.parse_args()
    rows = read_rows(arguments.csv)
    for backbone in arguments.backbones:
        for engine in arguments.engines:
            for speedup in arguments.speedups:
                key = (backbone, engine, f"{speedup:g}")
                if any((row["backbone"], row["engine"], row["asked"]) == key for row in rows):
                    continue
                rows.append(measured(backbone, engine, speedup))
                write_rows(arguments.csv, rows)
                print(rows[-1], flush=True)


def measured(backbone: str, engine: str, speedup: float) -> Row:
    """Ask for one speed-up, and return its row."""
    config = read_yaml_config(CONFIG, [])
    config["Arch"] = {"name": backbone, "class_num": 1000}
    config["Slim"] = {"prune": {"name": "l1_norm", "speedup": speedup, "on": {"engine": engine}}}
    section = read_section(config)
    assert section is not None and section.prune is not None
    model = build_dense(config, "train", fetch_pretrained=False)
    start, load = time.monotonic(), os.getloadavg()[0]
    row = dict.fromkeys(COLUMNS, "")
    row.update(backbone=backbone, engine=engine, asked=f"{speedup:g}", load=f"{load:.1f}")
    try:
        plan = make_plan(
            model,
            section.prune,
            config["Global"]["image_shape"],
            meter_of=lambda: latency_meter(config, section, model, _tell),
        )
    except SlimError as error:
        row["error"] = str(error)
    else:
        found = plan.latency
        assert found is not None
        figures = (found.dense, *found.rounds[0], found.predicted, found.measured)
        row.update(zip(COLUMNS[3:8], (f"{value:.3f}" for value in figures)))
        row.update(times=f"{found.dense / found.measured:.3f}", rounds=str(len(found.rounds)))
        row.update(flops_removed=f"{plan.pruned_flops:.3f}")
    row["seconds"] = f"{time.monotonic() - start:.0f}"
    return row


def read_rows(file: Path) -> list[Row]:
    """Return the rows of a record; none where there is no file."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def write_rows(file: Path, rows: list[Row]) -> None:
    """Write the record."""
    with atomic_path(file) as writing, writing.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
