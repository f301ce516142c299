"""Import a package, and what it needs only for some of its functions when one of them is called."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any, Optional


@contextmanager
def deferred(packages: Sequence[str]) -> Iterator[None]:
    """Let imports of these packages and of modules in them bind stand-ins, for the length of a ``with`` block.

    A stand-in imports the real module when something in it is called or looked at, and passes everything on to it.
    Where that happens in the block already, no more stand-ins are made. What is imported already is the real module;
    what is not installed raises ``ImportError`` as ever.

    Args:
        packages: without dots: ``("sklearn", "scipy")``.
    """
    sys.meta_path.insert(0, _Finder({name for name in packages if name not in sys.modules}))
    try:
        yield
    finally:
        _no_more()


def _no_more() -> None:
    """Let Python's own machinery import from here on."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for name in [name for name, module in list(sys.modules.items()) if isinstance(module, _Module)]:
        del sys.modules[name]


class _Finder(MetaPathFinder, Loader):
    """Finds stand-ins for modules that are there."""

    def __init__(self, packages: set[str]):
        self._packages = packages

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[types.ModuleType] = None
    ) -> Optional[ModuleSpec]:
        real = PathFinder.find_spec(fullname, path) if fullname.partition(".")[0] in self._packages else None
        if real is None:
            return None
        spec = ModuleSpec(fullname, self, origin=real.origin)
        spec.submodule_search_locations = real.submodule_search_locations
        return spec

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing is run."""


class _Module(types.ModuleType):
    """Stands in for a module."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)  # Python asks every module for such names
        if sys.modules.get(self.__name__) is not self or name == "__version__":
            return _look_up(self.__name__, name)
        path, inner = vars(self).get("__path__"), f"{self.__name__}.{name}"
        if path is not None and PathFinder.find_spec(inner, path) is not None:
            return importlib.import_module(inner)
        return _Name(self.__name__, name)  # `from module import name`


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

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.__real())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self.__real())

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return _look_up, (self.__module, self.__name)

    def __real(self) -> Any:
        return _look_up(self.__module, self.__name)


def _look_up(module: str, name: str) -> Any:
    if isinstance(sys.modules.get(module), _Module):
        _no_more()  # code that is imported wants it now, and the real package wants the others
    real, inner = importlib.import_module(module), f"{module}.{name}"
    try:
        return getattr(real, name)
    except AttributeError:
        try:
            return importlib.import_module(inner)  # as if someone had imported it before
        except ModuleNotFoundError as error:
            if error.name != inner:
                raise
        raise
