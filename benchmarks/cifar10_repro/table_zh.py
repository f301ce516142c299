"""The words of the table paper against ours in Chinese; figures and names of rows stay as they are."""

from __future__ import annotations

HEAD = "| 行 | 论文的说法 | 论文 | 我们：均值（各种子） | 差 | |"
WORDS = {  # longer ones before those that they contain
    "not reproduced": "未复现",
    "not yet run": "尚未运行",
    "reproduced": "已复现",
    "dense, FPGM's baseline": "稠密，FPGM 的基准",
    "full precision, PACT's baseline": "全精度，PACT 的基准",
    "as the text describes it": "按正文所述",
    "as the authors' script runs it": "按作者的脚本运行",
    "fine-tuned": "微调",
    "soft schedule": "软剪枝",
    "ours with float shortcuts": "我们的残差为浮点",
    "ours with PACT's recipe": "我们用 PACT 的训练方案",
    "ours with both": "我们两者都用",
    "ours with LSQ": "我们用 LSQ",
    " bits": " 位",
    "dense": "稠密",
}


def in_chinese(line: str) -> str:
    """Return a line of the table with its claim and its verdict in Chinese; what has no translation stays."""
    _, row, claim, *figures, verdict, _ = line.split("|")
    for english, chinese in WORDS.items():
        claim, verdict = claim.replace(english, chinese), verdict.replace(english, chinese)
    claim = claim.replace(", ", "，").replace("; ", "；")
    return "|".join(["", row, claim, *figures, verdict, ""])
