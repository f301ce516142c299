"""oneDNN in Paddle Inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def without_onednn(config: Any) -> None:
    """Turn oneDNN off, which is on by default since Paddle 3.0 and has to be turned on in 2.6."""
    if hasattr(config, "disable_mkldnn"):
        config.disable_mkldnn()


def spare_interpolation(config: Any, program: Path) -> None:
    """Let models that scale feature maps (HRNet, MobileViT) run with oneDNN on.

    Paddle 3.3.1 hands ``nearest_interp`` and its kin to oneDNN and stops at their list of scales:
    ``ConvertPirAttribute2RuntimeAttribute not support [pir::ArrayAttribute<pir::DoubleAttribute>]``. Without the pass
    that hands operators over one by one, those that are fused (convolutions with what follows them) still run in
    oneDNN.

    Args:
        config: ``paddle.inference.Config`` with oneDNN on.
        program: the file that it will load.
    """
    if program.suffix == ".json" and "_interp" in program.read_text(encoding="utf-8"):
        config.delete_pass("onednn_placement_pass")
