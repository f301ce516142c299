"""One ``openvino.Core`` for the whole process.

Symptom: the process dies with SIGSEGV, and nothing is printed, at the next signal that Python handles (a worker of a
data loader ends, a timeout, Ctrl-C), some time after two ``Core`` were alive together. On CPUs with AMX the CPU
plugin of each ``Core`` sets an alternate signal stack, and puts back the one before it when it goes: the second one
puts back the stack of the first, which is unmapped by then. Python's handlers run on that stack (``SA_ONSTACK``).
Versions: seen with OpenVINO 2026.4 on a CPU with AMX.
Delete when: ``tests/compat/test_openvino_core.py`` sees two ``Core`` leave the signal stack as it was.
"""

from __future__ import annotations

from functools import cache

import openvino


@cache
def core() -> openvino.Core:
    """Return the process's ``Core``, which is never deleted."""
    return openvino.Core()
