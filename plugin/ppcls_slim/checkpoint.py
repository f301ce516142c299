"""Weights and plan, saved and loaded together.

Beside what PaddleClas saves (``best_model.pdparams`` and so on) lies ``best_model.slim.json``: the plan,
the versions that wrote it and the SHA-256 of the weights file. A checkpoint is all of its files or none:
they are written into a folder of their own, one rename of that folder says that they are complete, and
moving them into place is finished by whoever comes next if it was interrupted.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from . import __version__
from .common.errors import SlimError
from .compat.paddle import paddle
from .compat.paddleclas.find import ppcls_version
from .compat.paddleslim import paddleslim_version
from .prune.plan import Plan
from .prune.schedules.mask_state import MaskState
from .quant.record import QuantRecord

SIDECAR = ".slim.json"
WEIGHTS = ".pdparams"
_WRITING, _COMPLETE = ".writing-", ".complete-"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose weights have been found and whose plan, if it has one, fits them.

    Attributes:
        stem: path without ``.pdparams``.
        plan: how the model was pruned; None for a dense checkpoint.
        quant: how it was quantized; None for a float checkpoint.
        zeroed: filters that are zero and still in place, of a training with ``Slim.prune.schedule``.
        metadata: the rest of the sidecar file: versions, accuracy of the dense model, and so on.
    """

    stem: Path
    plan: Optional[Plan]
    metadata: dict[str, Any]
    quant: Optional[QuantRecord] = None
    zeroed: Optional[MaskState] = None

    @property
    def weights(self) -> Path:
        """The ``.pdparams`` file."""
        return with_suffix(self.stem, WEIGHTS)


def with_suffix(stem: Path, suffix: str) -> Path:
    """Append a suffix (``Path.with_suffix`` would cut ``epoch_1.5``)."""
    return stem.with_name(stem.name + suffix)


def path_prefix_of(path: str) -> Path:
    """Path without ``.pdparams``, which PaddleClas accepts with and without."""
    return Path(path[: -len(WEIGHTS)] if path.endswith(WEIGHTS) else path)


def open_checkpoint(path: str, key: str) -> Checkpoint:
    """Find a checkpoint and read its plan.

    Args:
        path: as in ``Global.pretrained_model`` or ``Global.checkpoints``.
        key: that key, for messages.

    Raises:
        SlimError: no such file, a sidecar that cannot be read, or weights that are not those that the
            sidecar was written for.
    """
    stem = path_prefix_of(path)
    for folder in (stem.parent, stem.parent.parent):
        finish_interrupted(folder)
    weights, sidecar = with_suffix(stem, WEIGHTS), with_suffix(stem, SIDECAR)
    if not weights.is_file():
        raise SlimError(f"{key}: there is no file {weights}{_others(weights)}")
    if not sidecar.is_file():
        return Checkpoint(stem, None, {})
    try:
        metadata = json.loads(sidecar.read_text(encoding="utf-8"))
        expected = metadata["weights"]["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise SlimError(f"{sidecar} cannot be read ({error}): restore it from a copy") from None
    if sha256(weights) != expected:
        raise SlimError(
            f"{weights} is not the file that {sidecar.name} was written for (its SHA-256 differs): it is cut off, "
            "or was replaced; restore both from one save"
        )
    plan = Plan.from_json(metadata.pop("prune")) if metadata.get("prune") else None
    quant = QuantRecord.from_json(metadata.pop("quant")) if metadata.get("quant") else None
    zeroed = MaskState.from_json(metadata.pop("zeroed")) if metadata.get("zeroed") else None
    return Checkpoint(stem, plan, metadata, quant, zeroed)


def read_weights(checkpoint: Checkpoint) -> dict[str, Any]:
    """Load the weights.

    Raises:
        SlimError: the file is damaged.
    """
    return load_file(checkpoint.weights)


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
        raise SlimError(f"{path} cannot be loaded ({reason}): it is cut off or no Paddle file; restore it") from error


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


def save(folder: Path, prefix: str, write: Callable[[Path], None], sidecar: Optional[Mapping[str, Any]]) -> None:
    """Write a checkpoint as a whole.

    Args:
        folder: output folder.
        prefix: ``latest``, ``best_model``, ``epoch_3``.
        write: writes files into the folder that it is given, below which their relative paths are
            those that they will have below ``folder``.
        sidecar: metadata to lie beside every weights file, or None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finish_interrupted(folder)
    writing = folder / f"{_WRITING}{prefix}"
    shutil.rmtree(writing, ignore_errors=True)
    writing.mkdir()
    write(writing)
    if sidecar is not None:
        for weights in writing.rglob(f"*{WEIGHTS}"):
            metadata = {"weights": {"file": weights.name, "sha256": sha256(weights)}, **sidecar}
            text = json.dumps(metadata, indent=1)
            with_suffix(path_prefix_of(str(weights)), SIDECAR).write_text(text, encoding="utf-8")
    writing.rename(folder / f"{_COMPLETE}{prefix}")
    finish_interrupted(folder)


def finish_interrupted(folder: Path) -> None:
    """Move the files of every complete checkpoint into place."""
    if not folder.is_dir():
        return
    for complete in sorted(folder.glob(f"{_COMPLETE}*")):
        for source in sorted(path for path in complete.rglob("*") if path.is_file()):
            target = folder / source.relative_to(complete)
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another process finishes it at the same time
                source.replace(target)
        shutil.rmtree(complete, ignore_errors=True)


def sidecar(
    plan: Optional[Plan],
    quant: Optional[QuantRecord],
    metadata: Mapping[str, Any],
    zeroed: Optional[MaskState] = None,
) -> dict[str, Any]:
    """What lies beside the weights: who wrote it, how it was compressed, and metadata that later steps report."""
    compressed = {"prune": plan, "quant": quant, "zeroed": zeroed}
    parts = {key: value.to_json() for key, value in compressed.items() if value is not None}
    ours = {key: value for key, value in metadata.items() if key not in ("written_by", "weights")}
    return {"written_by": versions(), **ours, **parts}


def versions() -> dict[str, str]:
    """Versions of everything that had a part."""
    return {
        "ppcls_slim": __version__,
        "paddle": paddle.__version__,
        "paddleclas": ppcls_version(),
        "paddleslim": paddleslim_version(),
        "python": platform.python_version(),
    }


def sha256(path: Path) -> str:
    """Hex digest of a file, as ``sha256sum`` prints it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _others(weights: Path) -> str:
    """Name the checkpoints that do lie there."""
    found = sorted(path.name[: -len(WEIGHTS)] for path in weights.parent.glob(f"*{WEIGHTS}"))
    if not found:
        return ""
    return f"; {weights.parent} has {', '.join(found[:6])}"
