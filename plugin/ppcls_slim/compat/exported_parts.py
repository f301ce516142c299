"""Split an exported quantized program into parts that can be run one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .exported_layers import LAYERS
from .legacy_program import RELU_OPS, producers_of, program_of
from .paddle import paddle

FUSED = ("batch_norm", "hard_sigmoid", "hard_swish", "leaky_relu", "prelu", "relu", "relu6", "sigmoid", "swish")
"""Operators that oneDNN fuses into the convolution before them: their input does not exist in int8."""


@dataclass(frozen=True)
class Part:
    """Consecutive operators of an exported program, saved as a program of its own.

    Attributes:
        folder: where.
        input: as the whole program computes it in a reference run.
        output: as the whole program computes it in a reference run.
        layers: how many convolutions and linear layers it has.
    """

    folder: Path
    input: np.ndarray
    output: np.ndarray
    layers: int


def save_parts(path: Path, images: np.ndarray, folder: Path, most: int) -> list[Part]:
    """Split an exported file where all that is computed later comes from one feature map.

    Args:
        path: without suffix, of :func:`.qat_export.save_quantized`.
        images: ``[n, C, H, W]``.
        folder: exists; gets a folder for every part, with a file of the same name.
        most: number of parts; fewer where there are not as many such places.
    """
    with program_of(path) as (executor, program, feeds, fetches):
        block = program.global_block()
        producers = producers_of(block)
        inner = _split_points(block, producers, feeds[0])
        chosen = sorted({round(i * len(inner) / most) for i in range(1, most)}) if inner else []
        last = producers[fetches[0].name]
        end = last.input("X")[0] if last.type == "softmax" else fetches[0].name
        names = [feeds[0], *(inner[i] for i in chosen if i < len(inner)), end]
        values = executor.run(program, feed={feeds[0]: images}, fetch_list=names[1:])
        parts = []
        for i, (source, output) in enumerate(zip([images, *values], values)):
            part = folder / f"{i}"
            part.mkdir()
            ends = [[block.var(name)] for name in names[i : i + 2]]
            paddle.static.save_inference_model(
                str(part / path.name), *ends, executor, program=program, clip_extra=True
            )
            operators = paddle.static.normalize_program(program, *ends).global_block().ops
            parts.append(Part(part, source, output, sum(op.type in LAYERS for op in operators)))
    return parts


def _split_points(block: Any, producers: Mapping[str, Any], start: str) -> list[str]:
    """Quantized feature maps that are all that later operators need, in order; none that oneDNN fuses away."""
    ops = [op for op in block.ops if op.type not in ("feed", "fetch")]
    constant = {name for name, var in block.vars.items() if var.persistable}
    users: dict[str, list[int]] = {}
    for i, op in enumerate(ops):
        if constant.issuperset(op.input_arg_names):
            constant.update(op.output_arg_names)
        for name in op.input_arg_names:
            users.setdefault(name, []).append(i)
    found: list[str] = []
    live = {start}
    for i, op in enumerate(ops):
        known = (*live, *op.output_arg_names)
        live = {name for name in known if name not in constant and users.get(name, [0])[-1] > i}
        if len(live) == 1:
            (name,) = live
            kinds = {ops[user].type for user in users[name]}
            if "quantize_linear" in kinds and name != start and kinds.isdisjoint(FUSED):
                found.append(_before_relu(producers, name, users))
    return list(dict.fromkeys(found))


def _before_relu(producers: Mapping[str, Any], name: str, users: Mapping[str, Sequence[int]]) -> str:
    """Return the input of the ReLU that gives a feature map, if nothing else reads it; else the feature map.

    A part has to see that its input is unsigned: a shortcut of unknown sign makes oneDNN's sums signed, and "could
    not create a descriptor for a pooling forward propagation primitive" where such a sum is pooled.
    """
    op = producers.get(name)
    if op is None or op.type not in RELU_OPS or len(users.get(op.input("X")[0], ())) > 1:
        return name
    return str(op.input("X")[0])
