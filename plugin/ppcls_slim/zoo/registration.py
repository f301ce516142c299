"""The names that ``Arch.name`` and ``DataLoader.*.dataset.name`` accept through the plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..common.backbones import REGISTERED, register_backbone
from ..common.errors import SlimError
from ..common.registry import entry_points
from ..compat.paddleclas.registry import add_backbone, add_names
from . import cifar_resnet
from .datasets.cifar10 import Cifar10Dataset
from .datasets.digits import DigitsDataset

BACKBONES: dict[str, Callable[..., Any]] = {**cifar_resnet.BACKBONES}
DATASETS: dict[str, Callable[..., Any]] = {one.__name__: one for one in (Cifar10Dataset, DigitsDataset)}
GROUP = "ppcls_slim.backbones"


def register_names() -> None:
    """Let PaddleClas find them; names that it has itself stay its own."""
    add_names(DATASETS, BACKBONES)


def register_own(arch: Mapping[str, Any]) -> None:
    """Let PaddleClas find the backbones of the user's that a section ``Arch`` names.

    Raises:
        SlimError: an entry point cannot be loaded, or PaddleClas has another backbone of the name.
    """
    offered = entry_points(GROUP)
    for name in _names(arch):
        if name not in REGISTERED and name in offered:
            point = offered[name]
            try:
                register_backbone(point.load(), name=name)
            except SlimError:
                raise
            except Exception as error:  # whatever a module of the user's raises
                raise SlimError(f"Arch.name: entry point {GROUP}:{name} ({point.value}): {error}") from error
        if name in REGISTERED:
            add_backbone(name, REGISTERED[name])


def own_names() -> list[str]:
    """Return what is registered, or offered by an entry point."""
    return [*REGISTERED, *entry_points(GROUP)]


def _names(section: Any) -> Iterator[str]:
    """Values of ``name`` at any depth: ``Arch.name``, ``Arch.Backbone.name``, ``Arch.models.0.Student.name``."""
    if isinstance(section, Mapping):
        if isinstance(section.get("name"), str):
            yield section["name"]
        for value in section.values():
            yield from _names(value)
    elif isinstance(section, list):
        for value in section:
            yield from _names(value)
