"""One line an epoch: loss, top-1, seconds, time left. On a terminal a bar runs before it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Optional

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..common.console import console
from ..compat.paddle import paddle
from ..compat.paddleclas.types import ClasEngine


class EpochLines:
    """Follows a training for the console.

    Args:
        engine: that trains. Its meters, which PaddleClas's log shows, give the figures of an epoch.
    """

    def __init__(self, engine: ClasEngine):
        self._engine = engine
        self._epochs = int(engine.config["Global"]["epochs"])
        self._durations: list[float] = []
        self._start = time.perf_counter()
        self._trained: dict[str, float] = {}

    @contextmanager
    def training(self, model: paddle.nn.Layer, epoch: int) -> Iterator[None]:
        """While an epoch is trained."""
        self._start = time.perf_counter()
        with self._bar(model, epoch):
            yield
        self._trained = {name: float(meter.avg) for name, meter in self._engine.output_info.items()}

    def saved(self, epoch: int, metric: float) -> None:
        """The epoch is trained, evaluated where that was asked for, and saved: show its line.

        Args:
            epoch: number.
            metric: of the evaluation.
        """
        self._durations.append(time.perf_counter() - self._start)
        console.tell(self._line(epoch, metric))

    def _line(self, epoch: int, metric: float) -> str:
        average = sum(self._durations) / len(self._durations)
        left = timedelta(seconds=round(average * (self._epochs - epoch)))
        parts = [f"loss {self._trained['loss']:.4f}"] if "loss" in self._trained else []
        parts += [self._accuracy(epoch, metric), f"{self._durations[-1]:.1f} s", f"ETA {left}"]
        return f"epoch {epoch}/{self._epochs}: {', '.join(part for part in parts if part)}"

    def _accuracy(self, epoch: int, metric: float) -> str:
        """Of the evaluation, or where there was none in this epoch of its training batches."""
        section = self._engine.config["Global"]
        begins = section.get("start_eval_epoch", 0)
        if section["eval_during_train"] and epoch % section["eval_interval"] == 0 and epoch >= begins:
            names = [name for one in self._engine.config["Metric"]["Eval"] for name in one]
            return f"top-1 {100 * metric:.2f} %" if names[0] == "TopkAcc" else f"metric {metric:.4f}"
        return f"top-1 {100 * self._trained['top1']:.2f} % (training)" if "top1" in self._trained else ""

    @contextmanager
    def _bar(self, model: paddle.nn.Layer, epoch: int) -> Iterator[None]:
        if not console.is_live:
            yield
            return
        with _progress() as progress:
            task = progress.add_task(f"epoch {epoch}/{self._epochs}", total=len(self._engine.train_dataloader))

            def advance(layer: paddle.nn.Layer, inputs: object) -> Optional[object]:
                if layer.training:
                    progress.advance(task)
                return None

            hook = model.register_forward_pre_hook(advance)
            try:
                yield
            finally:
                hook.remove()


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, transient=True)
