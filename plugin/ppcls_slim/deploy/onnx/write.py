"""Write a trained model as an ONNX file, float or int8."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from ...compat.paddle import paddle
from ...compat.quantized_program import split_quantization
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
    scratch = path.with_name(f"{path.stem}.parts")
    scratch.mkdir()
    try:
        if job.quant is None:
            graph = Graph(_float_model(job, scratch))
            fold_batch_norms(graph, {})
            _name_layers(graph, layers_of_weights(job.model))
        else:
            layers = split_quantization(quantized_program(job), scratch / "float")
            graph = Graph(float_graph(scratch / "float.pdmodel", scratch / "float.pdiparams"))
            layers = fold_batch_norms(graph, layers)
            layers = {weight: scales for weight, scales in layers.items() if weight not in job.left_float.values()}
            owners = layers_of_weights(job.model)
            _name_layers(graph, owners)
            unsigned = quantizer_of(job.quant.settings).unsigned
            layers = {
                weight: replace(scales, unsigned=job.quant.layers.get(owners[weight]) in unsigned)
                for weight, scales in layers.items()
            }
            measure = largest_magnitudes(graph.model, job.samples.images)
            quantize_graph(graph, layers, placement, measure)
    finally:
        shutil.rmtree(scratch)
    describe(graph.model, job.plan, job.quant)
    onnx.checker.check_model(graph.model)
    onnx.save(graph.model, str(path))


def _float_model(job: ExportJob, scratch: Path) -> onnx.ModelProto:
    merge_branches(job.model)
    spec = paddle.static.InputSpec(shape=[None, *job.input_shape], dtype="float32", name="x")
    prefix = scratch / paddle_inference.NAME
    paddle.jit.save(paddle.jit.to_static(job.model, input_spec=[spec], full_graph=True), str(prefix))
    return float_graph(*paddle_inference.files_of(scratch))


def _name_layers(graph: Graph, owners: Mapping[str, str]) -> None:
    """Name convolutions and matrix products after the layers that their weights are of: engines tell these names."""
    taken: set[str] = set()
    for node in graph.nodes:
        owner = owners.get(node.input[1]) if node.op_type in LAYERS else None
        if owner and owner not in taken:
            node.name = owner
            taken.add(owner)
