"""What pydantic found wrong in a file of the user's, as one line: the key, what is wrong, the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, get_args, get_origin

from pydantic import BaseModel, ValidationError

from .errors import did_you_mean


def first_mistake(error: ValidationError, model: type[BaseModel], root: str = "") -> str:
    """Describe the first thing that is wrong.

    Args:
        error: as ``model`` raised it.
        model: what was validated.
        root: key of the whole in the file, for example ``Slim``.
    """
    first = _first(error.errors())
    path, section = _keys(first["loc"], model)
    if first["type"] == "extra_forbidden":
        wrong, known = str(first["loc"][-1]), list(section.model_fields)
        where = ".".join([*([root] if root else []), *path, wrong])
        return f"unknown key {where}{did_you_mean(wrong, known)}; known are {', '.join(known)}"
    where = ".".join([*([root] if root else []), *path])
    if first["type"] == "value_error":
        return f"{where}{': ' if where else ''}{first['ctx']['error']}"
    message = f"{first['msg'][0].lower()}{first['msg'][1:]}"
    if first["type"] == "missing":
        return f"{where}: {message}"
    return f"{where} is {_shown(first['input'])}: {message}"


def _first(errors: Sequence[Any]) -> Any:
    """The first error. Of a number that may also be a word (``auto``) the error of the number."""
    first = errors[0]
    if first["type"] == "literal_error" and not isinstance(first["input"], str):
        for other in errors[1:]:
            if other["loc"][:-1] == first["loc"][:-1] and other["type"] not in ("literal_error", "none_required"):
                return other
    return first


def _shown(value: Any) -> str:
    """What the user wrote, on one line and not longer than that."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def _keys(location: Sequence[Any], model: type[BaseModel]) -> tuple[list[str], type[BaseModel]]:
    """Return the keys of pydantic's location, and the model that the last of them belongs to.

    Pydantic also notes which member of a union it tried (``int``, ``literal['auto']``), which says nothing to users.
    """
    keys: list[str] = []
    annotation: Any = model
    section = model
    for part in location:
        inner = _section(annotation)
        section = inner or section
        if inner is not None and part in inner.model_fields:
            annotation = inner.model_fields[part].annotation
        elif (item := _item(annotation)) is not None:
            annotation = item
        else:
            continue
        keys.append(str(part))
    return keys, _section(annotation) or section


def _section(annotation: Any) -> Optional[type[BaseModel]]:
    """Return the model that an annotation allows: ``Model`` or ``Optional[Model]``."""
    for one in (annotation, *_members(annotation)):
        if isinstance(one, type) and get_origin(one) is None and issubclass(one, BaseModel):
            return one
    return None


def _item(annotation: Any) -> Any:
    """Return what a list or a mapping holds, or None for everything else."""
    for one in (annotation, *_members(annotation)):
        origin = get_origin(one)
        if isinstance(origin, type) and issubclass(origin, (list, Mapping)):
            return get_args(one)[-1]
    return None


def _members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union."""
    return () if isinstance(get_origin(annotation), type) else get_args(annotation)
