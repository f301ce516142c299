"""Match layer names and patterns of the configuration with the names in the model."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

from .errors import SlimError, did_you_mean


def matching(pattern: str, layers: Sequence[str], key: str, kind: str = "convolution") -> list[str]:
    """Return the layers that an exact name or a shell pattern (``blocks.*.conv1``) matches.

    Args:
        pattern: as the user wrote it.
        layers: names of the model's convolutions.
        key: of the pattern in the configuration, for the message.
        kind: what the layers are, for the message.

    Raises:
        SlimError: it does not match any layer.
    """
    if pattern in layers:
        return [pattern]
    found = [layer for layer in layers if fnmatch.fnmatchcase(layer, pattern)]
    if not found:
        near = did_you_mean(pattern, layers)
        hint = near or f"; the first of its {len(layers)} is '{layers[0]}'"
        raise SlimError(f"{key}: '{pattern}' matches no {kind} of the model{hint}")
    return found


def expand(patterns: Iterable[str], layers: Sequence[str], key: str, kind: str = "convolution") -> dict[str, str]:
    """Return layer -> the pattern that applies to it: its exact name, else the first pattern that matches."""
    decides: dict[str, str] = {}
    patterns = list(patterns)
    for pattern in sorted(patterns, key=lambda p: p not in layers):
        for layer in matching(pattern, layers, key, kind):
            decides.setdefault(layer, pattern)
    return decides
