"""Read the configuration that ``-c`` and ``-o`` give."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..common.errors import SlimError, did_you_mean
from ..compat.paddleclas.config import read_yaml_config
from ..compat.paddleclas.types import ClasConfig
from ..config.clas import check_sections
from ..config.section import read_section
from ..config.steps import epochs_of_steps


def read_config(arguments: argparse.Namespace) -> ClasConfig:
    """Read the YAML as PaddleClas does, overrides included; nothing in it is executed.

    Raises:
        SlimError: the file is missing or is not a YAML mapping, an override does not fit it, or PaddleClas cannot be
            found.
    """
    path = Path(arguments.config)
    if not path.exists():
        raise SlimError(f"-c: there is no file {path}{_nearest_config(path)}")
    config = read_yaml_config(path, [one for group in arguments.override for one in group])
    check_sections(config, arguments.command)
    config["profiler_options"] = arguments.profiler_options
    for key in ("pretrained_model", "checkpoints"):
        if key not in config["Global"]:
            config["Global"][key] = None
    return config


def _nearest_config(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path("ppcls_configs")
    if not folder.is_dir():
        return f"; {path.parent} does not exist either"
    return did_you_mean(str(path), [str(found) for found in folder.rglob("*.yaml")])


def checked_config(arguments: argparse.Namespace) -> ClasConfig:
    """Read the configuration, and validate its ``Slim`` section.

    Raises:
        SlimError: see :func:`read_config`, :func:`.read_section` and :func:`.epochs_of_steps`.
    """
    config = read_config(arguments)
    slim = read_section(config)
    if slim is not None and arguments.command == "train":
        epochs_of_steps(config, slim)
    return config
