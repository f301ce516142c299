"""Where PaddleSlim finds groups, ours are the same: one root weight each, and the same parameters shrink.

PaddleSlim's collections list results of operations beside parameters; those are left out here.
"""

from __future__ import annotations

import sys

import pytest

from ppcls_slim.compat.legacy_program import legacy_ir
from ppcls_slim.compat.paddleslim import load_paddleslim
from ppcls_slim.prune.dependency import analyse

SHAPE = [3, 64, 64]
TO_OURS_ALONE = {"MobileNetV3_small_x0_35": {"last_conv.weight"}}
"""Root weights that PaddleSlim leaves out: it does not follow the channels through dropout and flatten."""


@pytest.fixture(scope="module")
def backbones(ppcls_root):
    """``ppcls.arch.backbone``, without its logger asking to be set up."""
    sys.path.insert(0, str(ppcls_root))
    from ppcls.utils import logger

    logger.init_logger()
    from ppcls.arch import backbone

    return backbone


@pytest.mark.parametrize("name", ["ResNet18_vd", "MobileNetV1_x0_25", "MobileNetV3_small_x0_35"])
def test_groups_are_those_of_paddleslim(name, backbones):
    load_paddleslim()
    from paddleslim.dygraph.prune.var_group import DygraphPruningCollections

    model = getattr(backbones, name)()
    names = {tensor.name: name for name, tensor in model.state_dict().items()}
    try:
        with legacy_ir():
            collections = DygraphPruningCollections(model, [1, *SHAPE], skip_leaves=True)
    except TypeError as error:  # Paddle 3 does not record operations such as multiply in the legacy IR
        pytest.skip(f"PaddleSlim does not work here: {error}")
    theirs = {
        names[collection.master_name]: {
            (names[detail.name], detail.axis) for detail in collection.all_pruning_details() if detail.name in names
        }
        for collection in collections
    }
    ours = {
        group.root_weights[0]: {(member.param, member.axis) for member in group.members}
        for group in analyse(model, SHAPE).groups
    }
    for root_weight in TO_OURS_ALONE.get(name, set()):
        assert root_weight not in theirs
        ours.pop(root_weight)
    assert ours == theirs
    assert len(ours) > 10
