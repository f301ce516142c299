"""A YAML file is read strictly: what another reader would pass over or execute is one line of error."""

from __future__ import annotations

import pytest

from ppcls_slim.common.console import Verbosity
from ppcls_slim.common.errors import SlimError
from ppcls_slim.common.overrides import override
from ppcls_slim.common.yaml_file import parse_value, parse_yaml, read_yaml

LAUGHS = "a0: &a0 [x, x]\n" + "\n".join(
    f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]" for i in range(1, 20)
)
MERGES = "a0: &a0 {k: 1}\n" + "\n".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 20)
)
CHAIN = "a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 80))


def refused(text: str) -> str:
    with pytest.raises(SlimError) as error:
        parse_yaml(text, "x.yaml")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Slim:\n  a: 1\nArch: 2\nSlim:\n  b: 1\n", ["Slim is given twice", "lines 1 and 4"]),
        ("Slim:\n  prune: {name: fpgm, name: l1_norm}\n", ["Slim.prune.name is given twice"]),
        ("a: [{b: 1, b: 2}]", ["a.0.b is given twice"]),
        ("a: &x {b: *x}", ["a.b", "refers to itself"]),
        ("a: &x\n  - *x", ["a.0", "refers to itself"]),
        (LAUGHS, ["unfolds to", "aliases"]),
        (MERGES, ["unfolds to", "aliases"]),
        (CHAIN, ["nested deeper"]),
        ("[" * 1000, ["nested deeper", "x.yaml"]),
        ("a: " + "[" * 90 + "]" * 90, ["nested deeper"]),
        ("a: " + "x" * 20_000, ["text of 20000 characters"]),
        ("3: 1", ["line 1", "int", "quotes"]),
        ("true: 1", ["bool", "quotes"]),
        ("? [a]\n: 1", ["seq", "quotes"]),
        ("a: !!int word", ["not valid YAML"]),
        ("a: !!bool word", ["not valid YAML"]),
        ("a: !!timestamp word", ["not valid YAML"]),
        ("a: !!set {b}", ["not valid YAML"]),
        ("a: !!python/object/apply:os.system [touch marker]", ["not valid YAML"]),
        ("a: b: c", ["not valid YAML"]),
        ("a: 1\n---\nb: 2", ["not valid YAML"]),
        ("a: *b", ["not valid YAML"]),
        ("a: \x07", ["not valid YAML"]),
        ("a: " + "1" * 5000, ["x.yaml"]),
    ],
)
def test_what_is_refused(text, words):
    message = refused(text)
    for word in words:
        assert word in message


def test_keys_that_yaml_1_2_reads_as_text_are_text():
    assert parse_yaml("on: {engine: onnx}\nNo: on", "x.yaml") == {"on": {"engine": "onnx"}, "No": True}
    assert "on is given twice" in refused("on: 1\n'on': 2")


def test_what_is_read():
    text = "base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}\nday: 2020-13-45\nnumber: 1.5\nnone:\n"
    assert parse_yaml(text, "x") == {
        "base": {"x": 1, "y": 2}, "other": {"x": 1, "y": 3}, "day": "2020-13-45", "number": 1.5, "none": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["is empty"]),
        (b"# nothing\n", ["is empty"]),
        (b"- a\n- b\n", ["holds a list"]),
        (b"word", ["holds a str"]),
        ("ä: 1".encode("latin-1"), ["UTF-8", "byte 0"]),
        ("a: 1".encode("utf-16"), ["UTF-8"]),
        (b"a: \x00", ["not valid YAML"]),
    ],
)
def test_files_that_hold_no_sections(tmp_path, content, words):
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(SlimError) as error:
        read_yaml(file)
    assert "\n" not in str(error.value)
    for word in ("x.yaml", *words):
        assert word in str(error.value)


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(SlimError, match="is a folder; give a YAML file"):
        read_yaml(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("1e-3", 0.001),
        ("None", None),
        ("null", None),
        ("", None),
        ("True", True),
        ("true", True),
        ("name", "name"),
        ("'10'", "10"),
        ("a=b=c", "a=b=c"),
        ("['blocks.*.conv', 3]", ["blocks.*.conv", 3]),
        ("[conv1, conv2]", ["conv1", "conv2"]),
        ("{'a': 0.2}", {"a": 0.2}),
        ("{a: 0.2}", {"a": 0.2}),
        ("[None, 1e-3]", [None, 0.001]),
        ("1.0/255.0", "1.0/255.0"),
        ("64*2", "64*2"),
        ("./output/run", "./output/run"),
    ],
)
def test_values_of_overrides(text, value):
    found = parse_value(text, "-o key")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["{'a': 1, 'a': 2}", "{a: 1, a: 2}", "*x", "[1", "@file", "{1: 2}", "x" * 20_000, "[" * 1000]
)
def test_values_that_are_refused(text):
    with pytest.raises(SlimError, match=r"^-o key"):
        parse_value(text, "-o key")


def test_nothing_is_evaluated(tmp_path):
    marker = tmp_path / "marker"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    config = {"list": [1]}
    override(config, f"Global.epochs={code}")
    assert config["Global"]["epochs"] == code
    with pytest.raises(SlimError):
        override(config, f"list.{code.replace('.', '')}=1")
    assert not marker.exists()


def test_overrides_reach_into_sections_and_lists(capsys):
    config = {"Global": {"epochs": 3}, "ops": [{"Resize": {"size": 32}}, "x"]}
    override(config, "Global.epochs=5")
    override(config, "ops.0.Resize.size=64")
    override(config, "ops.1=y=z")
    assert config == {"Global": {"epochs": 5}, "ops": [{"Resize": {"size": 64}}, "y=z"]}
    assert capsys.readouterr().out == ""
    override(config, "Slim.quant.name=pact")
    assert config["Slim"] == {"quant": {"name": "pact"}}
    assert "A new Series field (Slim) detected!" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "meant"),
    [("epochs=5", "Global.epochs"), ("Global.epoch=5", "Global.epochs"), ("Golbal.epochs=5", "Global.epochs")],
)
def test_a_key_that_looks_like_a_slip_is_added_with_a_warning(capsys, option, meant):
    override({"Global": {"epochs": 3}, "Arch": {"name": "ResNet18"}}, option)
    assert capsys.readouterr().err == (
        f"warning: -o {option.partition('=')[0]}: there is no such key, it was added; did you mean {meant}?\n"
    )


@pytest.mark.parametrize("option", ["Slim.quant.name=pact", "Global.use_dali=False", "AMP={level: O1}"])
def test_other_new_keys_are_added_without_a_word(capsys, monkeypatch, option):
    monkeypatch.setattr("ppcls_slim.common.console.console.verbosity", Verbosity.NORMAL)
    override({"Global": {"epochs": 3}}, option)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("Global.epochs", "Key.sub=value"),
        ("=3", "Key.sub=value"),
        ("Global..epochs=3", "Key.sub=value"),
        ("Global.epochs.more=3", "Global.epochs is 3, which has no keys"),
        ("Global.none.more=3", "Global.none is None, which has no keys"),
        ("ops.1=3", "ops is a list of 1"),
        ("ops.x=3", "ops is a list of 1"),
        ("ops.-1.a=3", "ops is a list of 1"),
    ],
)
def test_overrides_that_do_not_fit(option, words):
    with pytest.raises(SlimError, match=words):
        override({"Global": {"epochs": 3, "none": None}, "ops": [{}]}, option)
