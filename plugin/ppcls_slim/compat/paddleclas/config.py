"""Read and copy PaddleClas configurations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from ...common.errors import SlimError
from .find import find_ppcls
from .types import ClasConfig

T = TypeVar("T")


def read_yaml_config(path: Path, overrides: Sequence[str]) -> ClasConfig:
    """Read a YAML file with ``ppcls.utils.config.get_config``; errors in the file become one line.

    Args:
        path: of the YAML file.
        overrides: ``key=value``, as after ``-o``.

    Raises:
        SlimError: the file is not valid YAML, or an override does not fit what it holds.
    """
    find_ppcls()
    import yaml  # PaddleClas brings it
    from ppcls.utils.config import get_config  # found only now

    try:
        config: ClasConfig = get_config(str(path), overrides=list(overrides), show=False)
    except yaml.YAMLError as error:
        raise SlimError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    except (AttributeError, AssertionError, TypeError, KeyError, IndexError) as error:
        raise SlimError(f"{path} with {overrides or 'no overrides'} cannot be read: {error}") from error
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
