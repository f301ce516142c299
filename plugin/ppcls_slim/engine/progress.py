"""How far a training has come: its seed, its best epoch, and where its checkpoints lie."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from pydantic import TypeAdapter, ValidationError

from ..compat.paddleclas.logger import logger
from ..report.html.record import Stage
from .training_states import states_beside

STATE = "ppcls_slim"
"""Key of the plugin's part of a ``.pdstates`` file."""
BEST, LATEST = "best_model", "latest"


@dataclass(frozen=True)
class Best:
    """The best epoch so far.

    Attributes:
        metric: on the evaluation data.
        epoch: number.
    """

    metric: float
    epoch: int


@dataclass
class Progress:
    """What a training has reached; a resumed training goes on with it.

    Attributes:
        seed: that the randomness of every epoch follows from.
        training: names it; a resumed training and a second stage go on under the name of the first.
        best: the best epoch; None before the first evaluation.
        saved: prefix (``latest``, ``best_model``, ...) -> path prefix of the last checkpoint saved under it.
        stages: curves of this training and of the stages before it.
    """

    seed: int
    training: str = field(default_factory=lambda: uuid.uuid4().hex)
    best: Optional[Best] = None
    saved: dict[str, Path] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)

    @property
    def best_checkpoint(self) -> Optional[Path]:
        """Path prefix of the best model, or of the latest where none was evaluated; None before the first save."""
        return self.saved.get(BEST) or self.saved.get(LATEST)

    @property
    def folder(self) -> Optional[Path]:
        """Where this training saves; None before the first save."""
        latest = self.saved.get(LATEST) or self.best_checkpoint
        return latest.parent if latest is not None else None

    def to_state(self) -> dict[str, Any]:
        """The plugin's part of a ``.pdstates`` file."""
        best = {"metric": self.best.metric, "epoch": self.best.epoch} if self.best is not None else {}
        saved = {name: str(path) for name, path in self.saved.items()}
        stages = [stage.model_dump() for stage in self.stages]
        return {"best": best, "seed": self.seed, "training": self.training, "saved": saved, "stages": stages}

    def go_on_from(self, before: Progress) -> None:
        """Be the next stage of the same training."""
        self.training, self.stages = before.training, before.stages

    def resume(self, state: Mapping[str, Any], path_prefix: Path, epoch: int) -> None:
        """Go on with what a checkpoint was saved with; ``.pdstates`` of older versions do not say where "best" lies.

        Args:
            state: what :meth:`to_state` gave; empty for a checkpoint of PaddleClas itself.
            path_prefix: of the checkpoint.
            epoch: after which it was saved.

        Raises:
            SlimError: the best model lies beside it, and its ``.pdstates`` is damaged.
        """
        self.seed = state.get("seed", self.seed)
        self.training = state.get("training", self.training)
        self.stages = stages_of(state.get("stages"))
        best = state.get("best")
        self.best = Best(best["metric"], best["epoch"]) if best else None
        self.saved = {LATEST: path_prefix}
        told = (state.get("saved") or {}).get(BEST)
        # The whole output folder may have been moved since.
        for candidate in [path_prefix.with_name(BEST), *([Path(told)] if told else [])]:
            lying = states_beside(candidate)
            if self._is_ahead(lying, path_prefix, epoch):
                self.best = Best(lying["metric"], lying["epoch"])
            if self.best is not None and lying.get("epoch") == self.best.epoch:
                self.saved[BEST] = candidate
                return
        if self.best is not None:
            logger.warning(
                f"ppcls_slim: the best model so far, of epoch {self.best.epoch}, does not lie beside {path_prefix}; "
                "until a better one is saved, what follows the training takes the latest"
            )

    def _is_ahead(self, best: Mapping[str, Any], path_prefix: Path, epoch: int) -> bool:
        """Whether a best model is of the epoch that comes next: it is saved before the latest of its epoch is."""
        return (
            path_prefix.name == LATEST
            and best.get("epoch") == epoch + 1
            and (best.get(STATE) or {}).get("training") == self.training
        )


def stages_of(saved: object) -> list[Stage]:
    """Read what a ``.pdstates`` holds; nothing where it is of an older version, or edited."""
    try:
        return TypeAdapter(list[Stage]).validate_python(saved or [])
    except ValidationError:
        return []
