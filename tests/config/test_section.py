"""The Slim section: what is accepted, and what a mistake gets told."""

from __future__ import annotations

import json

import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.config.section import json_schema, read_section


def prune_section(**keys):
    return {"Slim": {"prune": keys}}


def test_upstreams_two_keys_are_enough():
    section = read_section(prune_section(name="fpgm", pruned_ratio=0.3)).prune
    assert (section.name, section.pruned_ratio, section.align, section.skip_leaves) == ("fpgm", 0.3, "auto", True)


def test_method_names_are_not_case_sensitive_as_upstream():
    assert read_section(prune_section(name="FPGM", pruned_ratio=0.3)).prune.name == "fpgm"


@pytest.mark.parametrize(
    "config", [{}, {"Slim": None}, {"Slim": {}}, {"Slim": {"prune": None}}, {"Slim": {"prune": False}}]
)
def test_no_section_means_a_dense_model(config):
    section = read_section(config)
    assert section is None


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (prune_section(name="fpgm", pruned_rato=0.3), ["Slim.prune.pruned_rato", "'pruned_ratio'"]),
        (prune_section(name="fgpm", pruned_ratio=0.3), ["'fgpm'", "'fpgm'"]),
        (prune_section(name="fpgm", pruned_ratio=1.0), ["Slim.prune.pruned_ratio", "1.0", "less than 1"]),
        (prune_section(name="fpgm", pruned_ratio=-0.1), ["Slim.prune.pruned_ratio", "-0.1"]),
        (prune_section(name="fpgm", pruned_ratio="a third"), ["Slim.prune.pruned_ratio", "a third"]),
        (prune_section(name="fpgm", ratios={"conv1": 1.5}), ["Slim.prune.ratios", "conv1", "1.5"]),
        (prune_section(name="fpgm"), ["Slim.prune", "pruned_ratio"]),
        (prune_section(name="fpgm", pruned_ratio=0.0), ["nothing would be pruned"]),
        (prune_section(name="fpgm", pruned_ratio=0.3, pruned_flops=0.5), ["pruned_flops", "remove"]),
        (
            prune_section(name="fpgm", pruned_ratio=0.3, sensitivity_file="s.json"),
            ["sensitivity_file", "pruned_flops"],
        ),
        (prune_section(name="fpgm", pruned_ratio=0.3, align=0), ["Slim.prune.align", "0"]),
        (prune_section(name="fpgm", pruned_ratio=0.3, align="automatic"), ["Slim.prune.align", "automatic"]),
        (prune_section(name="fpgm", pruned_ratio=0.3, input_shape=[224, 224]), ["[C, H, W]"]),
        ({"Slim": {"prun": {"name": "fpgm"}}}, ["Slim.prun", "'prune'"]),
        ({"Slim": "fpgm"}, ["Slim", "fpgm"]),
        ({"slim": {"prune": {"name": "fpgm", "pruned_ratio": 0.3}}}, ["'slim'", "'Slim'"]),
    ],
)
def test_a_mistake_is_one_line_with_the_key_and_the_remedy(config, words):
    with pytest.raises(SlimError) as error:
        read_section(config)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_schema_lists_every_key_with_a_description():
    schema = json_schema()
    json.dumps(schema)
    keys = schema["$defs"]["PruneConfig"]["properties"]
    assert {"name", "pruned_ratio", "ratios", "skip", "pruned_flops", "sensitivity_file", "align"} <= set(keys)
    assert all("description" in key for key in keys.values())
