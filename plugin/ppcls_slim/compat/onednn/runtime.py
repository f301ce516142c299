"""oneDNN in Paddle Inference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from ..paddle import paddle
from ..patching import replaced

_NORMS = (paddle.nn.layer.norm._BatchNormBase, paddle.nn.BatchNorm)


def without_onednn(config: Any) -> None:
    """Turn oneDNN off, which is on by default since Paddle 3.0 and has to be turned on in 2.6."""
    if hasattr(config, "disable_mkldnn"):
        config.disable_mkldnn()


def disable_broken_passes(config: Any, program: Path) -> None:
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


@contextmanager
def paddings_in_pad3d() -> Iterator[None]:
    """Let ``functional.pad`` write the operator ``pad3d`` in place of ``pad``, for the length of a ``with`` block.

    oneDNN's ``pad`` (2.6.2, 3.3.1) takes the paddings of all axes for those of a picture's: it pads other axes than
    it should, and fills several times its output's memory with the value, so that some later allocation ends the
    process (``invalid fastbin entry (free)``). That happens to float and to int8 models that pad, say, ``[B, H, W,
    C]``, as SwinTransformer does for images whose features are no multiple of its window. ``pad3d`` is right: its
    paddings are those of the last three of five axes.

    Paddings of the batch (of four axes) are not taken over, nor those of the first two of five.
    """
    functional = paddle.nn.functional
    upstream = functional.pad

    @paddle.jit.not_to_static  # or tracing would translate it, too
    def pad(x: Any, pad: Any, mode: str = "constant", value: Any = 0.0, *others: Any, **options: Any) -> Any:
        rank = len(x.shape)
        sizes = None
        if mode == "constant" and isinstance(pad, (list, tuple)) and len(pad) != 2 * (rank - 2) and not others:
            sizes = _of_three_axes([*pad], rank, options.get("pad_from_left_axis", True))
        if sizes is None or not isinstance(value, (int, float)):
            return upstream(x, pad, mode, value, *others, **options)
        added = list(range(5 - rank))
        given = paddle.unsqueeze(x, added) if added else x
        padded = upstream(given, sizes, value=float(value), data_format="NCDHW")
        return paddle.squeeze(padded, added) if added else padded

    with replaced(functional, pad=pad):
        yield


def _of_three_axes(pad: list[Any], rank: int, from_left: bool) -> Optional[list[int]]:
    """What ``pad3d`` takes: before and behind, last axis first; None if it cannot express it."""
    if rank > 5 or not all(isinstance(size, int) for size in pad):
        return None
    pairs = list(zip(pad[::2], pad[1::2]))
    if from_left and len(pairs) == rank:  # fewer, in Paddle 3, begin with the last axis
        pairs.reverse()
    pairs += [(0, 0)] * (3 - len(pairs))
    return None if any(map(any, pairs[3:])) else [size for pair in pairs[:3] for size in pair]
