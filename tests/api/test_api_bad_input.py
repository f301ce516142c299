"""Mistakes in what the functions are given are one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from own_networks import SHAPE, batches, small

import ppcls_slim
from ppcls_slim import SlimError
from ppcls_slim.compat.paddle import paddle


def plan_of(width: int = 8):
    return ppcls_slim.plan(small(width), SHAPE, pruned_ratio=0.5)


def pruned():
    net = small()
    return ppcls_slim.prune(net, plan_of())


def quantized():
    return ppcls_slim.quantize(small(), batches())


def half():
    return small().to(dtype="float16")


def static():
    return paddle.jit.to_static(small(), input_spec=[paddle.static.InputSpec([None, *SHAPE])])


def uncopyable():
    net = small()
    net.computed = iter([open])
    net.file = (one for one in [])
    return net


MISTAKES = {
    "a misspelt key": (
        lambda: ppcls_slim.plan(small(), SHAPE, pruned_rato=0.5),
        "unknown key Slim.prune.prun",
    ),
    "a key out of range": (
        lambda: ppcls_slim.plan(small(), SHAPE, pruned_ratio=1.5),
        "pruned_ratio is 1.5",
    ),
    "nothing asked for": (lambda: ppcls_slim.plan(small(), SHAPE), "how much is to be pruned"),
    "a schedule": (
        lambda: ppcls_slim.plan(small(), SHAPE, {"pruned_ratio": 0.5, "schedule": {"name": "soft"}}),
        "Slim.prune.schedule zeroes filters while PaddleClas trains: remove it here",
    ),
    "steps": (
        lambda: ppcls_slim.plan(small(), SHAPE, pruned_ratio=0.5, steps=2),
        "Slim.prune.steps is several trainings of PaddleClas, with pruning before each: remove it here",
    ),
    "half precision": (
        lambda: ppcls_slim.plan(half(), SHAPE, pruned_ratio=0.5),
        r"plan: first.weight is float16: give the network in float32 \(model.to\(dtype='float32'\)\)",
    ),
    "half precision to quantize": (lambda: ppcls_slim.quantize(half(), batches()), "first.weight is float16"),
    "a static forward pass": (
        lambda: ppcls_slim.plan(static(), SHAPE, pruned_ratio=0.5),
        "plan: the network is under paddle.jit.to_static: give it before that",
    ),
    "settings that are no mapping": (lambda: ppcls_slim.plan(small(), SHAPE, 0.5), "settings is a float"),
    "no network": (lambda: ppcls_slim.plan("resnet18", SHAPE, pruned_ratio=0.5), "model is a str: give a paddle.nn"),
    "no shape": (lambda: ppcls_slim.plan(small(), "3x12x12", pruned_ratio=0.5), "'3x12x12' is not an input"),
    "data without labels": (
        lambda: ppcls_slim.plan(small(), SHAPE, name="taylor", pruned_flops=0.3, data=batches(labels=False)),
        "without labels",
    ),
    "a criterion without data": (
        lambda: ppcls_slim.plan(small(), SHAPE, name="taylor", pruned_flops=0.3),
        "taylor",
    ),
    "a plan of another network": (
        lambda: ppcls_slim.prune(small(12), plan_of()),
        r"first.weight is \[12, 3, 3, 3\] in the model and \[8, 3, 3, 3\] in the plan",
    ),
    "no plan": (lambda: ppcls_slim.prune(small(), "plan.json"), "plan is a str: give what ppcls_slim.plan"),
    "pruned twice": (lambda: ppcls_slim.prune(pruned(), plan_of()), "pruned already: give the dense one"),
    "pruned after quantizing": (lambda: ppcls_slim.prune(quantized(), plan_of()), "quantized already: prune first"),
    "a misspelt method": (lambda: ppcls_slim.quantize(small(), batches(), name="pakt"), "did you mean 'pact'"),
    "epochs": (lambda: ppcls_slim.quantize(small(), batches(), {"epochs": 3}), "Slim.quant.epochs is a second"),
    "skip: auto": (lambda: ppcls_slim.quantize(small(), batches(), skip="auto"), "name the layers here"),
    "quantized twice": (lambda: ppcls_slim.quantize(quantized(), batches()), "quantized already"),
    "no data": (lambda: ppcls_slim.quantize(small(), []), "data gives no batch"),
    "an empty generator": (lambda: ppcls_slim.quantize(small(), iter(())), "data gives no batch"),
    "one tensor for data": (lambda: ppcls_slim.quantize(small(), paddle.rand([8, *SHAPE])), "give batches, as"),
    "batches of words": (lambda: ppcls_slim.quantize(small(), ["image.png"]), "data gives a batch of str"),
    "labels that are a list": (
        lambda: ppcls_slim.quantize(small(), [(batches(1)[0][0], [1, 2])]),
        "batch of Tensor, list: give",
    ),
    "an image without a batch": (lambda: ppcls_slim.quantize(small(), [np.zeros(3)]), r"not \[n, C, H, W\]"),
    "an unknown target": (
        lambda: ppcls_slim.export(small(), "out", ["openvin"], example=SHAPE),
        "did you mean 'openvino'",
    ),
    "a number for a target": (lambda: ppcls_slim.export(small(), "out", 3, example=SHAPE), "export.targets"),
    "a shape of another network": (
        lambda: ppcls_slim.export(small(), "out", example=[1, 12, 12]),
        r"export: Small does not run on an input of \[1, 12, 12\]: give another example",
    ),
    "an export of a static forward pass": (
        lambda: ppcls_slim.export(static(), "out", example=SHAPE),
        "export: the network is under paddle.jit.to_static",
    ),
    "several processes": (
        lambda: ppcls_slim.plan(paddle.DataParallel(small()), SHAPE, pruned_ratio=0.5),
        "plan: the network is in paddle.DataParallel",
    ),
    "data that is not finite": (
        lambda: ppcls_slim.quantize(small(), [paddle.full([2, *SHAPE], float("nan"))]),
        "the input of first is not finite on calibration data",
    ),
    "a path without a name": (lambda: ppcls_slim.save(small(), "folder/"), "'folder/' names no file"),
    "an unknown shape": (lambda: ppcls_slim.export(small(), "out"), "the shape of an input is not known"),
    "a network that cannot be copied": (
        lambda: ppcls_slim.export(uncopyable(), "out", example=SHAPE),
        "Small cannot be copied",
    ),
    "a folder in the place of a file": (
        lambda: ppcls_slim.save(small(), "file/net"),
        "where a folder belongs",
    ),
    "no checkpoint": (lambda: ppcls_slim.load("nowhere/net", small), "there is no file nowhere/net.pdparams"),
    "a checkpoint without code": (lambda: ppcls_slim.load(ppcls_slim.save(small(), "net")), "give model="),
    "a checkpoint of another network": (
        lambda: ppcls_slim.load(ppcls_slim.save(pruned(), "net"), small(12)),
        "net.pdparams: the plan does not fit the model: first.weight",
    ),
    "a function that builds no network": (
        lambda: ppcls_slim.load(ppcls_slim.save(small(), "net"), dict),
        "load: model is a dict",
    ),
    "no models": (lambda: ppcls_slim.benchmark([]), "give a list of folders and networks"),
    "one folder": (lambda: ppcls_slim.benchmark("out"), "give a list of folders and networks"),
    "no runs": (lambda: ppcls_slim.benchmark([small()], runs=0), "runs has to be a whole number above 0, not 0"),
    "one batch size": (lambda: ppcls_slim.benchmark([small()], batches=1), "batches is 1: give a list of batch"),
    "a misspelt precision": (lambda: ppcls_slim.benchmark([small()], precision="fp23"), "did you mean 'fp32'"),
    "no such folder": (lambda: ppcls_slim.benchmark(["nowhere"]), "benchmark: there is no folder nowhere"),
    "a number for a model": (lambda: ppcls_slim.benchmark([3]), "a int is neither the folder"),
    "nothing to verify": (lambda: ppcls_slim.verify(small()), "the network is not pruned: give a plan"),
    "an export that is not there": (
        lambda: ppcls_slim.verify(small(), "nowhere"),
        "verify: there is no folder",
    ),
    "a plan of another version": (lambda: ppcls_slim.Plan.load("other.json"), "other.json: the plan has format '9'"),
    "a file without a plan": (lambda: ppcls_slim.Plan.load("list.json"), "list.json holds no plan"),
    "a file that is no JSON": (lambda: ppcls_slim.Plan.load("file"), "file is not JSON"),
    "no file": (lambda: ppcls_slim.Plan.load("nowhere.json"), "nowhere.json"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("text")
    Path("other.json").write_text(json.dumps({"format": 9}))
    Path("list.json").write_text("[]")
    call, message = MISTAKES[mistake]
    with pytest.raises(SlimError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
