"""Backbones in every engine: FP32, BF16 and int8 side by side, and the share of layers in int8.

    python -m benchmarks.engines                                # the twelve of the table; BACKBONE ... for others
    python -m benchmarks.engines --page docs/engines.md         # only write the page; also docs/engines.zh.md

Weights are random, batch normalization has the statistics of the calibration images, and nothing is trained: latency
does not depend on the weights. With NNCF installed, its post-training quantization of the same network is timed, too.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Optional

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "plugin")]

from benchmarks.backbones.constructors import arguments, constructors  # noqa: E402  (the checkout is on the path now)
from benchmarks.engines_page import ENOUGH, NAMES, Row, page, words_of  # noqa: E402
from ppcls_slim.compat.paddle import paddle  # noqa: E402
from ppcls_slim.compat.paddleclas.logger import logger  # noqa: E402
from ppcls_slim.compat.reparameterization import merge_branches  # noqa: E402
from ppcls_slim.config.prune import PruneConfig  # noqa: E402
from ppcls_slim.config.quant import QuantConfig  # noqa: E402
from ppcls_slim.deploy.auto_speed import slow_in_int8  # noqa: E402
from ppcls_slim.deploy.job import ExportJob  # noqa: E402
from ppcls_slim.deploy.paddle_inference import write_sidecar  # noqa: E402
from ppcls_slim.deploy.target import Runner, find_target, runners  # noqa: E402
from ppcls_slim.deploy.timing import latencies  # noqa: E402
from ppcls_slim.prune.planning import make_plan  # noqa: E402
from ppcls_slim.prune.pruner import prune  # noqa: E402
from ppcls_slim.quant import convert, prepare  # noqa: E402
from ppcls_slim.verify.samples import Samples  # noqa: E402

TWELVE = (
    *("ResNet18", "ResNet50_vd", "MobileNetV2", "MobileNetV3_small_x1_0", "MobileNetV3_large_x1_0", "PPLCNet_x1_0"),
    *("PPHGNet_tiny", "ShuffleNetV2_x1_0", "EfficientNetB0", "RepVGG_A0", "DeiT_tiny_patch16_224"),
    "SwinTransformer_tiny_patch4_window7_224",
)
PRUNED = "ResNet50_vd@0.5"
"""Half of the filters pruned, and compared with the dense network."""
ALIGN = 16
TARGETS = ("paddle", "onnx", "openvino")
SHAPE = (3, 224, 224)
IMAGES = 8
RUNS = 15
TABLE = ROOT / "docs/coverage/engines.csv"
QUIET = 50  # logging's level above all


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Measure, write the table after every backbone, and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="BACKBONE", help=f"or BACKBONE@RATIO; default: twelve, {PRUNED}")
    parser.add_argument("--csv", type=Path, default=TABLE, metavar="FILE", help="table to continue (%(default)s)")
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the page from the table")
    options = parser.parse_args(argv)
    rows = _read(options.csv)
    if options.page is None:
        logger.init_logger(log_level=QUIET)
        names = options.names or (*TWELVE, PRUNED)
        for name in names:
            if len(names) > 1:  # a process of its own: Paddle's predictors keep their memory
                command = [sys.executable, "-m", "benchmarks.engines", name, "--csv", str(options.csv)]
                status = subprocess.run(command, cwd=ROOT, check=False).returncode
                if status:
                    ended = [
                        Row(name, engine, failed=f"the process ended with {status}") for engine in NAMES.values()
                    ]
                    _write(options.csv, [row for row in _read(options.csv) if row.backbone != name] + ended)
                continue
            measured = measure(name)
            rows = [row for row in rows if row.backbone != name] + measured
            _write(options.csv, rows)
            print(json.dumps([asdict(row) for row in measured]), flush=True)
    else:
        options.page.write_text(page(rows, words_of(options.page)), encoding="utf-8")
    return 0


def measure(name: str) -> list[Row]:
    """One backbone in all engines, timed in turns."""
    rows = {target: Row(name, NAMES[target]) for target in TARGETS}
    ways: dict[tuple[str, str], Runner] = {}
    with tempfile.TemporaryDirectory() as scratch:
        job = _quantized(name, Path(scratch))
        expected = _outputs(job)
        for target, row in rows.items():
            try:
                ways.update(_of_target(target, job, expected, row))
            except Exception as error:  # one engine that fails must not end the table
                row.failed = (str(error).replace(scratch, "").strip().splitlines() or [type(error).__name__])[-1][
                    :160
                ]
                traceback.print_exc()
        reference = None if job.plan else _nncf(job)
        if reference is not None:
            ways["openvino", "nncf_ms"] = reference
        image = job.samples.images[:1]
        for (target, column), taken in zip(ways, latencies([partial(run, image) for run in ways.values()], RUNS)):
            setattr(rows[target], column, round(taken, 3))
    for row in rows.values():
        if row.fp32_ms and row.int8_ms:
            row.gain = round(row.fp32_ms / min(row.int8_ms, row.auto_speed_ms or row.int8_ms), 3)
    return list(rows.values())


def _of_target(target: str, job: ExportJob, expected: np.ndarray, row: Row) -> dict[tuple[str, str], Runner]:
    """Write and load the float and the int8 model; fills what is not latency."""
    place, baseline = find_target(target, quantized=True), find_target(target)
    folders = {kind: job.folder / f"{target}-{kind}" for kind in ("float", "int8", "auto")}
    for folder in folders.values():
        folder.mkdir()
    baseline.write(job.of_dense_model(folders["float"]), folders["float"])
    ways = {(target, f"{run.precision}_ms"): run for run in runners(baseline, folders["float"])}
    ways = {key: run for key, run in ways.items() if key[1] in ("fp32_ms", "bf16_ms")}
    write_sidecar(folders["int8"], job.sidecar({}))
    place.write(job, folders["int8"])
    run = ways[target, "int8_ms"] = place.load(folders["int8"])
    row.int8_layers, row.layers = getattr(run, "int8_layers", None), getattr(run, "layers", None)
    found = run(job.samples.images)
    row.error = round(float(np.linalg.norm(found - expected) / np.linalg.norm(expected)), 4)
    image = job.samples.images[:1]
    float_ms, int8_ms = latencies([partial(one, image) for one in (ways[target, "fp32_ms"], run)], 5)
    left = slow_in_int8(place, job) if float_ms < ENOUGH * int8_ms else {}
    row.left_float = len(left)
    if left:
        write_sidecar(folders["auto"], job.sidecar({}))
        place.write(replace(job, left_float=left), folders["auto"])
        ways[target, "auto_speed_ms"] = place.load(folders["auto"])
    return ways


def _quantized(name: str, scratch: Path) -> ExportJob:
    """A calibrated network with random weights."""
    images = np.random.default_rng(0).standard_normal((IMAGES, *SHAPE)).astype(np.float32)
    batch = paddle.to_tensor(images)

    backbone, _, ratio = name.partition("@")

    def build() -> paddle.nn.Layer:
        paddle.seed(0)
        constructor = constructors()[backbone]
        with paddle.utils.unique_name.guard():
            model = constructor(**{**arguments(constructor), "class_num": 1000})
            _settle(model, batch)
            merge_branches(model)
        return model

    trained, fresh = build(), build()
    plan = None
    if ratio:
        plan = make_plan(trained, PruneConfig(pruned_ratio=float(ratio), align=ALIGN), SHAPE, device="cpu")
        for model in (trained, fresh):
            prune(model, plan)
            _settle(model, batch)
    record = prepare.quantize(trained, QuantConfig(calibration_batches=1), [(batch,)], lambda one: trained(one[0]))
    with paddle.utils.unique_name.guard():
        prepare.rebuild(fresh, record, for_export=True)
    trained.eval()
    fresh.eval()
    convert.convert_weights(trained, fresh, record)
    said = {"quant": record.to_json()}
    (scratch / "shared").mkdir()
    return ExportJob(
        folder=scratch,
        model=trained,
        int8_model=lambda: fresh,
        dense_model=build,
        input_shape=SHAPE,
        samples=Samples(images, "noise"),
        plan=plan,
        quant=record,
        sidecar=lambda verified: said,
        scratch=scratch / "shared",
    )


def _settle(model: paddle.nn.Layer, batch: paddle.Tensor) -> None:
    """Give batch normalization the statistics of the images, so that signals neither vanish nor explode."""
    for layer in model.sublayers():
        if hasattr(layer, "_momentum"):
            layer._momentum = 0.0
    model.train()
    with paddle.no_grad():
        model(batch)
    model.eval()


def _outputs(job: ExportJob) -> np.ndarray:
    with paddle.no_grad():
        found: np.ndarray = job.model(paddle.to_tensor(job.samples.images)).numpy()
    return found


def _nncf(job: ExportJob) -> Optional[Callable[[np.ndarray], Any]]:
    """The same float network, quantized by NNCF for OpenVINO; None where NNCF is not installed, or fails."""
    try:
        import nncf  # an option of this command only

        from ppcls_slim.compat.openvino_core import core  # needs the extra [openvino]

        model = core().read_model(str(job.folder / "openvino-float/inference.xml"))
        data = nncf.Dataset(list(job.samples.images[:, None]))
        quantized = nncf.quantize(model, data, subset_size=IMAGES)
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        return core().compile_model(quantized, "CPU", settings)
    except ImportError:
        return None
    except Exception as error:
        print(f"NNCF: {error}", file=sys.stderr)
        return None


def _read(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    kinds = {field.name: str(field.type) for field in fields(Row)}
    with path.open(encoding="utf-8", newline="") as file:
        return [Row(**{key: _value(text, kinds[key]) for key, text in line.items()}) for line in csv.DictReader(file)]


def _value(text: str, kind: str) -> Any:
    if "float" in kind:
        return float(text) if text else None
    if "int" in kind:
        return int(text) if text else None
    return text


def _write(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in asdict(row).items()} for row in rows)


if __name__ == "__main__":
    sys.exit(main())
