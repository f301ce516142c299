"""Build the dense model of a configuration."""

from __future__ import annotations

import copy
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from ..common.errors import SlimError, did_you_mean
from ..compat.distributed import synchronizes
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger
from ..compat.paddleclas.registry import backbone_names
from ..compat.paddleclas.stand_ins import build_model, ppcls_engine, while_loading_backbones
from ..compat.paddleclas.types import ClasConfig
from ..zoo.registration import own_names, register_names, register_own
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
    arch = dense["Arch"] = copy.deepcopy(config["Arch"])
    if arch.get("use_sync_bn") and not synchronizes(config["Global"]["device"]):
        logger.warning("Arch.use_sync_bn: there is one device, or no GPU; built without synchronization")
        arch["use_sync_bn"] = False
    if not fetch_pretrained:
        _turn_off_pretrained(arch)

    def load_pretrained(backbone: paddle.nn.Layer, path: str) -> None:
        load_arch_pretrained(backbone, path, config)

    register_own(arch)
    with _clear_errors(arch), while_loading_backbones(load_pretrained):
        model = build_model(dense, mode)
    if not isinstance(model, paddle.nn.Layer):
        raise SlimError(f"Arch.name: {arch.get('name')} gives a {type(model).__name__}, not a paddle.nn.Layer")
    return model


@contextmanager
def _clear_errors(arch: ClasConfig) -> Iterator[None]:
    """One line for what PaddleClas raises while it builds ``Arch``."""
    name = arch.get("name")
    try:
        yield
    except (AttributeError, NameError) as error:
        if not _is_unknown_arch(error, arch):
            raise SlimError(f"Arch: {name} cannot be built: {error}") from error
        near = did_you_mean(name, [*backbone_names(), *own_names()])
        raise SlimError(f"Arch: there is no backbone '{name}'{near}; {error}") from None
    except (TypeError, ValueError, AssertionError, LookupError, ArithmeticError) as error:
        if "pretrain path" in f"{error}":
            raise SlimError(f"Arch.pretrained: {error}") from None
        words = " ".join(str(error).split())[:200]
        raise SlimError(f"Arch: {name} cannot be built with these keys: {words}") from error
    except (OSError, RuntimeError) as error:
        if "ownload" not in f"{error}":
            raise
        raise SlimError(
            f"Arch.pretrained: the weights cannot be downloaded ({str(error).splitlines()[0][:120]}); set "
            "Arch.pretrained=False, or Global.pretrained_model to a file"
        ) from error


def build_untrained(config: ClasConfig) -> paddle.nn.Layer:
    """Build the dense model with untrained weights, beside one that was built before."""
    again = _without(config, "Slim")
    again["Arch"] = {key: value for key, value in config["Arch"].items() if key != "use_sync_bn"}  # said already
    with paddle.utils.unique_name.guard():  # some backbones name their parameters themselves
        return build_dense(again, "export", fetch_pretrained=False)


def wrapped(model: paddle.nn.Layer, config: ClasConfig) -> paddle.nn.Layer:
    """PaddleClas's ``ExportModel`` around a model: its output layer and the choice of output."""
    metrics = (config.get("Metric") or {}).get("Eval") or [{}]
    multilabel = config["Global"].get("use_multilabel", False) and "ATTRMetric" in metrics[0]
    wrapped = ppcls_engine.ExportModel(config["Arch"], model, multilabel)
    wrapped.eval()
    return wrapped


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
