"""``paddle2onnx``, in a process of its own: what crashes there does not end the export.

Symptom: its C++ ends the process: SIGABRT on an operator that it does not know, SIGSEGV on some models.
Versions: 1.3.1 (for Paddle 2.6), 2.0.1 and 2.1.0 (for Paddle 3), which do not name the operator either.
Delete when: a release for both Paddles raises for what it cannot convert.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from .onnx_server import TRANSLATED, serve

if importlib.util.find_spec("paddle2onnx") is None:  # not imported: only the other process needs it
    raise ModuleNotFoundError("No module named 'paddle2onnx'", name="paddle2onnx")

UNKNOWN_OF_1, UNKNOWN_OF_2 = "operators not supported yet, including", "Due to the unsupported operators"
FAILED = "Failed to convert PaddlePaddle model: "
"""What it prints."""
PIR_DIALECT = "1."
"""Of Paddle's operators, in the JSON of a program."""


class Converter:
    """A process that converts one model after the other: importing Paddle takes it seconds.

    It is started by the first conversion, and anew after a crash; it ends with this process.
    """

    def __init__(self) -> None:
        self._process: Optional[subprocess.Popen[bytes]] = None

    def __call__(self, program: Path, parameters: Path, target: Path, opset: int) -> str:
        """Convert a float program; what the converter prints is kept off the terminal.

        Args:
            program: ``.json`` or ``.pdmodel``.
            parameters: ``.pdiparams``.
            target: the ONNX file, which is not written where an operator cannot be converted. Other files are left
                beside it.
            opset: of the file.

        Returns:
            Why there is no file: operators that it does not know, that it crashed, or the last line that it printed.
        """
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        files = [str(path.resolve()) for path in (program, parameters, target)]
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps([*files, opset]).encode() + b"\n")
            process.stdin.flush()
        known, failed = process.stdout.readline(), process.stdout.readline()
        crash = "" if failed else self._ended(process)
        if target.is_file() and not crash:
            return ""
        target.unlink(missing_ok=True)
        log = target.with_suffix(".log")
        printed = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        converted = next((target.parent / TRANSLATED).glob("*.json"), program)
        reason = _unknown(json.loads(known or "[]"), converted, printed) or crash
        return reason or _last_line(f"{printed}\n{json.loads(failed)}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            # Not multiprocessing, which runs the caller's script again.
            script = f"import sys; sys.path[:] = {sys.path!r}; from {serve.__module__} import serve; serve()"
            process = self._process = subprocess.Popen(
                [sys.executable, "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            atexit.register(process.kill)
        return self._process

    def _ended(self, process: subprocess.Popen[bytes]) -> str:
        self._process = None
        status = process.wait()
        return f"it crashed with {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"


to_onnx = Converter()


def _unknown(known: Collection[str], program: Path, printed: str) -> str:
    """Operators of a program that the converter does not know: 1.x names them, 2.x has to be guessed.

    What 2.x knows it lists by names of legacy IR (``elementwise_sub``), and reads those of PIR (``subtract``): what
    begins like any of them is taken for known.
    """
    found = [line.partition(UNKNOWN_OF_1)[2].strip(" ,") for line in printed.splitlines() if UNKNOWN_OF_1 in line]
    if UNKNOWN_OF_2 in printed and program.suffix == ".json":
        names = [_plain(name) for name in (*known, "data", "fetch")]
        for operator in _operators(json.loads(program.read_bytes())):
            name = operator["#"][len(PIR_DIALECT) :]
            plain = _plain(name)
            layers = [one["AT"]["D"].strip("/") for one in operator["A"] if one["N"] == "struct_name"]
            if not any(one.startswith(plain) or plain.startswith(one) for one in names):
                found.append(" in ".join([name, *filter(None, layers)]))
    return f"it does not know {', '.join(dict.fromkeys(found))}" if found else ""


def _plain(name: str) -> str:
    return name.removeprefix("elementwise_").removeprefix("reduce_").replace("_", "")


def _operators(part: Any) -> Iterator[dict[str, Any]]:
    """Paddle's operators in a part of the JSON of a PIR program, those of nested blocks included."""
    if isinstance(part, dict):
        if "I" in part and str(part.get("#", "")).startswith(PIR_DIALECT):
            yield part
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _operators(one)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    failed = [line.partition(FAILED)[2] for line in lines if FAILED in line]
    return [*failed, *lines[-1:], "it does not say why"][0]
