"""Networks that train with parallel branches and are deployed with one convolution in their place.

RepVGG (Ding et al., CVPR 2021), PP-LCNetV2, the diverse branch block, MobileOne: a block merges its branches when its
``re_parameterize`` (PaddleClas 2.4.2: ``rep``) is called, and says so in ``is_repped``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .paddle import paddle
from .patching import attribute_restored

METHODS = ("re_parameterize", "rep")


def merge_branches(model: paddle.nn.Layer) -> list[str]:
    """Merge the branches of every block, in place; return the names of those that were not merged yet.

    The outputs in evaluation mode stay the same up to rounding. Blocks may keep the branches, which are then
    layers that never run.
    """
    merged = []
    for name, layer in list(model.named_sublayers()):
        merge = next((getattr(layer, method) for method in METHODS if hasattr(layer, method)), None)
        if merge is None or getattr(layer, "is_repped", False):
            continue
        merge()
        layer.is_repped = True  # blocks of other packages do not all note it
        merged.append(name)
    return merged


def has_unmerged_branches(model: paddle.nn.Layer) -> bool:
    """Whether a model has a block whose branches are not merged."""
    return any(getattr(layer, "is_repped", True) is False for layer in model.sublayers(include_self=True))


def builds_merged_convolution(layer: paddle.nn.Layer) -> bool:
    """Whether a layer is a block that creates one convolution of its attributes when it is merged."""
    return any(hasattr(layer, method) for method in ("re_parameterize", "get_equivalent_kernel_bias"))


@contextmanager
def run_as_merged(model: paddle.nn.Layer) -> Iterator[None]:
    """Let blocks take the way of merged ones, though nothing is merged, for the length of a ``with`` block."""
    blocks = [layer for layer in model.sublayers(include_self=True) if hasattr(layer, "is_repped")]
    with attribute_restored(blocks, "is_repped"):
        for block in blocks:
            block.is_repped = True
        yield
