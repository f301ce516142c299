"""``ppcls_slim.quantize``: fake quantizers, calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger
from ..quant import prepare
from .batches import Batches, Data, check_network, feed
from .compression import check_float, compression_of, copy_of, keep
from .section import quant_section

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .keys import QuantKeys


def quantize(
    model: paddle.nn.Layer,
    data: Data,
    settings: Optional[Mapping[str, Any]] = None,
    *,
    trains: bool = False,
    **keys: Unpack[QuantKeys],
) -> paddle.nn.Layer:
    """Put calibrated fake quantizers into a network, in place: ready for export, or for training before it.

    Args:
        model: float, dense or pruned, with its weights.
        data: batches to calibrate on (``calibration_batches`` of them, 8): images, or ``(images, labels)``.
        settings: keys of ``Slim.quant`` as a mapping, as in a YAML file.
        trains: the network will be trained from here on with few trained epochs behind it: batch normalizations then
            use the statistics of each batch while calibrating, as they will in training, and PACT starts from wider
            ranges.
        **keys: keys of ``Slim.quant`` (docs/configuration.md): ``name`` (pact, qat, lsq), ``skip``, ``observer``,
            ``equalize``, ``bias_correction``, and more.

    Returns:
        The model. Make the optimizer afterwards: PACT and LSQ have parameters.

    Raises:
        SlimError: a key is unknown or out of range, data gives nothing, or no layer can be quantized as asked.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.vision.models.LeNet()
        >>> net = ppcls_slim.quantize(net, [paddle.rand([4, 1, 28, 28])], name="qat")
        >>> type(net.features[0]).__name__
        'QuantizedConv2D'
    """
    check_network(model, "quantize")
    check_float(model, "quantize")
    section = quant_section(settings, keys)
    batches = Batches(data, "quantize")
    before = compression_of(model)
    dense = before.dense if before.dense is not None else copy_of(model)
    record = prepare.quantize(model, section, batches, lambda batch: feed(model, batch), trains, batches.shape)
    keep(model, replace(before, dense=dense, quant=record, input_shape=batches.shape))
    logger.info(f"ppcls_slim: {record.summary()}")
    return model
