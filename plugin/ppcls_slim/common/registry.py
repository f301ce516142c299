"""What can be chosen by a name in the configuration: one module of a folder each, or an entry point from outside."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from pathlib import Path
from typing import TypeVar

from .errors import SlimError, did_you_mean

T = TypeVar("T")


def entry_points(group: str) -> dict[str, importlib.metadata.EntryPoint]:
    """Return the installed entry points of a group, by name; nothing is imported."""
    if sys.version_info >= (3, 10):
        found = importlib.metadata.entry_points(group=group)
    else:
        found = importlib.metadata.entry_points().get(group, [])
    return {point.name: point for point in found}


class Registry:
    """Choices by name. The name of a module is the name that the configuration accepts.

    To add a choice, write one module in the folder. From outside the project, publish an entry point of the group,
    whose value is the object itself::

        [options.entry_points]
        ppcls_slim.criteria =
            my_score = my_package.my_module:CRITERION

    Listing the names imports nothing, so that the configuration can be validated without Paddle.

    Args:
        package: where the modules are, for example ``ppcls_slim.prune.importance.criteria``. Modules whose names
            start with an underscore are left out.
        entry_points: group of entry points, for example ``ppcls_slim.criteria``.
        kind: what a choice is, for messages: "pruning method".
        attribute: name of the object that every module offers, for example ``CRITERION``.

    Example:
        >>> criteria = Registry("ppcls_slim.prune.importance.criteria", "ppcls_slim.criteria", "pruning method",
        ...                     "CRITERION")
        >>> criteria.names()
        ['fpgm', 'l1_norm', 'l2_norm']
        >>> criterion = criteria.get("fpgm", Criterion)
    """

    def __init__(self, package: str, entry_points: str, kind: str, attribute: str):
        self.package = package
        self.group = entry_points
        self.kind = kind
        self.attribute = attribute

    def names(self) -> list[str]:
        """Return the names that can be chosen, those of the package first."""
        own = self._modules()
        return [*own, *(name for name in self.entry_points() if name not in own)]

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def get(self, name: str, offers: type[T]) -> T:
        """Import and return the choice of this name.

        Args:
            name: as :meth:`names` lists it.
            offers: class that the choice has to be an instance of.

        Raises:
            SlimError: there is no such choice, or an entry point gives something else.
        """
        if name in self._modules():
            place = f"{self.package}.{name}:{self.attribute}"
            found = getattr(importlib.import_module(f"{self.package}.{name}"), self.attribute)
        elif name in self.entry_points():
            point = self.entry_points()[name]
            place = f"entry point {self.group}:{name} ({point.value})"
            found = point.load()
        else:
            raise SlimError(self.unknown(name))
        if not isinstance(found, offers):
            raise SlimError(f"{place} is not a ppcls_slim {offers.__name__}")
        return found

    def unknown(self, name: str) -> str:
        """Return the message for a name that cannot be chosen, with the nearest spelling."""
        names = self.names()
        return f"'{name}' is not a {self.kind}{did_you_mean(name, names)}; there are {', '.join(names)}"

    def entry_points(self) -> dict[str, importlib.metadata.EntryPoint]:
        """Return the installed entry points of the group, by name."""
        return entry_points(self.group)

    def _modules(self) -> list[str]:
        """Return the modules of the package, without importing it: its parents may need Paddle."""
        root, *inside = self.package.split(".")
        spec = importlib.util.find_spec(root)
        places = spec.submodule_search_locations if spec is not None else None
        folders = [str(Path(place, *inside)) for place in places or ()]
        return sorted(module.name for module in pkgutil.iter_modules(folders) if not module.name.startswith("_"))
