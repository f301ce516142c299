"""Engines of exported models, with their versions: what is measured on one is not true of the next."""

from __future__ import annotations

import importlib.metadata

from .paddle import paddle

ENGINES = {"onnx": ("ONNX Runtime", "onnxruntime"), "openvino": ("OpenVINO", "openvino")}
"""Deployment target -> its engine in words, and the package that it is."""


def engine_with_version(target: str) -> str:
    """Return the engine of a deployment target, ``OpenVINO 2026.4.1``.

    Raises:
        ImportError: it is not installed.
    """
    if target not in ENGINES:
        return f"Paddle Inference {paddle.__version__}"
    name, package = ENGINES[target]
    return f"{name} {importlib.metadata.version(package)}"
