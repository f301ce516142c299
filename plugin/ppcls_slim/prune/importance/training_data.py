"""Training batches and their loss, for criteria that score by more than the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Optional

from ...compat.paddle import paddle
from ...graph.eval_mode import eval_mode


@dataclass(frozen=True)
class TrainingData:
    """What a data-driven criterion is given.

    Attributes:
        batches: a data loader.
        loss: ``loss(model, batch)`` returns the training loss, a scalar with gradients.
        count: how many batches are used, ``Slim.prune.importance.batches``.
    """

    batches: Iterable[Any]
    loss: Callable[[paddle.nn.Layer, Any], paddle.Tensor]
    count: int = 32

    def losses(self, model: paddle.nn.Layer, count: Optional[int] = None) -> Iterator[paddle.Tensor]:
        """Yield the loss of up to ``count`` batches, one at a time.

        The model is in evaluation mode meanwhile, so that running statistics stay as they are, and its gradients are
        cleared before every batch and at the end.

        Example:
            >>> for loss in data.losses(model, 32):
            ...     loss.backward()
            ...     gradients = {name: p.grad for name, p in model.named_parameters() if not p.stop_gradient}
        """
        with eval_mode(model), paddle.enable_grad():
            for batch in islice(self.batches, count or self.count):
                model.clear_gradients()
                yield self.loss(model, batch)
        model.clear_gradients()
