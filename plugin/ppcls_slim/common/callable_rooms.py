"""Packages that are functions, too: ``ppcls_slim.prune(model, plan)``, and ``ppcls_slim.prune`` with its modules.

Importing a submodule makes Python set it as an attribute of the package, in the place of a function of that name. So
the submodule itself is made callable.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Optional


class CallableRoom(ModuleType):
    """A package that is a function when it is called.

    Attributes:
        called: package and module of the function, which has the room's own name.
    """

    called: tuple[str, str]

    def function(self) -> Callable[..., Any]:
        """The function, imported now."""
        package, place = self.called
        found: Callable[..., Any] = getattr(
            importlib.import_module(f"{package}.{place}"), self.__name__.rpartition(".")[2]
        )
        return found

    def __call__(self, *arguments: Any, **keys: Any) -> Any:
        """Call the function."""
        return self.function()(*arguments, **keys)

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        """Be pickled and copied by name, as functions are."""
        return importlib.import_module, (self.__name__,)

    @property
    def __doc__(self) -> Optional[str]:  # type: ignore[override]
        """Of the function, which is what users look up."""
        return self.function().__doc__

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.function())


def make_rooms_callable(package: ModuleType, places: Mapping[str, str]) -> None:
    """Make submodules callable as they are imported.

    Args:
        package: whose submodules they are.
        places: public name -> module below the package that has it.
    """

    class Package(ModuleType):
        def __setattr__(self, name: str, value: Any) -> None:
            if name in places and type(value) is ModuleType:
                vars(value)["called"] = (self.__name__, places[name])
                value.__class__ = CallableRoom
            super().__setattr__(name, value)

    package.__class__ = Package
