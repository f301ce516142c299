"""Read and copy PaddleClas configurations."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ...common.overrides import override
from ...common.yaml_file import read_yaml
from .faults import amp_switch, heavy_imports
from .find import find_ppcls
from .types import ClasConfig

T = TypeVar("T")


def read_yaml_config(path: Path, overrides: Sequence[str]) -> ClasConfig:
    """Read a YAML file as PaddleClas does: sections with attributes, and texts such as ``1e-3`` as numbers.

    Its ``get_config`` is not called: it evaluates the values of ``-o`` as Python, takes the last of two equal keys,
    and raises on files that are not UTF-8 or refer to themselves (2.4.2 to develop).

    Args:
        path: of the YAML file.
        overrides: ``key=value``, as after ``-o``.

    Raises:
        SlimError: the file is not valid YAML, or an override does not fit what it holds.
    """
    config = _with_attributes(read_yaml(path))
    for one in overrides:
        override(config, one)
    amp_switch.patch(config)
    return config


def clas_config(content: Mapping[str, Any]) -> ClasConfig:
    """Return a configuration, or a section ``Arch`` alone, as PaddleClas reads it from a file."""
    if "Arch" not in content:
        content = {"Arch": content}
    return _with_attributes({"Global": {"device": "cpu"}, **copy.deepcopy(dict(content))})


def _with_attributes(content: dict[str, Any]) -> ClasConfig:
    find_ppcls()
    clas = heavy_imports.import_lightly("ppcls.utils.config")
    config: ClasConfig = clas.AttrDict(content)
    clas.create_attr_dict(config)
    return config


def inference_device(config: ClasConfig) -> str:
    """Return ``gpu`` if ``Global.device`` says so, else ``cpu``: an exported model runs on one of the two."""
    return "gpu" if config["Global"]["device"] == "gpu" else "cpu"


def copy_config(config: T) -> T:
    """Copy a configuration with its class.

    ``copy.deepcopy`` of PaddleClas's ``AttrDict`` gives plain dictionaries in every release, and the engine reads
    ``config.Global``.
    """
    if isinstance(config, dict):
        return type(config)({key: copy_config(value) for key, value in config.items()})
    if isinstance(config, list):
        return [copy_config(value) for value in config]  # type: ignore[return-value]
    return config
