"""oneDNN in Paddle Inference: one file per fault, and the order in which they are applied.

Each docstring says what goes wrong (Symptom), in which pass or kernel (Pass), where (Versions), and when the file can
go (Delete when). A file acts at one of four times:

- ``rewrite(block)``: on an exported program in legacy IR: those of :mod:`.float_rewrites` on every one, those of
  :mod:`.int8_rewrites`, which states their order, on quantized ones;
- a context manager: while a model is exported, see :func:`export_patches`;
- ``patch(model, ...)``: on a model that is about to be exported;
- ``PASS`` and ``applies(program)``: when a predictor is made, see :func:`disable_broken_passes`; what a user has to
  turn off who makes one without us is said at export.
"""

from __future__ import annotations

from .export_time import export_patches
from .float_rewrites import prepare_float_for_onednn
from .float_weights_as_int8 import patch as keep_float_weights
from .int8_rewrites import prepare_for_onednn
from .predictor import broken_passes, disable_broken_passes, without_onednn

__all__ = [
    "broken_passes",
    "disable_broken_passes",
    "export_patches",
    "keep_float_weights",
    "prepare_float_for_onednn",
    "prepare_for_onednn",
    "without_onednn",
]
