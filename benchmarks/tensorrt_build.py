"""Parse ONNX files with TensorRT's parser and build engines of them, on any machine: building needs no GPU.

    pip install tensorrt-rtx-cu13-bindings tensorrt-rtx-cu13-libs
    python benchmarks/tensorrt_build.py inference/onnx/inference_tensorrt.onnx

TensorRT for RTX holds the parser and the builder of TensorRT; an engine is built for the compute capability that is
named, and runs on such a GPU only. What this shows is that TensorRT takes the graph, not how fast it runs.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import tensorrt_rtx_bindings as trt

BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--capability", default="SM89", help="of the GPU (default %(default)s)")
    arguments = parser.parse_args()
    for file in arguments.files:
        print(f"{file.name}: {build(file, arguments.capability)}", flush=True)


def build(file: Path, capability: str) -> str:
    """Parse and build; return what the network holds and how large the engine is, in words.

    Raises:
        SystemExit: the parser or the builder refuses, with what it said.
    """
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(file.read_bytes()):
        raise SystemExit(f"{file}: " + "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors)))
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.__members__[capability], 0)
    shapes = builder.create_optimization_profile()
    source = network.get_input(0)
    rest = list(source.shape)[1:]
    shapes.set_shape(source.name, [1, *rest], [BATCH, *rest], [BATCH, *rest])
    config.add_optimization_profile(shapes)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise SystemExit(f"{file}: no engine was built, see above")
    return f"{layers(network)}; engine of {engine.nbytes / 2**20:.1f} MiB for {capability}"


def layers(network: Any) -> str:
    """Types of the layers, as ``53 CONVOLUTION``."""
    counts = Counter(network.get_layer(i).type.name for i in range(network.num_layers))
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common(6))


if __name__ == "__main__":
    main()
