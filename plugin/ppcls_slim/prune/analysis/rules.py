"""What each family of operations does to labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import numpy as np

from ..trace import Operation, Tensor
from .flow import Flow, rule, unknown
from .labels import FIXED, Axis


def _channel(operation: Operation, tensor: Tensor) -> int:
    """The channel axis."""
    return len(tensor.shape) - 1 if str(operation.attrs.get("data_format", "NCHW")).endswith("C") else 1


def _on(flow: Flow, tensor: Tensor, axis: int, operation: Operation) -> Optional[Axis]:
    """The labelled axis of a tensor if it is ``axis``; another one is frozen."""
    found = flow.axis(tensor)
    if found is not None and found.axis != axis:
        flow.freeze(tensor, f"{operation.name} along it")
        return None
    return found


# Weights


@rule("conv2d", "depthwise_conv2d")
def convolution(flow: Flow, operation: Operation) -> None:
    """Weight ``[out_c, in_c / groups, k_h, k_w]``."""
    image, weight = operation.inputs[:2]
    result = operation.outputs[0]
    channel = _channel(operation, image)
    data = _on(flow, image, channel, operation)
    if weight.param is None:
        flow.freeze(image, "a weight that is computed")
        flow.freeze(weight, "a weight that is computed")
        return
    groups = int(operation.attrs.get("groups") or 1)
    if groups > 1:
        _grouped(flow, operation, data, channel, groups)
        return
    _read(flow, weight, 1, data)
    flow.carry(result, Axis(channel, flow.param(weight, 0)))


def _read(flow: Flow, weight: Tensor, axis: int, data: Optional[Axis]) -> None:
    """Tie the input axis of a weight to what it is multiplied with."""
    flow.param(weight, axis, np.full(weight.shape[axis], FIXED) if data is None else data.labels)
    flow.inputs.add((weight.param, axis))
    if data is not None and not data.silent:
        flow.loud.add((weight.param, axis))


def _grouped(flow: Flow, operation: Operation, data: Optional[Axis], channel: int, groups: int) -> None:
    """A group of channels in and its group of filters go together, so a unit is a whole group."""
    weight, result = operation.inputs[1], operation.outputs[0]
    filters = flow.param(weight, 0)
    if data is None:
        flow.labels.freeze(filters, "its input cannot shrink")
        return
    blocks_in = data.labels.reshape(groups, -1)
    blocks_out = filters.reshape(groups, -1)
    reason = "in a group of a convolution with channels that stay"
    blocks_in = flow.labels.tie(blocks_in, blocks_in[:, :1], reason)
    blocks_out = flow.labels.tie(blocks_out, blocks_in[:, :1], reason)
    flow.grouped[weight.param.rpartition(".")[0]] = blocks_out[:, 0]
    flow.carry(result, Axis(channel, blocks_out.ravel()))


@rule("conv2d_transpose")
def transposed_convolution(flow: Flow, operation: Operation) -> None:
    """Weight ``[in_c, out_c / groups, k_h, k_w]``."""
    image, weight = operation.inputs[:2]
    if weight.param is None or int(operation.attrs.get("groups") or 1) > 1:
        unknown(flow, operation)
        return
    channel = _channel(operation, image)
    data = _on(flow, image, channel, operation)
    _read(flow, weight, 0, data)
    flow.carry(operation.outputs[0], Axis(channel, flow.param(weight, 1)))


@rule("matmul")
def product(flow: Flow, operation: Operation) -> None:
    """``x [..., m, k] @ y [..., k, n]``; a linear layer where ``y`` is a parameter ``[k, n]``."""
    x, y = operation.inputs[:2]
    if y.param is not None and len(y.shape) == 2 and not operation.attrs.get("transpose_x"):
        _linear(flow, operation, x, y)
    else:
        _product_of_results(flow, operation, x, y)


def _linear(flow: Flow, operation: Operation, x: Tensor, weight: Tensor) -> None:
    result = operation.outputs[0]
    into, out_of = (1, 0) if operation.attrs.get("transpose_y") else (0, 1)
    data = flow.axis(x)
    last = len(x.shape) - 1
    if data is not None and data.axis != last:
        flow.hold(weight, "applied along another axis")
        flow.carry(result, data)
        return
    _read(flow, weight, into, data)
    if len(x.shape) == 4 and out_of == 1:
        flow.pointwise.add(weight.param)
    flow.carry(result, Axis(len(result.shape) - 1, flow.param(weight, out_of)))


def _product_of_results(flow: Flow, operation: Operation, x: Tensor, y: Tensor) -> None:
    result = operation.outputs[0]
    a, b = flow.axis(x), flow.axis(y)
    if len(x.shape) < 2 or len(y.shape) < 2 or (a is not None and b is not None):
        flow.freeze(x, "a product of two results")
        flow.freeze(y, "a product of two results")
        return
    for tensor, axis, flipped, inner in ((x, a, "transpose_x", 1), (y, b, "transpose_y", 2)):
        if axis is None:
            continue
        rank = len(tensor.shape)
        from_end = rank - axis.axis
        if from_end <= 2 and operation.attrs.get(flipped):
            from_end = 3 - from_end
        if from_end == inner:  # summed with something that does not shrink
            flow.freeze(tensor, "a product of two results")
        elif from_end > 2:
            flow.freeze(tensor, "a product of many matrices")
        else:
            flow.carry(result, replace(axis, axis=len(result.shape) - from_end))


# Normalisation


@rule("batch_norm", "sync_batch_norm", "instance_norm")
def per_channel(flow: Flow, operation: Operation) -> None:
    """Every channel has its own statistics, scale and shift."""
    image, *vectors = operation.inputs
    data = _on(flow, image, _channel(operation, image), operation)
    if any(vector.param is None for vector in vectors) or not vectors:
        flow.freeze(image, f"{operation.name} without parameters")
        return
    if data is None:
        for vector in vectors:
            flow.hold(vector, "its input cannot shrink")
        return
    labels = data.labels
    for vector in vectors:
        labels = flow.param(vector, 0, labels)
    flow.carry(operation.outputs[0], Axis(data.axis, labels))


@rule("layer_norm")
def layer_norm(flow: Flow, operation: Operation) -> None:
    """Mean and variance are taken over the last axes: a removed channel would change them."""
    tensor, *vectors = operation.inputs
    data = flow.axis(tensor)
    for vector in vectors:
        flow.freeze(vector, "layer_norm over channels")
    if data is None:
        return
    if data.axis >= int(operation.attrs["begin_norm_axis"]) % len(tensor.shape):
        flow.freeze(tensor, "layer_norm over channels")
    else:
        flow.carry(operation.outputs[0], replace(data, silent=False))


@rule("group_norm")
def group_norm(flow: Flow, operation: Operation) -> None:
    """Mean and variance are taken over a group of channels."""
    for tensor in operation.inputs:
        flow.freeze(tensor, "group_norm over channels")


@rule("softmax", "log_softmax")
def softmax(flow: Flow, operation: Operation) -> None:
    """Exponentials are summed along one axis: a zero is not nothing there."""
    (tensor,) = operation.inputs
    data = flow.axis(tensor)
    if data is not None and data.axis == int(operation.attrs.get("axis", -1)) % len(tensor.shape):
        flow.freeze(tensor, "softmax over channels")
    elif data is not None:
        flow.carry(operation.outputs[0], replace(data, silent=False))


# Element by element

_ZERO_STAYS_ZERO = (
    "relu",
    "relu6",
    "leaky_relu",
    "gelu",
    "silu",
    "swish",
    "hardswish",
    "hard_swish",
    "mish",
    "tanh",
    "elu",
    "selu",
    "celu",
    "softsign",
    "abs",
    "sqrt",
    "square",
    "dropout",
    "cast",
    "assign",
    "share_data",
    "floor",
    "ceil",
    "round",
    "sign",
    "sin",
    "tan",
    "erf",
    "expm1",
    "log1p",
    "brelu",
    "hardtanh",
    "tanh_shrink",
    "softshrink",
    "hard_shrink",
    "thresholded_relu",
    "dropout_nd",
    "c_identity",
)
_ZERO_BECOMES_ANOTHER = ("sigmoid", "hardsigmoid", "logsigmoid", "softplus", "exp", "log", "rsqrt", "cos",
                         "reciprocal")  # fmt: skip


@rule(*_ZERO_STAYS_ZERO)
def zero_stays_zero(flow: Flow, operation: Operation) -> None:
    """A function of each element with f(0) = 0."""
    flow.carry(operation.outputs[0], flow.axis(operation.inputs[0]))


@rule(*_ZERO_BECOMES_ANOTHER)
def zero_becomes_another(flow: Flow, operation: Operation) -> None:
    """A function of each element with f(0) != 0."""
    data = flow.axis(operation.inputs[0])
    flow.carry(operation.outputs[0], data and replace(data, silent=False))


@rule("scale")
def scale(flow: Flow, operation: Operation) -> None:
    """``scale * x + bias``."""
    data = flow.axis(operation.inputs[0])
    silent = operation.attrs.get("bias", 0.0) == 0.0
    flow.carry(operation.outputs[0], data and replace(data, silent=data.silent and silent))


@rule("clip")
def clip(flow: Flow, operation: Operation) -> None:
    """``min(max(x, low), high)``."""
    data = flow.axis(operation.inputs[0])
    low, high = (_number(operation.attrs.get(name)) for name in ("min", "max"))
    silent = low is not None and high is not None and low <= 0 <= high
    flow.carry(operation.outputs[0], data and replace(data, silent=data.silent and silent))


@rule("pow")
def power(flow: Flow, operation: Operation) -> None:
    """``x ** y`` with a number."""
    data = flow.axis(operation.inputs[0])
    exponent = _number(operation.attrs.get("y"))
    silent = exponent is not None and exponent > 0
    flow.carry(operation.outputs[0], data and replace(data, silent=data.silent and silent))


def _number(value: Any) -> Optional[float]:
    if isinstance(value, (list, tuple)):
        value = value[0] if len(value) == 1 else None
    return None if value is None else float(value)


@rule("prelu")
def prelu(flow: Flow, operation: Operation) -> None:
    """One slope for all, or one for each channel."""
    image, slope = operation.inputs
    data = flow.axis(image)
    if np.prod(slope.shape) > 1:
        if data is None or slope.param is None or data.axis != _channel(operation, image) or len(slope.shape) > 1:
            unknown(flow, operation)
            return
        data = replace(data, labels=flow.param(slope, 0, data.labels))
    flow.carry(operation.outputs[0], data)


@rule("add", "subtract", "multiply", "divide", "maximum", "minimum")
def elementwise(flow: Flow, operation: Operation) -> None:
    """Two tensors position by position, the smaller one broadcast."""
    x, y = operation.inputs[:2]
    result = operation.outputs[0]
    rank = len(result.shape)
    shift_x, shift_y = (_shift(operation, tensor, rank) for tensor in (x, y))
    a, b = _labelled(flow, x, shift_x), _labelled(flow, y, shift_y)
    if a is not None and b is None:
        b = _like(flow, y, shift_y, a)
    elif b is not None and a is None:
        a = _like(flow, x, shift_x, b)
    for tensor, axis in ((x, a), (y, b)):
        if tensor.param is not None and axis is None:
            flow.hold(tensor, f"{operation.name} with something that cannot shrink")
    if a is None and b is None:
        return
    if a is None or b is None:
        given, other, shift = (b, x, shift_x) if a is None else (a, y, shift_y)
        if _size(other, given.axis - shift) > 1:
            flow.labels.freeze(given.labels, f"{operation.name} with something that cannot shrink")
            return
        silent = given.silent and (operation.name == "multiply" or (operation.name == "divide" and b is None))
        flow.carry(result, replace(given, silent=silent))
    elif a.axis != b.axis:
        flow.clash(a, b, f"{operation.name} of different axes")
    else:
        silent = {"multiply": a.silent or b.silent, "divide": a.silent}
        labels = flow.labels.tie(a.labels, b.labels, f"{operation.name} with channels that stay")
        silent_too = silent.get(operation.name, a.silent and b.silent)
        flow.carry(result, Axis(a.axis, labels, silent_too, a.origin or b.origin))


def _shift(operation: Operation, tensor: Tensor, rank: int) -> int:
    """How far the axes of an operand lie left of those of the result."""
    axis = int(operation.attrs.get("axis", -1))
    return axis if axis >= 0 and len(tensor.shape) < rank else rank - len(tensor.shape)


def _size(tensor: Tensor, axis: int) -> int:
    return tensor.shape[axis] if 0 <= axis < len(tensor.shape) else 1


def _labelled(flow: Flow, tensor: Tensor, shift: int) -> Optional[Axis]:
    axis = flow.axes.get(tensor)
    return axis and replace(axis, axis=axis.axis + shift)


def _like(flow: Flow, tensor: Tensor, shift: int, other: Axis) -> Optional[Axis]:
    """Label a parameter because of what it is combined with."""
    axis = other.axis - shift
    if tensor.param is None:
        return None
    if _size(tensor, axis) != len(other.labels):
        return None
    return Axis(other.axis, flow.param(tensor, axis, other.labels))


# Sums


@rule("pool2d", "nearest_interp", "bilinear_interp", "bicubic_interp", "max_pool2d_with_index")
def spatial(flow: Flow, operation: Operation) -> None:
    """Each channel on its own."""
    image = operation.inputs[0]
    flow.carry(operation.outputs[0], _on(flow, image, _channel(operation, image), operation))


@rule("sum", "mean", "max", "min", "p_norm")
def reduction(flow: Flow, operation: Operation) -> None:
    """Over channels a sum is right, for zeros add nothing; a mean is not, for it divides."""
    tensor = operation.inputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    rank = len(tensor.shape)
    axes = operation.attrs.get("axis")
    axes = [axes] if isinstance(axes, int) else axes
    everything = operation.attrs.get("all") or not axes
    axes = range(rank) if everything else sorted(axis % rank for axis in axes)
    if data.axis in axes:
        if operation.name not in ("sum", "p_norm") or not data.silent:
            flow.freeze(tensor, f"{operation.name} over channels")
        return
    shift = 0 if operation.attrs.get("keepdim") else sum(axis < data.axis for axis in axes)
    flow.carry(operation.outputs[0], replace(data, axis=data.axis - shift))


# Moving


@rule("transpose")
def transpose(flow: Flow, operation: Operation) -> None:
    """Axes change places."""
    data = flow.axis(operation.inputs[0])
    if data is not None:
        place = [int(axis) for axis in operation.attrs["perm"]].index(data.axis)
        flow.carry(operation.outputs[0], replace(data, axis=place))


@rule("reshape", "flatten", "squeeze", "unsqueeze")
def reshape(flow: Flow, operation: Operation) -> None:
    """Axes are merged and cut; the order of the elements stays."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    if len(data.labels) == 1:
        flow.carry(result, replace(data, axis=0))
        return
    start, stop, new_start, new_stop = next(
        block for block in _blocks(tensor.shape, result.shape) if block[0] <= data.axis < block[1]
    )
    inside = [1] * (stop - start)
    inside[data.axis - start] = len(data.labels)
    array = np.broadcast_to(data.labels.reshape(inside), tensor.shape[start:stop])
    array = array.reshape(result.shape[new_start:new_stop])
    axes = flow.varying(array)
    readings: list[Any] = []
    for axis in axes:
        attributes = flow.attributes(operation.layer, array.shape[axis])
        readings += [(axis, None), *((axis, name) for name in attributes)]
    reading = flow.choose([*readings, "fixed"])
    if reading == "fixed":
        flow.freeze(tensor, f"sizes written in the code ({operation.name})")
        reading = (axes[0], None)
    keep, attribute = reading
    labels = flow.settle(array, keep)
    if attribute is not None:
        flow.follow(operation.layer, attribute, labels)
    origin = flow.site if len(axes) > 1 else data.origin
    flow.carry(result, Axis(new_start + keep, labels, data.silent, origin))


def _blocks(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Cut two shapes into the smallest runs of axes that hold the same elements."""
    blocks, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        start, new_start, left, right = i, j, old[i], new[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left *= old[i]
                i += 1
            else:
                right *= new[j]
                j += 1
        blocks.append((start, i, new_start, j))
    return blocks


@rule("expand", "tile")
def expand(flow: Flow, operation: Operation) -> None:
    """Other axes are repeated."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    data = replace(data, axis=data.axis + len(result.shape) - len(tensor.shape))
    if result.shape[data.axis] != len(data.labels) or flow.choose(["free", "fixed"]) == "fixed":
        flow.freeze(tensor, f"sizes written in the code ({operation.name})")
        return
    flow.carry(result, data)


@rule("roll", "flip")
def roll(flow: Flow, operation: Operation) -> None:
    """Elements move along some axes."""
    tensor = operation.inputs[0]
    data = flow.axis(tensor)
    axes = [axis % len(tensor.shape) for axis in operation.attrs.get("axis") or range(len(tensor.shape))]
    if data is not None and data.axis in axes:
        unknown(flow, operation)
    else:
        flow.carry(operation.outputs[0], data)


@rule("unfold")
def unfold(flow: Flow, operation: Operation) -> None:
    """Patches: ``[n, c, h, w]`` becomes ``[n, c * k * k, l]``."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = _on(flow, tensor, 1, operation)
    if data is not None:
        labels = np.repeat(data.labels, result.shape[1] // len(data.labels))
        flow.carry(result, replace(data, labels=labels))


@rule("fold")
def fold(flow: Flow, operation: Operation) -> None:
    """The inverse of unfold, overlaps added."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = _on(flow, tensor, 1, operation)
    if data is not None:
        labels = data.labels.reshape(result.shape[1], -1)
        labels = flow.labels.tie(labels, labels[:, :1], "tied to channels that stay")
        flow.carry(result, replace(data, labels=labels[:, 0]))


# Cutting and joining


@rule("concat")
def concat(flow: Flow, operation: Operation) -> None:
    """Along the labelled axis labels follow each other; along another one they are tied."""
    result = operation.outputs[0]
    joined = int(_number(operation.attrs["axis"])) % len(result.shape)
    parts = [flow.axis(tensor) for tensor in operation.inputs]
    axes = {part.axis for part in parts if part is not None}
    if not axes:
        return
    if len(axes) > 1:
        for tensor in operation.inputs:
            flow.freeze(tensor, "concat of different axes")
        return
    (axis,) = axes
    silent = all(part is None or part.silent for part in parts)
    rows = [np.full(tensor.shape[axis], FIXED) if part is None else part.labels
            for tensor, part in zip(operation.inputs, parts)]  # fmt: skip
    if axis == joined:
        flow.carry(result, Axis(axis, np.concatenate(rows), silent))
        return
    labels = rows[0]
    for row in rows[1:]:
        labels = flow.labels.tie(labels, row, "concat with channels that stay")
    flow.carry(result, Axis(axis, labels, silent))


@rule("split", "split_with_num")
def split(flow: Flow, operation: Operation) -> None:
    """Sections of an axis. ``num`` equal ones stay equal only if they are tied to each other."""
    tensor, results = operation.inputs[0], operation.outputs
    data = flow.axis(tensor)
    if data is None:
        return
    if data.axis != int(_number(operation.attrs["axis"])) % len(tensor.shape):
        for result in results:
            flow.carry(result, data)
        return
    sizes = [result.shape[data.axis] for result in results]
    parts = np.split(data.labels, np.cumsum(sizes)[:-1])
    readings: list[Any] = [] if operation.name == "split_with_num" else ["apart", *_counted(flow, operation, parts)]
    reading = flow.choose(readings + ["tied"] * (len(set(sizes)) == 1) + ["whole"])
    if reading == "tied":
        _tie_all(flow, parts)
    elif reading == "whole":
        flow.freeze(tensor, "sizes written in the code (split)")
    elif reading != "apart":
        for part, attribute in zip(parts, reading):
            if attribute is None:
                flow.labels.freeze(part, "sizes written in the code (split)")
            else:
                flow.follow(operation.layer, attribute, part)
    for result, part in zip(results, parts):
        flow.carry(result, replace(data, labels=part))


def _tie_all(flow: Flow, parts: list[np.ndarray]) -> None:
    tied = parts[0]
    for part in parts[1:]:
        tied = flow.labels.tie(tied, part, "split with channels that stay")


def _counted(flow: Flow, operation: Operation, parts: list[np.ndarray]) -> list[tuple[Optional[str], ...]]:
    """Which attributes may hold the sizes of the sections: for all of them, or for some."""
    names, used = [], set()
    for number, part in enumerate(parts):
        found = [name for name in flow.attributes(operation.layer, len(part)) if name not in used]
        in_place = [name for name in found if name.endswith(f"[{number}]")]
        names.append((in_place or found or [None])[0])
        used.add(names[-1])
    if all(name is None for name in names):
        return []
    alone = [tuple(name if i == j else None for i, name in enumerate(names)) for j in range(len(names))]
    return list(dict.fromkeys([tuple(names), *(row for row in alone if any(row))]))


def _selected(operation: Operation, data: Axis) -> Optional[list[int]]:
    """Which positions of the labelled axis a slice takes; all where it cuts other axes."""
    axes = [int(axis) for axis in operation.attrs["axes"]]
    every = range(len(data.labels))
    if data.axis not in axes:
        return list(every)
    i = axes.index(data.axis)
    bounds = [operation.attrs.get(name) for name in ("starts", "ends")]
    steps = operation.attrs.get("strides") or [1] * len(axes)
    if any(bound is None or len(bound) != len(axes) for bound in bounds):
        return None
    return list(every[int(bounds[0][i]) : int(bounds[1][i]) : int(steps[i])])


@rule("slice", "strided_slice")
def slice_(flow: Flow, operation: Operation) -> None:
    """Bounds that the code stores as numbers hold only if nothing before them is removed."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    taken = _selected(operation, data)
    if taken is None:
        unknown(flow, operation)
        return
    decreased = [int(axis) for axis in operation.attrs.get("decrease") or []]
    _understand_bounds(flow, operation, data, taken, data.axis in decreased)
    if data.axis in decreased or not taken:
        return
    shift = sum(axis < data.axis for axis in decreased)
    flow.carry(result, replace(data, axis=data.axis - shift, labels=data.labels[taken]))


def _understand_bounds(flow: Flow, operation: Operation, data: Axis, taken: list[int], single: bool) -> None:
    """Bounds may follow sizes by themselves, be attributes, be fractions of the size, or be literals."""
    labels, reason = data.labels, "sizes written in the code (slice)"
    last = min(taken, default=0) if taken[-1:] == [len(labels) - 1] else max(taken, default=0) + 1
    edits = flow.attributes(operation.layer, last) if last else []
    share = len(taken) if taken and taken == list(range(taken[0], taken[-1] + 1)) else 0
    fraction = share and len(labels) % share == 0 and taken[0] % share == 0 and share < len(labels)
    readings = ["free", *(("edit", name) for name in edits), *["tied"] * bool(fraction), "held", "whole"]
    reading = "held" if single else flow.choose(readings)
    if reading == "tied":
        _tie_all(flow, list(labels.reshape(-1, share)))
    elif reading == "held":
        flow.labels.freeze(labels[:last], reason)
    elif reading == "whole":
        flow.labels.freeze(labels, reason)
    elif reading != "free":
        flow.follow(operation.layer, reading[1], labels[:last])


@rule("set_value_with_tensor")
def assign_slice(flow: Flow, operation: Operation) -> None:
    """``x[:, 2:5] = y``: what is written has the labels of the place it is written to."""
    tensor, values = operation.inputs[:2]
    data, new = flow.axis(tensor), flow.axis(values)
    if data is None and new is None:
        return
    taken = None if data is None else _selected(operation, data)
    if taken is None or operation.attrs.get("decrease") or len(values.shape) != len(tensor.shape):
        unknown(flow, operation)
        return
    _understand_bounds(flow, operation, data, taken, False)
    reason = "assigned together with channels that stay"
    if new is None:
        flow.labels.freeze(data.labels[taken], reason)
    elif new.axis != data.axis:
        unknown(flow, operation)
        return
    else:
        flow.labels.tie(data.labels[taken], new.labels, reason)
    silent = data.silent and (new is None or new.silent)
    flow.carry(operation.outputs[0], replace(data, silent=silent))


@rule("pad", "pad3d")
def pad(flow: Flow, operation: Operation) -> None:
    """Padding along channels is as wide as the code says, and stays."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    before = _pad_before(operation, tensor, data.axis)
    if before is None:
        unknown(flow, operation)
        return
    after = result.shape[data.axis] - len(data.labels) - before
    zero = str(operation.attrs.get("mode", "constant")) != "constant" or not _number(operation.attrs.get("value", 0))
    if (before or after) and str(operation.attrs.get("mode", "constant")) != "constant":
        unknown(flow, operation)
        return
    labels = np.concatenate([np.full(before, FIXED), data.labels, np.full(after, FIXED)])
    flow.carry(result, replace(data, labels=labels, silent=data.silent and zero))


def _pad_before(operation: Operation, tensor: Tensor, axis: int) -> Optional[int]:
    """How many positions are put before the first one of an axis."""
    amounts = operation.attrs.get("paddings")
    if amounts is None:
        return None
    if operation.name == "pad":  # two for each axis, in order
        return int(amounts[2 * axis])
    channels_last = str(operation.attrs.get("data_format", "NCDHW")).endswith("C")
    order = [3, 2, 1] if channels_last else [4, 3, 2]  # pad3d: width, height, depth
    return int(amounts[2 * order.index(axis)]) if axis in order else 0


@rule("uniform", "gaussian", "full", "assign_value", "shape", "full_like", "data", "bernoulli")
def source(flow: Flow, operation: Operation) -> None:
    """Made by the code: carries no labels."""
