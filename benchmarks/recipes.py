"""Write the table of recipes from what was measured, and its pages.

    python -m benchmarks.recipes    # plugin/ppcls_slim/recipes/recipes.csv, docs/recipes.md, docs/recipes.zh.md

Every figure comes from a file that the row names; what is a choice and not a figure (ten epochs, a tenth of the
learning rate) is in the constants below, with its reason.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "plugin")]

from ppcls_slim.recipes.table import ANY, DEFAULT, FOLDER, GOALS, Recipe  # noqa: E402  (the checkout is on the path now)

COVERAGE = "docs/coverage/paddle_3.3.1_paddleclas_2.6.0.csv"
ENGINES, SPEEDUP = "docs/coverage/engines.csv", "docs/coverage/speedup.csv"
NAMES = {"openvino": "OpenVINO", "onnx": "ONNX Runtime", "paddle": "Paddle Inference"}
ENOUGH = 1.7
"""Where int8 gains less, layers that gain nothing are left float, as in docs/engines.md."""
EPOCHS, RATE = 10, 0.1
"""Of training with quantization. ResNet-20 has its accuracy back after one epoch with a hundredth of the rate from
scratch (docs/reproduction.md); ImageNet was not tried."""
CRITERION = "fpgm"
"""Needs no data for a plan, and is within 0.07 points of taylor (docs/pruned_cifar10.md)."""
NOT_PRUNED = {"refused": "cannot be pruned", "failed": "cannot be pruned: PaddleClas's code of it cannot be recorded"}
"""What docs/coverage says of a family -> what a row says."""
NOT_MEASURED = "latency and accuracy were not measured"
ALIGN = {"resnet": "16", "micronet": "1"}
"""16 is about a tenth faster on CPUs (docs/configuration.md); MicroNet has prunable channels by the two."""
TWICE = 2.0
SIZES = {True: 102.5 / 7.2, False: 102.5 / 26.2}
"""MB of ResNet50_vd's weights, FP32 : pruned by half and int8, or int8 alone (README.md)."""
ALIGNED = 73.3 / 41.5
"""Milliseconds of ResNet50_vd in Paddle Inference, dense : pruned 0.3 in multiples of 16 (README.md)."""
EMPTY = Recipe(*[""] * len(fields(Recipe)))


def _rows_of(file: str) -> list[dict[str, str]]:
    with (ROOT / file).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


class Measured:
    """The figures, by backbone and engine."""

    def __init__(self) -> None:
        engines = {name: key for key, name in NAMES.items()}
        self.int8 = {(row["backbone"], engines[row["engine"]]): row for row in _rows_of(ENGINES)}
        asked = [row for row in _rows_of(SPEEDUP) if float(row["asked"]) == TWICE and not row["error"]]
        self.speedup = {(row["backbone"], row["engine"]): row for row in asked}
        self.coverage = {row["file"]: row for row in _rows_of(COVERAGE) if row["job"] == "prune"}

    def engines_of(self, family: Mapping[str, str]) -> list[str]:
        """Those that anything was measured on; the fastest in int8 first."""
        speed = family["speed"]
        found = [name for name in NAMES if (speed, name) in self.int8 or (family["latency"], name) in self.speedup]
        return sorted(found, key=lambda name: _int8_ms(self.int8[speed, name]) if (speed, name) in self.int8 else 0.0)


def _int8_ms(row: Mapping[str, str]) -> float:
    return float(row["auto_speed_ms"] or row["int8_ms"])


def make_rows() -> list[Recipe]:
    """The whole table."""
    measured = Measured()
    with (FOLDER / "families.csv").open(encoding="utf-8", newline="") as opened:
        families = list(csv.DictReader(opened))
    found = [row for family in families for goal in GOALS for row in _of_family(family, goal, measured)]
    nothing = {"family": DEFAULT, "speed": "", "latency": "", "coverage": ""}
    return [*found, *(row for goal in GOALS for row in _of_family(nothing, goal, measured))]


def _of_family(family: Mapping[str, str], goal: str, measured: Measured) -> Iterator[Recipe]:
    for engine in measured.engines_of(family):
        yield _with_figures(_asked(family, goal, engine, measured), family, engine, measured)
    if family["family"] == "resnet":
        yield from _on_gpus(goal)
    if family["family"] == "cifar_resnet":
        yield from _cifar(goal)
    yield _asked(family, goal, ANY, measured)


def _asked(family: Mapping[str, str], goal: str, engine: str, measured: Measured) -> Recipe:
    """What is written into the section, and the share of FLOPs that goes."""
    row = replace(EMPTY, family=family["family"], goal=goal, engine=engine, quantizer="pact", epochs=str(EPOCHS))
    row = replace(row, learning_rate=str(RATE), skip="auto auto-speed" if goal == "accurate" else "auto-speed")
    covered = measured.coverage.get(family["coverage"], {})
    if covered.get("result") in NOT_PRUNED:
        return replace(row, note=NOT_PRUNED[covered["result"]], source=COVERAGE)
    row = replace(row, note=NOT_MEASURED if engine == ANY else "")
    if goal == "accurate":
        return row
    align = ALIGN.get(family["family"], "8")
    ratio = "0.3" if goal == "fast" else "0.5"
    row = replace(row, criterion=CRITERION, budget="pruned_ratio", value=ratio, align=align)
    if goal == "fast" and covered:
        removed = f"{float(covered['flops_removed']):.2f}"
        row = replace(row, flops_removed=removed, backbone=covered["backbone"], source=COVERAGE)
    return row


def _with_figures(row: Recipe, family: Mapping[str, str], engine: str, measured: Measured) -> Recipe:
    """What came of it in this engine."""
    sources, backbone = [], row.backbone
    timed = measured.speedup.get((family["latency"], engine))
    if timed is not None and row.goal == "fast" and row.prunes:
        row = replace(row, budget="speedup", value=str(TWICE), align="auto", pruned_times=_times(timed["times"]))
        row = replace(row, flops_removed=f"{float(timed['flops_removed']):.2f}")
        sources, backbone = [SPEEDUP], family["latency"]
    elif row.source:
        sources = [row.source]
    int8 = measured.int8.get((family["speed"], engine))
    if int8 is not None:
        bf16 = _times(float(int8["fp32_ms"]) / float(int8["bf16_ms"])) if int8["bf16_ms"] else ""
        row = replace(row, int8_times=_times(float(int8["fp32_ms"]) / _int8_ms(int8)), bf16_times=bf16)
        if float(row.int8_times) >= ENOUGH:
            row = replace(row, skip=row.skip.replace("auto-speed", "").strip())
        sources, backbone = [*sources, ENGINES], family["speed"]
    if family["family"] == "resnet":
        row, sources = _resnet(row, engine, sources, measured)
    row = replace(row, backbone=backbone, source=" ".join(sources))
    return row if row.source or row.note else replace(row, note=NOT_MEASURED)


def _resnet(row: Recipe, engine: str, sources: list[str], measured: Measured) -> tuple[Recipe, list[str]]:
    """ResNet50_vd was also pruned by half and quantized, and its files were weighed."""
    if row.goal == "fast" and engine == "paddle":
        row, sources = replace(row, pruned_times=_times(ALIGNED)), [*sources, "README.md"]
    if row.goal != "fast":
        row, sources = replace(row, smaller=_times(SIZES[row.prunes])), [*sources, "README.md"]
    if row.goal == "small":
        both = measured.int8["ResNet50_vd@0.5", engine]
        row = replace(row, both_times=_times(both["gain"]))
    return row, sources


def _on_gpus(goal: str) -> Iterator[Recipe]:
    """ResNet50_vd on an H100: FP16 and `prefer_nhwc` at batch 128; int8 was not run in TensorRT."""
    dense, times = None, {}
    for line in (ROOT / "docs/deploy/onnx.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and re.fullmatch(r"dense|0\.\d, align \d+", cells[0]):
            taken = float(cells[-1].split("/")[-1])
            dense = dense or taken
            times[cells[0]] = _times(dense / taken)
    for engine in ("onnx-gpu", "tensorrt"):
        row = replace(EMPTY, family="resnet", goal=goal, engine=engine, backbone="ResNet50_vd")
        row = replace(row, source="docs/deploy/onnx.md")
        if engine == "tensorrt":
            row = replace(row, source="docs/deploy/onnx.md docs/deploy/tensorrt.md")
            row = replace(row, quantizer="pact", epochs=str(EPOCHS), learning_rate=str(RATE), skip="")
            row = replace(row, note="int8 has not been run in TensorRT yet")
        if goal == "accurate" and engine == "onnx-gpu":
            row = replace(row, criterion=CRITERION, budget="pruned_ratio", value="0.3", align="32")
            row = replace(
                row, pruned_times=times["0.3, align 32"], note="FP16, batch 128; nothing is gained at batch 1"
            )
        elif goal != "accurate":
            row = replace(row, criterion=CRITERION, budget="pruned_ratio", value="0.5", align="16")
            note = "FP16, batch 128; nothing is gained at batch 1"
            note = f"{note}; {row.note}" if row.note else note
            row = replace(row, pruned_times=times["0.5, align 16"], note=note)
        yield row


def _cifar(goal: str) -> Iterator[Recipe]:
    row = replace(EMPTY, family="cifar_resnet", goal=goal, engine="onnx", quantizer="pact", learning_rate=str(RATE))
    if goal == "fast":
        row = replace(row, criterion=CRITERION, budget="speedup", value=str(TWICE), align="auto", epochs=str(EPOCHS))
        yield replace(row, pruned_times="2.04", backbone="CifarResNet8", source="README.md")
    if goal == "accurate":
        note = "int8 stays within 0.2 points of top-1 on CIFAR-10, by calibration alone"
        row = replace(row, skip="auto", epochs="1", note=note, backbone="CifarResNet20 to 56")
        yield replace(row, source="docs/reproduction.md")


def _times(value: object) -> str:
    return f"{float(str(value)):.2f}"


def as_csv(rows: Sequence[Recipe]) -> str:
    """The table as a file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Recipe)])
    writer.writerows(map(astuple, rows))
    return text.getvalue()


MARK = "<!-- table: python -m benchmarks.recipes -->\n"
HEADINGS = {
    "docs/recipes.md": "family | goal | engine | prune | quantize | pruned | int8 | BF16 | both | weights | sources",
    "docs/recipes.zh.md": "系列 | 目标 | 引擎 | 剪枝 | 量化 | 剪枝倍数 | int8 | BF16 | 两者 | 权重缩小 | 出处",
}


def with_table(page: str, rows: Sequence[Recipe]) -> str:
    """The text of a page, with the rows of the fastest engine of every family that was timed."""
    text = (ROOT / page).read_text(encoding="utf-8").partition(MARK)[0]
    first = {(row.family, row.goal): row for row in reversed(rows)}
    shown = [row for row in rows if row is first[row.family, row.goal] and (row.pruned_times or row.int8_times)]
    lines = [f"| {HEADINGS[page]} |", "| --- " * len(HEADINGS[page].split("|")) + "|"]
    for row in shown:
        prune = f"`{row.budget}: {row.value}`" if row.prunes else ""
        figures = (row.pruned_times, row.int8_times, row.bf16_times, row.both_times, row.smaller)
        sources = ", ".join(Path(one).name for one in row.source.split())
        skip = f", `skip: [{', '.join(row.skip.split())}]`" if row.skip else ""
        cells = (row.family, row.goal, row.engine, prune, f"`{row.quantizer}`{skip}", *figures, sources)
        lines.append(f"| {' | '.join(cells)} |")
    return text + MARK + "\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    table = make_rows()
    (FOLDER / "recipes.csv").write_text(as_csv(table), encoding="utf-8")
    for name in HEADINGS:
        (ROOT / name).write_text(with_table(name, table), encoding="utf-8")
