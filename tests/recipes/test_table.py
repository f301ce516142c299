"""The table of recipes: every figure comes from a file of the repository, and every backbone has a row."""

from __future__ import annotations

import itertools

import pytest
from benchmarks.recipes import HEADINGS, as_csv, make_rows, with_table

from conftest import ROOT
from ppcls_slim.cli.parser import ENGINES as ENGINE_CHOICES
from ppcls_slim.cli.parser import GOALS as GOAL_CHOICES
from ppcls_slim.config.deploy import target_names
from ppcls_slim.recipes.table import FOLDER, GOALS, engines, family_of, find_engine, find_recipe, recipes


def test_the_table_is_what_was_measured():
    assert (FOLDER / "recipes.csv").read_text() == as_csv(make_rows()), "run python -m benchmarks.recipes"


@pytest.mark.parametrize("page", HEADINGS)
def test_the_pages_show_it(page):
    assert (ROOT / page).read_text(encoding="utf-8") == with_table(page, recipes()), (
        "run python -m benchmarks.recipes"
    )


def test_every_figure_has_a_source_that_is_there():
    for row in recipes():
        figures = (row.pruned_times, row.int8_times, row.bf16_times, row.both_times, row.flops_removed, row.smaller)
        assert bool(row.source) or not any(figures), row
        assert row.source or row.note, row
        for source in row.source.split():
            assert (ROOT / source).is_file(), source


@pytest.mark.parametrize(
    ("backbone", "family"),
    [
        ("ResNet50_vd", "resnet"),
        ("ResNeXt101_32x8d_wsl", "resnext_wsl"),
        ("MobileNetV3_small_x0_35", "mobilenet_v3_small"),
        ("PPLCNetV2_base", "pp_lcnet_v2"),
        ("PPLCNet_x1_0", "pp_lcnet"),
        ("EfficientNetV2_S", "efficientnet_v2"),
        ("Xception41_deeplab", "xception_deeplab"),
        ("MobileNetV4_hybrid_large", "default"),
        ("MyNet", "default"),
    ],
)
def test_backbones_belong_to_families(backbone, family):
    assert family_of(backbone) == family


def test_every_family_has_a_recipe_for_every_goal_and_engine():
    families = {row.family for row in recipes()}
    for family, goal, engine in itertools.product(families, GOALS, (None, *engines())):
        row = find_recipe(family, goal, engine)
        assert (row.family, row.goal) == (family, goal)
        assert row.engine in (engine, "*") or engine is None


def test_without_an_engine_it_is_the_fastest():
    assert find_recipe("mobilenet_v3_small", "fast", None).engine == "onnx"
    assert find_recipe("resnet", "fast", None).engine == "openvino"


def test_the_command_line_lists_the_same_goals_and_engines():
    assert GOAL_CHOICES == GOALS
    assert tuple(engines()) == ENGINE_CHOICES
    assert {find_engine(name).target for name in engines()} <= set(target_names())
