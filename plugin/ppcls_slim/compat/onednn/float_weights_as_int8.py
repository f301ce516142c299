"""A float weight that holds whole numbers only is taken for an int8 one.

Symptom: ``Could not find threshold information`` for a convolution with constant zeros and ones, say.
Pass: ``quant_dequant_onednn_pass``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the pass looks at the weight's type.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..paddle import paddle


def patch(model: paddle.nn.Layer, quantized: Collection[int]) -> None:
    """Move one value of such a weight by one unit in its last place.

    Args:
        model: about to be saved.
        quantized: ids of the weights that are quantized.
    """
    for tensor in model.state_dict().values():
        if id(tensor) in quantized or tensor.ndim not in (2, 4):
            continue
        values = tensor.numpy()
        if values.dtype == np.float32 and values.size and not np.any(values % 1):
            place = int(np.abs(values).argmax())
            moved = np.nextafter(values.reshape(-1)[place], np.float32(np.inf), dtype=np.float32)
            values.reshape(-1)[place] = max(moved, np.float32(1e-30))
            tensor.set_value(values)
