"""Write and run Paddle Inference files, with the switches that make them fast."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..common.errors import SlimError
from ..compat.onednn.runtime import disable_broken_passes, norms_written_out, paddings_in_pad3d, without_onednn
from ..compat.paddle import gpu_available, paddle
from ..compat.qat_layers import quiet_passes

NAME = "inference"


def save(model: paddle.nn.Layer, input_shape: Sequence[int], folder: Path) -> None:
    """Write ``inference.json`` (Paddle 3) or ``inference.pdmodel`` (2.6), and ``inference.pdiparams``.

    Args:
        model: in evaluation mode; takes ``[n, C, H, W]`` float32.
        input_shape: ``[C, H, W]``.
        folder: exists.
    """
    spec = paddle.static.InputSpec(shape=[None, *input_shape], dtype="float32", name="x")
    with norms_written_out(model), paddings_in_pad3d():
        paddle.jit.save(paddle.jit.to_static(model, input_spec=[spec], full_graph=True), str(folder / NAME))


def files_of(folder: Path) -> tuple[Path, Path]:
    """Return the program and the parameters that lie in a folder.

    Raises:
        SlimError: there is no exported model, or this Paddle cannot read it.
    """
    if not folder.is_dir():
        raise SlimError(f"--model-dir: there is no folder {folder}; give the one that export_model.py wrote")
    parameters = folder / f"{NAME}.pdiparams"
    programs = [folder / f"{NAME}{suffix}" for suffix in (".json", ".pdmodel")]
    program = next((p for p in programs if p.is_file()), None)
    if program is None or not parameters.is_file():
        missing = parameters if program else programs[0]
        raise SlimError(f"--model-dir: {folder} holds no exported model ({missing.name} is missing)")
    if program.suffix == ".json" and paddle.__version__.startswith("2."):
        raise SlimError(
            f"{program} was exported by Paddle 3, which Paddle {paddle.__version__} cannot read: export again"
        )
    return program, parameters


def is_quantized(folder: Path) -> bool:
    """Whether the sidecar file of an exported model says that it is quantized."""
    sidecar = folder / f"{NAME}.slim.json"
    return sidecar.is_file() and bool(json.loads(sidecar.read_text(encoding="utf-8")).get("quant"))


class Predictor:
    """An exported model, ready to run.

    Args:
        folder: what :func:`save` wrote into.
        device: ``cpu`` (oneDNN) or ``gpu``.
        threads: CPU threads.
        precision: ``auto``: ``int8`` if the sidecar file beside the model says that it is quantized and the device
            can (a GPU needs TensorRT), else ``fp32``; ``bf16`` on a CPU, ``fp16`` on a GPU.
        onednn: False computes as the program is written, slowly.

    Attributes:
        precision: what it runs in.

    Raises:
        SlimError: see :func:`files_of`; there is no GPU; the device does not run this precision; or this Paddle
            cannot read the files.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        threads: int = 1,
        precision: str = "auto",
        onednn: bool = True,
    ):
        program, parameters = files_of(folder)
        quantized = is_quantized(folder)
        fast = quantized and (device == "cpu" or _has_tensorrt())
        self.precision = ("int8" if fast else "fp32") if precision == "auto" else precision
        _check_precision(folder, self.precision, device, quantized)
        config = paddle.inference.Config(str(program), str(parameters))
        if device == "gpu":
            if not gpu_available():
                raise SlimError("there is no GPU that this Paddle can use: leave --device out, or give cpu")
            half = (paddle.inference.PrecisionType.Half,) if self.precision == "fp16" else ()
            config.enable_use_gpu(256, 0, *half)
            if self.precision == "int8":
                _use_tensorrt(config, folder)
        else:
            config.disable_gpu()
            if onednn:
                config.enable_mkldnn()
                config.set_mkldnn_cache_capacity(10)
                disable_broken_passes(config, program)
                if self.precision == "int8":
                    config.enable_mkldnn_int8()
                elif self.precision == "bf16":
                    config.enable_mkldnn_bfloat16()
            else:
                without_onednn(config)
            config.set_cpu_math_library_num_threads(threads)
        config.disable_glog_info()
        config.switch_ir_optim(True)
        if program.suffix != ".json":  # Paddle 3's own format: "Not find ... memory_optimize_pass"
            config.enable_memory_optim()  # CSWinTransformer: 1.5 GB for 16 images, 9 without
        try:
            with quiet_passes():
                self._predictor = paddle.inference.create_predictor(config)
        except Exception as error:  # Paddle raises whatever its C++ does
            raise SlimError(
                f"{program} cannot be read by Paddle {paddle.__version__} ({type(error).__name__}): it is damaged, "
                "or another Paddle wrote it; export it with the Paddle that is to run it"
            ) from error
        self._input = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
        self._output = self._predictor.get_output_handle(self._predictor.get_output_names()[0])

    def __call__(self, images: Any) -> np.ndarray:
        """Run on ``[n, C, H, W]``; return the first output."""
        self._input.copy_from_cpu(np.ascontiguousarray(np.asarray(images), dtype=np.float32))
        self._predictor.run()
        return self._output.copy_to_cpu()


def _has_tensorrt() -> bool:
    return any(paddle.inference.get_trt_runtime_version())


def _use_tensorrt(config: Any, folder: Path) -> None:
    """Int8 on a GPU is TensorRT's: without it Paddle runs the quantizers one by one, in float."""
    if not _has_tensorrt():
        raise SlimError(f"{folder} is quantized, and this Paddle has no TensorRT to run int8 on a GPU: give cpu")
    int8 = paddle.inference.PrecisionType.Int8
    config.enable_tensorrt_engine(
        workspace_size=1 << 30,
        max_batch_size=64,
        min_subgraph_size=3,
        precision_mode=int8,
        use_static=False,
        use_calib_mode=False,
    )


def _check_precision(folder: Path, precision: str, device: str, quantized: bool) -> None:
    only_on = {"bf16": "cpu", "fp16": "gpu"}.get(precision, device)
    if only_on != device:
        raise SlimError(f"--precision {precision} is for --device {only_on}")
    if precision == "int8" and not quantized:
        raise SlimError(f"--precision int8: {folder} is not quantized; train it with Slim.quant, or leave it out")


def latencies(runs: Sequence[Callable[[], Any]], times: int) -> list[float]:
    """Median milliseconds of each; see :func:`timings`."""
    return [float(value) for value in np.median(timings(runs, times), axis=0) * 1e3]


def timings(runs: Sequence[Callable[[], Any]], times: int, warmup: int = 5) -> np.ndarray:
    """Seconds ``[times, len(runs)]``, taken in turns so that noise of the machine meets all alike."""
    for _ in range(warmup):
        for run in runs:
            run()
    taken = np.zeros((times, len(runs)))
    for row in range(times):
        for column, run in enumerate(runs):
            start = time.perf_counter()
            run()
            taken[row, column] = time.perf_counter() - start
    return taken
