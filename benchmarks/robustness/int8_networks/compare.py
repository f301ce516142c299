"""Train a drawn network on digits, export it, and run the files in every way."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from ppcls_slim.checkpoint import SIDECAR
from ppcls_slim.compat.onednn import broken_passes
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.deploy import paddle_inference
from ppcls_slim.deploy.targets import paddle_int8
from ppcls_slim.quant import convert, prepare
from ppcls_slim.quant.record import QuantRecord

from .draw import Spec
from .network import SIZE, Network

STEPS, QAT_STEPS, BATCH, TESTED = 120, 20, 64, 256
SHAPE = [1, SIZE, SIZE]
Run = Callable[[np.ndarray], np.ndarray]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images ``[1797, 1, 8, 8]`` of about zero mean and unit variance, and labels."""
    found = load_digits()
    images = (found.images[:, None].astype("float32") - 4.9) / 6.0
    order = np.random.default_rng(0).permutation(len(images))
    return images[order], found.target[order]


def trained(spec: Spec, images: np.ndarray, labels: np.ndarray) -> Network:
    """Train the float network for a moment."""
    paddle.seed(spec["seed"])
    with paddle.utils.unique_name.guard():
        model = Network(spec)
    _train(model, images, labels, spec.get("train", STEPS), 0.03)
    return model


def quantized(model: Network, spec: Spec, images: np.ndarray, labels: np.ndarray) -> QuantRecord:
    """Quantize it, and train it a little more."""
    settings = QuantConfig(name=spec["method"], calibration_batches=4)
    batches = [(paddle.to_tensor(images[start : start + BATCH]),) for start in range(0, 4 * BATCH, BATCH)]
    record = prepare.quantize(model, settings, batches, lambda batch: model(batch[0]))
    _train(model, images, labels, QAT_STEPS, 1e-3)
    return record


def _train(model: paddle.nn.Layer, images: np.ndarray, labels: np.ndarray, steps: int, rate: float) -> None:
    clip = paddle.nn.ClipGradByGlobalNorm(1.0)
    optimizer = paddle.optimizer.Adam(rate, parameters=model.parameters(), grad_clip=clip)
    model.train()
    for step in range(steps):
        at = [(step * BATCH + i) % (len(images) - TESTED) for i in range(BATCH)]
        loss = paddle.nn.functional.cross_entropy(model(paddle.to_tensor(images[at])), paddle.to_tensor(labels[at]))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    model.eval()


def outputs(model: paddle.nn.Layer, images: np.ndarray) -> np.ndarray:
    """Scores of the model."""
    with paddle.no_grad():
        scores: np.ndarray = model(paddle.to_tensor(images)).numpy()
    return scores


def export_float(model: Network, spec: Spec, folder: Path) -> None:
    """Write the float files, of a copy: an exported model runs as a static one from then on."""
    with paddle.utils.unique_name.guard():
        copy = Network(spec)
    copy.set_state_dict(model.state_dict())
    copy.eval()
    paddle_inference.save(copy, SHAPE, folder)


def export_int8(model: Network, spec: Spec, record: QuantRecord, images: np.ndarray, folder: Path) -> None:
    """Write the int8 files."""
    with paddle.utils.unique_name.guard():
        fresh = Network(spec)
    prepare.rebuild(fresh, record, for_export=True)
    fresh.eval()
    convert.convert_weights(model, fresh, record)
    paddle_int8.save(fresh, record, images[:BATCH], SHAPE, folder)
    (folder / f"{paddle_inference.NAME}{SIDECAR}").write_text(json.dumps({"quant": spec}))


def as_a_user_runs_it(folder: Path) -> Run:
    """Paddle's own ``Config`` with oneDNN, which Paddle 3 has on by default, and nothing else."""
    program, parameters = paddle_inference.files_of(folder)
    config = paddle.inference.Config(str(program), str(parameters))
    config.disable_gpu()
    config.enable_mkldnn()
    config.disable_glog_info()
    predictor = paddle.inference.create_predictor(config)

    def run(images: np.ndarray) -> np.ndarray:
        predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(images)
        predictor.run()
        found: np.ndarray = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
        return found

    return run


WAYS: dict[str, tuple[str, Callable[[Path], Run]]] = {
    "float, plain": ("float", lambda folder: paddle_inference.Predictor(folder, onednn=False)),
    "float, oneDNN": ("float", paddle_inference.Predictor),
    "float, default": ("float", as_a_user_runs_it),
    "int8, reference run": ("int8", lambda folder: paddle_inference.Predictor(folder, onednn=False)),
    "int8, oneDNN": ("int8", lambda folder: paddle_inference.Predictor(folder, precision="int8")),
    "int8 file, oneDNN without int8": ("int8", as_a_user_runs_it),
}
"""Way of running -> which files, and what runs them."""


def compare(spec: Spec, begin: Callable[[str], None], skip: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """Run one network in every way.

    Args:
        spec: the network.
        begin: is told what is about to be done, so that a crash has a name.
        skip: ways of running that are left out.

    Yields:
        ``way``, ``error`` (relative error of the scores in the 2-norm, without their mean), ``same`` (share of
        equal top-1 predictions) and ``top1`` of it and ``expected`` of the model.
    """
    images, labels = digits()
    tested, right = images[-TESTED:], labels[-TESTED:]
    begin("train")
    model = trained(spec, images, labels)
    with tempfile.TemporaryDirectory() as home:
        folders = {"float": Path(home, "float"), "int8": Path(home, "int8")}
        for folder in folders.values():
            folder.mkdir()
        expected = {"float": outputs(model, tested)}
        begin("export float")
        export_float(model, spec, folders["float"])
        begin("quantize")
        record = quantized(model, spec, images, labels)
        expected["int8"] = outputs(model, tested)
        begin("export int8")
        export_int8(model, spec, record, images, folders["int8"])
        for way, (files, predictor) in WAYS.items():
            if way not in skip and not _is_said(way, folders[files]):
                begin(way)
                found = predictor(folders[files])(tested)
                yield {"way": way, **_parity(found, expected[files], right)}


def _is_said(way: str, folder: Path) -> bool:
    """Whether the export says that Paddle's defaults cannot run the file."""
    return way == "float, default" and bool(broken_passes(paddle_inference.files_of(folder)[0]))


def _parity(found: np.ndarray, expected: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    spread = float(np.linalg.norm(expected - expected.mean(axis=0))) or 1.0
    return {
        "error": float(np.linalg.norm(found - expected)) / spread,
        "same": float((found.argmax(1) == expected.argmax(1)).mean()),
        "top1": float((found.argmax(1) == labels).mean()),
        "expected": float((expected.argmax(1) == labels).mean()),
    }
