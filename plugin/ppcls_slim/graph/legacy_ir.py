"""Programs of legacy IR (Paddle 2.6): blocks of operator descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..compat.paddle import paddle
from ..compat.tracing import tracing_legacy_ir
from .op_specs import FROM_LEGACY, SPECS
from .program import Operation, Program, Tensor, comparable
from .session import Session


class LegacySession(Session):
    """Parameters are declared beforehand, so that they may have any shape."""

    def __enter__(self) -> LegacySession:
        self.stack.enter_context(tracing_legacy_ir(self.program))
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

    def position(self) -> int:
        """See :meth:`Session.position`."""
        return len(self.block.ops)

    def data(self, name: str, shape: Sequence[int], dtype: Any) -> Any:
        """See :meth:`Session.data`."""
        return paddle.static.data(name, list(shape), dtype)

    def read(self) -> Program:
        """See :meth:`Session.read`."""
        latest: dict[str, Tensor] = {}
        operations = []
        for op, layer in zip(self.block.ops, self.layers()):
            operations.append(self._operation(op, layer, latest))
        return self.finish(operations, lambda variable: latest.get(getattr(variable, "name", "")))

    def _tensor(self, name: str, latest: dict[str, Tensor]) -> Tensor:
        if name not in latest:
            shape = tuple(self.block.var(name).shape)
            latest[name] = self.sources.get(name) or Tensor(shape)
        return latest[name]

    def _operation(self, op: Any, layer: str, latest: dict[str, Tensor]) -> Operation:
        name = FROM_LEGACY.get(op.type, op.type)
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
        elif name == "assign" and op.output("Out")[0] in self.sources:  # PIR has an operation of its own for it
            name, inputs = "assign_out", [*inputs, *op.output("Out")]
        read = tuple(self._tensor(item, latest) for item in inputs)
        written = []
        for slot in sorted(op.output_names, key=lambda slot: slot not in ("Out", "Output", "Y")):
            for item in op.output(slot):
                if item in self.sources:
                    continue  # running statistics, updated in place: still the same parameter
                latest[item] = Tensor(tuple(self.block.var(item).shape))
                written.append(latest[item])
        constants = comparable({name: op.attr(name) for name in op.attr_names if not name.startswith("op_")})
        return Operation(name, read, tuple(written), attrs, layer, constants)
