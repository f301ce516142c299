"""What a model is: dense, pruned, masked or quantized."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Optional

from ...checkpoint import Checkpoint, Metadata
from ...compat.paddle import paddle
from ...prune.plan import Plan
from ...quant.record import QuantRecord
from ..hooks import Hook
from ..progress import Progress
from ..run import Run


class State(ABC):
    """What a checkpoint holds, or what a run has made of it.

    Attributes:
        fetches_pretrained: whether weights of ``Arch.pretrained`` may stay in the model: those of the checkpoint, if
            there is one, need not cover all of it.
    """

    fetches_pretrained: ClassVar[bool] = False

    @property
    def plan(self) -> Optional[Plan]:
        """How it was pruned."""
        return None

    @property
    def quant(self) -> Optional[QuantRecord]:
        """How it was quantized."""
        return None

    @abstractmethod
    def rebuild(self, model: paddle.nn.Layer) -> None:
        """Give a dense model with any weights the layers and shapes of this state, in place.

        Raises:
            SlimError: it was made from another model.
        """

    @abstractmethod
    def restore(self, model: paddle.nn.Layer, checkpoint: Checkpoint, run: Run) -> None:
        """Bring a dense model to this state, and load the checkpoint's weights, in place.

        Raises:
            SlimError: the checkpoint does not fit ``Arch``.
        """

    @abstractmethod
    def begin(self, model: paddle.nn.Layer, run: Run) -> State:
        """Compress the model, whose weights are loaded, as far as the run asks for, in place.

        Returns:
            What the model is then.

        Raises:
            SlimError: it cannot be compressed as asked.
        """

    @abstractmethod
    def sidecar(self, metadata: Metadata) -> dict[str, Any]:
        """Content of the file beside the weights."""

    def hooks(self, metadata: Metadata, progress: Progress) -> list[Hook]:
        """What a training of it does at its moments."""
        return []

    def finish(self, run: Run, progress: Progress) -> State:
        """In the first process, after training: write what is made of the best model; return what that is."""
        return self
