"""What is read on GitHub becomes what is right on the site."""

from __future__ import annotations

import sys

import pytest

from conftest import ROOT

for module in ("mkdocs", "latex2mathml"):
    pytest.importorskip(module, reason=f"{module} is not installed: pip install 'ppcls_slim[docs]'")
sys.path.insert(0, str(ROOT / "docs/tooling"))
import hooks  # noqa: E402  (after the question whether what it imports is there)


def test_equations_become_mathml():
    html = hooks.on_page_content('<p><span class="arithmatex">\\(a &lt; b\\)</span></p>')
    assert "<math" in html
    assert "arithmatex" not in html
    assert 'display="block"' in hooks.on_page_content('<div class="arithmatex">\\[\nx^2\n\\]</div>')


@pytest.mark.parametrize(
    "link, folder, text",
    [
        ("[tables](../benchmarks/regress.yaml)", "", "tables (`benchmarks/regress.yaml`)"),
        ("[benchmarks/regress.yaml](../benchmarks/regress.yaml)", "", "`benchmarks/regress.yaml`"),
        ("[the guide](../CONTRIBUTING.md)", "", "[the guide](contributing.md)"),
        ("[the guide](../../CONTRIBUTING.zh.md#a)", "deploy", "[the guide](../contributing.zh.md#a)"),
        ("[engines](../engines.md)", "deploy", "[engines](../engines.md)"),
        ("[gone](../no_such_file.md)", "", "[gone](../no_such_file.md)"),  # mkdocs says that it is not there
    ],
)
def test_links_out_of_the_documentation(link, folder, text):
    assert hooks.LINK.sub(lambda found: hooks.outward_link(found, folder), link) == text


def test_pictures_from_elsewhere_are_in_the_page():
    link = "![accuracy](../benchmarks/cifar10_paddle/resnet20_prune30.png)"
    picture = hooks.LINK.sub(lambda found: hooks.outward_link(found, ""), link)
    assert picture.startswith('<img alt="accuracy" src="data:image/png;base64,')


def test_chinese_headings_have_the_english_anchors_too():
    page = hooks.with_english_anchors("# 标题\n\n## 速度\n\n## LSQ\n", "# Title\n\n## How fast\n\n## LSQ\n")
    assert page == '# 标题\n\n<a id="how-fast"></a>\n\n## 速度\n\n## LSQ\n'


def test_the_link_to_the_other_language_is_left_out():
    assert hooks.without_language_link("Text. 简体中文: [api.zh.md](api.zh.md).", "api.md") == "Text. "
    assert hooks.without_language_link("文字。English: [api.md](api.md)。", "api.zh.md") == "文字。"
    assert (
        hooks.without_language_link("See [keys](configuration.zh.md).", "api.zh.md")
        == "See [keys](configuration.zh.md)."
    )
