"""Open a checkpoint: find its files, hold the weights against the sidecar file, and load them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from pydantic import ValidationError

from ..common.errors import SlimError
from ..common.locks import while_nobody_saves
from ..common.validation import first_mistake
from ..compat.paddle import paddle
from ..compat.paddle.saved_files import load_saved
from ..prune.plan import Plan
from ..prune.schedules.mask_state import MaskState
from ..quant.record import QuantRecord
from . import safetensors_files
from .manifest import Manifest, unsealed
from .metadata import Metadata
from .writing import SAFETENSORS, SIDECAR, WEIGHTS, finish_interrupted, path_prefix_of, with_suffix

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
        manifest: what its files were when it was saved.
        suffix: of the weights: ``.pdparams``, or ``.safetensors`` if that was asked for.
    """

    path_prefix: Path
    plan: Optional[Plan] = None
    metadata: Metadata = field(default_factory=Metadata)
    quant: Optional[QuantRecord] = None
    masked: Optional[MaskState] = None
    manifest: Manifest = field(default_factory=Manifest)
    suffix: str = WEIGHTS

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        return with_suffix(self.path_prefix, self.suffix)

    def load(self, suffix: str) -> Any:
        """Load one of its files.

        Raises:
            SlimError: it is missing, damaged, or was not saved with the others.
        """
        file = with_suffix(self.path_prefix, suffix)
        return _load(file, _read(file, self.manifest, suffix))


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
    with ExitStack() as locks:
        for folder in (path_prefix.parent, path_prefix.parent.parent):  # releases put a folder of Arch between
            with suppress(OSError):  # a folder that cannot be written is read as it is
                finish_interrupted(folder)
            locks.enter_context(while_nobody_saves(folder))
        return _opened(path_prefix, SAFETENSORS if path.endswith(SAFETENSORS) else WEIGHTS, key)


def _opened(path_prefix: Path, suffix: str, key: str) -> Checkpoint:
    weights, sidecar = with_suffix(path_prefix, suffix), with_suffix(path_prefix, SIDECAR)
    if not weights.is_file():
        raise SlimError(f"{key}: there is no file {weights}{_others(weights, suffix)}")
    if not sidecar.is_file():
        return Checkpoint(path_prefix, suffix=suffix)
    try:
        content, manifest = unsealed(json.loads(sidecar.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SlimError(f"{sidecar} cannot be read ({error}): restore it from a copy") from None
    _read(weights, manifest, suffix)
    content.pop("written_by", None)  # written anew with every save
    prune, quant, masked = (content.pop(part, None) for part in ("prune", "quant", "zeroed"))
    try:
        return Checkpoint(
            path_prefix,
            Plan.from_json(prune) if prune is not None else None,
            _metadata(content),
            QuantRecord.from_json(quant) if quant is not None else None,
            MaskState.from_json(masked) if masked is not None else None,
            manifest,
            suffix,
        )
    except SlimError as error:
        raise SlimError(f"{sidecar}: {error}") from None


def _metadata(content: Mapping[str, Any]) -> Metadata:
    try:
        return Metadata.model_validate(content)
    except ValidationError as error:
        raise SlimError(f"it cannot be read ({first_mistake(error, Metadata)}): restore it from a copy") from None


def read_weights(checkpoint: Checkpoint, suffix: Optional[str] = None) -> Weights:
    """Load the weights.

    Args:
        checkpoint: any.
        suffix: of another file of it that holds weights.

    Raises:
        SlimError: the file is damaged.
    """
    weights = checkpoint.load(suffix or checkpoint.suffix)
    if not isinstance(weights, dict) or not all(hasattr(value, "shape") for value in weights.values()):
        file = with_suffix(checkpoint.path_prefix, suffix or checkpoint.suffix)
        raise SlimError(f"{file} does not hold weights by name: give what paddle.save wrote of a model")
    return weights


def load_file(path: Path) -> Any:
    """Load a file of ``paddle.save`` without running anything that it may hold.

    Raises:
        SlimError: the file is missing or damaged.
    """
    return _load(path, _read(path, Manifest(), path.suffix))


def _read(path: Path, manifest: Manifest, suffix: str) -> bytes:
    if not path.is_file():
        raise SlimError(f"there is no file {path}, which belongs to the checkpoint")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SlimError(f"{path} cannot be read ({error.strerror})") from None
    manifest.check(path, suffix, content)
    return content


def _load(path: Path, content: bytes) -> Any:
    if path.suffix != SAFETENSORS:
        return load_saved(path, content)
    return safetensors_files.read(path, content)


def _others(weights: Path, suffix: str) -> str:
    """Name the checkpoints that do lie there."""
    found = sorted(path.name[: -len(suffix)] for path in weights.parent.glob(f"*{suffix}"))
    if not found:
        return ""
    return f"; {weights.parent} has {', '.join(found[:6])}"
