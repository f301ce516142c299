"""One backbone through one job, with the functions that the tools call; runs in a process of its own."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.backbones import setup
from benchmarks.backbones.constructors import arguments, constructors, file_of
from benchmarks.backbones.rows import Row
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.section import PruneConfig
from ppcls_slim.deploy.pipeline import export_checked
from ppcls_slim.deploy.runtime import NAME, Predictor
from ppcls_slim.engine.engine import SlimEngine, build_dense
from ppcls_slim.graph.eval_mode import eval_mode
from ppcls_slim.prune.dependency.groups import Grouping
from ppcls_slim.prune.flops import run_once
from ppcls_slim.prune.plan import Plan
from ppcls_slim.prune.pruner import analyse_model, plan_from
from ppcls_slim.verify import layerwise
from ppcls_slim.verify.accuracy import logits_of
from ppcls_slim.verify.equivalence import check_equivalence

from ppcls.utils import logger  # isort: skip  # there once the engine was imported

RATIO = 0.3
SIZES = (64, 112, 224, 256, 384)  # small first: what is proved does not depend on it
NATIVE = (224, 256, 384, 112)
PROOF = 1e-4
"""Largest error of a proof: float32 leaves some 1e-6 times the depth."""
PARITY = 1e-3
"""Largest relative error of an exported float model's logits, in the 2-norm."""
LAYER = 0.02
"""Largest relative error of one quantized layer in the file, on the input that it has there; up to 0.008 was seen."""
PART = 0.4
"""Largest relative error of a part of the network in oneDNN's int8, on the input that it has in the plain run: up to
0.36 was seen (HRNet), and 0.4 to 0.9 where a pooling clipped its input."""
LONG = 20
"""Layers of a part that are too many for that: DPN68 and Xception41_deeplab hand on two maps all along and cannot be
cut there. Of such a part no more is known than of the logits."""
PLAIN = 0.25
"""Largest relative error of the logits of a quantized model that is run as it is written: sums in another order round
to another step here and there, and so do the layers behind; or three times what ``NOISE`` does, which in
untrained networks may be all there is."""
NOISE = 1e-6
"""Of a layer's standard deviation: rounding of float32."""
INT8 = 0.5
"""As PLAIN for oneDNN's int8 kernels, which round more than was simulated; or twice what quantization itself costs
where that is more, as in untrained depthwise networks."""
WORTH_SAYING = 0.05
"""Share of the FLOPs in linear layers, where pruning of filters does not reach."""
FEW = 4
"""Images for what is compared layer by layer."""
SMALLEST = 1e-20
"""Smallest probability whose logarithm is compared."""
EFFECT = 100
"""Times the error that silencing has to change at least, or the proof says nothing."""

Stage = Callable[[str], None]

_NORMS = (paddle.nn.layer.norm._BatchNormBase, paddle.nn.BatchNorm)


def run(row: Row, work: Path, stage: Stage) -> None:
    """Take one backbone through one job and write into the row what was found.

    Args:
        row: names the backbone and the job.
        work: holds the digits, and gets a folder for this job.
        stage: is told what is done next.

    Raises:
        SlimError: a step refuses, or what it made is wrong.
    """
    start = time.perf_counter()
    try:
        stage("build")
        paddle.seed(0)
        logger.init_logger()  # backbones of 2.5 and newer log while they are built
        constructor = constructors()[row.backbone]
        row.file = file_of(constructor)
        arch = {"name": row.backbone, **arguments(constructor)}
        folder = work / f"{row.backbone}-{row.job}"
        folder.mkdir(parents=True, exist_ok=True)
        {"prune": _prune, "quant": _quant}[row.job](row, arch, folder, setup.data_folder(work), stage)
    finally:
        row.seconds = time.perf_counter() - start


def _prune(row: Row, arch: dict[str, Any], folder: Path, digits: Path, stage: Stage) -> None:
    """Plan, proof, one step, checkpoint and back, export and parity."""
    model, dense, loss = _built(row, arch, folder, digits)
    slim = {"prune": {"name": "fpgm", "pruned_ratio": RATIO, "input_shape": [3, row.native_size, row.native_size]}}
    section = PruneConfig(**slim["prune"])
    yaml = setup.configuration(arch, slim, row.size or 0, folder, digits, loss)
    stage("analysis")
    start = time.process_time()
    analysis = analyse_model(model, section, [])
    plan = plan_from(analysis, model, section, "cpu")
    row.analysis_seconds = time.process_time() - start
    row.flops, row.flops_removed = plan.flops["dense"], plan.pruned_flops
    row.frozen_share, row.frozen = _frozen(model, analysis.grouping, plan)

    stage("proof")
    _prove(row, model, analysis.grouping, plan, setup.digits_as_images(setup.with_keys(yaml), 2))
    del model, analysis
    gc.collect()

    stage("compress")
    engine = SlimEngine(setup.with_keys(yaml, pretrained_model=str(dense)), "train")
    stage("train")
    engine.train()
    if engine.plan is None or engine.plan.slices != plan.slices:
        raise SlimError("training made another plan of the same weights")
    reread = _reread(engine, yaml, stage)
    stage("export")
    export_checked(reread, compare=False)
    stage("parity")
    images = setup.digits_as_images(reread.config, setup.EVALUATED)
    row.parity = max(_parities(_logits(reread.model, images), folder / "inference", images))
    if not row.parity <= PARITY:
        raise SlimError(f"the exported model's logits differ from the trained model's by {row.parity:.1e}")


def _quant(row: Row, arch: dict[str, Any], folder: Path, digits: Path, stage: Stage) -> None:
    """Quantize with PACT, one step, checkpoint and back, export in int8 and parity."""
    model, dense, loss = _built(row, arch, folder, digits)
    slim = {"quant": {"name": "pact", "calibration_batches": 1}}
    yaml = setup.configuration(arch, slim, row.size or 0, folder, digits, loss)
    stage("compress")
    engine = SlimEngine(setup.with_keys(yaml, pretrained_model=str(dense)), "train")
    images = setup.digits_as_images(engine.config, setup.EVALUATED)
    row.quant_error = _relative(_softmax(_logits(engine.model, images)), _logits(model, images))
    del model
    stage("train")
    engine.train()
    reread = _reread(engine, yaml, stage)
    stage("export")
    export_checked(reread, compare=False)
    stage("parity")
    exported = folder / "inference"
    row.layer_error, worst = layerwise.largest_difference(reread.model, reread.quant, exported / NAME, images[:FEW])
    if not row.layer_error <= LAYER:
        raise SlimError(f"{worst} in the exported file differs from the trained layer by {row.layer_error:.2g}")
    parts = layerwise.errors_in_int8(exported / NAME, images[:FEW])
    row.part_error = max(error for error, _ in parts)
    int8 = max(INT8, 2 * row.quant_error)
    for error, layers in parts:
        if not error <= (PART if layers <= LONG else int8):
            raise SlimError(f"a part of the exported file differs in int8 from its plain run by {error:.2g}")
    logits = _logits(reread.model, images)
    with layerwise.with_noise(reread.model, reread.quant, NOISE):
        row.rounding_error = _relative(_softmax(_logits(reread.model, images)), logits)
    row.parity, row.parity_int8 = _parities(logits, exported, images)
    limits = (max(PLAIN, 3 * row.rounding_error), int8)
    for found, limit, how in zip((row.parity, row.parity_int8), limits, ("run plainly", "in int8")):
        if not found <= limit:
            raise SlimError(
                f"the exported model's logits, {how}, differ from the trained model's by {found:.2g} "
                f"(quantizing the float model: {row.quant_error:.2g})"
            )


def _built(row: Row, arch: dict[str, Any], folder: Path, digits: Path) -> tuple[paddle.nn.Layer, Path, str]:
    """Build the dense model, find the sizes of images that it takes, and save weights to start from.

    Returns:
        The model, the file of weights, and the name of the loss.
    """
    yaml = setup.configuration(arch, {}, NATIVE[0], folder, digits, "CELoss")
    with paddle.utils.unique_name.guard():
        model = build_dense(setup.with_keys(yaml), "train", fetch_pretrained=False)
    row.parameters = sum(int(np.prod(parameter.shape)) for parameter in model.parameters())
    row.native_size, row.size = (_first_size(model, sizes) for sizes in (NATIVE, SIZES))
    yaml = setup.configuration(arch, {}, row.size, folder, digits, "CELoss")
    loss = _loss(model, row)
    _settle(model, setup.digits_as_images(setup.with_keys(yaml), setup.EVALUATED))
    dense = folder / "dense.pdparams"
    paddle.save(model.state_dict(), str(dense))
    return model, dense, loss


def _settle(model: paddle.nn.Layer, images: np.ndarray) -> None:
    """Give batch normalization the statistics of some images.

    With the initial ones activations of many untrained models grow to 1e4, which no trained model's do: softmax and
    int8 are then compared where they are never used.
    """
    norms = [layer for layer in model.sublayers() if isinstance(layer, _NORMS)]
    momenta = [layer._momentum for layer in norms]
    model.train()
    for layer in norms:
        layer._momentum = 0.0  # nothing of the old statistics
    with paddle.no_grad():
        model(paddle.to_tensor(images))
    for layer, momentum in zip(norms, momenta):
        layer._momentum = momentum


def _first_size(model: paddle.nn.Layer, sizes: tuple[int, ...]) -> int:
    errors = {}
    for size in sizes:
        try:
            run_once(model, [3, size, size])
            return size
        except Exception as error:  # whatever the model's code raises
            errors[_line(error)] = size
    reasons = "; ".join(f"{size}: {line}" for line, size in errors.items())
    raise SlimError(f"runs on images of none of these sizes: {reasons}")


def _loss(model: paddle.nn.Layer, row: Row) -> str:
    """GoogLeNet has two heads more in training."""
    model.train()
    with paddle.no_grad():
        returned = model(paddle.zeros([2, 3, row.size, row.size]))
    return "GoogLeNetLoss" if isinstance(returned, (list, tuple)) and len(returned) == 3 else "CELoss"


def _frozen(model: paddle.nn.Layer, grouping: Grouping, plan: Plan) -> tuple[float, str]:
    """Share of the filters that no group has, and the reasons, counted by layers; FLOPs that are not in filters."""
    layers = {name: layer for name, layer in model.named_sublayers() if isinstance(layer, paddle.nn.Conv2D)}
    filters = {name: int(layer.weight.shape[0]) for name, layer in layers.items()}
    frozen = {name: reason for name, reason in grouping.frozen.items() if name in filters}
    share = sum(filters[name] for name in frozen) / max(sum(filters.values()), 1)
    reasons = [f"{count} x {reason}" for reason, count in Counter(frozen.values()).most_common()]
    unreached = plan.flops["unreached"] / plan.flops["dense"]
    if unreached >= WORTH_SAYING:
        reasons.append(f"{100 * unreached:.0f} % of the FLOPs in linear layers of attention and MLPs")
    return share, "; ".join(reasons)


def _prove(row: Row, model: paddle.nn.Layer, grouping: Grouping, plan: Plan, digits: np.ndarray) -> None:
    removal = [sorted(set(range(one.prunable_channels)) - set(one.kept)) for one in plan.decisions]
    noise = np.random.default_rng(0).standard_normal(digits.shape).astype(np.float32)
    found = [check_equivalence(model, grouping, removal, images) for images in (noise, digits)]
    row.proof_random, row.proof_real = (proof.error for proof in found)
    row.proof_effect = min(proof.effect for proof in found)
    for proof, source in zip(found, ("noise", "digits")):
        if not proof.error <= PROOF:
            raise SlimError(
                f"the pruned model is not the dense one with those channels silenced: {proof.error:.1e} on {source}"
            )
        if not proof.effect > EFFECT * proof.error:
            raise SlimError(
                f"the proof on {source} says nothing: silencing changes {proof.effect:.1e}, "
                f"rounding {proof.error:.1e}"
            )


def _reread(engine: SlimEngine, yaml: Path, stage: Stage) -> SlimEngine:
    """Build the model again from the checkpoint alone, and compare every tensor."""
    stage("checkpoint")
    reread = SlimEngine(setup.with_keys(yaml, pretrained_model=str(engine.saved["latest"])), "export")
    ours, theirs = engine.model.state_dict(), reread.model.state_dict()
    if list(ours) != list(theirs):
        raise SlimError("the model built from the checkpoint has other tensors than the trained one")
    for name, tensor in ours.items():
        if not np.array_equal(tensor.numpy(), theirs[name].numpy(), equal_nan=True):
            raise SlimError(f"{name} is not what was trained after reading it back")
    return reread


def _logits(model: paddle.nn.Layer, images: np.ndarray) -> np.ndarray:
    with eval_mode(model):
        return logits_of(model(paddle.to_tensor(images))).numpy().astype(np.float64)


def _parities(logits: np.ndarray, exported: Path, images: np.ndarray) -> tuple[float, float]:
    """Relative error of the exported model, run plainly and in oneDNN (int8 if quantized); see :func:`_relative`."""
    plain, fast = (Predictor(exported, onednn=onednn)(images) for onednn in (False, True))
    return _relative(plain, logits), _relative(fast, logits)


def _relative(found: np.ndarray, logits: np.ndarray) -> float:
    """Relative error of a softmax in the 2-norm of its logits.

    PaddleClas exports the softmax, which makes nearly equal numbers of an untrained model's logits: compared
    are its logarithms, relative to the logits less their mean. Paddle's softmax is exact to ``e**-64`` only, so
    that smaller values are left out.

    Args:
        found: softmax ``[n, classes]``.
        logits: what it should be the softmax of, ``[n, classes]``.
    """
    expected = logits - logits.max(axis=-1, keepdims=True)
    expected -= np.log(np.exp(expected).sum(axis=-1, keepdims=True))
    known = np.minimum(found, np.exp(expected)) > SMALLEST
    centred = logits - logits.mean(axis=-1, keepdims=True)
    difference = np.log(found[known].astype(np.float64)) - expected[known]
    return float(np.linalg.norm(difference) / np.linalg.norm(centred[known]))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _line(error: BaseException) -> str:
    text = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {text[-1].strip()[:100] if text else ''}"
