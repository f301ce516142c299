"""How a case may end, and how it must not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RIGHT, REFUSED = "right result", "one-line error"
TRACEBACK, WRONG, HANG, LOSS, EXECUTED = "traceback", "silent wrong result", "hang", "loss", "code executed"
ALLOWED = (RIGHT, REFUSED)
FORBIDDEN = (TRACEBACK, WRONG, HANG, LOSS, EXECUTED)


@dataclass(frozen=True)
class Verdict:
    """How a case ended.

    Attributes:
        result: one of ``ALLOWED`` or ``FORBIDDEN``.
        detail: the message of one line, or what was seen instead.
    """

    result: str
    detail: str = ""


@dataclass(frozen=True)
class Outcome:
    """A case and how it ended.

    Attributes:
        kind: of the case: ``configurations``, ``checkpoints``, ...
        seed: that repeats it, with ``--case kind:seed``.
        what: was done.
        result: one of ``ALLOWED`` or ``FORBIDDEN``.
        detail: the message of one line, or what was seen instead.
        repeat: the command that repeats it.
    """

    kind: str
    seed: int
    what: str
    result: str
    detail: str
    repeat: str

    @property
    def is_finding(self) -> bool:
        """Whether it must not happen."""
        return self.result not in ALLOWED


def table(outcomes: Sequence[Outcome]) -> str:
    """Counts of results: a row a kind, in Markdown."""
    columns = (*ALLOWED, *FORBIDDEN)
    lines = [f"| kind | cases | {' | '.join(columns)} |", "| --- " * (2 + len(columns)) + "|"]
    for kind in dict.fromkeys(one.kind for one in outcomes):
        counts = Counter(one.result for one in outcomes if one.kind == kind)
        cells = [str(counts[column]) for column in columns]
        lines.append(f"| {kind} | {sum(counts.values())} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_record(path: Path, seed: int, outcomes: Sequence[Outcome], seconds: float) -> None:
    """Write counts and every finding, with how to repeat it, as JSON."""
    kinds = dict.fromkeys(one.kind for one in outcomes)
    record = {
        "seed": seed,
        "seconds": round(seconds),
        "counts": {kind: dict(Counter(one.result for one in outcomes if one.kind == kind)) for kind in kinds},
        "findings": [asdict(one) for one in outcomes if one.is_finding],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
