"""The values that training learns for quantization (PACT: alpha), noted after every epoch.

``metadata["alpha"]`` of a checkpoint holds them: layer -> ``[[epoch, alpha], ...]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..compat.paddle import paddle
from .quantizer import quantizer_of
from .record import QuantRecord


def note_alphas(model: paddle.nn.Layer, record: QuantRecord, epoch: int, metadata: dict[str, Any]) -> None:
    """Append every alpha to ``metadata["alpha"]``; those of epoch 0 are what training starts from.

    Raises:
        SlimError: an alpha is not a positive finite number.
    """
    history = metadata.setdefault("alpha", {})
    for name, alpha in quantizer_of(record.settings).learned(model).items():
        history.setdefault(name, []).append([epoch, round(alpha, 6)])


def alpha_line(metadata: Mapping[str, Any]) -> Optional[str]:
    """Return a line for the log about the latest alphas, None without any. The sidecar file has all of them."""
    last = [values[-1][1] for values in (metadata.get("alpha") or {}).values() if values]
    return f"PACT: {len(last)} alphas, {min(last):.4g} to {max(last):.4g}" if last else None
