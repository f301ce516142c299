"""``ppcls_slim.benchmark``: exports and networks side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional, Union

from ..common.errors import SlimError, did_you_mean, naming
from ..common.precisions import EVERY
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger
from ..deploy import benchmark as deploy
from ..deploy.benchmark import Measured
from ..deploy.export import export_folder
from .batches import Data, Example, batches_of, device
from .exporting import export

Model = Union[str, Path, paddle.nn.Layer]
"""The folder of an export, or a network."""


@dataclass(frozen=True)
class Measurements:
    """What :func:`benchmark` measured. Printed, it is a table.

    Attributes:
        measured: one for each model, precision and batch size: ``median_ms``, ``p90_ms``, ``images_per_s``,
            ``speed_up`` over the first one, ``file_bytes``, ``top1``.
        warnings: batch sizes at which the machine was busy; they are logged, too.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.Flatten(), paddle.nn.Linear(144, 2))
        >>> measurements = ppcls_slim.benchmark([net], example=[3, 8, 8], runs=5)
        >>> measurements.measured[0].speed_up
        1.0
    """

    measured: Sequence[Measured]
    warnings: Sequence[str] = ()

    def __str__(self) -> str:
        """The table."""
        return deploy.table(self.measured)


def benchmark(
    models: Union[Sequence[Model], Mapping[str, Model]],
    *,
    engine: str = "paddle",
    example: Optional[Example] = None,
    data: Optional[Data] = None,
    batches: Sequence[int] = (1,),
    threads: int = 1,
    precision: str = "auto",
    runs: int = 50,
) -> Measurements:
    """Time exports and networks in turns, so that noise of the machine meets all alike.

    Args:
        models: folders that :func:`~ppcls_slim.export` or ``tools/export_model.py`` wrote, and networks, which are
            exported for this; a mapping names them. The first is what the others are compared with.
        engine: target that networks are exported for.
        example: shape ``[C, H, W]`` of an input of the networks, where it is not known from pruning or quantizing.
        data: evaluation batches ``(images, labels)``, to measure accuracy, too.
        batches: batch sizes.
        threads: CPU threads.
        precision: ``auto``, ``all``, ``fp32``, ``int8``, ``bf16`` or ``fp16``.
        runs: timed runs of each.

    Raises:
        SlimError: there is no such folder, no export in it, or it cannot run as asked.

    Example:
        >>> import paddle, ppcls_slim
        >>> dense, net = paddle.vision.models.LeNet(), paddle.vision.models.LeNet()
        >>> net = ppcls_slim.prune(net, ppcls_slim.plan(net, [1, 28, 28], pruned_ratio=0.5))
        >>> print(ppcls_slim.benchmark({"dense": dense, "pruned": net}, example=[1, 28, 28], runs=5))
        +--------+--------+---------+...
    """
    if isinstance(models, (str, Path, paddle.nn.Layer)) or not isinstance(models, (Mapping, Sequence)) or not models:
        raise SlimError("benchmark: give a list of folders and networks, or a mapping from names to them")
    _check_numbers(batches, threads, precision, runs)
    named = models if isinstance(models, Mapping) else dict(zip(_names(models), models))
    loader = batches_of(data, "benchmark")
    if loader is not None and not loader.labelled:
        raise SlimError("benchmark: data gives images without labels: give (images, labels), or leave it out")
    with tempfile.TemporaryDirectory() as scratch:
        names: dict[str, str] = {}
        for number, (name, model) in enumerate(named.items()):
            names[str(_folder(model, Path(scratch) / str(number), engine, example))] = name
        folders = [Path(folder) for folder in names]
        warnings: list[str] = []
        with naming("benchmark"):
            measured = deploy.benchmark(
                folders, batches, device(), threads, precision, runs, loader, log=logger.info, warn=warnings.append
            )
    for warning in warnings:
        logger.warning(f"ppcls_slim: {warning}")
    return Measurements([replace(one, model=names[one.model]) for one in measured], warnings)


def _check_numbers(batches: Sequence[int], threads: int, precision: str, runs: int) -> None:
    if not isinstance(batches, (list, tuple)) or not batches:
        raise SlimError(f"benchmark: batches is {batches!r:.40}: give a list of batch sizes, as [1, 64]")
    for name, number in (*(("batches", one) for one in batches), ("threads", threads), ("runs", runs)):
        if not isinstance(number, int) or number < 1:
            raise SlimError(f"benchmark: {name} has to be a whole number above 0, not {number!r:.40}")
    if precision not in EVERY:
        raise SlimError(f"benchmark: there is no precision {precision!r:.40}{did_you_mean(str(precision), EVERY)}")


def _names(models: Sequence[Model]) -> list[str]:
    return [
        f"{number + 1}: {type(one).__name__}" if isinstance(one, paddle.nn.Layer) else str(one)
        for number, one in enumerate(models)
    ]


def _folder(model: Model, scratch: Path, engine: str, example: Optional[Example]) -> Path:
    if isinstance(model, paddle.nn.Layer):
        export(model, scratch, [engine], example=example, compare=False)
        return export_folder(scratch, engine)
    if not isinstance(model, (str, Path)):
        raise SlimError(f"benchmark: a {type(model).__name__} is neither the folder of an export nor a network")
    return Path(model)
