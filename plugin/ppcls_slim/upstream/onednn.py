"""oneDNN in Paddle Inference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .paddle_lines import paddle

_NORMS = (paddle.nn.layer.norm._BatchNormBase, paddle.nn.BatchNorm)


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


@contextmanager
def norms_written_out(model: paddle.nn.Layer) -> Iterator[None]:
    """Give batch normalizations that learn no scale or no shift ones and zeros, for the length of a ``with`` block.

    oneDNN's ``batch_norm`` (2.6.2, 3.3.1) reads both without looking whether they are there, and the process ends
    with a segmentation fault when an exported AdaFace is run.

    Args:
        model: about to be exported; afterwards it has the tensors that it had.
    """
    added = []
    try:
        for layer in model.sublayers(include_self=True):
            if not isinstance(layer, _NORMS):
                continue
            for name, value in (("weight", 1.0), ("bias", 0.0)):
                if getattr(layer, name) is None:
                    # Paddle would count anew here if the model was built under a guard, and give a name twice.
                    unique = paddle.utils.unique_name.generate(f"{layer._mean.name}.{name}")
                    constant = paddle.ParamAttr(unique, paddle.nn.initializer.Constant(value))
                    setattr(layer, name, layer.create_parameter(layer._mean.shape, constant))
                    added.append((layer, name))
        yield
    finally:
        for layer, name in added:
            delattr(layer, name)
            setattr(layer, name, None)
