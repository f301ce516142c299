"""Run ONNX files of ``gpu_graphs.py`` with ONNX Runtime on a GPU: the same outputs as on the CPU, and latencies.

    python benchmarks/gpu_onnx.py build/graphs --json benchmarks/gpu_onnx.json
    python benchmarks/gpu_onnx.py --json benchmarks/gpu_onnx.json            # the record as a table

Needs ``onnxruntime-gpu``, ``onnx`` and NumPy, nothing of Paddle and nothing of this project. Weights that the files
lack are drawn from normal distributions, the same for both devices and both precisions. All models run in turns, and
inputs and outputs stay on the GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

IMAGES, SHAPE = 32, (3, 224, 224)
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "FP32": ("", {"use_tf32": "0"}),
    "TF32 (the default for FP32 files)": ("", {}),
    "FP16": ("_fp16", {}),
    "FP16, prefer_nhwc": ("_fp16", {"prefer_nhwc": "1"}),
    "FP16, prefer_nhwc, CUDA graph": ("_fp16", {"prefer_nhwc": "1", "enable_cuda_graph": "1"}),
}
"""In words -> suffix of the file, and options of the CUDA provider."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="with the graphs")
    parser.add_argument("--json", type=Path, required=True, help="file for the record")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32, 128])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu", help="cpu: to try the script")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        measure_all(arguments)
    print(table(json.loads(arguments.json.read_text(encoding="utf-8"))))


def measure_all(arguments: argparse.Namespace) -> None:
    """Write the record, again after every way, so that an interruption leaves the ones before."""
    ort.set_default_logger_severity(3)
    if arguments.device == "gpu":
        ort.preload_dlls()
    names = sorted(one.stem for one in arguments.folder.glob("*.onnx") if not one.stem.endswith("_fp16"))
    record: dict[str, Any] = {"environment": environment(), "runs": arguments.runs, "parameters": {}}
    record.update(equal=[], latency=[], failed={})
    images = np.random.default_rng(1).standard_normal((IMAGES, *SHAPE)).astype(np.float32)
    expected = {}
    for name in names:
        model = filled(arguments.folder / f"{name}.onnx")
        record["parameters"][name] = sum(int(np.prod(one.dims)) for one in model.graph.initializer)
        expected[name] = run(session(model, "cpu", {}), images)
    for way, (suffix, options) in WAYS.items():
        graphs = {name: filled(arguments.folder / f"{name}{suffix}.onnx") for name in names}
        try:
            record["equal"] += compare(way, graphs, images, expected, arguments.device, options)
            for batch in arguments.batches:
                record["latency"] += measure(way, graphs, batch, arguments.runs, arguments.device, options)
        except Exception as error:  # whatever its C++ raises: the other ways go on
            record["failed"][way] = str(error)[:500]
            print(f"{way}: {error}", flush=True)
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def table(record: dict[str, Any]) -> str:
    """Latencies as Markdown: a line a model, a column a way, batch sizes side by side; then the differences."""
    ways = [way for way in WAYS if any(row["way"] == way for row in record["latency"])]
    batches = sorted({row["batch"] for row in record["latency"]})
    found = {(row["way"], row["model"], row["batch"]): row["median_ms"] for row in record["latency"]}
    said = f"{record['environment'].get('gpu', 'CPU')}, ONNX Runtime {record['environment']['onnxruntime']}"
    lines = [f"{said}, batch {' / '.join(map(str, batches))}, milliseconds", ""]
    lines += ["| model | " + " | ".join(ways) + " |", "| --- |" + " --- |" * len(ways)]
    for model in record["parameters"]:
        cells = [" / ".join(f"{found[way, model, one]:.2f}" for one in batches) for way in ways]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    lines.append("")
    for way in ways:
        rows = [row for row in record["equal"] if row["way"] == way]
        worst, same = max(row["difference"] for row in rows), sum(row["same_top1"] for row in rows)
        lines.append(f"- {way}: at most {worst:.1e} of the largest output from the CPU's FP32, ")
        lines[-1] += f"top-1 of {same} / {sum(row['of'] for row in rows)} equal"
    return "\n".join(lines)


def filled(file: Path) -> onnx.ModelProto:
    """Load a file and draw the weights that it lacks, by their names."""
    model = onnx.load(str(file))
    for one in model.graph.initializer:
        if one.doc_string and not one.raw_data:
            random = np.random.default_rng(zlib.crc32(one.name.encode()))
            values = random.standard_normal(tuple(one.dims), dtype=np.float32) * np.float32(one.doc_string)
            one.raw_data = values.astype(onnx.helper.tensor_dtype_to_np_dtype(one.data_type)).tobytes()
    return model


def session(model: onnx.ModelProto, device: str, options: dict[str, str]) -> ort.InferenceSession:
    """Load a model for a device; ONNX Runtime would only log that it uses another one."""
    provider = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider"}[device]
    providers = [(provider, options)] if device == "gpu" else [provider]
    made = ort.InferenceSession(model.SerializeToString(), providers=providers)
    if provider not in made.get_providers():
        raise SystemExit(f"ONNX Runtime cannot use the {provider} here")
    return made


def run(made: ort.InferenceSession, images: np.ndarray) -> np.ndarray:
    """First output for images ``[n, 3, 224, 224]``."""
    binding, output = bound(made, images)
    made.run_with_iobinding(binding)
    return np.asarray(output.numpy())


def bound(made: ort.InferenceSession, images: np.ndarray) -> tuple[ort.IOBinding, ort.OrtValue]:
    """Place images and room for the output where the session computes."""
    device = "cuda" if "CUDAExecutionProvider" in made.get_providers() else "cpu"
    classes = made.get_outputs()[0].shape[1]
    source = ort.OrtValue.ortvalue_from_numpy(images, device, 0)
    output = ort.OrtValue.ortvalue_from_shape_and_type([len(images), classes], np.float32, device, 0)
    binding = made.io_binding()
    binding.bind_ortvalue_input(made.get_inputs()[0].name, source)
    binding.bind_ortvalue_output(made.get_outputs()[0].name, output)
    return binding, output


def compare(
    way: str,
    graphs: dict[str, onnx.ModelProto],
    images: np.ndarray,
    expected: dict[str, np.ndarray],
    device: str,
    options: dict[str, str],
) -> list[dict[str, Any]]:
    """Hold outputs against those of the CPU in FP32: as a share of the largest, and by the largest of each image."""
    rows = []
    for name, model in graphs.items():
        found, right = run(session(model, device, options), images), expected[name]
        difference = float(np.abs(found - right).max() / np.abs(right).max())
        same = int((found.argmax(1) == right.argmax(1)).sum())
        rows.append({"way": way, "model": name, "difference": difference, "same_top1": same, "of": len(images)})
        print(f"{way}: {name}: {difference:.1e} of the largest output, top-1 of {same} / {len(images)}", flush=True)
    return rows


def measure(
    way: str, graphs: dict[str, onnx.ModelProto], batch: int, runs: int, device: str, options: dict[str, str]
) -> list[dict[str, Any]]:
    """Time all models in turns; medians in milliseconds. Sessions are new: a CUDA graph is of one batch size."""
    images = np.random.default_rng(2).standard_normal((batch, *SHAPE)).astype(np.float32)
    ready = {}
    for name, model in graphs.items():
        made = session(model, device, options)
        ready[name] = (made, bound(made, images)[0])
    taken: dict[str, list[float]] = {name: [] for name in ready}
    for turn in range(-10, runs):  # the first ones choose algorithms and warm up
        for name, (made, binding) in ready.items():
            start = time.perf_counter()
            made.run_with_iobinding(binding)
            binding.synchronize_outputs()
            if turn >= 0:
                taken[name].append(1e3 * (time.perf_counter() - start))
    rows = []
    for name, times in taken.items():
        median, p90 = float(np.median(times)), float(np.percentile(times, 90))
        rows.append(
            {"way": way, "model": name, "batch": batch, "median_ms": round(median, 4), "p90_ms": round(p90, 4)}
        )
        print(f"{way}: {name}, batch {batch}: {median:.3f} ms, 90 % {p90:.3f} ms", flush=True)
    return rows


def environment() -> dict[str, str]:
    """What the figures were measured with."""
    found = {"onnxruntime": ort.__version__, "onnx": onnx.__version__, "build": ort.get_build_info()[:200]}
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        found["gpu"] = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    return found


if __name__ == "__main__":
    main()
