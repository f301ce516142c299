"""Load what ``paddle.save`` wrote, without running anything that the file may hold.

``paddle.load`` of every release unpickles without restrictions. This does the same with
:mod:`ppcls_slim.compat.unpickling`, for files of Paddle 2.0 to 3.3:

- a state dict with the names of its parameters under ``StructuredToParameterName@@``;
- anything else, in which a tensor is ``(name, array)``, or, in files of static programs, an array;
- with protocol 2 and 3, tensors of more than 1 GiB in parts, listed under ``UnpackBigParamInfor@@``.

Delete when: ``paddle.load`` has an option for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...common.errors import SlimError
from ..patching import replaced
from ..unpickling import RefusedError, unpickle
from . import paddle

NAMES, PARTS = "StructuredToParameterName@@", "UnpackBigParamInfor@@"


class SavedWeights(dict[str, Any]):
    """What a file held, which knows the file.

    Attributes:
        path: the file.
    """

    def __init__(self, data: dict[str, Any], path: Path):
        super().__init__(data)
        self.path = path


def load_saved(path: Path, content: bytes, return_numpy: bool = False, keep_name_table: bool = False) -> Any:
    """Return what ``paddle.load`` returns for a file of ``paddle.save``.

    Args:
        path: for messages.
        content: of the file.
        return_numpy: give arrays in place of tensors.
        keep_name_table: leave ``StructuredToParameterName@@`` in.

    Raises:
        SlimError: the file wants to import something, is damaged, or is another kind of file.
    """
    try:
        data = unpickle(content)
        convert = _as_array if return_numpy else paddle.to_tensor
        if isinstance(data, dict):
            _join_parts(data)
            if NAMES in data:
                return _state_dict(data, convert, keep_name_table)
        return _with_tensors(data, convert)
    except RefusedError as refused:
        raise SlimError(
            f"{path} is not loaded: it asks for {refused}, which arrays and numbers do not need; loading it could "
            "run code. Get the weights from a source that you trust"
        ) from None
    except Exception as error:  # whatever a damaged file leads to
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise SlimError(
            f"{path} cannot be loaded ({reason}): it is cut off or is not a Paddle file; restore it"
        ) from None


@contextmanager
def paddle_load_restricted() -> Iterator[None]:
    """Let ``paddle.load`` run nothing that a file may hold, for the length of a ``with`` block."""
    original = paddle.load

    def load(path: Any, **options: Any) -> Any:
        if options.get("safetensors"):
            return original(path, **options)
        if hasattr(path, "read"):
            return load_saved(Path("a buffer"), path.read(), **options)
        data = load_saved(Path(path), Path(path).read_bytes(), **options)
        return SavedWeights(data, Path(path)) if isinstance(data, dict) else data

    with replaced(paddle, load=load):
        yield


def _as_array(value: np.ndarray) -> np.ndarray:
    return np.array(value, subok=False)


def _join_parts(data: dict[str, Any]) -> None:
    for name, info in data.pop(PARTS, {}).items():
        parts = [data.pop(part) for part in info["slices"]]
        data[name] = np.concatenate(parts).reshape(info["OriginShape"])


def _state_dict(data: dict[str, Any], convert: Callable[[np.ndarray], Any], keep_name_table: bool) -> dict[str, Any]:
    names = data[NAMES] if keep_name_table else data.pop(NAMES)
    for key, name in names.items():
        if isinstance(data[key], np.ndarray):
            data[key] = _tensor(data[key], convert, name)
    return data


def _with_tensors(data: Any, convert: Callable[[np.ndarray], Any]) -> Any:
    named = any(_is_named_tensor(part) for part in _parts(data))

    def tensors(value: Any) -> Any:
        if named and _is_named_tensor(value):
            return _tensor(value[1], convert, value[0])
        if not named and isinstance(value, np.ndarray):
            return convert(value)
        if isinstance(value, dict):
            value.update({key: tensors(one) for key, one in value.items()})
            return value
        return type(value)(map(tensors, value)) if isinstance(value, (list, tuple)) else value

    return tensors(data)


def _parts(data: Any) -> Iterator[Any]:
    yield data
    if isinstance(data, (dict, list, tuple)):
        for part in data.values() if isinstance(data, dict) else data:
            yield from _parts(part)


def _is_named_tensor(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], np.ndarray)
    )


def _tensor(value: np.ndarray, convert: Callable[[np.ndarray], Any], name: str) -> Any:
    made = convert(value)
    if not isinstance(made, np.ndarray):
        made.name = name
    return made
