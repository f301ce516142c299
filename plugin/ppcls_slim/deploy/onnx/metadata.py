"""What an ONNX file says about its origin, in ``metadata_props``."""

from __future__ import annotations

import hashlib
import json
from typing import Optional

import onnx

from ... import __version__
from ...prune.plan import Plan
from ...quant.record import QuantRecord

PRODUCER = "ppcls_slim"
PRECISION = f"{PRODUCER}.precision"
FP16 = "fp16"


def describe(model: onnx.ModelProto, plan: Optional[Plan], quant: Optional[QuantRecord]) -> None:
    """Write who produced a file, and how the model was compressed.

    Args:
        model: changed in place.
        plan: how it was pruned.
        quant: how it was quantized.
    """
    model.producer_name, model.producer_version = PRODUCER, __version__
    told = {f"{PRODUCER}.version": __version__, PRECISION: "fp32" if quant is None else "int8"}
    if plan is not None:
        told[f"{PRODUCER}.plan_sha256"] = plan_digest(plan)
    if quant is not None:
        told[f"{PRODUCER}.quantization"] = quant.summary()
    onnx.helper.set_model_props(model, told)


def plan_digest(plan: Plan) -> str:
    """SHA-256 of a plan's JSON with sorted keys and without spaces, in hex.

    The plan is ``prune`` in ``inference.slim.json``.
    """
    text = json.dumps(plan.to_json(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
