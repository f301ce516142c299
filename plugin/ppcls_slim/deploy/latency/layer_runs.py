"""Single layers, ready to run on an engine with the settings that its target runs networks with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...prune.latency.meter import LayerPoint
from ..optional import needs
from .frame import input_shape

Run = Callable[[], object]


def open_layers(engine: str, points: Sequence[LayerPoint], batch: int, threads: int, alone: bool) -> list[Run]:
    """Load layers into an engine.

    Args:
        engine: ``onnx``, ``openvino`` or ``paddle``.
        points: the layers.
        batch: images at once.
        threads: CPU threads.
        alone: only what stands around the layer, see :mod:`.frame`.

    Raises:
        SlimError: packages of the engine are not installed.
    """
    with needs(engine):
        opened = {"onnx": _open_onnx, "openvino": _open_openvino, "paddle": _open_paddle}[engine]
        return [opened(point, batch, threads, alone) for point in points]


def _open_onnx(point: LayerPoint, batch: int, threads: int, alone: bool) -> Run:
    # Packages of an extra.
    import onnxruntime

    from .layer_graphs import layer_graph  # needs onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    graph = layer_graph(point, batch, alone).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: _noise(point, batch)}
    return lambda: session.run(None, inputs)


def _open_openvino(point: LayerPoint, batch: int, threads: int, alone: bool) -> Run:
    # Packages of an extra.
    from ...compat.openvino_core import core
    from ..openvino.compiled import compiled
    from .layer_graphs import layer_graph  # needs onnx

    model = core().read_model(layer_graph(point, batch, alone).SerializeToString())
    request = compiled(model, threads, "f32").create_infer_request()
    request.get_input_tensor().data[...] = _noise(point, batch)
    return lambda: request.infer()


def _open_paddle(point: LayerPoint, batch: int, threads: int, alone: bool) -> Run:
    from .layer_models import layer_predictor  # a predictor takes a second to import

    run, images = layer_predictor(point, threads, alone), _noise(point, batch)
    return lambda: run(images)


def _noise(point: LayerPoint, batch: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(input_shape(point, batch), dtype=np.float32)
