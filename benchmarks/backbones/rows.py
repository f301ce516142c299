"""What the matrix writes down about one backbone and one job."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Optional

from ppcls_slim.common.atomic import atomic_path

JOBS = ("prune", "quant")
OK, REFUSED, FAILED, TIMEOUT, OFFLINE = "ok", "refused", "failed", "timeout", "no network"
RESULTS = (OK, REFUSED, FAILED, TIMEOUT, OFFLINE)


@dataclass
class MatrixRow:
    """One line of the CSV, whose columns are the attributes; errors are relative, in the 2-norm of the logits.

    Attributes:
        backbone: constructor in ``ppcls.arch.backbone``.
        file: module that it comes from.
        job: ``prune`` or ``quant``.
        paddle: version.
        paddleclas: where the backbone came from.
        code: digest of the source, see :func:`..matrix.code_digest`.
        result: one of ``RESULTS``; ``refused`` is an error of the user's in one line, which ``error`` holds.
        stage: where it stopped, or empty.
        parameters: of the dense model.
        size: height and width of the images of equivalence check, training and export.
        native_size: the same of analysis and FLOPs.
        flops: of the dense model: multiply-accumulates of convolutions and linear layers at ``native_size``.
        flops_removed: share of them.
        frozen_share: share of the filters of all convolutions that is in no group.
        frozen: ``layers x reason``, most frequent first.
        analysis_seconds: analysis, importance and selection; processor time, since other jobs run beside it.
        proof_random: error of the equivalence check on noise, see ``ppcls_slim.verify.equivalence``.
        proof_real: the same on digits.
        proof_effect: how much masking changed the output; the smaller of the two.
        parity: exported against trained model (``prune``: the larger error with and without oneDNN; ``quant``: of a
            reference run).
        parity_int8: the same in oneDNN's int8.
        layer_error: largest error of a quantized layer in the file against the trained one, on one input.
        part_error: largest error of a part of the file in int8 against its reference run, on one input.
        rounding_error: of the quantized model when the rounding of float32 is added to its layers.
        quant_error: of the fake-quantized against the float model: what quantization itself costs.
        seconds: in all, without the start of the process.
        error: one line.
    """

    backbone: str
    file: str
    job: str
    paddle: str
    paddleclas: str
    code: str
    result: str = ""
    stage: str = ""
    parameters: Optional[int] = None
    size: Optional[int] = None
    native_size: Optional[int] = None
    flops: Optional[int] = None
    flops_removed: Optional[float] = None
    frozen_share: Optional[float] = None
    frozen: str = ""
    analysis_seconds: Optional[float] = None
    proof_random: Optional[float] = None
    proof_real: Optional[float] = None
    proof_effect: Optional[float] = None
    parity: Optional[float] = None
    parity_int8: Optional[float] = None
    layer_error: Optional[float] = None
    part_error: Optional[float] = None
    rounding_error: Optional[float] = None
    quant_error: Optional[float] = None
    seconds: Optional[float] = None
    error: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What a CSV has one row of."""
        return self.backbone, self.job


def read(path: Path) -> list[MatrixRow]:
    """Rows of a CSV that :func:`write` wrote, or nothing if the file does not exist."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_typed(line) for line in csv.DictReader(file)]


def write(path: Path, rows: Iterable[MatrixRow]) -> None:
    """Write a CSV atomically: an interrupted run leaves the one before."""
    with atomic_path(path) as writing, writing.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(MatrixRow)], lineterminator="\n")
        table.writeheader()
        table.writerows({name: _text(value) for name, value in asdict(row).items()} for row in rows)


def _text(value: Any) -> Any:
    return f"{value:.3g}" if isinstance(value, float) else value


def _typed(line: dict[str, str]) -> MatrixRow:
    values: dict[str, Any] = {}
    for field in fields(MatrixRow):
        text = line.get(field.name) or ""
        if "int" in str(field.type):
            values[field.name] = int(text) if text else None
        elif "float" in str(field.type):
            values[field.name] = float(text) if text else None
        else:
            values[field.name] = text
    return MatrixRow(**values)
