"""Backbones of one's own, under the names that ``Arch.name`` finds them by. Registering does not import Paddle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional, TypeVar, overload

from .errors import SlimError

Backbone = TypeVar("Backbone", bound=Callable[..., Any])
REGISTERED: dict[str, Callable[..., Any]] = {}


@overload
def register_backbone(backbone: Backbone, *, name: Optional[str] = None) -> Backbone: ...


@overload
def register_backbone(backbone: None = None, *, name: Optional[str] = None) -> Callable[[Backbone], Backbone]: ...


def register_backbone(backbone: Any = None, *, name: Optional[str] = None) -> Any:
    """Let ``Arch.name`` find a backbone: a ``paddle.nn.Layer`` class, or a function that returns a layer.

    It is called with the other keys of ``Arch`` as arguments. From another package, without an import: the
    entry-point group ``ppcls_slim.backbones``.

    Args:
        backbone: class or function; left out where this is a decorator with a name.
        name: another name than its own.

    Returns:
        The backbone itself, so that this can be a decorator.

    Raises:
        SlimError: it is neither, or another backbone is registered under the name.

    Example:
        >>> import paddle, ppcls_slim
        >>> @ppcls_slim.register_backbone
        ... def my_resnet(class_num=1000):
        ...     return paddle.vision.models.resnet18(num_classes=class_num)
    """
    if backbone is None:
        return lambda given: register_backbone(given, name=name)
    if not callable(backbone) or not hasattr(backbone, "__name__"):
        raise SlimError(
            f"register_backbone: {backbone!r:.80} is not a class or function that gives a paddle.nn.Layer"
        )
    wanted = name or backbone.__name__
    before = REGISTERED.get(wanted, backbone)
    if (before.__module__, before.__qualname__) != (backbone.__module__, backbone.__qualname__):
        raise SlimError(f"register_backbone: '{wanted}' is {before.__module__}.{before.__qualname__} already")
    REGISTERED[wanted] = backbone  # again, if a notebook runs a cell twice
    return backbone
