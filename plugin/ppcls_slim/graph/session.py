"""Record programs of PIR (Paddle 3) and of legacy IR (Paddle 2.6) and read them into the classes of ``program.py``.

This file is what both have in common; ``pir.py`` and ``legacy_ir.py`` know one format each, and ``op_specs.py`` what
operations are called in them.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Optional

import numpy as np

from ..compat.paddle import paddle
from .program import Operation, Program, Tensor, flatten


class Session(abc.ABC):
    """A context in which a model is called and recorded, and which reads what was recorded.

    Attributes:
        tensors: parameters and buffers by name.
        shapes: name -> shape, for parameters and buffers that are recorded with another one.
        contents: name -> content, for buffers that are recorded with another one.
        marks: (number of the next operation, layer whose forward starts there; None where one ends).
        returned: what the model returned.
        error: why it stopped, if it did.
    """

    def __init__(
        self,
        tensors: dict[str, Any],
        shapes: dict[str, Sequence[int]],
        contents: dict[str, np.ndarray],
    ) -> None:
        self.names: dict[int, str] = {}
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

    def __exit__(self, *exc: Any) -> None:
        self.stack.close()

    @abc.abstractmethod
    def __enter__(self) -> Session: ...

    @abc.abstractmethod
    def position(self) -> int:
        """Where the program ends by now: a count of operations, or what :meth:`read` makes one of."""

    @abc.abstractmethod
    def data(self, name: str, shape: Sequence[int], dtype: Any) -> Any:
        """An input of the program."""

    @abc.abstractmethod
    def read(self) -> Program:
        """Return what has been recorded."""

    def shape_of(self, name: str) -> list[int]:
        """The shape with which a parameter or buffer is recorded."""
        return list(self.shapes.get(name, self.tensors[name].shape))

    def named(self, name: str) -> Tensor:
        """A parameter or buffer of the model."""
        content = self.contents.get(name)
        return Tensor(tuple(self.shape_of(name)), name, constant(self.tensors[name]) if content is None else content)

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

    def finish(self, operations: list[Operation], find: Callable[[Any], Optional[Tensor]]) -> Program:
        """The program, with what the model returned.

        Args:
            find: what stands for a variable that the model returned.
        """
        program = Program(operations, error=self.error)
        if self.error is not None:
            names = [name for _, name in self.marks if name is not None]
            program.layer = names[-1] if names else ""
        for path, variable in flatten(self.returned):
            tensor = find(variable)
            if tensor is not None:
                program.outputs.append((path, tensor))
        return program


def constant(tensor: paddle.Tensor) -> Optional[np.ndarray]:
    """Content of a tensor that the code or a layer made itself, where it can be an index."""
    return np.asarray(tensor.numpy()) if "int" in str(tensor.dtype) else None
