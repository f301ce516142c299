"""What the CPU computes fast in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

CPUINFO = Path("/proc/cpuinfo")
INT8 = {"amx_int8": "AMX", "avx512_vnni": "AVX512-VNNI", "avx_vnni": "AVX-VNNI", "asimddp": "dot product"}
BF16 = {"amx_bf16": "AMX BF16", "avx512_bf16": "AVX512-BF16", "bf16": "BF16"}
"""Flag of Linux -> name."""


@dataclass(frozen=True)
class Instructions:
    """Names of the instructions for int8 and BF16; None where there are none."""

    int8: Optional[str]
    bf16: Optional[str]


def instructions() -> Optional[Instructions]:
    """Return what this CPU has; None where the system does not tell."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    flags = set(line[1].split()) if line is not None else set()
    first = [next((name for flag, name in names.items() if flag in flags), None) for names in (INT8, BF16)]
    return Instructions(*first) if flags else None
