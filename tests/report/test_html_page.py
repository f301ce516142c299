"""The page of a run, drawn from a record alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from browser import look
from records import large, smallest

from conftest import ROOT
from ppcls_slim.report.html import charts
from ppcls_slim.report.html import record as html
from ppcls_slim.report.html.compare import check_comparable, differences, legend
from ppcls_slim.report.html.figures import asked
from ppcls_slim.report.html.page import render, render_comparison, write_page

EVERYTHING = [
    "asked", "results", "widths", "sensitivity", "training", "alphas", "agreement", "warnings", "repeat",
]  # fmt: skip


def other(**changes):
    """The large record as one of another run."""
    return large().model_copy(update={"output": "output/other", **changes})


@pytest.mark.parametrize(("width", "dark"), [(400, False), (1200, True)])
def test_a_browser_shows_every_section_without_errors_and_without_scrolling_sideways(tmp_path, width, dark):
    seen = look(write_page(large(), tmp_path), tmp_path, width, dark)
    assert seen.errors == []
    assert seen.width == width
    assert (seen.scroll, seen.wide) == (width, [])
    assert seen.sections == EVERYTHING
    assert seen.unnamed == 0
    assert seen.outline == "solid"
    assert seen.paper == ("rgb(20, 22, 26)" if dark else "rgb(251, 251, 249)")


@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_shows_several_runs_without_errors_and_without_scrolling_sideways(tmp_path, width):
    page = tmp_path / "comparison.html"
    page.write_text(render_comparison([large(), other(arch="ResNet18"), smallest()], [None] * 3), encoding="utf-8")
    seen = look(page, tmp_path, width)
    assert seen.errors == []
    assert (seen.scroll, seen.wide) == (width, [])
    assert seen.sections == ["results", "plots", "engines", "differences"]


def luminance(color):
    """As WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (n / 255 for n in color)]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear))


@pytest.mark.parametrize("theme", [0, 1])
def test_text_has_the_contrast_that_wcag_asks_for(theme):
    style = (Path(html.__file__).parent / "templates/style.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[theme]
    colors = {name: bytes.fromhex(value) for name, value in re.findall(r"--([\w-]+): #(\w{6})", block)}
    for text, grounds in {
        "ink": ("paper", "card", "wash", "warn-wash"),
        "quiet": ("paper", "card", "wash"),
        "accent": ("paper", "card", "wash"),
        "warn": ("warn-wash",),
    }.items():
        for ground in grounds:
            dark, light = sorted((luminance(colors[text]), luminance(colors[ground])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
    for line in ("s0", "s1", "s2", "s3", "s4", "s5", "up", "down"):
        dark, light = sorted((luminance(colors[line]), luminance(colors["paper"])))
        assert (light + 0.05) / (dark + 0.05) >= 3, line


def test_the_look_finds_an_error_and_a_page_that_is_too_wide(tmp_path):
    page = tmp_path / "bad.html"
    text = render(smallest()).replace("</main>", '<p style="width: 600px">wide</p><script>throw 1</script></main>')
    page.write_text(text, encoding="utf-8")
    seen = look(page, tmp_path)
    assert any("Uncaught" in line for line in seen.errors)
    assert seen.scroll > 600
    assert "P." in seen.wide


def test_the_page_of_a_deep_network_is_below_one_megabyte_and_asks_nothing_of_the_network(tmp_path):
    text = write_page(large(), tmp_path).read_text(encoding="utf-8")
    assert len(text.encode()) < 1_000_000
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)|@import|url\(|https?://""", text)
    assert "starts from random weights &lt;b&gt;" in text  # what a run says is text, never markup
    assert "the machine was busy" in text


def test_the_page_of_ten_thousand_epochs_is_below_one_megabyte():
    assert len(render(large(epochs=10_000)).encode()) < 1_000_000


def test_every_layer_is_named(tmp_path):
    record, text = large(), render(large())
    section = text[text.index('<section id="alphas">') : text.index('<section id="agreement">')]
    assert [name for name in record.alpha if f">{name}</th>" not in section] == []
    assert "its output is the network&#39;s" in text


def test_what_is_not_known_is_left_out(tmp_path):
    text = render(smallest())
    assert re.findall(r'<section id="(\w+)">', text) == ["asked", "results", "training", "warnings", "repeat"]
    assert "nan" not in text.lower().replace("finance", "")


@pytest.mark.parametrize("part", ["stages", "models", "widths", "alpha", "export", "machine", "data", "commands"])
def test_each_part_may_be_missing(part):
    empty = type(getattr(large(), part))() if part != "export" else None
    assert "</html>" in render(large().model_copy(update={part: empty}))


def test_cells_say_the_change_since_the_first_epoch():
    strip = charts.alpha_strip([(0, 4.0), (1, 5.0), (2, 3.0)], 0.25)
    assert re.findall(r"epoch (\d): ([+-][\d.]+) %", strip) == [("0", "+0.0"), ("1", "+25.0"), ("2", "-25.0")]
    assert strip.count('fill-opacity="1.000"') == 2


def test_no_text_of_a_record_becomes_a_part_of_the_page():
    def hostile(value, key="", free=False):
        if isinstance(value, dict):
            inner = key in ("slim", "frozen", "layers_float", "sensitivity", "errors", "alpha", "versions", "machine")
            return {name + bad if inner else name: hostile(one, name, inner) for name, one in value.items()}
        if isinstance(value, list):
            return [hostile(one, key) for one in value]
        return bad if isinstance(value, str) and value not in ("dense", "pruned", "quantized", "exported") else value

    bad = """</style></title><script>alert("here")</script>'{{ 7 * 7 }}<img src=x>"""
    record = html.Record.model_validate(hostile(large(3, 3).model_dump(mode="json")))
    for text in (render(record), render_comparison([record, record], [None, None])):
        assert bad[:16] not in text
        assert text.count("<script") == 1
        assert "<img" not in text


def test_steps_of_pruning_are_told_apart():
    record = smallest()
    record.stages = [
        html.Stage(name="pruned", step=f"step {n} of 2", epochs=[html.Epoch(epoch=1, loss=1.0)], asked={"epochs": n})
        for n in (1, 2)
    ]
    record.widths = [html.Width(layer="conv", before=8, after=4, importance=[0.5, 1.0])]
    text = render(record)
    assert ">pruned, step 2 of 2</text>" in text
    assert "1 (pruned, step 1 of 2), 2 (pruned, step 2 of 2)" in text
    assert "in 2 steps" in text


def test_a_record_is_read_as_it_was_written(tmp_path):
    html.write(large(), tmp_path)
    assert html.read(tmp_path) == large()


def test_numbers_that_json_does_not_have_are_null():
    assert html.Epoch(epoch=1, loss=float("nan")).loss is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is not the output folder of a run: it has no report.json"),
        ("{", "is damaged"),
        ("[]", "has format"),
        ('{"format": 2}', "has format '2', this version reads 1"),
        ('{"format": 1, "arch": 3}', "is damaged (arch"),
        ('{"format": 1, "widths": [{"layer": "conv", "before": 0, "after": 0}]}', "is damaged (widths"),
        ('{"format": 1, "alpha": {"conv": [[0, 0.0]]}}', "is damaged (alpha"),
        ('{"format": 1, "alpha": {"conv": []}}', "is damaged (alpha"),
    ],
)
def test_a_folder_that_is_no_output_of_a_run_gets_one_line(cli, tmp_path, content, says):
    folder = tmp_path / "folder"
    folder.mkdir()
    if content is not None:
        known = {"arch": "ResNet18", "output": "output"} if content.startswith('{"format": 1') else {}
        content = json.dumps({**known, **json.loads(content)}) if known else content
        (folder / "report.json").write_text(content)
    result = cli("report", folder)
    assert result.status == 2
    assert says in result.message
    assert "there is no folder" in cli("report", tmp_path / "nothing").message


def test_the_folder_of_the_checkpoints_is_told_where_the_run_is(cli, tmp_path):
    checkpoints = tmp_path / "output/ResNet18"
    checkpoints.mkdir(parents=True)
    (tmp_path / "output/report.json").write_text("{}")
    assert cli("report", checkpoints).message.endswith(f"which training writes; {tmp_path / 'output'} has one")
    assert cli("report", tmp_path).message.endswith(f"which training writes; {tmp_path / 'output'} has one")


def test_runs_on_other_data_or_classes_get_one_line(cli, tmp_path):
    data = large().data
    for name, record in (
        ("one", large()),
        ("classes", other(data=data.model_copy(update={"classes": 10}))),
        ("images", other(data=data.model_copy(update={"images": 10_000}))),
    ):
        (tmp_path / name).mkdir()
        html.write(record, tmp_path / name)
    for name, says in (
        ("classes", "classes of the evaluation data is 1000 and 10"),
        ("images", "are 50000 and 10000"),
    ):
        result = cli("report", tmp_path / "one", tmp_path / name)
        assert result.status == 2
        assert f"cannot be compared: {says}" in result.message.replace("images of the evaluation data ", "")
    assert not (tmp_path / "comparison.html").exists()


def test_the_command_draws_one_page_of_a_run_and_one_of_several(cli, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        html.write(other(output=f"output/{name}", arch=name), tmp_path / name)
    drawn = cli("report", tmp_path / "one")
    assert drawn.out == f"report: {tmp_path / 'one/report.html'}\n"
    assert cli("report", "one", "two").out == "report: comparison.html\n"
    assert 'href="one/report.html"' in (tmp_path / "comparison.html").read_text()
    assert cli("report", "one", "two", "-o", tmp_path / "pages/both.html").status == 0
    (tmp_path / "one").rename(tmp_path / "one #1?")
    assert cli("report", "one #1?", "two", "-o", "other.html").status == 0
    assert 'href="one%20%231%3F/report.html"' in (tmp_path / "other.html").read_text()
    assert 'href="../one/report.html"' in (tmp_path / "pages/both.html").read_text()


def test_the_script_in_tools_does_the_same(tool, tmp_path):
    html.write(smallest(), tmp_path)
    done = tool("report", tmp_path, "--output", tmp_path / "page.html")
    assert (done.returncode, done.stdout) == (0, f"report: {tmp_path / 'page.html'}\n")


def test_runs_are_named_by_the_ends_of_their_folders():
    records = [other(output=folder) for folder in ("output/a/float", "output/b/float")]
    assert legend(records) == ["a/float", "b/float"]
    assert legend([other(output="same"), other(output="same")]) == ["1. same", "2. same"]


def test_only_keys_that_differ_are_listed():
    two = other(slim={**large().slim, "quant": {"name": "lsq", "epochs": 20}})
    assert differences([large(), two]) == [("Slim.quant.name", ["pact", "lsq"])]
    check_comparable([large(), two, smallest()])  # of what is not known nothing is refused


def test_of_several_stages_all_are_compared(tmp_path):
    stages = [
        html.Stage(name="pruned", asked={"epochs": 6, "pretrained": "dense"}),
        html.Stage(name="quantized", asked={"epochs": 3, "pretrained": "float/best_model"}),
    ]
    two = [other(stages=stages, training={}), other(stages=stages[:1], training={})]
    assert differences(two) == [("epochs", ["6, 3", "6"])]
    steps = other(stages=stages[:1] * 2, training={})
    assert dict(asked(steps))["epochs"] == "6 (pruned), 6 (pruned)"
    assert differences([steps, two[1]]) == [("epochs", ["6, 6", "6"])]


def test_the_page_of_the_documentation_names_every_key():
    for page in ("report.md", "report.zh.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert [key for key in html.Record.model_fields if f"`{key}`" not in text] == []


def test_templates_travel_with_the_package():
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "ppcls_slim.report.html = templates/*" in text
    assert "jinja2" in text[: text.index("[options.packages.find]")]
