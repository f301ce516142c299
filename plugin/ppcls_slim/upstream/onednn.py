"""oneDNN in Paddle Inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def without_onednn(config: Any) -> None:
    """Turn oneDNN off, which is on by default since Paddle 3.0 and has to be turned on in 2.6."""
    if hasattr(config, "disable_mkldnn"):
        config.disable_mkldnn()


def spare_what_fails(config: Any, program: Path) -> None:
    """Keep oneDNN from operators that Paddle 3.3.1 hands to it and that fail or go wrong there.

    * ``nearest_interp`` and its kin (HRNet, MobileViT) stop at their list of scales:
      ``ConvertPirAttribute2RuntimeAttribute not support [pir::ArrayAttribute<pir::DoubleAttribute>]``.
    * ``mean`` over channels (the layer normalization of ConvNeXt) gives wrong numbers, without a word.
    * a convolution with ``leaky_relu`` behind it (CSPDarkNet): a segmentation fault in
      ``conv_activation_onednn_fuse_pass`` when the predictor is made.

    Without the pass that hands operators over one by one, those that are fused (convolutions with what follows
    them) still run in oneDNN.

    Args:
        config: ``paddle.inference.Config`` with oneDNN on.
        program: the file that it will load.
    """
    if program.suffix != ".json":
        return
    text = program.read_text(encoding="utf-8")
    if "_interp" in text or '"1.mean"' in text:
        config.delete_pass("onednn_placement_pass")
    if '"1.leaky_relu"' in text:
        config.delete_pass("conv_activation_onednn_fuse_pass")
