"""``paddle2onnx``: 1.x for Paddle 2.6, 2.x for Paddle 3, with other arguments, and without their optimizers.

Symptom: the default optimizer of 2.x installs packages at run time; that of 1.x renames weights, by which quantized
layers are found.
Versions: 1.3.1 and 2.1.0.
Delete when: a release for both Paddles optimizes nothing unless it is asked to.
"""

from __future__ import annotations

import inspect
import logging
import tempfile
from pathlib import Path
from typing import Any

import paddle2onnx

from ..common.redirect import redirected

_PARAMETERS = inspect.signature(paddle2onnx.export).parameters
_UNOPTIMIZED: dict[str, Any] = (
    {"optimize_tool": "none"} if "optimize_tool" in _PARAMETERS else {"enable_optimize": False}
)


def to_onnx(program: Path, parameters: Path, target: Path, opset: int) -> str:
    """Convert a float program; what the converter prints is kept off the terminal.

    Args:
        program: ``.json`` or ``.pdmodel``.
        parameters: ``.pdiparams``.
        target: the ONNX file, which is not written where an operator cannot be converted.
        opset: of the file.

    Returns:
        The last line that the converter printed.
    """
    logging.getLogger().setLevel(max(logging.getLogger().level, logging.ERROR))
    with tempfile.TemporaryFile() as said:
        failed = ""
        try:
            with redirected(said, said):
                paddle2onnx.export(str(program), str(parameters), str(target), opset_version=opset, **_UNOPTIMIZED)
        except Exception as error:  # whatever its C++ raises
            failed = str(error)
        said.seek(0)
        lines = [*said.read().decode(errors="replace").splitlines(), *failed.splitlines()]
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
