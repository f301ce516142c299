"""A checkpoint to damage, and the sums over its files."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .workload import files_of

WEIGHTS, OPTIMIZER, STATES, SIDECAR = ".pdparams", ".pdopt", ".pdstates", ".slim.json"


@dataclass(frozen=True)
class Target:
    """A checkpoint to damage.

    Attributes:
        prefix: of its files.
        other: of the same scenario's checkpoint of another epoch.
        marker: file that no code may write.
    """

    prefix: Path
    other: Path
    marker: Path

    @property
    def code(self) -> str:
        """Python source that writes the marker."""
        return f"__import__('pathlib').Path({str(self.marker)!r}).touch()"

    def any_file(self, rng: random.Random) -> Path:
        """One of its files."""
        return rng.choice(files_of(self.prefix))

    def file(self, suffix: str) -> Path:
        """The file with that suffix; may not be there."""
        return self.prefix.with_name(self.prefix.name + suffix)

    def forge_sums(self) -> None:
        """Make the sums fit what was damaged, as someone would who means it; the package's own code is not used."""
        sidecar = self.file(SIDECAR)
        try:
            content = json.loads(sidecar.read_bytes())
            if "manifest" in content:
                sums = {suffix: _sha256(self.file(suffix)) for suffix in content["manifest"] if suffix != "sidecar"}
                content["manifest"] = sums
                whole = json.dumps(content, sort_keys=True).encode()
                content["manifest"] = {**sums, "sidecar": hashlib.sha256(whole).hexdigest()}
            else:
                content["weights"]["sha256"] = _sha256(self.file(WEIGHTS))
            sidecar.write_text(json.dumps(content), encoding="utf-8")
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            pass  # nothing is left that could hold a sum


def _sha256(file: Path) -> Any:
    return hashlib.sha256(file.read_bytes()).hexdigest()
