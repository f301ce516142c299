"""Whatever a configuration says, it is valid or one line of error."""

from __future__ import annotations

import argparse
import copy
import random

import pytest
import yaml

from conftest import ROOT
from ppcls_slim.cli.configuration import checked_config
from ppcls_slim.common.errors import SlimError

FILES = sorted((ROOT / "ppcls_configs/quickstart").glob("*.yaml"))
VALUES = [None, True, 0, -1, 2**70, 0.0, 1e308, float("inf"), float("nan"), "", "x", "a" * 5000, "1/0", "...", "b'x'"]
VALUES += ["(1, 2)", "{1, 2}", "-" * 3000 + "1", [], [None], {}, {"a": 1}, [{"a": 1}, 2], "\u2603", "\x00", "0x"]
BYTES = [
    b"&a ",
    b"*a",
    b"!!int ",
    b"!!python/name:os.system ",
    b"{",
    b"[",
    b"- ",
    b": ",
    b"\t",
    b"? ",
    b"<<: ",
    b"\xff",
]


def places(tree, path=()):
    """Paths of all values below the top."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutated_tree(text, draw):
    tree = yaml.safe_load(text)
    for _ in range(draw.choice([1, 1, 3])):
        *above, key = draw.choice(list(places(tree)))
        part = tree
        for one in above:
            part = part[one]
        if draw.random() < 0.2:
            del part[key]
        elif draw.random() < 0.25 and isinstance(part, dict):
            part[draw.choice([f"{key}s", key.lower(), f"{key} ", 3, None, ""])] = part.pop(key)
        else:
            part[key] = copy.deepcopy(draw.choice(VALUES))
    return yaml.safe_dump(tree, sort_keys=False).encode()


def mutated_text(text, draw):
    data = text.encode()
    for _ in range(draw.choice([1, 2, 8])):
        i, j = sorted(draw.sample(range(len(data)), 2))
        kind = draw.randrange(3)
        if kind == 0:
            data = data[:i] + draw.choice(BYTES) + data[i:]
        elif kind == 1:
            data = data[:i] + data[min(j, i + 100) :]
        else:
            data = data[:j] + data[i:j][:500] + data[j:]
    return data


@pytest.mark.parametrize("mutated", [mutated_tree, mutated_text])
def test_a_mutated_configuration_is_valid_or_one_line_of_error(tmp_path, mutated):
    file, refused = tmp_path / "mutated.yaml", 0
    for seed in range(60):
        draw = random.Random(seed)
        file.write_bytes(mutated(draw.choice(FILES).read_text(), draw))
        command = draw.choice(["train", "eval", "infer", "export", "plan", "benchmark"])
        try:
            checked_config(argparse.Namespace(config=file, override=[], profiler_options=None, command=command))
        except SlimError as error:
            refused += 1
            assert "\n" not in str(error), seed
    assert 0 < refused < 60
