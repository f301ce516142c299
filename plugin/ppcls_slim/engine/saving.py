"""Save what PaddleClas saves, atomically, with the plan beside the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import checkpoint as checkpoints
from ..checkpoint import Metadata
from ..compat.distributed import is_rank0
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger
from ..compat.paddleclas.stand_ins import save_quietly
from ..compat.paddleclas.types import Optimizer
from .progress import BEST, LATEST, STATE, Best, Progress
from .states.base import State
from .training_states import HAS_SIDECAR


class CheckpointWriter:
    """Writes the checkpoints of one training.

    Args:
        state: what the model is; says what belongs into the sidecar file.
        metadata: of the run, as it is when a checkpoint is saved.
        progress: of the run; is kept in ``.pdstates``, and told where checkpoints lie.
        after_epoch: is called with the number of an epoch, and its metric, when it is saved; PaddleClas's last step.
    """

    def __init__(
        self, state: State, metadata: Metadata, progress: Progress, after_epoch: Callable[[int, float], None]
    ):
        self._state, self._metadata, self._progress = state, metadata, progress
        self._after_epoch = after_epoch

    def save_model(
        self,
        net: paddle.nn.Layer,
        optimizers: Sequence[Optimizer],
        metric_info: Mapping[str, Any],
        model_path: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Stand in for ``ppcls.utils.save_load.save_model``."""
        prefix, progress = kwargs.get("prefix", "ppcls"), self._progress
        metric = float(metric_info.get("metric", 0.0))
        if prefix == BEST:
            progress.best = Best(metric, metric_info["epoch"])
        if not is_rank0():
            return
        target = Path(model_path)

        def write(folder: Path) -> None:
            states = {**metric_info, "metric": metric, STATE: {**progress.to_state(), HAS_SIDECAR: True}}
            save_quietly(net, optimizers, states, folder, *args, **kwargs)
            # Some releases put a folder named after the model between, some do not.
            weights = next(folder.rglob(f"{prefix}{checkpoints.WEIGHTS}"))
            progress.saved[prefix] = checkpoints.path_prefix_of(str(target / weights.relative_to(folder)))

        metadata = self._metadata.model_copy(update={"metric": metric, "epoch": metric_info.get("epoch")})
        checkpoints.save(target, prefix, write, self._state.sidecar(metadata))
        logger.info(f"Already save model in {progress.saved[prefix]}")
        if prefix == LATEST:
            self._after_epoch(metric_info["epoch"], metric)
