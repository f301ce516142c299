"""PaddleClas's training engine, with the faults of its releases patched."""

from __future__ import annotations

import types

from .faults import (
    evaluated_text,
    heavy_imports,
    label_paths,
    log_files,
    nesterov,
    numpy_aliases,
    other_backbones,
    zero_dim_scalars,
)
from .find import find_backbones, find_ppcls


def load_engine() -> types.ModuleType:
    """Import ``ppcls.engine.engine``, apply the patches, and return the module.

    Patches may be applied again: each looks first whether it is needed.

    Raises:
        SlimError: PaddleClas cannot be found, see :func:`.find.find_ppcls`.
    """
    root = find_ppcls()
    engine = heavy_imports.import_lightly("ppcls.engine.engine")
    log_files.patch()
    numpy_aliases.patch()
    nesterov.patch()
    zero_dim_scalars.patch()
    label_paths.patch(root)
    folder = find_backbones()
    if folder is not None:
        other_backbones.patch(folder)
    evaluated_text.patch()  # last: in the backbones of the other release, too
    return engine
