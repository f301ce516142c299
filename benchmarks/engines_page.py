"""``docs/engines.md`` and ``docs/engines.zh.md`` from the table that ``benchmarks/engines.py`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

NAMES = {"paddle": "Paddle Inference", "onnx": "ONNX Runtime", "openvino": "OpenVINO"}
ENOUGH = 1.7
"""Where int8 gains more than that, auto-speed, which takes minutes, is not tried."""


@dataclass
class Row:
    """One backbone in one engine; latencies in milliseconds, batch 1, one thread; empty: not measured."""

    backbone: str
    engine: str
    fp32_ms: Optional[float] = None
    bf16_ms: Optional[float] = None
    int8_ms: Optional[float] = None
    gain: Optional[float] = None  # fp32_ms / int8_ms
    auto_speed_ms: Optional[float] = None  # int8 with Slim.quant.skip: auto-speed
    left_float: Optional[int] = None  # layers that auto-speed left float
    int8_layers: Optional[int] = None
    layers: Optional[int] = None
    error: Optional[float] = None  # of the logits against fake-quant, relative to their norm
    nncf_ms: Optional[float] = None
    failed: str = ""


@dataclass(frozen=True)
class Words:
    """Texts of the page; the figures are the same in all languages.

    Attributes:
        title: heading.
        intro: what was measured; the format has ``enough``.
        backbone: head of the first column.
        columns: heads of the columns of an engine, a format that has ``engine``.
        best: last line, a format that has ``mean`` and ``least``.
    """

    title: str
    intro: str
    backbone: str
    columns: str
    best: str


ENGLISH = Words(
    title="# Engines",
    intro=(
        "Latency in milliseconds, batch 1, 224×224, one thread, of networks with random weights, as "
        "`python -m benchmarks.engines` measured it: each backbone in one run, in which all of its columns are timed "
        "in turns. FP32 / BF16 / int8 are those of the same network in each engine; the gain is FP32 : int8 in that "
        "engine. Where int8 gained less than {enough} times at first, `Slim.quant.skip: auto-speed` was tried (`+` "
        "the number of layers that it left float). Int8 layers are the convolutions and matrix products that the "
        "engine runs in int8, of all. The last column is NNCF's quantization of the network, in OpenVINO. "
        "ResNet50_vd@0.5 has half of its filters pruned (multiples of 16), and is compared with the dense FP32. The "
        "table behind it: [coverage/engines.csv](coverage/engines.csv)."
    ),
    backbone="backbone",
    columns="{engine} | gain | int8 layers",
    best="In the fastest engine of each: {mean:.2f} times as fast as FP32 (geometric mean), {least:.2f} at least.",
)
CHINESE = Words(
    title="# 推理引擎",
    intro=(
        "延时以毫秒计，batch 为 1，224×224，单线程，网络权重是随机的，由 `python -m benchmarks.engines` 测得："
        "每个骨干网络运行一次，各栏轮流计时。表中依次为同一网络在各引擎中的 FP32 / BF16 / int8；加速比是该引擎"
        "中的 FP32 : int8。int8 起初不到 {enough} 倍时，再试 `Slim.quant.skip: auto-speed`（`+` 之后是保持浮点"
        "的层数）。随后是引擎以 int8 运行的卷积和矩阵乘法的数量；最后一栏是 NNCF 量化同一网络后在 OpenVINO 中的"
        "延时。ResNet50_vd@0.5 剪掉了一半滤波器（通道数为 16 的倍数），与稠密的 FP32 相比。数据表："
        "[coverage/engines.csv](coverage/engines.csv)。"
    ),
    backbone="骨干网络",
    columns="{engine} | 加速比 | int8 层",
    best="各取最快的引擎：相对 FP32 的加速比几何平均为 {mean:.2f} 倍，最低 {least:.2f} 倍。",
)


def words_of(page: Path) -> Words:
    """Return the words of a page by its name: ``engines.zh.md`` is Chinese, every other one English."""
    return CHINESE if page.name.endswith(".zh.md") else ENGLISH


def page(rows: Sequence[Row], words: Words) -> str:
    """The table as Markdown."""
    columns = " | ".join(words.columns.format(engine=engine) for engine in NAMES.values())
    lines = [
        *(words.title, "", words.intro.format(enough=ENOUGH), ""),
        f"| {words.backbone} | {columns} | NNCF |",
        "| --- |" + " --- | --- | --- |" * len(NAMES) + " --- |",
    ]
    names = list(dict.fromkeys(row.backbone for row in rows))
    for name in names:
        cells, nncf = [], ""
        for engine in NAMES.values():
            row = next((one for one in rows if (one.backbone, one.engine) == (name, engine)), Row(name, engine))
            cells += _cells(row)
            nncf = nncf or _number(row.nncf_ms)
        lines.append(f"| {name} | {' | '.join(cells)} | {nncf} |")
    best = [_best_gain(rows, name) for name in names if "@" not in name]
    known = [gain for gain in best if gain is not None]
    if known:
        mean = float(np.exp(np.mean(np.log(known))))
        lines += ["", words.best.format(mean=mean, least=min(known))]
    return "\n".join(lines) + "\n"


def _best_gain(rows: Sequence[Row], name: str) -> Optional[float]:
    """Gain in the engine in which int8 is fastest."""
    measured = [row for row in rows if row.backbone == name and row.gain]
    return min(measured, key=lambda row: row.auto_speed_ms or row.int8_ms or 0.0).gain if measured else None


def _cells(row: Row) -> list[str]:
    if row.failed:
        return [row.failed.replace("|", "/"), "", ""]
    int8 = _number(row.auto_speed_ms or row.int8_ms) + (f" +{row.left_float}" if row.auto_speed_ms else "")
    times = " / ".join(part for part in (_number(row.fp32_ms), _number(row.bf16_ms), int8) if part)
    share = f"{row.int8_layers} / {row.layers}" if row.layers else ""
    return [times, f"{row.gain:.2f}" if row.gain else "", share]


def _number(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
