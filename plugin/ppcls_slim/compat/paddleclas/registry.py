"""Where PaddleClas looks up the names in a configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


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
