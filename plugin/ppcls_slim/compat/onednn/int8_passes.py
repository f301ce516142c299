"""What oneDNN's int8 passes of Paddle 2.6.2 and 3.3.1 need to be told, or get wrong, in an exported quantized model.

All of it is done to the file, so that it is right wherever Paddle Inference runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..paddle import paddle
from ..qat_layers import CONVOLVED, QUANTIZERS, RELU_OPS, producers_of, program_of

SCALE_KEEPING = ("pool2d", "reshape2", "transpose2", "slice", "split", "nearest_interp", "nearest_interp_v2")
WEIGHT_QUANTIZERS = ("dequantize_linear", "fake_channel_wise_quantize_dequantize_abs_max")
NEIGHBOURS = 9  # so many an average may be taken of and keep their scale: windows of 3x3, as in Inception


def prepare_for_onednn(path: Path, batches: Sequence[np.ndarray]) -> list[str]:
    """Tell oneDNN in an exported model's attributes what it has to know to run in int8, fast and at all.

    Run plainly, the model computes what it did. On 2.6.2 and 3.3.1:

    - ``cpu_quantize_pass`` runs a convolution with an addition fused into it in float32 unless it knows the scales
      of the added feature map and of the result; the quantizers of training stand before convolutions only, so a
      projection shortcut and the last sum have none. They get ``out_threshold``, from which the pass reads scales.
    - oneDNN's convolution writes its sum with a shortcut in the integers of the shortcut. What a ReLU gave is
      unsigned, so that a sum without a ReLU behind it loses all that is negative: the first block of MixNet was
      wrong by half. The shortcut then goes through an ``assign``, behind which nothing is known of its sign.
    - ``cpu_quantize_pass`` joins feature maps of signed and of unsigned integers, and stops: ``could not create a
      primitive descriptor for a concat primitive``. Such a ``concat`` gets ``skip_quant`` and runs in float32.
    - ``compute_propagate_scales_onednn_pass`` gives all inputs of a ``concat`` the scale of its output. A pooling
      that makes one then reads its own input at another scale: all it gives is wrong by a factor, without a word.
      Such operators get ``skip_quant`` too.
    - The same pass gives the input of a pooling or a ``split`` that has no scale the one of the output, and the
      output the one of an input that has one. An average over a map is much smaller than what it is taken of, so
      that either the input is clipped or the output has a few steps only: squeeze-and-excitation blocks of ESNet
      were wrong by half. Such averages run in float32, with an ``assign`` behind them where the scales end; other
      inputs get ``out_threshold``. (Averages of a few neighbours, as in the shortcuts of ResNet_vd, stay in int8:
      in float32 they take 7 % of the network's time.)
    - The same pass takes ``scale`` for a multiplication even where it adds a constant (a half taken off in
      MicroNet): an ``assign`` behind it, too.
    - The same pass and ``quant_dequant_onednn_pass`` read the scales of linear layers wrong, see
      :func:`_as_onednn_reads`. Where that changes a weight more than one scale for all columns would, it gets one,
      see :func:`_scale_once`.
    - ``quant_transpose2_dequant_onednn_fuse_pass`` makes one operator of a transposition, the quantization before it
      and the one back behind it, with the scale of the latter alone; without the former, too, the numbers are wrong:
      what UniFormer and Twins-PCPVT take for their positions was divided by 127 / scale. All transpositions get
      ``skip_quant``.
    - Sizes that tracing leaves to be computed, though only the batch is unknown, make thousands of operators, and
      every pass looks at pairs of them: CSWinTransformer took minutes to load. ``reshape2`` gets them as numbers.
    - oneDNN's ``slice`` cannot give an empty map, of which SVTR joins one to its positions: ``could not reshape a
      memory descriptor``. It is left out.

    Args:
        path: of :func:`.qat_layers.save_quantized`; written in place.
        batches: inputs ``[n, C, H, W]``; a scale is the mean over them of the largest magnitude.

    Returns:
        Names of the weights of linear layers that have one scale for all columns in oneDNN.
    """
    with program_of(path) as (executor, program, feeds, fetches):
        block = program.global_block()
        _copy_unsigned_shortcuts(block)
        producers = producers_of(block)
        maps = _without_scale(block, producers)
        linear = _linear_layers(block, producers)
        fetched = [*maps, *(weight for _, weight, _ in linear)]
        largest = np.zeros(len(maps))
        weights: list[np.ndarray] = []
        for images in batches if fetched else ():
            values = executor.run(program, feed={feeds[0]: images}, fetch_list=fetched)
            largest += [float(np.abs(one).max()) / len(batches) for one in values[: len(maps)]]
            weights = values[len(maps) :]
        for name, value in zip(maps, largest):
            producers[name]._set_attr("out_threshold", float(value))
        rescaled = []
        for (op, name, stored), weight in zip(linear, weights):
            read = _as_onednn_reads(weight, integers=producers[name].type == "dequantize_linear")
            if _change(weight, read) > _change(weight, _rounded(weight, np.abs(weight).max())):
                _scale_once(block, op, producers[name], float(np.abs(weight).max()))
                rescaled.append(stored)
        for op in _to_stay_float(block, producers):
            op._set_attr("skip_quant", 1)
        _end_scales(block)
        _leave_out_empty(block)
        _write_sizes(block)
        inputs = [block.var(name) for name in feeds]
        paddle.static.save_inference_model(str(path), inputs, fetches, executor, program=program, clip_extra=True)
    return rescaled


def _linear_layers(block: Any, producers: Mapping[str, Any]) -> list[tuple[Any, str, str]]:
    """Operators of quantized linear layers, the weight ``[in, out]`` that they compute with, and the stored one."""
    found = []
    for op in block.ops:
        name = op.input("Y")[0] if op.type == "matmul_v2" else ""
        if name in producers and producers[name].type in WEIGHT_QUANTIZERS:
            stored = block.var(producers[name].input("X")[0])
            if stored.persistable and len(stored.shape) == 2:
                found.append((op, name, stored.name))
    return found


def _as_onednn_reads(weight: np.ndarray, integers: bool) -> np.ndarray:
    """The weight of a linear layer that oneDNN computes with, by the two passes of 2.6.2 and 3.3.1.

    ``quant_dequant_onednn_pass`` takes as many scales as there are rows for scales of the rows, also where there are
    as many columns (``ConvertFromINT8ToFP32``). ``compute_propagate_scales_onednn_pass`` then takes the largest
    magnitude of ``in`` values that lie one behind the other for that of a column (``GetScales``): what is larger is
    clipped.

    Args:
        weight: ``[in, out]``, on the grid of its columns.
        integers: whether it is stored as such (``onnx_format``).
    """
    rows, columns = weight.shape
    if integers and rows == columns:
        scales = np.abs(weight).max(axis=0)
        weight = weight / np.where(scales > 0, scales, 1) * scales[:, None]
    return _rounded(weight, np.abs(weight).reshape(columns, rows).max(axis=1))


def _rounded(weight: np.ndarray, largest: Any) -> np.ndarray:
    """Round to 8 bits, with scales for columns or one for all."""
    step = np.where(largest > 0, largest, 1) / 127
    return np.clip(np.round(weight / step), -127, 127) * step


def _change(weight: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(other - weight))


def _scale_once(block: Any, op: Any, maker: Any, largest: float) -> None:
    """Give a linear layer one scale for all columns in oneDNN, and what was trained elsewhere.

    The passes take a scale that a variable has from ``out_threshold`` for granted, and a weight is none before
    ``constant_folding_pass`` has made one of a product: of integers and the steps of the columns, or of a weight that
    is stored in floats and ones (a mere copy is taken out too early).
    """
    source = op.input("Y")[0]
    name = f"{source}.weight"
    if block.has_var(name):  # a layer that is called twice
        op._rename_input(source, name)
        return
    place = next(i for i, one in enumerate(block.ops) if one.output_arg_names == op.output_arg_names)
    stored, scope, given = block.var(maker.input("X")[0]), paddle.static.global_scope(), block.var(source)
    factor = np.ones(given.shape[1], dtype=np.float32)
    if maker.type == "dequantize_linear":
        factor = np.array(scope.find_var(maker.input("Scale")[0]).get_tensor()).astype(np.float32) / 127
        given = block.create_var(name=f"{source}.whole", shape=stored.shape, dtype="float32")
        types = {"in_dtype": stored.dtype, "out_dtype": given.dtype}
        block._insert_op(place, type="cast", inputs={"X": stored}, outputs={"Out": given}, attrs=types)
        place += 1
    factors = block.create_var(name=f"{source}.factors", shape=factor.shape, dtype="float32", persistable=True)
    scope.var(factors.name).get_tensor().set(factor, paddle.CPUPlace())
    weight = block.create_var(name=name, shape=given.shape, dtype="float32")
    product = {"inputs": {"X": given, "Y": factors}, "outputs": {"Out": weight}}
    block._insert_op(place, type="elementwise_mul", **product)._set_attr("out_threshold", largest)
    op._rename_input(source, name)


def _write_sizes(block: Any) -> None:
    """Let every ``reshape2`` of which one size alone is unknown find it."""
    for op in block.ops:
        if op.type == "reshape2" and op.attr("shape").count(-1) <= 1:
            op.desc.set_input("ShapeTensor", [])
            op.desc.set_input("Shape", [])


def _without_scale(block: Any, producers: Mapping[str, Any]) -> list[str]:
    """What residual additions add and give, activated, and what is pooled or taken apart; unless it is quantized."""
    known = _quantized(block)
    convolved = {name for op in block.ops if op.type in CONVOLVED for name in op.output_arg_names}
    names: list[str] = []
    for op in block.ops:
        if op.type in SCALE_KEEPING and not _averages(op):
            names += [
                name
                for name in op.input("Input" if op.type == "slice" else "X")
                if name in producers and len(block.var(name).shape) == 4
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
        if any(_convolves_rectified(producers, name) for name in convolved.intersection(terms)):
            names += [user.output("Out")[0] for user in users if user.type in RELU_OPS]
    return [name for name in dict.fromkeys(names) if name not in known]


def _convolves_rectified(producers: Mapping[str, Any], name: str) -> bool:
    """Whether a feature map is a convolution, normalized or not, of what a ReLU gave."""
    op = producers.get(name)
    while op is not None and op.type in (*CONVOLVED, *QUANTIZERS):
        op = producers.get(op.input("Input" if "conv2d" in op.type else "X")[0])
    return op is not None and op.type in RELU_OPS


def _copy_unsigned_shortcuts(block: Any) -> None:
    """Put a copy before additions of an unsigned map to a convolved one, unless only a ReLU reads the sum."""
    producers = producers_of(block)
    for place in reversed([i for i, op in enumerate(block.ops) if op.type == "elementwise_add"]):
        op = block.ops[place]
        terms = [op.input("X")[0], op.input("Y")[0]]
        if not any(name in producers and producers[name].type in CONVOLVED for name in terms):
            continue
        readers = _readers(block, op.output("Out")[0])
        if len(readers) == 1 and readers[0].type in RELU_OPS:
            continue
        for name in terms:
            if _is_unsigned(producers, name):
                shortcut = block.var(name)
                copy = block.create_var(name=f"{name}.{place}.signed", shape=shortcut.shape, dtype=shortcut.dtype)
                op._rename_input(name, copy.name)
                block._insert_op(place, type="assign", inputs={"X": shortcut}, outputs={"Out": copy})


def _is_unsigned(producers: Mapping[str, Any], name: str) -> bool:
    """Whether oneDNN knows that nothing in a feature map is negative: it is a ReLU's, pooled or not."""
    op = producers.get(name)
    while op is not None and op.type in SCALE_KEEPING:
        op = producers.get(op.input("Input" if op.type == "slice" else "X")[0])
    return op is not None and op.type in RELU_OPS


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


def _to_stay_float(block: Any, producers: Mapping[str, Any]) -> list[Any]:
    """Averages, transpositions, concatenations of different or unknown signs, and what hands a map on to one."""
    found = []
    quantized = _quantized(block)
    for op in block.ops:
        if _averages(op) or op.type == "transpose2":
            found.append(op)
        if op.type == "concat":
            found += [
                producers[name]
                for name in op.input("X")
                if name in producers and producers[name].type in SCALE_KEEPING
            ]
            if not _of_one_sign(producers, op.input("X"), quantized):
                found.append(op)
    return found


def _of_one_sign(producers: Mapping[str, Any], names: Sequence[str], quantized: set[str]) -> bool:
    """Whether all are signed integers (from a convolution), or all unsigned ones (from a ReLU).

    What a ReLU gives is unsigned by a scale of its own only; one that the ``concat`` gave is signed (GhostNet).
    """
    kinds = {producers[name].type if name in producers else "" for name in names}
    return kinds <= set(CONVOLVED) or (kinds <= set(RELU_OPS) and quantized.issuperset(names))


def _quantized(block: Any) -> set[str]:
    """Feature maps that a quantizer reads."""
    return {op.input("X")[0] for op in block.ops if op.type.startswith(("quantize_linear", "fake_quantize"))}


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
