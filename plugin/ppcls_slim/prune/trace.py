"""The program that a model runs, recorded without computing anything.

The model's own ``forward`` is called once in static mode: on Paddle 3 that records PIR, on Paddle 2.6
the program of the old kind. Both are read into the same few classes. Recording takes 0.05 s for
ResNet50, half a second for HRNet; weights are neither read nor copied.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np

from ..upstream.paddle_lines import paddle
from .vocabulary import FROM_OLD, SPECS

BATCH = 2
"""Images in the recorded batch: a batch of one would be squeezed away by ``squeeze()``."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the program: a result, a parameter or buffer, or a constant.

    Attributes:
        shape: all sizes are known, the batch is ``BATCH``.
        param: name as in ``model.state_dict()``, for parameters and buffers.
        value: content, for constants and buffers whose content is known (indices and the like).
    """

    shape: tuple[int, ...]
    param: Optional[str] = None
    value: Optional[np.ndarray] = None


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation.

    Attributes:
        name: as in ``vocabulary.SPECS``; others keep the name that Paddle has for them.
        attrs: those that ``SPECS`` lists; absent where the program does not say.
        layer: name of the innermost layer whose forward ran, "" for the model itself.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    attrs: Mapping[str, Any]
    layer: str


@dataclass
class Program:
    """What a forward pass does.

    Attributes:
        outputs: returned tensors, each with the keys that lead to it (``("features",)``).
        error: why the forward pass stopped; the operations before that are recorded.
        layer: where it stopped.
    """

    operations: list[Operation] = field(default_factory=list)
    outputs: list[tuple[tuple[Any, ...], Tensor]] = field(default_factory=list)
    error: Optional[str] = None
    layer: str = ""


def record(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str = "float32",
    training: bool = True,
    merged: bool = False,
    shapes: Optional[Mapping[str, Sequence[int]]] = None,
    contents: Optional[Mapping[str, np.ndarray]] = None,
) -> Program:
    """Record the forward pass of a model.

    Args:
        model: left as it is, its mode included.
        input_shape: without the batch, for example ``[3, 224, 224]``.
        training: record the pass of training or of evaluation. Only the flags are set: an ``eval()``
            that rewrites the model, as some re-parameterizable backbones have, is not called.
        merged: record re-parameterizable blocks as they run after their branches have been merged.
        shapes: name -> shape, for parameters that are to be taken as smaller than they are.
        contents: name -> content, for buffers of whole numbers that are to be taken as others than they are.

    Returns:
        The program. A forward pass that raises gives a program with an ``error``.
    """
    tensors = {**dict(model.named_buffers()), **model.state_dict()}
    pir = hasattr(paddle, "pir") and paddle.framework.get_flags("FLAGS_enable_pir_api")["FLAGS_enable_pir_api"]
    session = (_PirSession if pir else _OldSession)(model, tensors, dict(shapes or {}), dict(contents or {}))
    dynamic = paddle.in_dynamic_mode()
    paddle.enable_static()
    try:
        with _flags(model, training, merged), _without_annotations(), session, _owners(model, session):
            image = session.data("ppcls_slim_image", [BATCH, *input_shape], dtype)
            try:
                session.returned = model(image)
            except Exception as error:  # whatever the model's code raises: it is part of the answer
                session.error = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
            return session.read()
    finally:
        if dynamic:
            paddle.disable_static()


@contextlib.contextmanager
def _flags(model: paddle.nn.Layer, training: bool, merged: bool) -> Iterator[None]:
    """Set ``training`` and ``is_repped`` where layers have them, and put back what was there."""
    layers = model.sublayers(include_self=True)
    before = [(layer, "training", layer.training) for layer in layers]
    before += [(layer, "is_repped", layer.is_repped) for layer in layers if hasattr(layer, "is_repped")]
    try:
        for layer, name, value in before:
            setattr(layer, name, training if name == "training" else value or merged)
        yield
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)


@contextlib.contextmanager
def _owners(model: paddle.nn.Layer, session: _Session) -> Iterator[None]:
    """Note, while the model runs, which layer's forward starts and ends at which operation."""
    names = {id(layer): name for name, layer in model.named_sublayers(include_self=True)}
    call = paddle.nn.Layer.__call__

    def noted(layer: paddle.nn.Layer, *inputs: Any, **kwargs: Any) -> Any:
        session.marks.append((session.position(), names.get(id(layer), "")))
        returned = call(layer, *inputs, **kwargs)
        session.marks.append((session.position(), None))
        return returned

    paddle.nn.Layer.__call__ = noted
    try:
        yield
    finally:
        paddle.nn.Layer.__call__ = call


class _Session:
    """What reading the two kinds of programs has in common."""

    def __init__(
        self,
        model: paddle.nn.Layer,
        tensors: dict[str, Any],
        shapes: dict[str, Sequence[int]],
        contents: dict[str, np.ndarray],
    ) -> None:
        self.names = {}
        for name, tensor in tensors.items():
            self.names.setdefault(id(tensor), name)
        self.tensors = tensors
        self.shapes = shapes
        self.contents = contents
        self.marks: list[tuple[int, Optional[str]]] = []
        self.returned: Any = None
        self.error: Optional[str] = None
        self.program = paddle.static.Program()
        self.stack = contextlib.ExitStack()

    def shape_of(self, name: str) -> list[int]:
        return list(self.shapes.get(name, self.tensors[name].shape))

    def named(self, name: str) -> Tensor:
        """A parameter or buffer of the model."""
        content = self.contents.get(name)
        return Tensor(tuple(self.shape_of(name)), name, _constant(self.tensors[name]) if content is None else content)

    def layers(self) -> Iterator[str]:
        """The innermost layer at operation 0, 1, 2, …"""
        open_layers, position = [""], 0
        for mark, name in self.marks:
            for _ in range(position, mark):
                yield open_layers[-1]
            position = max(position, mark)
            if name is not None:
                open_layers.append(name)
            elif len(open_layers) > 1:
                open_layers.pop()
        while True:
            yield open_layers[-1]

    def finish(self, operations: list[Operation], find: Any) -> Program:
        program = Program(operations, error=self.error)
        if self.error is not None:
            names = [name for _, name in self.marks if name is not None]
            program.layer = names[-1] if names else ""
        for path, variable in _flatten(self.returned):
            tensor = find(variable)
            if tensor is not None:
                program.outputs.append((path, tensor))
        return program


def _flatten(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Walk dicts, lists and tuples down to the tensors."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for key, item in enumerate(value):
            yield from _flatten(item, (*path, key))
    elif value is not None:
        yield path, value


def _constant(tensor: paddle.Tensor) -> Optional[np.ndarray]:
    """Content of a tensor that the code or a layer made itself, where it can be an index."""
    return np.asarray(tensor.numpy()) if "int" in str(tensor.dtype) else None


class _PirSession(_Session):
    """Paddle 3: parameters enter as data, so that they may have any shape."""

    def __enter__(self) -> _PirSession:
        from paddle.jit.dy2static.parameter_recorder import _global_parameter_recorder as recorder
        from paddle.pir.core import _convert_into_value, static_op_arg_cast_guard

        self.stack.enter_context(paddle.static.program_guard(self.program, paddle.static.Program()))
        self.stack.enter_context(_to_static_guard())
        self.stack.enter_context(static_op_arg_cast_guard(_convert_into_value))
        self.block = self.program.global_block()
        self.known: dict[int, Any] = {}
        self.sources: dict[str, Tensor] = {}
        self.keep: list[Any] = []
        recorder.get = self.value_of
        self.stack.callback(lambda: vars(recorder).pop("get", None))
        return self

    def __exit__(self, *exc: Any) -> None:
        self.stack.close()

    def position(self) -> int:
        return self.block.num_ops()

    def data(self, name: str, shape: Sequence[int], dtype: Any) -> Any:
        from paddle.base import core
        from paddle.pir.core import convert_np_dtype_to_dtype_

        if isinstance(dtype, str):
            dtype = convert_np_dtype_to_dtype_(dtype)
        return paddle._pir_ops.data(name, list(shape), dtype, core.Place())

    def value_of(self, program: Any, tensor: paddle.Tensor) -> Any:
        """Stand in for a parameter, a buffer or a constant, the first time the program meets it."""
        if id(tensor) not in self.known:
            name = self.names.get(id(tensor))
            source = f"ppcls_slim_{len(self.known)}"
            stands_for = Tensor(tuple(tensor.shape), None, _constant(tensor)) if name is None else self.named(name)
            self.sources[source] = stands_for
            self.known[id(tensor)] = self.data(source, stands_for.shape, tensor.dtype)
            self.known[id(tensor)].stop_gradient = tensor.stop_gradient
            self.keep.append(tensor)  # or its id might be given to another one
        return self.known[id(tensor)]

    def read(self) -> Program:
        values: dict[int, Any] = {}
        operations = []
        for op, layer in zip(self.block.ops, self.layers()):
            name = op.name()
            if name == "builtin.combine":
                values[op.result(0).id] = tuple(self._inputs(op, values))
            elif name == "builtin.split":
                for result, tensor in zip(op.results(), values[op.operand_source(0).id]):
                    values[result.id] = tensor
            elif name == "pd_op.data":
                source = self.sources.get(op.attrs()["name"])
                values[op.result(0).id] = source or Tensor(tuple(op.result(0).shape))
            elif name in ("pd_op.full_int_array", "pd_op.full"):
                content = np.asarray(op.attrs()["value"])
                values[op.result(0).id] = Tensor(tuple(op.result(0).shape), None, content)
            else:
                operations.append(self._operation(op, name, layer, values))
        return self.finish(operations, lambda value: values.get(getattr(value, "id", None)))

    @staticmethod
    def _inputs(op: Any, values: dict[int, Any]) -> list[Any]:
        """Operands, lists of tensors as tuples, absent ones as None."""
        return [values.get(value.id) if value.initialized() else None for value in op.operands_source()]

    def _operation(self, op: Any, name: str, layer: str, values: dict[int, Any]) -> Operation:
        name = name.split(".", 1)[-1].rstrip("_")
        operands = self._inputs(op, values)
        outputs: list[Tensor] = []
        for result in op.results():
            if not result.initialized():
                continue
            kind = result.type()
            if hasattr(kind, "as_vec_type") and kind.as_vec_type() is not None:
                parts = [Tensor(tuple(part.shape)) for part in kind.as_vec_type().as_list()]
                values[result.id] = tuple(parts)
                outputs.extend(parts)
            else:
                values[result.id] = Tensor(tuple(result.shape))
                outputs.append(values[result.id])
        spec = SPECS.get(name)
        if spec is None:
            return Operation(name, tuple(_tensors(operands)), tuple(outputs), {}, layer)
        given = op.attrs() if any(isinstance(source, str) for _, source in spec.attrs.values()) else {}
        attrs = {}
        for canonical, (_, source) in spec.attrs.items():
            if isinstance(source, str):
                content = given.get(source)
            else:
                content = _content(operands[source]) if source < len(operands) else None
            if content is not None:
                attrs[canonical] = content
        return Operation(name, tuple(_tensors(operands[: len(spec.slots)])), tuple(outputs), attrs, layer)


def _tensors(operands: Sequence[Any]) -> Iterator[Tensor]:
    for operand in operands:
        if isinstance(operand, tuple):
            yield from operand
        elif operand is not None:
            yield operand


def _content(operand: Any) -> Any:
    """A constant operand as number or list; None where it is computed by the program."""
    if isinstance(operand, tuple):  # a list of scalars, each a constant
        items = [_content(item) for item in operand]
        return None if None in items else [item[0] if isinstance(item, list) else item for item in items]
    return None if operand is None or operand.value is None else operand.value.tolist()


class _OldSession(_Session):
    """Paddle 2.6: parameters are declared beforehand, so that they may have any shape."""

    def __enter__(self) -> _OldSession:
        from paddle.base import framework

        self.stack.enter_context(paddle.static.program_guard(self.program, paddle.static.Program()))
        self.stack.enter_context(_to_static_guard())
        self.stack.enter_context(framework._stride_in_no_check_dy2st_diff())
        self.block = self.program.global_block()
        self.sources: dict[str, Tensor] = {}
        for name, tensor in self.tensors.items():
            if self.names[id(tensor)] != name:
                continue  # shared: declared under its first name
            if tensor.name in self.sources:  # two models built apart, say teacher and student
                self.stack.callback(setattr, tensor, "name", tensor.name)
                tensor.name = f"{tensor.name}.{name}"
            shape = self.shape_of(name)
            self.sources[tensor.name] = self.named(name)
            self.block.create_var(
                name=tensor.name, shape=shape, dtype=tensor.dtype, stop_gradient=tensor.stop_gradient
            )
        return self

    def __exit__(self, *exc: Any) -> None:
        self.stack.close()

    def position(self) -> int:
        return len(self.block.ops)

    def data(self, name: str, shape: Sequence[int], dtype: Any) -> Any:
        return paddle.static.data(name, list(shape), dtype)

    def read(self) -> Program:
        latest: dict[str, Tensor] = {}
        operations = []
        for op, layer in zip(self.block.ops, self.layers()):
            operations.append(self._operation(op, layer, latest))
        return self.finish(operations, lambda variable: latest.get(getattr(variable, "name", None)))

    def _tensor(self, name: str, latest: dict[str, Tensor]) -> Tensor:
        if name not in latest:
            shape = tuple(self.block.var(name).shape)
            latest[name] = self.sources.get(name) or Tensor(shape)
        return latest[name]

    def _operation(self, op: Any, layer: str, latest: dict[str, Tensor]) -> Operation:
        name = FROM_OLD.get(op.type, op.type)
        spec = SPECS.get(name)
        attrs: dict[str, Any] = {}
        if spec is None:
            inputs = op.input_arg_names
        else:
            inputs = [item for slot in spec.slots if slot in op.input_names for item in op.input(slot)]
            for canonical, (source, _) in spec.attrs.items():
                if op.has_attr(source):
                    attrs[canonical] = op.attr(source)
        if name == "split" and attrs.get("num"):
            name = "split_with_num"
        elif name == "set_value_with_tensor" and not op.input("ValueTensor"):
            name = "set_value"
        read = tuple(self._tensor(item, latest) for item in inputs)
        written = []
        for slot in sorted(op.output_names, key=lambda slot: slot not in ("Out", "Output", "Y")):
            for item in op.output(slot):
                if item in self.sources:
                    continue  # running statistics, updated in place: still the same parameter
                latest[item] = Tensor(tuple(self.block.var(item).shape))
                written.append(latest[item])
        return Operation(name, read, tuple(written), attrs, layer)


@contextlib.contextmanager
def _without_annotations() -> Iterator[None]:
    """Paddle notes where every operation comes from: the Python stack, and on Paddle 3 the path of layers.

    That is nine tenths of the time for HRNet, the second of the two grows with the square of the length.
    """
    from paddle.nn.layer import layers

    patches = [(traceback, "extract_stack", lambda *args, **kwargs: [])]
    if hasattr(layers, "name_struct"):
        patches.append((layers, "name_struct", lambda *args, **kwargs: contextlib.nullcontext()))
    before = [(module, name, getattr(module, name)) for module, name, _ in patches]
    try:
        for module, name, stand_in in patches:
            setattr(module, name, stand_in)
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)


def _to_static_guard() -> Any:
    """Layers hand out program variables for their parameters; renamed in Paddle 3.0."""
    base = paddle.base.dygraph.base
    guard = getattr(base, "to_static_mode_guard", None) or base._to_static_mode_guard_
    return guard(is_to_static=True)
