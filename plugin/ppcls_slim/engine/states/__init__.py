"""What a model is: dense, pruned, masked or quantized; a type each, with what it can become."""

from __future__ import annotations

from typing import Optional

from ...checkpoint import Checkpoint
from .base import State
from .dense import Dense
from .masked import Masked, MaskedTraining
from .pruned import Pruned
from .quantized import Quantized


def state_of(checkpoint: Optional[Checkpoint]) -> State:
    """What a checkpoint holds; without one, the model that PaddleClas builds."""
    if checkpoint is None:
        return Dense()
    float_state = Pruned(checkpoint.plan) if checkpoint.plan is not None else Dense()
    if checkpoint.quant is not None:
        return Quantized(float_state, checkpoint.quant)
    if checkpoint.masked is not None:
        return Masked(checkpoint.masked, checkpoint.weights)
    return float_state


__all__ = ["Dense", "Masked", "MaskedTraining", "Pruned", "Quantized", "State", "state_of"]
