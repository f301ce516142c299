"""Global ranking under a budget."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from small_models import backbone, two_convolutions

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import ImportanceConfig, PruneConfig
from ppcls_slim.prune.analysis import analyse_model
from ppcls_slim.prune.budget import budget_of
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.pruner import prune
from ppcls_slim.prune.ranking import candidate, rank
from ppcls_slim.prune.slices import param_slices
from ppcls_slim.report.tables import plan_table

pytestmark = pytest.mark.paddle26

SHAPE = [3, 12, 12]


def chain():
    paddle.seed(1)
    layers = []
    for before, after in ((3, 6), (6, 8), (8, 5)):
        layers += [paddle.nn.Conv2D(before, after, 3, padding=1), paddle.nn.BatchNorm2D(after), paddle.nn.ReLU()]
    return paddle.nn.Sequential(*layers, paddle.nn.AdaptiveAvgPool2D(1), paddle.nn.Flatten(), paddle.nn.Linear(5, 3))


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
@pytest.mark.parametrize("key", ["pruned_flops", "pruned_parameters"])
def test_the_search_is_close_to_exhaustive_search(share, key):
    model, rng = chain(), np.random.default_rng(7)
    config = PruneConfig(name="taylor", align=1, **{key: share})
    analysis = analyse_model(model, config, SHAPE)
    budget = budget_of(config, analysis, model)
    channels = [group.prunable_channels for group in analysis.groups]
    scores = [rng.exponential(size=count) for count in channels]
    candidates = [candidate(group, values, 0.0, 1) for group, values in zip(analysis.groups, scores)]
    ranked = rank(candidates, channels, budget.of_widths, budget.cost)
    assert ranked.cost <= budget.cost

    def lost(widths):
        return sum(one.lost[count - width] for one, count, width in zip(candidates, channels, widths))

    best = min(
        lost(widths)
        for widths in itertools.product(*(range(1, count + 1) for count in channels))
        if budget.of_widths.total(widths) <= budget.cost
    )
    found = lost([int(mask.sum()) for mask in ranked.kept])
    # Greedy may overshoot by its last step, which is the dearest that it takes.
    last = max(np.diff(one.lost[: count - int(mask.sum()) + 1]).max(initial=0.0)
               for one, count, mask in zip(candidates, channels, ranked.kept))  # fmt: skip
    assert best <= found <= best + last


def test_costs_by_width_are_the_costs_of_the_shapes():
    model = backbone("MobileNetV3_small_x0_35")
    for key in ("pruned_flops", "pruned_parameters"):
        config = PruneConfig(name="l1_norm", **{key: 0.3})
        analysis = analyse_model(model, config, [3, 64, 64])
        budget = budget_of(config, analysis, model)
        rng = np.random.default_rng(0)
        kept = [np.arange(g.prunable_channels) < rng.integers(1, g.prunable_channels + 1) for g in analysis.groups]
        shapes = {n: piece.kept_shape() for n, piece in param_slices(analysis.groups, kept, analysis.shapes).items()}
        total = budget.of_widths.total([int(mask.sum()) for mask in kept])
        assert total == pytest.approx(budget.of_shapes(shapes), rel=1e-9)


def test_the_budget_is_met_and_the_pruned_model_runs():
    model = backbone("ResNet18")
    section = PruneConfig(name="bn_scale", pruned_parameters=0.5, ranking="global", keep_at_least=0.2)
    for parameter in (p for n, p in model.named_parameters() if n.endswith("_batch_norm.weight")):
        parameter.set_value(paddle.uniform(parameter.shape, min=0.1, max=1.0))
    plan = make_plan(model, section, [3, 64, 64])
    removed = 1 - plan.parameters["pruned"] / plan.parameters["dense"]
    assert 0.5 <= removed < 0.51
    assert all(len(d.kept) >= 0.2 * d.prunable_channels for d in plan.decisions)
    prune(model, plan)


def test_a_budget_out_of_reach_says_how_far_it_goes():
    with pytest.raises(SlimError, match=r"pruned_flops 0\.98 cannot be reached: .* removes 0\.\d+ of the FLOPs"):
        make_plan(two_convolutions(), PruneConfig(name="l1_norm", pruned_flops=0.98, ranking="global"), [3, 10, 10])


@pytest.mark.parametrize("name", ["l1_norm", "fpgm"])
def test_no_layer_is_emptied_because_it_is_expensive(name):
    """Norms say nothing about other layers; what counts is the share of its importance that a layer loses."""
    plan = make_plan(
        backbone("ResNet18"),
        PruneConfig(name=name, pruned_flops=0.4, ranking="global", keep_at_least=0.0),
        [3, 64, 64],
    )
    shares = [1 - len(d.kept) / d.prunable_channels for d in plan.decisions]
    assert max(shares) < 0.5 and min(shares) > 0.02


def test_the_table_of_a_plan_fits_a_terminal_and_says_what_each_layer_costs():
    plan = make_plan(backbone("MobileNetV3_small_x0_35"), PruneConfig(name="bn_scale", pruned_flops=0.3), [3, 64, 64])
    lines = plan_table(plan).splitlines()
    assert max(map(len, lines[: len(plan.decisions) + 4])) <= 120
    assert "FLOPs" in lines[1] and "importance lost" in lines[4]
    dense = sum(d.flops[0] for d in plan.decisions)
    assert sum(d.flops[1] for d in plan.decisions) < dense <= plan.flops["dense"]
    assert plan.from_json(plan.to_json()) == plan


def test_isomorphic_ranking_removes_the_same_share_of_every_kind():
    model = backbone("ResNet18")
    section = PruneConfig(name="l2_norm", pruned_flops=0.5, ranking="isomorphic", keep_at_least=0.0)
    plan = make_plan(model, section, [3, 64, 64])
    assert 0.5 <= plan.pruned_flops < 0.51
    inner = [d for d in plan.decisions if len(d.layers) == 1 and "conv0" in d.layers[0]]
    streams = [d for d in plan.decisions if d not in inner]
    shares = [
        1 - sum(len(d.kept) for d in kind) / sum(d.prunable_channels for d in kind) for kind in (inner, streams)
    ]
    assert abs(shares[0] - shares[1]) < 0.25


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"pruned_ratio": 0.5, "ranking": "global"}, "ranking: global needs a budget instead of ratios"),
        ({"pruned_flops": 0.5, "pruned_parameters": 0.5}, "pruned_flops and pruned_parameters are two budgets"),
        ({"pruned_flops": 0.5, "ranking": "global", "sensitivity_file": "s"}, "remove ranking global, or the file"),
        (
            {"pruned_ratio": 0.5, "norm_ratio": 0.1, "importance": ImportanceConfig(aggregation="sum")},
            "remove importance.aggregation",
        ),
        ({"pruned_parameters": 0.5, "pruned_ratio": 0.5}, "remove pruned_ratio and ratios, or pruned_parameters"),
    ],
)
def test_keys_that_do_not_go_together(keys, message):
    with pytest.raises(ValueError, match=message):
        PruneConfig(**keys)
