"""The same filters are chosen as PaddleSlim chooses, for any weights."""

from __future__ import annotations

import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppcls_slim.compat.paddleslim import load_paddleslim
from ppcls_slim.prune import importance
from ppcls_slim.prune.importance.selection import channels_to_prune, count_to_prune

PRUNERS = {"fpgm": "FPGMFilterPruner", "l1_norm": "L1NormFilterPruner", "l2_norm": "L2NormFilterPruner"}


def paddleslim_mask(name: str, weight: np.ndarray, ratio: float, groups: int = 1) -> np.ndarray:
    """PaddleSlim's own ``cal_mask`` for one weight: int ``[out_c]``, 0 where a filter goes."""
    pruner = object.__new__(getattr(load_paddleslim().dygraph, PRUNERS[name]))
    detail = types.SimpleNamespace(axis=1, op=types.SimpleNamespace(attr=lambda _: groups))
    collection = types.SimpleNamespace(
        master_name="w",
        master_axis=0,
        values={"w": weight},
        all_pruning_details=lambda: [detail] if groups > 1 else [],
    )
    return pruner.cal_mask(ratio, collection)


def our_mask(name: str, weight: np.ndarray, ratio: float, groups: int = 1) -> np.ndarray:
    channel_index = np.repeat(np.arange(groups), len(weight) // groups) if groups > 1 else np.arange(len(weight))
    channels = groups if groups > 1 else len(weight)
    count = min(count_to_prune(channels, ratio), channels - 1)
    gone = channels_to_prune(importance.get(name), weight, channel_index, count)
    return (~np.isin(channel_index, gone)).astype(int)


def awkward_weights(seed: int, filters: int, kind: str) -> np.ndarray:
    random = np.random.default_rng(seed)
    weight = random.standard_normal((filters, 3, 3, 3)).astype(np.float32)
    if kind == "duplicates":
        weight = weight[random.integers(0, max(1, filters // 3), filters)]
    elif kind == "zeros":
        weight[random.random(filters) < 0.5] = 0
    elif kind == "all equal":
        weight[:] = weight[0]
    elif kind == "huge":
        weight *= np.float32(1e18)
    elif kind == "tiny":
        weight *= np.float32(1e-22)
    elif kind == "far away":
        weight = weight * np.float32(1e-5) + np.float32(100)
    elif kind == "float16 values":
        weight = weight.astype(np.float16).astype(np.float32)
    elif kind == "one giant":
        weight[0] *= np.float32(1e8)
    elif kind == "small integers":
        weight = np.round(weight)
    return weight


KINDS = [
    "random", "duplicates", "zeros", "all equal", "huge", "tiny", "far away", "float16 values", "one giant",
    "small integers",
]  # fmt: skip


@pytest.mark.paddle26
@pytest.mark.parametrize("name", PRUNERS)
@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    filters=st.integers(1, 70),
    kind=st.sampled_from(KINDS),
    ratio=st.floats(0.0, 0.99),
)
def test_same_filters_as_paddleslim(name, seed, filters, kind, ratio):
    weight = awkward_weights(seed, filters, kind)
    np.testing.assert_array_equal(our_mask(name, weight, ratio), paddleslim_mask(name, weight, ratio))


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("groups", [2, 4, 8])
def test_same_blocks_as_paddleslim_in_front_of_a_grouped_convolution(name, groups):
    weight = awkward_weights(groups, 32, "random")
    np.testing.assert_array_equal(our_mask(name, weight, 0.5, groups), paddleslim_mask(name, weight, 0.5, groups))


@pytest.mark.paddle26
def test_same_filters_as_paddleslim_in_a_wide_layer():
    weight = (np.random.default_rng(1).standard_normal((512, 256, 1, 1)) * 0.02).astype(np.float32)
    np.testing.assert_array_equal(our_mask("fpgm", weight, 0.3), paddleslim_mask("fpgm", weight, 0.3))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), filters=st.integers(2, 60), kind=st.sampled_from(KINDS))
def test_margins_of_the_fast_scores_hold(seed, filters, kind):
    weight = awkward_weights(seed, filters, kind)
    fpgm = importance.get("fpgm")
    bounds = fpgm.bounds(weight)
    if bounds is None:
        assert kind in {"huge", "tiny", "zeros", "small integers"}  # nothing can be said about these
        return
    estimate, margin = bounds
    assert (np.abs(fpgm.score(weight, None).astype(np.float64) - estimate) <= margin).all()


def test_fast_scores_decide_nearly_everything():
    """What makes it fast: the slow arithmetic runs for the few filters at the boundary only."""
    weight = np.random.default_rng(0).standard_normal((256, 64, 3, 3)).astype(np.float32)
    fpgm, asked = importance.get("fpgm"), []

    def counting(w, rows):
        asked.append(len(w) if rows is None else len(rows))
        return fpgm.score(w, rows)

    channels_to_prune(importance.Criterion("counting", counting, fpgm.bounds), weight, np.arange(256), 77)
    assert sum(asked) < 20


@pytest.mark.parametrize(
    ("channels", "ratio", "align", "pruned"),
    [
        (64, 0.3, 1, 19),  # round(19.2)
        (64, 0.3, 8, 16),  # 44.8 kept -> 48
        (64, 0.3, 16, 16),
        (16, 0.9, 8, 8),  # never less than one multiple
        (8, 0.3, 16, 0),  # narrower than a multiple: left alone
        (10, 0.25, 1, 2),  # Python rounds 2.5 to 2, as PaddleSlim's int(round(...))
        (4, 0.99, 1, 4),  # nothing left: the caller refuses
    ],
)
def test_how_many_channels_a_ratio_removes(channels, ratio, align, pruned):
    assert count_to_prune(channels, ratio, align) == pruned


def test_alignment_rounds_as_paddleslim():
    pruner = object.__new__(load_paddleslim().dygraph.FPGMFilterPruner)
    for channels in (16, 24, 64, 100, 256):
        pruner._var_shapes = {"w": [channels, 3, 3, 3]}
        for ratio in (0.1, 0.3, 0.5, 0.7, 0.9):
            theirs = pruner._round_to({"w": ratio}, factor=8)["w"]
            assert count_to_prune(channels, ratio, 8) == round(channels * theirs)
