"""``ppcls_slim.verify``: is the compressed, exported network the right one?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union, overload

import numpy as np

from ..common.errors import SlimError, naming
from ..compat.paddle import paddle
from ..config.prune import PruneConfig
from ..deploy.benchmark import input_shape
from ..deploy.target import target_of
from ..graph.eval_mode import eval_mode
from ..prune import plan as plans
from ..prune.analysis import analyse_model
from ..prune.slices import plan_slices
from ..verify import export_parity
from ..verify.accuracy import logits_of
from ..verify.equivalence import Equivalence, check_equivalence
from ..verify.int8 import run_all
from .batches import Data, batches_of, check_network, device, noise
from .compression import compression_of, copy_of

SAMPLES = 1000
"""Inputs that an export is compared on, at most."""


@dataclass(frozen=True)
class ExportAgreement:
    """How an export agrees with its network.

    Attributes:
        samples: how many inputs were compared.
        source: where they came from, in words.
        same_top1: share of inputs with the same largest output.
        largest: largest difference, relative to the largest output of the network.
        top1: accuracy of the network and of the export, shares; None without labels.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.Flatten(), paddle.nn.Linear(144, 2))
        >>> folder = ppcls_slim.export(net, "exported", example=[3, 8, 8]).folders["paddle"]
        >>> ppcls_slim.verify(net, folder).same_top1
        1.0
    """

    samples: int
    source: str
    same_top1: float
    largest: float
    top1: Optional[tuple[float, float]] = None


@overload
def verify(model: paddle.nn.Layer, against: Union[str, Path], data: Optional[Data] = None) -> ExportAgreement: ...


@overload
def verify(model: paddle.nn.Layer, against: Optional[plans.Plan] = None) -> Equivalence: ...


def verify(
    model: paddle.nn.Layer,
    against: Union[plans.Plan, str, Path, None] = None,
    data: Optional[Data] = None,
) -> Union[Equivalence, ExportAgreement]:
    """Measure whether removing channels, or exporting, changed what a network computes.

    Of a pruned network: that without the channels of its plan it computes what it computes with them silenced (with
    random weights that hide nothing; the network itself is not changed). Of an export: how it agrees with the
    network.

    Args:
        model: pruned by :func:`~ppcls_slim.prune`; dense, beside a plan; or any, beside the folder of its export.
        against: nothing for a pruned network, the plan for a dense one, or the folder of an export.
        data: batches to compare an export on: images, or ``(images, labels)``; noise if absent.

    Returns:
        ``error`` and ``effect`` of the channels, relative to the largest output (float32 leaves some 1e-6 of error);
        or the agreement of the export.

    Raises:
        SlimError: there is nothing to compare, or the plan or export belongs to another network.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.vision.models.LeNet()
        >>> found = ppcls_slim.verify(net, ppcls_slim.plan(net, [1, 28, 28], pruned_ratio=0.5))
        >>> found.error < 1e-5 < found.effect
        True
    """
    check_network(model, "verify")
    if isinstance(against, (str, Path)):
        return _agreement(model, Path(against), data)
    if data is not None:
        raise SlimError("verify: data is for an export: give its folder, too")
    compression = compression_of(model)
    plan = compression.plan if against is None else against
    if not isinstance(plan, plans.Plan):
        raise SlimError("verify: the network is not pruned: give a plan, or the folder of an export")
    return _equivalence(compression.dense if compression.dense is not None else model, plan)


def _equivalence(dense: paddle.nn.Layer, plan: plans.Plan) -> Equivalence:
    section = PruneConfig.model_validate(plan.settings)
    plans.check_fits(plan, dense)
    grouping = analyse_model(dense, section, plan.input_shape).grouping
    kept = [np.isin(np.arange(one.prunable_channels), one.kept) for one in plan.decisions]
    found = [(group.root_weights[0], group.prunable_channels) for group in grouping.groups]
    planned = [(one.root_weight, one.prunable_channels) for one in plan.decisions]
    if found != planned or plan_slices(dense, grouping.groups, kept) != plan.slices:
        raise SlimError("verify: this version finds other groups of channels than the plan has: make the plan again")
    removal = [np.flatnonzero(~one).tolist() for one in kept]
    images = np.random.default_rng(0).standard_normal([2, *plan.input_shape]).astype(np.float32)
    return check_equivalence(copy_of(dense), grouping, removal, images)


def _agreement(model: paddle.nn.Layer, folder: Path, data: Optional[Data]) -> ExportAgreement:
    batches = batches_of(data, "verify")
    with naming("verify"):
        shape, run = input_shape(folder), target_of(folder).load(folder, device())
    samples = batches.samples() if batches is not None else noise(shape)
    if tuple(samples.images.shape[1:]) != shape:
        given = list(samples.images.shape[1:])
        raise SlimError(f"verify: data gives images of {given}, and {folder} is for {list(shape)}")

    def network(images: np.ndarray) -> np.ndarray:
        outputs: np.ndarray = logits_of(model(paddle.to_tensor(images))).numpy()
        return outputs

    with eval_mode(model):
        outputs, labels = run_all({"model": network, "export": run}, samples.images, batches, SAMPLES)
    expected, found = outputs["model"], outputs["export"]
    parity = export_parity.compare(expected, found, samples.source)
    top1 = None
    if labels is not None:
        top1 = (float((expected.argmax(1) == labels).mean()), float((found.argmax(1) == labels).mean()))
    return ExportAgreement(parity.samples, parity.source, parity.same_top1, parity.largest, top1)
