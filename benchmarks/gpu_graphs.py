"""Write the ONNX files that ``gpu_onnx.py`` and ``tensorrt_build.py`` measure, without their weights.

    python benchmarks/gpu_graphs.py build/graphs

ResNet50_vd dense and pruned to several multiples of channels, in FP32 and FP16, through the ``onnx`` target. A large
weight is replaced by its standard deviation, which is enough to fill it again: the files of all models fit into a
mail. With ``--quantized`` instead the int8 files of other backbones for TensorRT, calibrated on noise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugin"))

import numpy as np
import onnx

from benchmarks.backbones.dense import reestimate_bn_statistics
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleclas.find import find_ppcls
from ppcls_slim.compat.paddleclas.logger import logger
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.deploy.job import ExportJob
from ppcls_slim.deploy.onnx.half import write_fp16
from ppcls_slim.deploy.onnx.write import write_onnx
from ppcls_slim.prune.plan import apply_plan
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.quant import convert, prepare
from ppcls_slim.verify.samples import Samples

SHAPE = (3, 224, 224)
PRUNED = {"dense": None, "p30_align1": (0.3, 1), "p30_align8": (0.3, 8), "p30_align16": (0.3, 16),
          "p30_align32": (0.3, 32), "p50_align16": (0.5, 16)}  # fmt: skip
"""Name -> (ratio, align)."""
QUANTIZED = ("ResNet18_vd", "MobileNetV3_small_x1_0", "ResNet50_vd")
LARGE = 4096
"""Elements from which a weight is left out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--quantized", action="store_true", help="int8 files for TensorRT instead, with their weights"
    )
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    find_ppcls()
    logger.init_logger()
    if arguments.quantized:
        for arch in QUANTIZED:
            write_quantized(arch, arguments.folder / f"{arch}_int8.onnx")
        return
    for name, cut in PRUNED.items():
        file = arguments.folder / f"{name}.onnx"
        write_pruned(file, cut)
        write_fp16(file, file.with_name(f"{name}_fp16.onnx"))
        without_weights(file)
        without_weights(file.with_name(f"{name}_fp16.onnx"))


def write_pruned(file: Path, cut: Optional[tuple[float, int]]) -> None:
    """Write ResNet50_vd; ``cut`` is (ratio, align), None for the dense model."""
    model = built("ResNet50_vd")
    plan = None
    if cut is not None:
        plan = make_plan(model, PruneConfig(pruned_ratio=cut[0], align=cut[1]), SHAPE)
        apply_plan(plan, model)
    # Only now: what the removed channels added is missing behind every layer.
    reestimate_bn_statistics(model, noise(16))
    model.eval()
    write_onnx(replace(job_of(model), plan=plan), file, "onnxruntime")
    print(file, "dense" if plan is None else f"FLOPs {plan.flops['pruned'] / plan.flops['dense']:.3f} of dense")


def write_quantized(arch: str, file: Path) -> None:
    """Write the file for TensorRT of a backbone that was calibrated on noise, not trained."""
    trained, fresh = built(arch), built(arch)
    fresh.set_state_dict(trained.state_dict())
    trained.eval()
    calibration = [(paddle.to_tensor(noise(8)),)]
    record = prepare.quantize(
        trained, QuantConfig(calibration_batches=1), calibration, lambda batch: trained(batch[0])
    )
    prepare.rebuild(fresh, record, for_export=True)
    trained.eval()
    fresh.eval()
    convert.convert_weights(trained, fresh, record)
    write_onnx(replace(job_of(trained), quant=record, int8_model=lambda: fresh), file, "tensorrt")
    print(file, record.summary())


def built(arch: str) -> paddle.nn.Layer:
    """A backbone with untrained weights, and BN statistics of noise: without, activations leave the range of FP16."""
    paddle.seed(0)
    from ppcls.arch import backbone  # find_ppcls() says where it is

    model = getattr(backbone, arch)()
    reestimate_bn_statistics(model, noise(16))
    return model


def noise(count: int) -> np.ndarray:
    """Inputs ``[count, 3, 224, 224]``."""
    return np.random.default_rng(0).standard_normal((count, *SHAPE)).astype(np.float32)


def job_of(model: paddle.nn.Layer) -> ExportJob:
    """What writing an ONNX file needs of a job."""
    scratch = Path(tempfile.mkdtemp())
    samples = Samples(noise(8), "noise")
    return ExportJob(scratch, model, dense_model=lambda: model, input_shape=SHAPE, samples=samples, scratch=scratch)


def without_weights(file: Path) -> None:
    """Leave the large weights of a file out; ``doc_string`` of each keeps its standard deviation."""
    model = onnx.load(str(file))
    for one in model.graph.initializer:
        values = onnx.numpy_helper.to_array(one)
        if values.dtype in (np.float32, np.float16) and values.size >= LARGE:
            one.doc_string = f"{float(values.astype(np.float32).std()):.9g}"
            one.ClearField("raw_data")
            one.ClearField("float_data")
            one.ClearField("int32_data")
    onnx.save(model, str(file))


if __name__ == "__main__":
    main()
