"""Where PaddleClas looks up the names in a configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...common.errors import SlimError

_ADDED: set[str] = set()
"""Backbones of the user's."""


def add_names(datasets: Mapping[str, Callable[..., Any]], backbones: Mapping[str, Callable[..., Any]]) -> None:
    """Let ``DataLoader.*.dataset.name`` and ``Arch.name`` find what the plugin brings.

    Every release looks names up among the globals of ``ppcls.data`` and ``ppcls.arch``; there is no registry. Names
    that PaddleClas has itself are left alone.
    """
    import ppcls.arch  # these two after find_ppcls
    import ppcls.data

    for module, names in ((ppcls.data, datasets), (ppcls.arch, backbones)):
        for name, thing in names.items():
            if not hasattr(module, name):
                setattr(module, name, thing)


def add_backbone(name: str, backbone: Callable[..., Any]) -> None:
    """Let ``Arch.name`` find a backbone of the user's.

    Raises:
        SlimError: PaddleClas has something else of this name.
    """
    import ppcls.arch  # after find_ppcls

    if getattr(ppcls.arch, name, backbone) is not backbone and name not in _ADDED:
        raise SlimError(f"Arch.name: PaddleClas has a '{name}' of its own; register yours under another name")
    setattr(ppcls.arch, name, backbone)
    _ADDED.add(name)


def backbone_names() -> list[str]:
    """Return the names of classes and functions that ``Arch.name`` can find."""
    import ppcls.arch  # after find_ppcls

    return [name for name, thing in vars(ppcls.arch).items() if callable(thing) and not name.startswith("_")]
