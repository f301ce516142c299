"""Programs of Paddle 3 (PIR) and of Paddle 2.6 (the old kind), read into the same few classes.

This file is what both have in common; ``programs_pir.py`` and ``programs_old.py`` know one kind each, and
``vocabulary.py`` what operations are called in them.
"""

from __future__ import annotations

import abc
import contextlib
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Optional

import numpy as np

from ..compat.paddle import is_pir, paddle
from .program import Operation, Program, Tensor, flatten


def open_session(
    tensors: dict[str, paddle.Tensor], shapes: dict[str, Sequence[int]], contents: dict[str, np.ndarray]
) -> Session:
    """Return what records and reads programs of the kind that this Paddle makes; see :class:`Session`."""
    if is_pir():
        from .pir import PirSession as Kind
    else:
        from .legacy_ir import LegacySession as Kind
    return Kind(tensors, shapes, contents)


class Session(abc.ABC):
    """What recording and reading the two kinds of programs has in common: a context in which the model is called.

    Attributes:
        tensors: parameters and buffers by name.
        shapes: name -> shape, where it is to be another one.
        contents: name -> content of buffers, where it is to be another one.
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
        """How many operations have been recorded."""

    @abc.abstractmethod
    def data(self, name: str, shape: Sequence[int], dtype: Any) -> Any:
        """A variable of the program that stands for something given to it."""

    @abc.abstractmethod
    def read(self) -> Program:
        """What has been recorded."""

    def shape_of(self, name: str) -> list[int]:
        """The shape that a parameter or buffer is to have."""
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


@contextlib.contextmanager
def without_annotations() -> Iterator[None]:
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


def to_static_guard() -> Any:
    """Layers hand out program variables for their parameters; renamed in Paddle 3.0."""
    base = paddle.base.dygraph.base
    guard = getattr(base, "to_static_mode_guard", None) or base._to_static_mode_guard_
    return guard(is_to_static=True)
