"""``ppcls_slim.prune``: remove the channels of a plan."""

from __future__ import annotations

from typing import Optional

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger
from ..config.prune import PruneConfig
from ..prune import plan as plans
from ..prune import pruner
from ..prune.reestimate_bn import reestimate_bn
from .batches import Data, batches_of, check_network, feed
from .compression import Compression, check_dense, copy_of, keep


def prune(model: paddle.nn.Layer, plan: plans.Plan, data: Optional[Data] = None) -> paddle.nn.Layer:
    """Remove the channels that a plan does not keep, in place.

    Parameters stay the same objects with smaller shapes; make the optimizer afterwards. A copy of the dense network
    stays with the model, for :func:`~ppcls_slim.export` and :func:`~ppcls_slim.verify`.

    Args:
        model: dense, and the network that the plan was made for.
        plan: of :func:`~ppcls_slim.plan`.
        data: batches on which batch normalizations estimate their running mean and variance anew
            (``Slim.prune.bn_batches`` of them); without data they stay as they are.

    Returns:
        The model.

    Raises:
        SlimError: the plan was made for another network; the model is not changed then.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.vision.models.LeNet()
        >>> net = ppcls_slim.prune(net, ppcls_slim.plan(net, [1, 28, 28], pruned_ratio=0.5))
        >>> list(net.features[0].weight.shape)
        [3, 1, 3, 3]
    """
    check_network(model, "prune")
    if not isinstance(plan, plans.Plan):
        raise SlimError(f"prune: plan is a {type(plan).__name__}: give what ppcls_slim.plan or Plan.load returned")
    check_dense(model, "prune")
    batches = batches_of(data, "prune")
    dense = copy_of(model)
    pruner.prune(model, plan)
    keep(model, Compression(dense, plan, None, tuple(plan.input_shape)))
    if batches is not None:
        seen = reestimate_bn(model, batches, feed, PruneConfig.model_validate(plan.settings).bn_batches)
        logger.info(f"ppcls_slim: running statistics of batch normalization estimated anew on {seen} batches")
    return model
