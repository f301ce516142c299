"""What differs between releases and builds of Paddle Inference, and the switches of its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paddle.base import core

from .onednn import disable_broken_passes, without_onednn
from .paddle import paddle
from .quiet_passes import quiet_passes

PIR_PROGRAM = ".json"
"""Suffix of a program that Paddle 3 writes."""
LEGACY_PROGRAM = ".pdmodel"
"""Suffix of a program that Paddle 2 writes, and Paddle 3 for quantized models."""
TENSORRT_WORKSPACE = 1 << 30
TENSORRT_BATCH = 64
GPU_MEMORY_MB = 256
SHAPES_IN_CACHE = 10


def reads_pir() -> bool:
    """Whether Paddle Inference loads programs of Paddle 3; 2.6 does not."""
    return not paddle.__version__.startswith("2.")


def has_tensorrt() -> bool:
    """Whether this Paddle was built with TensorRT, which int8 on a GPU needs."""
    return any(paddle.inference.get_trt_runtime_version())


def has_bf16() -> bool:
    """Whether the CPU computes in BF16 natively; elsewhere oneDNN emulates it, slowly."""
    return bool(core.supports_bfloat16_fast_performance())


def use_gpu(config: paddle.inference.Config, precision: str) -> None:
    """Run ``paddle.inference.Config`` on the first GPU, in fp32, fp16, or in int8 by TensorRT.

    TensorRT because Paddle would run the fake quantizers one by one otherwise, in float.
    """
    half = (paddle.inference.PrecisionType.Half,) if precision == "fp16" else ()
    config.enable_use_gpu(GPU_MEMORY_MB, 0, *half)
    if precision == "int8":
        config.enable_tensorrt_engine(
            workspace_size=TENSORRT_WORKSPACE,
            max_batch_size=TENSORRT_BATCH,
            min_subgraph_size=3,
            precision_mode=paddle.inference.PrecisionType.Int8,
            use_static=False,
            use_calib_mode=False,
        )


def use_cpu(config: paddle.inference.Config, program: Path, threads: int, precision: str, onednn: bool) -> None:
    """Run on the CPU, with oneDNN in fp32, bf16 or int8, or with Paddle's own kernels."""
    config.disable_gpu()
    config.set_cpu_math_library_num_threads(threads)
    if not onednn:
        without_onednn(config)
        return
    config.enable_mkldnn()
    config.set_mkldnn_cache_capacity(SHAPES_IN_CACHE)
    disable_broken_passes(config, program)
    if precision == "int8":
        config.enable_mkldnn_int8()
    elif precision == "bf16":
        config.enable_mkldnn_bfloat16()


def create_predictor(config: paddle.inference.Config, program: Path) -> Any:
    """Create a predictor that optimizes the program and logs nothing.

    Without ``memory_optim`` a CSWinTransformer takes 9 GB for 16 images instead of 1.5. Paddle 3 has no such pass for
    its own programs ("Not find ... memory_optimize_pass").
    """
    config.disable_glog_info()
    config.switch_ir_optim(True)
    if program.suffix != PIR_PROGRAM:
        config.enable_memory_optim()
    with quiet_passes():
        return paddle.inference.create_predictor(config)
