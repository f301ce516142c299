"""Convert float ONNX files with ``pnnx``, and compare predictions of ``ncnn`` with those of ONNX Runtime.

pip install ncnn pnnx onnxruntime
python benchmarks/ncnn_predictions.py inference/onnx/inference.onnx --shape 3 224 224
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import ncnn
import numpy as np
import onnxruntime

IMAGES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--shape", type=int, nargs=3, default=[3, 224, 224], help="of an image (default 3 224 224)")
    arguments = parser.parse_args()
    images = np.random.default_rng(1).standard_normal((IMAGES, *arguments.shape)).astype(np.float32)
    different = 0
    for file in arguments.files:
        said = check(file, images)
        print(f"{file.stem}: {said}", flush=True)
        different += "all predictions equal" not in said.split(";")[0]  # in FP32; FP16 rounds
    sys.exit(1 if different else 0)


def check(file: Path, images: np.ndarray) -> str:
    """Compare ncnn with ONNX Runtime on images ``[n, C, H, W]``; the largest difference as a share of the outputs."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    expected = np.concatenate([session.run(None, {name: image[None]})[0] for image in images])
    with tempfile.TemporaryDirectory() as scratch:
        failure = converted(file, Path(scratch), images.shape[1:])
        if failure:
            return failure
        try:
            found = {half: run(Path(scratch), images, half) for half in (False, True)}
        except RuntimeError as error:
            return str(error)
    said = []
    for half, outputs in found.items():
        same = int((outputs.argmax(1) == expected.argmax(1)).sum())
        difference = np.abs(outputs - expected).max() / np.abs(expected).max()
        equal = "all predictions equal" if same == len(images) else f"{same} of {len(images)} predictions equal"
        said.append(f"{'FP16' if half else 'FP32'} {difference:.1e}, {equal}")
    return "; ".join(said)


def converted(file: Path, folder: Path, shape: tuple[int, ...]) -> str:
    """Write ``model.ncnn.param`` and ``model.ncnn.bin``; return what ``pnnx`` says where it does not."""
    (folder / "model.onnx").write_bytes(file.read_bytes())
    size = ",".join(map(str, (1, *shape)))
    package = importlib.util.find_spec("pnnx")  # its command imports PyTorch; the program in the package needs none
    assert package is not None and package.origin is not None
    command = [str(Path(package.origin).with_name("pnnx")), "model.onnx", f"inputshape=[{size}]", "fp16=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if (folder / "model.ncnn.param").is_file():
        return ""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return f"pnnx ends with {done.returncode}: {' / '.join(lines[-3:])}"


def run(folder: Path, images: np.ndarray, half: bool) -> np.ndarray:
    """Outputs ``[n, classes]``.

    Args:
        folder: holds what ``converted`` wrote.
        images: ``[n, C, H, W]``.
        half: let ncnn store and compute in FP16, as it does by default; it computes in FP32 on CPUs without FP16.

    Raises:
        RuntimeError: ncnn does not load or run the model.
    """
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = half
    if net.load_param(str(folder / "model.ncnn.param")) or net.load_model(str(folder / "model.ncnn.bin")):
        raise RuntimeError("ncnn does not load what pnnx wrote: a layer that it does not have")
    outputs = []
    for image in images:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(np.ascontiguousarray(image)).clone())
        status, output = extractor.extract("out0")
        if status:
            raise RuntimeError(f"ncnn does not run the model: status {status}")
        outputs.append(np.array(output).reshape(-1))
    return np.stack(outputs)


if __name__ == "__main__":
    main()
