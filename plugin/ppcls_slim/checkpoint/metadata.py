"""What the sidecar file of a checkpoint (``.slim.json``) says beside how the model was compressed."""

from __future__ import annotations

import platform
from typing import Annotated, Any, Optional

from pydantic import BaseModel, ConfigDict, Field

from .. import __version__
from ..compat.paddle import paddle
from ..compat.paddleclas.find import ppcls_version
from ..compat.paddleslim import paddleslim_version
from ..prune.plan import Plan
from ..prune.schedules.mask_state import MaskState
from ..quant.alpha_history import AlphaHistory
from ..quant.record import QuantRecord


class TaughtBy(BaseModel):
    """The teacher of ``Slim.distill``, and how much was learned from it.

    Attributes:
        teacher: ``dense``, the file of its weights, or its configuration.
        sha256: of the file of its weights; None where ``Arch.pretrained`` loaded them.
        weight: of the teacher in the loss.
        temperature: of the softmax.
    """

    model_config = ConfigDict(extra="allow")

    teacher: str
    sha256: Optional[str] = None
    weight: float
    temperature: float


class Metadata(BaseModel):
    """Figures that later steps report. Keys that this version does not know are kept and written again.

    Attributes:
        top1_dense: top-1 of the model before it was compressed, a share.
        top1_pruned: top-1 after pruning, before fine-tuning.
        top1_calibrated: top-1 after quantizing, before training.
        changed_filters: with ``Slim.prune.schedule``: ``[[epoch, filters chosen that were not before], ...]``.
        alpha: PACT's clipping levels.
        metric: of these weights on the evaluation data, as PaddleClas counts it.
        epoch: after which these weights were saved.
        warnings: of the training, that later steps repeat.
        learning_rate_factor: what ``Optimizer.lr`` was multiplied by, where ``Slim.quant`` did not say it.
        distill: who taught the model, in the last training that had a teacher.
        importance: root weight of a group -> sorted scores of its channels, see ``prune/importance/curve.py``.
    """

    model_config = ConfigDict(extra="allow")

    top1_dense: Optional[float] = None
    top1_pruned: Optional[float] = None
    top1_calibrated: Optional[float] = None
    changed_filters: Optional[list[Annotated[list[int], Field(min_length=2, max_length=2)]]] = None
    alpha: Optional[AlphaHistory] = None
    metric: Optional[float] = None
    epoch: Optional[int] = None
    warnings: Optional[list[str]] = None
    learning_rate_factor: Optional[float] = None
    distill: Optional[TaughtBy] = None
    importance: Optional[dict[str, list[float]]] = None

    def to_json(self) -> dict[str, Any]:
        """Plain data: what was set, and nothing else."""
        return self.model_dump(exclude_unset=True)

    def add_changed_filters(self, epoch: int, changed: int) -> None:
        """Note how many of an epoch's chosen filters were not chosen before."""
        self.changed_filters = [*(self.changed_filters or []), [epoch, changed]]

    def alpha_history(self) -> AlphaHistory:
        """Return the history of alphas, to be appended to."""
        if self.alpha is None:
            self.alpha = {}
        return self.alpha


def sidecar(
    plan: Optional[Plan],
    quant: Optional[QuantRecord],
    metadata: Metadata,
    masked: Optional[MaskState] = None,
) -> dict[str, Any]:
    """What lies beside the weights: who wrote it, how it was compressed, and metadata that later steps report."""
    compressed = {"prune": plan, "quant": quant, "zeroed": masked}
    parts = {key: value.to_json() for key, value in compressed.items() if value is not None}
    return {"written_by": versions(), **metadata.to_json(), **parts}


def versions() -> dict[str, str]:
    """Versions of everything that had a part."""
    return {
        "ppcls_slim": __version__,
        "paddle": paddle.__version__,
        "paddleclas": ppcls_version(),
        "paddleslim": paddleslim_version(),
        "python": platform.python_version(),
    }
