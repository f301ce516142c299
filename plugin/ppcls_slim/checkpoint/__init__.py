"""Weights and how the model was compressed, saved and loaded together.

Beside what PaddleClas saves (``best_model.pdparams`` and so on) lies ``best_model.slim.json``: the plan,
the versions that wrote it and the SHA-256 of every file. A checkpoint is all of its files or none.
"""

from __future__ import annotations

from .fitting import Fit, fit, load_exactly, load_fitting
from .metadata import AlphaHistory, Metadata, TaughtBy, sidecar, versions
from .reading import Checkpoint, Weights, load_file, open_checkpoint, read_weights
from .safetensors_files import write as write_safetensors
from .writing import (
    AVERAGED,
    OPTIMIZER,
    SAFETENSORS,
    SIDECAR,
    STATES,
    WEIGHTS,
    finish_interrupted,
    path_prefix_of,
    save,
    sha256,
    with_suffix,
    write_sidecar,
)

__all__ = [
    "AVERAGED",
    "OPTIMIZER",
    "SAFETENSORS",
    "SIDECAR",
    "STATES",
    "WEIGHTS",
    "AlphaHistory",
    "Checkpoint",
    "Fit",
    "Metadata",
    "TaughtBy",
    "Weights",
    "finish_interrupted",
    "fit",
    "load_exactly",
    "load_file",
    "load_fitting",
    "open_checkpoint",
    "path_prefix_of",
    "read_weights",
    "save",
    "sha256",
    "sidecar",
    "versions",
    "with_suffix",
    "write_safetensors",
    "write_sidecar",
]
