"""The values that training learns for quantization, noted after every epoch.

They are the largest inputs that layers represent: PACT's alpha, and of LSQ the step times the largest integer.

The key ``alpha`` of a checkpoint's sidecar file holds them.
"""

from __future__ import annotations

from typing import Annotated, Optional, Union

from pydantic import Field

from ..compat.paddle import paddle
from .quantizer import quantizer_of
from .record import QuantRecord

AlphaHistory = dict[str, list[Annotated[list[Union[int, float]], Field(min_length=2, max_length=2)]]]
"""Layer -> ``[[epoch, alpha], ...]``; alpha has the unit of the input of the layer."""


def note_alphas(model: paddle.nn.Layer, record: QuantRecord, epoch: int, history: AlphaHistory) -> None:
    """Append every alpha to the history; those of epoch 0 are what training starts from.

    Raises:
        SlimError: an alpha is not a positive finite number.
    """
    for name, alpha in quantizer_of(record.settings).learned(model).items():
        history.setdefault(name, []).append([epoch, float(f"{alpha:.6g}")])


def alpha_line(history: AlphaHistory, method: str = "pact") -> Optional[str]:
    """Return a line for the log about the latest alphas, None without any. The sidecar file has all of them."""
    last = [values[-1][1] for values in history.values() if values]
    return f"{method.upper()}: {len(last)} alphas, {min(last):.4g} to {max(last):.4g}" if last else None
