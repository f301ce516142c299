"""Mends for PaddleClas. Each names the release it is for; none changes what a release does right."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...common.errors import SlimError
from ..paddle import paddle
from .find import find_backbones, find_ppcls


def load_engine() -> types.ModuleType:
    """Import ``ppcls.engine.engine``, mended, and return the module.

    Raises:
        SlimError: PaddleClas cannot be found, see :func:`find_ppcls`.
    """
    root = find_ppcls()
    from ppcls.engine import engine

    _removed_numpy_names()
    _nesterov()
    _scalars_without_axis()
    _paths_relative_to_ppcls(root)
    folder = find_backbones()
    if folder is not None:
        _take_backbones_from(folder)
    return engine


def _take_backbones_from(folder: Path) -> None:
    """Load ``ppcls.arch.backbone`` from another release than the engine's.

    paddleclas 2.4.3 to 2.6.0 have no engine, and the backbones are all that the engine of 2.4.2 needs of them. They
    have to come after everything else: ``ppcls.utils`` and ``ppcls.arch`` import each other.
    """
    import ppcls.arch

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
    """Let backbones of 2.4.3 and newer import a ``load_dygraph_pretrain`` that takes addresses, as theirs does."""
    from ppcls.utils import save_load

    load, fetch = save_load.load_dygraph_pretrain, save_load.load_dygraph_pretrain_from_url

    def load_dygraph_pretrain(model: Any, path: str, use_ssld: bool = False, **variants: Any) -> None:
        if path.startswith(("http://", "https://")):
            fetch(model, path, use_ssld)
        else:
            load(model, path)

    with replaced(save_load, load_dygraph_pretrain=load_dygraph_pretrain):
        yield


@contextmanager
def replaced(module: Any, **names: Any) -> Iterator[None]:
    """Replace attributes of a module for the length of a ``with`` block."""
    before = {name: getattr(module, name) for name in names if hasattr(module, name)}
    for name in before:
        setattr(module, name, names[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


class _WithOverrides(types.ModuleType):
    """A module that answers with its own attributes first and another module's otherwise."""

    def __init__(self, module: types.ModuleType, **overrides: Any):
        super().__init__(module.__name__)
        self.__dict__.update(overrides)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _removed_numpy_names() -> None:
    """Give NumPy the aliases back that PaddleClas 2.4.2 uses (``np.int`` in AutoAugment and RandAugment).

    Deprecated in NumPy 1.20, removed in 1.24. release/2.5 and develop do without them; may go with the
    support of the 2.4.2 wheel.
    """
    for name, builtin in (("int", int), ("float", float), ("bool", bool)):
        if name not in vars(np):
            setattr(np, name, builtin)


def _nesterov() -> None:
    """Let ``Optimizer`` with ``name: Momentum`` take ``use_nesterov``, which the CIFAR-10 recipes of the papers need.

    PaddleClas 2.4.2 refuses the key; release/2.5 and develop pass it on. May go with the support of the
    2.4.2 wheel.
    """
    from ppcls.optimizer import optimizer

    plain = optimizer.Momentum
    if "use_nesterov" in inspect.signature(plain.__init__).parameters:
        return

    class Momentum(plain):  # type: ignore[misc,valid-type]
        def __init__(self, *args: Any, use_nesterov: bool = False, **kwargs: Any):
            super().__init__(*args, **kwargs)
            self.use_nesterov = use_nesterov

        def __call__(self, model_list: Any) -> Any:
            built = super().__call__(model_list)
            built._use_nesterov = self.use_nesterov
            return built

    optimizer.Momentum = Momentum


def _scalars_without_axis() -> None:
    """Read losses and metrics that have no axis.

    PaddleClas 2.4.2 takes ``tensor.numpy()[0]`` of scalars, which since Paddle 2.5 are 0-D:
    ``IndexError: too many indices``. release/2.5 and develop use ``float(tensor)``; the functions
    replaced here are then left alone. May go with the support of the 2.4.2 wheel.
    """
    from ppcls.engine.train import train
    from ppcls.engine.train import utils as train_utils
    from ppcls.loss import CombinedLoss
    from ppcls.metric import metrics
    from ppcls.utils import misc

    if "numpy()[0]" not in _source(train_utils):
        return

    def update_metric(trainer: Any, out: Any, batch: Any, batch_size: int) -> None:
        if trainer.train_metric_func is not None:
            _average(trainer, trainer.train_metric_func(out, batch[-1]), batch_size)

    def update_loss(trainer: Any, loss_dict: dict, batch_size: int) -> None:
        _average(trainer, loss_dict, batch_size)

    def _average(trainer: Any, values: dict, batch_size: int) -> None:
        for key, value in values.items():
            meter = trainer.output_info.setdefault(key, misc.AverageMeter(key, "7.5f"))
            meter.update(_number(value), batch_size)

    def avg_info(meter: Any) -> str:
        meter.avg = _number(meter.avg)
        return f"{meter.name}: {meter.avg:.5f}"

    def losses_with_axis(loss: Any, *args: Any, **kwargs: Any) -> dict:
        return {key: _one_axis(value) for key, value in call_loss(loss, *args, **kwargs).items()}

    call_loss = CombinedLoss.__call__
    CombinedLoss.__call__ = losses_with_axis
    for module in (train, train_utils):
        module.update_metric, module.update_loss = update_metric, update_loss
    misc.AverageMeter.avg_info = property(avg_info)
    metrics.paddle = _WithOverrides(
        paddle,
        mean=lambda *args, **kwargs: _one_axis(paddle.mean(*args, **kwargs)),
        to_tensor=lambda *args, **kwargs: _one_axis(paddle.to_tensor(*args, **kwargs)),
    )


def _number(value: Any) -> float:
    return float(value.item() if isinstance(value, paddle.Tensor) else value)


def _one_axis(value: Any) -> Any:
    return value.reshape([1]) if isinstance(value, paddle.Tensor) and value.ndim == 0 else value


def _source(module: types.ModuleType) -> str:
    return Path(module.__file__ or "").read_text(encoding="utf-8")


def _paths_relative_to_ppcls(root: Path) -> None:
    """Find PaddleClas's own label files when the tools do not run inside a PaddleClas checkout.

    The configurations name ``ppcls/utils/imagenet1k_label_list.txt`` relative to a checkout; every
    release looks for it below the current folder and then prints predictions without names.
    """
    from ppcls.data.postprocess import topk

    if getattr(topk.Topk, "_finds_labels", False):
        return
    parse = topk.Topk.parse_class_id_map

    def parse_class_id_map(self: Any, class_id_map_file: str | None) -> Any:
        return parse(self, resolve_ppcls_path(class_id_map_file, root))

    topk.Topk.parse_class_id_map = parse_class_id_map
    topk.Topk._finds_labels = True


def resolve_ppcls_path(path: str | None, root: Path | None = None) -> str | None:
    """Return ``path``, or the file of that name inside PaddleClas where only that one exists."""
    if path is None or Path(path).exists():
        return path
    inside = (root or find_ppcls()) / path
    return str(inside) if inside.exists() else path


def read_yaml_config(path: Path, overrides: list[str]) -> Any:
    """``ppcls.utils.config.get_config``, with problems of the file in one line.

    Raises:
        SlimError: the file is no YAML, or an override does not fit what it holds.
    """
    find_ppcls()
    import yaml
    from ppcls.utils.config import get_config

    try:
        return get_config(str(path), overrides=overrides, show=False)
    except yaml.YAMLError as error:
        raise SlimError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
    except (AttributeError, AssertionError, TypeError, KeyError, IndexError) as error:
        raise SlimError(f"{path} with {overrides or 'no overrides'} cannot be read: {error}") from error


def add_names(datasets: Mapping[str, Any], backbones: Mapping[str, Any]) -> None:
    """Let ``DataLoader.*.dataset.name`` and ``Arch.name`` find what the plugin brings.

    Every release looks names up among the globals of ``ppcls.data`` and ``ppcls.arch``; there is no
    registry. Names that PaddleClas has itself are left alone.
    """
    import ppcls.arch
    import ppcls.data

    for module, names in ((ppcls.data, datasets), (ppcls.arch, backbones)):
        for name, thing in names.items():
            if not hasattr(module, name):
                setattr(module, name, thing)


def copy_config(config: Any) -> Any:
    """Copy a configuration with its class.

    ``copy.deepcopy`` of PaddleClas's ``AttrDict`` gives plain dictionaries in every release, and the
    engine reads ``config.Global``.
    """
    if isinstance(config, dict):
        return type(config)({key: copy_config(value) for key, value in config.items()})
    if isinstance(config, list):
        return [copy_config(value) for value in config]
    return config
