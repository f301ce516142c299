"""What ``paddle.save`` and PaddleClas write is loaded as ``paddle.load`` does; what would run code is not."""

from __future__ import annotations

import collections
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddle.saved_files import NAMES, PARTS, load_saved, paddle_load_restricted
from ppcls_slim.compat.unpickling import RefusedError, unpickle

pytestmark = pytest.mark.paddle26
WRITTEN = Path(__file__).parents[1] / "formats/96686d1"
SAVES = Path(__file__).parents[1] / "formats/paddle_saves"


def plain(value):
    """Tensors as (name, dtype, array), so that two results can be compared."""
    if isinstance(value, paddle.Tensor):
        return value.name, str(value.dtype), value.numpy().tolist()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def same_as_paddle(path, **options):
    found = load_saved(path, path.read_bytes(), **options)
    assert plain(found) == plain(paddle.load(str(path), **options))
    return found


def network():
    return paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4), paddle.nn.Flatten())


def trained(optimizer):
    """An optimizer that has made a step, so that it has all its states."""
    model = network()
    rate = paddle.optimizer.lr.CosineAnnealingDecay(0.1, T_max=10)
    made = optimizer(learning_rate=rate, parameters=model.parameters())
    model(paddle.randn([2, 3, 5, 5])).sum().backward()
    made.step()
    rate.step()
    return made


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("numpy", [False, True])
def test_weights(tmp_path, protocol, numpy):
    paddle.save(network().state_dict(), str(tmp_path / "w.pdparams"), protocol=protocol)
    found = same_as_paddle(tmp_path / "w.pdparams", return_numpy=numpy)
    assert NAMES not in found and len(found) == 6
    assert NAMES in same_as_paddle(tmp_path / "w.pdparams", keep_name_table=True)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("optimizer", [paddle.optimizer.Momentum, paddle.optimizer.AdamW, paddle.optimizer.RMSProp])
def test_states_of_optimizers_alone_and_as_paddleclas_lists_them(tmp_path, protocol, optimizer):
    state = trained(lambda **kwargs: optimizer(**kwargs)).state_dict()
    for name, content in (("one.pdopt", state), ("list.pdopt", [state, {"LR_Scheduler": {"last_epoch": 3}}])):
        paddle.save(content, str(tmp_path / name), protocol=protocol)
        same_as_paddle(tmp_path / name)


def test_states_of_a_run(tmp_path):
    states = {"metric": 0.5, "epoch": 3, "top1": np.float64(0.25), "best": {"seen": (1, [2.5, None, True])}, "n": "é"}
    paddle.save({**states, "scale": paddle.to_tensor([1.0])}, str(tmp_path / "s.pdstates"))
    same_as_paddle(tmp_path / "s.pdstates")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "int8", "int64", "bool", "complex64"])
def test_types_of_numbers(tmp_path, dtype):
    paddle.save({"w": paddle.to_tensor([0.0, 1.0, 3.0]).astype(dtype)}, str(tmp_path / "w.pdparams"))
    same_as_paddle(tmp_path / "w.pdparams")


def test_tensors_in_parts(tmp_path):
    """Protocol 2 and 3 write tensors of more than 1 GiB so."""
    content = {
        "small": np.ones(2, np.float32),
        "big@@.0": np.arange(4, dtype=np.float32),
        "big@@.1": np.arange(4, 6, dtype=np.float32),
        PARTS: {"big": {"OriginShape": (2, 3), "slices": ["big@@.0", "big@@.1"]}},
        NAMES: {"small": "a_0", "big": "b_0"},
    }
    (tmp_path / "w.pdparams").write_bytes(pickle.dumps(content, protocol=2))
    assert same_as_paddle(tmp_path / "w.pdparams")["big"].shape == [2, 3]


def test_tensors_of_static_programs(tmp_path):
    core = paddle.base.core
    tensor = core.DenseTensor() if hasattr(core, "DenseTensor") else core.LoDTensor()
    tensor.set(np.arange(3, dtype=np.float32), paddle.CPUPlace())
    paddle.save([tensor], str(tmp_path / "static"))
    same_as_paddle(tmp_path / "static", return_numpy=True)
    (found,) = load_saved(tmp_path / "static", (tmp_path / "static").read_bytes())
    assert found.tolist() == [0.0, 1.0, 2.0]


def test_arrays_of_another_numpy():
    """NumPy 2 writes names that NumPy 1 does not have, and the other way round."""
    content = pickle.dumps({"w": np.arange(6.0).reshape(2, 3)}, protocol=2)
    for name in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        moved = content.replace(b"numpy._core.multiarray", name).replace(b"numpy.core.multiarray", name)
        np.testing.assert_array_equal(unpickle(moved)["w"], np.arange(6.0).reshape(2, 3))


def test_arrays_in_fortran_order_and_of_other_endianness():
    for array in (np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(3, dtype=">i4"), np.float32(2)):
        np.testing.assert_array_equal(unpickle(pickle.dumps(array)), array)


@pytest.mark.parametrize("name", ["prune", "schedule", "prune_quant"])
@pytest.mark.parametrize("suffix", [".pdparams", ".pdopt", ".pdstates"])
def test_files_of_paddleclas(name, suffix):
    same_as_paddle(WRITTEN / name / f"latest{suffix}")


@pytest.mark.parametrize("file", sorted(SAVES.rglob("*.pd*")), ids=lambda file: f"{file.parent.name}-{file.name}")
def test_files_of_both_versions_of_paddle(file):
    """Written by ``tests/formats/write_paddle_saves.py`` with Paddle 2.6.2 (NumPy 1.26) and 3.3.1 (NumPy 2.4)."""
    found = same_as_paddle(file)
    if "types" in file.name:
        assert [str(value.dtype).rpartition(".")[2] for value in found.values()] == list(found)


class Runs:
    """Touches a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class Calls(Runs):
    def __reduce__(self):
        return eval, (f"open({self.marker!r}, 'w')", {})


@pytest.mark.parametrize("kind", [Runs, Calls])
@pytest.mark.parametrize("protocol", range(5))
def test_nothing_is_run(tmp_path, kind, protocol):
    content = pickle.dumps({"w": np.ones(2), "epoch": kind(tmp_path / "ran")}, protocol=protocol)
    with pytest.raises(SlimError, match=r"w\.pdparams is not loaded: it asks for (posix\.system|(__)?builtin)"):
        load_saved(tmp_path / "w.pdparams", content)
    assert not (tmp_path / "ran").exists()
    pickle.loads(content)
    assert (tmp_path / "ran").exists()  # it would have


def test_nothing_is_run_by_what_calls_paddle_load(tmp_path):
    (tmp_path / "w.pdparams").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    with paddle_load_restricted(), pytest.raises(SlimError, match="posix"):
        paddle.load(str(tmp_path / "w.pdparams"))
    with paddle_load_restricted(), pytest.raises(SlimError, match="posix"):
        paddle.load(io.BytesIO((tmp_path / "w.pdparams").read_bytes()))
    assert not (tmp_path / "ran").exists()


class HasState:
    pass


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(np.array([{}, print], dtype=object)),
        pickle.dumps(HasState()),
        pickle.dumps(np.datetime64("2020-01-01")),
        b"\x80\x04ccollections\nOrderedDict\n}\x8c\x01aK\x01sb.",  # sets an attribute of a class
        b"cnumpy\nndarray\n(J\xff\xff\xff\x7ftR.",
        b"cbuiltins\neval\n(\x8c\x0b__import__0}tR.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nlist\ntR}b.",
        b"\x82\x01.",  # extension registry
        b"\x80\x04P1\n.",
    ],
)
def test_only_data_is_made(content):
    with pytest.raises((RefusedError, ValueError)):
        unpickle(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x00.",  # 72 petabytes of bytes
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x00.",  # a frame as long
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x00.",
        b"\x80\x02}r\xff\xff\xff\x7f.",  # memo number 2147483647
        pickle.dumps({"w": np.ones(100)})[:-200],
    ],
)
def test_what_is_damaged_is_one_line_and_takes_no_memory(tmp_path, content):
    if content[:2] == b"\x80\x02":
        assert unpickle(content) == {}
        return
    with pytest.raises(
        SlimError, match=r"w\.pdparams cannot be loaded \(.*\): it is cut off or is not a Paddle file"
    ):
        load_saved(tmp_path / "w.pdparams", content)


def test_containers():
    value = collections.OrderedDict(a=(1, [2.5]), b={1, 2}, c=frozenset({3}), d=b"bytes", e=2**70, f=None)
    for protocol in range(5):
        assert unpickle(pickle.dumps(value, protocol=protocol)) == value


def test_whatever_a_backbone_loads_is_given_to_the_function_that_counts(tmp_path):
    """Releases of PaddleClas differ in how they find a file; all load it with ``paddle.load`` and ``set_dict``."""
    from ppcls_slim.compat.paddleclas.stand_ins import while_loading_backbones

    layer, calls = paddle.nn.Linear(2, 3), []
    path = tmp_path / "w.pdparams"
    paddle.save(layer.state_dict(), str(path))
    with while_loading_backbones(lambda model, path: calls.append((model, path))):
        layer.set_dict(paddle.load(str(path)))
        layer.set_state_dict({"weight": paddle.ones([2, 3]), "bias": layer.bias})
    assert calls == [(layer, str(path))]
    assert layer.weight.numpy().tolist() == [[1.0] * 3] * 2
