"""What ``ppcls_slim`` uses of PaddleClas's objects, whose classes carry no annotations."""
# ruff: noqa: D102  (the methods are documented by PaddleClas and Paddle)

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping
from typing import Any, Optional, Protocol


class ClasConfig(Protocol):
    """A PaddleClas configuration or a section of one: ``ppcls.utils.config.AttrDict``, a ``dict``."""

    def __getitem__(self, key: str, /) -> Any: ...

    def __setitem__(self, key: str, value: Any, /) -> None: ...

    def __contains__(self, key: object, /) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def get(self, key: str, default: Any = None, /) -> Any: ...

    def pop(self, key: str, default: Any = None, /) -> Any: ...

    def keys(self) -> KeysView[str]: ...

    def items(self) -> ItemsView[str, Any]: ...

    def update(self, other: Mapping[str, Any] = ..., /, **more: Any) -> None: ...


class DataLoader(Protocol):
    """``paddle.io.DataLoader``, or the DALI pipeline in its place: batches are ``[images, labels, ...]``."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


class Optimizer(Protocol):
    """``paddle.optimizer.Optimizer``."""

    def state_dict(self) -> dict[str, Any]: ...

    def set_state_dict(self, state_dict: dict[str, Any]) -> None: ...

    def get_lr(self) -> float: ...

    def step(self) -> None: ...

    def clear_grad(self) -> None: ...


class ClasEngine(Protocol):
    """``ppcls.engine.engine.Engine``.

    Attributes:
        config: what the YAML and ``-o`` overrides say.
        mode: ``train``, ``eval``, ``infer`` or ``export``.
        eval_mode: ``classification``, ``retrieval`` or another kind of evaluation.
        is_rec: whether the model gives features of a batch instead of scores of classes.
        model: in ``DataParallel`` where several processes train.
        train_dataloader: in mode ``train``.
        train_loss_func: ``Loss.Train``, of an output and labels; in mode ``train``.
        eval_func: evaluates after an epoch, of the engine and the number of the epoch; returns the metric.
        output_info: means of the metrics and losses of the epoch that is trained, objects with ``avg``.
        eval_dataloader: in mode ``eval``, and in mode ``train`` with ``Global.eval_during_train``.
        output_dir: ``Global.output_dir``.
        output_info: name of a loss or metric -> its average over the epoch so far, with ``avg``.
    """

    config: ClasConfig
    mode: str
    eval_mode: str
    is_rec: bool
    model: Any
    train_dataloader: DataLoader
    train_loss_func: Callable[[Any, Any], Mapping[str, Any]]
    eval_func: Callable[..., Any]
    output_info: Mapping[str, Any]
    eval_dataloader: Optional[DataLoader]
    optimizer: list[Optimizer]
    output_dir: str

    def train(self) -> None: ...

    def eval(self, epoch_id: int = 0) -> float: ...

    def infer(self) -> None: ...

    def export(self) -> None: ...
