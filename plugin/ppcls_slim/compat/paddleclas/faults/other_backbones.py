"""Newer backbones come in wheels that have no engine.

Symptom: ``paddleclas 2.6.0 has no training engine``; with the engine of 2.4.2, ``Arch`` lacks the newer backbones.
They also call ``load_dygraph_pretrain`` with an address, which that of 2.4.2 takes for a path.
Versions: engine of PaddleClas 2.4.2, backbones of 2.4.3 to 2.6.0.
Delete when: a wheel has both, or backbones of another release are not supported any more.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...patching import replaced


def patch(folder: Path) -> None:
    """Load ``ppcls.arch.backbone`` from another release than the engine's.

    After everything else of PaddleClas: ``ppcls.utils`` and ``ppcls.arch`` import each other.

    Args:
        folder: ``ppcls/arch/backbone`` of that release.
    """
    import ppcls.arch  # after find_ppcls

    name = "ppcls.arch.backbone"
    for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        del sys.modules[module]
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    backbones = sys.modules[name] = importlib.util.module_from_spec(spec)
    with _load_with_address():
        spec.loader.exec_module(backbones)
    ppcls.arch.backbone = backbones
    for one in backbones.__all__:
        setattr(ppcls.arch, one, getattr(backbones, one))


@contextmanager
def _load_with_address() -> Iterator[None]:
    """Let backbones import a ``load_dygraph_pretrain`` that takes addresses, as that of their release does."""
    from ppcls.utils import save_load  # after find_ppcls

    load, fetch = save_load.load_dygraph_pretrain, save_load.load_dygraph_pretrain_from_url

    def load_dygraph_pretrain(model: Any, path: str, use_ssld: bool = False, **variants: Any) -> None:
        if path.startswith(("http://", "https://")):
            fetch(model, path, use_ssld)
        else:
            load(model, path)

    with replaced(save_load, load_dygraph_pretrain=load_dygraph_pretrain):
        yield
