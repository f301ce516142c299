"""Open a checkpoint: find its files, hold the weights against the sidecar file, and load them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from pydantic import ValidationError

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..prune.plan import Plan
from ..prune.schedules.mask_state import MaskState
from ..quant.record import QuantRecord
from .files import SIDECAR, WEIGHTS, finish_interrupted, path_prefix_of, sha256, with_suffix
from .metadata import Metadata

Weights = dict[str, paddle.Tensor]
"""Name -> value, as ``paddle.load`` returns a ``.pdparams``."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose weights have been found and whose plan, if it has one, fits them.

    Attributes:
        path_prefix: path without ``.pdparams``.
        plan: how the model was pruned; None for a dense checkpoint.
        metadata: the rest of the sidecar file: accuracy of the dense model, and so on.
        quant: how it was quantized; None for a float checkpoint.
        masked: filters that are zero and still in place, of a training with ``Slim.prune.schedule``.
    """

    path_prefix: Path
    plan: Optional[Plan] = None
    metadata: Metadata = field(default_factory=Metadata)
    quant: Optional[QuantRecord] = None
    masked: Optional[MaskState] = None

    @property
    def weights(self) -> Path:
        """The ``.pdparams`` file."""
        return with_suffix(self.path_prefix, WEIGHTS)


def open_checkpoint(path: str, key: str) -> Checkpoint:
    """Find a checkpoint and read its plan.

    Args:
        path: as in ``Global.pretrained_model`` or ``Global.checkpoints``.
        key: that key, for messages.

    Raises:
        SlimError: no such file, a sidecar that cannot be read, or weights that are not those that the
            sidecar was written for.
    """
    path_prefix = path_prefix_of(path)
    for folder in (path_prefix.parent, path_prefix.parent.parent):
        finish_interrupted(folder)
    weights, sidecar = with_suffix(path_prefix, WEIGHTS), with_suffix(path_prefix, SIDECAR)
    if not weights.is_file():
        raise SlimError(f"{key}: there is no file {weights}{_others(weights)}")
    if not sidecar.is_file():
        return Checkpoint(path_prefix)
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
        expected = content.pop("weights")["sha256"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SlimError(f"{sidecar} cannot be read ({error}): restore it from a copy") from None
    if sha256(weights) != expected:
        raise SlimError(
            f"{weights} is not the file that {sidecar.name} was written for (its SHA-256 differs): it is cut off, "
            "or was replaced; restore both from one save"
        )
    content.pop("written_by", None)  # written anew with every save
    prune, quant, masked = (content.pop(part, None) for part in ("prune", "quant", "zeroed"))
    return Checkpoint(
        path_prefix,
        Plan.from_json(prune) if prune else None,
        _metadata(content, sidecar),
        QuantRecord.from_json(quant) if quant else None,
        MaskState.from_json(masked) if masked else None,
    )


def _metadata(content: Mapping[str, Any], sidecar: Path) -> Metadata:
    try:
        return Metadata.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise SlimError(f"{sidecar} cannot be read ({key}: {first['msg']}): restore it from a copy") from None


def read_weights(checkpoint: Checkpoint) -> Weights:
    """Load the weights.

    Raises:
        SlimError: the file is damaged.
    """
    weights: Weights = load_file(checkpoint.weights)
    return weights


def load_file(path: Path) -> Any:
    """``paddle.load`` with a message of one line.

    Raises:
        SlimError: the file is missing or damaged.
    """
    if not path.is_file():
        raise SlimError(f"there is no file {path}, which belongs to the checkpoint")
    try:
        return paddle.load(str(path))
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise SlimError(
            f"{path} cannot be loaded ({reason}): it is cut off or is not a Paddle file; restore it"
        ) from error


def load_exactly(model: paddle.nn.Layer, weights: Mapping[str, Any], source: Path) -> None:
    """Load weights that have to fit in every name and shape (PaddleClas skips what does not fit).

    Raises:
        SlimError: a parameter is missing or has another shape.
    """
    for name, tensor in model.state_dict().items():
        if name not in weights:
            raise SlimError(f"{source} has no {name}: it belongs to another model than Arch")
        if tuple(weights[name].shape) != tuple(tensor.shape):
            raise SlimError(
                f"{source}: {name} is {list(weights[name].shape)} there and {list(tensor.shape)} in the model of Arch"
            )
    model.set_state_dict(dict(weights))


def _others(weights: Path) -> str:
    """Name the checkpoints that do lie there."""
    found = sorted(path.name[: -len(WEIGHTS)] for path in weights.parent.glob(f"*{WEIGHTS}"))
    if not found:
        return ""
    return f"; {weights.parent} has {', '.join(found[:6])}"
