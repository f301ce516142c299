"""The published JSON Schema and the loader refuse the same sections."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ppcls_slim.common.errors import SlimError
from ppcls_slim.config.section import json_schema, read_section

SCHEMA = json.loads(json.dumps(json_schema()))
VALIDATOR = Draft202012Validator(SCHEMA)
NOT_IN_A_SCHEMA = "cannot be more than it"  # norm_ratio against the lowest ratio: a comparison of two keys

ANYTHING = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        8.0,
        0.5,
        1.5,
        -0.0,
        10**30,
        1e300,
        "",
        "auto",
        "0.3",
        "pact",
        [],
        [1],
        {},
        {"a": 1},
    ]
)
RATIO = st.sampled_from([0, 0.0, 0.1, 0.3, 0.9, 1, 1.0, 1.5, -0.1])
COUNT = st.sampled_from([0, 1, 1.0, 2, 8, 8.5, 16, 17, -3, 10**9, 10**10])
NAMES = st.lists(st.sampled_from(["conv1", "blocks.*", 3, None]), max_size=2)
OWN_CLASS = st.sampled_from([None, "my.Layer", "Layer", "a.b.", "..", "a b.c", "a.b\n"])
PRUNE = {
    "name": st.sampled_from(["fpgm", "FPGM", "fpgn", "l1_norm", "L2_norm", "taylor", ""]),
    "pruned_ratio": RATIO,
    "ratios": st.dictionaries(st.sampled_from(["a", "b.*"]), RATIO, max_size=2),
    "skip": NAMES,
    "norm_ratio": RATIO,
    "schedule": st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["soft", "masked", "hard"]),
            "layers": st.sampled_from(["groups", "convolutions", "x"]),
        },
    ),
    "pruned_flops": RATIO,
    "pruned_parameters": RATIO,
    "speedup": st.sampled_from([1, 1.0, 1.5, 2, 1000, 1001, 0, -2, None, "2"]),
    "latency_ms": st.sampled_from([0, 0.5, 8, -1, None, "8"]),
    "on": st.fixed_dictionaries(
        {},
        optional={
            "engine": st.sampled_from(["openvino", "onnx", "paddle", "openvin", "OpenVINO", None]),
            "threads": COUNT,
            "batch": COUNT,
        },
    )
    | st.none(),
    "importance": st.fixed_dictionaries(
        {},
        optional={
            "aggregation": st.sampled_from(["root", "sum", "max", "x", None]),
            "normalization": st.sampled_from(["none", "mean", "x", None]),
            "batches": COUNT,
        },
    ),
    "ranking": st.sampled_from(["layer", "global", "isomorphic", "local", None]),
    "keep_at_least": RATIO,
    "steps": st.sampled_from([0, 1, 1.0, 2, 4, 4.0, "2", None]),
    "per_cost": st.booleans(),
    "sensitivity_file": st.sampled_from(["s.json", None, 3]),
    "bn_batches": COUNT,
    "align": st.sampled_from(["auto", 0, 1, 1.0, 8, "8", "x", -4, True]),
    "skip_leaves": st.booleans(),
    "input_shape": st.sampled_from([[3, 32, 32], [3, 32], [3, 0, 32], [3, 32.0, 32], [3, 10**9, 32], [], None]),
    "input_dtype": st.sampled_from(["float32", "float64", "float33", ""]),
}
QUANT = {
    "name": st.sampled_from(["pact", "PACT", "qat", "Qat", "lsq", "LSQ", "pakt"]),
    "weight_preprocess_type": st.sampled_from(["PACT", None, "pact"]),
    "activation_preprocess_type": st.sampled_from(["PACT", None, "pact"]),
    "weight_quantize_type": st.sampled_from(["abs_max", "channel_wise_abs_max", "range_abs_max"]),
    "activation_quantize_type": st.sampled_from(["moving_average_abs_max", "abs_max"]),
    "weight_bits": COUNT,
    "activation_bits": COUNT,
    "dtype": st.sampled_from(["int8", "int4"]),
    "window_size": COUNT,
    "moving_rate": RATIO,
    "quantizable_layer_type": st.lists(st.sampled_from(["Conv2D", "Linear", "ReLU"]), max_size=2),
    "fuse_conv_bn": st.booleans(),
    "onnx_format": st.booleans(),
    "weight_preprocess": OWN_CLASS,
    "act_preprocess": OWN_CLASS,
    "weight_quantize": OWN_CLASS,
    "act_quantize": OWN_CLASS,
    "pact": st.fixed_dictionaries(
        {},
        optional={
            "form": st.sampled_from(["auto", "one_sided", "two_sided", "x"]),
            "alpha": st.sampled_from(["auto", 1, 2.0, 0, -1.0, "x", True, 1e300]),
            "learning_rate": RATIO,
            "weight_decay": RATIO,
        },
    ),
    "lsq": st.fixed_dictionaries(
        {},
        optional={
            "form": st.sampled_from(["auto", "signed", "unsigned"]),
            "init": st.sampled_from(["auto", "mean", "observer", "mse"]),
            "learning_rate": RATIO,
            "weight_decay": RATIO | st.none(),
        },
    ),
    "max_drop": RATIO,
    "skip": NAMES | st.sampled_from(["auto", ["auto"], "auto-speed", "auto-sped", ["auto-speed", "conv1"], "conv1"]),
    "calibration_batches": COUNT,
    "observer": st.sampled_from(["auto", "min_max", "moving_average", "mse", "kl", "percentile", "MSE", "ms"]),
    "equalize": st.booleans(),
    "bias_correction": st.booleans(),
    "percentile": st.sampled_from([0, 50, 50.1, 99.9, 100, 100.1, "99"]),
    "epochs": COUNT,
    "learning_rate": RATIO,
    "verify_samples": COUNT,
    "verify_threshold": RATIO,
}
WEIGHT = st.sampled_from([0, 0.5, 1, 1.0, 1.5, -0.1, 1e10, True, "1"])
DISTILL = {
    "teacher": st.sampled_from(["dense", "weights/ResNet50", "", 3, None]),
    "config": st.sampled_from([None, "teacher.yaml", "", 3]),
    "weight": WEIGHT,
    "temperature": st.sampled_from([0, 0.5, 4, 1000, 1001, -1.0, "4"]),
    "features": st.dictionaries(st.sampled_from(["a", "b.*"]), WEIGHT, max_size=2) | NAMES | st.just("a"),
}
REPORT = {"batch_sizes": st.lists(COUNT, max_size=2), "latency_runs": COUNT}


@st.composite
def parts(draw, keys, most=4):
    """A few of the keys, each with a value of its kind; now and then anything, under any key."""
    chosen = draw(st.lists(st.sampled_from(sorted(keys)), max_size=most, unique=True))
    part = {key: draw(keys[key]) for key in chosen}
    if draw(st.integers(0, 4)) == 0:
        part[draw(st.sampled_from([*sorted(keys), "nmae"]))] = draw(ANYTHING)
    return part


SECTION = st.fixed_dictionaries(
    {},
    optional={
        "prune": parts(PRUNE) | st.fixed_dictionaries({"pruned_ratio": st.just(0.5)}) | ANYTHING,
        "quant": parts(QUANT) | ANYTHING,
        "distill": parts(DISTILL) | ANYTHING,
        "report": parts(REPORT) | ANYTHING,
        "prun": st.just({}),
    },
)
CONFIG = st.dictionaries(
    st.sampled_from(
        ["Slim", "Slim", "Slim", "slim", "Slimm", "Slim ", "Silm", "lim", "Slam", "Global", "AMP", "Film"]
    ),
    SECTION | ANYTHING,
    max_size=2,
)


def refusal(config):
    try:
        read_section(config)
    except SlimError as error:
        return str(error)
    return None


def check(config):
    message, valid = refusal(config), VALIDATOR.is_valid(config)
    if message is None:
        assert valid, [error.message for error in VALIDATOR.iter_errors(config)]
    elif NOT_IN_A_SCHEMA not in message:
        assert not valid, message
    assert message is None or "\n" not in message


@settings(max_examples=400, deadline=None)
@given(CONFIG)
@example({"Slim": {"prune": {"pruned_ratio": None, "pruned_flops": 0.3, "sensitivity_file": "s"}}})
@example({"Slim": {"quant": {"act_quantize": "a.b", "pact": {"form": "one_sided"}}}})
@example({"Slim": {"quant": {"name": "lsq", "activation_preprocess_type": "PACT"}}})
@example({"Slim": {"quant": {"name": "LSQ", "weight_preprocess_type": None, "weight_bits": 16}}})
@example({"Slim": {"quant": {"name": "lsq", "onnx_format": False}}})
@example({"Slim": {"quant": {"name": "lsq", "observer": "mse", "lsq": {"init": "mean"}}}})
@example({"Slim": {"quant": {"name": "lsq", "observer": "mse", "activation_bits": 4, "lsq": {"init": "auto"}}}})
@example({"Slim": {"quant": {"name": "lsq", "observer": "mse", "activation_bits": 8.0, "lsq": {}}}})
@example({"Slim": {"quant": {"name": "lsq", "observer": "mse", "lsq": {"init": "observer"}}}})
def test_schema_and_loader_agree(config):
    check(config)


@settings(max_examples=200, deadline=None)
@given(parts(PRUNE, 5))
def test_schema_and_loader_agree_on_pruning(section):
    check({"Slim": {"prune": section}})


@settings(max_examples=200, deadline=None)
@given(parts(QUANT, 6))
def test_schema_and_loader_agree_on_quantization(section):
    check({"Slim": {"quant": section}})


@settings(max_examples=200, deadline=None)
@given(parts(DISTILL, 5))
def test_schema_and_loader_agree_on_distillation(section):
    check({"Slim": {"prune": {"pruned_ratio": 0.5}, "distill": section}})


@pytest.mark.parametrize(
    "config",
    [
        {"Slim": None},
        {"Slim": False},
        {"Slim": {}},
        {"Slim": {"prune": False, "quant": {"name": "pact"}}},
        {"Slim": {"report": True}},
        {"Slim": {"report": False, "quant": None}},
        {"Slim": {"quant": {}, "distill": {}}},
        {"Slim": {"prune": {"pruned_ratio": 0.3}, "distill": {"weight": 0, "features": ["blocks.*"]}}},
        {"Slim": {"quant": {}, "distill": {"teacher": "weights/big", "config": "big.yaml", "features": {"a": 0.5}}}},
        {"Slim": {"prune": {"name": "FPGM", "pruned_ratio": 0.3, "align": 8.0}}},
        {"Slim": {"prune": {"speedup": 2, "steps": 4}, "quant": {"epochs": 2}}},
        {"Global": {"anything": 1}},
    ],
)
def test_both_accept(config):
    assert refusal(config) is None
    assert VALIDATOR.is_valid(config)


@pytest.mark.parametrize(
    "config",
    [
        {"Slimm": {"quant": {}}},
        {"Slim ": {"quant": {}}},
        {"slim": {"quant": {}}},
        {"SLIMS": None},
        {"Slim": []},
        {"Slim": ""},
        {"Slim": 0},
        {"Slim": True},
        {"Slim": {"prune": True}},
        {"Slim": {"prune": {"name": "fpgn", "pruned_ratio": 0.3}}},
        {"Slim": {"prune": {"ratios": {"a": 2}}}},
        {"Slim": {"prune": {"pruned_ratio": 0.3, "align": 0}}},
        {"Slim": {"prune": {"pruned_ratio": 0.3, "steps": 2, "schedule": {"name": "soft"}}}},
        {"Slim": {"prune": {"pruned_ratio": 0.3, "steps": 2, "norm_ratio": 0.1}}},
        {"Slim": {"prune": {"pruned_flops": 0.3, "steps": 2, "sensitivity_file": "s.json"}}},
        {"Slim": {"prune": {"pruned_flops": 0.3, "steps": 2}, "quant": {}}},
        {"Slim": {"prune": {"pruned_ratio": "0.3"}}},
        {"Slim": {"prune": {"pruned_ratio": 0.3, "input_dtype": "float33"}}},
        {"Slim": {"prune": {"pruned_ratio": 0.3, "input_shape": [3, 10**12, 10**12]}}},
        {"Slim": {"quant": {"calibration_batches": 10**30}}},
        {"Slim": {"report": {"batch_sizes": [0]}}},
        {"Slim": {"quant": {}, "distill": {"weight": 1.5}}},
        {"Slim": {"quant": {}, "distill": {"weight": -0.1}}},
        {"Slim": {"quant": {}, "distill": {"weight": 0}}},
        {"Slim": {"quant": {}, "distill": {"temperature": 0}}},
        {"Slim": {"quant": {}, "distill": {"features": ["a", "a"]}}},
        {"Slim": {"quant": {}, "distill": True}},
    ],
)
def test_both_refuse(config):
    message = refusal(config)
    assert message is not None and "\n" not in message
    assert not VALIDATOR.is_valid(config)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value):
    for section in ({"prune": {"pruned_ratio": value}}, {"quant": {"pact": {"alpha": value}}}):
        assert refusal({"Slim": section}) is not None


def test_a_number_that_may_be_a_word_is_judged_as_a_number():
    message = refusal({"Slim": {"prune": {"pruned_ratio": 0.3, "align": 0}}})
    assert message == "Slim.prune.align is 0: input should be greater than or equal to 1"
