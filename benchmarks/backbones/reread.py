"""A trained model, built again from its checkpoint alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.backbones import setup
from ppcls_slim.common.errors import SlimError
from ppcls_slim.engine.engine import SlimEngine


def reread_from_checkpoint(engine: SlimEngine, yaml: Path) -> SlimEngine:
    """Build the model again from the latest checkpoint, and compare every tensor.

    Args:
        engine: after training.
        yaml: its configuration.

    Raises:
        SlimError: a tensor is missing, or is not what was trained.
    """
    reread = SlimEngine(setup.with_keys(yaml, pretrained_model=str(engine.saved["latest"])), "export")
    trained, found = engine.model.state_dict(), reread.model.state_dict()
    if list(trained) != list(found):
        raise SlimError("the model built from the checkpoint has other tensors than the trained one")
    for name, tensor in trained.items():
        if not np.array_equal(tensor.numpy(), found[name].numpy(), equal_nan=True):
            raise SlimError(f"{name} is not what was trained after reading it back")
    return reread
