"""``paddle2onnx`` 1.x and 2.x, without their optimizers; what the process of :mod:`.onnx_conversion` runs.

Symptom: the default optimizer of 2.x installs packages at run time, that of 1.x renames weights, by which quantized
layers are found. 2.x leaves the program that it translated in a temporary folder where it crashes.
Versions: 1.3.1, 2.0.1 and 2.1.0.
Delete when: a release for both Paddles optimizes nothing unless it is asked to.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from pathlib import Path

from ..common.redirect import redirected

OPTIONS = {"optimize_tool": "none", "enable_optimize": False}
"""Of 2.x and of 1.x: the first that there is; ``enable_optimize`` means something else in 2.x."""
TRANSLATED = "translated"
"""Folder beside the ONNX file, where 2.x puts a program in legacy IR that it translated to PIR; gone afterwards."""


def serve() -> None:
    """Convert what standard input names, a line each, until it ends.

    It answers with a line of the operators that it knows, before it converts, and one of what was raised.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as answers:
        for line in sys.stdin:
            program, parameters, target, opset = json.loads(line)
            with Path(target).with_suffix(".log").open("wb", buffering=0) as log, redirected(log, log):
                told, failed = False, ""
                try:
                    answers.write(json.dumps(_prepare(Path(target).parent / TRANSLATED)) + "\n")
                    told = True
                    _convert(program, parameters, target, opset)
                except Exception as error:  # whatever its C++ raises
                    failed = str(error) or type(error).__name__
                    if not told:
                        answers.write("[]\n")
            answers.write(json.dumps(failed) + "\n")


def _prepare(translated: Path) -> list[str]:
    """Set the folder of translated programs; return the operators of PIR that can be converted."""
    import paddle2onnx.paddle2onnx_cpp2py_export as library  # takes Paddle, and seconds
    from paddle2onnx import convert

    translated.mkdir(exist_ok=True)
    convert.PADDLE2ONNX_EXPORT_TEMP_DIR = str(translated)
    listed = getattr(library, "get_all_supported_operators_pir", list)  # 1.x does not read PIR
    return list(listed())


def _convert(program: str, parameters: str, target: str, opset: int) -> None:
    import paddle2onnx  # takes Paddle, and seconds

    parameters_of_export = inspect.signature(paddle2onnx.export).parameters
    option = next(name for name in OPTIONS if name in parameters_of_export)
    paddle2onnx.export(program, parameters, target, opset_version=opset, **{option: OPTIONS[option]})
