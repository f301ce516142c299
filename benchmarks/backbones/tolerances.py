"""How much two results of the matrix may differ, and what was seen: all errors are relative, in the 2-norm."""

from __future__ import annotations

EQUIVALENCE = 1e-4
"""Error of an equivalence check: float32 leaves some 1e-6 times the depth."""
MASK_EFFECT = 100
"""How many times that error masking has to change the output at least; otherwise the check shows nothing."""
FLOAT_EXPORT = 1e-3
"""Logits of an exported float model."""
LAYER = 0.02
"""One quantized layer in the file, on the input that it has there; up to 0.008 was seen."""
PART = 0.4
"""A part of the network in oneDNN's int8, on the input that it has in the reference run: up to 0.36 was seen
(HRNet), and 0.4 to 0.9 where a pooling clipped its input."""
LONG_PART = 20
"""A part of more layers than this is not held to ``PART`` but to ``INT8``: DPN68 and Xception41_deeplab pass two
feature maps on all along and cannot be cut there."""
REFERENCE_RUN = 0.25
"""Logits of a quantized model that is run without oneDNN: sums in another order round some values to the next step,
and so do the layers behind. Three times what ``ROUNDING`` does is allowed where that is more, as it is in untrained
networks."""
ROUNDING = 1e-6
"""Noise that stands for the rounding of float32, as a share of the standard deviation of a layer's output."""
INT8 = 0.5
"""As ``REFERENCE_RUN`` for oneDNN's int8 kernels, which round more than was simulated. Twice what quantization itself
costs is allowed where that is more, as it is in untrained depthwise networks."""
