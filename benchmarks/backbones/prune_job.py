"""Prune one backbone: plan, equivalence check, one training step, checkpoint and back, export."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from benchmarks.backbones import setup
from benchmarks.backbones.compare import export_errors, logits
from benchmarks.backbones.dense import Job, build
from benchmarks.backbones.reread import reread_from_checkpoint
from benchmarks.backbones.rows import MatrixRow
from benchmarks.backbones.tolerances import EQUIVALENCE, FLOAT_EXPORT, MASK_EFFECT
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.engine.engine import SlimEngine
from ppcls_slim.prune.analysis import analyse_model
from ppcls_slim.prune.dependency.groups import Grouping
from ppcls_slim.prune.plan import Plan
from ppcls_slim.prune.planning import plan_from
from ppcls_slim.verify.equivalence import check_equivalence

RATIO = 0.3
WORTH_SAYING = 0.05
"""Share of the FLOPs in linear layers, which filter pruning does not reach, from which it is written down."""


def run_prune(job: Job, stage: Callable[[str], None]) -> None:
    """Take one backbone through pruning, and write into the row what was found.

    Args:
        job: the backbone, and where to write.
        stage: is told what is done next.

    Raises:
        SlimError: a step refuses, or its result is wrong.
    """
    row, dense = job.row, build(job)
    options = {"name": "fpgm", "pruned_ratio": RATIO, "input_shape": [3, dense.native_size, dense.native_size]}
    yaml = job.configuration({"prune": options}, dense.size, dense.loss)
    stage("analysis")
    section = PruneConfig.model_validate(options)
    start = time.process_time()
    analysis = analyse_model(dense.model, section, [])
    plan = plan_from(analysis, dense.model, section, "cpu")
    row.analysis_seconds = time.process_time() - start
    row.flops, row.flops_removed = plan.flops["dense"], plan.pruned_flops
    row.frozen_share, row.frozen = _frozen(dense.model, analysis.grouping, plan)
    stage("proof")
    _check(row, dense.model, analysis.grouping, plan, setup.digits_as_images(setup.with_keys(yaml), 2))
    weights = str(dense.weights)
    del dense, analysis
    gc.collect()

    stage("compress")
    engine = SlimEngine(setup.with_keys(yaml, pretrained_model=weights), "train")
    stage("train")
    engine.train()
    if engine.plan is None or engine.plan.slices != plan.slices:
        raise SlimError("training made another plan of the same weights")
    stage("checkpoint")
    reread = reread_from_checkpoint(engine, yaml)
    stage("export")
    reread.export_without_comparison()
    stage("parity")
    images = setup.digits_as_images(reread.config, setup.EVALUATED)
    row.parity = max(export_errors(logits(reread.model, images), job.folder / "inference", images))
    if not row.parity <= FLOAT_EXPORT:
        raise SlimError(f"the exported model's logits differ from the trained model's by {row.parity:.1e}")


def _frozen(model: paddle.nn.Layer, grouping: Grouping, plan: Plan) -> tuple[float, str]:
    """Share of the filters that are in no group, and the reasons; also FLOPs that are not in filters."""
    layers = {name: layer for name, layer in model.named_sublayers() if isinstance(layer, paddle.nn.Conv2D)}
    filters = {name: int(layer.weight.shape[0]) for name, layer in layers.items()}
    frozen = {name: reason for name, reason in grouping.frozen.items() if name in filters}
    share = sum(filters[name] for name in frozen) / max(sum(filters.values()), 1)
    reasons = [f"{count} x {reason}" for reason, count in Counter(frozen.values()).most_common()]
    unreached = plan.flops["unreached"] / plan.flops["dense"]
    if unreached >= WORTH_SAYING:
        reasons.append(f"{100 * unreached:.0f} % of the FLOPs in linear layers of attention and MLPs")
    return share, "; ".join(reasons)


def _check(row: MatrixRow, model: paddle.nn.Layer, grouping: Grouping, plan: Plan, digits: np.ndarray) -> None:
    """Compare the pruned network with the dense one whose channels are masked, on noise and on images."""
    removal = [sorted(set(range(one.prunable_channels)) - set(one.kept)) for one in plan.decisions]
    noise = np.random.default_rng(0).standard_normal(digits.shape).astype(np.float32)
    found = [check_equivalence(model, grouping, removal, images) for images in (noise, digits)]
    row.proof_random, row.proof_real = (check.error for check in found)
    row.proof_effect = min(check.effect for check in found)
    for check, source in zip(found, ("noise", "digits")):
        if not check.error <= EQUIVALENCE:
            raise SlimError(
                f"the pruned model is not the dense one with those channels masked: {check.error:.1e} on {source}"
            )
        if not check.effect > MASK_EFFECT * check.error:
            raise SlimError(
                f"the equivalence check on {source} shows nothing: masking changes {check.effect:.1e}, "
                f"rounding {check.error:.1e}"
            )
