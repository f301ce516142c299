"""The ``manifest`` of a sidecar file: the SHA-256 of every file of the checkpoint, and of the sidecar file itself.

It tells files that were damaged, edited or mixed with those of another save. It is not a signature: whoever changes a
checkpoint on purpose can write a manifest that fits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common.errors import SlimError

KEY, SELF = "manifest", "sidecar"


@dataclass(frozen=True)
class Manifest:
    """What the files of a checkpoint were when it was saved.

    Attributes:
        digests: suffix -> SHA-256.
        complete: whether files that are not listed do not belong to the checkpoint; False for what PaddleClas saved,
            which has no manifest, and for older versions, which noted the weights only.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False

    def check(self, file: Path, suffix: str, content: bytes) -> None:
        """Refuse a file that is not the one that was saved.

        Args:
            file: for messages.
            suffix: of the file.
            content: of the file.

        Raises:
            SlimError: it is another one.
        """
        expected = self.digests.get(suffix)
        if expected is None and self.complete:
            raise SlimError(f"{file} was not saved with this checkpoint: remove it, or restore all files of one save")
        if expected is not None and hashlib.sha256(content).hexdigest() != expected:
            raise SlimError(
                f"{file} is not the file that was saved with this checkpoint (its SHA-256 differs): it is cut off, "
                "or was replaced; restore all files of one save"
            )


def sealed(content: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of a sidecar file with its manifest.

    Args:
        content: plain data.
        digests: suffix -> SHA-256 of the other files of the checkpoint.
    """
    whole = {KEY: dict(digests), **content}
    whole[KEY][SELF] = _digest(whole)
    return whole


def unsealed(content: dict[str, Any]) -> tuple[dict[str, Any], Manifest]:
    """Return the content of a sidecar file without its manifest, and that.

    Raises:
        ValueError: the content is not what was saved.
        KeyError, TypeError: there is no manifest.
    """
    if KEY not in content:  # older versions: {"weights": {"file": ..., "sha256": ...}}
        return _without(content, "weights"), Manifest({".pdparams": content["weights"]["sha256"]})
    digests = dict(content[KEY])
    expected = digests.pop(SELF)
    if _digest({**content, KEY: digests}) != expected:
        raise ValueError("it was changed after it was saved, its SHA-256 differs")
    return _without(content, KEY), Manifest(digests, complete=True)


def _without(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != key}


def _digest(content: Mapping[str, Any]) -> str:
    """Of what the file says, not of how it is indented."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
