"""The words of ``docs/coverage.md``, in each language that it is written in; its figures are the same in all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Words:
    """Texts of the page; those with braces are formats.

    Attributes:
        intro: paragraphs before the tables; ``releases``, ``versions`` and ``digests``.
        conjunction: between two versions.
        between_releases: between two releases of PaddleClas.
        comma: between the digests.
        of_release: heading of a release of PaddleClas.
        counts: job -> heads of its columns in the summary.
        not_run: head of the last column there.
        share: how many of how many.
        theirs: name of the row, and the note on it.
        heads: of the backbones' table, before the columns of results.
        jobs: job -> what it is called in heads.
        in_lists: job -> what it is called in lists.
        result: head of a column: a job on a version of Paddle.
        their_result: head of PaddleSlim's column.
        frozen: heading of the list of what is frozen.
        refused: heading of the list of what was refused or failed.
        colon: behind the name of a backbone.
        line: one entry of that list.
        nothing: instead of an empty list.
        cells: result in a table -> what the page shows.
        reasons: pattern of an English reason -> what the page shows; messages of the plugin stay as they are printed.
    """

    intro: tuple[str, ...]
    conjunction: str
    between_releases: str
    comma: str
    of_release: str
    counts: Mapping[str, tuple[str, ...]]
    not_run: str
    share: str
    theirs: tuple[str, str]
    heads: tuple[str, str, str, str]
    jobs: Mapping[str, str]
    in_lists: Mapping[str, str]
    result: str
    their_result: str
    frozen: str
    refused: str
    colon: str
    line: str
    nothing: str
    cells: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def cell(self, text: str) -> str:
        """Return a result as the page shows it."""
        return self.cells.get(text, text)

    def reason(self, text: str) -> str:
        """Return a reason, or several, as the page shows them."""
        for pattern, ours in self.reasons.items():
            text = re.sub(pattern, ours, text)
        return text


ENGLISH = Words(
    intro=(
        "# Coverage",
        "Backbones of PaddleClas {releases}, the smallest of each family, on Paddle {versions}.\n"
        "Written by `ppcls-slim coverage`; digest of the plugin's source: {digests}.",
        "**Pruned** (FPGM, ratio 0.3 everywhere) is `ok` when: the pruned network equals the dense one with exactly "
        "those channels masked, on noise and on images, to 1e-4 of the largest output; a training step runs; the "
        "model that is rebuilt from the checkpoint alone has the same tensors; and Paddle Inference gives the "
        "trained model's logits to 1e-3 in the 2-norm, with and without oneDNN.",
        "**int8** (PACT QAT) is `ok` when: a training step runs; the model that is rebuilt from the checkpoint alone "
        "has the same tensors; every quantized layer of the exported file has the trained one's scale and, on the "
        "input that it has in the file, its output to 0.02 in the 2-norm; and a dozen parts of the file, each on "
        "its own, give in oneDNN's int8 kernels what a reference run (without oneDNN) gives, to 0.4 where they have "
        "20 layers at most. The logits of the whole are compared, too, loosely: in an untrained network, one value "
        "that is rounded to another step changes all layers behind it (to 0.25, or three times what noise of 1e-6 "
        "does; in int8 to 0.5, or twice what quantizing the float model changed).",
        "**FLOPs** are multiply-accumulates of convolutions and linear layers at the model's own image size. "
        "**Frozen** is the share of all filters that cannot be removed. **Seconds** are analysis, importance and "
        "selection: processor time on one thread.",
    ),
    conjunction=" and ",
    between_releases=" and of ",
    comma=", ",
    of_release="## PaddleClas {release} on Paddle {versions}",
    counts={"prune": ("pruned", "refused", "failed"), "quant": ("int8", "failed")},
    not_run="not run",
    share="{part} of {total}",
    theirs=(
        "PaddleSlim 2.6.0 on Paddle 2.6.2",
        "PaddleSlim's lines say only that its own steps ended: no result was checked or compared.",
    ),
    heads=("backbone", "FLOPs removed", "frozen", "seconds"),
    jobs={"prune": "pruned", "quant": "int8"},
    in_lists={"prune": "prune", "quant": "quant"},
    result="{job}, {version}",
    their_result="int8, PaddleSlim",
    frozen="### What is frozen, and why",
    refused="### What was refused or failed, and why",
    colon=": ",
    line="- {name}, {job}, on {versions}: {result}: {error}",
    nothing="Nothing.",
)

CHINESE = Words(
    intro=(
        "# 骨干网络覆盖情况",
        "PaddleClas {releases} 的骨干网络，每个系列取最小的一个，Paddle 版本为 {versions}。\n"
        "由 `ppcls-slim coverage` 生成；插件源码的摘要：{digests}。",
        "**剪枝**（FPGM，各层剪枝率均为 0.3）为 `ok` 的条件：在噪声和图像上，剪枝后的网络与仅把这些通道掩码的稠"
        "密网络输出一致，误差不超过最大输出的 1e-4；能训练一步；只凭检查点重建的模型具有同样的张量；无论是否使"
        "用 oneDNN，Paddle Inference 给出的 logits 与训练好的模型在 2-范数下相差不超过 1e-3。",
        "**int8**（PACT 量化训练）为 `ok` 的条件：能训练一步；只凭检查点重建的模型具有同样的张量；导出文件中每"
        "个量化层的 scale 与训练时相同，并且对它在文件中得到的输入，输出在 2-范数下相差不超过 0.02；把文件分成"
        "十二段左右，各段单独运行时，oneDNN 的 int8 核函数与参考运行（不用 oneDNN）的结果相差不超过 0.4（对不超"
        "过 20 层的段）。整个网络的 logits 也作比较，但要求较松：在未经训练的网络中，一个值取整到另一级就会改变"
        "其后所有的层（不超过 0.25，或 1e-6 的噪声所引起变化的三倍；int8 不超过 0.5，或量化浮点模型所引起变化的"
        "两倍）。",
        "**FLOPs** 是卷积层和全连接层的乘加次数，图像大小为模型自己的大小。**冻结**是不能去掉的滤波器占全部滤波"
        "器的比例。**秒**是分析、打分和选择所用的单线程处理器时间。",
    ),
    conjunction=" 与 ",
    between_releases=" 与 ",
    comma="、",
    of_release="## Paddle {versions} 上的 PaddleClas {release}",
    counts={"prune": ("剪枝", "拒绝", "失败"), "quant": ("int8", "失败")},
    not_run="未运行",
    share="{part} / {total}",
    theirs=(
        "Paddle 2.6.2 上的 PaddleSlim 2.6.0",
        "PaddleSlim 的几栏只表示它自己的步骤运行到了最后：结果没有经过检查或比较。",
    ),
    heads=("骨干网络", "减少的 FLOPs", "冻结", "秒"),
    jobs={"prune": "剪枝", "quant": "int8"},
    in_lists={"prune": "剪枝", "quant": "量化"},
    result="{job}，{version}",
    their_result="int8，PaddleSlim",
    frozen="### 哪些滤波器被冻结，为什么",
    refused="### 哪些被拒绝或失败，为什么",
    colon="：",
    line="- {name}，{job}，{versions}：{result}：{error}",
    nothing="无。",
    cells={
        "refused": "拒绝",
        "failed": "失败",
        "timeout": "超时",
        "no network": "无网络",
        "fails": "失败",
        "prunes nothing to speak of": "几乎没有剪掉",
    },
    reasons={
        r"sizes written in the code \((\w+)\)": r"代码中写死了大小（\1）",
        r"a single (unit|channel): all of its filters are tied to each other": "只有一个可剪通道，所有滤波器互相绑定",
        r"layer_norm over channels": "沿通道的 layer_norm",
        r"group_norm over channels": "沿通道的 group_norm",
        r"mean over channels": "沿通道求均值",
        r"a product of two results": "两个中间结果相乘",
        r"an output of the model": "是模型的输出",
        r"its input cannot shrink": "其输入不能变窄",
        r"add with something that cannot shrink": "与不能变窄的张量相加",
        r"(\d+) % of the FLOPs in linear layers of attention and MLPs": r"\1 % 的 FLOPs 位于注意力和 MLP 的全连接层",
        r"(\d+) x ": r"\1 × ",
        r"; ": "；",
    },
)


def words_of(page: Path) -> Words:
    """Return the words of a page by its name: ``coverage.zh.md`` is Chinese, every other one English."""
    return CHINESE if page.name.endswith(".zh.md") else ENGLISH
