"""One network quantized in one way, and its top-1 wherever it runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np

from benchmarks.accuracy.import_weights import import_weights
from benchmarks.ptq.configuration import BATCHES, TARGETS, Setup, configuration, options_of
from benchmarks.ptq.nncf_quantize import nncf_quantize
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleclas.config import copy_config
from ppcls_slim.compat.paddleclas.types import ClasConfig
from ppcls_slim.deploy.target import target_of
from ppcls_slim.engine.engine import SlimEngine
from ppcls_slim.engine.stages import train
from ppcls_slim.graph.eval_mode import eval_mode
from ppcls_slim.verify.accuracy import logits_of

FLOAT, NNCF, NNCF_WITHOUT_PRODUCTS = "float", "nncf", "nncf, products float"
"""The last: with its defaults, NNCF rounds both factors of a hard-swish, and OpenVINO's product of them is 0."""
FAKE_QUANT = "fake-quant"
Row = dict[str, Any]
Batch = tuple[np.ndarray, np.ndarray]


def run_way(setup: Setup, way: str, fake_quant: bool) -> list[Row]:
    """Quantize, export and count; return one row an engine, and one of fake-quant if asked for."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        checkpoint = setup.weights
        if checkpoint.suffix == ".safetensors":
            checkpoint = scratch / "float"
            import_weights(setup.weights, checkpoint, None, False)
        if way in (FLOAT, NNCF, NNCF_WITHOUT_PRODUCTS):
            found = _float_or_nncf(setup, way, checkpoint, scratch)
        else:
            config = configuration(setup, checkpoint, scratch, options_of(way))
            found = _ours(config, scratch, setup.images, fake_quant)
    fake = found[FAKE_QUANT][0] if FAKE_QUANT in found else None
    common = {"network": setup.name, "way": way, "images": setup.images}
    return [{**common, "engine": engine, **_counted(*one, fake)} for engine, one in found.items()]


def _ours(config: ClasConfig, scratch: Path, images: int, fake_quant: bool) -> dict[str, Batch]:
    """Engine -> predictions and labels ``[n]``, of a model that is calibrated as ``Slim.quant`` says."""
    (best,) = train(copy_config(config)).saved.values()
    config["Global"]["pretrained_model"] = str(best)
    SlimEngine(copy_config(config), "export").export_without_comparison()
    engine = SlimEngine(copy_config(config), "eval")
    batches = list(_first(engine.eval_dataloader, images))
    found = {FAKE_QUANT: _predict(_run_of(engine.model), batches)} if fake_quant else {}
    for name in TARGETS:
        place = scratch / "inference" if name == "paddle" else scratch / "inference" / name
        found[name] = _predict(target_of(place).load(place, "cpu", 1), batches)
    return found


def _float_or_nncf(setup: Setup, way: str, checkpoint: Path, scratch: Path) -> dict[str, Batch]:
    """The float network as OpenVINO IR, or what NNCF makes of it from the same calibration images."""
    config = configuration(setup, checkpoint, scratch, {})
    SlimEngine(copy_config(config), "export").export_without_comparison()
    evaluation = list(_first(SlimEngine(copy_config(config), "eval").eval_dataloader, setup.images))
    place = scratch / "inference/openvino"
    if way == FLOAT:
        return {"openvino": _predict(target_of(place).load(place, "cpu", 1), evaluation)}
    loader = SlimEngine(copy_config(config), "train").train_dataloader
    calibration = np.concatenate([np.asarray(batch[0]) for _, batch in zip(range(BATCHES), loader)])
    left_float = ["Multiply"] if way == NNCF_WITHOUT_PRODUCTS else []
    return {"openvino": _predict(nncf_quantize(place / "inference.xml", calibration, left_float), evaluation)}


def _first(loader: Iterable[Any], images: int) -> Iterator[Batch]:
    seen = 0
    for batch in loader:
        yield np.asarray(batch[0]), np.asarray(batch[1]).reshape(-1)
        seen += len(batch[0])
        if seen >= images:
            return


def _run_of(model: paddle.nn.Layer) -> Callable[[np.ndarray], np.ndarray]:
    def run(images: np.ndarray) -> np.ndarray:
        with eval_mode(model):
            return np.asarray(logits_of(model(paddle.to_tensor(images))).numpy())

    return run


def _predict(run: Callable[[np.ndarray], np.ndarray], batches: list[Batch]) -> Batch:
    chosen = [np.asarray(run(images)).argmax(axis=-1) for images, _ in batches]
    return np.concatenate(chosen), np.concatenate([labels for _, labels in batches])


def _counted(chosen: np.ndarray, labels: np.ndarray, fake: Optional[np.ndarray]) -> Row:
    same = None if fake is None else round(100 * float((chosen == fake).mean()), 2)
    return {"top1": round(100 * float((chosen == labels).mean()), 2), "same_as_fake_quant": same}
