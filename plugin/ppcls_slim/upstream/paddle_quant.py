"""PaddleSlim 2.6.0's QAT and what lies below it in Paddle 2.6.2 and 3.3.1."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .old_functions import traced_into_old_programs
from .onednn import norms_written_out, paddings_in_pad3d
from .paddle_lines import paddle
from .paddleslim_mends import load_paddleslim, old_programs
from .ppcls_mends import replaced

CONVOLVED = ("conv2d", "depthwise_conv2d", "batch_norm")
RECTIFIERS = ("relu", "relu6")
SCALE_KEEPING = ("pool2d", "reshape2", "transpose2", "slice", "split", "nearest_interp", "nearest_interp_v2")
LAYERS = {
    "conv2d": ("Input", "Filter"),
    "depthwise_conv2d": ("Input", "Filter"),
    "conv2d_transpose": ("Input", "Filter"),
    "matmul_v2": ("X", "Y"),
}
NEIGHBOURS = 9  # so many an average may be taken of and keep their scale: windows of 3x3, as in Inception
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
        SlimError: the model calls a function that cannot be written, see :func:`traced_into_old_programs`.
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
            old_programs(),
            traced_into_old_programs(),
            paddings_in_pad3d(),
        ):
            quantizer.save_quantized_model(model, str(path), input_spec=[spec])
    finally:
        paddle.disable_static()


def prepare_for_onednn(path: Path, batches: Sequence[np.ndarray]) -> list[str]:
    """Tell oneDNN in an exported model's attributes what it has to know to run in int8, fast and at all.

    Run plainly, the model computes what it did. On 2.6.2 and 3.3.1:

    - ``cpu_quantize_pass`` runs a convolution with an addition fused into it in float32 unless it knows the scales
      of the added feature map and of the result; the quantizers of training stand before convolutions only, so a
      projection shortcut and the last sum have none. They get ``out_threshold``, from which the pass reads scales.
    - The same pass joins feature maps of signed and of unsigned integers, and stops: ``could not create a primitive
      descriptor for a concat primitive``. Such a ``concat`` gets ``skip_quant`` and runs in float32.
    - ``compute_propagate_scales_onednn_pass`` gives all inputs of a ``concat`` the scale of its output. A pooling
      that makes one then reads its own input at another scale: all it gives is wrong by a factor, without a word.
      Such operators get ``skip_quant`` too.
    - The same pass gives the input of a pooling or a ``split`` that has no scale the one of the output, and the
      output the one of an input that has one. An average over a map is much smaller than what it is taken of, so
      that either the input is clipped or the output has a few steps only: squeeze-and-excitation blocks of ESNet
      were wrong by half. Such averages run in float32, with an ``assign`` behind them where the scales end; other
      inputs get ``out_threshold``. (Averages of a few neighbours, as in the shortcuts
      of ResNet_vd, stay in int8: in float32 they take 7 % of the network's time.)
    - The same pass takes ``scale`` for a multiplication even where it adds a constant (1 plus what a ``split`` gave,
      in MicroNet): an ``assign`` behind it, too.
    - oneDNN's ``slice`` cannot give an empty map, of which SVTR joins one to its positions: ``could not reshape a
      memory descriptor``. It is left out.
    - oneDNN's convolution writes its sum with a shortcut in the integers of the shortcut. What a ReLU gave is
      unsigned, so that a sum without a ReLU behind it loses all that is negative: the first block of MixNet was
      wrong by half. The shortcut then goes through an ``assign``, behind which nothing is known of its sign.
    - ``quant_transpose2_dequant_onednn_fuse_pass`` makes one operator of a transposition, the quantization before it
      and the one back behind it, with the scale of the latter alone; without the former, too, the numbers are wrong:
      what UniFormer, CvT and Twins-PCPVT take for their depthwise positions was divided by 127 / scale. All
      transpositions get ``skip_quant``.

    Args:
        path: of :func:`save_quantized`; written in place.
        batches: inputs ``[n, C, H, W]``; a scale is the mean over them of the largest magnitude.

    Returns:
        The feature maps that were given a scale.
    """
    with _program(path) as (executor, program, feeds, fetches):
        block = program.global_block()
        _copy_unsigned_shortcuts(block)
        makers = _makers(block)
        names = _without_scale(block, makers)
        largest = np.zeros(len(names))
        for images in batches if names else ():
            maps = executor.run(program, feed={feeds[0]: images}, fetch_list=names)
            largest += [float(np.abs(one).max()) / len(batches) for one in maps]
        for name, value in zip(names, largest):
            makers[name]._set_attr("out_threshold", float(value))
        for op in _to_stay_float(block, makers):
            op._set_attr("skip_quant", 1)
        _end_scales(block)
        _leave_out_empty(block)
        inputs = [block.var(name) for name in feeds]
        paddle.static.save_inference_model(str(path), inputs, fetches, executor, program=program, clip_extra=True)
    return names


@contextmanager
def _program(path: Path) -> Iterator[Any]:
    """An executor and the program of a file, its inputs' names and its outputs, in static mode."""
    was_dynamic = paddle.in_dynamic_mode()
    paddle.enable_static()
    try:
        with paddle.static.scope_guard(paddle.static.Scope()), old_programs():
            executor = paddle.static.Executor(paddle.CPUPlace())
            yield (executor, *paddle.static.load_inference_model(str(path), executor))
    finally:
        if was_dynamic:
            paddle.disable_static()


def _makers(block: Any) -> dict[str, Any]:
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
    with _program(path) as (executor, program, feeds, _):
        block = program.global_block()
        makers: dict[str, Any] = {}  # so far: quantizers of one map for several layers give it the same name
        found = []
        for op in block.ops:
            makers.update(dict.fromkeys(op.output_arg_names, op))
            if op.type not in LAYERS:
                continue
            data, weight = (op.input(key)[0] for key in LAYERS[op.type])
            stored = _before(makers, weight)
            if block.var(stored).persistable:
                quantized = data in makers and makers[data].type in QUANTIZERS
                given = _before(makers, _before(makers, data)) if quantized else None
                scale = makers[data].input("Scale")[0] if quantized else None
                found.append((stored, weight, given, scale, op.output_arg_names[0]))
        fetched = list(dict.fromkeys(name for _, *names in found for name in names if name is not None))
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
    """Cut a file of :func:`save_quantized` where all that is computed later comes from one feature map.

    Args:
        path: without suffix.
        images: ``[n, C, H, W]``.
        folder: exists; gets a folder for every part, with a file of the same name.
        most: number of parts; fewer where there are not as many such places.
    """
    with _program(path) as (executor, program, feeds, fetches):
        block = program.global_block()
        inner = _cuts(block, _makers(block), feeds[0])
        chosen = sorted({round(i * len(inner) / most) for i in range(1, most)}) if inner else []
        last = _makers(block)[fetches[0].name]
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


def _cuts(block: Any, makers: Mapping[str, Any], start: str) -> list[str]:
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
                found.append(_unrectified(makers, name, readers))
    return list(dict.fromkeys(found))


def _unrectified(makers: Mapping[str, Any], name: str, readers: Mapping[str, Sequence[int]]) -> str:
    """What a map is the ReLU of, if that alone reads it: a part has to see that what it begins with is unsigned.

    A shortcut of unknown sign makes oneDNN's sums signed, and "could not create a descriptor for a pooling forward
    propagation primitive" where such a sum is pooled.
    """
    maker = makers.get(name)
    if maker is None or maker.type not in RECTIFIERS or len(readers.get(maker.input("X")[0], ())) > 1:
        return name
    return str(maker.input("X")[0])


def _before(makers: Mapping[str, Any], name: str) -> str:
    """What a (de)quantizer that makes a map reads, or the map itself."""
    op = makers.get(name)
    return op.input("X")[0] if op is not None and op.type in QUANTIZERS else name


def _without_scale(block: Any, makers: Mapping[str, Any]) -> list[str]:
    """What residual additions add and give, activated, and what is pooled or taken apart; unless it is quantized."""
    known = _quantized(block)
    convolved = {name for op in block.ops if op.type in CONVOLVED for name in op.output_arg_names}
    names: list[str] = []
    for op in block.ops:
        if op.type in SCALE_KEEPING and not _averages(op):
            names += [
                name
                for name in op.input("Input" if op.type == "slice" else "X")
                if name in makers and len(block.var(name).shape) == 4
            ]
        if op.type != "elementwise_add":
            continue
        terms, result = [op.input("X")[0], op.input("Y")[0]], op.output("Out")[0]
        shapes = {tuple(block.var(name).shape) for name in terms}
        if len(shapes) > 1 or len(shapes.pop()) != 4 or convolved.isdisjoint(terms):
            continue  # a bias, a scaling, or arithmetic of another kind
        names += terms
        users = _readers(block, result)
        # Where what is convolved may be negative, oneDNN's sum is signed, and the pass looks for an unsigned pooling
        # after it: "could not create a descriptor for a pooling forward propagation primitive".
        if any(_convolves_rectified(makers, name) for name in convolved.intersection(terms)):
            names += [user.output("Out")[0] for user in users if user.type in RECTIFIERS]
    return [name for name in dict.fromkeys(names) if name not in known]


def _convolves_rectified(makers: Mapping[str, Any], name: str) -> bool:
    """Whether a feature map is a convolution, normalized or not, of what a ReLU gave."""
    op = makers.get(name)
    while op is not None and op.type in (*CONVOLVED, *QUANTIZERS):
        op = makers.get(op.input("Input" if "conv2d" in op.type else "X")[0])
    return op is not None and op.type in RECTIFIERS


def _copy_unsigned_shortcuts(block: Any) -> None:
    """Put a copy before additions of an unsigned map to a convolved one, unless only a ReLU reads the sum."""
    makers = _makers(block)
    for place in reversed([i for i, op in enumerate(block.ops) if op.type == "elementwise_add"]):
        op = block.ops[place]
        terms = [op.input("X")[0], op.input("Y")[0]]
        if not any(name in makers and makers[name].type in CONVOLVED for name in terms):
            continue
        readers = _readers(block, op.output("Out")[0])
        if len(readers) == 1 and readers[0].type in RECTIFIERS:
            continue
        for name in terms:
            if _is_unsigned(makers, name):
                shortcut = block.var(name)
                copy = block.create_var(name=f"{name}.{place}.signed", shape=shortcut.shape, dtype=shortcut.dtype)
                op._rename_input(name, copy.name)
                block._insert_op(place, type="assign", inputs={"X": shortcut}, outputs={"Out": copy})


def _is_unsigned(makers: Mapping[str, Any], name: str) -> bool:
    """Whether oneDNN knows that nothing in a feature map is negative: it is a ReLU's, pooled or not."""
    op = makers.get(name)
    while op is not None and op.type in SCALE_KEEPING:
        op = makers.get(op.input("Input" if op.type == "slice" else "X")[0])
    return op is not None and op.type in RECTIFIERS


def _readers(block: Any, name: str) -> list[Any]:
    return [op for op in block.ops if name in op.input_arg_names]


def _averages(op: Any) -> bool:
    """Whether an average is taken of so many that it is much smaller than they are."""
    if op.type != "pool2d" or op.attr("pooling_type") != "avg":
        return False
    return bool(op.attr("adaptive") or op.attr("global_pooling") or np.prod(op.attr("ksize")) > NEIGHBOURS)


def _end_scales(block: Any) -> None:
    """Put a copy behind what changes the range of a map and passes its scale on all the same, which ends its way."""
    for place in reversed([i for i, op in enumerate(block.ops) if _averages(op) or _shifts(op)]):
        op = block.ops[place]
        output = block.var(op.output("Out")[0])
        inner = block.create_var(name=f"{output.name}.inner", shape=output.shape, dtype=output.dtype)
        op._rename_output(output.name, inner.name)
        block._insert_op(place + 1, type="assign", inputs={"X": inner}, outputs={"Out": output})


def _shifts(op: Any) -> bool:
    """Whether a constant is added to a feature map."""
    return op.type == "scale" and op.attr("bias") != 0 and len(op.block.var(op.output("Out")[0]).shape) == 4


def _leave_out_empty(block: Any) -> None:
    """Take feature maps without a value out of what they are joined to."""
    for place in reversed([i for i, op in enumerate(block.ops) if op.type == "slice"]):
        empty = block.ops[place].output("Out")[0]
        readers = _readers(block, empty)
        if 0 in block.var(empty).shape and all(op.type == "concat" for op in readers):
            for op in readers:
                op.desc.set_input("X", [name for name in op.input("X") if name != empty])
            block._remove_op(place)


def _to_stay_float(block: Any, makers: Mapping[str, Any]) -> list[Any]:
    """Averages, transpositions, concatenations of different or unknown signs, and what hands a map on to one."""
    found = []
    quantized = _quantized(block)
    for op in block.ops:
        if _averages(op) or op.type == "transpose2":
            found.append(op)
        if op.type == "concat":
            found += [makers[name] for name in op.input("X") if name in makers and makers[name].type in SCALE_KEEPING]
            if not _of_one_sign(makers, op.input("X"), quantized):
                found.append(op)
    return found


def _of_one_sign(makers: Mapping[str, Any], names: Sequence[str], quantized: set[str]) -> bool:
    """Whether all are signed integers (from a convolution), or all unsigned ones (from a ReLU).

    What a ReLU gives is unsigned by a scale of its own only; one that the ``concat`` gave is signed (GhostNet).
    """
    kinds = {makers[name].type if name in makers else "" for name in names}
    return kinds <= set(CONVOLVED) or (kinds <= set(RECTIFIERS) and quantized.issuperset(names))


def _quantized(block: Any) -> set[str]:
    """Feature maps that a quantizer reads."""
    return {op.input("X")[0] for op in block.ops if op.type.startswith(("quantize_linear", "fake_quantize"))}


def _naive(value: np.ndarray) -> Any:
    """``float(array)`` of one element in an axis, which NumPy 2.4 refuses (Paddle 2.6.2 and 3.3.1 do it)."""
    return float(value.reshape(-1)[0]) if value.size == 1 else value.tolist()


def _linked(graph: Any, first: Any, second: Any) -> None:
    """``IrGraph.link_to`` without a look through the whole graph for both nodes at every call.

    That took a third of HRNet's export, with 652 quantizers (2.6.2, 3.3.1).
    """
    first.append_output(second)
    second.append_input(first)


def not_taken_for_int8(model: paddle.nn.Layer, quantized: set[int]) -> None:
    """Keep oneDNN from taking float weights that are whole numbers for int8 ones.

    ``quant_dequant_onednn_pass`` (2.6.2, 3.3.1) calls a weight int8 when none of its values has a fraction, and
    then stops with ``Could not find threshold information``: a convolution with constant zeros and ones, say.
    One value of such a weight is moved by one unit in its last place.

    Args:
        model: about to be saved.
        quantized: ids of the weights that are quantized.
    """
    for tensor in model.state_dict().values():
        if id(tensor) in quantized or tensor.ndim not in (2, 4):
            continue
        values = tensor.numpy()
        if values.dtype == np.float32 and values.size and not np.any(values % 1):
            place = int(np.abs(values).argmax())
            moved = np.nextafter(values.reshape(-1)[place], np.float32(np.inf), dtype=np.float32)
            values.reshape(-1)[place] = max(moved, np.float32(1e-30))
            tensor.set_value(values)


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
