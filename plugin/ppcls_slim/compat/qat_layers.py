"""PaddleSlim 2.6.0's QAT and what lies below it in Paddle 2.6.2 and 3.3.1."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .legacy_ops import traced_into_legacy_ir
from .onednn.runtime import norms_written_out, paddings_in_pad3d
from .paddle import paddle
from .paddleslim import legacy_ir, load_paddleslim
from .patching import replaced

CONVOLVED = ("conv2d", "depthwise_conv2d", "batch_norm")
RELU_OPS = ("relu", "relu6")
LAYERS = {
    "conv2d": ("Input", "Filter"),
    "depthwise_conv2d": ("Input", "Filter"),
    "conv2d_transpose": ("Input", "Filter"),
    "matmul_v2": ("X", "Y"),
}
FUSED = ("batch_norm", "hard_sigmoid", "hard_swish", "leaky_relu", "prelu", "relu", "relu6", "sigmoid", "swish")
QUANTIZERS = ("quantize_linear", "dequantize_linear", "fake_quantize_dequantize_moving_average_abs_max")


def load_qat(options: dict[str, Any], **hooks: Any) -> Any:
    """Return what ``paddleslim.dygraph.quant.QAT`` drives: ``quantize(model)`` and ``save_quantized_model``.

    ``QAT.quantize`` itself also deep-copies the float model when there is a preprocess, keeps the copy, exports it
    and leaves static mode on.

    Args:
        options: PaddleSlim's configuration.
        hooks: ``weight_preprocess``, ``act_preprocess``, ``weight_quantize``, ``act_quantize``: classes or None.
    """
    load_paddleslim()
    from paddleslim.dygraph.quant import QAT

    return QAT(config=options, **hooks).imperative_qat


def quantize_inputs(quantizer: Any, model: paddle.nn.Layer) -> None:
    """``quantizer.quantize(model)`` without the observers that it puts behind every quantized layer.

    Exported with ``onnx_format`` they become quantizers between convolution and batch normalization (2.6.2, 3.3.1),
    which training never had: run as written, the model then decides otherwise than the trained one, TensorRT cannot
    fold the normalization, and a training step takes a tenth longer. oneDNN folds first and never sees them.
    """
    quantizer._quantize_inputs.apply(model)


def save_quantized(quantizer: Any, model: paddle.nn.Layer, path: Path, spec: Any) -> None:
    """``save_quantized_model`` that leaves nothing behind: no variables, no static mode.

    Args:
        quantizer: from :func:`load_qat`.
        model: quantized, in evaluation mode; it cannot be deep-copied afterwards.
        path: without suffix.
        spec: ``InputSpec`` of the input.

    Raises:
        SlimError: the model calls a function that cannot be written, see :func:`traced_into_legacy_ir`.
    """
    from paddle.base.framework import IrGraph
    from paddle.quantization.imperative import utils

    scope = paddle.static.Scope()
    try:
        with (
            paddle.static.scope_guard(scope),
            replaced(utils, fp_numpy_to_naive=_naive),
            replaced(IrGraph, link_to=_linked),
            norms_written_out(model),  # first: what is created among old programs is no tensor of the model
            legacy_ir(),
            traced_into_legacy_ir(),
            paddings_in_pad3d(),
        ):
            quantizer.save_quantized_model(model, str(path), input_spec=[spec])
    finally:
        paddle.disable_static()


@contextmanager
def program_of(path: Path) -> Iterator[Any]:
    """An executor and the program of a file, its inputs' names and its outputs, in static mode."""
    was_dynamic = paddle.in_dynamic_mode()
    paddle.enable_static()
    try:
        with paddle.static.scope_guard(paddle.static.Scope()), legacy_ir():
            executor = paddle.static.Executor(paddle.CPUPlace())
            yield (executor, *paddle.static.load_inference_model(str(path), executor))
    finally:
        if was_dynamic:
            paddle.disable_static()


def producers_of(block: Any) -> dict[str, Any]:
    """Name of a variable -> the operator that makes it (the last one, where names are given twice)."""
    return {output: op for op in block.ops for output in op.output_arg_names}


@dataclass(frozen=True)
class QuantizedOp:
    """A layer in an exported program, and what it computed.

    Attributes:
        name: of its weight.
        weight: as it is computed with.
        given: its input before it is quantized; None if the layer is float.
        scale: of its input; None if the layer is float.
        made: its output, without bias.
    """

    name: str
    weight: np.ndarray
    given: Optional[np.ndarray]
    scale: Optional[float]
    made: np.ndarray


def run_layers(path: Path, images: np.ndarray) -> list[QuantizedOp]:
    """Run a file of :func:`save_quantized` (``onnx_format``) as it is written, and return its layers in order.

    Args:
        path: without suffix.
        images: ``[n, C, H, W]``.
    """
    with program_of(path) as (executor, program, feeds, _):
        block = program.global_block()
        producers: dict[str, Any] = {}  # so far: quantizers of one map for several layers give it the same name
        found = []
        for op in block.ops:
            producers.update(dict.fromkeys(op.output_arg_names, op))
            if op.type not in LAYERS:
                continue
            data, weight = (op.input(key)[0] for key in LAYERS[op.type])
            stored = _stored_weight(producers, weight)
            if block.var(stored).persistable:
                quantized = data in producers and producers[data].type in QUANTIZERS
                given = _before(producers, _before(producers, data)) if quantized else None
                scale = producers[data].input("Scale")[0] if quantized else None
                found.append((stored, weight, given, scale, op.output_arg_names[0]))
        fetched = list(dict.fromkeys(name for one in found for name in one[1:] if isinstance(name, str)))
        values = dict(zip(fetched, executor.run(program, feed={feeds[0]: images}, fetch_list=fetched)))
    return [
        QuantizedOp(
            name,
            values[weight],
            None if given is None else values[given],
            None if scale is None else values[scale].item(),
            values[output],
        )
        for name, weight, given, scale, output in found
    ]


@dataclass(frozen=True)
class Part:
    """A stretch of an exported program, saved as a program of its own.

    Attributes:
        folder: where.
        given: its input, and
        made: its output, as the whole computes them when it is run plainly.
        layers: how many it has, convolutions and linear ones.
    """

    folder: Path
    given: np.ndarray
    made: np.ndarray
    layers: int


def save_parts(path: Path, images: np.ndarray, folder: Path, most: int) -> list[Part]:
    """ParamSlice a file of :func:`save_quantized` where all that is computed later comes from one feature map.

    Args:
        path: without suffix.
        images: ``[n, C, H, W]``.
        folder: exists; gets a folder for every part, with a file of the same name.
        most: number of parts; fewer where there are not as many such places.
    """
    with program_of(path) as (executor, program, feeds, fetches):
        block = program.global_block()
        inner = _cuts(block, producers_of(block), feeds[0])
        chosen = sorted({round(i * len(inner) / most) for i in range(1, most)}) if inner else []
        last = producers_of(block)[fetches[0].name]
        end = last.input("X")[0] if last.type == "softmax" else fetches[0].name
        names = [feeds[0], *(inner[i] for i in chosen if i < len(inner)), end]
        values = executor.run(program, feed={feeds[0]: images}, fetch_list=names[1:])
        parts = []
        for i, (given, made) in enumerate(zip([images, *values], values)):
            part = folder / f"{i}"
            part.mkdir()
            ends = [[block.var(name)] for name in names[i : i + 2]]
            paddle.static.save_inference_model(
                str(part / path.name), *ends, executor, program=program, clip_extra=True
            )
            stretch = paddle.static.normalize_program(program, *ends).global_block()
            parts.append(Part(part, given, made, sum(op.type in LAYERS for op in stretch.ops)))
    return parts


def _cuts(block: Any, producers: Mapping[str, Any], start: str) -> list[str]:
    """Quantized feature maps that are all that later operators need, in order; none that oneDNN fuses away."""
    ops = [op for op in block.ops if op.type not in ("feed", "fetch")]
    constant = {name for name, var in block.vars.items() if var.persistable}
    readers: dict[str, list[int]] = {}
    for i, op in enumerate(ops):
        if constant.issuperset(op.input_arg_names):
            constant.update(op.output_arg_names)
        for name in op.input_arg_names:
            readers.setdefault(name, []).append(i)
    found: list[str] = []
    live = {start}
    for i, op in enumerate(ops):
        known = (*live, *op.output_arg_names)
        live = {name for name in known if name not in constant and readers.get(name, [0])[-1] > i}
        if len(live) == 1:
            (name,) = live
            kinds = {ops[reader].type for reader in readers[name]}
            if "quantize_linear" in kinds and name != start and kinds.isdisjoint(FUSED):
                found.append(_unrectified(producers, name, readers))
    return list(dict.fromkeys(found))


def _unrectified(producers: Mapping[str, Any], name: str, readers: Mapping[str, Sequence[int]]) -> str:
    """What a map is the ReLU of, if that alone reads it: a part has to see that what it begins with is unsigned.

    A shortcut of unknown sign makes oneDNN's sums signed, and "could not create a descriptor for a pooling forward
    propagation primitive" where such a sum is pooled.
    """
    maker = producers.get(name)
    if maker is None or maker.type not in RELU_OPS or len(readers.get(maker.input("X")[0], ())) > 1:
        return name
    return str(maker.input("X")[0])


def _stored_weight(producers: Mapping[str, Any], name: str) -> str:
    """What a layer's weight is computed from: its (de)quantizer's input, or what is cast and multiplied by steps."""
    while name in producers and producers[name].type in (*QUANTIZERS, "elementwise_mul", "cast"):
        name = producers[name].input("X")[0]
    return name


def _before(producers: Mapping[str, Any], name: str) -> str:
    """What a (de)quantizer that makes a map reads, or the map itself."""
    op = producers.get(name)
    return op.input("X")[0] if op is not None and op.type in QUANTIZERS else name


def _naive(value: np.ndarray) -> Any:
    """``float(array)`` of one element in an axis, which NumPy 2.4 refuses (Paddle 2.6.2 and 3.3.1 do it)."""
    return float(value.reshape(-1)[0]) if value.size == 1 else value.tolist()


def _linked(graph: Any, first: Any, second: Any) -> None:
    """``IrGraph.link_to`` without a look through the whole graph for both nodes at every call.

    That took a third of HRNet's export, with 652 quantizers (2.6.2, 3.3.1).
    """
    first.append_output(second)
    second.append_input(first)


@contextmanager
def quiet_passes() -> Iterator[None]:
    """Keep the graph passes' own lines (a hundred for int8) off stdout and stderr.

    They are written by C++ without regard to ``disable_glog_info`` (2.6.2, 3.3.1). What else was written to stderr
    appears afterwards.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, Path(os.devnull).open("wb") as nowhere:
        kept = os.dup(1), os.dup(2)
        os.dup2(nowhere.fileno(), 1)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            ctypes.CDLL(None).fflush(None)  # what C++ still holds back belongs there too
            for stream, original in enumerate(kept, 1):
                os.dup2(original, stream)
                os.close(original)
            held.seek(0)
            for line in held:
                if not re.match(rb"(\x1b\[\d+m)?---", line):
                    os.write(2, line)


def round_positive(x: paddle.Tensor) -> paddle.Tensor:
    """Round values that are not negative, halves up, wherever it is called.

    Paddle 3.3.1's ``round`` and ``floor`` refuse the variables of old-style programs, as which int8 models are
    exported: ``round(): argument (position 1) must be Value, but got Variable``. ``trunc`` takes them. May go
    when int8 models are exported as PIR programs.
    """
    return paddle.round(x) if paddle.in_dynamic_mode() else paddle.trunc(x + 0.5)


def input_quantizer(layer: Any) -> Any:
    """Return the fake-quant of a quantized layer's input."""
    return layer._fake_quant_input


def set_input_quantizer(layer: Any, quantizer: paddle.nn.Layer) -> None:
    """Replace the fake-quant of a quantized layer's input."""
    layer._fake_quant_input = quantizer


def act_preprocess(layer: Any) -> Optional[paddle.nn.Layer]:
    """Return what a quantized layer applies to its input before fake-quant, or None."""
    found: Optional[paddle.nn.Layer] = layer._act_preprocess
    return found


def set_act_preprocess(layer: Any, preprocess: paddle.nn.Layer) -> None:
    """Apply ``preprocess`` to a quantized layer's input before fake-quant."""
    layer._act_preprocess = preprocess


def weight_preprocess(layer: Any) -> Optional[paddle.nn.Layer]:
    """Return what a quantized layer applies to its weight before fake-quant, or None."""
    found: Optional[paddle.nn.Layer] = layer._weight_preprocess
    return found


def set_weight_preprocess(layer: Any, preprocess: paddle.nn.Layer) -> None:
    """Apply ``preprocess`` to a quantized layer's weight before fake-quant."""
    layer._weight_preprocess = preprocess


def stored_scale(quantizer: Any) -> Optional[paddle.Tensor]:
    """Return the scale parameter ``[1]`` or ``[channels]`` of a fake-quant, None where it keeps none."""
    scale: Optional[paddle.Tensor] = getattr(quantizer, "_scale", None)
    return scale


def has_moving_average(quantizer: Any) -> bool:
    """Whether a fake-quant's scale is a moving average over the batches."""
    return hasattr(quantizer, "_accum")


def moving_average_tensors(quantizer: Any) -> list[paddle.Tensor]:
    """Return the tensors ``[1]`` of a moving average: scale, and sums over the batches of values and of weights."""
    return [quantizer._scale, quantizer._accum, quantizer._state]


def set_moving_average(quantizer: Any, value: float) -> None:
    """Set a moving average to ``value``, as if one batch had been seen."""
    for tensor, number in zip(moving_average_tensors(quantizer), (value, value, 1.0)):
        tensor.set_value(paddle.full([1], number, tensor.dtype))


def is_moving_average(name: str) -> bool:
    """Whether a name of ``state_dict()`` is a tensor of the moving average of a quantized input."""
    return name.endswith(("._scale", "._state", "._accum")) and "_weight" not in name


def is_quantized_state(names: Iterable[str]) -> bool:
    """Whether names of a ``state_dict()`` are those of a quantized model."""
    return any("_fake_quant_" in name for name in names)
