"""The keys of the configuration as keyword arguments, for editors and type checkers.

``tests/api/test_package.py`` holds them against the config classes, which validate them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, TypedDict, Union


class PruneKeys(TypedDict, total=False):
    """Keys of ``Slim.prune``; they are explained in docs/configuration.md."""

    name: str
    pruned_ratio: Optional[float]
    ratios: Mapping[str, float]
    skip: Sequence[str]
    norm_ratio: float
    pruned_flops: Optional[float]
    pruned_parameters: Optional[float]
    speedup: Optional[float]
    latency_ms: Optional[float]
    on: Optional[Mapping[str, Any]]
    importance: Mapping[str, Any]
    ranking: Optional[str]
    keep_at_least: float
    per_cost: bool
    sensitivity_file: Optional[str]
    align: Union[str, int]
    bn_batches: int
    skip_leaves: bool
    input_dtype: str


class QuantKeys(TypedDict, total=False):
    """Keys of ``Slim.quant``; they are explained in docs/configuration.md."""

    name: str
    weight_preprocess_type: Optional[str]
    activation_preprocess_type: Optional[str]
    weight_quantize_type: str
    activation_quantize_type: str
    weight_bits: int
    activation_bits: int
    dtype: str
    window_size: int
    moving_rate: float
    quantizable_layer_type: Sequence[str]
    fuse_conv_bn: bool
    onnx_format: bool
    weight_preprocess: Optional[str]
    act_preprocess: Optional[str]
    weight_quantize: Optional[str]
    act_quantize: Optional[str]
    pact: Mapping[str, Any]
    lsq: Mapping[str, Any]
    skip: Union[str, Sequence[str]]
    calibration_batches: int
    observer: str
    percentile: float
    equalize: bool
    bias_correction: bool
    verify_samples: int
    verify_threshold: float
