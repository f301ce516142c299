"""Single layers, ready to run on an engine with the settings that the target of the engine runs networks with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from ..optional import needs

Run = Callable[[], object]


def open_onnx(graph: onnx.ModelProto, shape: Sequence[int], threads: int) -> Run:
    """Load a graph into ONNX Runtime."""
    with needs("onnx"):
        # A package of an extra.
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: _noise(shape)}
    return lambda: session.run(None, inputs)


def open_openvino(graph: onnx.ModelProto, shape: Sequence[int], threads: int) -> Run:
    """Compile a graph with OpenVINO."""
    with needs("openvino"):
        # A package of an extra.
        from ...compat.openvino_core import core
        from ..openvino.compiled import compiled
    request = compiled(core().read_model(graph.SerializeToString()), threads, "f32").create_infer_request()
    request.get_input_tensor().data[...] = _noise(shape)
    return lambda: request.infer()


def _noise(shape: Sequence[int]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
