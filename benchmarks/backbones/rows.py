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
class Row:
    """One line of the CSV.

    Attributes:
        backbone: constructor in ``ppcls.arch.backbone``.
        file: module that it comes from.
        job: ``prune`` or ``quant``.
        paddle: version.
        paddleclas: where the backbone came from.
        code: digest of the plugin's source, see :func:`..matrix.code_digest`.
        result: one of ``RESULTS``; ``refused`` is a refusal in one line, ``error`` holds it.
        stage: where it stopped, or empty.
        parameters: of the dense model.
        size: height and width of the images of proof, training and export.
        native_size: the same of analysis and FLOPs.
        flops: of the dense model: multiply-accumulates of convolutions and linear layers at ``native_size``.
        flops_removed: share of them.
        frozen_share: share of the filters of all convolutions that is in no group.
        frozen: ``layers x reason``, most frequent first.
        analysis_seconds: analysis, scoring and selection; of the processor, since other jobs run beside it.
        proof_random: error of the proof on noise, see :class:`..prune.proof.Equivalence`.
        proof_real: the same on digits.
        proof_effect: smaller of the two effects: what silencing changed.
        parity: exported against trained model: largest relative difference (``prune``), relative error of
            the logits in the 2-norm (``quant``, run plainly).
        parity_int8: the same in int8.
        layer_error: largest relative error of a quantized layer in the file against the trained one, on one input.
        part_error: largest relative error of a part of the file in int8 against its plain run, on one input.
        rounding_error: relative error of the quantized model's logits when float32 rounding is added to its layers.
        quant_error: relative error of the logits between the fake-quantized and the float model: what quantization
            itself costs.
        seconds: in all, the start of the process not counted.
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


def read(path: Path) -> list[Row]:
    """Rows of a CSV that :func:`write` wrote, or nothing if the file does not exist."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_typed(line) for line in csv.DictReader(file)]


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a CSV as a whole: an interrupted run leaves the one before."""
    with atomic_path(path) as writing, writing.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        table.writeheader()
        table.writerows({name: _text(value) for name, value in asdict(row).items()} for row in rows)


def _text(value: Any) -> Any:
    return f"{value:.3g}" if isinstance(value, float) else value


def _typed(line: dict[str, str]) -> Row:
    values: dict[str, Any] = {}
    for field in fields(Row):
        text = line.get(field.name) or ""
        if "int" in str(field.type):
            values[field.name] = int(text) if text else None
        elif "float" in str(field.type):
            values[field.name] = float(text) if text else None
        else:
            values[field.name] = text
    return Row(**values)
