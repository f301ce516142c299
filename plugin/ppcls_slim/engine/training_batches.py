"""Training batches and their loss, for criteria that score by them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..compat.paddle import paddle
from ..compat.paddleclas.config import copy_config
from ..compat.paddleclas.stand_ins import build_dataloader, build_loss
from ..compat.paddleclas.types import ClasConfig
from ..prune.importance import TrainingData
from . import preflight

Loss = Callable[[Any, paddle.Tensor], Mapping[str, paddle.Tensor]]
Feed = Callable[[paddle.nn.Layer, Any], Any]


def feed(model: paddle.nn.Layer, batch: Any) -> Any:
    """Give a classifier a batch."""
    return model(batch[0])


def feed_with_labels(model: paddle.nn.Layer, batch: Any) -> Any:
    """Give a recognition model, whose head reads labels, a batch."""
    return model(batch[0], batch[1])


def training_data(config: ClasConfig, batches: Iterable[Any], feed: Feed, loss: Loss) -> TrainingData:
    """Return batches with the loss that PaddleClas trains with.

    Args:
        config: PaddleClas configuration.
        batches: of ``DataLoader.Train``.
        feed: gives a model a batch.
        loss: ``Loss.Train``, of an output and labels.
    """
    several_labels = config["Global"].get("use_multilabel", False)

    def of_batch(model: paddle.nn.Layer, batch: Any) -> paddle.Tensor:
        labels = batch[1] if several_labels else batch[1].reshape([len(batch[1]), -1])  # as PaddleClas trains
        return loss(feed(model, batch), labels)["loss"]

    return TrainingData(batches, of_batch)


def build_training_data(config: ClasConfig) -> TrainingData:
    """Build ``DataLoader.Train`` and ``Loss.Train``, where no engine has built them.

    Raises:
        SlimError: one of them cannot be built.
    """
    config = copy_config(config)
    preflight.check_data(config, "train")
    seed = config["Global"].get("seed")
    if seed or seed == 0:  # as PaddleClas's engine, so that training sees the same batches
        random.seed(seed)
        np.random.seed(seed)
        paddle.seed(seed)
    device = paddle.set_device(config["Global"]["device"])
    sections = {**config["DataLoader"], "class_num": config["Arch"].get("class_num")}
    loader = preflight.with_clear_errors(build_dataloader)(sections, "Train", device, False)
    recognizes = config["Arch"].get("name") == "RecModel"
    return training_data(
        config, loader, feed_with_labels if recognizes else feed, build_loss(config["Loss"]["Train"])
    )
