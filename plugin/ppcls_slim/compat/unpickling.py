"""Read pickles of arrays, numbers, strings and plain containers; nothing in them can run code.

A pickle is a program that may import and call anything. Here nothing is imported: the names of :data:`BUILDERS`
stand for functions of this module, and every other name stops the reading. That also reads files of NumPy 2 with
NumPy 1. The unpickler that Python has in Python is used: the one in C cannot be told what ``BUILD`` may change, and a
damaged file can make it fill all memory. It is fast enough, because an array is one operation.
"""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Optional

import numpy as np


class RefusedError(Exception):
    """A pickle asks for something that data does not need; says what."""


class Fields:
    """Stands for an object of a class that is not imported.

    Attributes:
        values: attribute -> value.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.values = dict(state)


class _Array(np.ndarray):
    """An array that is filled with the state that was pickled, after a look at it."""

    def __setstate__(self, state: Any) -> None:
        _, shape, data_type, fortran, content = state
        if not isinstance(data_type, _DataType) or not isinstance(content, (bytes, str)):
            raise RefusedError("an array of Python objects")
        whole: Any = (1, tuple(map(int, shape)), data_type.dtype, bool(fortran), content)
        super().__setstate__(whole)


class _DataType:
    """Type of an array's elements; of its state only the order of bytes is used."""

    def __init__(self, name: Any, align: Any = False, copy: Any = False):
        self.dtype = np.dtype(str(name))
        if self.dtype.kind not in "biufc":
            raise RefusedError(f"an array of type {name}")

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise ValueError(f"byte order {state[1]!r}")
        self.dtype = self.dtype.newbyteorder(state[1])


def _empty_array(*_: Any) -> np.ndarray:
    return _Array((0,), np.uint8)  # the state follows


def _array_class(*_: Any) -> None:
    raise RefusedError("an array without a state")  # it is an argument, and never called


def _scalar(data_type: Any, content: Any) -> Any:
    (value,) = np.frombuffer(content.encode("latin1") if isinstance(content, str) else content, data_type.dtype)
    return value


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise RefusedError(f"encoding {encoding}")
    encoded: bytes = text.encode("latin1")
    return encoded


def _tensor_of_static_program(expression: Any, variables: Any) -> Any:
    """Paddle writes such tensors as ``eval("data", {"data": array})``."""
    if expression != "data" or list(variables) != ["data"]:
        raise RefusedError("builtins.eval")
    return variables["data"]


def _named(modules: tuple[str, ...], builders: Mapping[str, Callable[..., Any]]) -> dict[tuple[str, str], Any]:
    return {(module, name): builder for module in modules for name, builder in builders.items()}


BUILDERS: dict[tuple[str, str], Callable[..., Any]] = {
    **_named(
        ("numpy", "numpy.core.multiarray", "numpy._core.multiarray"),
        {"_reconstruct": _empty_array, "ndarray": _array_class, "dtype": _DataType, "scalar": _scalar},
    ),
    **_named(
        ("builtins", "__builtin__"),
        {
            **{container.__name__: container for container in (tuple, list, dict, set, frozenset)},
            "eval": _tensor_of_static_program,
        },
    ),
    **_named(("collections",), {"OrderedDict": collections.OrderedDict}),
    **_named(("_codecs",), {"encode": _encode}),  # as which protocol 2 writes bytes
}
"""What a pickle may name -> what it gets."""


class _Bounded(io.BytesIO):
    """Refuses to read more than there is, before memory is set aside for it."""

    def __init__(self, content: bytes):
        super().__init__(content)
        self._size = len(content)

    def read(self, size: Optional[int] = -1) -> bytes:
        if size is not None and size > self._size - self.tell():
            raise EOFError("it is cut off")
        return super().read(size)


_Unpickler: Any = pickle._Unpickler


class _Reader(_Unpickler):
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(_Unpickler.dispatch)
    del dispatch[pickle.BYTEARRAY8[0]]  # sets memory aside before it reads

    def __init__(self, content: bytes, builders: Mapping[tuple[str, str], Callable[..., Any]]):
        super().__init__(_Bounded(content), encoding="latin1")  # strings of Python 2
        self._builders = builders

    def find_class(self, module: str, name: str) -> Any:
        builder = self._builders.get((module, name))
        if builder is None:
            raise RefusedError(f"{module}.{name}")
        return builder

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], (_Array, _DataType, Fields)):
            raise RefusedError(f"to change a {type(self.stack[-1]).__name__}")
        self.stack[-1].__setstate__(state)

    dispatch[pickle.BUILD[0]] = load_build


def unpickle(content: bytes, more: Optional[Mapping[tuple[str, str], Callable[..., Any]]] = None) -> Any:
    """Return what a pickle holds; its arrays may be read-only.

    Args:
        content: of the file.
        more: ``(module, name)`` -> what makes that object, beside :data:`BUILDERS`.

    Raises:
        RefusedError: it asks for something else than data.
        ValueError: it is damaged, or is not a pickle.
    """
    try:
        return _Reader(content, {**BUILDERS, **(more or {})}).load()
    except RefusedError:
        raise
    except Exception as error:  # damaged data may raise anything in an unpickler
        raise ValueError(f"{error}" or type(error).__name__) from None
