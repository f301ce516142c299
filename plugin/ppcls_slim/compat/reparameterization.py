"""Networks that train with parallel branches and are deployed with one convolution in their place.

RepVGG (Ding et al., CVPR 2021), PP-LCNetV2, the diverse branch block, MobileOne: a block folds itself when its
``re_parameterize`` (PaddleClas 2.4.2: ``rep``) is called, and says so in ``is_repped``.
"""

from __future__ import annotations

from .paddle import paddle

METHODS = ("re_parameterize", "rep")


def merge_branches(model: paddle.nn.Layer) -> list[str]:
    """Fold every block that is not folded yet, in place; return their names.

    The outputs in evaluation mode stay the same up to rounding. Blocks may keep the branches, which are then
    layers that never run.
    """
    merged = []
    for name, layer in list(model.named_sublayers()):
        fold = next((getattr(layer, method) for method in METHODS if hasattr(layer, method)), None)
        if fold is None or getattr(layer, "is_repped", False):
            continue
        fold()
        layer.is_repped = True  # blocks of other packages do not all note it
        merged.append(name)
    return merged
