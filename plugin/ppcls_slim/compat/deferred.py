"""Import a package, and what it needs only for some of its functions when one of them is called."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def deferred(packages: Sequence[str]) -> Iterator[None]:
    """Let imports of these modules bind stand-ins, for the length of a ``with`` block.

    A stand-in imports the real module when something in it is called or looked at, and passes everything on to it.
    What is imported already is the real module; a package that is not installed raises ``ImportError`` as ever.

    Args:
        packages: modules, parents before their children: ``("sklearn", "sklearn.metrics")``.
    """
    missing = {name.partition(".")[0] for name in packages if name.partition(".")[0] in sys.modules}
    missing |= {name for name in packages if "." not in name and importlib.util.find_spec(name) is None}
    stand_ins = {name: _Module(name) for name in packages if name.partition(".")[0] not in missing}
    for name, stand_in in stand_ins.items():
        parent, _, child = name.rpartition(".")
        if parent:
            stand_ins[parent].__dict__[child] = stand_in
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


class _Module(types.ModuleType):
    """Stands in for a module."""

    def __init__(self, name: str):
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            return _Name(self.__name__, name)  # `from module import name`
        return _look_up(self.__name__, name)


class _Name:
    """Stands in for a function, a class or an object of a module."""

    def __init__(self, module: str, name: str):
        self.__module, self.__name = module, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__real(), name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.__real(),)

    def __real(self) -> Any:
        return _look_up(self.__module, self.__name)


def _look_up(module: str, name: str) -> Any:
    real = importlib.import_module(module)
    try:
        return getattr(real, name)
    except AttributeError:
        return importlib.import_module(f"{module}.{name}")  # as if someone had imported it before
