"""Write a trained model as an ONNX file, float or int8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from ...compat.quantized_program import LayerScales, split_quantization
from ...compat.reparameterization import merge_branches
from ...quant.quantizer import quantizer_of
from .. import paddle_inference
from ..job import ExportJob
from ..layer_names import layers_of_weights
from ..quantized import quantized_program
from .float_graph import float_graph
from .fold_bn import fold_batch_norms
from .graph import LAYERS, Graph
from .measure import largest_magnitudes
from .metadata import describe
from .qdq import Placement, quantize_graph


def write_onnx(job: ExportJob, path: Path, placement: Placement) -> None:
    """Write the model of a job; a quantized one with Q/DQ nodes.

    Args:
        job: the model, and inputs to calibrate feature maps with that training did not observe.
        path: of the file.
        placement: of Q/DQ nodes, see :mod:`.qdq`.

    Raises:
        SlimError: an operator cannot be converted, or int8 cannot express what was trained.
    """
    model, layers = _float_model(job)
    graph = Graph(model)
    layers = fold_batch_norms(graph, layers)
    owners = layers_of_weights(job.model)
    _name_layers(graph, owners)
    if job.quant is not None:
        unsigned = quantizer_of(job.quant.settings).unsigned
        in_int8 = {
            weight: replace(scales, unsigned=job.quant.layers.get(owners[weight]) in unsigned)
            for weight, scales in layers.items()
            if weight not in job.left_float.values()
        }
        quantize_graph(graph, in_int8, placement, largest_magnitudes(graph.model, job.samples.images))
    describe(graph.model, job.plan, job.quant)
    onnx.checker.check_model(graph.model)
    onnx.save(graph.model, str(path))


def _float_model(job: ExportJob) -> tuple[onnx.ModelProto, dict[str, LayerScales]]:
    """The float graph, and the grids of the quantized layers; converted once for all targets of a job."""
    folder = job.scratch / "float"
    folder.mkdir(parents=True, exist_ok=True)
    layers: dict[str, LayerScales] = {}
    if job.quant is not None:
        layers = split_quantization(quantized_program(job), folder / paddle_inference.NAME)
    elif not any(folder.iterdir()):
        merge_branches(job.model)
        paddle_inference.save(job.model, job.input_shape, folder)
    model_name = type(getattr(job.model, "base_model", job.model)).__name__  # ExportModel has one
    return float_graph(*paddle_inference.files_of(folder), model_name), layers


def _name_layers(graph: Graph, owners: Mapping[str, str]) -> None:
    """Name convolutions and matrix products after the layers that their weights are of: engines tell these names."""
    taken: set[str] = set()
    for node in graph.nodes:
        owner = owners.get(node.input[1]) if node.op_type in LAYERS else None
        if owner and owner not in taken:
            node.name = owner
            taken.add(owner)
