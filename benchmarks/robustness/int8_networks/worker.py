"""A process that compares one network after the other; whoever started it outlives its crashes."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

from .compare import compare


def work(tasks: Path, answers: Path) -> None:
    """Write a line for everything that is begun, and one for every result.

    Args:
        tasks: lines of JSON: ``number``, ``spec`` and ``skip``.
        answers: is appended to.
    """
    with answers.open("a", encoding="utf-8") as out:

        def say(**line: object) -> None:
            out.write(json.dumps(line) + "\n")
            out.flush()

        for text in tasks.read_text(encoding="utf-8").splitlines():
            task = json.loads(text)
            number = task["number"]

            def begin(way: str, number: int = number) -> None:
                say(number=number, begun=way)

            try:
                for found in compare(task["spec"], begin, task["skip"]):
                    say(number=number, **found)
            except Exception:
                say(number=number, raised=traceback.format_exc(limit=-4))
            say(number=number, done=True)


if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]))
