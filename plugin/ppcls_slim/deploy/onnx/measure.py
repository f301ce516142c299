"""The largest magnitudes of feature maps of an ONNX graph."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

BATCH = 8


def largest_magnitudes(model: onnx.ModelProto, images: np.ndarray) -> Callable[[Sequence[str]], Mapping[str, float]]:
    """Return a function from names of tensors to the mean over batches of their largest magnitude.

    Args:
        model: float; as it is when the function is called.
        images: inputs ``[n, C, H, W]``.
    """

    def measure(names: Sequence[str]) -> Mapping[str, float]:
        if not names:
            return {}
        watched = copy.deepcopy(model)
        own = {one.name for one in watched.graph.output}
        watched.graph.output.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names if name not in own
        )
        session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        found = [session.run(list(names), {session.get_inputs()[0].name: batch}) for batch in batches]
        means = np.mean([[float(np.abs(one).max()) for one in values] for values in found], axis=0)
        return dict(zip(names, means.tolist()))

    return measure
