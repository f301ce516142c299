"""Build the dense model of a configuration."""

from __future__ import annotations

import copy
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..compat.paddleclas.stand_ins import build_model, while_loading_backbones
from ..compat.paddleclas.types import ClasConfig
from ..zoo.registration import register_names
from .loading import load_arch_pretrained

register_names()


def build_dense(config: ClasConfig, mode: str, fetch_pretrained: bool = True) -> paddle.nn.Layer:
    """Build the model of ``Arch`` with PaddleClas, without its own ``Slim`` handling.

    Args:
        config: PaddleClas configuration.
        mode: as for the engine.
        fetch_pretrained: False turns off ``Arch.pretrained``, whose weights would be overwritten.

    Raises:
        SlimError: ``Arch`` names an unknown model, or its pretrained weights cannot be fetched or do not fit.
    """
    dense = _without(config, "Slim")
    dense["Arch"] = copy.deepcopy(config["Arch"])
    if not fetch_pretrained:
        _turn_off_pretrained(dense["Arch"])

    def load_pretrained(backbone: paddle.nn.Layer, path: str) -> None:
        load_arch_pretrained(backbone, path, config)

    try:
        with while_loading_backbones(load_pretrained):
            return build_model(dense, mode)
    except (AttributeError, NameError) as error:
        raise SlimError(f"Arch: {error}") from None if _is_unknown_arch(error, dense["Arch"]) else error
    except ValueError as error:
        if "pretrain path" not in f"{error}":
            raise
        raise SlimError(f"Arch.pretrained: {error}") from None
    except (OSError, RuntimeError) as error:
        if "ownload" not in f"{error}":
            raise
        raise SlimError(
            f"Arch.pretrained: the weights cannot be downloaded ({str(error).splitlines()[0][:120]}); set "
            "Arch.pretrained=False, or Global.pretrained_model to a file"
        ) from error


def build_untrained(config: ClasConfig) -> paddle.nn.Layer:
    """Build the dense model with untrained weights, beside one that was built before."""
    with paddle.utils.unique_name.guard():  # some backbones name their parameters themselves
        return build_dense(config, "export", fetch_pretrained=False)


class ParameterNames:
    """A counter of its own for generated parameter names.

    Optimizer states are saved under generated names (``conv2d_0.w_0_velocity_0``). Counting from zero for every
    engine makes them the same when several are built in one process.
    """

    def __init__(self) -> None:
        before = paddle.utils.unique_name.switch()
        self._counter: Any = paddle.utils.unique_name.switch(*before)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Generate names with this counter."""
        others = paddle.utils.unique_name.switch(*self._counter)
        try:
            yield
        finally:
            self._counter = paddle.utils.unique_name.switch(*others)


def _without(config: ClasConfig, section: str) -> ClasConfig:
    copied: ClasConfig = type(config)({key: value for key, value in config.items() if key != section})  # type: ignore[call-arg]
    return copied


def _is_unknown_arch(error: Exception, arch: ClasConfig) -> bool:
    names = {arch.get("name"), (arch.get("Backbone") or {}).get("name")}
    return any(name and f"'{name}'" in str(error) for name in names)


def _turn_off_pretrained(arch: MutableMapping[str, Any]) -> None:
    for key, value in arch.items():
        if key == "pretrained":
            arch[key] = False
        elif isinstance(value, dict):
            _turn_off_pretrained(value)
