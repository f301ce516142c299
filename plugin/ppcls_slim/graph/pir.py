"""Programs of PIR (Paddle 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..compat.paddle import paddle
from ..compat.tracing import pir_data, tracing_pir
from .op_specs import SPECS
from .program import Operation, Program, Tensor, comparable
from .session import Session, constant


class PirSession(Session):
    """Parameters enter as data, so that they may have any shape."""

    def __enter__(self) -> PirSession:
        self.stack.enter_context(tracing_pir(self.program, self.value_of))
        self.block = self.program.global_block()
        self.known: dict[int, Any] = {}
        self.sources: dict[str, Tensor] = {}
        self.keep: list[Any] = []
        return self

    def position(self) -> int:
        """See :meth:`Session.position`: the last operation's id, since a block counts its operations one by one."""
        return 0 if self.block.empty() else int(self.block.back().id())

    def data(self, name: str, shape: Sequence[int], dtype: Any) -> Any:
        """See :meth:`Session.data`."""
        return pir_data(name, shape, dtype)

    def value_of(self, program: Any, tensor: paddle.Tensor) -> Any:
        """Stand in for a parameter, a buffer or a constant, the first time the program meets it."""
        if id(tensor) not in self.known:
            name = self.names.get(id(tensor))
            source = f"ppcls_slim_{len(self.known)}"
            stands_for = Tensor(tuple(tensor.shape), None, constant(tensor)) if name is None else self.named(name)
            self.sources[source] = stands_for
            self.known[id(tensor)] = self.data(source, stands_for.shape, tensor.dtype)
            self.known[id(tensor)].stop_gradient = tensor.stop_gradient
            self.keep.append(tensor)  # or its id might be given to another one
        return self.known[id(tensor)]

    def read(self) -> Program:
        """See :meth:`Session.read`."""
        values: dict[int, Any] = {}
        operations = []
        counts = {op.id(): count for count, op in enumerate(self.block.ops, 1)}
        self.marks = [(counts.get(position, 0), name) for position, name in self.marks]
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
        return self.finish(operations, lambda value: values.get(getattr(value, "id", -1)))

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
        given = op.attrs()
        constants = comparable(given)
        for place, operand in enumerate(operands):
            if (content := _content(operand)) is not None:
                constants[place] = content
        spec = SPECS.get(name)
        if spec is None:
            return Operation(name, tuple(_tensors(operands)), tuple(outputs), {}, layer, constants)
        attrs = {}
        for canonical, (_, source) in spec.attrs.items():
            content = given.get(source) if isinstance(source, str) else constants.get(source)
            if content is not None and not (isinstance(content, list) and None in content):
                attrs[canonical] = content
        read = tuple(_tensors(operands[: len(spec.slots)]))
        return Operation(name, read, tuple(outputs), attrs, layer, constants)


def _tensors(operands: Sequence[Any]) -> Iterator[Tensor]:
    for operand in operands:
        if isinstance(operand, tuple):
            yield from operand
        elif operand is not None:
            yield operand


def _content(operand: Any) -> Any:
    """A constant operand as number or list; None where the program computes it, or it belongs to the model."""
    if isinstance(operand, tuple):  # a list of scalars
        items = [_content(item) for item in operand]
        return [item[0] if isinstance(item, list) and len(item) == 1 else item for item in items]
    known = operand is not None and operand.param is None and operand.value is not None
    return operand.value.tolist() if known else None
