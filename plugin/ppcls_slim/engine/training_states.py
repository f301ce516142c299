"""Read the ``.pdstates`` of a checkpoint: where a training goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .. import checkpoint as checkpoints
from ..checkpoint import Checkpoint
from ..common.errors import SlimError
from ..common.validation import first_mistake

HAS_SIDECAR = "sidecar"
"""Key of the plugin's part: a sidecar file was saved with it."""


def _number(value: Any) -> float:
    """PaddleClas saves NumPy's numbers and tensors, too."""
    try:
        return float(value)
    except Exception:
        raise ValueError("it is not a number") from None


Metric = Annotated[float, BeforeValidator(_number)]


class Nothing(BaseModel):
    """An empty section."""

    model_config = ConfigDict(extra="forbid")


class Best(BaseModel):
    """The best epoch so far."""

    metric: Metric
    epoch: int


class SlimPart(BaseModel):
    """The plugin's part."""

    seed: int = 0
    best: Union[Best, Nothing] = Nothing()
    saved: dict[str, str] = {}
    sidecar: bool = False


class TrainingStates(BaseModel):
    """What the file has to hold; PaddleClas and other versions add to it."""

    epoch: int = Field(ge=0)
    metric: Metric
    ppcls_slim: Optional[SlimPart] = None


def read_states(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what ``.pdstates`` holds.

    Raises:
        SlimError: it is missing or damaged, or the sidecar file that was saved with it is missing.
    """
    file = checkpoints.with_suffix(checkpoint.path_prefix, checkpoints.STATES)
    states = checkpoint.load(checkpoints.STATES)
    known = checked(states, file)
    if known.ppcls_slim is not None and known.ppcls_slim.sidecar and not checkpoint.manifest.complete:
        sidecar = checkpoints.with_suffix(checkpoint.path_prefix, checkpoints.SIDECAR)
        raise SlimError(f"{sidecar} is missing, which was saved with {file.name}: restore all files of one save")
    return dict(states)


def states_beside(path_prefix: Path) -> dict[str, Any]:
    """Return what the ``.pdstates`` of another checkpoint holds; empty where there is no such checkpoint.

    Raises:
        SlimError: it is missing or damaged.
    """
    file, weights = (
        checkpoints.with_suffix(path_prefix, suffix) for suffix in (checkpoints.STATES, checkpoints.WEIGHTS)
    )
    there = [one for one in (weights, file) if one.is_file()]
    if not there:
        return {}
    if len(there) < 2:
        missing = file if there == [weights] else weights
        raise SlimError(f"{missing} is missing, saved with {there[0].name}: restore it, or remove {there[0].name}")
    states = checkpoints.load_file(file)
    checked(states, file)
    return dict(states)


def checked(states: Any, file: Path) -> TrainingStates:
    """Return the known part of what a ``.pdstates`` file holds.

    Raises:
        SlimError: something is missing or has another type.
    """
    try:
        return TrainingStates.model_validate(states)
    except ValidationError as error:
        reason = first_mistake(error, TrainingStates)[:200]
        raise SlimError(f"{file} does not say where to go on ({reason}): restore it") from None
