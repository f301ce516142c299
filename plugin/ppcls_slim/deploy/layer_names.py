"""Which layer of the model a weight of an exported program belongs to."""

from __future__ import annotations

from ..compat.paddle import paddle

WRAPPER = "base_model."
"""What PaddleClas's ``ExportModel`` puts in front."""


def layers_of_weights(model: paddle.nn.Layer) -> dict[str, str]:
    """Name of a parameter in programs (``conv2d_0.w_0``) -> name of its layer in the model (``blocks.0.conv``).

    Args:
        model: wrapped for export or not.
    """
    return {
        parameter.name: name.removeprefix(WRAPPER).rpartition(".")[0] for name, parameter in model.named_parameters()
    }
