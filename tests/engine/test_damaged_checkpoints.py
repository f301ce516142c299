"""However a checkpoint is damaged, loading it gives exactly what was saved, or one line that says what is wrong.

``PPCLS_SLIM_DAMAGES=1000`` tries as many damages of every kind.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import reseal
from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.common.errors import SlimError, naming
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleclas.logger import logger
from ppcls_slim.compat.paddleclas.stand_ins import while_training
from ppcls_slim.engine import loading
from ppcls_slim.engine.progress import Progress
from ppcls_slim.engine.states import Dense, Masked, Quantized, state_of
from ppcls_slim.engine.training_states import read_states
from ppcls_slim.zoo.cifar_resnet import BACKBONES

pytestmark = pytest.mark.paddle26
WRITTEN = Path(__file__).parents[1] / "formats/96686d1"
KINDS = ["prune", "schedule", "prune_quant"]
SUFFIXES = [".pdparams", ".pdopt", ".pdstates", ".slim.json"]
DAMAGES = int(os.environ.get("PPCLS_SLIM_DAMAGES", "12"))
CONFIG = {"Arch": {"name": "CifarResNet8", "class_num": 10}, "Global": {}}


def checkpoint(folder, kind, with_manifest=True):
    prefix = shutil.copytree(WRITTEN / kind, folder / kind) / "latest"
    if with_manifest:
        path = prefix.with_name("latest.slim.json")
        content = json.loads(path.read_text())
        content.pop("weights")
        path.write_text(json.dumps(content))
        reseal(prefix)
    return prefix


def load(prefix):
    """Everything that eval, export and a resumed training take from a checkpoint."""
    found = checkpoints.open_checkpoint(str(prefix), "Global.checkpoints")
    with paddle.utils.unique_name.guard():
        model, state = BACKBONES["CifarResNet8"](), state_of(found)
        if isinstance(state, Dense):
            loading.load_what_fits(model, found, CONFIG, untrained_head=False)
        else:
            with naming(found.weights):
                state.rebuild(model)
            loading.load_exactly(model, found)
        if isinstance(state, Masked):
            state.remove(model)
    record = found.quant.to_json() if isinstance(state, Quantized) else None
    values = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return values, plain(found.load(".pdopt")), plain(found.load(".pdstates")), record


def plain(value):
    if isinstance(value, paddle.Tensor):
        return value.numpy()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


@pytest.fixture(autouse=True, scope="module")
def quiet():
    """Loading logs, which PaddleClas's engine otherwise prepares for."""
    logger.init_logger(log_level=logging.ERROR)


@pytest.fixture(scope="module", params=KINDS)
def kind(request, tmp_path_factory):
    return request.param, load(checkpoint(tmp_path_factory.mktemp("intact"), request.param))


def outcome(prefix, expected):
    """``refused`` or ``right``; anything else fails the test."""
    try:
        found = load(prefix)
    except SlimError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000, error
        return "refused"
    np.testing.assert_equal(found, expected)
    return "right"


def damaged(content, generator):
    """A file after a fault: a bit, a byte, a cut, zeros, bytes that moved."""
    what, place = generator.randrange(6), generator.randrange(len(content))
    length = generator.choice([1, 16, 512, 4096])
    if what == 0:
        return content[:place] + bytes([content[place] ^ (1 << generator.randrange(8))]) + content[place + 1 :]
    if what == 1:
        return content[:place] + generator.randbytes(1) + content[place + 1 :]
    if what == 2:
        return content[:place]
    if what == 3:
        return content[:place] + bytes(length) + content[place + length :]
    if what == 4:
        return content[:place] + content[place + length :]
    return content[:place] + generator.randbytes(length) + content[place:]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bytes_of_a_file(kind, tmp_path, suffix):
    name, expected = kind
    prefix = checkpoint(tmp_path, name)
    file = prefix.with_name(f"latest{suffix}")
    content = file.read_bytes()
    generator = random.Random(suffix)
    for _ in range(DAMAGES):
        file.write_bytes(damaged(content, generator))
        found = outcome(prefix, expected)
        # A sidecar file may say the same with other spaces.
        assert found == "refused" or file.read_bytes() == content or suffix == ".slim.json"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_missing_or_of_another_checkpoint(kind, tmp_path, suffix):
    name, expected = kind
    prefix = checkpoint(tmp_path, name)
    prefix.with_name(f"latest{suffix}").unlink()
    # Without its sidecar file a masked network is a dense one with zeros, which are loaded.
    assert (suffix == ".slim.json" and name == "schedule") or outcome(prefix, expected) == "refused"
    for other in set(KINDS) - {name}:
        shutil.copy(WRITTEN / other / f"latest{suffix}", prefix.parent)
        assert outcome(prefix, expected) == "refused"


NUMBERS = [-1, 0, 1, 7, 10**14, 10**400, 0.5, -1e308]
VALUES = [*NUMBERS, None, True, "", "x", "0-99999999999999", "5-2", [], [0], {}, {"a": 1}]


def places(value, path=()):
    """Every place in a JSON document."""
    yield path
    if isinstance(value, (dict, list)):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(one, (*path, key))


def mutated(content, generator):
    """A document with another value, without a value, or with a key of another name in one place."""
    changed = copy.deepcopy(content)
    # Long lists would otherwise take all the tries.
    *parents, key = generator.choice([p for p in places(changed) if p and not isinstance(p[-1], int)] or [("epoch",)])
    holder = changed
    for parent in parents:
        holder = holder[parent]
    what = generator.randrange(4)
    if what == 0:
        holder.pop(key)
    elif what == 1:
        holder[f"{key}x"] = holder.pop(key)
    else:
        holder[key] = generator.choice(VALUES)
    return changed


def test_values_of_a_sidecar_with_a_manifest(kind, tmp_path):
    name, expected = kind
    prefix = checkpoint(tmp_path, name)
    file = prefix.with_name("latest.slim.json")
    content = json.loads(file.read_text())
    generator = random.Random(5)
    for _ in range(DAMAGES):
        changed = mutated(content, generator)
        file.write_text(json.dumps(changed))
        # Numbers that are equal in Python are other text in JSON.
        assert outcome(prefix, expected) == ("right" if json.dumps(changed) == json.dumps(content) else "refused")


def test_values_of_a_sidecar_without_one_end_in_no_traceback(kind, tmp_path):
    """Older versions wrote none, so that a plausible value is not told from the right one."""
    name, _ = kind
    prefix = checkpoint(tmp_path, name, with_manifest=False)
    file = prefix.with_name("latest.slim.json")
    content = json.loads(file.read_text())
    generator = random.Random(6)
    for _ in range(DAMAGES):
        changed = mutated(content, generator)
        file.write_text(json.dumps(changed))
        try:
            load(prefix)
        except SlimError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000


def change(path, value):
    def apply(content):
        *parents, key = path
        holder = content
        for parent in parents:
            holder = holder[parent]
        holder[key] = value

    return apply


@pytest.mark.parametrize(
    ("kind", "path", "value", "words"),
    [
        ("schedule", ["zeroed", "settings"], {"pruned_ratio": 7}, "pruned_ratio"),
        ("schedule", ["zeroed", "settings"], "fpgm", "settings"),
        ("schedule", ["zeroed", "settings", "input_dtype"], "float99", "float99"),
        ("schedule", ["zeroed", "input_shape"], [3, 10**9, 10**9], "elements"),
        ("schedule", ["zeroed", "input_shape"], [3, -32, 32], "input_shape"),
        ("schedule", ["zeroed", "chosen", "conv1.weight"], "0-99999999999999", "0-99999999999999"),
        ("schedule", ["zeroed", "chosen", "conv1.weight"], "3,99", "conv1.weight"),
        ("schedule", ["zeroed", "chosen"], {"conv9.weight": "1"}, "conv9.weight"),
        ("prune", ["prune", "settings", "input_dtype"], "float99", "float99"),
        ("prune", ["prune", "input_shape"], [3, 2**20, 2**20], "elements"),
        ("prune", ["prune", "sets", "s0"], "0-99999999999999", "0-99999999999999"),
        ("prune", ["prune", "sets", "s0"], "16", "below 16"),
        ("prune", ["prune", "sets", "s0"], "", "nothing would be kept"),
        ("prune", ["prune", "cuts", "conv1.weight", "keep"], {"4": "s0"}, "axis 4"),
        ("prune", ["prune", "cuts", "conv1.weight", "keep"], {"0": "s99"}, "s99"),
        ("prune", ["prune", "cuts", "conv1.weight", "shape"], [16, 3, 3], "conv1.weight"),
        ("prune", ["prune", "conv_groups"], {"conv1": 4}, "conv1"),
        ("prune", ["prune", "sizes"], {"layer1.forward": 4}, "layer1.forward"),
        ("prune", ["prune", "flops"], {"dense": 0, "pruned": 0}, "flops"),
        ("prune", ["top1_dense"], {"a": 1}, "top1_dense"),
        ("prune_quant", ["quant", "layers"], {"conv1": "three_sided"}, "three_sided"),
        ("prune_quant", ["quant", "fused"], {"conv1": "linear"}, "linear"),
        ("prune_quant", ["quant", "settings", "weight_bits"], 99, "weight_bits"),
        ("prune_quant", ["alpha"], {"conv1": [[1]]}, "alpha"),
    ],
)
def test_what_is_wrong_in_a_sidecar_is_named(tmp_path, kind, path, value, words):
    prefix = checkpoint(tmp_path, kind, with_manifest=False)
    file = prefix.with_name("latest.slim.json")
    content = json.loads(file.read_text())
    change(path, value)(content)
    file.write_text(json.dumps(content))
    with pytest.raises(SlimError) as refused:
        load(prefix)
    assert words in str(refused.value)
    assert "latest." in str(refused.value)


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([1, 2], "valid dictionary"),
        ({"metric": 0.5}, "epoch"),
        ({"epoch": -3, "metric": 0.5}, "epoch"),
        ({"epoch": 1, "metric": [0.5]}, "metric"),
        ({"epoch": 1, "metric": 0.5, "ppcls_slim": {"best": {"metric": 0.5}}}, "best"),
        ({"epoch": 1, "metric": 0.5, "ppcls_slim": {"saved": {"latest": 3}}}, "saved"),
        ({"epoch": 1, "metric": 0.5, "ppcls_slim": 5}, "ppcls_slim"),
        ({"epoch": 1, "metric": 0.5, "ppcls_slim": {"sidecar": True}}, "latest.slim.json is missing"),
    ],
)
def test_states_that_name_no_place_to_go_on(tmp_path, states, words):
    prefix = checkpoint(tmp_path, "prune", with_manifest=False)
    paddle.save(states, f"{prefix}.pdstates")
    with pytest.raises(SlimError, match=words):
        read_states(checkpoints.open_checkpoint(str(prefix), "test"))


def test_a_best_model_beside_the_checkpoint_whose_states_are_those_of_an_optimizer(tmp_path):
    prefix = checkpoint(tmp_path, "prune", with_manifest=False)
    paddle.save([{"velocity": 1}], f"{prefix.with_name('best_model')}.pdstates")
    shutil.copyfile(f"{prefix}.pdparams", f"{prefix.with_name('best_model')}.pdparams")
    with pytest.raises(SlimError, match=r"best_model\.pdstates does not say where to go on"):
        Progress(seed=0).resume({}, prefix, 1)


@pytest.mark.parametrize(("there", "missing"), [("pdparams", "pdstates"), ("pdstates", "pdparams")])
def test_a_best_model_beside_the_checkpoint_that_lacks_a_file(tmp_path, there, missing):
    prefix = checkpoint(tmp_path, "prune", with_manifest=False)
    shutil.copyfile(f"{prefix}.{there}", f"{prefix.with_name('best_model')}.{there}")
    with pytest.raises(SlimError, match=rf"best_model\.{missing} is missing, .* or remove best_model\.{there}"):
        Progress(seed=0).resume({}, prefix, 1)


def test_states_of_paddleclas_may_hold_numbers_of_other_kinds(tmp_path):
    prefix = checkpoint(tmp_path, "prune", with_manifest=False)
    for metric in (np.float32(0.5), paddle.to_tensor(0.5), 1):
        paddle.save({"epoch": 2, "metric": metric}, f"{prefix}.pdstates")
        assert read_states(checkpoints.open_checkpoint(str(prefix), "test"))["epoch"] == 2


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"linear_0.w_0_velocity_0": [[0.0, 1.0]]}, r"linear_0.w_0_velocity_0 is \[1, 2\] there, and .* \[2, 3\]"),
        ({"linear_0.w_0_velocity_0": [[0.0] * 3] * 2}, None),
        ({"linear_0.w_0_velocity_0": "a text"}, r"linear_0.w_0_velocity_0 is a str there, and .* \[2, 3\]"),
        ("text", "does not hold the states of an optimizer"),
    ],
)
def test_states_of_an_optimizer_that_do_not_fit(tmp_path, state, words):
    with paddle.utils.unique_name.guard():
        layer = paddle.nn.Linear(2, 3)
        optimizer = paddle.optimizer.Momentum(parameters=layer.parameters())
    held = state
    if isinstance(state, dict):
        held = {key: paddle.to_tensor(value) if isinstance(value, list) else value for key, value in state.items()}
    paddle.save(layer.state_dict(), str(tmp_path / "latest.pdparams"))
    paddle.save([held], str(tmp_path / "latest.pdopt"))
    paddle.save({"epoch": 1, "metric": 0.5}, str(tmp_path / "latest.pdstates"))
    found = checkpoints.open_checkpoint(str(tmp_path / "latest"), "test")
    if words is None:
        assert loading.resume(found, Progress(1), layer, [optimizer])["epoch"] == 1
        return
    with pytest.raises(SlimError, match=words):
        loading.resume(found, Progress(1), layer, [optimizer])


def test_a_state_that_the_first_step_of_the_optimizer_misses_is_one_line():
    with paddle.utils.unique_name.guard():
        layer = paddle.nn.Linear(2, 3)
    optimizer = paddle.optimizer.Momentum(parameters=layer.parameters())
    optimizer.set_state_dict({f"linear_{n}.w_0_velocity_0": paddle.zeros([2, 3]) for n in (0, 1)})
    layer(paddle.ones([1, 2])).sum().backward()
    with pytest.raises(SlimError, match=r"pdopt lacks linear_0\.b_0_velocity_0"), while_training(print, print):
        optimizer.step()


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", "\ufeff{", "[" * 100_000, '{"weights": []}', "\x00"])
def test_a_sidecar_that_is_something_else(tmp_path, content):
    prefix = checkpoint(tmp_path, "prune")
    prefix.with_name("latest.slim.json").write_text(content)
    with pytest.raises(SlimError, match=r"latest\.slim\.json cannot be read"):
        load(prefix)
